//! A plan as a table for people: what happens when, and what it needs.

use std::fmt;

use crate::pace::expected_history_events;
use crate::people::people;
use crate::plan::{CanaryCapacity, OnTimeout, Opening, Openings, Plan, Stage, StrategyName};
use crate::request::Request;
use crate::scaling::ScalableTarget;
use crate::time::Span;

/// The stages of a deployment with the earliest time at which each begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    title: String,
    rows: Vec<Row>,
    totals: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row([String; COLUMNS.len()]);

/// Titles of the columns, and whether they hold numbers.
const COLUMNS: [(&str, bool); 6] = [
    ("stage", true),
    ("weight", true),
    ("canary tasks", true),
    ("begins after", true),
    ("bakes for", true),
    ("approval", false),
];

/// What the rows are made of.
struct Source<'a> {
    stages: &'a [Stage],
    capacity: CanaryCapacity,
    /// Tasks of the stable slot; `None`: nobody has looked.
    stable_tasks: Option<u32>,
    /// Within which bounds these are scaled.
    scaling: Option<ScalableTarget>,
    settle_within: Span,
    extend_up_to: Span,
    interval: Span,
    retention: Span,
    windows: Option<&'a Openings>,
}

impl Timetable {
    /// Of a plan whose resources were found.
    pub fn of_plan(plan: &Plan) -> Self {
        let (old, new) = (plan.stable.task_definition.short(), plan.task_definition.short());
        let title = format!(
            "{}: {new} in the {} slot replaces {old} in the {} slot ({})",
            plan.service, plan.canary.slot, plan.stable.slot, plan.strategy
        );
        let source = Source {
            stages: &plan.stages,
            capacity: plan.capacity,
            stable_tasks: Some(plan.stable.desired_count),
            scaling: plan.stable.scaling,
            settle_within: plan.settle_within,
            extend_up_to: plan.health.extend_up_to,
            interval: plan.health.interval,
            retention: plan.retention,
            windows: plan.windows.as_ref(),
        };
        source.timetable(title)
    }

    /// Of a request alone: which slot is stable and how many tasks it has is not known.
    pub fn of_request(request: &Request, windows: Option<&Openings>) -> Self {
        let name: StrategyName = request.strategy.name();
        let new = request.release.task_definition.short();
        let source = Source {
            stages: &request.strategy.stages(),
            capacity: request.strategy.capacity(request.capacity.canary),
            stable_tasks: None,
            scaling: None,
            settle_within: request.settle_within,
            extend_up_to: request.health.on_inconclusive.extend_up_to,
            interval: request.health.interval,
            retention: request.retention,
            windows,
        };
        source.timetable(format!("{}: {new} ({name})", request.service))
    }
}

impl Source<'_> {
    fn timetable(&self, title: String) -> Timetable {
        let mut rows = Vec::new();
        let mut elapsed = Span::ZERO;
        for (index, stage) in self.stages.iter().enumerate() {
            let wait = stage.approval.as_ref().and_then(|approval| approval.not_before);
            elapsed = elapsed.plus(wait.unwrap_or_default());
            rows.push(Row([
                (index + 1).to_string(),
                stage.weight.to_string(),
                self.tasks(stage),
                for_people(elapsed),
                for_people(stage.bake),
                approval(stage),
            ]));
            elapsed = elapsed.plus(stage.bake);
        }
        Timetable { title, rows, totals: self.totals(elapsed) }
    }

    fn tasks(&self, stage: &Stage) -> String {
        match (self.stable_tasks, self.capacity) {
            (Some(stable), capacity) => capacity.tasks(stable, stage.weight).to_string(),
            (None, CanaryCapacity::Full) => "100 % of stable".to_owned(),
            (None, CanaryCapacity::Proportional) => format!("{} of stable", stage.weight),
        }
    }

    fn totals(&self, earliest: Span) -> Vec<String> {
        let approvals =
            |stage: &Stage| stage.approval.as_ref().map_or(Span::ZERO, |asked| asked.timeout);
        let latest = self.stages.iter().fold(Span::ZERO, |total, stage| {
            let started = total.plus(self.settle_within).plus(approvals(stage));
            started.plus(stage.bake).plus(self.extend_up_to)
        });
        let mut totals = vec![
            format!(
                "done after {} at the earliest; the start of tasks comes on top",
                for_people(earliest)
            ),
            format!("done or held after {} at the latest", for_people(latest)),
        ];
        totals.extend(self.windows.map(outside));
        if let Some(stable) = self.stable_tasks {
            let canary = self.stages.iter().map(|stage| self.capacity.tasks(stable, stage.weight));
            let most = stable.saturating_add(canary.max().unwrap_or(0));
            totals.push(format!(
                "at most {most} tasks at once; the old ones stay for {} after the end",
                for_people(self.retention)
            ));
            totals.extend(self.scaling.map(|found| held(found, stable)));
        }
        totals.push(format!(
            "about {} of 25000 history events, if approvals come late",
            expected_history_events(self.stages, self.interval, self.windows)
        ));
        totals
    }
}

/// How many windows are shown.
const SHOWN: usize = 3;

/// That times outside of the windows come on top.
fn outside(windows: &Openings) -> String {
    let shown = windows.open.iter().take(SHOWN);
    let shown = shown.map(|Opening { from, until }| {
        let known = if *until == windows.known_until { " (as far as is known)" } else { "" };
        format!("{from} to {until}{known}")
    });
    let shown: Vec<_> = shown.collect();
    let more = if windows.open.len() > SHOWN { ", ..." } else { "" };
    format!(
        "and the time outside its windows, in which it holds; they open {}{more}",
        shown.join(", ")
    )
}

/// What becomes of the bounds within which stable is scaled.
fn held(found: ScalableTarget, stable: u32) -> String {
    let held = found.held(stable);
    let (minimum, maximum) = (held.minimum, held.maximum);
    let maximum =
        if maximum == found.maximum { String::new() } else { format!(" and maximum at {maximum}") };
    format!("autoscaling {found} found; minimum held at {minimum}{maximum} until the commit")
}

fn approval(stage: &Stage) -> String {
    match &stage.approval {
        None => "-".to_owned(),
        Some(approval) => {
            let then = match approval.on_timeout {
                OnTimeout::Rollback => "rollback",
                OnTimeout::Continue => "continue",
            };
            let who = if approval.count > 1 {
                format!("{} ", people(approval.count))
            } else {
                String::new()
            };
            format!("{who}within {}, else {then}", for_people(approval.timeout))
        }
    }
}

/// The two greatest units: `90s` as `1m 30s`, `410m` as `6h 50m`.
fn for_people(span: Span) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut left = span.as_secs_up();
    let mut parts = Vec::new();
    for (unit, seconds) in UNITS {
        let count = left / seconds;
        left %= seconds;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

impl fmt::Display for Timetable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n", self.title)?;
        let titles = Row(COLUMNS.map(|(title, _)| title.to_owned()));
        let rows = || std::iter::once(&titles).chain(&self.rows);
        let mut widths = [0; COLUMNS.len()];
        for row in rows() {
            for (width, cell) in widths.iter_mut().zip(&row.0) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows() {
            let cells = row.0.iter().zip(widths).zip(COLUMNS);
            let line: Vec<_> = cells
                .map(
                    |((cell, width), (_, number))| {
                        if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            writeln!(formatter, "{}", line.join("  ").trim_end())?;
        }
        self.totals.iter().try_for_each(|total| write!(formatter, "\n{total}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_plan_is_a_table_with_totals() {
        let shown = Timetable::of_plan(&fixtures::plan()).to_string();
        fixtures::same_as_file("src/timetable/plan.txt", &shown);
    }

    #[test]
    fn without_a_look_at_the_resources_tasks_are_shares() {
        let shown = Timetable::of_request(&fixtures::request(), None).to_string();
        fixtures::same_as_file("src/timetable/request.txt", &shown);
    }

    #[test]
    fn the_time_outside_the_windows_comes_on_top() {
        let day = Span::from_secs(86_400);
        let opening = |days| Opening {
            from: fixtures::NOW + day.times(days),
            until: fixtures::NOW + day.times(days).plus(Span::from_secs(3_600)),
        };
        let open: Vec<_> = (0..4).map(opening).collect();
        let known_until = fixtures::NOW + day.times(60);
        let mut plan = fixtures::plan();
        plan.windows = Some(Openings { open, known_until });
        fixtures::same_as_file("src/timetable/windows.txt", &Timetable::of_plan(&plan).to_string());
    }

    #[test]
    fn times_are_shown_in_their_two_greatest_units() {
        for (seconds, shown) in
            [(0, "0s"), (90, "1m 30s"), (24_600, "6h 50m"), (86_400, "1d"), (90_061, "1d 1h")]
        {
            assert_eq!(for_people(Span::from_secs(seconds)), shown);
        }
    }
}
