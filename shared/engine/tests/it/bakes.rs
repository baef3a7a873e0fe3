use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::AlarmSignal;
use glidepath_core::plan::{
    Bounds, Check, CheckMode, Hook, HookDetails, LifecycleStage, Measure, MetricStatistic, Number,
    OnInconclusive, Probe, Slot,
};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, Outcome, Phase};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, PortError, PortResult, ProbeAnswer};
use glidepath_engine::testing::example::{self, begun, plan, requests, stage, version, world};
use glidepath_engine::testing::{Bed, Machine, MemoryRegistry};
use serde_json::{Value, json};

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
    let reason = "0 of 3 targets of `green` are healthy: Target.Timeout: Request timed out (health \
                  check of `/health`)";
    assert!(failure.cause.ends_with(reason), "{failure}");
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

/// A check of the canary's own measure, and what it measured, oldest first.
async fn checked(mode: CheckMode, points: PortResult<Vec<f64>>) -> Result<(), Failure> {
    checked_by(mode, false, points).await.1
}

/// The same with what was recorded of it.
async fn checked_by(
    mode: CheckMode,
    alerts: bool,
    points: PortResult<Vec<f64>>,
) -> (MemoryRegistry, Result<(), Failure>) {
    let (registry, world) = (MemoryRegistry::default(), world());
    let measure = |slot: &str| {
        Measure::Metric(MetricStatistic {
            namespace: "Shop".to_owned(),
            name: "FailedOrders".to_owned(),
            dimensions: [("Slot".to_owned(), slot.to_owned())].into(),
            statistic: "Sum".to_owned(),
        })
    };
    let numbers = |points: Vec<f64>| points.into_iter().filter_map(Number::new).collect();
    world.state().measures = vec![(measure("green"), points.map(numbers))];
    let mut plan = plan(vec![stage(500, MINUTE.times(5)), stage(1000, MINUTE.times(5))]);
    plan.health.on_inconclusive = OnInconclusive::Rollback;
    plan.health.checks = vec![Check {
        name: "failed orders".to_owned(),
        canary: measure("green"),
        stable: measure("blue"),
        limit: Bounds { above: Number::new(10.0), below: None },
        against_stable: Bounds::default(),
        points: 3,
        period: None,
        mode,
        alerts,
    }];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let ended = Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await;
    assert_eq!(ended.is_err(), everything_on_blue(&world));
    (registry, ended)
}

#[tokio::test]
async fn a_check_of_the_user_s_own_rolls_back_or_only_says_that_it_would() {
    let bad = || Ok(vec![11.0, 12.5, 30.0]);
    let failure = checked(CheckMode::Critical, bad()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    assert!(
        failure.cause.contains("check `failed orders`: 30, allowed is at most 10"),
        "{failure}"
    );
    checked(CheckMode::DryRun, bad()).await.unwrap();
    checked(CheckMode::Informative, bad()).await.unwrap();
    checked(CheckMode::Critical, Ok(vec![11.0, 12.5, 3.0])).await.unwrap();
}

#[tokio::test]
async fn a_check_that_only_alerts_is_told_once_in_a_stage_and_stops_nothing() {
    let told = async |points: Vec<f64>| {
        let (registry, ended) = checked_by(CheckMode::Informative, true, Ok(points)).await;
        ended.unwrap();
        let notices = registry.items().notices.clone();
        let alerts = notices.iter().filter_map(|entry| match &entry.notice.event {
            Event::CheckAlert { stage, reasons } => Some((stage.0, reasons.len())),
            _ => None,
        });
        alerts.collect::<Vec<_>>()
    };
    assert_eq!(told(vec![11.0, 12.5, 30.0]).await, [(0, 1), (1, 1)]);
    assert_eq!(told(vec![11.0, 12.5, 3.0]).await, []);
}

#[tokio::test]
async fn a_check_that_says_nothing_holds_and_is_no_pass() {
    let error = PortError::Refused { operation: "cloudwatch", detail: "two series".to_owned() };
    for points in [Ok(vec![]), Ok(vec![1.0, 2.0]), Err(error)] {
        let failure = checked(CheckMode::Critical, points.clone()).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Inconclusive);
        assert!(failure.cause.contains("check `failed orders`"), "{failure}");
        checked(CheckMode::DryRun, points).await.unwrap();
    }
}

/// How a deployment with a hook ends that answers so, one after the other, and what it was asked.
async fn hooked(answers: &[PortResult<Value>]) -> (Result<(), Failure>, Vec<Value>) {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().answers.insert("smoke".to_owned(), answers.to_vec());
    let mut plan = plan(vec![stage(0, MINUTE), stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.on_inconclusive = OnInconclusive::Rollback;
    plan.health.hooks = vec![Hook {
        function: "smoke".to_owned(),
        stages: vec![LifecycleStage::PostScaleUp, LifecycleStage::ProductionTrafficShift],
        details: HookDetails::new(),
    }];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let ended = Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await;
    assert_eq!(ended.is_err(), everything_on_blue(&world));
    let asked = world.state().asked.iter().map(|(_, event)| event.clone()).collect();
    (ended, asked)
}

fn hook_says(status: &str) -> PortResult<Value> {
    Ok(json!({ "hookStatus": status, "hookDetails": { "last": status } }))
}

#[tokio::test]
async fn a_hook_is_asked_once_at_every_stage_and_again_while_it_is_in_progress() {
    let (ended, asked) = hooked(&[hook_says("SUCCEEDED")]).await;
    ended.unwrap();
    let stages: Vec<_> = asked.iter().map(|event| event["lifecycleStage"].clone()).collect();
    let shift = "PRODUCTION_TRAFFIC_SHIFT";
    assert_eq!(stages, ["POST_SCALE_UP", shift, shift]);
    let weights = &asked[1]["executionDetails"]["productionTrafficWeights"];
    assert_eq!(weights["arn:revision/shop-green"], 50);

    let (ended, asked) =
        hooked(&[hook_says("IN_PROGRESS"), hook_says("IN_PROGRESS"), hook_says("SUCCEEDED")]).await;
    ended.unwrap();
    assert_eq!(asked.len(), 5);
    assert_eq!(asked[0]["hookDetails"], json!({}));
    assert_eq!(asked[1]["hookDetails"], json!({ "last": "IN_PROGRESS" }));
    assert_eq!(asked[1]["executionId"], asked[2]["executionId"]);
    // What it passed on belongs to the stage.
    assert_eq!(asked[3]["hookDetails"], json!({}));
    assert_ne!(asked[3]["executionId"], asked[2]["executionId"]);
}

#[tokio::test]
async fn a_hook_that_fails_rolls_back_and_one_that_says_nothing_is_no_pass() {
    let (ended, asked) = hooked(&[hook_says("SUCCEEDED"), hook_says("FAILED")]).await;
    let failure = ended.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    assert!(failure.cause.contains("hook `smoke` at PRODUCTION_TRAFFIC_SHIFT failed"), "{failure}");
    assert_eq!(asked.len(), 2);

    let crash = Err(PortError::Refused { operation: "Invoke", detail: "it failed".to_owned() });
    let late = Err(PortError::Unanswered { operation: "Invoke", detail: "timed out".to_owned() });
    for nothing in [crash, late, Ok(json!("done")), hook_says("MAYBE"), hook_says("IN_PROGRESS")] {
        let failure = hooked(&[nothing]).await.0.unwrap_err();
        assert_eq!(failure.code, FailureCode::Inconclusive);
        assert!(failure.cause.contains("hook `smoke` at POST_SCALE_UP"), "{failure}");
    }
}

#[tokio::test]
async fn a_hook_is_asked_although_ecs_has_forgotten_the_deployment() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().forgotten = true;
    world.state().answers.insert("smoke".to_owned(), vec![hook_says("SUCCEEDED")]);
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.health.hooks = vec![Hook {
        function: "smoke".to_owned(),
        stages: vec![LifecycleStage::ProductionTrafficShift],
        details: HookDetails::new(),
    }];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap();
    let asked: Vec<_> = world.state().asked.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].get("resourceArn"), None);
    let details = &asked[0]["executionDetails"];
    assert_eq!(details["serviceArn"], json!("arn:service/shop-green"));
    assert_eq!(details["productionTrafficWeights"], json!({}));
}

#[tokio::test]
async fn a_verdict_that_stands_does_not_wait_for_hooks_and_probes() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let page = "https://green.example.com/health".to_owned();
    world.state().pages.insert(page.clone(), Ok(ProbeAnswer { status: 200, body: String::new() }));
    world.state().answers.insert("smoke".to_owned(), vec![hook_says("IN_PROGRESS")]);
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.hooks = vec![Hook {
        function: "smoke".to_owned(),
        stages: vec![LifecycleStage::ProductionTrafficShift],
        details: HookDetails::new(),
    }];
    let (status, contains, timeout) = (200, None, Span::from_secs(5));
    plan.health.probes = vec![Probe { url: page, status, contains, attempts: 1, timeout }];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    while world.state().asked.is_empty() {
        machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
        machine.step(None).await;
    }
    world.state().requests = Some(requests(1_000, 900));
    let failed = machine.run().await.unwrap_err();
    assert_eq!(failed.code, FailureCode::VerdictFailed);
    // While the requests were fine; not in the look that they decided, though it was due again.
    assert_eq!(world.state().asked.len(), 1);
}

/// How a deployment ends whose new version answers so under the URL of a probe.
async fn probing(answer: PortResult<ProbeAnswer>) -> Result<(), Failure> {
    let (registry, world) = (MemoryRegistry::default(), world());
    let url = "https://green.example.com/health".to_owned();
    world.state().pages.insert(url.clone(), answer);
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.on_inconclusive = OnInconclusive::Rollback;
    let (status, contains, timeout) = (200, Some("ready".to_owned()), Span::from_secs(5));
    plan.health.probes = vec![Probe { url, status, contains, attempts: 3, timeout }];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let ended = Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await;
    assert_eq!(ended.is_err(), everything_on_blue(&world));
    ended
}

#[tokio::test]
async fn a_url_that_answers_wrongly_rolls_back_and_one_that_does_not_answer_is_no_pass() {
    let answer = |status, body: &str| Ok(ProbeAnswer { status, body: body.to_owned() });
    probing(answer(200, "ready")).await.unwrap();
    for (status, body) in [(503, "ready"), (200, "starting")] {
        let failure = probing(answer(status, body)).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::VerdictFailed);
        assert!(failure.cause.contains("3 times in a row"), "{failure}");
    }
    let nobody = Err(PortError::Unanswered { operation: "probe", detail: "timed out".to_owned() });
    let failure = probing(nobody).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Inconclusive);
    assert!(failure.cause.contains("was not answered every time of 3"), "{failure}");
}
