use serde_json::{Value, json};

use super::*;
use crate::document::Findings;
use crate::fixtures;
use crate::request::{Request, decode};
use crate::route::Role;

fn document(checks: &Value) -> Value {
    let mut document = fixtures::document();
    document["health"]["checks"] = checks.clone();
    document
}

/// A check in which some fields are different; `null` removes one.
fn changed(changes: &Value) -> Value {
    let mut check = json!({
        "name": "cpu",
        "metric": {
            "namespace": "AWS/ECS",
            "name": "CPUUtilization",
            "dimensions": { "ClusterName": "${cluster}", "ServiceName": "${service}" }
        },
        "limit": { "above": 80 }
    });
    for (name, value) in changes.as_object().expect("changes are fields") {
        if value.is_null() {
            check.as_object_mut().expect("a check is an object").remove(name);
        } else {
            check[name] = value.clone();
        }
    }
    json!([check])
}

fn refused(checks: &Value) -> String {
    match decode(&document(checks)) {
        Ok(request) => panic!("{:?} is fine", request.health.checks),
        Err(findings) => Findings::to_string(&findings),
    }
}

#[track_caller]
fn assert_refused(changes: &Value, path: &str, text: &str) {
    let said = refused(&changed(changes));
    assert!(said.contains(path) && said.contains(text), "no {path} and {text:?} in: {said}");
}

#[test]
fn a_check_is_read_with_its_defaults() {
    let request = decode(&document(&changed(&json!({})))).unwrap();
    let check = &request.health.checks[0];
    assert_eq!((check.points, check.period, check.mode), (3, None, CheckModeRequest::Critical));
    assert_eq!(check.metric.as_ref().unwrap().statistic, "Average");
    let again: Request = decode(&serde_json::to_value(&request).unwrap()).unwrap();
    assert_eq!(again, request);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let both = json!({ "expression": "SELECT 1" });
    assert_refused(&both, "$.health.checks[0].expression", "both `metric` and `expression`");
    let neither = json!({ "metric": null });
    assert_refused(&neither, "$.health.checks[0].metric", "neither `metric` nor `expression`");
    let unlimited = json!({ "limit": null });
    assert_refused(&unlimited, "$.health.checks[0].limit", "nothing is out of bounds");
    assert_refused(&json!({ "limit": {} }), "$.health.checks[0].limit.above", "neither");
    let crossed = json!({ "limit": { "above": 1, "below": 2 } });
    assert_refused(
        &crossed,
        "$.health.checks[0].limit.below",
        "no value is at least 2 and at most 1",
    );
    let text = json!({ "limit": { "above": "80%" } });
    assert_refused(&text, "$.health.checks[0].limit.above", "expected a number");
    assert_refused(&json!({ "points": 0 }), "$.health.checks[0].points", "from 1 to 100");
    assert_refused(&json!({ "period": "90s" }), "$.health.checks[0].period", "no periods of");
    assert_refused(&json!({ "mode": "critcal" }), "$.health.checks[0].mode", "`critical`");
    let typo = json!({ "metric": {
        "namespace": "AWS/ECS", "name": "CPUUtilization",
        "dimensions": { "ServiceName": "${servcie}" }
    } });
    assert_refused(
        &typo,
        "$.health.checks[0].metric.dimensions.ServiceName",
        "did you mean `${service}`?",
    );
    let same = json!({
        "metric": { "namespace": "Shop", "name": "Orders" },
        "againstStable": { "below": 0.5 }
    });
    assert_refused(&same, "$.health.checks[0].againstStable", "the same for both versions");
}

#[test]
fn mistakes_in_expressions_are_named() {
    let metric = json!({ "namespace": "Shop", "name": "Orders" });
    let math = |expression: &str, id: &str| json!({ "metric": null, "expression": expression, "metrics": { id: metric } });
    let at = "$.health.checks[0].metrics";
    assert_refused(&math("FILL(n, 0)", "m"), at, "`m` is not in the expression");
    assert_refused(&math("FILL(M, 0)", "M"), "$.health.checks[0].metrics.M", "no id of a metric");
    assert_refused(&math("SELECT SUM(m) FROM x", "m"), at, "a Metrics Insights query takes no");
    let query = json!({ "metric": null, "expression": "SELECT MAX(d) FROM x", "period": "30s" });
    assert_refused(&query, "$.health.checks[0].period", "no periods below a minute");
    let all = math("SUM(METRICS())", "m");
    assert_refused(&all, "$.health.checks[0].expression", "METRICS() means every metric");
}

#[test]
fn names_are_distinct_and_few() {
    let check = changed(&json!({}))[0].clone();
    let twice = refused(&json!([check, check]));
    assert!(twice.contains("$.health.checks[1].name"), "{twice}");
    let many = refused(&Value::Array(vec![check; 21]));
    assert!(many.contains("21 checks"), "{many}");
}

#[test]
fn a_plan_has_the_measure_of_each_slot() {
    let measure = |dimensions: &[(&str, &str)]| {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Measure::Metric(MetricStatistic {
            namespace: "Shop".into(),
            name: "Orders".into(),
            dimensions: dimensions.collect(),
            statistic: "Sum".into(),
        })
    };
    let asked = measure(&[
        ("a", "${cluster}"),
        ("b", "${service}-${slot}"),
        ("c", "${targetGroup}"),
        ("d", "${loadBalancer}"),
    ]);
    let plan = fixtures::plan();
    let of = |role, service: &str, slot: &str, group: &str| {
        let expected =
            measure(&[("a", "production"), ("b", service), ("c", group), ("d", "app/shop/1")]);
        assert_eq!(Placeholder::fill(&asked, &plan, role), expected, "{slot}");
    };
    let route = &plan.routes[0];
    let (canary, stable) = (route.pair.canary.dimension(), route.pair.stable.dimension());
    of(Role::Canary, "shop-green-green", "green", canary);
    of(Role::Stable, "shop-blue-blue", "blue", stable);
}
