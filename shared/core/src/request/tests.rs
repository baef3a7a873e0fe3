use proptest::prelude::{
    Just, any, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
};
use proptest::strategy::Strategy as Generator;
use serde_json::json;

use super::*;
use crate::document::Finding;
use crate::fixtures::{RULE, decoded, document};
use crate::strategy::tests::strategies;

/// Any JSON, with names that mean something now and then.
fn anything() -> impl Generator<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof!["[0-9]{1,3}[smhd]?", "glidepath/v1", "proportional"].prop_map(Value::from),
    ];
    let name = prop_oneof![
        3 => prop_oneof![
            Just("apiVersion"), Just("service"), Just("target"), Just("release"),
            Just("strategy"), Just("canary"), Just("linear"), Just("stages"), Just("weight"),
            Just("bake"), Just("health"), Just("alarms"), Just("routes"), Just("slots"),
        ].prop_map(str::to_owned),
        1 => ".{0,8}",
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(name.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A place in a document: which of its values, counted in depth first order.
fn replace_one(document: &mut Value, place: &mut usize, replacement: &Value) {
    if *place == 0 {
        *document = replacement.clone();
    }
    *place = place.wrapping_sub(1);
    let children: Vec<&mut Value> = match document {
        Value::Array(entries) => entries.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    };
    for child in children {
        if *place < 1_000 {
            replace_one(child, place, replacement);
        }
    }
}

/// Renames the field at a place and returns its new path.
fn rename_one(value: &mut Value, path: &str, place: &mut usize, suffix: &str) -> Option<String> {
    match value {
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().cloned().collect();
            for name in names {
                if *place == 0 {
                    let renamed = format!("{name}{suffix}");
                    let moved = fields.remove(&name)?;
                    fields.insert(renamed.clone(), moved);
                    return Some(format!("{path}.{renamed}"));
                }
                *place -= 1;
                let child_path = format!("{path}.{name}");
                let child = fields.get_mut(&name)?;
                if let Some(found) = rename_one(child, &child_path, place, suffix) {
                    return Some(found);
                }
            }
            None
        }
        Value::Array(entries) => entries.iter_mut().enumerate().find_map(|(index, entry)| {
            rename_one(entry, &format!("{path}[{index}]"), place, suffix)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn errors(document: &Value) -> Vec<(String, String, String)> {
    let findings = decode(document).expect_err("the document has mistakes");
    let parts =
        |finding: &Finding| (finding.path.clone(), finding.message.clone(), finding.hint.clone());
    findings.iter().map(parts).collect()
}

/// The one finding about a document that was changed at one place.
#[track_caller]
fn only_error(pointer: &str, value: Value) -> (String, String, String) {
    let mut document = document();
    *document.pointer_mut(pointer).expect("the place is in the document") = value;
    let mut errors = errors(&document);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

#[track_caller]
fn assert_error(pointer: &str, value: Value, expected: (&str, &str, &str)) {
    let (path, message, hint) = only_error(pointer, value);
    assert_eq!((path.as_str(), message.as_str(), hint.as_str()), expected);
}

proptest! {
    #[test]
    fn any_json_is_a_request_or_has_an_error(document in anything()) {
        match decode(&document) {
            Ok(request) => prop_assert_eq!(decoded(&serde_json::to_value(&request).unwrap()), request),
            Err(findings) => {
                prop_assert!(findings.has_errors());
                for finding in findings.iter() {
                    prop_assert!(finding.path.starts_with('$'));
                    prop_assert!(!finding.message.is_empty() && !finding.hint.is_empty());
                }
            }
        }
    }

    #[test]
    fn anything_at_any_place_of_a_request_does_no_harm(mut place in 0usize..80, inserted in anything()) {
        let mut document = document();
        replace_one(&mut document, &mut place, &inserted);
        match decode(&document) {
            Ok(request) => prop_assert_eq!(decoded(&serde_json::to_value(&request).unwrap()), request),
            Err(findings) => prop_assert!(findings.has_errors()),
        }
    }

    #[test]
    fn a_misspelt_field_is_refused_with_its_path(mut place in 0usize..48, suffix in "[a-z]{1,3}") {
        let mut document = document();
        let renamed = rename_one(&mut document, "$", &mut place, &suffix);
        prop_assume!(renamed.is_some());
        let errors = errors(&document);
        prop_assert!(
            errors.iter().any(|(path, _, _)| Some(path) == renamed.as_ref()),
            "{:?} is not among {:#?}", renamed, errors
        );
    }

    #[test]
    fn every_strategy_is_read_as_it_is_written(strategy in strategies()) {
        let mut document = document();
        document["strategy"] = serde_json::to_value(&strategy).unwrap();
        prop_assert_eq!(decoded(&document).strategy, strategy);
    }
}

#[test]
fn a_minimal_request_takes_every_default() {
    let mut document = document();
    let fields = document.as_object_mut().unwrap();
    fields
        .retain(|name, _| ["apiVersion", "service", "target", "release"].contains(&name.as_str()));
    let request = decoded(&document);
    assert_eq!(request.strategy, Strategy::default());
    assert_eq!(request.health, Health::default());
    assert_eq!(request.health.bad_requests.limit.to_string(), "5 %");
    assert_eq!(request.capacity.scale_in_delay, Span::from_secs(60));
    assert_eq!(request.settle_within, Span::from_secs(900));
    assert_eq!(request.retention, Span::from_secs(300));
}

#[test]
fn all_mistakes_are_found_at_once() {
    let document = json!({
        "apiVersion": "glidepath/v2",
        "service": "shop",
        "target": {
            "cluster": "production",
            "slots": { "blue": "shop", "green": "shop" },
            "routes": [{ "rule": RULE }, { "rule": RULE }, { "listner": "arn" }]
        },
        "strategy": { "canary": { "stages": [
            { "weight": 10, "bake": 5 },
            { "weight": 5.55, "bake": "5m" },
            { "weight": 10, "bakes": "5m" },
            { "weight": 50, "approval": { "timeout": "4" } }
        ] } },
        "retention": "soon",
        "health": { "minimumRequests": 0, "onInconclusive": { "then": "wait" } },
        "notify": ["team-shop", "team-shop"]
    });
    let findings = decode(&document).expect_err("the document has mistakes");
    crate::fixtures::same_as_file("src/request/expected/mistakes.txt", &findings.to_string());
}

#[test]
fn weights_increase_by_at_most_one_decimal_and_end_at_everything() {
    let stages = "/strategy/canary/stages";
    assert_error(
        &format!("{stages}/1/weight"),
        json!(5),
        (
            "$.strategy.canary.stages[1].weight",
            "5 % does not go beyond the 5 % of stages[0]",
            "let the weights increase from stage to stage",
        ),
    );
    assert_error(
        &format!("{stages}/1/weight"),
        json!(12.55),
        (
            "$.strategy.canary.stages[1].weight",
            "12.55 is finer than one decimal of a percent",
            "write 12.6",
        ),
    );
    assert_error(
        &format!("{stages}/3/weight"),
        json!(99.9),
        (
            "$.strategy.canary.stages[3].weight",
            "the last stage ends at 99.9 %",
            "end with a stage of weight 100: a deployment is done when everything has moved",
        ),
    );
    assert_error(
        &format!("{stages}/0/weight"),
        json!(-5),
        (
            "$.strategy.canary.stages[0].weight",
            "-5 is not a share",
            "write percent from 0 to 100, with at most one decimal",
        ),
    );
}

#[test]
fn durations_have_a_unit() {
    for number in [json!(5), json!("5")] {
        let (path, message, hint) = only_error("/retention", number);
        assert_eq!(path, "$.retention");
        assert!(message.contains("has no unit"), "{message}");
        assert_eq!(hint, "write 5m, not 5");
    }
    assert_error(
        "/health/interval",
        json!("0s"),
        ("$.health.interval", "no time at all", "write a length of time such as 60s"),
    );
}

#[test]
fn an_unknown_word_names_the_nearest_or_all() {
    assert_error(
        "/capacity/canary",
        json!("proportionate"),
        ("$.capacity.canary", "unknown value `proportionate`", "write `proportional`"),
    );
    assert_error(
        "/health/onInconclusive/then",
        json!("x"),
        (
            "$.health.onInconclusive.then",
            "unknown value `x`",
            "write `hold`, `rollback` or `continue`",
        ),
    );
    assert_error(
        "/apiVersion",
        json!("glidepath/v2"),
        ("$.apiVersion", "unknown value `glidepath/v2`", "write `glidepath/v1`"),
    );
}

#[test]
fn names_that_cannot_be_are_refused_before_anybody_looks_for_them() {
    for not_a_revision in ["shop", "shop:latest", ":3", "shop:0", "shop:+42", "shop:042"] {
        let (path, _, _) = only_error("/release/taskDefinition", json!(not_a_revision));
        assert_eq!(path, "$.release.taskDefinition");
    }
    let arn = "arn:aws:ecs:eu-west-1:123456789012:service/production/shop-blue";
    let (path, _, hint) = only_error("/target/slots/blue", json!(arn));
    assert_eq!(path, "$.target.slots.blue");
    assert!(hint.contains("not its ARN"), "{hint}");
    let network = RULE.replace("/app/", "/net/");
    let (path, message, _) = only_error("/target/routes/0/rule", json!(network));
    assert_eq!(path, "$.target.routes[0].rule");
    assert_eq!(message, "a Network Load Balancer has no weights to shift");
    let gateway = json!(RULE.replace("/app/", "/gwy/"));
    let (_, message, _) = only_error("/target/routes/0/rule", gateway);
    assert_eq!(message, "a Gateway Load Balancer has no weights to shift");
    let (path, message, _) = only_error("/target/routes/0", json!({ "listener": RULE }));
    assert_eq!(path, "$.target.routes[0].listener");
    assert!(message.contains("is not the ARN of an Application Load Balancer's listener"));
}

#[test]
fn exactly_one_strategy_is_written() {
    let (path, message, hint) = only_error("/strategy", json!({}));
    assert_eq!((path.as_str(), message.as_str()), ("$.strategy", "an empty object"));
    assert_eq!(hint, "write { `canary`, `linear`, `blueGreen` or `allAtOnce`: ... }");
    let both = json!({ "blueGreen": {}, "allAtOnce": {} });
    let (path, message, _) = only_error("/strategy", both);
    let expected = ("$.strategy", "2 fields where exactly one is allowed");
    assert_eq!((path.as_str(), message.as_str()), expected);
}

#[test]
fn a_failure_holds_as_many_findings_as_fit() {
    let names: Vec<_> = (0..900).map(|_| json!("twice")).collect();
    let mut document = document();
    document["notify"] = Value::from(names);
    let findings = decode(&document).expect_err("the document has mistakes");
    let failure = findings.failure(crate::failure::FailureCode::InvalidRequest);
    assert!(failure.cause.len() < 32_768);
    let last = failure.cause.lines().last().unwrap();
    assert!(last.starts_with("and ") && last.ends_with(" more"), "{last}");
}
