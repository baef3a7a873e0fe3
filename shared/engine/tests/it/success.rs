use glidepath_core::ids::TargetGroupArn;
use glidepath_core::plan::Slot;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, LockKey, Outcome, Phase};
use glidepath_core::route::{ActionKind, Forward, RouteActions, RouteRef, Stickiness};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::complete::{Retired, retire};
use glidepath_engine::ports::{Clock, Registration};
use glidepath_engine::testing::example::{self, begun, group, plan, stage, world};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};
use proptest::prelude::*;

const MINUTE: Span = Span::from_secs(60);

fn weight_writes(calls: &[Call]) -> Vec<Weight> {
    let written = calls.iter().filter_map(|call| match call {
        Call::WriteRoute(_, actions) => Some(actions),
        _ => None,
    });
    written.map(|actions| actions.canary_share(&example::pair()).unwrap()).collect()
}

#[tokio::test]
async fn a_good_version_takes_over_stage_by_stage() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = [50, 100, 250, 500, 1000].map(|weight| stage(weight, MINUTE.times(5))).to_vec();
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run().await.unwrap();

    let calls = world.take_calls();
    let permille: Vec<_> = weight_writes(&calls).iter().map(|weight| weight.permille()).collect();
    assert_eq!(permille, [50, 100, 250, 500, 1000]);
    let tasks: Vec<_> = calls
        .iter()
        .filter_map(|call| match call {
            Call::Scale(service, to) => Some((service.as_str(), to.desired_count)),
            _ => None,
        })
        .collect();
    assert_eq!(tasks, [("shop-green", 1), ("shop-green", 2), ("shop-green", 3)]);

    let items = registry.items();
    let ended = &items.deployments[&deployment.id];
    assert_eq!(ended.phase, Phase::Closed(Outcome::Succeeded));
    assert!(items.locks.values().all(|lock| lock.holder.is_none()), "{:?}", items.locks);
    assert!(items.alarms.values().all(|alarm| alarm.bindings.is_empty()));
    let terminal: Vec<_> =
        items.notices.iter().filter(|entry| entry.notice.event.terminal()).collect();
    assert_eq!(terminal.len(), 1);
    assert_eq!(terminal[0].notice.event, Event::Succeeded);
    let sequences: Vec<_> = items.notices.iter().map(|entry| entry.notice.sequence).collect();
    assert_eq!(sequences, (1..=sequences.len() as u32).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_old_slot_keeps_its_tasks_for_the_retention_and_then_loses_them() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let key = LockKey::service(&deployment.plan.cluster, &deployment.plan.stable.service);
    world.take_calls();

    let early = retire(&Bed::new(&registry, &world), &key).await;
    assert_eq!(early, Ok(Retired::NotDue));
    assert_eq!(world.take_calls(), []);

    world.pass(deployment.plan.retention);
    assert_eq!(retire(&Bed::new(&registry, &world), &key).await, Ok(Retired::Yes));
    assert_eq!(world.state().services[&example::service(Slot::Blue)].desired_count, 0);
    assert_eq!(retire(&Bed::new(&registry, &world), &key).await, Ok(Retired::NotDue));
    assert!(registry.items().retirements.is_empty());
}

#[tokio::test]
async fn a_slot_that_carries_weight_is_not_retired() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let key = LockKey::service(&deployment.plan.cluster, &deployment.plan.stable.service);
    world.state().routes.insert(example::route(), example::actions(Weight::NONE));
    world.pass(deployment.plan.retention);

    let postponed = retire(&Bed::new(&registry, &world), &key).await;
    assert_eq!(postponed, Ok(Retired::Postponed));
    assert_eq!(world.state().services[&example::service(Slot::Blue)].desired_count, 3);
}

#[tokio::test]
async fn a_slot_that_an_unlisted_rule_leads_to_is_not_retired() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let key = LockKey::service(&deployment.plan.cluster, &deployment.plan.stable.service);
    let forgotten =
        RouteRef::Listener("arn:aws:elasticloadbalancing:x:1:listener/app/e/1/9".into());
    // With a group of its own for the same tasks.
    let own = TargetGroupArn::new("arn:aws:elasticloadbalancing:x:1:targetgroup/own/1");
    let leads_there = forwarding_to(&own);
    {
        let mut state = world.state();
        let blue = state.services.get_mut(&example::service(Slot::Blue)).unwrap();
        blue.target_groups.push(Registration { group: own, answers: None });
        state.routes.insert(forgotten.clone(), leads_there);
    }
    world.pass(deployment.plan.retention);

    for _ in 0..2 {
        let postponed = retire(&Bed::new(&registry, &world), &key).await;
        assert_eq!(postponed, Ok(Retired::Postponed));
        assert_eq!(world.state().services[&example::service(Slot::Blue)].desired_count, 3);
        world.pass(MINUTE.times(60));
    }
    let told = Event::StillReached { by: vec![forgotten.clone()] };
    let times = registry.items().notices.iter().filter(|entry| entry.notice.event == told).count();
    assert_eq!(times, 1);

    world.state().routes.insert(forgotten, example::actions(Weight::ALL));
    assert_eq!(retire(&Bed::new(&registry, &world), &key).await, Ok(Retired::Yes));
}

fn forwarding_to(own: &TargetGroupArn) -> RouteActions {
    let mut actions = without(&example::actions(Weight::NONE), &group(Slot::Green));
    for action in &mut actions.0 {
        if let ActionKind::Forward(forward) = &mut action.kind {
            let mut groups = forward.groups().to_vec();
            groups[0].group = own.clone();
            *forward = Forward::new(groups, None);
        }
    }
    actions
}

#[tokio::test]
async fn a_rollback_leaves_tasks_to_a_rule_that_nobody_listed() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().broken.insert(example::version(2));
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.unlisted =
        vec![RouteRef::Listener("arn:aws:elasticloadbalancing:x:1:listener/app/e/1/9".into())];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap_err();
    assert!(world.state().services[&example::service(Slot::Green)].desired_count > 0);
    assert!(registry.items().locks.values().all(|lock| lock.holder.is_none()));
}

#[tokio::test]
async fn the_canary_group_is_attached_before_its_tasks_are_waited_for() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let only_blue = without(&example::actions(Weight::NONE), &group(Slot::Green));
    world.state().routes.insert(example::route(), only_blue.clone());
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.routes[0].original = only_blue;
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let permille: Vec<_> =
        weight_writes(&world.take_calls()).iter().map(|weight| weight.permille()).collect();
    assert_eq!(permille, [0, 100, 1000]);
}

fn without(actions: &RouteActions, group: &TargetGroupArn) -> RouteActions {
    let mut actions = actions.clone();
    for action in &mut actions.0 {
        if let ActionKind::Forward(forward) = &mut action.kind {
            let mut groups = forward.groups().to_vec();
            groups.retain(|entry| entry.group != *group);
            *forward = Forward::new(groups, forward.stickiness());
        }
    }
    actions
}

#[tokio::test]
async fn a_sticky_route_loses_the_old_group_before_the_old_slot_is_retired() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let sticky = sticky(&example::actions(Weight::NONE));
    world.state().routes.insert(example::route(), sticky.clone());
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.routes[0].original = sticky;
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let forward = world.state().routes[&example::route()].forward().unwrap().clone();
    let groups: Vec<_> = forward.groups().iter().map(|entry| &entry.group).collect();
    assert_eq!(groups, [&group(Slot::Green)]);
    assert!(forward.stickiness().is_some());
}

fn sticky(actions: &RouteActions) -> RouteActions {
    let mut sticky = actions.clone();
    for action in &mut sticky.0 {
        if let ActionKind::Forward(forward) = &mut action.kind {
            let stickiness = Some(Stickiness { duration_seconds: 600 });
            *forward = Forward::new(forward.groups().to_vec(), stickiness);
        }
    }
    sticky
}

#[tokio::test]
async fn a_group_that_cookies_remember_is_attached_without_them_until_its_tasks_are_healthy() {
    let (registry, world) = (MemoryRegistry::default(), world());
    // As a deployment before has left it.
    let left = sticky(&without(&example::actions(Weight::NONE), &group(Slot::Green)));
    world.state().routes.insert(example::route(), left.clone());
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.routes[0].original = left;
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let written: Vec<_> = states(&world)
        .into_iter()
        .map(|(_, actions)| {
            let share = actions.canary_share(&example::pair()).unwrap().permille();
            (share, actions.sticky(), actions.forward().unwrap().groups().len())
        })
        .collect();
    assert_eq!(written, [(0, false, 2), (100, true, 2), (1000, true, 2), (1000, true, 1)]);
}

#[tokio::test]
async fn a_rollback_before_the_first_shift_leaves_a_sticky_route_as_it_was() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let left = sticky(&without(&example::actions(Weight::NONE), &group(Slot::Green)));
    world.state().routes.insert(example::route(), left.clone());
    world.state().broken.insert(example::version(2));
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.routes[0].original = left.clone();
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap_err();
    assert_eq!(world.state().routes[&example::route()], left);
    let attached = states(&world);
    assert!(attached.iter().all(|(_, actions)| {
        !actions.sticky() || !actions.forward().unwrap().contains(&group(Slot::Green))
    }));
}

/// Every state of the route that the canary's traffic ever saw.
fn states(world: &World) -> Vec<(RouteRef, RouteActions)> {
    let calls = world.take_calls();
    let written = calls.into_iter().filter_map(|call| match call {
        Call::WriteRoute(route, actions) => Some((route, actions)),
        _ => None,
    });
    written.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For every plan: both weights share everything at every step, increase, and end at all.
    #[test]
    fn weights_only_grow_and_always_share_everything(
        mut weights in proptest::collection::btree_set(1u16..1000, 0..6),
    ) {
        weights.insert(1000);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let written = runtime.block_on(async {
            let (registry, world) = (MemoryRegistry::default(), world());
            let stages = weights.iter().map(|weight| stage(*weight, MINUTE)).collect();
            let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
            Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
            states(&world)
        });
        let mut last = Weight::NONE;
        for (_, actions) in &written {
            let (blue, green) =
                actions.weights_of(&group(Slot::Blue), &group(Slot::Green)).unwrap();
            let (blue, green) = (u32::from(blue.get()), u32::from(green.get()));
            prop_assert!(blue + green == 1000 || (blue, green) == (0, 999));
            let share = actions.canary_share(&example::pair()).unwrap();
            prop_assert!(share > last);
            last = share;
        }
        prop_assert_eq!(written.len(), weights.len());
        prop_assert_eq!(last, Weight::ALL);
    }
}

#[tokio::test]
async fn a_success_steps_through_advance_gate_and_validate_only() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run().await.unwrap();
    assert_eq!(
        machine.steps,
        [
            NextStep::Advance, // asks for tasks
            NextStep::Advance, // shifts
            NextStep::Gate,
            NextStep::Validate,
            NextStep::Complete,
        ]
    );
}
