//! Compares what was observed with what a scenario expects.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::matching::{Matcher, WeightIs};
use crate::scenario::{
    DeploymentExpectations, ExecutionStatus, Happening, Scenario, ServiceExpectations, Slot,
};
use crate::timeline::{Event, Observed};

/// One expectation and whether it came true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was expected, in words.
    pub expected: String,
    /// What was found instead; empty if it came true.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub found: String,
    pub passed: bool,
    /// Whether it says only that a fault struck.
    #[serde(skip)]
    pub(crate) about_faults: bool,
}

impl Finding {
    /// An expectation, with what was found if it did not come true.
    pub fn new(expected: impl Into<String>, passed: bool, found: impl Into<String>) -> Self {
        let found = if passed { String::new() } else { found.into() };
        Self { expected: expected.into(), found, passed, about_faults: false }
    }

    /// In words, if it did not come true.
    pub(crate) fn failure(&self) -> String {
        format!("{}; found: {}", self.expected, self.found)
    }
}

/// Every expectation of the scenario but those on rules and listeners, which only AWS can tell.
pub(crate) fn check(scenario: &Scenario, events: &[Observed]) -> Vec<Finding> {
    let facts = Facts::gather(events);
    let mut findings = Vec::new();
    for (name, expected) in &scenario.expect.deployments {
        deployment(name, expected, &facts, &mut findings);
    }
    for (name, expected) in &scenario.expect.services {
        service(name, expected, &facts, &mut findings);
    }
    for happenings in &scenario.expect.in_order {
        findings.push(in_order(happenings, events));
    }
    for happening in &scenario.expect.never {
        let mut matcher = Matcher::new(happening, WeightIs::Written);
        let seen = events.iter().find(|event| matcher.sees(event));
        let found = seen.map_or(String::new(), |event| format!("at {:.1} s", event.at));
        findings.push(Finding::new(format!("never {happening}"), seen.is_none(), found));
    }
    findings.extend(script(scenario, events));
    findings.extend(faults(scenario, events));
    findings.extend(time_limit(events));
    findings
}

/// What is true at the end, and lists of what happened.
#[derive(Default)]
struct Facts<'a> {
    executions: BTreeMap<&'a str, (ExecutionStatus, Option<&'a str>, Option<&'a str>)>,
    stages: BTreeMap<&'a str, Vec<f64>>,
    states: BTreeMap<&'a str, Vec<&'a str>>,
    /// By their place in the deployment's timeline: they may overtake each other on their way.
    notices: BTreeMap<&'a str, BTreeMap<u64, &'a str>>,
    /// By deployment and channel, as they came.
    arrived: BTreeMap<(&'a str, &'a str), Vec<&'a str>>,
    weights: BTreeMap<(&'a str, usize), (f64, f64)>,
    tasks: BTreeMap<(&'a str, Slot), (u32, u32, &'a str)>,
    scaling: BTreeMap<(&'a str, Slot), &'a str>,
    requests: BTreeMap<&'a str, Requests<'a>>,
}

#[derive(Default)]
struct Requests<'a> {
    made: u64,
    bad: u64,
    /// How many no task answered, and in which seconds, by what the clients got.
    unanswered: BTreeMap<&'a str, (u64, Vec<f64>)>,
}

impl Requests<'_> {
    /// As somebody needs it who was not there: `10 of 9960 requests: 10 × 502 (at 41.0 s)`.
    fn unanswered(&self) -> String {
        let kinds = self.unanswered.iter().map(|(got, (count, seconds))| {
            let seconds: Vec<_> = seconds.iter().map(|at| format!("{at:.1}")).collect();
            format!("{count} × {got} (at {} s)", seconds.join(", "))
        });
        let count: u64 = self.unanswered.values().map(|(count, _)| count).sum();
        format!("{count} of {} requests: {}", self.made, kinds.collect::<Vec<_>>().join(", "))
    }
}

impl<'a> Facts<'a> {
    fn gather(events: &'a [Observed]) -> Self {
        let mut facts = Self::default();
        for Observed { at, event } in events {
            if let Event::Notice { deployment, channel, name, .. } = event {
                let name = name.as_deref().unwrap_or("unnamed");
                let arrived = facts.arrived.entry((deployment.as_str(), channel.as_str()));
                arrived.or_default().push(name);
            }
            match event {
                Event::Execution { deployment, status, error, cause } => {
                    let outcome = (*status, error.as_deref(), cause.as_deref());
                    facts.executions.insert(deployment, outcome);
                }
                Event::Stage { deployment, weight, .. } => {
                    facts.stages.entry(deployment).or_default().push(*weight);
                }
                Event::State { deployment, state } => {
                    facts.states.entry(deployment).or_default().push(state);
                }
                Event::Notice {
                    deployment, name: Some(name), sequence: Some(sequence), ..
                } => {
                    // Each arrives at least once, on every channel that says which it is.
                    facts.notices.entry(deployment).or_default().insert(*sequence, name);
                }
                Event::WeightsRead { service, route, blue, green } => {
                    facts.weights.insert((service, *route), (*blue, *green));
                }
                Event::Tasks { service, slot, desired, running, version } => {
                    facts.tasks.insert((service, *slot), (*desired, *running, version));
                }
                Event::Scaling { service, slot, settings } => {
                    facts.scaling.insert((service, *slot), settings);
                }
                Event::Requests { service, answered } => {
                    let total = facts.requests.entry(service).or_default();
                    for answered in answered.values() {
                        total.made += answered.requests;
                        total.bad += answered.bad;
                        for (got, count) in answered.unanswered.iter().filter(|(_, n)| **n > 0) {
                            let (sum, seconds) = total.unanswered.entry(got).or_default();
                            *sum += count;
                            seconds.push(*at);
                        }
                    }
                }
                Event::Started { .. }
                | Event::Verdict { .. }
                | Event::WeightsWritten { .. }
                | Event::Notice { .. }
                | Event::Alarm { .. }
                | Event::Script { .. }
                | Event::TimeLimit { .. }
                | Event::FirstBadRequest { .. }
                | Event::Fault { .. }
                | Event::SweepFailed { .. } => {}
            }
        }
        facts
    }
}

fn deployment(
    name: &str,
    expected: &DeploymentExpectations,
    facts: &Facts<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut add = |what: String, passed: bool, found: String| {
        findings.push(Finding::new(format!("deployment `{name}`: {what}"), passed, found));
    };
    let outcome = facts.executions.get(name);
    let (error, cause) = outcome.map_or((None, None), |(_, error, cause)| (*error, *cause));
    if let Some(status) = expected.status {
        let found = outcome.map(|(found, ..)| *found);
        let words = found.map_or("it was not started".to_owned(), |found| format!("{found:?}"));
        let words = format!("{words} {} {}", error.unwrap_or_default(), cause.unwrap_or_default());
        add(format!("ends as {status:?}"), found == Some(status), words.trim_end().to_owned());
    }
    if let Some(failure) = &expected.failure {
        let found = error.unwrap_or("no failure");
        add(format!("fails with {failure}"), error == Some(failure), found.to_owned());
    }
    for text in &expected.cause_contains {
        let passed = cause.is_some_and(|cause| cause.contains(text));
        add(format!("its cause contains `{text}`"), passed, cause.unwrap_or("no cause").to_owned());
    }
    if let Some(weights) = &expected.weights {
        let found = facts.stages.get(name).map(Vec::as_slice).unwrap_or_default();
        let same = found.len() == weights.len()
            && found.iter().zip(weights).all(|(found, wanted)| (found - wanted).abs() < 0.05);
        add(format!("shifts to {weights:?} percent"), same, format!("{found:?}"));
    }
    let states = facts.states.get(name).map(Vec::as_slice).unwrap_or_default();
    if !expected.states.is_empty() {
        let what = format!("enters {} in this order", expected.states.join(", "));
        add(what, is_subsequence(&expected.states, states), states.join(", "));
    }
    let notices: Vec<&str> =
        facts.notices.get(name).into_iter().flat_map(BTreeMap::values).copied().collect();
    if !expected.notices.is_empty() {
        let what = format!("tells {} in this order", expected.notices.join(", "));
        add(what, is_subsequence(&expected.notices, &notices), notices.join(", "));
    }
    let without_waiting = |names: Vec<&str>| -> Vec<String> {
        names.into_iter().filter(|name| *name != "waiting").map(str::to_owned).collect()
    };
    for (channel, wanted) in &expected.arrives {
        let found = facts.arrived.get(&(name, channel.as_str())).cloned().unwrap_or_default();
        let found = without_waiting(found);
        let what = format!("exactly {} arrives on {channel}", wanted.join(", "));
        add(what, *wanted == found, found.join(", "));
    }
    if let Some(exact) = &expected.exact_notices {
        let wanted = without_waiting(exact.iter().map(String::as_str).collect());
        let found = without_waiting(notices.to_vec());
        add(format!("tells exactly {}", wanted.join(", ")), wanted == found, found.join(", "));
    }
}

fn service(
    name: &str,
    expected: &ServiceExpectations,
    facts: &Facts<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut add = |what: String, passed: bool, found: String| {
        findings.push(Finding::new(format!("service `{name}`: {what}"), passed, found));
    };
    if let Some(serving) = expected.serving {
        let weights: Vec<(f64, f64)> = facts
            .weights
            .iter()
            .filter(|((service, _), _)| *service == name)
            .map(|(_, weights)| *weights)
            .collect();
        let all = |(blue, green): &(f64, f64)| match serving {
            Slot::Blue => *blue > 0.0 && *green <= 0.0,
            Slot::Green => *green > 0.0 && *blue <= 0.0,
        };
        let passed = !weights.is_empty() && weights.iter().all(all);
        add(format!("{serving} has all the traffic"), passed, format!("(blue, green) {weights:?}"));
    }
    let tasks = |slot: Slot| facts.tasks.get(&(name, slot)).copied();
    let or_unseen = |found: Option<String>| found.unwrap_or_else(|| "not seen".to_owned());
    for (slot, version) in &expected.version {
        let found = tasks(*slot).map(|(_, _, version)| version.to_owned());
        add(
            format!("{slot} is asked to run {version}"),
            found.as_ref() == Some(version),
            or_unseen(found),
        );
    }
    for (slot, count) in &expected.desired_count {
        let found = tasks(*slot).map(|(desired, ..)| desired);
        add(
            format!("{slot} is asked for {count} tasks"),
            found == Some(*count),
            or_unseen(found.map(|n| n.to_string())),
        );
    }
    for (slot, count) in &expected.running_count {
        let found = tasks(*slot).map(|(_, running, _)| running);
        add(
            format!("{slot} runs {count} tasks"),
            found == Some(*count),
            or_unseen(found.map(|n| n.to_string())),
        );
    }
    for (slot, settings) in &expected.scaling {
        let found = facts.scaling.get(&(name, *slot)).map(|found| (*found).to_owned());
        let what = format!("{slot} is scaled within {settings}");
        add(what, found.as_ref() == Some(settings), or_unseen(found));
    }
    let nobody = Requests::default();
    let asked = facts.requests.get(name).unwrap_or(&nobody);
    let (requests, bad) = (asked.made, asked.bad);
    let (none, unanswered) = (asked.unanswered.is_empty(), asked.unanswered());
    // Where nobody asked, nobody was refused.
    let asked = requests > 0;
    if let Some(limit) = expected.max_bad_requests {
        let what = format!("at most {limit} bad requests");
        add(what, asked && bad <= limit, format!("{bad} of {requests}"));
    }
    if let Some(limit) = expected.min_requests {
        add(format!("at least {limit} requests"), requests >= limit, requests.to_string());
    }
    if expected.no_load_balancer_errors {
        let what = "no errors of the load balancer itself".to_owned();
        add(what, asked && none, unanswered);
    }
}

fn is_subsequence(wanted: &[String], found: &[&str]) -> bool {
    let mut found = found.iter();
    wanted.iter().all(|wanted| found.any(|found| found == wanted))
}

fn in_order(happenings: &[Happening], events: &[Observed]) -> Finding {
    let words: Vec<String> = happenings.iter().map(Happening::to_string).collect();
    let expected = format!("in this order: {}", words.join(", "));
    // In order of time: what was seen first has not always happened first.
    let mut ordered: Vec<&Observed> = events.iter().collect();
    ordered.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut from = 0;
    for (happening, words) in happenings.iter().zip(&words) {
        let mut matcher = Matcher::new(happening, WeightIs::Written);
        // From the beginning, because what counts repetitions must see all of them.
        let seen = ordered.iter().enumerate().filter(|(_, event)| matcher.sees_any(event));
        let wanted = happening.time.unwrap_or(1);
        let position = match happening.time {
            Some(_) => seen.map(|(index, _)| index).nth(wanted - 1).filter(|index| *index >= from),
            None => seen.map(|(index, _)| index).find(|index| *index >= from),
        };
        match position {
            Some(position) => from = position + 1,
            None => {
                return Finding::new(
                    expected,
                    false,
                    format!("{words} did not happen, or not then"),
                );
            }
        }
    }
    Finding::new(expected, true, "")
}

fn time_limit(events: &[Observed]) -> Option<Finding> {
    let late = events.iter().find(|observed| matches!(observed.event, Event::TimeLimit { .. }))?;
    Some(Finding::new(
        "it ends within its time limit",
        false,
        format!("stopped after {:.0} s", late.at),
    ))
}

/// The script itself is expected to be carried out, without errors.
fn script(scenario: &Scenario, events: &[Observed]) -> Vec<Finding> {
    let outcomes: BTreeMap<usize, &Option<String>> = events
        .iter()
        .filter_map(|observed| {
            let Event::Script { step, error, .. } = &observed.event else { return None };
            Some((*step, error))
        })
        .collect();
    (1..=scenario.script.len())
        .map(|step| {
            let found = match outcomes.get(&step) {
                None => "its moment never came".to_owned(),
                Some(None) => String::new(),
                Some(Some(error)) => error.clone(),
            };
            Finding::new(format!("step {step} of the script is done"), found.is_empty(), found)
        })
        .collect()
}

/// A fault that never strikes proves nothing.
fn faults(scenario: &Scenario, events: &[Observed]) -> Vec<Finding> {
    let asked = scenario.asked_faults().into_iter();
    asked
        .map(|(name, fault)| {
            let struck = events.iter().any(
                |observed| matches!(&observed.event, Event::Fault { fault, .. } if *fault == name),
            );
            let expected = format!("{name} strikes: {fault}");
            let finding = Finding::new(expected, struck, "there was no such call");
            Finding { about_faults: true, ..finding }
        })
        .collect()
}

#[cfg(test)]
mod tests;
