//! An autoscaler changes both services in the middle of a deployment: traffic goes only to as many tasks as
//! carry it, and everything comes back whatever was taken from stable.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::EcsServiceName;
use glidepath_core::plan::{CanaryCapacity, Plan, Slot};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Outcome, Phase};
use glidepath_core::rollback::WeakStable;
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, Driver, ScaleTo};
use glidepath_engine::rollback::{AlarmEvent, on_alarm};
use glidepath_engine::testing::example::{
    alarm, begun, pair, plan, route, service, stage, version, world,
};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};

const MINUTE: Span = Span::from_secs(60);

/// Longer than any recorded health is relied on.
const STALE: Span = Span::from_secs(600);

/// What Application Auto Scaling, or a person, asks a service for.
fn scaled(world: &World, slot: Slot, tasks: u32) {
    let mut state = world.state();
    let found = state.services.get_mut(&service(slot)).unwrap();
    found.desired_count = tasks;
    found.running_count = tasks;
}

fn tasks(world: &World, slot: Slot) -> u32 {
    world.state().services[&service(slot)].desired_count
}

fn share(world: &World) -> Weight {
    world.state().routes[&route()].canary_share(&pair()).unwrap()
}

/// A deployment of a service that runs so many tasks, which bakes for long at this share.
async fn baking<'a>(
    registry: &'a MemoryRegistry,
    world: &'a World,
    planned: u32,
    permille: u16,
) -> Machine<'a> {
    scaled(world, Slot::Blue, planned);
    let mut stages = vec![stage(permille, MINUTE.times(30))];
    if permille < 1000 {
        stages.push(stage(1000, MINUTE.times(30)));
    }
    let mut plan: Plan = plan(stages);
    plan.stable.desired_count = planned;
    let deployment = begun(registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    machine
}

/// The canary's alarm fires, and the state machine is woken.
async fn alarmed(machine: &mut Machine<'_>) {
    let (registry, world) = (machine.bed.registry, machine.bed.world);
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    on_alarm(&Bed::new(registry, world), &event).await.unwrap();
    machine.reply.next = NextStep::Gate;
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
}

fn asked(world: &World, of: &EcsServiceName) -> Vec<ScaleTo> {
    let scaled = |call| match call {
        Call::Scale(service, to) if service == *of => Some(to),
        _ => None,
    };
    world.take_calls().into_iter().filter_map(scaled).collect()
}

#[tokio::test]
async fn whatever_was_taken_from_stable_everything_comes_back() {
    for permille in [50, 333, 500, 900, 1000] {
        for planned in 1..=7 {
            for left in 0..=planned {
                let (registry, world) = (MemoryRegistry::default(), world());
                let mut machine = baking(&registry, &world, planned, permille).await;
                scaled(&world, Slot::Blue, left);
                world.pass(STALE);
                world.take_calls();
                alarmed(&mut machine).await;
                let case = format!("{left} of {planned} tasks were left at {permille}");
                // Its tasks are asked for once, in the first turn, and start at once here.
                machine.step(None).await;
                let once = [ScaleTo {
                    desired_count: planned,
                    task_definition: None,
                    force_new_deployment: false,
                }];
                let expected = if left < planned { &once[..] } else { &[] };
                assert_eq!(asked(&world, &service(Slot::Blue)), expected, "{case}");
                machine.run().await.unwrap_err();
                assert_eq!(share(&world), Weight::NONE, "{case}");
                assert_eq!(tasks(&world, Slot::Blue), planned, "{case}");
                assert_eq!(tasks(&world, Slot::Green), 0, "{case}");
                let ended = registry.items().deployments[&machine.reply.deployment].phase;
                assert_eq!(ended, Phase::Closed(Outcome::RolledBack), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_service_that_ecs_deploys_in_another_way_is_not_touched() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, 3, 1000).await;
    scaled(&world, Slot::Blue, 1);
    world.state().services.get_mut(&service(Slot::Blue)).unwrap().driver = Driver::Daemon;
    world.pass(STALE);
    world.take_calls();
    alarmed(&mut machine).await;
    machine.step(None).await;
    assert_eq!(asked(&world, &service(Slot::Blue)), []);
    assert_eq!(share(&world).rest().permille(), 333);
}

#[tokio::test]
async fn what_the_rush_hour_has_added_is_needed_and_kept() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, 3, 500).await;
    // Two canary tasks were asked for; both autoscalers have gone up since.
    scaled(&world, Slot::Blue, 12);
    scaled(&world, Slot::Green, 6);
    world.take_calls();
    let mut green = 6;
    let mut whole = false;
    machine.run().await.unwrap();
    for call in world.take_calls() {
        match call {
            Call::Scale(scaled, to) if scaled == service(Slot::Green) => {
                assert!(to.desired_count > green, "{green} became {}", to.desired_count);
                green = to.desired_count;
            }
            Call::WriteRoute(_, actions) => {
                whole |= actions.canary_share(&pair()).unwrap() == Weight::ALL;
                assert_eq!(green, 12, "what 12 tasks serve goes to {green}");
            }
            _ => {}
        }
    }
    assert!(whole, "nothing was shifted");
}

#[tokio::test]
async fn an_idle_stable_that_is_whole_takes_everything_back_at_once() {
    // Somebody has added to the canary: a policy, its minimum, or a person.
    for (permille, green) in [(1000, 11), (500, 30), (100, 6)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut machine = baking(&registry, &world, 10, permille).await;
        scaled(&world, Slot::Green, green);
        machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
        let deployment = registry.items().deployments[&machine.reply.deployment].clone();
        assert_eq!(deployment.needed(), 10);
    }
}

#[tokio::test]
async fn what_is_sent_back_at_once_to_too_few_is_asked_for_as_well() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, 3, 1000).await;
    let id = machine.reply.deployment.clone();
    registry.items().deployments.get_mut(&id).unwrap().plan.rollback.weak_stable =
        WeakStable::AtOnce;
    scaled(&world, Slot::Blue, 1);
    world.pass(STALE);
    world.take_calls();
    alarmed(&mut machine).await;
    assert_eq!(share(&world), Weight::NONE);
    machine.run().await.unwrap_err();
    assert_eq!(tasks(&world, Slot::Blue), 3);
}

#[tokio::test]
async fn tasks_of_the_new_version_that_wait_in_the_slot_are_not_taken_away() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(50, MINUTE), stage(1000, MINUTE)]);
    plan.capacity = CanaryCapacity::Proportional;
    scaled(&world, Slot::Green, 5);
    world.state().services.get_mut(&service(Slot::Green)).unwrap().task_definition = version(2);
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run().await.unwrap();
    assert_eq!(asked(&world, &service(Slot::Green)), []);
    assert_eq!(tasks(&world, Slot::Green), 5);
}
