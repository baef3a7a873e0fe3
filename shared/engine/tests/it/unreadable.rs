//! Something in the registry that this version cannot read holds up nothing beside it.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, EcsServiceName, IntentId, TargetGroupArn};
use glidepath_core::plan::Slot;
use glidepath_core::record::LANDING_GRACE;
use glidepath_core::route::{RolePair, RouteRef};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, Registry};
use glidepath_engine::rollback::{AlarmEvent, AlarmOutcome, on_alarm};
use glidepath_engine::sweep;
use glidepath_engine::testing::example::{self, START, actions, alarm, begun, plan, route, stage};
use glidepath_engine::testing::{Bed, MemoryRegistry, World};

use crate::baking;

const MINUTE: Span = Span::from_secs(60);

fn event(world: &World) -> AlarmEvent {
    let reason = "threshold crossed".to_owned();
    AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason }
}

async fn fire(registry: &MemoryRegistry, world: &World, event: &AlarmEvent) -> AlarmOutcome {
    on_alarm(&Bed::new(registry, world), event).await.unwrap()
}

/// A binding of a newer version, or a damaged one: its deployment's own record has the routes.
#[tokio::test]
async fn a_binding_that_cannot_be_read_is_rolled_back_by_its_record_and_holds_up_no_other() {
    for delivered in 1..=2 {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
        let event = event(&world);
        for _ in 0..delivered {
            unreadable_binding(&registry);
            assert_eq!(fire(&registry, &world, &event).await.restored.len(), 1);
        }
        assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
        machine.run().await.unwrap_err();
        let items = registry.items();
        let left = &items.alarms[&alarm(Slot::Green)];
        assert!(left.unreadable.bindings.is_empty() && left.intents.is_empty(), "{left:?}");
    }

    // What started after the alarm fired is none of its business.
    let (registry, world) = (MemoryRegistry::default(), example::world());
    baking(&registry, &world, MINUTE.times(10)).await;
    unreadable_binding(&registry);
    let before = event(&World::at(START - MINUTE));
    assert_eq!(fire(&registry, &world, &before).await.untouched.len(), 1);
    assert_eq!(world.take_calls(), []);

    // Where not even the record can be read, somebody is told, and the service beside it is safe.
    let (registry, world) = (MemoryRegistry::default(), example::world());
    baking(&registry, &world, MINUTE.times(10)).await;
    let damaged = DeploymentId::new("d0");
    {
        let mut items = registry.items();
        items.unreadable.insert(damaged.clone());
        let stored = items.alarms.get_mut(&alarm(Slot::Green)).unwrap();
        stored.unreadable.bindings.insert(damaged);
    }
    let told = on_alarm(&Bed::new(&registry, &world), &event(&world)).await.unwrap_err();
    assert!(told.cause.contains("`d0` is corrupt"), "{told}");
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

fn unreadable_binding(registry: &MemoryRegistry) {
    let mut items = registry.items();
    let stored = items.alarms.get_mut(&alarm(Slot::Green)).unwrap();
    let bound = std::mem::take(&mut stored.bindings);
    stored.unreadable.bindings.extend(bound.into_keys());
}

/// Nobody knows what such a claim writes, so it is waited for as for every other one.
#[tokio::test]
async fn a_claim_that_cannot_be_read_keeps_the_locks_until_it_cannot_land_any_more() {
    let (registry, world) = (MemoryRegistry::default(), example::world());
    let mut machine = baking(&registry, &world, MINUTE.times(10)).await;
    fire(&registry, &world, &event(&world)).await;
    let deadline = world.now() + MINUTE.times(30);
    let unheard = IntentId::new("unheard-of");
    let claims = |registry: &MemoryRegistry| {
        registry.items().alarms[&alarm(Slot::Green)].unreadable.intents.len()
    };
    {
        let mut items = registry.items();
        let stored = items.alarms.get_mut(&alarm(Slot::Green)).unwrap();
        stored.unreadable.intents.insert(unheard, Some(deadline));
    }
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
    machine.run().await.unwrap_err();
    assert!(world.now() >= deadline + LANDING_GRACE);
    assert_eq!(claims(&registry), 0, "it goes with the binding");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_the_sweep_from_nothing_else() {
    let (registry, world) = (MemoryRegistry::default(), example::world());
    baking(&registry, &world, MINUTE.times(10)).await;
    let other = begun_elsewhere(&registry, &world).await;
    registry.items().unreadable.insert(DeploymentId::new("d1"));
    world.pass(MINUTE.times(60));
    let bed = Bed::new(&registry, &world);
    let told = sweep::run(&bed).await.unwrap_err();
    assert!(told.cause.contains("`d1` is corrupt"), "{told}");
    assert_eq!(told.code, FailureCode::Unexpected, "no retry mends it");
    let calls = bed.take_operations();
    assert!(calls.contains(&"start_rollback"), "{calls:?}");
    let recent = registry.recent(20).await.unwrap();
    assert_eq!(recent.deployments.iter().map(|found| &found.id).collect::<Vec<_>>(), [&other]);
    assert_eq!(recent.unreadable.len(), 1);
}

/// Another service's deployment, which nobody carries any more.
async fn begun_elsewhere(registry: &MemoryRegistry, world: &World) -> DeploymentId {
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    for slot in [&mut plan.stable, &mut plan.canary] {
        slot.service = EcsServiceName::new(format!("other-{}", slot.slot));
    }
    for route in &mut plan.routes {
        route.route = RouteRef::Rule("arn:other".to_owned());
        let group = |slot| TargetGroupArn::new(format!("arn:other-{slot}"));
        route.pair = RolePair { stable: group(Slot::Blue), canary: group(Slot::Green) };
    }
    begun(registry, plan, "d2", world.now()).await.id
}
