use glidepath_core::failure::FailureCode;
use glidepath_core::health::{AlarmSignal, Period, SlotRequests};
use glidepath_core::ids::{DeploymentId, ExecutionArn, ExecutionStart};
use glidepath_core::message::message;
use glidepath_core::plan::Slot;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, LockKey, Outcome, Phase};
use glidepath_core::request::decode;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::forecast::forecast;
use glidepath_engine::plan::{PlanInput, run};
use glidepath_engine::ports::{Clock, PortError};
use glidepath_engine::rollback::{self, CaughtError, RollbackInput};
use glidepath_engine::testing::example::{self, actions, alarm, route, version, world};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};
use serde_json::{Value, json};

const START: Timestamp = Timestamp::from_millis(1_795_244_400_000);

pub(crate) fn request() -> Value {
    json!({
        "apiVersion": "glidepath/v1",
        "service": "shop",
        "target": {
            "cluster": "production",
            "slots": {"blue": "shop-blue", "green": "shop-green"},
            "routes": [{"rule": route().arn()}],
        },
        "release": {"taskDefinition": version(2).as_str()},
        "strategy": {"canary": {"stages": [
            {"weight": 10, "bake": "5m"}, {"weight": 100, "bake": "5m"},
        ]}},
        "health": {"alarms": {
            "blue": [alarm(Slot::Blue).as_str()], "green": [alarm(Slot::Green).as_str()],
        }},
        "notify": ["team"],
    })
}

pub(crate) fn named(name: &str, request: Value) -> PlanInput {
    PlanInput {
        deployment: DeploymentId::new(name),
        execution: ExecutionArn::new(format!("arn:aws:states:x:1:execution:glidepath:{name}")),
        execution_start: None,
        request,
    }
}

pub(crate) async fn plan(
    registry: &MemoryRegistry,
    world: &World,
    input: &PlanInput,
) -> Result<glidepath_core::protocol::Reply, glidepath_core::failure::Failure> {
    run(&Bed::new(registry, world), &example::stack(), input).await
}

/// ECS would refuse the first write, of which nobody knows more than its own words.
#[tokio::test]
async fn a_version_whose_role_the_stack_may_not_pass_is_refused_before_anything_is_written() {
    for (role, refused) in [("shop-task", false), ("service-role/shop-task", true)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let role = format!("arn:aws:iam::123456789012:role/{role}");
        world.state().task_roles.insert(version(2), role);
        let planned = plan(&registry, &world, &named("d1", request())).await;
        assert_eq!(registry.items().deployments.is_empty(), refused, "{planned:?}");
        let Err(failure) = planned else { continue };
        assert_eq!(failure.code, FailureCode::InvalidRequest);
        assert!(failure.cause.contains("TaskRolePattern"), "{failure}");
        assert!(world.take_calls().iter().all(|call| matches!(call, Call::ReadRoute(_))));
    }
}

#[tokio::test]
async fn what_somebody_should_know_is_told_when_nobody_ran_the_command() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut request = request();
    request["health"]["checks"] = json!([{
        "name": "orders",
        "metric": { "namespace": "Shop", "name": "Orders", "statistic": "Sum" },
        "limit": { "below": 1 },
    }]);
    plan(&registry, &world, &named("d1", request)).await.unwrap();
    let items = registry.items();
    let deployment = &items.deployments[&DeploymentId::new("d1")];
    assert_eq!(deployment.warnings.len(), 1, "{:?}", deployment.warnings);
    let started = items.notices.iter().find(|entry| entry.notice.event == Event::Started).unwrap();
    let told = message(&started.notice, deployment).to_string();
    assert!(told.contains("Warning: `orders` had no data during the last hour"), "{told}");
}

#[tokio::test]
async fn cookies_of_a_target_group_are_found_before_anything_is_written() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().sticky.insert(example::group(Slot::Blue));
    let failure = plan(&registry, &world, &named("d1", request())).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidRequest);
    assert!(failure.cause.contains("clients stick to their targets in `blue`"), "{failure}");
    assert!(registry.items().deployments.is_empty());
    assert!(world.take_calls().iter().all(|call| !matches!(call, Call::WriteRoute(..))));
}

#[tokio::test]
async fn the_last_day_says_whether_the_stages_are_long_enough() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut document = request();
    document["strategy"]["canary"]["stages"][0]["bake"] = json!("8m");
    plan(&registry, &world, &named("d1", document.clone())).await.unwrap();
    let planned = registry.items().deployments[&DeploymentId::new("d1")].plan.clone();
    let request = decode(&document).unwrap();
    let forecast = || async { forecast(&world, world.now(), &request, &planned).await.to_string() };
    let day = |all: u64| {
        let stable = SlotRequests { all, bad: all / 200, slow: None };
        let minutes = (1..=1440_u64).rev().map(|minutes| Period {
            from: world.now() - Span::from_secs(60 * minutes),
            canary: SlotRequests::default(),
            stable,
        });
        Some(Ok(minutes.collect()))
    };
    world.state().history = day(200);
    let said = forecast().await;
    assert!(said.starts_with("warning: at 200 requests a minute, 2.5 % bad requests"), "{said}");
    assert!(said.contains("cannot be seen in 8m at $.strategy.canary.stages[0].bake"), "{said}");
    world.state().history = day(2_000_000);
    assert!(!forecast().await.contains("cannot be seen"));
    let nobody = PortError::Unanswered { operation: "GetMetricData", detail: "late".to_owned() };
    world.state().history = Some(Err(nobody));
    let said = forecast().await;
    assert!(said.starts_with("warning: the requests of the last day could not be read"), "{said}");
}

#[tokio::test]
async fn the_stable_slot_is_found_from_the_weights_and_roles_swap() {
    let (registry, world) = (MemoryRegistry::default(), world());
    for (name, version_number, stable, canary) in
        [("d1", 2, Slot::Blue, Slot::Green), ("d2", 3, Slot::Green, Slot::Blue)]
    {
        let mut request = request();
        request["release"]["taskDefinition"] = json!(version(version_number).as_str());
        let reply = plan(&registry, &world, &named(name, request)).await.unwrap();
        assert_eq!(reply.next, NextStep::Advance);
        let id = DeploymentId::new(name);
        let found = registry.items().deployments[&id].clone();
        assert_eq!((found.plan.stable.slot, found.plan.canary.slot), (stable, canary));
        assert_eq!(found.alarms, [alarm(canary)]);
        Machine::after_plan(Bed::new(&registry, &world), &id).run().await.unwrap();
    }
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    let blue = world.state().services[&example::service(Slot::Blue)].clone();
    assert_eq!((blue.task_definition, blue.desired_count), (version(3), 3));
}

#[tokio::test]
async fn a_second_deployment_of_the_same_resources_is_refused_and_named() {
    let (registry, world) = (MemoryRegistry::default(), world());
    plan(&registry, &world, &named("d1", request())).await.unwrap();
    let before = registry.items().clone();
    world.take_calls();
    let mut other = request();
    other["service"] = json!("another-name-of-the-same-thing");
    let failure = plan(&registry, &world, &named("d2", other)).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::DeploymentRunning);
    // Once for the deployment, not once for everything that it holds.
    assert!(failure.cause.contains("deployment `d1` of service `shop` is running"), "{failure}");
    assert_eq!(failure.cause.matches("is running").count(), 1, "{failure}");
    assert!(failure.cause.contains("glidepath rollback d1"), "{failure}");
    assert!(!failure.cause.contains('#'), "{failure}");
    assert_eq!(registry.items().deployments, before.deployments);
    assert_eq!(registry.items().locks, before.locks);
}

#[tokio::test]
async fn a_repeated_invocation_answers_the_same() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let input = named("d1", request());
    let first = plan(&registry, &world, &input).await.unwrap();
    let second = plan(&registry, &world, &input).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(registry.items().notices.len(), 1);

    let mut stranger = input;
    stranger.execution = ExecutionArn::new("arn:aws:states:x:1:execution:other:d1");
    let refused = plan(&registry, &world, &stranger).await.unwrap();
    assert_eq!(refused.failure.unwrap().code, FailureCode::NameUsed);
}

/// Step Functions frees a name after 90 days, and the ARN of an execution is made of it.
#[tokio::test]
async fn a_name_that_was_used_before_never_ends_as_if_it_had_been_deployed_again() {
    for outcome in [Outcome::Succeeded, Outcome::RolledBack, Outcome::Abandoned] {
        for recorded in [Some(ExecutionStart::new("2026-01-01T00:00:00.000Z")), None] {
            let (registry, world) = (MemoryRegistry::default(), world());
            let mut input = named("d1", request());
            input.execution_start = recorded;
            plan(&registry, &world, &input).await.unwrap();
            let id = input.deployment.clone();
            registry.items().deployments.get_mut(&id).unwrap().phase = Phase::Closed(outcome);
            let before = registry.items().clone();
            world.take_calls();

            input.execution_start = Some(ExecutionStart::new("2026-11-28T00:00:00.000Z"));
            let reply = plan(&registry, &world, &input).await.unwrap();
            assert_eq!(reply.next, NextStep::Failed);
            let failure = reply.failure.unwrap();
            assert_eq!(failure.code, FailureCode::NameUsed);
            assert!(failure.cause.contains("start again with a name of its own"), "{failure}");
            assert_eq!(world.take_calls(), [], "{failure}");

            // Plan could not be asked at all: its error leads to the rollback.
            let error = CaughtError { name: "Transient".to_owned(), cause: None };
            let asked = RollbackInput {
                deployment: id,
                error: Some(error),
                by: None,
                force: false,
                woken: false,
                execution_start: input.execution_start.clone(),
            };
            let reply = rollback::run(&Bed::new(&registry, &world), &asked).await;
            let reply = reply.unwrap();
            assert_eq!(reply.next, NextStep::Failed);
            assert_eq!(reply.failure.unwrap().code, FailureCode::Transient);
            assert_eq!(registry.items().deployments, before.deployments);
        }
    }
}

#[tokio::test]
async fn mistakes_are_found_all_at_once_before_anything_is_written() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut request = request();
    request["strategy"]["canary"]["stages"][0]["weight"] = json!(10.55);
    request["retention"] = json!("5");
    request["notfy"] = json!([]);
    let failure = plan(&registry, &world, &named("d1", request)).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidRequest);
    for expected in ["$.strategy.canary.stages[0].weight", "$.retention", "`notify`"] {
        assert!(failure.cause.contains(expected), "{expected} is missing in {failure}");
    }
    assert!(registry.items().deployments.is_empty() && registry.items().locks.is_empty());
}

#[tokio::test]
async fn an_alarm_that_fires_already_is_refused_unless_it_is_named() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().signal("blue-errors", AlarmSignal::Alarm);
    let failure = plan(&registry, &world, &named("d1", request())).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidRequest);
    assert!(failure.cause.contains("blue-errors"), "{failure}");
    assert!(registry.items().deployments.is_empty());

    let mut forced = request();
    forced["force"] = json!({"alarms": [alarm(Slot::Blue).as_str()]});
    plan(&registry, &world, &named("d1", forced)).await.unwrap();
    let planned = &registry.items().deployments[&DeploymentId::new("d1")].plan;
    assert!(planned.health.alarms.stable.is_empty());
}

/// Planned while the alarm of the idle slot fires, as one on hosts does that are not there.
async fn planned_with_an_idle_alarm(registry: &MemoryRegistry, world: &World) -> DeploymentId {
    world.state().signal("green-errors", AlarmSignal::Alarm);
    let mut request = request();
    request["health"]["onInconclusive"] = json!({ "extendUpTo": "10m", "then": "rollback" });
    plan(registry, world, &named("d1", request)).await.unwrap();
    let id = DeploymentId::new("d1");
    let items = registry.items();
    assert!(items.deployments[&id].warnings[0].contains("`green-errors` is firing while"));
    assert!(items.alarms[&alarm(Slot::Green)].bindings.contains_key(&id));
    id
}

#[tokio::test]
async fn an_alarm_of_the_idle_slot_holds_until_it_is_ok_and_refuses_nothing() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let id = planned_with_an_idle_alarm(&registry, &world).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &id);
    machine.run_until(|reply| reply.next == NextStep::Validate).await.unwrap();
    // It is as it was: past the end of the bake the first stage still waits for it.
    for _ in 0..20 {
        machine.step(None).await;
    }
    assert_eq!(registry.items().deployments[&id].progress.stage.0, 0);
    world.state().signal("green-errors", AlarmSignal::Ok);
    machine.run().await.unwrap();
}

#[tokio::test]
async fn an_alarm_of_the_idle_slot_that_stays_is_not_forgotten() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let id = planned_with_an_idle_alarm(&registry, &world).await;
    let failure = Machine::after_plan(Bed::new(&registry, &world), &id).run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Inconclusive);
    assert!(failure.cause.contains("counts from the moment it is OK"), "{failure}");
}

#[tokio::test]
async fn an_alarm_of_the_idle_slot_that_fires_anew_rolls_back() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let id = planned_with_an_idle_alarm(&registry, &world).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    // Its event is lost; the look sees since when it fires.
    world.state().alarms.get_mut("green-errors").unwrap().since = Some(world.now());
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired, "{failure}");
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

#[tokio::test]
async fn a_deployment_starts_after_everything_its_alarms_have_ever_fired() {
    let (registry, world) = (MemoryRegistry::default(), world());
    // CloudWatch's clock is ten minutes ahead of ours.
    let ahead = world.now() + glidepath_core::time::Span::from_secs(600);
    let mut item = glidepath_core::record::AlarmItem::unknown(alarm(Slot::Green));
    item.fired_at = Some(ahead);
    registry.items().alarms.insert(alarm(Slot::Green), item);
    plan(&registry, &world, &named("d1", request())).await.unwrap();
    let started_at = registry.items().deployments[&DeploymentId::new("d1")].started_at;
    assert_eq!(started_at, ahead.just_after());
}

#[tokio::test]
async fn the_next_deployment_takes_over_an_old_slot_before_its_retirement() {
    let (registry, world) = (MemoryRegistry::default(), world());
    plan(&registry, &world, &named("d1", request())).await.unwrap();
    Machine::after_plan(Bed::new(&registry, &world), &DeploymentId::new("d1")).run().await.unwrap();
    assert_eq!(registry.items().retirements.len(), 1);
    let mut next = request();
    next["release"]["taskDefinition"] = json!(version(3).as_str());
    plan(&registry, &world, &named("d2", next)).await.unwrap();
    assert!(registry.items().retirements.is_empty());
    let held = registry.items().locks[&LockKey::route(route().arn())].holder.clone();
    assert_eq!(held, Some(DeploymentId::new("d2")));
}

#[tokio::test]
async fn a_deployment_that_found_the_weights_changed_under_its_lock_ends_untouched() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let input = named("d1", request());
    plan(&registry, &world, &input).await.unwrap();
    // The invocation is repeated; meanwhile somebody has moved the route.
    let foreign = actions(Weight::from_permille(500).unwrap());
    world.state().routes.insert(route(), foreign.clone());
    let failure = plan(&registry, &world, &input).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::RouteChanged);
    assert_eq!(world.state().routes[&route()], foreign);
    let items = registry.items();
    assert_eq!(items.deployments[&input.deployment].phase, Phase::Closed(Outcome::Abandoned));
    assert!(items.locks.values().all(|lock| lock.holder.is_none()));
    assert!(items.alarms.values().all(|alarm| alarm.bindings.is_empty()));
}

#[tokio::test]
async fn an_adaptive_comparison_takes_two_periods_only_after_three_even_hours() {
    let even = |minute: u64| 8 + 4 * (minute % 2);
    let bursts = |minute: u64| 40 * (minute % 2);
    let hours = |bad: fn(u64) -> u64| {
        (0..180_u64).map(move |minute| Period {
            from: START + Span::from_secs(60).times(minute),
            canary: SlotRequests::default(),
            stable: SlotRequests { all: 1_000, bad: bad(minute), slow: None },
        })
    };
    let unknown = Err(PortError::Throttled { operation: "GetMetricData" });
    for (history, sensitivity, witnesses) in [
        (Ok(hours(even).collect()), "adaptive", 2),
        (Ok(hours(bursts).collect()), "adaptive", 3),
        (Ok(vec![]), "adaptive", 3),
        (unknown, "adaptive", 3),
        (Ok(hours(even).collect()), "standard", 3),
    ] {
        let (registry, world) = (MemoryRegistry::default(), world());
        world.state().history = Some(history);
        let mut request = request();
        request["health"]["comparison"] = json!({ "sensitivity": sensitivity });
        plan(&registry, &world, &named("d1", request)).await.unwrap();
        let found = registry.items().deployments[&DeploymentId::new("d1")].clone();
        assert_eq!(found.plan.health.comparison.unwrap().witnesses, witnesses);
    }
}
