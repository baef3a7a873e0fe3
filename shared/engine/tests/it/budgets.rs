//! How many calls each trigger of a rollback makes, and in which order: the table of
//! `docs/budgets.md`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Plan, RoutePlan, Slot};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::FenceTrigger;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_core::world::FoundScaling;
use glidepath_engine::ports::{Clock, LoadBalancer, PortError, PortResult};
use glidepath_engine::rollback::{self, AlarmEvent, RollbackInput, on_alarm};
use glidepath_engine::survey::survey;
use glidepath_engine::sweep;
use glidepath_engine::testing::example::{
    actions, alarm, begun, group, plan, route, service, stack, stage, version, world,
};
use glidepath_engine::testing::{Bed, Between, Call, Machine, MemoryRegistry, World};
use serde_json::{Value, json};

use crate::baking;
use crate::shop::{Shop, back, release};

const MINUTE: Span = Span::from_secs(60);

/// Longer than any recorded health is relied on.
const STALE: Span = Span::from_secs(600);

/// The call of AWS that a call of a port is.
fn aws(operation: &str) -> &str {
    match operation {
        "fence_alarm" => "fence (alarm)",
        "join_alarm" => "join (alarm)",
        "fence_deployment" => "fence (deployment)",
        "write_route" => "ModifyRule",
        "routes" => "DescribeRules",
        "target_health" => "DescribeTargetHealth",
        "deployment" => "GetItem (deployment)",
        "alarms" => "BatchGetItem (alarms)",
        "commit" => "TransactWriteItems",
        "fail_gate" => "SendTaskFailure",
        "finish_alarm_intent" => "UpdateItem (alarm's intent)",
        "finish_deployment_intent" => "UpdateItem (deployment's intent)",
        "services" => "DescribeServices",
        "stopped_tasks" => "ListTasks",
        "scale" => "UpdateService",
        "scalable_targets" => "DescribeScalableTargets",
        "set_scalable_target" => "RegisterScalableTarget",
        "due" => "Query (due)",
        "start_rollback" => "Invoke (rollback)",
        "locks" => "BatchGetItem (locks)",
        "scaling" => "DescribeScalableTargets",
        "task_definition" => "DescribeTaskDefinition",
        "describe_alarms" => "DescribeAlarms",
        "target_groups" => "DescribeTargetGroups",
        "look_up" => "DescribeImages",
        "reaching" => "DescribeListeners and DescribeRules",
        "recent" => "Query (recent)",
        other => panic!("`{other}` is not in the table"),
    }
}

/// What an invocation of the rollback function is about.
#[derive(Clone)]
enum Trigger {
    Alarm(AlarmEvent),
    Deployment(RollbackInput),
}

/// An alarm that fired then, however AWS delivers it.
fn fired(at: &str) -> Trigger {
    let (alarm, at) = (alarm(Slot::Green), Timestamp::parse(at).unwrap());
    Trigger::Alarm(AlarmEvent { alarm, at, reason: "1 datapoint".to_owned() })
}

/// One invocation of the rollback function.
async fn invoked(bed: &Bed<'_>, trigger: &Trigger) {
    match trigger {
        Trigger::Alarm(event) => {
            on_alarm(bed, event).await.unwrap();
        }
        Trigger::Deployment(input) => {
            rollback::run(bed, input).await.unwrap();
        }
    }
}

fn by(trigger: FenceTrigger, force: bool) -> Trigger {
    let error = serde_json::from_value(json!({"name": "Aborted", "cause": "it is slow"})).unwrap();
    let (deployment, by) = (DeploymentId::new("d1"), Some(trigger));
    Trigger::Deployment(RollbackInput {
        deployment,
        error,
        by,
        force,
        woken: false,
        execution_start: None,
    })
}

/// What a look calls before the canary is healthy.
async fn while_tasks_start() -> Vec<&'static str> {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().broken.insert(version(2));
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    // It asks for the tasks.
    machine.step(None).await;
    machine.bed.take_operations();
    machine.step(None).await;
    machine.bed.take_operations()
}

/// What an alarm calls whose write is refused for good, and needless.
async fn while_nobody_may_write() -> Vec<&'static str> {
    let (registry, world) = (MemoryRegistry::default(), world());
    let machine = baking(&registry, &world, STALE).await;
    world.state().routes.insert(route(), actions(Weight::NONE));
    let detail = "AccessDenied: no".to_owned();
    let refused = PortError::Refused { operation: "ModifyRule", detail };
    world.state().write_errors = vec![(refused, false)];
    invoked(&machine.bed, &fired("2027-02-01T08:00:00.000+0000")).await;
    machine.bed.take_operations()
}

/// The same where Application Auto Scaling scales both slots; and what the last turns of a rollback call then,
/// before which nothing is different.
async fn while_scaled() -> [(&'static str, Vec<&'static str>); 3] {
    let (registry, world) = (MemoryRegistry::default(), world());
    let suspended = Suspended::default();
    let found = ScalableTarget { minimum: 1, maximum: 8, suspended };
    let mut plan = plan(vec![stage(500, STALE), stage(1000, MINUTE)]);
    plan.stable.scaling = Some(found);
    plan.canary.scaling = Some(found.idle());
    for (slot, target) in [(Slot::Blue, found), (Slot::Green, found.idle())] {
        let found = FoundScaling { target: Some(target), ..FoundScaling::default() };
        world.state().scaling.insert(service(slot), found);
    }
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.step(None).await;
    let holds = machine.bed.take_operations();
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    world.pass(STALE);
    invoked(&machine.bed, &fired("2027-02-01T08:00:00.000+0000")).await;
    machine.reply.next = NextStep::Gate;
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
    let mut turns = Vec::new();
    while machine.reply.next == NextStep::Rollback {
        machine.bed.take_operations();
        machine.step(None).await;
        turns.push(machine.bed.take_operations());
    }
    let last = turns.pop().unwrap();
    let idle = turns.into_iter().find(|calls| calls.contains(&"set_scalable_target")).unwrap();
    [
        ("turn that holds the bounds of stable", holds),
        ("turn of a rollback that lets the canary lie idle", idle),
        ("last turn of a rollback of slots that are scaled", last),
    ]
}

/// What a plan reads, with and without images in ECR, and a way back to an image that is gone.
async fn plans() -> [(&'static str, Vec<&'static str>); 3] {
    let settings = stack();
    let surveyed = async |shop: &Shop, request: &Value| {
        let bed = Bed::new(&shop.registry, &shop.world);
        let surveyed = survey(&bed, &settings, shop.world.now(), request).await;
        (surveyed.is_ok(), bed.take_operations())
    };
    let shop = Shop::new();
    let (taken, plain) = surveyed(&shop, &release(2)).await;
    assert!(taken);
    for number in 1..4 {
        let digest = format!("sha256:{number}");
        shop.pushed(number, &digest);
    }
    let (taken, in_ecr) = surveyed(&shop, &release(2)).await;
    assert!(taken);
    shop.succeeds("d2", release(2)).await;
    shop.succeeds("d3", release(3)).await;
    shop.vanishes(1, "sha256:1");
    let (taken, refused) = surveyed(&shop, &back("d3", "shop:1")).await;
    assert!(!taken);
    [
        ("plan", plain),
        ("plan of images in ECR", in_ecr),
        ("way back that is refused for its image", refused),
    ]
}

/// What each trigger calls.
async fn measured() -> BTreeMap<String, Vec<&'static str>> {
    let mut table = BTreeMap::new();
    let mut measure = async |name: &str, stale: bool, healthy: u32, triggers: &[Trigger]| {
        let (registry, world) = (MemoryRegistry::default(), world());
        let machine = baking(&registry, &world, STALE.times(10)).await;
        if stale {
            world.pass(STALE);
        }
        world.state().weak.insert(group(Slot::Blue), healthy);
        if healthy == 1 {
            // More than stable can take back at once.
            world.state().routes.insert(route(), actions(Weight::ALL));
        }
        for trigger in triggers {
            machine.bed.take_operations();
            invoked(&machine.bed, trigger).await;
        }
        table.insert(name.to_owned(), machine.bed.take_operations());
    };
    // Any time after the start will do.
    let at = "2027-02-01T08:00:00.000+0000";
    let alarm_event = [fired(at)];
    measure("alarm", false, 3, &alarm_event).await;
    measure("the same alarm again", false, 3, &[fired(at), fired(at)]).await;
    measure("alarm, stable not looked at lately", true, 3, &alarm_event).await;
    measure("alarm, stable has nothing healthy", true, 0, &alarm_event).await;
    measure("alarm, stable has too few healthy", true, 1, &alarm_event).await;
    let early = fired("2020-01-01T00:00:00.000+0000");
    measure("alarm that fired before the start", false, 3, &[early]).await;
    let operator = FenceTrigger::Operator("ada".to_owned());
    measure("operator", false, 3, &[by(operator.clone(), false)]).await;
    measure("operator, forced", true, 0, &[by(operator, true)]).await;
    measure("state machine", false, 3, &[by(FenceTrigger::StateMachine, false)]).await;
    measure("end of the execution", false, 3, &[by(FenceTrigger::ExecutionEnd, false)]).await;
    measure("sweep", false, 3, &[by(FenceTrigger::Sweep, false)]).await;

    table.insert("look while tasks start".to_owned(), while_tasks_start().await);
    table.extend(while_scaled().await.map(|(name, calls)| (name.to_owned(), calls)));
    table.extend(plans().await.map(|(name, calls)| (name.to_owned(), calls)));
    let refused = "alarm, the write is refused and the route is on stable";
    table.insert(refused.to_owned(), while_nobody_may_write().await);

    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = baking(&registry, &world, STALE.times(10)).await;
    world.pass(STALE);
    {
        // Nothing is left to deliver.
        let mut items = registry.items();
        items.done_with = items.notices.iter().map(|entry| entry.notice.id()).collect();
    }
    sweep::run(&machine.bed).await.unwrap();
    let swept = machine.bed.take_operations();
    table.insert("sweep that finds one deployment".to_owned(), swept);
    machine.reply.next = NextStep::Gate;
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "woken"))).await;
    machine.step(None).await;
    machine.bed.take_operations();
    machine.step(None).await;
    assert_eq!(machine.reply.next, NextStep::Failed, "{}", machine.reply.summary);
    table.insert("last turn of a rollback".to_owned(), machine.bed.take_operations());
    table
}

/// The table as it is written: trigger, number of calls, calls in order.
fn written() -> BTreeMap<String, (usize, String)> {
    let document = include_str!("../../../../docs/budgets.md");
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [trigger, count, calls] = cells[..] else { return None };
        Some((trigger.to_owned(), (count.parse().ok()?, calls.to_owned())))
    });
    rows.collect()
}

#[tokio::test]
async fn every_trigger_keeps_its_written_budget() {
    let measured: BTreeMap<_, _> = measured()
        .await
        .into_iter()
        .map(|(trigger, calls)| {
            let names: Vec<_> = calls.iter().map(|call| aws(call)).collect();
            (trigger, (calls.len(), names.join(", ")))
        })
        .collect();
    let shown = |table: &BTreeMap<String, (usize, String)>| {
        let rows = table
            .iter()
            .map(|(trigger, (count, calls))| format!("| {trigger} | {count} | {calls} |"));
        rows.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        shown(&measured),
        shown(&written()),
        "docs/budgets.md says something else; what was measured is:\n{}\n",
        shown(&measured)
    );
}

#[tokio::test]
async fn the_fence_is_the_first_call_and_the_route_the_second() {
    for (trigger, calls) in measured().await {
        let Some(write) = calls.iter().position(|call| *call == "write_route") else { continue };
        // The one stated exception with what a step back needs, and a repeated event, which registers
        // its own claim first.
        let between: &[&str] = match trigger.as_str() {
            "alarm, stable not looked at lately" => &["target_health"],
            "alarm, stable has too few healthy" => {
                &["target_health", "fence_deployment", "routes", "deployment", "commit"]
            }
            "the same alarm again" => &["join_alarm"],
            _ => &[],
        };
        assert!(calls[0].starts_with("fence"), "{trigger}: {calls:?}");
        assert_eq!(calls[1..write], *between, "{trigger}");
    }
}

/// A load balancer on which no write ends before all of them have begun.
struct Together {
    wanted: usize,
    begun: AtomicUsize,
}

impl Between for Together {
    async fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> PortResult<()> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        for _ in 0..100 {
            if self.begun.load(Ordering::SeqCst) == self.wanted {
                return world.write_route(route, actions).await;
            }
            tokio::task::yield_now().await;
        }
        panic!("{route} is written while others have not begun");
    }
}

/// The example with three routes, all of them on the canary.
async fn three_routes(registry: &MemoryRegistry, world: &World) -> Vec<RouteRef> {
    let whole = plan(vec![stage(1000, MINUTE)]);
    let routes: Vec<_> =
        (0..3).map(|number| RouteRef::Rule(format!("{}{number}", route().arn()))).collect();
    let of = |route: &RouteRef| RoutePlan { route: route.clone(), ..whole.routes[0].clone() };
    let plan = Plan { routes: routes.iter().map(of).collect(), ..whole.clone() };
    begun(registry, plan, "d1", world.now()).await;
    for route in &routes {
        world.state().routes.insert(route.clone(), actions(Weight::ALL));
    }
    routes
}

#[tokio::test]
async fn all_routes_are_written_at_once() {
    for by_alarm in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let routes = three_routes(&registry, &world).await;
        let together = Together { wanted: 3, begun: AtomicUsize::new(0) };
        let bed = Bed::behind(&registry, &world, &together);
        if by_alarm {
            let reason = "threshold crossed".to_owned();
            let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
            on_alarm(&bed, &event).await.unwrap();
        } else {
            let by = Some(FenceTrigger::Sweep);
            let deployment = glidepath_core::ids::DeploymentId::new("d1");
            let input = RollbackInput {
                deployment,
                error: None,
                by,
                force: false,
                woken: false,
                execution_start: None,
            };
            rollback::run(&bed, &input).await.unwrap();
        }
        for route in &routes {
            assert_eq!(world.state().routes[route], actions(Weight::NONE));
        }
    }
}

#[tokio::test]
async fn all_routes_are_stepped_back_at_once() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let routes = three_routes(&registry, &world).await;
    world.pass(STALE);
    world.state().weak.insert(group(Slot::Blue), 1);
    let together = Together { wanted: 3, begun: AtomicUsize::new(0) };
    let bed = Bed::behind(&registry, &world, &together);
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    on_alarm(&bed, &event).await.unwrap();
    for route in &routes {
        let kept = actions(Weight::from_permille(667).unwrap());
        assert_eq!(world.state().routes[route], kept);
    }
}

/// Two looks at one group in the same step are one too many: storms consist of these calls.
#[tokio::test]
async fn a_group_that_several_routes_share_is_asked_once() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let routes = three_routes(&registry, &world).await;
    for route in &routes {
        world.state().routes.insert(route.clone(), actions(Weight::NONE));
    }
    let looked = |world: &World| {
        let mut groups: Vec<_> = world
            .take_calls()
            .into_iter()
            .filter_map(|call| match call {
                Call::LookAtTargets(group) => Some(group),
                _ => None,
            })
            .collect();
        let all = groups.len();
        groups.sort();
        groups.dedup();
        assert_eq!(groups.len(), all, "a group was asked twice");
        all
    };
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &DeploymentId::new("d1"));
    let mut most = 0;
    while machine.reply.next != NextStep::Validate {
        machine.step(None).await;
        most = most.max(looked(&world));
    }
    assert_eq!(most, 1, "the canary's, while it starts");
    machine.step(None).await;
    assert_eq!(looked(&world), 2, "both, in a bake");
    world.pass(STALE);
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    on_alarm(&Bed::new(&registry, &world), &event).await.unwrap();
    assert_eq!(looked(&world), 1, "stable's, on the way back");
}
