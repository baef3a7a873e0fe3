//! Stable is too weak to take everything back: the rollback holds or steps back, until stable has
//! recovered, the plan's time is over, or a person forces it.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::plan::{Plan, Slot};
use glidepath_core::protocol::{NextStep, Reply};
use glidepath_core::record::{Deployment, Event, FenceTrigger, Outcome, Phase};
use glidepath_core::rollback::{AfterHold, Forced, RollbackPlan, WeakStable};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, PortError};
use glidepath_engine::rollback::{
    self, AlarmEvent, AlarmOutcome, CaughtError, RollbackInput, on_alarm,
};
use glidepath_engine::testing::example::{
    actions, alarm, begun, group, pair, plan, route, service, stage, world,
};
use glidepath_engine::testing::{Bed, Call, Fault, Machine, MemoryRegistry, World};
use proptest::prelude::*;

const MINUTE: Span = Span::from_secs(60);

/// Longer than any recorded health is relied on.
const STALE: Span = Span::from_secs(600);

fn permille(permille: u16) -> Weight {
    Weight::from_permille(permille).unwrap()
}

/// A plan whose only stage gives everything to the canary.
fn whole(rollback: RollbackPlan) -> Plan {
    Plan { rollback, ..plan(vec![stage(1000, STALE.times(10))]) }
}

fn waits() -> RollbackPlan {
    RollbackPlan {
        weak_stable: WeakStable::StepBack,
        hold_for: MINUTE.times(30),
        then: AfterHold::Hold,
    }
}

/// A deployment with this plan whose canary has its first weight, and that nobody has looked at for
/// long. Of stable's three targets this many are healthy.
async fn weak<'a>(
    registry: &'a MemoryRegistry,
    world: &'a World,
    plan: Plan,
    healthy: u32,
) -> Machine<'a> {
    let deployment = begun(registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    world.pass(STALE);
    world.state().weak.insert(group(Slot::Blue), healthy);
    world.take_calls();
    machine
}

fn heal(world: &World, healthy: u32) {
    world.state().weak.insert(group(Slot::Blue), healthy);
}

async fn fire(registry: &MemoryRegistry, world: &World) -> AlarmOutcome {
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    on_alarm(&Bed::new(registry, world), &event).await.unwrap()
}

/// What the state machine does when its gate was ended.
async fn woken(machine: &mut Machine<'_>) {
    machine.reply.next = NextStep::Gate;
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
}

async fn turn(
    registry: &MemoryRegistry,
    world: &World,
    by: FenceTrigger,
    force: bool,
) -> Result<Reply, Failure> {
    let deployment = recorded(registry).id;
    let error = CaughtError { name: "Aborted".to_owned(), cause: Some("it is slow".to_owned()) };
    let input = RollbackInput {
        deployment,
        error: Some(error),
        by: Some(by),
        force,
        woken: false,
        execution_start: None,
    };
    rollback::run(&Bed::new(registry, world), &input).await
}

fn ada() -> FenceTrigger {
    FenceTrigger::Operator("ada".to_owned())
}

fn recorded(registry: &MemoryRegistry) -> Deployment {
    registry.items().deployments.values().next().unwrap().clone()
}

fn on_canary(world: &World) -> Weight {
    world.state().routes[&route()].canary_share(&pair()).unwrap()
}

fn told(registry: &MemoryRegistry, name: &str) -> Vec<Event> {
    let items = registry.items();
    let events = items.notices.iter().map(|entry| entry.notice.event.clone());
    events.filter(|event| event.name() == name).collect()
}

fn written(calls: &[Call]) -> usize {
    calls.iter().filter(|call| matches!(call, Call::WriteRoute(..))).count()
}

#[tokio::test]
async fn stable_gets_its_healthy_share_at_once_and_more_at_every_turn() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = weak(&registry, &world, whole(waits()), 1).await;
    let outcome = fire(&registry, &world).await;
    assert_eq!((outcome.stepping.len(), outcome.restored.len()), (1, 0));
    assert_eq!(on_canary(&world), permille(667));
    assert!(world.take_calls().iter().any(|call| matches!(call, Call::FailGate(..))));

    woken(&mut machine).await;
    for (healthy, keeps) in [(1, 667), (2, 334), (2, 334), (1, 334), (0, 334)] {
        heal(&world, healthy);
        machine.step(None).await;
        assert_eq!(machine.reply.next, NextStep::Rollback);
        assert_eq!(on_canary(&world), permille(keeps), "{healthy} healthy");
    }
    assert_eq!(told(&registry, "trafficRestored"), []);
    let few = Event::SteppingBack { healthy: 1, needed: 3, keeps: permille(667) };
    assert_eq!(told(&registry, "steppingBack"), [few]);
    // What it could not send back is held when nothing is healthy any more.
    assert_eq!(recorded(&registry).phase, Phase::Held);
    assert_eq!(told(&registry, "rollbackHeld"), [Event::RollbackHeld]);

    heal(&world, 3);
    let before = world.now();
    machine.run().await.unwrap_err();
    assert!(world.now().since(before) >= MINUTE, "the canary's tasks went without draining");
    assert_eq!(on_canary(&world), Weight::NONE);
    assert_eq!(recorded(&registry).phase, Phase::Closed(Outcome::RolledBack));
    assert!(registry.items().alarms[&alarm(Slot::Green)].intents.is_empty());
}

#[tokio::test]
async fn a_canary_that_has_less_than_stable_lacks_keeps_it() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = Plan { rollback: waits(), ..plan(vec![stage(100, STALE), stage(1000, MINUTE)]) };
    let mut machine = weak(&registry, &world, plan, 2).await;
    fire(&registry, &world).await;
    woken(&mut machine).await;
    machine.step(None).await;
    assert_eq!(written(&world.take_calls()), 0, "stable must not get more than it can carry");
    assert_eq!(on_canary(&world), permille(100));
    heal(&world, 3);
    machine.run().await.unwrap_err();
    assert_eq!(on_canary(&world), Weight::NONE);
}

#[tokio::test]
async fn at_once_means_as_soon_as_one_target_is_healthy() {
    for (healthy, keeps, held) in [(0, Weight::ALL, 1), (1, Weight::NONE, 0)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let at_once = RollbackPlan { weak_stable: WeakStable::AtOnce, ..waits() };
        weak(&registry, &world, whole(at_once), healthy).await;
        let outcome = fire(&registry, &world).await;
        assert_eq!((outcome.held.len(), outcome.restored.len()), (held, 1 - held));
        assert_eq!(on_canary(&world), keeps);
        assert_eq!(recorded(&registry).progress.forced, None);
    }
}

#[tokio::test]
async fn a_hold_that_lasts_pages_again_and_keeps_the_canary() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = weak(&registry, &world, whole(waits()), 0).await;
    fire(&registry, &world).await;
    woken(&mut machine).await;
    let until = world.now() + MINUTE.times(61);
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(on_canary(&world), Weight::ALL);
    assert!(world.state().services[&service(Slot::Green)].desired_count > 0);
    assert_eq!(told(&registry, "rollbackHeld").len(), 1);
    let overdue = told(&registry, "rollbackOverdue");
    let after = |minutes| {
        let waited = MINUTE.times(minutes);
        Event::RollbackOverdue { healthy: 0, needed: 3, waited }
    };
    // On time, not a tick later.
    assert_eq!(overdue, [after(30), after(60)]);
    heal(&world, 3);
    machine.run().await.unwrap_err();
    assert_eq!(on_canary(&world), Weight::NONE);
}

#[tokio::test]
async fn the_plan_may_force_it_when_the_time_is_over() {
    for healthy in [0, 1] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let force = RollbackPlan { then: AfterHold::Force, ..waits() };
        let mut machine = weak(&registry, &world, whole(force), healthy).await;
        fire(&registry, &world).await;
        let began = world.now();
        woken(&mut machine).await;
        machine.run_until(|_| recorded(&registry).progress.restored_at.is_some()).await.unwrap();
        assert_eq!(on_canary(&world), Weight::NONE);
        assert_eq!(world.now().since(began), MINUTE.times(30));
        let restored = told(&registry, "trafficRestored");
        assert!(
            matches!(&restored[..], [Event::TrafficRestored { forced: Some(Forced::Plan), .. }]),
            "{restored:?}"
        );
        // It comes to its end although stable is as weak as before.
        machine.run().await.unwrap_err();
        assert_eq!(recorded(&registry).phase, Phase::Closed(Outcome::RolledBack));
        assert_eq!(on_canary(&world), Weight::NONE);
    }
}

#[tokio::test]
async fn a_person_may_force_it_at_any_time_and_it_is_recorded_who() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = weak(&registry, &world, whole(waits()), 0).await;
    fire(&registry, &world).await;
    woken(&mut machine).await;
    machine.step(None).await;
    let unforced = turn(&registry, &world, ada(), false).await.unwrap();
    assert_eq!((unforced.next, on_canary(&world)), (NextStep::Rollback, Weight::ALL));
    assert_eq!(recorded(&registry).phase, Phase::Held);
    world.take_calls();

    turn(&registry, &world, ada(), true).await.unwrap();
    // Nobody looks at stable between the fence and the route.
    assert_eq!(world.take_calls()[0], Call::WriteRoute(route(), actions(Weight::NONE)));
    let by_ada = Some(Forced::Operator("ada".to_owned()));
    assert_eq!(recorded(&registry).progress.forced, by_ada);
    let restored = told(&registry, "trafficRestored");
    assert!(
        matches!(&restored[..], [Event::TrafficRestored { forced, .. }] if *forced == by_ada),
        "{restored:?}"
    );
    // Another event of the alarm must not undo the decision, nor page somebody again.
    assert_eq!(fire(&registry, &world).await.held, []);
    machine.run().await.unwrap_err();
    assert_eq!(on_canary(&world), Weight::NONE);
    assert_eq!(told(&registry, "rollbackHeld").len(), 1);
}

#[tokio::test]
async fn a_persons_rollback_wakes_the_state_machine_although_stable_is_weak() {
    for healthy in [0, 1] {
        let (registry, world) = (MemoryRegistry::default(), world());
        weak(&registry, &world, whole(RollbackPlan::default()), healthy).await;
        world.take_calls();
        turn(&registry, &world, ada(), false).await.unwrap();
        let woken = |call: &Call| matches!(call, Call::FailGate(..));
        assert_eq!(world.take_calls().iter().filter(|call| woken(call)).count(), 1, "{healthy}");
    }
}

#[tokio::test]
async fn a_forced_rollback_that_died_after_its_write_is_still_forced() {
    let (registry, world) = (MemoryRegistry::default(), world());
    weak(&registry, &world, whole(waits()), 0).await;
    // The fence is its first call, the route the second.
    let bed = Bed::with_fault(&registry, &world, Some((1, Fault::KilledAfter)));
    let deployment = recorded(&registry).id;
    let input = RollbackInput {
        deployment,
        error: None,
        by: Some(ada()),
        force: true,
        woken: false,
        execution_start: None,
    };
    let killed = AssertUnwindSafe(rollback::run(&bed, &input));
    killed.catch_unwind().await.unwrap_err();
    assert_eq!(recorded(&registry).progress.restored_at, None);
    turn(&registry, &world, FenceTrigger::StateMachine, false).await.unwrap();
    assert_eq!((recorded(&registry).phase, on_canary(&world)), (Phase::RollingBack, Weight::NONE));
    let by_ada = Some(Forced::Operator("ada".to_owned()));
    assert_eq!(recorded(&registry).progress.forced, by_ada);
}

#[tokio::test]
async fn only_a_person_with_a_name_can_force() {
    let (registry, world) = (MemoryRegistry::default(), world());
    weak(&registry, &world, whole(waits()), 0).await;
    let before = recorded(&registry);
    for by in [FenceTrigger::Sweep, FenceTrigger::StateMachine] {
        let failure = turn(&registry, &world, by, true).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::InvalidRequest);
    }
    assert_eq!(recorded(&registry), before);
    assert_eq!(world.take_calls(), []);
}

#[tokio::test]
async fn a_look_without_an_answer_changes_nothing_of_what_was_known() {
    for (healthy, written) in [(3, Weight::NONE), (1, permille(667)), (0, Weight::ALL)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut machine = weak(&registry, &world, whole(waits()), healthy).await;
        // The last look that was answered, long ago.
        machine.reply.next = NextStep::Validate;
        machine.step(None).await;
        world.pass(STALE);
        world.state().blind = true;
        fire(&registry, &world).await;
        assert_eq!(on_canary(&world), written, "{healthy} were healthy");
    }
}

#[tokio::test]
async fn the_sweep_goes_on_where_the_execution_died() {
    let (registry, world) = (MemoryRegistry::default(), world());
    drop(weak(&registry, &world, whole(waits()), 0).await);
    fire(&registry, &world).await;
    for (healthy, keeps) in [(0, 1000), (1, 667), (2, 334), (3, 0)] {
        world.pass(STALE);
        let due = recorded(&registry).next_due_at;
        assert!(due <= world.now(), "the sweep would not come by");
        heal(&world, healthy);
        turn(&registry, &world, FenceTrigger::Sweep, false).await.unwrap();
        assert_eq!(on_canary(&world), permille(keeps));
    }
}

#[tokio::test]
async fn a_step_that_was_not_answered_is_waited_for_before_the_next() {
    let (registry, world) = (MemoryRegistry::default(), world());
    weak(&registry, &world, whole(waits()), 1).await;
    let lost = || PortError::Unanswered { operation: "ModifyRule", detail: "timed out".to_owned() };
    world.state().write_errors = vec![(lost(), false); 1_000];
    turn(&registry, &world, ada(), false).await.unwrap_err();
    world.state().write_errors.clear();
    assert_eq!(recorded(&registry).intents.len(), 1, "it may still land");
    heal(&world, 2);
    turn(&registry, &world, ada(), false).await.unwrap();
    assert_eq!(on_canary(&world), Weight::ALL, "two steps must not cross");
    world.pass(MINUTE);
    // It is dead, but may have landed since the routes were read: one more look.
    let soon = turn(&registry, &world, ada(), false).await.unwrap();
    assert_eq!((on_canary(&world), soon.wait_seconds), (Weight::ALL, 1));
    turn(&registry, &world, ada(), false).await.unwrap();
    assert_eq!(on_canary(&world), permille(334));
    // Everything at once crosses nothing: it goes ahead.
    heal(&world, 3);
    turn(&registry, &world, ada(), false).await.unwrap();
    assert_eq!(on_canary(&world), Weight::NONE);
}

#[tokio::test]
async fn a_canary_without_traffic_is_not_stepped_back() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, whole(waits()), "d1", world.now()).await;
    world.pass(STALE);
    heal(&world, 2);
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.reply.next = NextStep::Rollback;
    machine.run().await.unwrap_err();
    assert_eq!(told(&registry, "steppingBack"), []);
    assert_eq!(recorded(&registry).phase, Phase::Closed(Outcome::RolledBack));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the health of stable goes up and down, the canary never gets more than it has, and
    /// stable never more than its healthy targets can carry or it has already.
    #[test]
    fn stable_only_gains_and_only_what_it_can_carry(
        start in 1u16..=1000, healths in proptest::collection::vec(0u32..=3, 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (registry, world) = (MemoryRegistry::default(), world());
            let stages = vec![stage(start, STALE.times(10)), stage(1000, MINUTE)];
            let stages = if start == 1000 { stages[1..].to_vec() } else { stages };
            let plan = Plan { rollback: waits(), ..plan(stages) };
            weak(&registry, &world, plan, healths[0]).await;
            fire(&registry, &world).await;
            for healthy in healths {
                let before = on_canary(&world);
                heal(&world, healthy);
                world.pass(Span::from_secs(10));
                turn(&registry, &world, FenceTrigger::StateMachine, false).await.unwrap();
                let after = on_canary(&world);
                prop_assert!(after <= before, "the canary gained: {before} to {after}");
                let carried = u64::from(after.rest().permille()) * 3 <= u64::from(healthy) * 1000;
                prop_assert!(carried || after == before, "{healthy} of 3 carry {}", after.rest());
            }
            Ok(())
        })?;
    }
}

/// As every other throttled write of a rollback (docs/adr/012): three seconds here, the rest in the
/// state machine.
#[tokio::test]
async fn a_throttled_step_back_waits_in_the_state_machine() {
    for by_alarm in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut machine = weak(&registry, &world, whole(waits()), 1).await;
        let throttled = || (PortError::Throttled { operation: "ModifyRule" }, false);
        world.state().write_errors = (0..1_000).map(|_| throttled()).collect();
        let began = world.now();
        if by_alarm {
            assert_eq!(fire(&registry, &world).await.put_off.len(), 1);
        } else {
            let reply = turn(&registry, &world, ada(), false).await.unwrap();
            assert_eq!(reply.next, NextStep::Rollback);
        }
        assert!(world.now().since(began) <= Span::from_secs(3), "{}", world.now().since(began));
        let recorded_now = recorded(&registry);
        let throttled = recorded_now.progress.throttled.unwrap();
        assert!(recorded_now.intents.is_empty(), "{:?}", recorded_now.intents);

        // The state machine comes back by the same schedule, for as long as it takes.
        woken(&mut machine).await;
        for _ in 0..5 {
            machine.step(None).await;
            assert_eq!(machine.reply.next, NextStep::Rollback, "{}", machine.reply.summary);
            let still = recorded(&registry).progress.throttled.unwrap();
            assert_eq!(still.since, throttled.since, "the window goes on to widen");
        }
        assert_eq!(on_canary(&world), Weight::ALL);
        world.state().write_errors.clear();
        machine.run_until(|_| on_canary(&world) < Weight::ALL).await.unwrap();
        machine.run_until(|_| recorded(&registry).progress.throttled.is_none()).await.unwrap();

        // And all of it once stable is well.
        heal(&world, 3);
        machine.run().await.unwrap_err();
        assert_eq!(on_canary(&world), Weight::NONE);
    }
}
