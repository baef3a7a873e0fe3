//! What the tests of several modules begin with. Each test says only what is different.

use serde_json::{Value, json};

use crate::health::AlarmSignal;
use crate::ids::{
    AlarmArn, ChannelName, DeploymentId, EcsServiceName, ExecutionArn, TargetGroupArn,
    TaskDefinition, TaskToken,
};
use crate::people::ApprovalPolicy;
use crate::plan::Plan;
use crate::preflight::{Found, FoundAlarms, SlotsScaling, StackSettings, preflight};
use crate::record::{
    Deployment, Event, Freeze, Gate, Phase, Progress, RecordedHealth, Revision, Tick,
};
use crate::request::{Request, decode};
use crate::route::{ActionKind, Forward, RouteAction, RouteActions, Stickiness, WeightedGroup};
use crate::scaling::{ScalableTarget, Suspended};
use crate::time::{Span, Timestamp};
use crate::urgency::Listening;
use crate::weight::AlbWeight;
use crate::world::{
    Alarm, AlarmDimension, ContainerImage, EcsService, FoundRoute, RegisteredVersion, Registration,
};

/// ARN of the route of [`document`].
pub(crate) const RULE: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/shop/1/2/3";

/// 2026-11-21T07:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_244_400_000);

/// A request that says as much as it can.
pub(crate) fn document() -> Value {
    json!({
        "apiVersion": "glidepath/v1",
        "service": "shop",
        "target": {
            "cluster": "production",
            "slots": { "blue": "shop-blue", "green": "shop-green" },
            "routes": [{ "rule": RULE }]
        },
        "release": { "taskDefinition": "shop:42" },
        "strategy": { "canary": { "stages": [
            { "weight": 5, "bake": "5m" },
            { "weight": 12.5, "bake": "5m" },
            { "weight": 50, "bake": "10m", "approval": { "timeout": "4h", "onTimeout": "rollback" } },
            { "weight": 100, "bake": "30m" }
        ] } },
        "capacity": { "canary": "proportional", "scaleInDelay": "60s" },
        "settleWithin": "15m",
        "retention": "5m",
        "health": {
            "interval": "60s",
            "alarms": { "blue": ["shop-blue-5xx"], "green": ["shop-green-5xx"], "service": ["shop-latency"] },
            "badRequests": { "limit": 5 },
            "minimumRequests": 200,
            "onInconclusive": { "extendUpTo": "30m", "then": "hold" }
        },
        "rollback": { "weakStable": "stepBack", "holdFor": "30m", "then": "hold" },
        "concurrency": "reject",
        "notify": ["team-shop"],
        "force": { "alarms": [] },
        "startedBy": "pipeline 7 of shop"
    })
}

/// [`document`], decoded.
pub(crate) fn request() -> Request {
    decoded(&document())
}

pub(crate) fn decoded(document: &Value) -> Request {
    decode(document).unwrap_or_else(|findings| panic!("{findings}"))
}

pub(crate) fn group(name: &str) -> TargetGroupArn {
    TargetGroupArn::new(format!(
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{name}/1"
    ))
}

/// A route that forwards to these groups with these weights.
pub(crate) fn route(groups: &[(&str, u16)], sticky: bool) -> FoundRoute {
    let groups = groups
        .iter()
        .map(|(name, weight)| WeightedGroup { group: group(name), weight: AlbWeight::new(*weight) })
        .collect();
    let stickiness = sticky.then_some(Stickiness { duration_seconds: 60 });
    let kind = ActionKind::Forward(Forward::new(groups, stickiness));
    FoundRoute::Found {
        actions: RouteActions(vec![RouteAction { order: Some(1), kind }]),
        load_balancer: "app/shop/1".to_owned(),
    }
}

/// An ECS service that is at rest.
pub(crate) fn ecs_service(tasks: u32, version: &str, groups: &[&str]) -> EcsService {
    EcsService {
        target_groups: groups.iter().map(|name| registration(name)).collect(),
        ..EcsService::rolled_out(task_definition(version), tasks)
    }
}

/// A group, and nothing about the container that answers.
pub(crate) fn registration(name: &str) -> Registration {
    Registration { group: group(name), answers: None }
}

pub(crate) fn task_definition(version: &str) -> TaskDefinition {
    TaskDefinition::new(format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/{version}"))
}

/// A task definition without roles.
pub(crate) fn registered(version: &str) -> RegisteredVersion {
    RegisteredVersion {
        arn: task_definition(version),
        active: true,
        task_role: None,
        execution_role: None,
        containers: vec![container("web", "repository/app:0a1b2c3")],
    }
}

pub(crate) fn container(name: &str, image: &str) -> ContainerImage {
    ContainerImage { container: name.to_owned(), image: image.to_owned(), optional: false }
}

pub(crate) fn alarm_arn(name: &str) -> AlarmArn {
    AlarmArn::new(format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"))
}

/// An alarm that is OK.
pub(crate) fn alarm(name: &str, watches: &[&str]) -> Option<Alarm> {
    Some(Alarm {
        arn: alarm_arn(name),
        signal: AlarmSignal::Ok,
        reason: "1 datapoint was not greater than the threshold".to_owned(),
        since: None,
        watches: watches
            .iter()
            .map(|name| AlarmDimension::TargetGroup(group(name).dimension().to_owned()))
            .collect(),
    })
}

/// A world in which [`request`] has no findings: blue serves with three tasks.
pub(crate) fn found() -> Found {
    Found {
        now: NOW,
        routes: vec![route(&[("blue", 999), ("green", 0)], false)],
        blue: Some(ecs_service(3, "shop:41", &["blue"])),
        reaching: Vec::new(),
        green: Some(ecs_service(0, "shop:40", &["green"])),
        task_definition: Some(registered("shop:42")),
        alarms: FoundAlarms {
            blue: vec![alarm("shop-blue-5xx", &["blue"])],
            green: vec![alarm("shop-green-5xx", &["green"])],
            service: vec![alarm("shop-latency", &[])],
        },
        scaling: SlotsScaling::default(),
        target_groups: std::collections::BTreeMap::new(),
        stack: StackSettings {
            channels: ["team-shop", "operators"]
                .map(|name| (ChannelName::new(name), Listening::EVERYTHING))
                .into(),
            task_roles: Some("*".to_owned()),
            approvals: ApprovalPolicy::default(),
        },
        holders: vec![],
        images: std::collections::BTreeMap::new(),
        quarantined: vec![],
        way_back: None,
        before: crate::preflight::Before::default(),
        stored: std::collections::BTreeMap::new(),
    }
}

/// The plan of [`request`] in the world of [`found`].
pub(crate) fn plan() -> Plan {
    let resolved = preflight(&request(), &found());
    resolved.unwrap_or_else(|refusal| panic!("{}", refusal.findings())).plan
}

/// A deployment of [`plan`] that waits at a gate.
pub(crate) fn deployment() -> Deployment {
    let plan = plan();
    Deployment {
        id: DeploymentId::new("shop-42"),
        execution: ExecutionArn::new(
            "arn:aws:states:eu-west-1:123456789012:execution:glidepath:shop-42",
        ),
        execution_start: None,
        revision: Revision(7),
        phase: Phase::Open,
        fence: None,
        intents: std::collections::BTreeMap::new(),
        started_at: NOW,
        progress: Progress::at_start(&plan, NOW),
        traffic: None,
        health: RecordedHealth { healthy: 3, at: NOW, fresh_for: Span::from_secs(120) },
        gate: Some(Gate {
            tick: Tick { redrive_count: 0, entered_at: NOW, retry_count: 0 },
            token: TaskToken::new("AQCEAAAAKgAAAAMAAAAA-secret"),
        }),
        alarms: plan.health.alarms.binding().cloned().collect(),
        warnings: Vec::new(),
        notices: 3,
        next_due_at: NOW,
        epochs: None,
        validating: None,
        freeze: None,
        drift: Vec::new(),
        plan,
    }
}

/// Compares with a file of this crate; with `UPDATE=1` in the environment the file is written.
pub(crate) fn same_as_file(path: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder).expect("the folder can be made");
        std::fs::write(&path, actual).expect("the file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} is not up to date; look at the difference and run the tests with UPDATE=1\n\
         expected:\n{expected}\nactual:\n{actual}",
        path.display()
    );
}

pub(crate) fn freeze(services: &str) -> Freeze {
    Freeze {
        services: services.to_owned(),
        by: "arn:aws:iam::123456789012:user/ada".to_owned(),
        at: NOW,
        since: NOW,
        reason: "the sale of the year".to_owned(),
        until: None,
    }
}

pub(crate) fn scaling_changed() -> Event {
    Event::ScalingChanged {
        service: EcsServiceName::new("shop-blue"),
        found: vec!["its minimum is 6 instead of 10".to_owned()],
    }
}

pub(crate) fn drifted() -> Event {
    let route = deployment().plan.routes.remove(0).route;
    Event::Drifted {
        differences: vec![
            format!("{route}: 10 % of its requests go to blue, which was left idle"),
            "shop-green: it runs shop:7, and was left with shop:42".to_owned(),
        ],
    }
}

pub(crate) fn scaling_not_set() -> Event {
    Event::ScalingNotSet {
        service: EcsServiceName::new("shop-blue"),
        wanted: ScalableTarget { minimum: 3, maximum: 15, suspended: Suspended::default() },
        why: "AccessDeniedException: not authorized".to_owned(),
    }
}
