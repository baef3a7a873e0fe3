//! The service of the explorations: the engine's own example, with one alarm of the service as a whole, so
//! that it is bound to a deployment and to its successor.

use futures_util::FutureExt;
use glidepath_core::harm::RequestsPerMinute;
use glidepath_core::ids::{AlarmArn, DeploymentId, TargetGroupArn};
use glidepath_core::plan::{
    AlarmPlan, Approval, HealthPlan, Hook, LifecycleStage, OnInconclusive, OnTimeout, Permille,
    Plan, RoutePlan, Slot, Stage,
};
use glidepath_core::record::Deployment;
use glidepath_core::rollback::{AfterHold, RollbackPlan, WeakStable};
use glidepath_core::route::{
    ActionKind, Forward, RouteAction, RouteActions, RouteRef, Stickiness, WeightedGroup,
};
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::Span;
use glidepath_core::weight::{AlbWeight, Weight};
use glidepath_core::world::FoundScaling;
use glidepath_engine::testing::example::{self, START, group, pair, route, service, version};
use glidepath_engine::testing::{Items, MemoryRegistry, State};
use serde_json::{Value, json};

use crate::situation::Situation;

pub(crate) const SLOTS: [Slot; 2] = [Slot::Blue, Slot::Green];

pub(crate) const BAKE: Span = Span::from_secs(60);

/// How long a person may take.
pub(crate) const ASKS_FOR: Span = Span::from_secs(90);

pub(crate) fn first() -> DeploymentId {
    DeploymentId::new("d1")
}

pub(crate) fn successor() -> DeploymentId {
    DeploymentId::new("d2")
}

/// The only alarm.
pub(crate) fn alarm() -> AlarmArn {
    example::alarm(Slot::Blue)
}

/// A second route with the same groups.
pub(crate) fn other_route() -> RouteRef {
    RouteRef::Rule("arn:aws:elasticloadbalancing:x:1:listener-rule/app/example/1/2/4".to_owned())
}

/// A plan with stages of these weights, in permille.
pub(crate) fn plan(stages: &[u16]) -> Plan {
    let stage = |permille: &u16| example::stage(*permille, BAKE);
    let plan = example::plan(stages.iter().map(stage).collect());
    let health = HealthPlan {
        alarms: AlarmPlan { service: vec![alarm()], ..AlarmPlan::default() },
        comparison: None,
        bad_requests_limit: None,
        minimum_requests: 0,
        extend_up_to: Span::ZERO,
        ..plan.health
    };
    Plan { health, notify: Vec::new(), scale_in_delay: Span::ZERO, retention: BAKE, ..plan }
}

/// The same, where a person is asked before every stage.
pub(crate) fn asking(plan: Plan) -> Plan {
    let approval = Some(Approval::anybody(ASKS_FOR, OnTimeout::Rollback));
    let stages = plan
        .stages
        .into_iter()
        .map(|stage| Stage { approval: approval.clone(), ..stage })
        .collect();
    Plan { stages, ..plan }
}

/// The same, where no stage ever has evidence enough.
pub(crate) fn lacking(plan: Plan) -> Plan {
    let health = HealthPlan {
        minimum_requests: 1_000_000,
        bad_requests_limit: Some(Permille(50)),
        on_inconclusive: OnInconclusive::Hold,
        ..plan.health
    };
    Plan { health, ..plan }
}

/// The same, where no more than a few of the canary's requests may fail.
pub(crate) fn judged(plan: Plan) -> Plan {
    let health = HealthPlan { bad_requests_limit: Some(Permille(50)), ..plan.health };
    Plan { health, ..plan }
}

/// The same with a second route.
pub(crate) fn two_routes(plan: Plan) -> Plan {
    let second = RoutePlan { route: other_route(), ..plan.routes[0].clone() };
    Plan { routes: vec![plan.routes[0].clone(), second], ..plan }
}

/// The same, where the route has only the serving slot's group at first.
pub(crate) fn attaching(plan: Plan) -> Plan {
    let blue = WeightedGroup { group: group(Slot::Blue), weight: AlbWeight::new(1) };
    let kind = ActionKind::Forward(Forward::new(vec![blue], None));
    let original = RouteActions(vec![RouteAction { order: Some(1), kind }]);
    let routes = vec![RoutePlan { original, ..plan.routes[0].clone() }];
    Plan { routes, ..plan }
}

/// The same, where something else leads to the canary besides: its tasks stay.
pub(crate) fn reached_besides(plan: Plan) -> Plan {
    Plan { unlisted: vec![other_route()], ..plan }
}

/// The same with bakes of this length.
pub(crate) fn baking(plan: Plan, bake: Span) -> Plan {
    let stages = plan.stages.into_iter().map(|stage| Stage { bake, ..stage }).collect();
    Plan { stages, ..plan }
}

/// The same, where clients stick to a group.
pub(crate) fn sticky(plan: Plan) -> Plan {
    let forward = plan.routes[0].original.forward().expect("the example forwards");
    let stickiness = Some(Stickiness { duration_seconds: 60 });
    let kind = ActionKind::Forward(Forward::new(forward.groups().to_vec(), stickiness));
    let original = RouteActions(vec![RouteAction { order: Some(1), kind }]);
    let routes = vec![RoutePlan { original, ..plan.routes[0].clone() }];
    Plan { routes, ..plan }
}

/// The same with a hook that says at first that it has not decided yet.
pub(crate) fn hooked(plan: Plan) -> Plan {
    let hook = Hook {
        function: HOOK.to_owned(),
        stages: vec![LifecycleStage::ProductionTrafficShift],
        details: serde_json::Map::new(),
    };
    Plan { health: HealthPlan { hooks: vec![hook], ..plan.health }, ..plan }
}

const HOOK: &str = "smoke";

/// The same, where both slots are scaled: the one that serves between 2 and 6, the other one is idle.
pub(crate) fn scaled(mut plan: Plan) -> Plan {
    let serving = ScalableTarget { minimum: 2, maximum: 6, suspended: Suspended::default() };
    plan.stable.scaling = Some(serving);
    plan.canary.scaling = Some(serving.idle());
    plan
}

/// The minimum that somebody else sets.
pub(crate) const REBOUND: u32 = 1;

/// What bounds the tasks of a slot.
pub(crate) fn bounded(world: &State, slot: Slot) -> Option<ScalableTarget> {
    world.scaling.get(&service(slot))?.target
}

/// The same, where the plan sends everything to stable once it has waited for it.
pub(crate) fn forcing(plan: Plan) -> Plan {
    let hold_for = Span::from_secs(45);
    let then = AfterHold::Force;
    Plan { rollback: RollbackPlan { weak_stable: WeakStable::StepBack, hold_for, then }, ..plan }
}

/// The same, where stable gets everything as soon as one of its targets is healthy.
pub(crate) fn at_once(plan: Plan) -> Plan {
    let rollback = RollbackPlan { weak_stable: WeakStable::AtOnce, ..plan.rollback };
    Plan { rollback, ..plan }
}

/// The world before anything happens.
pub(crate) fn world(plan: Option<&Plan>, both_routes: bool) -> State {
    let mut state = example::world().into_state();
    if both_routes {
        state.routes.insert(other_route(), example::actions(Weight::NONE));
    }
    for route in plan.iter().flat_map(|plan| &plan.routes) {
        state.routes.insert(route.route.clone(), route.original.clone());
    }
    for slot in plan.iter().flat_map(|plan| [&plan.stable, &plan.canary]) {
        let scaling = FoundScaling { target: slot.scaling, ..FoundScaling::default() };
        state.scaling.insert(slot.service.clone(), scaling);
    }
    let judged =
        |plan: &Plan| plan.health.bad_requests_limit.is_some() && plan.health.minimum_requests == 0;
    state.requests = plan.filter(|plan| judged(plan)).map(|_| example::requests(1_000, 0));
    let says = |status| Ok(json!({ "hookStatus": status }));
    state.answers.insert(HOOK.to_owned(), vec![says("IN_PROGRESS"), says("SUCCEEDED")]);
    state
}

/// Gives the canary the tasks that it needs.
pub(crate) fn run_canary(world: &mut State) {
    let stable = world.services[&service(Slot::Blue)].running_count;
    let canary = world.services.get_mut(&service(Slot::Green)).expect("the example has two");
    (canary.desired_count, canary.running_count) = (stable, stable);
    canary.task_definition = version(2);
}

/// The registry after the plan.
pub(crate) fn begun(plan: Plan) -> Items {
    let registry = MemoryRegistry::default();
    let begun = example::begun(&registry, plan, first().as_str(), START).now_or_never();
    let begun = begun.expect("the registry in memory never waits");
    let mut items = registry.into_items();
    // So little traffic that a rollback which is throttled waits as long as any does.
    let deployment = Deployment { traffic: Some(RequestsPerMinute(0)), ..begun };
    for alarm in items.alarms.values_mut() {
        for binding in alarm.bindings.values_mut() {
            binding.harm = deployment.harm();
        }
    }
    items.deployments.insert(deployment.id.clone(), deployment);
    items
}

/// The request of a deployment that is planned in an exploration.
pub(crate) fn request(id: &DeploymentId, both_routes: bool) -> Value {
    let number = if *id == first() { 2 } else { 3 };
    let routes = [route(), other_route()].into_iter().take(1 + usize::from(both_routes));
    let routes: Vec<_> = routes.map(|route| json!({"rule": route.arn()})).collect();
    json!({
        "apiVersion": "glidepath/v1",
        "service": "shop",
        "target": {
            "cluster": "production",
            "slots": {"blue": "shop-blue", "green": "shop-green"},
            "routes": routes,
        },
        "release": {"taskDefinition": version(number).as_str()},
        "strategy": {"canary": {"stages": [{"weight": 100, "bake": "1m"}]}},
        "capacity": {"scaleInDelay": "0s"},
        "retention": "1m",
        "health": {"alarms": {"service": [alarm().as_str()]}},
        "notify": [],
    })
}

/// The share of a slot on the route that gives it most.
pub(crate) fn share(world: &State, slot: Slot) -> Weight {
    let of = |actions: &glidepath_core::route::RouteActions| {
        let green = actions.canary_share(&pair()).unwrap_or(Weight::NONE);
        match slot {
            Slot::Blue => green.rest(),
            Slot::Green => green,
        }
    };
    world.routes.values().map(of).max().unwrap_or(Weight::NONE)
}

/// The share of a deployment's canary on the route that gives it most.
pub(crate) fn canary_share(state: &Situation, deployment: &Deployment) -> Weight {
    share(&state.world, deployment.plan.canary.slot)
}

pub(crate) fn tasks(world: &State, slot: Slot) -> u32 {
    world.services[&service(slot)].running_count
}

pub(crate) fn healthy(world: &State, slot: Slot) -> u32 {
    let all = tasks(world, slot);
    world.weak.get(&group(slot)).map_or(all, |most| all.min(*most))
}

pub(crate) fn blue() -> TargetGroupArn {
    group(Slot::Blue)
}
