//! What is left of a scenario when it is over.

use std::path::Path;

use serde::Serialize;

use crate::check::Finding;
use crate::error::{Doing, LabResult};
use crate::observe::{Call, read_calls};
use crate::scene::Scene;
use crate::timeline::{Event, Observed};

/// Everything that was observed, and whether it was what was expected.
#[derive(Debug)]
pub struct Report {
    pub title: String,
    pub expectations: Vec<Finding>,
    pub events: Vec<Observed>,
    /// Every AWS call of the product's functions and state machine, in the order of its answers.
    pub calls: Vec<Call>,
    /// When it began, in seconds since 1970: what `at` of events counts from.
    pub began: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The last line of a run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    event: &'static str,
    at: f64,
    title: &'a str,
    passed: bool,
    expectations: &'a [Finding],
}

impl Report {
    pub(crate) fn new(
        scene: &Scene,
        expectations: Vec<Finding>,
        journal: &Path,
        since: f64,
    ) -> LabResult<Self> {
        Ok(Self {
            title: scene.scenario.title.clone(),
            expectations,
            events: scene.timeline.all(),
            calls: read_calls(journal, since).doing("cannot read the journal")?,
            began: -scene.timeline.since_beginning(0.0),
            seconds: scene.timeline.now(),
        })
    }

    /// Whether every expectation came true.
    pub fn passed(&self) -> bool {
        self.expectations.iter().all(|finding| finding.passed)
    }

    /// The expectations that did not come true, one a line; for the message of a test.
    pub fn failures(&self) -> String {
        let failed = self.expectations.iter().filter(|finding| !finding.passed);
        failed.map(Finding::failure).collect::<Vec<_>>().join("\n")
    }

    /// How often a fault struck.
    pub(crate) fn strikes(&self) -> usize {
        let strikes = self.events.iter().map(|observed| &observed.event);
        strikes.filter(|event| matches!(event, Event::Fault { .. })).count()
    }

    /// [`Self::failures`] of everything but whether the faults struck.
    pub(crate) fn failures_besides_strikes(&self) -> String {
        let failed = self.expectations.iter().filter(|finding| !finding.passed);
        let failed = failed.filter(|finding| !finding.about_faults);
        failed.map(Finding::failure).collect::<Vec<_>>().join("\n")
    }

    /// The last line of a run, as JSON.
    pub fn outcome(&self) -> LabResult<String> {
        let outcome = Outcome {
            event: "outcome",
            at: (self.seconds * 1000.0).round() / 1000.0,
            title: &self.title,
            passed: self.passed(),
            expectations: &self.expectations,
        };
        serde_json::to_string(&outcome).doing("cannot write the outcome")
    }

    /// The calls of one action, `ModifyRule` for example, in order.
    pub fn calls_of<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.action == action)
    }

    /// The calls of the role whose name contains this text, in order.
    pub fn calls_by<'a>(&'a self, principal: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.principal.contains(principal))
    }

    /// For a person who looks for what went wrong: where each deployment was last.
    pub(crate) fn last_states(&self) -> Vec<String> {
        const LAST: usize = 12;
        let told = |observed: &&Observed| {
            matches!(
                observed.event,
                Event::State { .. }
                    | Event::Verdict { .. }
                    | Event::Execution { .. }
                    | Event::SweepFailed { .. }
                    | Event::Fault { .. }
                    | Event::TimeLimit { .. }
            )
        };
        let told: Vec<&Observed> = self.events.iter().filter(told).collect();
        let last = told.iter().rev().take(LAST).rev();
        last.map(|observed| format!("{:7.2} s  {}", observed.at, describe(&observed.event)))
            .collect()
    }
}

fn describe(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
