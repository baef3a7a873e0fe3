//! Many rollbacks at once, and what a throttled call does to one of them.

use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::Slot;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{FenceTrigger, Phase};
use glidepath_core::route::RouteRef;
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, PortError};
use glidepath_engine::rollback::{AlarmEvent, RollbackInput, on_alarm};
use glidepath_engine::testing::example::{actions, alarm, begun, plan, route, stage, world};
use glidepath_engine::testing::storm::{PlainPolicy, Settings, Tally, Traffic, plain, run};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, advance, rollback};

use crate::baking;

const MINUTE: Span = Span::from_secs(60);

fn throttled(count: usize) -> Vec<(PortError, bool)> {
    vec![(PortError::Throttled { operation: "ModifyRule" }, false); count]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Every deployment is restored and unlocked, and no write was wasted.
fn assert_all_succeed(tally: &Tally, settings: &Settings) {
    assert_eq!(tally.restored, settings.rollbacks);
    assert_eq!(tally.ended, settings.rollbacks, "some are not unlocked");
    assert_eq!(tally.forward, settings.forward, "a forward shift never came through");
}

#[test]
fn a_thousand_rollbacks_end_near_the_floor_and_the_worst_first() {
    let settings = Settings::real(1000);
    let tally = run(&settings, 1);
    assert_all_succeed(&tally, &settings);
    assert!(tally.over_floor() <= 1.25, "{tally:?}", tally = tally.over_floor());
    assert!(tally.half_over_floor().unwrap() <= 1.0 / 3.0, "{:?}", tally.half_over_floor());
    let share = tally.forward_meanwhile as f64 / settings.rollbacks as f64;
    assert!(share <= 0.08, "forward shifts took {share} of the calls");
    assert!(tally.calls <= 60 * settings.rollbacks as u64, "{} calls", tally.calls);
}

#[test]
fn storms_of_any_size_end_near_the_floor() {
    for rollbacks in [60, 300] {
        let settings = Settings::real(rollbacks);
        let tallies: Vec<_> = (1..=5).map(|seed| run(&settings, seed)).collect();
        for tally in &tallies {
            assert_all_succeed(tally, &settings);
        }
        let took = median(tallies.iter().map(Tally::over_floor).collect());
        assert!(took <= 1.25, "{rollbacks} took {took} times the floor");
    }
}

#[test]
fn the_waits_alone_meet_the_bounds_over_many_seeds_and_plain_ones_do_not() {
    let settings = Settings::real(1000);
    let all = |policy| -> Vec<_> { (1..=15).map(|seed| plain(&settings, policy, seed)).collect() };
    let half = |tallies: &[Tally]| {
        let halves = tallies.iter().map(|tally| tally.half_over_floor().unwrap_or(f64::INFINITY));
        median(halves.collect())
    };
    let by_harm = all(PlainPolicy::ByHarm);
    assert!(by_harm.iter().all(|tally| tally.restored == settings.rollbacks));
    assert!(median(by_harm.iter().map(Tally::over_floor).collect()) <= 1.25);
    assert!(half(&by_harm) <= 1.0 / 3.0, "{}", half(&by_harm));

    let three = all(PlainPolicy::Sdk { attempts: 3 });
    assert!(three.iter().all(|tally| tally.restored < settings.rollbacks / 10));
    assert!(half(&all(PlainPolicy::StepFunctions { attempts: 121 })) > 1.0 / 3.0);
}

#[test]
fn little_concurrency_and_equal_harm_change_nothing_of_it() {
    let storm = Settings::real(200);
    for settings in [
        Settings { concurrency: 20, ..storm },
        Settings { traffic: Traffic::AllLarge, ..storm },
        Settings { traffic: Traffic::Unmeasured, spread: MINUTE, ..storm },
    ] {
        let tally = run(&settings, 7);
        assert_all_succeed(&tally, &settings);
        assert!(tally.at_once <= settings.concurrency);
        assert!(tally.took <= settings.floor().times(2), "{settings:?}: {}", tally.took);
    }
}

fn fired(world: &World) -> AlarmEvent {
    AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason: "crossed".to_owned() }
}

fn writes(world: &World) -> usize {
    let calls = world.take_calls();
    calls.iter().filter(|call| matches!(call, Call::WriteRoute(..))).count()
}

#[tokio::test]
async fn a_throttled_alarm_hands_over_to_the_state_machine_and_leaves_no_claim() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
    world.state().write_errors = throttled(100_000);
    let began = world.now();
    let outcome = on_alarm(&Bed::new(&registry, &world), &fired(&world)).await.unwrap();
    assert_eq!(outcome.put_off.len(), 1);
    assert!(world.now().since(began) <= Span::from_secs(3), "it held its function");
    let woken = |call: &Call| matches!(call, Call::FailGate(..));
    assert!(world.take_calls().iter().any(woken), "nobody goes on");
    {
        let items = registry.items();
        let deployment = items.deployments.values().next().unwrap();
        assert_eq!(deployment.phase, Phase::RollingBack);
        assert!(deployment.progress.throttled.is_some());
        assert!(deployment.intents.is_empty());
        assert!(items.alarms[&alarm(Slot::Green)].intents.is_empty());
    }
    world.state().write_errors.clear();
    let failure = glidepath_core::failure::Failure::new(
        glidepath_core::failure::FailureCode::AlarmFired,
        "woken",
    );
    machine.step(Some(failure)).await;
    machine.run().await.unwrap_err();
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    assert!(registry.items().locks.values().all(|lock| lock.holder.is_none()));
}

#[tokio::test]
async fn the_state_machine_keeps_to_the_schedule_and_a_person_does_not() {
    let (registry, world) = (MemoryRegistry::default(), world());
    baking(&registry, &world, MINUTE.times(10)).await;
    world.state().write_errors = throttled(100_000);
    on_alarm(&Bed::new(&registry, &world), &fired(&world)).await.unwrap();
    world.take_calls();
    let id = DeploymentId::new("d1");
    let until = {
        let mut items = registry.items();
        let throttled = items.deployments.get_mut(&id).unwrap().progress.throttled.as_mut();
        let throttled = throttled.unwrap();
        throttled.again_at = world.now() + MINUTE;
        throttled.again_at
    };
    let input = |by| RollbackInput {
        deployment: id.clone(),
        error: None,
        by,
        force: false,
        woken: false,
        execution_start: None,
    };
    let early = input(None);
    let reply = rollback::run(&Bed::new(&registry, &world), &early).await.unwrap();
    assert_eq!((reply.next, writes(&world)), (NextStep::Rollback, 0));
    assert_eq!(reply.wait_seconds, until.since(world.now()).as_secs_up());
    assert!(registry.items().deployments[&id].intents.is_empty());

    world.state().write_errors.clear();
    let person = input(Some(FenceTrigger::Operator("ada".to_owned())));
    rollback::run(&Bed::new(&registry, &world), &person).await.unwrap();
    assert_eq!(writes(&world), 1);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    assert_eq!(registry.items().deployments[&id].progress.throttled, None);
}

#[tokio::test]
async fn a_route_that_was_written_is_not_written_again() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let other = RouteRef::Rule(format!("{}4", route().arn()));
    let mut two = plan(vec![stage(100, MINUTE.times(10))]);
    let mut second = two.routes[0].clone();
    second.route = other.clone();
    two.routes.push(second);
    let tenth = Weight::from_permille(100).unwrap();
    for route in [route(), other.clone()] {
        world.state().routes.insert(route, actions(tenth));
    }
    let deployment = begun(&registry, two, "d1", world.now()).await;
    // The first write is taken, the second one never within this invocation.
    let mut errors = throttled(100_000);
    errors.insert(0, (PortError::Throttled { operation: "ModifyRule" }, true));
    world.state().write_errors = errors;
    let input = RollbackInput {
        deployment: deployment.id.clone(),
        error: None,
        by: None,
        force: false,
        woken: false,
        execution_start: None,
    };
    rollback::run(&Bed::new(&registry, &world), &input).await.unwrap();
    {
        let mut items = registry.items();
        let stored = items.deployments.get_mut(&deployment.id).unwrap();
        let throttled = stored.progress.throttled.as_mut().unwrap();
        assert_eq!(throttled.left.len(), 2);
        throttled.left = vec![other.clone()];
    }
    world.pass(MINUTE.times(10));
    world.state().write_errors.clear();
    world.take_calls();
    rollback::run(&Bed::new(&registry, &world), &input).await.unwrap();
    let calls = world.take_calls();
    let written: Vec<_> = calls
        .iter()
        .filter_map(|call| match call {
            Call::WriteRoute(route, _) => Some(route.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(written, [other]);
}

#[tokio::test]
async fn a_throttled_forward_shift_asks_once_and_stays_away() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = vec![stage(100, MINUTE.times(10)), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.step(None).await;
    world.state().write_errors = throttled(1);
    world.take_calls();
    let input = StepInput { deployment: deployment.id.clone() };
    let reply = advance::run(&Bed::new(&registry, &world), &input).await.unwrap();
    assert_eq!((reply.next, writes(&world)), (NextStep::Advance, 1));
    assert!(reply.wait_seconds >= 60, "it is back after {} s", reply.wait_seconds);
    let stored = registry.items().deployments[&deployment.id].clone();
    assert!(stored.intents.is_empty());
    let back = world.now() + Span::from_secs(reply.wait_seconds);
    assert!(stored.next_due_at > back, "the sweep would come before it");
}
