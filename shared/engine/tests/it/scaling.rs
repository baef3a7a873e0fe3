//! Application Auto Scaling scales both slots: the settings move with the traffic, and everybody has in the
//! end what they had, or what somebody has set meanwhile (docs/capacity.md).

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::plan::{Plan, Slot};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, LockKey, Outcome, Phase};
use glidepath_core::route::Role;
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_core::world::FoundScaling;
use glidepath_engine::complete::{self, Retired};
use glidepath_engine::ports::{Clock, PortError, ScaleTo};
use glidepath_engine::rollback::{AlarmEvent, on_alarm};
use glidepath_engine::testing::example::{
    alarm, begun, pair, plan, service, stage, version, world,
};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};

const MINUTE: Span = Span::from_secs(60);

fn target(minimum: u32, maximum: u32) -> ScalableTarget {
    ScalableTarget { minimum, maximum, suspended: Suspended::default() }
}

fn set(world: &World, slot: Slot, to: ScalableTarget) {
    let found = FoundScaling { target: Some(to), ..FoundScaling::default() };
    world.state().scaling.insert(service(slot), found);
}

fn bounds(world: &World, slot: Slot) -> ScalableTarget {
    world.state().scaling[&service(slot)].target.unwrap()
}

fn tasks(world: &World, slot: Slot) -> u32 {
    world.state().services[&service(slot)].desired_count
}

fn asked(world: &World, slot: Slot, tasks: u32) {
    let mut state = world.state();
    let found = state.services.get_mut(&service(slot)).unwrap();
    (found.desired_count, found.running_count) = (tasks, tasks);
}

/// A deployment of slots that are scaled like this, blue being stable with so many tasks.
async fn scaled<'a>(
    registry: &'a MemoryRegistry,
    world: &'a World,
    planned: u32,
    stages: &[(u16, Span)],
    [blue, green]: [ScalableTarget; 2],
) -> Machine<'a> {
    asked(world, Slot::Blue, planned);
    set(world, Slot::Blue, blue);
    set(world, Slot::Green, green);
    let stages = stages.iter().map(|(permille, bake)| stage(*permille, *bake)).collect();
    let mut plan: Plan = plan(stages);
    plan.stable.desired_count = planned;
    plan.stable.scaling = Some(blue);
    plan.canary.scaling = Some(green);
    let deployment = begun(registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(registry, world), &deployment.id)
}

/// The usual: 1 to 8, and idle.
const fn usual() -> [ScalableTarget; 2] {
    let suspended = Suspended { scale_in: false, scale_out: false, scheduled: false };
    let found = ScalableTarget { minimum: 1, maximum: 8, suspended };
    [found, found.idle()]
}

async fn until_the_gate(machine: &mut Machine<'_>) {
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
}

/// The canary's alarm fires, and the state machine is woken.
async fn alarmed(machine: &mut Machine<'_>) {
    let world = machine.bed.world;
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    on_alarm(&machine.bed, &event).await.unwrap();
    machine.reply.next = NextStep::Gate;
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
}

fn set_of(calls: &[Call], slot: Slot) -> Vec<ScalableTarget> {
    let set = calls.iter().filter_map(|call| match call {
        Call::SetBounds(of, to) if *of == service(slot) => Some(*to),
        _ => None,
    });
    set.collect()
}

fn told(registry: &MemoryRegistry) -> Vec<Event> {
    let items = registry.items();
    let events = items.notices.iter().map(|entry| entry.notice.event.clone());
    events.filter(|event| event.name().starts_with("scaling")).collect()
}

fn ended(registry: &MemoryRegistry) -> Phase {
    registry.items().deployments.values().next().unwrap().phase
}

async fn retired(registry: &MemoryRegistry, world: &World) {
    world.pass(MINUTE.times(6));
    let cluster = registry.items().deployments.values().next().unwrap().plan.cluster.clone();
    let key = LockKey::service(&cluster, &service(Slot::Blue));
    assert_eq!(complete::retire(&Bed::new(registry, world), &key).await, Ok(Retired::Yes));
}

#[tokio::test]
async fn whatever_comes_of_it_stable_is_held_and_each_slot_has_what_it_is_to_have() {
    for good in [true, false] {
        for permille in [50, 333, 1000] {
            for planned in [1, 3, 7, 10] {
                let (registry, world) = (MemoryRegistry::default(), world());
                let mut stages = vec![(permille, MINUTE.times(7))];
                if permille < 1000 {
                    stages.push((1000, MINUTE.times(7)));
                }
                let mut machine = scaled(&registry, &world, planned, &stages, usual()).await;
                let case = format!("{good}, {permille}, {planned}");
                if good {
                    machine.run().await.unwrap();
                } else {
                    until_the_gate(&mut machine).await;
                    machine.step(None).await;
                    alarmed(&mut machine).await;
                    machine.run().await.unwrap_err();
                }
                let calls = world.take_calls();
                let [found, _] = usual();
                let whole = ScalableTarget { maximum: planned.max(8), ..found };
                let held = found.held(planned);
                // Before anything of the canary, and once.
                let first = calls.iter().position(|call| matches!(call, Call::SetBounds(..)));
                let asked = calls.iter().position(|call| matches!(call, Call::Scale(..)));
                assert!(first < asked, "{case}: {calls:?}");
                let blue = set_of(&calls, Slot::Blue);
                let green = set_of(&calls, Slot::Green);
                assert!(green.iter().all(|to| !to.suspended.scale_out || *to == to.idle()));
                if good {
                    assert_eq!(blue, [held], "{case}");
                    assert_eq!(bounds(&world, Slot::Green), whole, "{case}");
                    assert_eq!(tasks(&world, Slot::Green), planned, "{case}");
                    retired(&registry, &world).await;
                    assert_eq!(bounds(&world, Slot::Blue), held.idle(), "{case}");
                    assert_eq!(tasks(&world, Slot::Blue), 0, "{case}");
                } else {
                    assert_eq!(blue, [held, whole], "{case}");
                    assert_eq!(bounds(&world, Slot::Green), whole.idle(), "{case}");
                    let left = (tasks(&world, Slot::Blue), tasks(&world, Slot::Green));
                    assert_eq!(left, (planned, 0), "{case}");
                    assert_eq!(ended(&registry), Phase::Closed(Outcome::RolledBack));
                }
                assert_eq!(told(&registry), [], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_minimum_never_starts_tasks_of_the_version_before() {
    let (registry, world) = (MemoryRegistry::default(), world());
    // It was never idle by Glidepath's hand.
    let green = ScalableTarget { minimum: 0, ..target(0, 8) };
    let stages = [(500, MINUTE), (1000, MINUTE)];
    let mut machine = scaled(&registry, &world, 4, &stages, [target(1, 8), green]).await;
    machine.run().await.unwrap();
    let mut version_of_green = version(1);
    for call in world.take_calls() {
        match call {
            Call::Scale(of, ScaleTo { task_definition, .. }) if of == service(Slot::Green) => {
                version_of_green = task_definition.unwrap_or(version_of_green);
            }
            Call::SetBounds(of, _) if of == service(Slot::Green) => {
                assert_eq!(version_of_green, version(2));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn where_nothing_scales_nothing_is_asked() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = crate::baking(&registry, &world, MINUTE).await;
    // Somebody registers a target meanwhile: it is theirs.
    set(&world, Slot::Blue, target(1, 8));
    machine.run().await.unwrap();
    retired(&registry, &world).await;
    let asked = machine.bed.take_operations();
    assert!(!asked.iter().any(|operation| operation.contains("scal") && *operation != "scale"));
    assert_eq!(bounds(&world, Slot::Blue), target(1, 8));
}

#[tokio::test]
async fn what_holds_is_not_written_again() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = [(500, MINUTE.times(30)), (1000, MINUTE.times(30))];
    let mut machine = scaled(&registry, &world, 4, &stages, usual()).await;
    machine.run().await.unwrap();
    let calls = world.take_calls();
    assert_eq!(set_of(&calls, Slot::Blue).len(), 1);
    let minimums: Vec<_> = set_of(&calls, Slot::Green).iter().map(|to| to.minimum).collect();
    assert_eq!(minimums, [2, 4, 1]);
}

#[tokio::test]
async fn what_somebody_sets_is_told_once_held_above_and_given_back() {
    for good in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let stages = [(500, MINUTE.times(10)), (1000, MINUTE.times(10))];
        let mut machine = scaled(&registry, &world, 6, &stages, usual()).await;
        until_the_gate(&mut machine).await;
        // A night's scheduled action: it cuts stable to its maximum.
        let night = ScalableTarget { minimum: 2, maximum: 4, ..bounds(&world, Slot::Blue) };
        set(&world, Slot::Blue, night);
        asked(&world, Slot::Blue, 4);
        for _ in 0..6 {
            machine.step(None).await;
        }
        assert_eq!(bounds(&world, Slot::Blue), night.held(6));
        assert_eq!(tasks(&world, Slot::Blue), 6);
        let found = vec![
            "its minimum is 2 instead of 6".to_owned(),
            "its maximum is 4 instead of 8".to_owned(),
        ];
        let event = Event::ScalingChanged { service: service(Slot::Blue), found };
        assert_eq!(told(&registry), std::slice::from_ref(&event));
        if good {
            machine.run().await.unwrap();
            assert_eq!(bounds(&world, Slot::Green), target(2, 4));
        } else {
            alarmed(&mut machine).await;
            machine.run().await.unwrap_err();
            assert_eq!(bounds(&world, Slot::Blue), target(2, 4));
        }
        assert_eq!(told(&registry), [event]);
    }
}

#[tokio::test]
async fn the_mornings_bounds_are_those_of_the_slot_that_serves() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = [(250, MINUTE.times(10)), (1000, MINUTE.times(10))];
    let mut machine = scaled(&registry, &world, 4, &stages, usual()).await;
    until_the_gate(&mut machine).await;
    let morning = ScalableTarget { minimum: 9, maximum: 20, ..bounds(&world, Slot::Blue) };
    set(&world, Slot::Blue, morning);
    asked(&world, Slot::Blue, 9);
    machine.run().await.unwrap();
    assert_eq!(bounds(&world, Slot::Green), target(9, 20));
    assert_eq!(tasks(&world, Slot::Green), 9);
    assert_eq!(told(&registry).len(), 1);
}

#[tokio::test]
async fn growth_is_held_as_well() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = [(500, MINUTE.times(30)), (1000, MINUTE.times(30))];
    let mut machine = scaled(&registry, &world, 3, &stages, usual()).await;
    until_the_gate(&mut machine).await;
    asked(&world, Slot::Blue, 7);
    for _ in 0..4 {
        machine.step(None).await;
    }
    assert_eq!(bounds(&world, Slot::Blue), usual()[0].held(7));
    // The canary keeps to its stage during a bake.
    assert_eq!(bounds(&world, Slot::Green).minimum, 2);
    machine.run().await.unwrap();
    assert_eq!(tasks(&world, Slot::Green), 7);
    assert_eq!(bounds(&world, Slot::Green), target(1, 8));
    assert_eq!(told(&registry), []);
}

#[tokio::test]
async fn tasks_that_are_asked_for_on_the_way_back_are_held_after_the_route() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = scaled(&registry, &world, 4, &[(1000, MINUTE.times(30))], usual()).await;
    until_the_gate(&mut machine).await;
    machine.step(None).await;
    // By hand, and an infrastructure tool has applied its template.
    asked(&world, Slot::Blue, 1);
    set(&world, Slot::Blue, target(1, 8));
    world.pass(MINUTE.times(10));
    world.take_calls();
    alarmed(&mut machine).await;
    machine.step(None).await;
    let calls = world.take_calls();
    let place = |wanted: fn(&Call) -> bool| calls.iter().position(wanted).unwrap();
    let route = place(|call| matches!(call, Call::WriteRoute(..)));
    let scale = place(|call| matches!(call, Call::Scale(..)));
    let held = place(|call| matches!(call, Call::SetBounds(..)));
    assert!(route < scale && scale < held, "{calls:?}");
    assert_eq!(set_of(&calls, Slot::Blue)[0], usual()[0].held(4));
    machine.run().await.unwrap_err();
    assert_eq!(bounds(&world, Slot::Blue), usual()[0]);
    assert_eq!(told(&registry), []);
}

#[tokio::test]
async fn stable_is_let_go_once_its_alarms_have_seen_the_traffic() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = scaled(&registry, &world, 4, &[(1000, MINUTE.times(60))], usual()).await;
    until_the_gate(&mut machine).await;
    machine.step(None).await;
    world.pass(MINUTE.times(30));
    alarmed(&mut machine).await;
    let restored = world.now();
    while machine.reply.next == NextStep::Rollback {
        machine.step(None).await;
        if world.now() < restored + MINUTE.times(5) {
            assert_eq!(bounds(&world, Slot::Blue), usual()[0].held(4));
        }
    }
    assert_eq!(bounds(&world, Slot::Blue), usual()[0]);
    assert!(world.now() < restored + MINUTE.times(7));
}

/// Its alarms still speak of the time before it had the traffic, and would scale it in after the commit.
#[tokio::test]
async fn a_version_bakes_on_until_its_alarms_have_seen_the_traffic() {
    for good in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let stages = [(500, MINUTE.times(7)), (1000, MINUTE)];
        let mut machine = scaled(&registry, &world, 4, &stages, usual()).await;
        machine.run_until(|reply| reply.summary.contains("the time before")).await.unwrap();
        let waits_since = world.now();
        assert_eq!((machine.reply.next, ended(&registry)), (NextStep::Gate, Phase::Open));
        assert_eq!(bounds(&world, Slot::Green).minimum, 4);
        if good {
            machine.run().await.unwrap();
            assert!(world.now() >= waits_since + MINUTE.times(3), "{}", world.now());
            assert_eq!(bounds(&world, Slot::Green), usual()[0]);
        } else {
            // Nothing is committed yet: the alarm brings everything back.
            alarmed(&mut machine).await;
            machine.run().await.unwrap_err();
            assert_eq!(ended(&registry), Phase::Closed(Outcome::RolledBack));
            assert_eq!(bounds(&world, Slot::Blue), usual()[0]);
        }
    }
}

#[tokio::test]
async fn a_refused_write_is_told_and_nothing_waits_for_it() {
    for good in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let stages = [(500, MINUTE.times(7)), (1000, MINUTE.times(7))];
        let mut machine = scaled(&registry, &world, 4, &stages, usual()).await;
        let operation = "application-autoscaling:RegisterScalableTarget";
        let detail = "AccessDeniedException: not authorized".to_owned();
        world.state().no_bounds = Some(PortError::Refused { operation, detail });
        if good {
            machine.run().await.unwrap();
            retired(&registry, &world).await;
            assert_eq!(tasks(&world, Slot::Blue), 0);
        } else {
            until_the_gate(&mut machine).await;
            alarmed(&mut machine).await;
            machine.run().await.unwrap_err();
            assert_eq!(tasks(&world, Slot::Green), 0);
        }
        let slots: Vec<_> = told(&registry)
            .into_iter()
            .map(|event| match event {
                Event::ScalingNotSet { service, .. } => service,
                other => panic!("{other:?}"),
            })
            .collect();
        // Once for each while it is held, and again for what it is left with.
        let (blue, green) = (service(Slot::Blue), service(Slot::Green));
        let mut expected = vec![blue.clone(), green.clone()];
        if good {
            expected.extend([green, blue]);
        }
        assert_eq!(slots, expected);
    }
}

#[tokio::test]
async fn a_target_that_is_gone_is_told_and_not_made_anew() {
    for good in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let stages = [(500, MINUTE.times(7)), (1000, MINUTE.times(7))];
        let mut machine = scaled(&registry, &world, 4, &stages, usual()).await;
        until_the_gate(&mut machine).await;
        world.state().scaling.clear();
        if good {
            machine.run().await.unwrap();
        } else {
            alarmed(&mut machine).await;
            machine.run().await.unwrap_err();
        }
        assert!(world.state().scaling.is_empty());
        let gone = "its scalable target does not exist any more";
        assert!(told(&registry).iter().all(|event| matches!(
            event,
            Event::ScalingNotSet { why, .. } if why == gone
        )));
        assert!(!told(&registry).is_empty());
    }
}

#[tokio::test]
async fn a_canary_that_something_else_leads_to_has_what_it_had() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let green = target(2, 5);
    let mut machine =
        scaled(&registry, &world, 4, &[(500, MINUTE), (1000, MINUTE)], [target(1, 8), green]).await;
    asked(&world, Slot::Green, 2);
    let id = machine.reply.deployment.clone();
    let other = glidepath_core::route::RouteRef::Listener("arn:other".to_owned());
    registry.items().deployments.get_mut(&id).unwrap().plan.unlisted = vec![other];
    until_the_gate(&mut machine).await;
    alarmed(&mut machine).await;
    machine.run().await.unwrap_err();
    assert_eq!(bounds(&world, Slot::Green), green);
    assert_eq!(bounds(&world, Slot::Blue), target(1, 8));
}

#[tokio::test]
async fn only_one_slot_is_scaled() {
    for role in [Role::Stable, Role::Canary] {
        for good in [true, false] {
            let (registry, world) = (MemoryRegistry::default(), world());
            let stages = [(500, MINUTE.times(7)), (1000, MINUTE.times(7))];
            let mut machine =
                scaled(&registry, &world, 4, &stages, [target(1, 8), target(0, 6)]).await;
            let id = machine.reply.deployment.clone();
            let (gone, left) = match role {
                Role::Stable => (Slot::Green, Slot::Blue),
                Role::Canary => (Slot::Blue, Slot::Green),
            };
            {
                let mut items = registry.items();
                let plan = &mut items.deployments.get_mut(&id).unwrap().plan;
                match role {
                    Role::Stable => plan.canary.scaling = None,
                    Role::Canary => plan.stable.scaling = None,
                }
            }
            world.state().scaling.remove(&service(gone));
            if good {
                machine.run().await.unwrap();
            } else {
                until_the_gate(&mut machine).await;
                alarmed(&mut machine).await;
                machine.run().await.unwrap_err();
            }
            let expected = match (role, good) {
                (Role::Stable, true) => target(1, 8).held(4),
                (Role::Stable, false) => target(1, 8),
                (Role::Canary, true) => target(0, 6),
                // Nothing scales stable, so nobody would give it back later.
                (Role::Canary, false) => target(0, 6),
            };
            assert_eq!(bounds(&world, left), expected, "{role:?} {good}");
            assert_eq!(told(&registry), []);
        }
    }
}

#[tokio::test]
async fn nothing_of_the_settings_stands_before_the_route() {
    let (registry, world) = (MemoryRegistry::default(), world());
    // As many tasks as were recorded to be healthy.
    let mut machine = scaled(&registry, &world, 3, &[(1000, MINUTE.times(30))], usual()).await;
    until_the_gate(&mut machine).await;
    machine.step(None).await;
    machine.bed.take_operations();
    world.take_calls();
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    on_alarm(&machine.bed, &event).await.unwrap();
    let operations = machine.bed.take_operations();
    assert_eq!(operations[..2], ["fence_alarm", "write_route"]);
    assert!(!operations.iter().any(|operation| operation.contains("scal")), "{operations:?}");
    let written = world.take_calls().into_iter().find_map(|call| match call {
        Call::WriteRoute(_, actions) => Some(actions.canary_share(&pair()).unwrap()),
        _ => None,
    });
    assert_eq!(written, Some(Weight::NONE));
}
