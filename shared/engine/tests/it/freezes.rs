//! What people freeze: nothing begins there until it is thawed, and everything that goes back goes back.

use std::collections::BTreeMap;

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

/// A pattern beside `*` of which everything is, too.
const ALL_THE_SAME: &str = "*/*";

fn of(services: &str, until: Option<Timestamp>) -> PostedFreeze {
    let (services, reason) = (services.to_owned(), "the sale".to_owned());
    PostedFreeze::Freeze { services, reason, until }
}

async fn frozen_as(
    registry: &MemoryRegistry,
    world: &World,
    services: &str,
    until: Option<Timestamp>,
) {
    let posted = of(services, until);
    let done = freeze::run(&Bed::new(registry, world), &posted, ADA).await.unwrap();
    assert!(matches!(done, FreezeDone::Frozen(_)), "{done:?}");
}

async fn frozen(registry: &MemoryRegistry, world: &World, until: Option<Timestamp>) {
    frozen_as(registry, world, EVERY_SERVICE, until).await;
}

async fn thawed_as(registry: &MemoryRegistry, world: &World, services: &str) {
    let thaw = PostedFreeze::Thaw { services: Some(services.to_owned()), reason: None };
    let done = freeze::run(&Bed::new(registry, world), &thaw, ADA).await.unwrap();
    assert!(matches!(done, FreezeDone::Thawed(_)), "{done:?}");
}

async fn thawed(registry: &MemoryRegistry, world: &World) {
    thawed_as(registry, world, EVERY_SERVICE).await;
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
    services: &'static str,
    /// Before which step of the execution it comes.
    at: usize,
    /// For how many minutes it lasts.
    minutes: u64,
    /// Whether it ends by itself.
    ends: bool,
}

fn frost() -> impl Strategy<Value = Frost> {
    let services = prop::sample::select(vec![EVERY_SERVICE, ALL_THE_SAME]);
    (services, 0_usize..30, 0_u64..6_000, any::<bool>())
        .prop_map(|(services, at, minutes, ends)| Frost { services, at, minutes, ends })
}

/// For how long its tasks are not healthy after a thaw: less than a stage has for them.
const TASKS_TAKE: Span = Span::from_secs(300);

/// Whenever they come, however long they last, however they overlap and end: no share grows while one is in force, nothing
/// rolls back for it, the sweep has nothing to look after, and afterwards the deployment comes to its end.
async fn carried_through(frosts: &[Frost]) {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE.times(5)), stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.stages[1].approval = Some(Approval::anybody(MINUTE.times(30), OnTimeout::Continue));
    let canary = plan.routes[0].pair.canary.clone();
    let mut machine = carried(&registry, &world, plan).await;
    let (mut thaws, mut frozen_at) = (BTreeMap::new(), None);
    while machine.reply.next != NextStep::Succeeded {
        let place = machine.steps.len();
        for frost in frosts.iter().filter(|frost| frost.at == place) {
            let until = world.now() + MINUTE.times(frost.minutes) + Span::from_millis(1);
            frozen_as(&registry, &world, frost.services, frost.ends.then_some(until)).await;
            thaws.remove(frost.services);
            if !frost.ends {
                thaws.insert(frost.services, until);
            }
        }
        let now = world.now();
        let over: Vec<_> = thaws.extract_if(.., |_, at| now >= *at).collect();
        for (services, _) in over {
            thawed_as(&registry, &world, services).await;
        }
        if registry.freezes().await.unwrap().in_force(now).count() > 0 {
            frozen_at = Some(now);
        }
        let before = share(&world);
        let starts = frozen_at.is_some_and(|at| now < at + TASKS_TAKE) && before == Weight::NONE;
        if starts {
            world.state().weak.insert(canary.clone(), 0);
        } else {
            world.state().weak.remove(&canary);
        }
        let gate = machine.reply.next == NextStep::Gate;
        machine.step(None).await;
        let freezes = registry.freezes().await.unwrap();
        let (now, after) = (world.now(), share(&world));
        assert!(before >= after || freezes.in_force(now).count() == 0, "{after} at {now}");
        let here = kept(&registry);
        assert_eq!(here.fence, None, "{now}: {:?}", machine.reply);
        assert!(!gate || here.next_due_at >= now, "{} was due at {now}", here.next_due_at);
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

/// One freeze in place of another is the same time to what they hold.
#[tokio::test]
async fn what_is_frozen_by_one_after_the_other_has_its_time_after_the_last() {
    let (registry, world) = (MemoryRegistry::default(), world());
    frozen(&registry, &world, None).await;
    let plan = two_stages();
    let canary = plan.routes[0].pair.canary.clone();
    let mut machine = carried(&registry, &world, plan).await;
    passes(&mut machine, &world, HOUR.times(46)).await;
    frozen_as(&registry, &world, ALL_THE_SAME, None).await;
    thawed(&registry, &world).await;
    passes(&mut machine, &world, HOUR.times(20)).await;
    thawed_as(&registry, &world, ALL_THE_SAME).await;
    world.state().weak.insert(canary.clone(), 0);
    passes(&mut machine, &world, MINUTE.times(10)).await;
    assert_eq!(kept(&registry).fence, None);
    world.state().weak.remove(&canary);
    machine.run().await.unwrap();
    assert_eq!(share(&world), Weight::ALL);
}

/// Somebody else's change is told in place of the freeze, which is not forgotten for that.
#[tokio::test]
async fn a_foreign_change_while_it_is_frozen_has_its_time_after_the_thaw() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, two_stages()).await;
    machine.step(None).await;
    machine.step(None).await;
    frozen(&registry, &world, None).await;
    passes(&mut machine, &world, HOUR.times(30)).await;
    let own = world.state().routes[&route()].clone();
    world.state().routes.insert(route(), actions(Weight::from_permille(400).unwrap()));
    passes(&mut machine, &world, HOUR.times(18)).await;
    assert!(told(&registry).contains(&"foreignChange"), "{:?}", told(&registry));
    thawed(&registry, &world).await;
    // Its next look comes within a 150th of its age.
    passes(&mut machine, &world, MINUTE.times(25)).await;
    assert_eq!(kept(&registry).fence, None);
    world.state().routes.insert(route(), own);
    machine.run().await.unwrap();
    assert_eq!(share(&world), Weight::ALL);
}

/// A freeze every night is no reason to look as often in the morning as on the first day: an execution has room for
/// 25,000 events.
#[tokio::test]
async fn freezes_every_night_leave_the_execution_its_history() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = [50, 100, 200, 400, 700, 1000].map(|weight| stage(weight, HOUR.times(20)));
    let mut machine = carried(&registry, &world, plan(stages.to_vec())).await;
    let (began, day) = (world.now(), HOUR.times(24));
    let mut night = began + HOUR.times(10);
    while machine.reply.next != NextStep::Succeeded {
        if world.now() >= night {
            frozen(&registry, &world, None).await;
            passes(&mut machine, &world, HOUR.times(14)).await;
            thawed(&registry, &world).await;
            night = night + day;
        }
        machine.step(None).await;
        assert_eq!(kept(&registry).fence, None, "{}", world.now().since(began));
    }
    let looks = machine.steps.iter().filter(|step| **step == NextStep::Validate).count() as u64;
    let events = looks * glidepath_core::pace::EVENTS_PER_TICK;
    assert!(events < 20_000, "{events} in {}", world.now().since(began));
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
        frozen_as(&registry, &world, services, None).await;
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
    for posted in [of(EVERY_SERVICE, None), PostedFreeze::Thaw { services: None, reason: None }] {
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
