use serde_json::Value;

use super::*;
use crate::failure::FailureCode;
use crate::fixtures::{NOW, deployment};
use crate::health::{
    Cell, Judgement, LoadBalancerErrors, MeasuredMetrics, Reading, Readings, SlotRequests, Verdict,
};
use crate::ids::ServiceLabel;
use crate::plan::StageIndex;
use crate::time::Span;
use crate::weight::Weight;

fn origin() -> Origin {
    Origin { stack: "glidepath".to_owned(), function: "glidepath-ValidateFunction-1".to_owned() }
}

/// What CloudWatch would take, by the JSON schema on the page of the format and the words around it; the metrics
/// with their sets of dimensions.
fn taken(line: &str) -> Vec<(String, Vec<String>, f64)> {
    assert!(!line.contains('\n') && line.len() <= 1_048_576, "one event of the log");
    let root: Value = serde_json::from_str(line).unwrap();
    assert!(root["_aws"]["Timestamp"].is_i64(), "{root}");
    let directives = root["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let mut metrics = Vec::new();
    for directive in directives {
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=1024).contains(&namespace.chars().count()));
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty(), "{root}");
        let defined = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&defined.len()), "{root}");
        for set in sets {
            let names: Vec<_> =
                set.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert!(names.len() <= 30);
            for name in &names {
                let value = root[*name].as_str().unwrap_or_else(|| panic!("{name} of {root}"));
                assert!((1..=1024).contains(&value.chars().count()), "{value}");
            }
            for metric in defined {
                let name = metric["Name"].as_str().unwrap();
                let units = ["Count", "Seconds", "Percent", "None"];
                assert!(units.contains(&metric["Unit"].as_str().unwrap()), "{metric}");
                let value = root[name].as_f64().unwrap_or_else(|| panic!("{name} of {root}"));
                let names = names.iter().map(|name| (*name).to_owned()).collect();
                metrics.push((name.to_owned(), names, value));
            }
        }
    }
    metrics
}

fn cell(canary: (u64, u64), stable: (u64, u64), slow: Option<u64>) -> Cell {
    let requests = |(all, bad)| SlotRequests { all, bad, slow };
    Cell { from: NOW, stage: StageIndex(0), canary: requests(canary), stable: requests(stable) }
}

fn readings(requests: Reading<Vec<Cell>>) -> Readings {
    let unread = || "nobody asked".to_owned();
    Readings {
        at: NOW,
        alarms: Reading::Unreadable(unread()),
        targets: Reading::Unreadable(unread()),
        stopped_tasks: Reading::Unreadable(unread()),
        gaps: Vec::new(),
        metrics: Reading::Read(MeasuredMetrics {
            requests,
            connection_errors: Reading::Unreadable(unread()),
            load_balancer_errors: Reading::<Vec<LoadBalancerErrors>>::Unreadable(unread()),
            checks: Vec::new(),
        }),
        hooks: Vec::new(),
        probes: Vec::new(),
    }
}

fn look(requests: Reading<Vec<Cell>>) -> Vec<(String, Vec<String>, f64)> {
    let mut deployment = deployment();
    let quarter = Weight::from_permille(250).unwrap();
    deployment.progress.verified =
        deployment.plan.routes.iter().map(|route| route.at(quarter)).collect();
    let verdict = Verdict { judgement: Judgement::Suspect, reasons: Vec::new() };
    let measured = Measurement::of_look(&deployment, &readings(requests), &verdict);
    let line = measured.line(&origin(), NOW);
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(shown["deployment"], deployment.id.as_str());
    assert_eq!(shown["_aws"]["Timestamp"], NOW.as_millis());
    taken(&line)
}

fn value(of: &[(String, Vec<String>, f64)], metric: Metric) -> Option<f64> {
    of.iter().find(|(name, ..)| name == metric.name()).map(|(_, _, value)| *value)
}

#[test]
fn a_look_says_shares_of_the_newest_minute_and_how_bad_it_is() {
    let cells = vec![cell((10, 10), (10, 0), None), cell((50, 5), (150, 0), Some(1))];
    let looked = look(Reading::Read(cells));
    assert_eq!(value(&looked, Metric::CanaryWeight), Some(25.0));
    assert_eq!(value(&looked, Metric::CanaryTraffic), Some(25.0));
    assert_eq!(value(&looked, Metric::CanaryBadRequests), Some(10.0));
    assert_eq!(value(&looked, Metric::StableBadRequests), Some(0.0));
    assert_eq!(value(&looked, Metric::CanarySlowRequests), Some(2.0));
    assert_eq!(value(&looked, Metric::Verdict), Some(2.0));
    assert!(looked.iter().all(|(_, set, _)| *set == ["Stack", "Service"]), "{looked:?}");
}

#[test]
fn a_service_of_any_name_has_metrics() {
    for (service, expected) in
        [("shop", "shop"), ("\u{e4}\n", "??"), ("  ", "?"), (&"x".repeat(2000), &"x".repeat(255))]
    {
        let mut deployment = deployment();
        deployment.plan.service = ServiceLabel::new(service);
        let verdict = Verdict { judgement: Judgement::Pass, reasons: Vec::new() };
        let unread = readings(Reading::Unreadable("throttled".to_owned()));
        let line = Measurement::of_look(&deployment, &unread, &verdict).line(&origin(), NOW);
        assert!(!taken(&line).is_empty());
        let shown: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(shown["Service"], expected);
    }
}

#[test]
fn what_nobody_knows_is_no_zero() {
    for nothing in [
        Reading::Read(Vec::new()),
        Reading::Unreadable("throttled".to_owned()),
        Reading::Read(vec![cell((0, 0), (0, 0), None)]),
    ] {
        let looked = look(nothing);
        assert_eq!(value(&looked, Metric::CanaryBadRequests), None);
        assert_eq!(value(&looked, Metric::CanaryTraffic), None);
        assert_eq!(value(&looked, Metric::CanarySlowRequests), None);
        assert_eq!(value(&looked, Metric::CanaryWeight), Some(25.0));
    }
    let idle = look(Reading::Read(vec![cell((0, 0), (40, 2), None)]));
    assert_eq!(value(&idle, Metric::CanaryBadRequests), None);
    assert_eq!(value(&idle, Metric::StableBadRequests), Some(5.0));
}

#[test]
fn a_sweep_that_finds_nothing_says_zero() {
    let line = Measurement::of_sweep(Span::ZERO, Span::from_millis(90_500)).line(&origin(), NOW);
    let swept = taken(&line);
    assert_eq!(value(&swept, Metric::Sweeps), Some(1.0));
    assert_eq!(value(&swept, Metric::OverdueWork), Some(0.0));
    assert_eq!(value(&swept, Metric::UndeliveredNotices), Some(90.5));
}

#[test]
fn what_is_an_answer_is_no_failure_of_ours() {
    let answers = FailureCode::ALL.iter().filter(|code| code.kind().is_answer());
    assert!(answers.count() > 10);
    for code in FailureCode::ALL {
        let measured = Measurement::of_failure(*code);
        assert_eq!(measured.is_none(), code.kind().is_answer(), "{code}");
        let Some(measured) = measured else { continue };
        let line = measured.line(&origin(), NOW);
        let counted = taken(&line);
        // Of the stack, for the alarm, and of the function.
        assert_eq!(counted.len(), 2, "{line}");
        let shown: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(shown["code"], code.name());
    }
}

#[test]
fn every_metric_is_written_with_its_unit_and_its_dimensions() {
    let cells = vec![cell((50, 5), (150, 0), Some(1))];
    let of_failure = |code| Measurement::of_failure(code).unwrap().line(&origin(), NOW);
    let mut written = look(Reading::Read(cells));
    written.extend(taken(&Measurement::of_sweep(Span::ZERO, Span::ZERO).line(&origin(), NOW)));
    written.extend(taken(&Measurement::of_rollback(Span::from_secs(2)).line(&origin(), NOW)));
    written.extend(taken(&of_failure(FailureCode::Transient)));
    written.extend(taken(&of_failure(FailureCode::Unexpected)));
    for metric in Metric::ALL {
        let sets = written.iter().filter(|(name, ..)| name == metric.name());
        let sets: Vec<Vec<_>> = sets.map(|(_, set, _)| set.clone()).collect();
        let expected = metric.dimensions().iter();
        let expected: Vec<Vec<_>> = expected
            .map(|set| set.iter().map(|dimension| dimension.name().to_owned()).collect())
            .collect();
        assert_eq!(sets, expected, "{}", metric.name());
    }
}
