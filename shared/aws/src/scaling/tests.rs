//! What becomes of Application Auto Scaling's answers, and what it is asked.

use glidepath_core::scaling::Suspended;
use serde_json::{Value, json};

use super::*;
use crate::replay::{answering, error_of, json as answer, watched};

fn cluster() -> ClusterName {
    ClusterName::new("production")
}

fn services() -> [EcsServiceName; 2] {
    ["shop-blue", "shop-green"].map(EcsServiceName::new)
}

fn described(service: &str, dimension: &str) -> Value {
    json!({
        "ServiceNamespace": "ecs", "ResourceId": format!("service/production/{service}"),
        "ScalableDimension": dimension, "MinCapacity": 3, "MaxCapacity": 15, "CreationTime": 1,
        "RoleARN": "arn:role",
        "SuspendedState": { "DynamicScalingInSuspended": true, "ScheduledScalingSuspended": false },
    })
}

fn found() -> ScalableTarget {
    let suspended = Suspended { scale_in: true, ..Suspended::default() };
    ScalableTarget { minimum: 3, maximum: 15, suspended }
}

#[tokio::test]
async fn both_slots_are_read_in_one_call_each_in_its_place() {
    let targets =
        json!({ "ScalableTargets": [described("shop-green", "ecs:service:DesiredCount")] });
    let (clients, asked) = watched(vec![answer(&targets)]);
    let [blue, green] = services();
    let scaling = ApplicationAutoScaling::new(&clients);
    let read = scaling.scalable_targets(&cluster(), &[&blue, &green]).await.unwrap();
    assert_eq!(read, [None, Some(found())]);
    let body = asked.actual_requests().next().unwrap().body().bytes().unwrap().to_vec();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        asked,
        json!({
            "ServiceNamespace": "ecs",
            "ResourceIds": ["service/production/shop-blue", "service/production/shop-green"],
        })
    );
}

#[tokio::test]
async fn what_may_change_a_scaled_service_is_read_with_its_target() {
    let green = services()[1].clone();
    let policy = |name: &str, kind: &str, more: &Value| {
        let mut policy = json!({
            "PolicyARN": "arn", "PolicyName": name, "ServiceNamespace": "ecs", "CreationTime": 1,
            "ResourceId": "service/production/shop-green", "PolicyType": kind,
            "ScalableDimension": "ecs:service:DesiredCount",
        });
        for (key, value) in more.as_object().unwrap() {
            policy[key] = value.clone();
        }
        policy
    };
    let forecast = |mode| {
        let specifications = json!([{ "TargetValue": 50 }]);
        json!({ "PredictiveScalingPolicyConfiguration": {
            "MetricSpecifications": specifications, "Mode": mode } })
    };
    let policies = json!({ "ScalingPolicies": [
        policy("requests", "TargetTrackingScaling", &json!({})),
        policy("ahead", "PredictiveScaling", &forecast("ForecastAndScale")),
        policy("only", "PredictiveScaling", &forecast("ForecastOnly")),
    ] });
    let actions = json!({ "ScheduledActions": [{
        "ScheduledActionName": "day", "ScheduledActionARN": "arn", "ServiceNamespace": "ecs",
        "Schedule": "cron(0 7 * * ? *)", "ResourceId": "service/production/shop-green",
        "CreationTime": 1, "ScalableTargetAction": { "MinCapacity": 6 },
    }] });
    let targets = json!({ "ScalableTargets": [
        described("shop-green", "ecs:service:DesiredCount"),
        described("shop-green", "ecs:service:Moons"),
    ] });
    let answers = vec![answer(&targets), answer(&policies), answer(&actions)];
    let scaling = ApplicationAutoScaling::new(&answering(answers));
    let read = scaling.scaling(&cluster(), &[&green]).await.unwrap().remove(0);
    assert_eq!(read.target, Some(found()));
    assert_eq!(read.other_dimensions, ["ecs:service:Moons"]);
    let named: Vec<_> = read
        .policies
        .iter()
        .map(|policy| (policy.name.as_str(), policy.kind.as_str(), policy.forecasts))
        .collect();
    let expected = [
        ("requests", "TargetTrackingScaling", false),
        ("ahead", "PredictiveScaling", true),
        ("only", "PredictiveScaling", false),
    ];
    assert_eq!(named, expected);
    let day = ScheduledAction { name: "day".to_owned(), minimum: Some(6), maximum: None };
    assert_eq!(read.scheduled, [day]);
}

#[tokio::test]
async fn of_what_is_not_scaled_nothing_more_is_asked() {
    let scaling =
        ApplicationAutoScaling::new(&answering(vec![answer(&json!({ "ScalableTargets": [] }))]));
    let [blue, green] = services();
    let read = scaling.scaling(&cluster(), &[&blue, &green]).await.unwrap();
    assert_eq!(read, [FoundScaling::default(), FoundScaling::default()]);
}

#[tokio::test]
async fn all_of_a_target_is_set() {
    let (clients, asked) = watched(vec![answer(&json!({}))]);
    let scaling = ApplicationAutoScaling::new(&clients);
    scaling.set_scalable_target(&cluster(), &services()[0], &found().held(10)).await.unwrap();
    let body = asked.actual_requests().next().unwrap().body().bytes().unwrap().to_vec();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        asked,
        json!({
            "ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/production/shop-blue", "MinCapacity": 10, "MaxCapacity": 15,
            "SuspendedState": {
                "DynamicScalingInSuspended": true, "DynamicScalingOutSuspended": false,
                "ScheduledScalingSuspended": false,
            },
        })
    );
}

#[tokio::test]
async fn a_change_under_way_passes_and_a_missing_right_does_not() {
    let refused = async |code: &str| {
        let scaling =
            ApplicationAutoScaling::new(&answering(vec![error_of(400, code, "already pending")]));
        scaling.set_scalable_target(&cluster(), &services()[0], &found()).await.unwrap_err()
    };
    let concurrent = refused("ConcurrentUpdateException").await;
    assert!(concurrent.may_pass() && concurrent.answered());
    assert!(!refused("ValidationException").await.may_pass());
    assert!(refused("AccessDeniedException").await.is_denied());
}
