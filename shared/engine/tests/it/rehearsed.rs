//! What `core::rehearsal` says of a plan is what the use cases then write, call by call.

use glidepath_core::plan::{CanaryCapacity, Plan, Slot};
use glidepath_core::record::LockKey;
use glidepath_core::rehearsal::{Planned, Write, writes};
use glidepath_core::route::{ActionKind, Forward, RouteActions, RouteRef, Stickiness};
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::Span;
use glidepath_core::world::FoundScaling;
use glidepath_engine::complete::{Retired, retire};
use glidepath_engine::ports::Clock;
use glidepath_engine::testing::example::{
    begun, group, plan, route, service, stage, version, world,
};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};
use proptest::prelude::*;

const MINUTE: Span = Span::from_secs(60);

/// What is there before the deployment.
#[derive(Clone, Debug)]
struct Before {
    stages: Vec<u16>,
    full: bool,
    /// Tasks of the canary's service, and whether they have the new version already.
    kept: (u32, bool),
    attached: bool,
    sticky: bool,
    two_routes: bool,
    /// Bounds of stable and of the canary.
    scaled: Option<[ScalableTarget; 2]>,
}

fn before() -> impl Strategy<Value = Before> {
    let stages =
        prop_oneof![Just(vec![1000]), Just(vec![0, 500, 1000]), Just(vec![50, 100, 500, 1000]),];
    let target = |least: u32| {
        (0..4_u32, least..9, any::<[bool; 3]>()).prop_map(|(minimum, maximum, flags)| {
            let suspended =
                Suspended { scale_in: flags[0], scale_out: flags[1], scheduled: flags[2] };
            ScalableTarget { minimum, maximum, suspended }
        })
    };
    let scaled = proptest::option::of(
        (target(4), target(4), any::<bool>())
            .prop_map(|(stable, canary, idle)| [stable, if idle { canary.idle() } else { canary }]),
    );
    (stages, any::<bool>(), (0..4_u32, any::<bool>()), any::<[bool; 3]>(), scaled).prop_map(
        |(stages, full, kept, [attached, sticky, two_routes], scaled)| Before {
            stages,
            full,
            kept,
            attached,
            sticky,
            two_routes,
            scaled,
        },
    )
}

fn made_sticky(actions: &RouteActions) -> RouteActions {
    let mut actions = actions.clone();
    for action in &mut actions.0 {
        if let ActionKind::Forward(forward) = &mut action.kind {
            let sticky = Stickiness { duration_seconds: 60 };
            *forward = Forward::new(forward.groups().to_vec(), Some(sticky));
        }
    }
    actions
}

fn without_canary(actions: &RouteActions) -> RouteActions {
    let sticky = actions.sticky().then_some(Stickiness { duration_seconds: 60 });
    let mut actions = actions.clone();
    for action in &mut actions.0 {
        if let ActionKind::Forward(forward) = &mut action.kind {
            let groups = forward.groups().iter().filter(|entry| entry.group != group(Slot::Green));
            *forward = Forward::new(groups.cloned().collect(), sticky);
        }
    }
    actions
}

impl Before {
    /// The plan of it, and the world as the plan found it.
    fn set_up(&self, world: &World) -> Plan {
        let mut plan = plan(self.stages.iter().map(|weight| stage(*weight, MINUTE)).collect());
        plan.capacity = if self.full { CanaryCapacity::Full } else { CanaryCapacity::Proportional };
        if self.sticky {
            plan.routes[0].original = made_sticky(&plan.routes[0].original);
        }
        if !self.attached {
            plan.routes[0].original = without_canary(&plan.routes[0].original);
        }
        if self.two_routes {
            let mut second = plan.routes[0].clone();
            second.route = RouteRef::Listener(route().arn().replace("listener-rule", "listener"));
            plan.routes.push(second);
        }
        let mut state = world.state();
        for route in &plan.routes {
            state.routes.insert(route.route.clone(), route.original.clone());
        }
        let (tasks, new) = self.kept;
        let version = version(if new { 2 } else { 9 });
        let canary = state.services.get_mut(&service(Slot::Green)).unwrap();
        (canary.desired_count, canary.running_count) = (tasks, tasks);
        canary.task_definition = version.clone();
        plan.canary.desired_count = tasks;
        plan.canary.task_definition = version;
        if let Some([stable, canary]) = self.scaled {
            plan.stable.scaling = Some(stable);
            plan.canary.scaling = Some(canary);
            for (slot, target) in [(Slot::Blue, stable), (Slot::Green, canary)] {
                let found = FoundScaling { target: Some(target), ..FoundScaling::default() };
                state.scaling.insert(service(slot), found);
            }
        }
        plan
    }
}

/// What of the calls changes something at AWS.
fn made(calls: Vec<Call>) -> Vec<Write> {
    let written = calls.into_iter().filter_map(|call| match call {
        Call::WriteRoute(route, actions) => Some(Write::Route(route, actions)),
        Call::Scale(service, to) => Some(Write::Tasks(service, to)),
        Call::SetBounds(service, to) => Some(Write::Bounds(service, to)),
        _ => None,
    });
    written.collect()
}

async fn written(before: &Before) -> (Plan, Vec<Write>) {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = before.set_up(&world);
    let deployment = begun(&registry, plan.clone(), "d1", world.now()).await;
    let bed = Bed::new(&registry, &world);
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    world.pass(plan.retention);
    let key = LockKey::service(&plan.cluster, &plan.stable.service);
    assert_eq!(retire(&bed, &key).await, Ok(Retired::Yes));
    (plan, made(world.take_calls()))
}

proptest! {
    #[test]
    fn what_is_said_beforehand_is_what_is_written(before in before()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (plan, written) = runtime.block_on(written(&before));
        let planned: Vec<_> = writes(&plan).into_iter().map(|planned| planned.write).collect();
        prop_assert_eq!(planned, written);
    }
}

#[test]
fn each_has_its_time_and_its_words() {
    let world = world();
    let before = Before {
        stages: vec![500, 1000],
        full: false,
        kept: (0, false),
        attached: true,
        sticky: false,
        two_routes: false,
        scaled: None,
    };
    let plan = before.set_up(&world);
    let said: Vec<_> =
        writes(&plan).iter().map(|planned: &Planned| planned.in_words(&plan)).collect();
    let route = route();
    assert_eq!(
        said,
        [
            "after 0s: UpdateService shop-green: 2 tasks of shop:2".to_owned(),
            format!("after 0s: ModifyRule {route}: 50 % to green, 50 % to blue"),
            "after 1m: UpdateService shop-green: 3 tasks".to_owned(),
            format!("after 1m: ModifyRule {route}: 100 % to green, 0 % to blue"),
            format!(
                "after {}: UpdateService shop-blue: 0 tasks",
                MINUTE.times(2).plus(plan.retention)
            ),
        ]
    );
}
