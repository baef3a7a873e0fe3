use glidepath_core::failure::FailureCode;
use glidepath_core::health::AlarmSignal;
use glidepath_core::notice::Event;
use glidepath_core::plan::{OnInconclusive, Slot};
use glidepath_core::protocol::{NextStep, Outcome, Phase};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::Clock;
use glidepath_engine::testing::example::{self, begun, plan, requests, stage, version, world};
use glidepath_engine::testing::{Bed, Machine, MemoryRegistry};

const MINUTE: Span = Span::from_secs(60);

fn everything_on_blue(world: &glidepath_engine::testing::World) -> bool {
    world.state().routes[&example::route()] == example::actions(Weight::NONE)
}

#[tokio::test]
async fn a_version_that_fails_its_requests_is_rolled_back_with_the_numbers() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().requests = Some(requests(1_000, 300));
    let stages = vec![stage(50, MINUTE), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let failure =
        Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    assert!(failure.cause.contains("30"), "{failure}");
    assert!(everything_on_blue(&world));
    assert_eq!(world.state().services[&example::service(Slot::Green)].desired_count, 0);
    let items = registry.items();
    assert_eq!(items.deployments[&deployment.id].phase, Phase::Closed(Outcome::RolledBack));
    assert!(items.locks.values().all(|lock| lock.holder.is_none()));
}

#[tokio::test]
async fn missing_requests_extend_the_stage_and_then_do_what_the_plan_says() {
    for policy in [OnInconclusive::Rollback, OnInconclusive::Continue] {
        let (registry, world) = (MemoryRegistry::default(), world());
        world.state().requests = Some(requests(3, 0));
        let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
        plan.health.on_inconclusive = policy;
        let deployment = begun(&registry, plan, "d1", world.now()).await;
        let before = world.now();
        let ended = Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await;
        assert!(world.now().since(before) > Span::from_secs(660), "it was not extended");
        match policy {
            OnInconclusive::Rollback => {
                assert_eq!(ended.unwrap_err().code, FailureCode::Inconclusive);
                assert!(everything_on_blue(&world));
            }
            OnInconclusive::Continue | OnInconclusive::Hold => ended.unwrap(),
        }
        let items = registry.items();
        let told = items.notices.iter().filter(
            |entry| matches!(&entry.notice.event, Event::Waiting { stage, .. } if stage.0 == 0),
        );
        assert_eq!(told.count(), 1, "an extension is told once");
    }
}

#[tokio::test]
async fn held_means_that_the_weight_stays() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().requests = None;
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.on_inconclusive = OnInconclusive::Hold;
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let until = world.now() + Span::from_secs(6 * 3600);
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|_| world.now() > until).await.unwrap();
    let half = Weight::from_permille(500).unwrap();
    assert_eq!(world.state().routes[&example::route()], example::actions(half));
}

#[tokio::test]
async fn an_alarm_whose_event_was_lost_is_seen_by_the_next_look() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = vec![stage(50, MINUTE.times(10)), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    world.state().signal("green-errors", AlarmSignal::Alarm);
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired);
    assert!(everything_on_blue(&world));
}

#[tokio::test]
async fn the_alarm_of_the_stable_slot_holds_and_does_not_roll_back() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().signal("blue-errors", AlarmSignal::Alarm);
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.on_inconclusive = OnInconclusive::Hold;
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let until = world.now() + Span::from_secs(3600);
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|_| world.now() > until).await.unwrap();
    let half = Weight::from_permille(500).unwrap();
    assert_eq!(world.state().routes[&example::route()], example::actions(half));
    world.state().signal("blue-errors", AlarmSignal::Ok);
    machine.run().await.unwrap();
}

#[tokio::test]
async fn a_canary_that_never_becomes_healthy_gets_no_traffic() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().broken.insert(version(2));
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let failure =
        Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::CanaryNotHealthy);
    assert!(failure.cause.contains("0 of 3 targets"), "{failure}");
    assert!(everything_on_blue(&world));
    assert_eq!(world.state().services[&example::service(Slot::Green)].desired_count, 0);
}

#[tokio::test]
async fn somebody_elses_weights_hold_the_way_forward_and_are_told() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = vec![stage(100, MINUTE), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    let foreign = example::actions(Weight::from_permille(700).unwrap());
    world.state().routes.insert(example::route(), foreign.clone());
    let until = world.now() + Span::from_secs(3600);
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(world.state().routes[&example::route()], foreign, "it was written over");
    let told = |event: &Event| matches!(event, Event::ForeignChange { .. });
    let count = registry.items().notices.iter().filter(|entry| told(&entry.notice.event)).count();
    assert_eq!(count, 1);

    // A rollback writes over it and says so.
    world.state().signal("green-errors", AlarmSignal::Alarm);
    machine.run().await.unwrap_err();
    assert!(everything_on_blue(&world));
    let items = registry.items();
    let overwritten = items.notices.iter().find_map(|entry| match &entry.notice.event {
        Event::TrafficRestored { overwritten, .. } => overwritten.clone(),
        _ => None,
    });
    assert!(overwritten.unwrap().contains("70 %"));
}

#[tokio::test]
async fn a_route_that_is_put_right_is_told_of_no_more_and_a_new_change_is() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = vec![stage(100, MINUTE.times(60)), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    let told = || registry.items().deployments[&deployment.id].progress.told.clone();
    let changes = |event: &Event| matches!(event, Event::ForeignChange { .. });
    let ours = world.state().routes[&example::route()].clone();
    for count in 1..=2 {
        let foreign = example::actions(Weight::from_permille(700).unwrap());
        world.state().routes.insert(example::route(), foreign);
        for _ in 0..4 {
            machine.step(None).await;
        }
        assert!(told().as_ref().is_some_and(changes), "it holds: {:?}", told());
        let items = registry.items().notices.clone();
        assert_eq!(items.iter().filter(|entry| changes(&entry.notice.event)).count(), count);
        // Found in order again: nobody may read that it holds.
        world.state().routes.insert(example::route(), ours.clone());
        for _ in 0..2 {
            machine.step(None).await;
        }
        assert_eq!(told(), None);
    }
}

#[tokio::test]
async fn a_route_that_is_put_right_before_the_first_shift_is_told_of_no_more() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    let told = || registry.items().deployments[&deployment.id].progress.told.clone();
    let ours = world.state().routes[&example::route()].clone();
    let foreign = example::actions(Weight::from_permille(700).unwrap());
    world.state().routes.insert(example::route(), foreign);
    machine.step(None).await;
    assert!(matches!(told(), Some(Event::ForeignChange { .. })));
    world.state().routes.insert(example::route(), ours);
    // Its tasks do not start yet, so it does not shift.
    world.state().sick.insert(example::group(Slot::Green));
    machine.step(None).await;
    machine.step(None).await;
    assert_eq!(told(), None);
}
