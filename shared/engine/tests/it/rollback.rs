use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::AlarmArn;
use glidepath_core::plan::Slot;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, Outcome, Phase};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, PortError};
use glidepath_engine::rollback::{AlarmEvent, AlarmOutcome, on_alarm};
use glidepath_engine::testing::example::{
    self, START, actions, alarm, begun, group, plan, route, stage, world,
};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};

use crate::baking;

const MINUTE: Span = Span::from_secs(60);

fn event(alarm: AlarmArn, at: Timestamp) -> AlarmEvent {
    AlarmEvent { alarm, at, reason: "threshold crossed".to_owned() }
}

async fn fire(registry: &MemoryRegistry, world: &World, event: &AlarmEvent) -> AlarmOutcome {
    on_alarm(&Bed::new(registry, world), event).await.unwrap()
}

#[tokio::test]
async fn the_route_is_the_first_thing_that_an_alarm_writes() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
    let outcome = fire(&registry, &world, &event(alarm(Slot::Green), world.now())).await;
    assert_eq!(outcome.restored.len(), 1);
    let calls = world.take_calls();
    assert_eq!(calls[0], Call::WriteRoute(route(), actions(Weight::NONE)));
    // What is overwritten is read beside the write, which comes first.
    assert_eq!(calls[1], Call::ReadRoute(route()));
    assert!(
        matches!(&calls[2], Call::FailGate(_, failure) if failure.code == FailureCode::AlarmFired)
    );
    assert_eq!(calls.len(), 3, "{calls:?}");

    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
    machine.step(None).await;
    assert!(machine.reply.notify, "what the alarm's rollback recorded is told at once");
    machine.step(None).await;
    assert!(!machine.reply.notify || machine.reply.next == NextStep::Failed, "and once");
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired);
    assert!(failure.cause.contains("green-errors"), "{failure}");
    let items = registry.items();
    assert_eq!(
        items.deployments.values().next().unwrap().phase,
        Phase::Closed(Outcome::RolledBack)
    );
    assert!(items.alarms.values().all(|alarm| alarm.bindings.is_empty()));
}

#[tokio::test]
async fn events_that_are_not_about_a_deployment_write_nothing() {
    let (registry, world) = (MemoryRegistry::default(), world());
    baking(&registry, &world, MINUTE.times(10)).await;
    let before_the_start = START - Span::from_secs(1);
    for event in [
        event(alarm(Slot::Green), before_the_start),
        event(AlarmArn::new("arn:aws:cloudwatch:x:1:alarm:unknown"), world.now()),
        // The stable slot's alarm holds; it is not bound.
        event(alarm(Slot::Blue), world.now()),
    ] {
        let outcome = fire(&registry, &world, &event).await;
        assert_eq!(outcome.restored, [], "{event:?}");
        assert_eq!(world.take_calls(), [], "{event:?}");
    }
    assert_eq!(registry.items().deployments.values().next().unwrap().phase, Phase::Open);
}

#[tokio::test]
async fn a_duplicate_event_writes_the_same_again_and_one_end_is_recorded() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
    let event = event(alarm(Slot::Green), world.now());
    for _ in 0..3 {
        assert_eq!(fire(&registry, &world, &event).await.restored.len(), 1);
        assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    }
    machine.run().await.unwrap_err();
    // After the end the binding is gone: the event changes nothing any more.
    world.take_calls();
    assert_eq!(fire(&registry, &world, &event).await.restored, []);
    assert_eq!(world.take_calls(), []);
    let ends =
        registry.items().notices.iter().filter(|entry| entry.notice.event.terminal()).count();
    assert_eq!(ends, 1);
}

#[tokio::test]
async fn nothing_is_sent_onto_a_stable_slot_without_a_healthy_target() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
    world.state().sick.insert(group(Slot::Blue));
    // The recorded health is too old to rely on.
    world.pass(Span::from_secs(600));
    let outcome = fire(&registry, &world, &event(alarm(Slot::Green), world.now())).await;
    assert_eq!(outcome.held.len(), 1);
    let tenth = Weight::from_permille(100).unwrap();
    assert_eq!(world.state().routes[&route()], actions(tenth));
    let until = world.now() + Span::from_secs(600);
    machine
        .step(Some(glidepath_core::failure::Failure::new(FailureCode::AlarmFired, "woken")))
        .await;
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(tenth));
    let green = example::service(Slot::Green);
    assert!(world.state().services[&green].desired_count > 0, "the canary lost its tasks");
    let pages = |event: &Event| *event == Event::RollbackHeld;
    assert_eq!(
        registry.items().notices.iter().filter(|entry| pages(&entry.notice.event)).count(),
        1
    );

    // When a target is healthy again, traffic returns.
    world.state().sick.clear();
    machine.run().await.unwrap_err();
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

#[tokio::test]
async fn throttled_writes_are_repeated_until_they_succeed() {
    let (registry, world) = (MemoryRegistry::default(), world());
    baking(&registry, &world, MINUTE.times(10)).await;
    let throttled = || (PortError::Throttled { operation: "ModifyRule" }, false);
    world.state().write_errors = (0..8).map(|_| throttled()).collect();
    let outcome = fire(&registry, &world, &event(alarm(Slot::Green), world.now())).await;
    assert_eq!(outcome.restored.len(), 1);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    assert!(registry.items().alarms[&alarm(Slot::Green)].intents.is_empty());
}

/// A write that AWS refuses for good, again and again.
fn refused() -> Vec<(PortError, bool)> {
    let detail = "InvalidLoadBalancerAction: User is not authorized to perform \
                  'describeUserPoolClient'";
    let error = PortError::Refused { operation: "ModifyRule", detail: detail.to_owned() };
    vec![(error, false); 1_000]
}

/// Nothing may write the route: the first shift is refused, and so is every write of the rollback.
#[tokio::test]
async fn a_rollback_that_may_not_write_ends_where_there_is_nothing_to_write() {
    for gone in [false, true] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
        let deployment = begun(&registry, plan, "d1", world.now()).await;
        world.state().write_errors = refused();
        let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
        machine.run_until(|reply| reply.next == NextStep::Rollback).await.unwrap();
        if gone {
            world.state().routes.clear();
        }
        let failure = machine.run().await.unwrap_err();
        assert_eq!(machine.reply.summary, "everything is on stable", "{failure}");
        let items = registry.items();
        assert_eq!(items.deployments[&deployment.id].phase, Phase::Closed(Outcome::RolledBack));
        assert!(items.locks.values().all(|lock| lock.holder.is_none()));
        assert_eq!(world.state().services[&example::service(Slot::Green)].desired_count, 0);
    }
}

#[tokio::test]
async fn an_alarm_that_may_not_write_is_done_where_there_is_nothing_to_write_and_only_there() {
    for (canary, restored) in [(Weight::NONE, true), (Weight::from_permille(100).unwrap(), false)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        baking(&registry, &world, MINUTE.times(10)).await;
        world.state().routes.insert(route(), actions(canary));
        world.state().write_errors = refused();
        let event = event(alarm(Slot::Green), world.now());
        let outcome = on_alarm(&Bed::new(&registry, &world), &event).await;
        assert_eq!(outcome.is_ok(), restored, "{outcome:?}");
        let items = registry.items();
        let deployment = items.deployments.values().next().unwrap();
        assert_eq!(deployment.progress.restored_at.is_some(), restored);
        assert_eq!(deployment.phase, Phase::RollingBack, "it is not over with either");
    }
}

#[tokio::test]
async fn an_unanswered_write_keeps_the_lock_until_it_cannot_land_any_more() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
    let lost = PortError::Unanswered { operation: "ModifyRule", detail: "timed out".to_owned() };
    world.state().write_errors = vec![(lost, true)];
    let fired_at = world.now();
    fire(&registry, &world, &event(alarm(Slot::Green), fired_at)).await;
    assert_eq!(registry.items().alarms[&alarm(Slot::Green)].intents.len(), 1);
    machine.run().await.unwrap_err();
    assert!(world.now().since(fired_at) >= Span::from_secs(75), "it did not wait");
    assert!(registry.items().locks.values().all(|lock| lock.holder.is_none()));
    // Nobody finishes it any more: it goes with the binding.
    assert!(registry.items().alarms[&alarm(Slot::Green)].intents.is_empty());
}

#[tokio::test]
async fn an_advance_that_lost_the_race_takes_its_own_write_back() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = vec![stage(100, MINUTE), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.step(None).await;
    // The alarm fires, and its rollback dies right after the fence.
    let id = glidepath_core::ids::IntentId::new("dead");
    let intent = glidepath_core::record::Intent::new(
        glidepath_core::record::Purpose::Restore,
        world.now(),
        Span::from_secs(60),
    );
    {
        let mut items = registry.items();
        let stored = items.alarms[&alarm(Slot::Green)].clone();
        let fired = stored.fire(world.now(), &id, &intent).unwrap();
        items.alarms.insert(alarm(Slot::Green), fired);
    }
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    assert!(registry.items().locks.values().all(|lock| lock.holder.is_none()));
}

#[tokio::test]
async fn a_rollback_whose_execution_is_gone_is_due_as_soon_as_it_can_go_on() {
    use glidepath_core::record::FenceTrigger;
    for (by, carried) in [
        (FenceTrigger::ExecutionEnd, false),
        (FenceTrigger::Sweep, false),
        (FenceTrigger::Operator("ada".to_owned()), true),
    ] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let machine = baking(&registry, &world, MINUTE.times(10)).await;
        let input = glidepath_engine::rollback::RollbackInput {
            deployment: machine.reply.deployment.clone(),
            error: None,
            by: Some(by),
            force: false,
            woken: false,
            execution_start: None,
        };
        let bed = Bed::new(&registry, &world);
        let reply = glidepath_engine::rollback::run(&bed, &input).await.unwrap();
        assert_eq!(reply.next, NextStep::Rollback);
        let due = registry.items().deployments[&input.deployment].next_due_at;
        let can_go_on = world.now() + Span::from_secs(reply.wait_seconds);
        // Whoever has an execution is the sweep's only once that is overdue.
        assert_eq!(due <= can_go_on, !carried, "{:?}", input.by);
    }
}

#[tokio::test]
async fn a_rollback_of_nothing_says_so_and_writes_nothing() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut input = glidepath_engine::rollback::RollbackInput {
        deployment: glidepath_core::ids::DeploymentId::new("nobody"),
        error: Some(glidepath_engine::rollback::CaughtError {
            name: "InvalidRequest".to_owned(),
            cause: Some(
                "{\"errorMessage\":\"no such rule\",\"errorType\":\"InvalidRequest\"}".to_owned(),
            ),
        }),
        by: None,
        force: false,
        woken: false,
        execution_start: None,
    };
    let reply =
        glidepath_engine::rollback::run(&Bed::new(&registry, &world), &input).await.unwrap();
    assert_eq!(reply.next, NextStep::Failed);
    let failure = reply.failure.unwrap();
    assert_eq!(
        (failure.code, failure.cause.as_str()),
        (FailureCode::InvalidRequest, "no such rule")
    );
    // A person has a name wrong: an answer that looks like a success would end their search.
    input.by = Some(glidepath_core::record::FenceTrigger::Operator("ada".to_owned()));
    let failure =
        glidepath_engine::rollback::run(&Bed::new(&registry, &world), &input).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::UnknownDeployment);
    assert!(failure.cause.contains("no deployment `nobody`"), "{failure}");
    assert_eq!(world.take_calls(), []);
}

/// As `a_rollback_that_may_not_write_ends_where_there_is_nothing_to_write`, on routes that no deployment
/// has ever written: the group of the other slot is not there yet, or the weights are somebody's 100 and 0.
#[tokio::test]
async fn a_rollback_that_may_not_write_ends_on_a_route_as_it_was_found() {
    use glidepath_core::route::{ActionKind, Forward, RouteAction, RouteActions, WeightedGroup};
    use glidepath_core::weight::AlbWeight;
    let found = |groups: &[(Slot, u16)]| {
        let groups = groups
            .iter()
            .map(|(slot, weight)| WeightedGroup {
                group: group(*slot),
                weight: AlbWeight::new(*weight),
            })
            .collect();
        let forward = ActionKind::Forward(Forward::new(groups, None));
        RouteActions(vec![RouteAction { order: Some(1), kind: forward }])
    };
    for original in [found(&[(Slot::Blue, 1)]), found(&[(Slot::Blue, 100), (Slot::Green, 0)])] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
        plan.routes[0].original = original.clone();
        world.state().routes.insert(route(), original);
        let deployment = begun(&registry, plan, "d1", world.now()).await;
        world.state().write_errors = refused();
        let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
        machine.run_until(|reply| reply.next == NextStep::Rollback).await.unwrap();
        for _ in 0..200 {
            if machine.reply.next == NextStep::Failed {
                break;
            }
            machine.step(None).await;
        }
        assert_eq!(machine.reply.summary, "everything is on stable");
        let items = registry.items();
        assert_eq!(items.deployments[&deployment.id].phase, Phase::Closed(Outcome::RolledBack));
        assert!(items.locks.values().all(|lock| lock.holder.is_none()));
    }
}
