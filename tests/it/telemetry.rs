//! What the functions have really logged: metrics that CloudWatch takes, and the fields that the runbook's
//! queries ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use glidepath_core::telemetry::{Metric, NAMESPACE};
use glidepath_lab::Lab;
use serde_json::{Value, json};

use self::insights::Query;
use crate::{block_on, scenario};

mod insights;

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
/// Words of the language of Logs Insights that the runbook uses.
const WORDS: [&str; 12] = [
    "fields",
    "filter",
    "sort",
    "asc",
    "desc",
    "and",
    "or",
    "not",
    "in",
    "like",
    "ispresent",
    "limit",
];
/// What Logs Insights finds by itself in the log of a function (CloudWatch Logs guide, discoverable fields).
const DISCOVERED: [&str; 3] = ["@timestamp", "@message", "@requestId"];

/// The blocks below the heading.
fn queries() -> Vec<&'static str> {
    let (_, section) = RUNBOOK.split_once("### Searching the log\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    section.split("```\n").skip(1).step_by(2).collect()
}

/// The fields that a query names: its words outside of quotes.
fn fields(query: &str) -> BTreeSet<String> {
    let outside: String = query.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside.split(|char: char| !(char.is_alphanumeric() || "@._".contains(char)));
    let words =
        words.filter(|word| word.starts_with(|first: char| first.is_alphabetic() || first == '@'));
    words.filter(|word| !WORDS.contains(word)).map(str::to_owned).collect()
}

/// The names that Logs Insights has for the fields of a line.
fn names(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
    let Some(object) = value.as_object() else {
        into.insert(prefix.to_owned());
        return;
    };
    for (name, value) in object {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        names(&name, value, into);
    }
}

/// What a line says of a metric: the sets of dimensions, the unit and the value.
fn measured(line: &Value) -> Vec<(String, Vec<Vec<String>>, String, f64)> {
    let mut found = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("directives") {
        assert_eq!(directive["Namespace"], NAMESPACE, "{line}");
        let sets: Vec<Vec<String>> =
            serde_json::from_value(directive["Dimensions"].clone()).unwrap();
        for name in sets.iter().flatten() {
            assert!(line[name].as_str().is_some_and(|value| !value.is_empty()), "{name} of {line}");
        }
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let name = metric["Name"].as_str().expect("a name").to_owned();
            let value = line[&name].as_f64().unwrap_or_else(|| panic!("{name} of {line}"));
            let unit = metric["Unit"].as_str().unwrap_or_default().to_owned();
            found.push((name, sets.clone(), unit, value));
        }
    }
    found
}

/// Lines until there is one with this text.
async fn lines_with(lab: &Lab, text: &str) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let lines = lab.log_lines().await.unwrap();
        if lines.iter().any(|line| line.contains(text)) {
            return lines;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "no line with {text}:\n{}",
            lines.join("\n")
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn the_log_has_the_metrics_and_what_the_runbook_asks_for() {
    block_on(async {
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        // One with looks, and one that an alarm ends before the first of them.
        for name in ["good-version", "alarm-during-bake"] {
            let ran = lab.run(scenario(name), None).await.unwrap();
            assert!(ran.passed(), "{name}: {}", ran.failures());
        }
        // And something that fails.
        lab.send_event("RollbackFunctionName", &json!({})).await.unwrap();
        let lines = lines_with(&lab, "\"UnexpectedFailures\":1").await;
        let read: Vec<Value> =
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        metrics_are_as_documented(&read);
        let journal = std::fs::read_to_string(lab.journal()).unwrap();
        let refused: Vec<_> =
            journal.lines().filter(|line| line.contains("embedded-metrics-refused")).collect();
        assert!(refused.is_empty(), "{refused:?}");
        lines_name_what_they_are_about(&read);
        let mut known = BTreeSet::new();
        read.iter().for_each(|line| names("", line, &mut known));
        assert_eq!(queries().len(), 6);
        for query in queries() {
            let asked = fields(query);
            assert!(asked.len() > 1, "{query}");
            let known = |name: &String| known.contains(name) || DISCOVERED.contains(&name.as_str());
            let missing: Vec<_> = asked.iter().filter(|name| !known(name)).collect();
            assert!(missing.is_empty(), "no line has {missing:?}, which is asked for by\n{query}");
        }
        queries_find_what_they_are_for(&read);
    });
}

/// Each as the runbook has it, about something that has happened.
fn queries_find_what_they_are_for(lines: &[Value]) {
    let first = |path: &str| {
        let texts = lines.iter().filter_map(|line| line.pointer(path)?.as_str());
        texts.map(str::to_owned).next().unwrap_or_else(|| panic!("no line has {path}"))
    };
    let (deployment, request) = (first("/span/deployment"), first("/span/requestId"));
    let function = lines.iter().filter(|line| line.get("code").is_some());
    let function = function.filter_map(|line| line["FunctionName"].as_str()).next();
    let function = function.expect("a function that has failed");
    for query in queries() {
        let asked = query.replace("DEPLOYMENT", &deployment).replace("REQUEST", &request);
        let asked = asked.replace("FUNCTION", function);
        let found = lines.iter().filter(|line| Query::read(&asked).finds(line)).count();
        assert!(0 < found && found < lines.len(), "{found} of {} lines:\n{asked}", lines.len());
    }
}

fn metrics_are_as_documented(lines: &[Value]) {
    let mut seen = BTreeMap::<_, Vec<f64>>::new();
    for line in lines.iter().filter(|line| line.get("_aws").is_some()) {
        for (name, sets, unit, value) in measured(line) {
            let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name);
            let metric = metric.unwrap_or_else(|| panic!("{name} is not among the metrics"));
            let expected = metric.dimensions().iter().map(|set| set.iter().map(|name| name.name()));
            let expected: Vec<Vec<_>> = expected.map(Iterator::collect).collect();
            assert_eq!(sets, expected, "{line}");
            assert_eq!(unit, metric.unit().name(), "{line}");
            seen.entry(metric.name()).or_default().push(value);
        }
    }
    // Everything that is there to be measured where nothing is slow by the plan and AWS answers.
    for metric in Metric::ALL {
        let absent =
            [Metric::CanarySlowRequests, Metric::StableSlowRequests, Metric::TransientFailures];
        assert_eq!(seen.contains_key(metric.name()), !absent.contains(&metric), "{seen:?}");
    }
    assert!(seen["CanaryWeight"].iter().any(|weight| *weight > 0.0), "{seen:?}");
    let [took] = seen["AlarmToRoute"][..] else { panic!("one alarm: {seen:?}") };
    assert!((0.0..30.0).contains(&took), "{took} s");
}

fn lines_name_what_they_are_about(lines: &[Value]) {
    let own =
        |line: &&Value| line["target"].as_str().is_some_and(|from| from.starts_with("glidepath"));
    let own: Vec<_> = lines.iter().filter(own).collect();
    assert!(own.len() > 20, "{lines:?}");
    let mut without_stage = BTreeMap::<_, u32>::new();
    for line in own {
        let span = &line["span"];
        // The plan's have the deployment only.
        if span["deployment"].is_string() && span["requestId"].is_null() {
            assert!(span["stage"].is_null(), "{line}");
            continue;
        }
        assert!(span["requestId"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        assert!(span["traceId"].as_str().is_some_and(|id| id.starts_with("1-")), "{line}");
        let deployment = span["deployment"].as_str();
        if let Some(deployment) = deployment.filter(|_| line["message"] == "done") {
            let stage = span["stage"].as_u64();
            assert!(stage.is_none_or(|stage| stage >= 1), "{line}");
            *without_stage.entry(deployment).or_default() += u32::from(stage.is_none());
        }
    }
    // The plan is about no stage.
    assert!(
        !without_stage.is_empty() && without_stage.values().all(|lines| *lines <= 1),
        "{without_stage:?}"
    );
}

#[test]
fn the_fields_of_a_query_are_its_words_outside_of_quotes() {
    let query = "fields @timestamp, span.stage\n| filter level in [\"WARN\", \"x y\"] and ispresent(Verdict)\n| limit 50";
    let expected = ["@timestamp", "Verdict", "level", "span.stage"];
    assert_eq!(fields(query).into_iter().collect::<Vec<_>>(), expected);
}
