//! Functions and the definition that calls them are not updated in the same moment: what a newer one hands
//! over besides is ignored, or every deployment that runs would be rolled back for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Plan, Slot};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Outcome, Phase};
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_core::world::FoundScaling;
use glidepath_engine::StepInput;
use glidepath_engine::complete::CompleteInput;
use glidepath_engine::gate::GateInput;
use glidepath_engine::plan::PlanInput;
use glidepath_engine::ports::Clock;
use glidepath_engine::rollback::{AlarmEvent, RollbackInput, on_alarm};
use glidepath_engine::testing::example::{alarm, begun, pair, plan, route, service, stage, world};
use glidepath_engine::testing::{Bed, Between, Call, Machine, MemoryRegistry};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn is_read<Input: DeserializeOwned>(mut payload: Value) {
    let known = serde_json::from_value::<Input>(payload.clone());
    assert!(known.is_ok(), "{payload}: {:?}", known.err());
    payload["sinceALaterVersion"] = json!({ "of": "the definition" });
    let newer = serde_json::from_value::<Input>(payload.clone());
    assert!(newer.is_ok(), "{payload}: {:?}", newer.err());
}

#[test]
fn what_a_newer_definition_hands_over_besides_is_ignored() {
    is_read::<StepInput>(json!({ "deployment": "shop-42" }));
    is_read::<RollbackInput>(json!({
        "deployment": "shop-42",
        "error": { "name": "AlarmFired", "cause": "{}", "sinceALaterVersion": 1 },
    }));
    is_read::<PlanInput>(json!({
        "deployment": "shop-42",
        "execution": "arn:aws:states:eu-west-1:1:execution:glidepath:shop-42",
        "executionStart": "2026-11-21T07:00:00.000Z",
        "request": {},
    }));
    let tick = json!({
        "redriveCount": 0,
        "enteredAt": "2026-11-21T07:00:00.000Z",
        "retryCount": 0,
        "sinceALaterVersion": 1,
    });
    is_read::<GateInput>(json!({ "deployment": "shop-42", "token": "t", "tick": tick }));
}

#[test]
fn what_is_to_be_completed_is_one_thing() {
    let (deployment, retirement) = ("shop-42", "service#shop/shop-blue");
    is_read::<CompleteInput>(json!({ "deployment": deployment }));
    is_read::<CompleteInput>(json!({ "retirement": retirement }));
    for neither in [json!({}), json!({ "deployment": deployment, "retirement": retirement })] {
        assert!(serde_json::from_value::<CompleteInput>(neither).is_err());
    }
}

/// The oldest form of a deployment's record, all states of it in one.
fn oldest() -> Value {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/record/golden/2026-11-21");
    let files = std::fs::read_dir(PathBuf::from(golden)).unwrap().map(|file| file.unwrap().path());
    let deployments = files.filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("deployment-"))
    });
    deployments.fold(Value::Null, |all, path| {
        let text = std::fs::read_to_string(path).unwrap();
        both(all, serde_json::from_str(&text).unwrap())
    })
}

/// Everything that one of two forms has.
fn both(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (key, value) in other {
                let known = one.remove(&key).unwrap_or(Value::Null);
                one.insert(key, both(known, value));
            }
            Value::Object(one)
        }
        (Value::Array(one), Value::Array(other)) => {
            Value::Array(vec![one.into_iter().chain(other).fold(Value::Null, both)])
        }
        (Value::Null, other) => other,
        (one, _) => one,
    }
}

/// What a function that knows this form keeps of a record when it writes it back; what it loses.
fn kept(record: &mut Value, known: &Value, path: &str, lost: &mut BTreeSet<String>) {
    match (record, known) {
        // By the ids of claims, each of one form.
        (Value::Object(record), Value::Object(known)) if path == ".intents" => {
            let Some(form) = known.values().next() else { return };
            record.values_mut().for_each(|intent| kept(intent, form, ".intents", lost));
        }
        (Value::Object(record), Value::Object(known)) => record.retain(|key, value| {
            let path = format!("{path}.{key}");
            match known.get(key) {
                Some(known) => kept(value, known, &path, lost),
                None => {
                    lost.insert(path);
                    return false;
                }
            }
            true
        }),
        (Value::Array(record), Value::Array(known)) => {
            let Some(form) = known.first() else { return };
            record.iter_mut().for_each(|element| kept(element, form, path, lost));
        }
        (_, _) => {}
    }
}

/// An older function writes a deployment's record once, after so many writes of others.
struct OlderWriter {
    after: usize,
    writes: AtomicUsize,
    known: Value,
    lost: std::sync::Mutex<BTreeSet<String>>,
}

impl OlderWriter {
    fn new(after: usize) -> Self {
        let (writes, lost) = (AtomicUsize::new(0), std::sync::Mutex::default());
        Self { after, writes, known: oldest(), lost }
    }

    /// Whether it has come.
    fn came(&self) -> bool {
        self.writes.load(Ordering::SeqCst) > self.after
    }
}

impl Between for OlderWriter {
    fn written(&self, registry: &MemoryRegistry) {
        if self.writes.fetch_add(1, Ordering::SeqCst) != self.after {
            return;
        }
        let mut items = registry.items();
        let stored = items.deployments.get_mut(&DeploymentId::new("d1")).unwrap();
        let mut record = serde_json::to_value(&*stored).unwrap();
        kept(&mut record, &self.known, "", &mut self.lost.lock().unwrap());
        *stored = serde_json::from_value(record).unwrap();
        stored.revision = stored.revision.next();
    }
}

/// A deployment of two stages on slots that are scaled.
fn of_scaled_slots() -> Plan {
    let minute = Span::from_secs(60);
    let mut plan = plan(vec![stage(100, minute), stage(1000, minute)]);
    let serving = ScalableTarget { minimum: 2, maximum: 6, suspended: Suspended::default() };
    (plan.stable.scaling, plan.canary.scaling) = (Some(serving), Some(serving.idle()));
    plan
}

/// How a deployment ends beside such a writer; whether that one came.
async fn beside_an_older_writer(writer: &OlderWriter, fires: bool) -> bool {
    let (registry, world, plan) = (MemoryRegistry::default(), world(), of_scaled_slots());
    for slot in [&plan.stable, &plan.canary] {
        let scaling = FoundScaling { target: slot.scaling, ..FoundScaling::default() };
        world.state().scaling.insert(slot.service.clone(), scaling);
    }
    let id = begun(&registry, plan, "d1", world.now()).await.id;
    let mut machine = Machine::after_plan(Bed::behind(&registry, &world, writer), &id);
    if fires {
        for _ in 0..2 {
            machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
            machine.step(None).await;
        }
        let event =
            AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason: "crossed".to_owned() };
        world.take_calls();
        on_alarm(&machine.bed, &event).await.unwrap();
        let woken = world.take_calls().into_iter().find_map(|call| match call {
            Call::FailGate(_, failure) => Some(failure),
            _ => None,
        });
        machine.reply.next = NextStep::Gate;
        machine.step(woken).await;
    }
    assert_eq!(machine.run().await.is_err(), fires, "after {} writes", writer.after);
    let outcome = if fires { Outcome::RolledBack } else { Outcome::Succeeded };
    let after = writer.after;
    let items = registry.items();
    assert_eq!(items.deployments[&id].phase, Phase::Closed(outcome), "after {after} writes");
    assert!(items.locks.values().all(|lock| lock.holder.is_none()), "after {after} writes");
    let ends = items.notices.iter().filter(|entry| entry.notice.event.terminal());
    assert_eq!(ends.count(), 1, "after {after} writes");
    let share = world.state().routes[&route()].canary_share(&pair());
    let expected = if fires { Weight::NONE } else { Weight::ALL };
    assert_eq!(share, Ok(expected), "after {after} writes");
    let tasks = |slot| world.state().services[&service(slot)].desired_count;
    assert_eq!(tasks(Slot::Blue), 3, "after {after} writes");
    assert_eq!(tasks(Slot::Green), if fires { 0 } else { 3 }, "after {after} writes");
    writer.came()
}

#[tokio::test]
async fn an_older_function_may_write_the_record_at_any_time() {
    for fires in [false, true] {
        let mut lost = BTreeSet::new();
        for after in 0.. {
            let writer = OlderWriter::new(after);
            let came = beside_an_older_writer(&writer, fires).await;
            lost.append(&mut writer.lost.lock().unwrap());
            if !came {
                assert!(after > 10, "{after}");
                break;
            }
        }
        println!("lost, {}: {lost:#?}", if fires { "alarm" } else { "success" });
        assert!(lost.contains(".progress.scaling"), "{lost:?}");
    }
}
