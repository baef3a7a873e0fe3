//! Windows: outside of them nothing begins, and everything that goes back goes back.

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Approval, OnTimeout, Opening, Openings, Slot, StageIndex};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Outcome, Phase, Step};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{self, Answer, Word};
use glidepath_engine::ports::Clock;
use glidepath_engine::rollback::{AlarmEvent, on_alarm};
use glidepath_engine::testing::example::{actions, alarm, plan, requests, route, stage, world};
use glidepath_engine::testing::{Bed, Call, MemoryRegistry, World};

use crate::{carried, kept, passes, told};

const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3_600);

/// Open for this long from then on, so many times, once in a day.
fn daily(from: Timestamp, open: Span, times: u64) -> Openings {
    let day = HOUR.times(24);
    let opening = |count| {
        let from = from + day.times(count);
        Opening { from, until: from + open }
    };
    let open: Vec<_> = (0..times).map(opening).collect();
    let known_until = open.last().unwrap().until;
    Openings { open, known_until }
}

/// The canary's share.
fn share(world: &World) -> Weight {
    let pair = plan(vec![stage(1000, MINUTE)]).routes[0].pair.clone();
    world.state().routes[&route()].canary_share(&pair).unwrap()
}

/// Wherever in a day it starts and however short its windows are: no share grows outside of them, each within a look of
/// the opening, and it ends.
#[tokio::test]
async fn a_share_grows_only_in_a_window_and_soon_after_it_opens() {
    for twice in [false, true] {
        // Here a pause that is entered twice lasts twice as long, and a short window would be slept through.
        let opens = if twice { 600..=900 } else { 3..=900 };
        let cases = [(9, 30), (1, 5), (0, 90), (23, 600), (0, 900), (12, 3)];
        for (starts_before, open) in cases.into_iter().filter(|(_, open)| opens.contains(open)) {
            let (registry, world) = (MemoryRegistry::default(), world());
            let mut plan =
                plan(vec![stage(100, MINUTE.times(20)), stage(500, MINUTE), stage(1000, MINUTE)]);
            let windows = daily(world.now() + HOUR.times(starts_before), MINUTE.times(open), 30);
            plan.windows = Some(windows.clone());
            let mut machine = carried(&registry, &world, plan).await;
            machine.twice = twice;
            let (mut before, mut opened) = (Weight::NONE, 0);
            while machine.reply.next != NextStep::Succeeded {
                machine.step(None).await;
                let ended = kept(&registry).fence;
                assert_eq!(ended, None, "{starts_before}, {open}: {}", world.now());
                let (after, now) = (share(&world), world.now());
                if before < after {
                    let is_open = |at| windows.at_or_after(at).is_some_and(|open| open.from <= at);
                    assert!(is_open(now), "{starts_before}: {after} at {now}");
                    opened += 1;
                }
                before = after;
                assert!(
                    machine.steps.len() < 6_000,
                    "{starts_before}: {:?} at {now}",
                    machine.reply
                );
            }
            assert_eq!(opened, 3);
            assert_eq!(kept(&registry).phase, Phase::Closed(Outcome::Succeeded));
            // As often as it has waited, and no look more.
            let waits = told(&registry).iter().filter(|name| **name == "outsideWindows").count();
            assert!(waits <= 3, "{waits}");
            assert_eq!(waits > 0, starts_before > 0 || open < 30, "{starts_before}, {open}");
            let shifts = kept(&registry).progress.shifts;
            let first = shifts[0].at.since(windows.open[0].from);
            assert!(first <= MINUTE.times(2), "{first}");
        }
    }
}

/// Before its first window it has nothing that costs, and nothing of it is judged.
#[tokio::test]
async fn before_its_first_window_nothing_is_written_and_no_task_starts() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.windows = Some(daily(world.now() + HOUR.times(60), HOUR, 1));
    let mut machine = carried(&registry, &world, plan).await;
    world.take_calls();
    passes(&mut machine, &world, HOUR.times(59)).await;
    let wrote =
        |call: &Call| matches!(call, Call::WriteRoute(..) | Call::Scale(..) | Call::SetBounds(..));
    assert_eq!(world.take_calls().into_iter().filter(wrote).collect::<Vec<_>>(), []);
    let here = kept(&registry);
    assert_eq!((here.phase, here.progress.shifted_at), (Phase::Open, None));
    // A weekend takes a small part of an execution's history.
    assert!(machine.steps.len() < 700, "{}", machine.steps.len());
    machine.run().await.unwrap();
    assert_eq!(share(&world), Weight::ALL);
}

/// Tasks that do not start have all of their time in the window, and not what is left of the night.
#[tokio::test]
async fn the_clock_of_a_stage_begins_with_its_window() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    let opens_at = world.now() + HOUR.times(12);
    plan.windows = Some(daily(opens_at, HOUR.times(8), 2));
    let within = plan.settle_within;
    let canary = plan.routes[0].pair.canary.clone();
    let mut machine = carried(&registry, &world, plan).await;
    world.state().weak.insert(canary, 0);
    passes(&mut machine, &world, HOUR.times(12).plus(within.minus(MINUTE))).await;
    assert!(matches!(kept(&registry).progress.step, Step::Settling { .. }));
    let failure = machine.run().await.unwrap_err();
    assert!(failure.cause.contains("healthy"), "{failure}");
    assert!(world.now().since(opens_at) < within.plus(MINUTE.times(3)));
}

#[tokio::test]
async fn what_leads_back_leads_back_outside_the_windows() {
    let shut = |world: &World| {
        let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
        plan.windows = Some(daily(world.now(), Span::from_secs(30), 2));
        plan
    };
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, shut(&world)).await;
    machine.run_until(|reply| reply.summary.contains("outside its windows")).await.unwrap();
    assert_ne!(share(&world), Weight::NONE);
    world.state().requests = Some(requests(1_000, 400));
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));

    let (registry, world) = (MemoryRegistry::default(), self::world());
    let mut machine = carried(&registry, &world, shut(&world)).await;
    machine.run_until(|reply| reply.summary.contains("outside its windows")).await.unwrap();
    let bed = Bed::new(&registry, &world);
    world.pass(MINUTE);
    let (alarm, at) = (alarm(Slot::Green), world.now());
    on_alarm(&bed, &AlarmEvent { alarm, at, reason: "threshold crossed".to_owned() })
        .await
        .unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

/// Whoever is not there at night is not asked at night.
#[tokio::test]
async fn nobody_is_asked_outside_the_windows() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE.times(20)), stage(1000, MINUTE)]);
    plan.stages[1].approval = Some(Approval::anybody(MINUTE.times(30), OnTimeout::Rollback));
    let windows = daily(world.now(), MINUTE.times(10), 2);
    plan.windows = Some(windows.clone());
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.contains("waits for a person")).await.unwrap();
    assert!(world.now() >= windows.open[1].from);
    let here = kept(&registry);
    assert_eq!(here.progress.stage, StageIndex(1));
    assert_eq!(here.progress.told, None, "what was told of the night is over");
}

/// Whatever a night was about, the morning's shift is looked at as often as the evening's was.
#[tokio::test]
async fn a_stage_after_a_long_night_is_looked_at_as_often_as_one_before() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan =
        plan(vec![stage(100, MINUTE), stage(500, MINUTE.times(30)), stage(1000, MINUTE)]);
    let weekend = Openings {
        open: vec![
            Opening { from: world.now(), until: world.now() + Span::from_secs(30) },
            Opening { from: world.now() + HOUR.times(66), until: world.now() + HOUR.times(74) },
        ],
        known_until: world.now() + HOUR.times(74),
    };
    let interval = plan.health.interval;
    plan.windows = Some(weekend);
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.starts_with("50 %")).await.unwrap();
    machine.steps.clear();
    machine.run_until(|reply| reply.next == NextStep::Advance).await.unwrap();
    let looks = machine.steps.iter().filter(|step| **step == NextStep::Validate).count();
    let wanted = MINUTE.times(30).as_millis() / interval.as_millis();
    assert!(looks as u64 >= wanted, "{looks} of {wanted}");
}

/// What lacks evidence in the night is nobody's business before the morning.
#[tokio::test]
async fn nothing_that_is_only_lacking_rings_anybody_at_night() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE.times(20)), stage(1000, MINUTE)]);
    plan.health.extend_up_to = MINUTE.times(30);
    plan.windows = Some(daily(world.now(), MINUTE.times(10), 3));
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.contains("outside its windows")).await.unwrap();
    for hour in 0..20 {
        world.state().requests = (hour % 2 == 0).then(|| requests(1_000, 0));
        passes(&mut machine, &world, HOUR).await;
    }
    assert_eq!(told(&registry), ["started", "shifted", "outsideWindows"]);
    world.state().requests = Some(requests(1_000, 0));
    machine.run().await.unwrap();
}

/// Two routes, and the window ends between them: what is half written has the time of a stage, and no night.
#[tokio::test]
async fn what_is_half_written_is_finished_outside_the_windows() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    let windows = daily(world.now(), Span::from_secs(30), 2);
    plan.windows = Some(windows.clone());
    let pair = plan.routes[0].pair.clone();
    let mut machine = carried(&registry, &world, plan).await;
    // Its own write, of which nobody has recorded anything.
    let tenth = Weight::from_permille(100).unwrap();
    while world.state().routes[&route()].canary_share(&pair).unwrap() == Weight::NONE {
        machine.step(None).await;
    }
    {
        let mut items = registry.items();
        let kept = items.deployments.get_mut(&DeploymentId::new("d1")).unwrap();
        kept.progress.step = Step::Settling { since: world.now(), approved: true };
        (kept.progress.shifted_at, kept.progress.shifts) = (None, Vec::new());
        kept.progress.verified = vec![actions(Weight::NONE)];
    }
    world.pass(MINUTE.times(5));
    machine.reply.next = NextStep::Advance;
    machine.step(None).await;
    let here = self::kept(&registry);
    assert_eq!(world.state().routes[&route()], actions(tenth));
    assert!(matches!(here.progress.step, Step::Baking { .. }), "{here:?}");
}

#[tokio::test]
async fn nobody_lets_a_stage_go_on_that_waits_for_its_window() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.windows = Some(daily(world.now(), Span::from_secs(30), 2));
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.contains("outside its windows")).await.unwrap();
    let (deployment, by) = (DeploymentId::new("d1"), "arn:aws:iam::1:user/ada".to_owned());
    let word = Word::Promote { reason: "hurry".to_owned(), skip_bake: true };
    let answer = Answer { deployment, stage: None, by, groups: Vec::new(), word };
    let refused = decide::run(&Bed::new(&registry, &world), &answer).await.unwrap_err();
    assert!(refused.cause.starts_with("it is outside its windows until "), "{refused}");
}
