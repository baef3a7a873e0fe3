//! What people freeze: nothing begins there until it is thawed, and everything that goes back goes back.

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Approval, OnInconclusive, OnTimeout, Plan, Slot, StageIndex, WayBack};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{EVERY_SERVICE, Outcome, Phase, Step};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{self, Answer, Word};
use glidepath_engine::freeze::{self, FreezeDone, PostedFreeze};
use glidepath_engine::ports::{Clock, Registry};
use glidepath_engine::rollback::{AlarmEvent, on_alarm};
use glidepath_engine::testing::example::{actions, alarm, plan, requests, route, stage, world};
use glidepath_engine::testing::{Bed, Call, Fault, MemoryRegistry, World};
use proptest::prelude::*;

use crate::{carried, kept, passes, told};

const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3_600);
const ADA: &str = "arn:aws:iam::1:user/ada";

fn every(until: Option<Timestamp>) -> PostedFreeze {
    let (services, reason) = (EVERY_SERVICE.to_owned(), "the sale".to_owned());
    PostedFreeze::Freeze { services, reason, until }
}

async fn frozen(registry: &MemoryRegistry, world: &World, until: Option<Timestamp>) {
    let done = freeze::run(&Bed::new(registry, world), &every(until), ADA).await.unwrap();
    assert!(matches!(done, FreezeDone::Frozen(_)), "{done:?}");
}

async fn thawed(registry: &MemoryRegistry, world: &World) {
    let thaw = PostedFreeze::Thaw { services: None, reason: None };
    let done = freeze::run(&Bed::new(registry, world), &thaw, ADA).await.unwrap();
    assert!(matches!(done, FreezeDone::Thawed(_)), "{done:?}");
}

fn two_stages() -> Plan {
    plan(vec![stage(100, MINUTE), stage(1000, MINUTE)])
}

/// The canary's share.
fn share(world: &World) -> Weight {
    let pair = two_stages().routes[0].pair.clone();
    world.state().routes[&route()].canary_share(&pair).unwrap()
}

/// What a freeze is like.
#[derive(Clone, Copy, Debug)]
struct Frost {
    /// Before which step of the execution it comes.
    at: usize,
    /// For how many minutes it lasts.
    minutes: u64,
    /// Whether it ends by itself.
    ends: bool,
}

fn frost() -> impl Strategy<Value = Frost> {
    (0_usize..30, 0_u64..6_000, any::<bool>()).prop_map(|(at, minutes, ends)| Frost {
        at,
        minutes,
        ends,
    })
}

/// Whenever it comes, however long it lasts and however it ends: no share grows while it is in force, nothing rolls
/// back for it, and afterwards the deployment comes to its end.
async fn carried_through(frosts: &[Frost]) {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE.times(5)), stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.stages[1].approval = Some(Approval::anybody(MINUTE.times(30), OnTimeout::Continue));
    let mut machine = carried(&registry, &world, plan).await;
    let mut thaw_at = None;
    while machine.reply.next != NextStep::Succeeded {
        let place = machine.steps.len();
        if let Some(frost) = frosts.iter().find(|frost| frost.at == place) {
            let until = world.now() + MINUTE.times(frost.minutes) + Span::from_millis(1);
            frozen(&registry, &world, frost.ends.then_some(until)).await;
            thaw_at = (!frost.ends).then_some(until);
        }
        if thaw_at.is_some_and(|at| world.now() >= at) {
            thawed(&registry, &world).await;
            thaw_at = None;
        }
        let before = share(&world);
        machine.step(None).await;
        let freezes = registry.freezes().await.unwrap();
        let (now, after) = (world.now(), share(&world));
        assert!(before >= after || freezes.in_force(now).count() == 0, "{after} at {now}");
        assert_eq!(kept(&registry).fence, None, "{now}: {:?}", machine.reply);
        assert!(machine.steps.len() < 6_000, "{:?} at {now}", machine.reply);
    }
    assert_eq!(kept(&registry).phase, Phase::Closed(Outcome::Succeeded));
    assert_eq!(share(&world), Weight::ALL);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_share_grows_while_it_is_frozen(frosts in prop::collection::vec(frost(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(carried_through(&frosts));
    }
}

/// What is started meanwhile has nothing that costs, and begins once it is thawed.
#[tokio::test]
async fn what_is_started_while_it_is_frozen_begins_with_the_thaw() {
    let (registry, world) = (MemoryRegistry::default(), world());
    frozen(&registry, &world, None).await;
    let mut machine = carried(&registry, &world, two_stages()).await;
    world.take_calls();
    passes(&mut machine, &world, HOUR.times(60)).await;
    let wrote =
        |call: &Call| matches!(call, Call::WriteRoute(..) | Call::Scale(..) | Call::SetBounds(..));
    assert_eq!(world.take_calls().into_iter().filter(wrote).collect::<Vec<_>>(), []);
    assert_eq!(told(&registry), ["started", "frozen"]);
    assert!(machine.steps.len() < 700, "{}", machine.steps.len());
    thawed(&registry, &world).await;
    machine.run().await.unwrap();
    assert_eq!(share(&world), Weight::ALL);
    assert_eq!(kept(&registry).progress.told, None);
}

/// Tasks that do not start have all of their time after the thaw, and not what the freeze has left of it.
#[tokio::test]
async fn the_clock_of_a_stage_begins_with_the_thaw() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = two_stages();
    let (within, canary) = (plan.settle_within, plan.routes[0].pair.canary.clone());
    let mut machine = carried(&registry, &world, plan).await;
    world.state().weak.insert(canary, 0);
    for _ in 0..3 {
        machine.step(None).await;
    }
    frozen(&registry, &world, None).await;
    passes(&mut machine, &world, HOUR.times(30)).await;
    thawed(&registry, &world).await;
    // Its next look finds it so.
    machine.step(None).await;
    let thawed_at = world.now();
    passes(&mut machine, &world, within.minus(MINUTE)).await;
    assert!(matches!(kept(&registry).progress.step, Step::Settling { .. }));
    let failure = machine.run().await.unwrap_err();
    assert!(failure.cause.contains("healthy"), "{failure}");
    assert!(world.now().since(thawed_at) < within.plus(MINUTE.times(3)));
}

/// Evidence that was lacking when it was frozen has all of its time again, also where nobody looked in between.
#[tokio::test]
async fn evidence_has_its_time_anew_after_the_thaw() {
    for ends_by_itself in [false, true] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut plan = two_stages();
        plan.health.extend_up_to = MINUTE.times(30);
        plan.health.on_inconclusive = OnInconclusive::Rollback;
        let mut machine = carried(&registry, &world, plan).await;
        machine.run_until(|reply| reply.summary.starts_with("10 %")).await.unwrap();
        let until = world.now() + HOUR.times(50);
        frozen(&registry, &world, ends_by_itself.then_some(until)).await;
        world.state().requests = None;
        passes(&mut machine, &world, HOUR.times(49)).await;
        assert_eq!(told(&registry), ["started", "shifted", "frozen"]);
        world.pass(until.since(world.now()));
        if !ends_by_itself {
            thawed(&registry, &world).await;
        }
        passes(&mut machine, &world, MINUTE.times(20)).await;
        assert_eq!(kept(&registry).fence, None, "{ends_by_itself}");
        assert_eq!(told(&registry), ["started", "shifted", "frozen", "waiting"]);
        let failure = machine.run().await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Inconclusive);
    }
}

#[tokio::test]
async fn what_leads_back_leads_back_while_it_is_frozen() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, two_stages()).await;
    machine.run_until(|reply| reply.summary.starts_with("10 %")).await.unwrap();
    frozen(&registry, &world, None).await;
    machine.run_until(|reply| reply.summary.contains("frozen by")).await.unwrap();
    let (deployment, by) = (DeploymentId::new("d1"), ADA.to_owned());
    let word = Word::Promote { reason: "hurry".to_owned(), skip_bake: true };
    let answer = Answer { deployment, stage: None, by, groups: Vec::new(), word };
    let refused = decide::run(&Bed::new(&registry, &world), &answer).await.unwrap_err();
    assert!(refused.cause.starts_with("it is frozen by "), "{refused}");
    world.state().requests = Some(requests(1_000, 400));
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));

    let (registry, world) = (MemoryRegistry::default(), self::world());
    let mut machine = carried(&registry, &world, two_stages()).await;
    machine.run_until(|reply| reply.summary.starts_with("10 %")).await.unwrap();
    frozen(&registry, &world, None).await;
    world.pass(MINUTE);
    let (alarm, at) = (alarm(Slot::Green), world.now());
    let event = AlarmEvent { alarm, at, reason: "threshold crossed".to_owned() };
    on_alarm(&Bed::new(&registry, &world), &event).await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

/// Somebody says yes, and the weight moves once it is thawed; until then they may think again.
#[tokio::test]
async fn an_approval_is_taken_while_it_is_frozen_and_counts_with_the_thaw() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = two_stages();
    plan.stages[1].approval = Some(Approval::anybody(HOUR, OnTimeout::Rollback));
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.contains("waits for a person")).await.unwrap();
    machine.step(None).await;
    frozen(&registry, &world, None).await;
    let bed = Bed::new(&registry, &world);
    let says = |word| Answer {
        deployment: DeploymentId::new("d1"),
        stage: Some(StageIndex(1)),
        by: ADA.to_owned(),
        groups: Vec::new(),
        word,
    };
    decide::run(&bed, &says(Word::Approve { reason: None })).await.unwrap();
    passes(&mut machine, &world, HOUR.times(40)).await;
    assert_eq!(share(&world), Weight::from_permille(100).unwrap());
    assert_eq!(kept(&registry).fence, None);
    world.take_calls();
    thawed(&registry, &world).await;
    // It is woken, and does not wait for its next look.
    let woken = world.take_calls().into_iter().any(|call| matches!(call, Call::OpenGate(_)));
    assert!(woken);
    machine.run().await.unwrap();
    assert_eq!(share(&world), Weight::ALL);

    let (registry, world) = (MemoryRegistry::default(), self::world());
    let mut plan = two_stages();
    plan.stages[1].approval = Some(Approval::anybody(HOUR, OnTimeout::Rollback));
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.contains("waits for a person")).await.unwrap();
    frozen(&registry, &world, None).await;
    let bed = Bed::new(&registry, &world);
    decide::run(&bed, &says(Word::Approve { reason: None })).await.unwrap();
    passes(&mut machine, &world, HOUR.times(3)).await;
    decide::run(&bed, &says(Word::Reject { reason: None })).await.unwrap();
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ApprovalRejected);
}

/// Of other services it is no matter, and a way back is not held.
#[tokio::test]
async fn what_is_not_meant_goes_on() {
    for (services, way_back) in [("elsewhere/*", false), (EVERY_SERVICE, true)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let (services, reason) = (services.to_owned(), "the sale".to_owned());
        let posted = PostedFreeze::Freeze { services, reason, until: None };
        freeze::run(&Bed::new(&registry, &world), &posted, ADA).await.unwrap();
        let mut plan = two_stages();
        plan.way_back = way_back.then(|| WayBack {
            from: DeploymentId::new("d0"),
            version: plan.task_definition.clone(),
            skips_validation: false,
        });
        let mut machine = carried(&registry, &world, plan).await;
        machine.run().await.unwrap();
        assert!(!told(&registry).contains(&"frozen"));
    }
}

/// Whatever call is lost: either nothing is recorded and it is an error, or it counts.
#[tokio::test]
async fn a_freeze_counts_or_is_an_error() {
    for posted in [every(None), PostedFreeze::Thaw { services: None, reason: None }] {
        let thaws = matches!(posted, PostedFreeze::Thaw { .. });
        for call in 0..6 {
            for fault in [Fault::Throttled, Fault::LostBefore, Fault::LostAfter] {
                let (registry, world) = (MemoryRegistry::default(), world());
                let mut machine = carried(&registry, &world, two_stages()).await;
                machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
                machine.step(None).await;
                if thaws {
                    frozen(&registry, &world, None).await;
                }
                let before = registry.freezes().await.unwrap();
                let bed = Bed::with_fault(&registry, &world, Some((call, fault)));
                let done = freeze::run(&bed, &posted, ADA).await;
                let after = registry.freezes().await.unwrap();
                let written = before.revision != after.revision;
                // What is lost after it was written is known as much as anything is that was lost.
                assert!(written || done.is_err(), "{call} {fault:?}");
                assert!(done.is_ok() || !written || fault == Fault::LostAfter, "{call} {fault:?}");
                let entries = registry.items().freeze_entries.len();
                assert_eq!(entries, usize::from(written) + usize::from(thaws));
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let bed = Bed::new(&registry, &world);
    for (body, why) in [
        (r#"{"freeze": {"reason": " "}}"#, "the reason: it says nothing"),
        (r#"{"freeze": {"reason": "x", "services": "shop"}}"#, "is none of CLUSTER/SERVICE"),
        (r#"{"freeze": {"reason": "x", "until": 0}}"#, "is over"),
        (r#"{"thaw": {}}"#, "nothing is frozen"),
    ] {
        let posted: PostedFreeze = serde_json::from_str(body).unwrap();
        let refused = freeze::run(&bed, &posted, ADA).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::InvalidRequest);
        assert!(refused.cause.contains(why), "{body}: {refused}");
    }
    for body in [
        r#"{"freeze": {}}"#,
        r#"{"freeze": {"reason": "x", "by": "somebody else"}}"#,
        r#"{"thaw": {"all": true}}"#,
        r#"{"thaw": {}, "deployment": "d1"}"#,
    ] {
        assert!(serde_json::from_str::<freeze::PostedBody>(body).is_err(), "{body}");
    }
    assert_eq!(registry.items().freeze_entries, []);
}
