//! One short deployment on each of its ways, once per call and per fault: whatever goes wrong at
//! any one call, the end is the same.

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::plan::Slot;
use glidepath_core::protocol::{NextStep, Work};
use glidepath_core::record::{Outcome, Phase};
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_core::world::FoundScaling;
use glidepath_engine::plan::PlanInput;
use glidepath_engine::ports::{Clock, Due, ProbeAnswer};
use glidepath_engine::rollback::{AlarmEvent, CaughtError, RollbackInput, on_alarm};
use glidepath_engine::testing::example::{self, actions, alarm, requests, route, version, world};
use glidepath_engine::testing::{Bed, Call, Fault, KILLED, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, complete, notify, rollback, sweep, validate};
use serde_json::json;

/// The ways that a deployment can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The canary is good.
    Success,
    /// The canary fails its requests.
    Veto,
    /// An alarm fires in the first bake.
    Alarm,
    /// The execution is stopped in the first bake.
    Death,
    /// An alarm fires while stable has one healthy target of three, and then recovers.
    Weak,
}

const WAYS: [Way; 5] = [Way::Success, Way::Veto, Way::Alarm, Way::Death, Way::Weak];

fn ways() -> impl Iterator<Item = (Way, Scaled)> {
    WAYS.into_iter().flat_map(|way| [(way, Scaled::No), (way, Scaled::Yes)])
}

fn input() -> PlanInput {
    PlanInput {
        deployment: DeploymentId::new("d1"),
        execution: ExecutionArn::new("arn:aws:states:x:1:execution:glidepath:d1"),
        execution_start: None,
        request: json!({
            "apiVersion": "glidepath/v1",
            "service": "shop",
            "target": {
                "cluster": "production",
                "slots": {"blue": "shop-blue", "green": "shop-green"},
                "routes": [{"rule": route().arn()}],
            },
            "release": {"taskDefinition": version(2).as_str()},
            "strategy": {"canary": {"stages": [
                {"weight": 10, "bake": "2m"}, {"weight": 100, "bake": "1m"},
            ]}},
            "capacity": {"scaleInDelay": "10s"},
            "retention": "1m",
            "health": {"alarms": {
                "blue": [alarm(Slot::Blue).as_str()], "green": [alarm(Slot::Green).as_str()],
            }},
            "rollback": {"validate": {
                "probes": [{"url": "https://${slot}.example.com/", "attempts": 1}],
                "hooks": [{"function": "smoke"}],
            }},
            "notify": ["team"],
        }),
    }
}

/// Whether Application Auto Scaling scales both slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scaled {
    No,
    Yes,
}

/// How they are scaled before.
fn bounds() -> ScalableTarget {
    ScalableTarget { minimum: 2, maximum: 8, suspended: Suspended::default() }
}

/// Goes one way; how many calls it made.
async fn go(way: Way, scaled: Scaled, fault: Option<(usize, Fault)>, twice: bool) -> usize {
    let (registry, world) = (MemoryRegistry::default(), world());
    if scaled == Scaled::Yes {
        for (slot, target) in [(Slot::Blue, bounds()), (Slot::Green, bounds().idle())] {
            let found = FoundScaling { target: Some(target), ..FoundScaling::default() };
            world.state().scaling.insert(example::service(slot), found);
        }
    }
    let page = ProbeAnswer { status: 200, body: String::new() };
    world.state().pages.insert("https://blue.example.com/".to_owned(), Ok(page));
    world.state().answers.insert("smoke".to_owned(), vec![Ok(json!({"hookStatus": "SUCCEEDED"}))]);
    if way == Way::Veto {
        world.state().requests = Some(requests(1_000, 400));
    }
    let mut machine = Machine::start(Bed::with_fault(&registry, &world, fault), input());
    machine.twice = twice;
    match way {
        Way::Success | Way::Veto => drop(machine.run().await),
        Way::Alarm | Way::Death | Way::Weak => {
            // The pause of the first bake.
            let paused = machine.run_until(|reply| reply.next == NextStep::Gate).await;
            if paused.is_ok() && machine.reply.next == NextStep::Gate {
                machine.step(None).await;
            }
            if way == Way::Weak {
                // More than stable can take back at once, and nobody has looked for long.
                world.state().weak.insert(example::group(Slot::Blue), 1);
                world.state().routes.insert(route(), actions(Weight::ALL));
                world.pass(Span::from_secs(600));
                alarm_fires(&mut machine).await;
                for _ in 0..3 {
                    machine.step(None).await;
                }
                world.state().weak.clear();
                drop(machine.run().await);
            }
            if way == Way::Alarm {
                alarm_fires(&mut machine).await;
                drop(machine.run().await);
            }
        }
    }
    let calls = machine.bed.calls();
    let swept = sweep_until_quiet(&machine.bed).await;
    assert!(swept, "{way:?} with {fault:?} ({scaled:?}) never came to rest");
    assert_rest(way, fault, &registry, &world);
    if scaled == Scaled::Yes {
        assert_settings(way, fault, &registry, &world);
    }
    let stepped =
        registry.items().notices.iter().any(|entry| entry.notice.event.name() == "steppingBack");
    assert!(way != Way::Weak || fault.is_some() || stepped, "the way back had no step");
    calls
}

/// The event is delivered until it is taken, as Lambda does with an asynchronous invocation, and if
/// the gate was ended the state machine goes to its rollback.
async fn alarm_fires(machine: &mut Machine<'_>) {
    let world = machine.bed.world;
    let event = AlarmEvent {
        alarm: alarm(Slot::Green),
        at: world.now(),
        reason: "threshold crossed".to_owned(),
    };
    world.take_calls();
    for _ in 0..3 {
        let bed = &machine.bed;
        let taken = survive(on_alarm(bed, &event)).await;
        if taken.is_some_and(|taken| taken.is_ok()) {
            break;
        }
        world.pass(Span::from_secs(60));
    }
    let woken = world.take_calls().into_iter().find_map(|call| match call {
        Call::FailGate(_, failure) => Some(failure),
        _ => None,
    });
    if machine.reply.next == NextStep::Validate && woken.is_some() {
        machine.reply.next = NextStep::Gate;
        machine.step(woken).await;
    }
}

/// `None` if the process was killed.
async fn survive<Answer>(invocation: impl Future<Output = Answer>) -> Option<Answer> {
    use futures_util::FutureExt;
    match std::panic::AssertUnwindSafe(invocation).catch_unwind().await {
        Ok(answer) => Some(answer),
        Err(panic) if panic.downcast_ref() == Some(&KILLED) => None,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Sweeps every minute; whether nothing was left to do in the end.
async fn sweep_until_quiet(bed: &Bed<'_>) -> bool {
    for _ in 0..60 {
        bed.world.pass(Span::from_secs(60));
        bed.world.take_calls();
        drop(survive(sweep::run(bed)).await);
        for call in bed.world.take_calls() {
            match call {
                Call::Start(due) => drop(survive(carry_out(bed, &due)).await),
                Call::Validate(deployment) => {
                    drop(survive(validate::run(bed, &StepInput { deployment })).await);
                }
                _ => {}
            }
        }
        if at_rest(bed.registry) {
            return true;
        }
    }
    false
}

async fn carry_out(bed: &Bed<'_>, due: &Due) {
    match due {
        Due::Retirement(key) => drop(complete::retire(bed, key).await),
        Due::Notices(id) => {
            drop(notify::run(bed, &StepInput { deployment: id.clone() }).await);
        }
        Due::Deployment(id) => {
            let work = bed.registry.items().deployments[id].overdue_work();
            if work == Some(Work::Completion) {
                drop(complete::run(bed, id).await);
            } else {
                let error = CaughtError {
                    name: FailureCode::OrchestrationLost.name().to_owned(),
                    cause: Some("nothing carried it on".to_owned()),
                };
                let by = Some(glidepath_core::record::FenceTrigger::Sweep);
                let input = RollbackInput {
                    deployment: id.clone(),
                    error: Some(error),
                    by,
                    force: false,
                    woken: false,
                    execution_start: None,
                };
                drop(rollback::run(bed, &input).await);
            }
        }
    }
}

fn at_rest(registry: &MemoryRegistry) -> bool {
    let items = registry.items();
    items.retirements.is_empty()
        && items.deployments.values().all(|deployment| {
            matches!(deployment.phase, Phase::Closed(_)) && deployment.validating.is_none()
        })
        && items.notices.iter().all(|entry| items.done_with.contains(&entry.notice.id()))
}

/// The same end, whatever went wrong.
fn assert_rest(way: Way, fault: Option<(usize, Fault)>, registry: &MemoryRegistry, world: &World) {
    let case = format!("{way:?} with {fault:?}");
    let items = registry.items();
    assert!(items.locks.values().all(|lock| lock.holder.is_none()), "{case}: a lock is held");
    assert!(
        items.alarms.values().all(|alarm| alarm.bindings.is_empty()),
        "{case}: an alarm is bound"
    );
    assert!(
        items.alarms.values().all(|alarm| alarm.intents.is_empty()),
        "{case}: a dead intent stays on an alarm"
    );
    let state = world.state();
    let tasks = |slot| state.services[&example::service(slot)].desired_count;
    let outcomes: Vec<_> = items.deployments.values().map(|deployment| deployment.phase).collect();
    // One thing that goes wrong is no reason to take a good version back.
    let expected = if way == Way::Success { Outcome::Succeeded } else { Outcome::RolledBack };
    assert_eq!(outcomes, [Phase::Closed(expected)], "{case}");
    if expected == Outcome::Succeeded {
        assert_eq!(state.routes[&route()], actions(Weight::ALL), "{case}");
        assert_eq!((tasks(Slot::Blue), tasks(Slot::Green)), (0, 3), "{case}");
    } else {
        assert_eq!(state.routes[&route()], actions(Weight::NONE), "{case}");
        assert_eq!((tasks(Slot::Blue), tasks(Slot::Green)), (3, 0), "{case}");
    }
    let terminal = items.notices.iter().filter(|entry| entry.notice.event.terminal()).count();
    assert_eq!(terminal, outcomes.len(), "{case}: terminal records");
    let validated = items.notices.iter().filter(|entry| entry.notice.event.name() == "validated");
    let wanted = usize::from(expected == Outcome::RolledBack);
    assert_eq!(validated.count(), wanted, "{case}: what serves again was asked");
    let told = serde_json::to_string(
        &items.notices.iter().map(|entry| entry.notice.clone()).collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(!told.contains("token-"), "{case}: a task token was told");
}

/// The slot that serves is scaled as blue was, the other one is idle, and nobody was told anything: nothing of
/// what was lost, or came twice, is taken for somebody's wish.
fn assert_settings(
    way: Way,
    fault: Option<(usize, Fault)>,
    registry: &MemoryRegistry,
    world: &World,
) {
    let case = format!("{way:?} with {fault:?}");
    let state = world.state();
    let target = |slot| state.scaling[&example::service(slot)].target.unwrap();
    let (serving, idle) =
        if way == Way::Success { (Slot::Green, Slot::Blue) } else { (Slot::Blue, Slot::Green) };
    assert_eq!(target(serving), bounds(), "{case}");
    assert_eq!(target(idle), bounds().idle(), "{case}");
    let items = registry.items();
    let told = items.notices.iter().map(|entry| entry.notice.event.name());
    let told: Vec<_> = told.filter(|name| name.starts_with("scaling")).collect();
    assert!(told.is_empty(), "{case}: {told:?}");
}

/// A killed process is a panic here; its message would drown everything else.
fn quietly() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref() != Some(&KILLED) {
            eprintln!("{panic}");
        }
    }));
}

#[test]
fn whatever_goes_wrong_at_any_one_call_the_end_is_the_same() {
    quietly();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut runs = 0;
    for (way, scaled) in ways() {
        let calls = runtime.block_on(go(way, scaled, None, false));
        for call in 0..calls + 20 {
            for fault in Fault::ALL {
                runtime.block_on(go(way, scaled, Some((call, fault)), false));
                runs += 1;
            }
        }
    }
    println!("{runs} runs, each with one fault at one call");
    assert!(runs > 1_000, "{runs}");
}

#[test]
fn every_invocation_may_be_delivered_twice() {
    quietly();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (way, scaled) in ways() {
        let calls = runtime.block_on(go(way, scaled, None, true));
        for call in 0..calls {
            runtime.block_on(go(way, scaled, Some((call, Fault::LostAfter)), true));
        }
    }
}
