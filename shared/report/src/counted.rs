//! What a report shows: what was counted, what the comparison knew, and what became of it.

use glidepath_core::health::sequential::{Point, RateRatio};
use glidepath_core::health::{Cell, Comparison, Excess, SlotRequests, excess};
use glidepath_core::plan::Permille;
use glidepath_core::time::{Span, Timestamp};
use serde_json::{Value, json};

/// Everything that is shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of what was judged.
    pub subject: String,
    /// What became of it, in a few words that can follow a semicolon.
    pub outcome: String,
    /// What was counted, in order.
    pub rows: Vec<Row>,
    /// The stages that were reached, in order.
    pub stages: Vec<StageName>,
    /// How moments are named.
    pub times: Times,
    /// The length of most rows.
    pub period: Span,
    /// What the sequential test says; `None` where the versions are not compared.
    pub comparison: Option<Comparison>,
    /// The plan's own limit for bad requests.
    pub limit: Option<Permille>,
    /// Canary requests of a stage below which the limit says nothing.
    pub minimum_requests: u64,
    /// Requests that take longer are slow, where that is known.
    pub slower_than: Option<Span>,
    /// When the canary lost its traffic, or would have.
    pub end: Option<End>,
}

/// What was counted in one period, and what was known after it.
#[derive(Clone, Debug)]
pub struct Row {
    pub cell: Cell,
    pub length: Span,
    /// What the test knows then; `None` where nothing is compared.
    pub point: Option<Point>,
}

/// A stage that was reached.
#[derive(Clone, Debug)]
pub struct StageName {
    /// Its number or name.
    pub name: String,
    /// Its weight, where it is known.
    pub weight: Option<String>,
    /// When it had its weight.
    pub from: Timestamp,
}

/// How moments are named.
#[derive(Clone, Debug)]
pub enum Times {
    /// By the rows' own labels; when they were is not known.
    Labels(Vec<String>),
    /// By the clock, in UTC.
    Clock,
}

/// The end of the canary's traffic.
#[derive(Clone, Debug)]
pub struct End {
    pub at: Timestamp,
    /// How and when, in some words.
    pub words: String,
}

/// Why a row rolls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    Comparison,
    /// Most requests of one minute were bad.
    GrossFailure,
    /// Over its stage so far, more than the plan's own limit.
    Limit,
}

/// Each cell with its length and what the comparison knows after it.
pub fn rows(cells: Vec<(Cell, Span)>, comparison: Option<&Comparison>) -> Vec<Row> {
    let compared = comparison.into_iter();
    let mut points = compared
        .flat_map(|comparison| comparison.cells.iter().zip(comparison.points.iter()))
        .peekable();
    let row = |(cell, length): (Cell, Span)| {
        // Cells of stages that are not compared are no cells of the comparison.
        let point = points.next_if(|(compared, _)| compared.from == cell.from);
        Row { cell, length, point: point.map(|(_, point)| point.clone()) }
    };
    cells.into_iter().map(row).collect()
}

/// The first row that rolls back, and what does it: in one row the comparison is named before.
pub fn first_failing(report: &Report) -> Option<(usize, Because)> {
    let rows = &report.rows;
    let cells: Vec<_> = rows.iter().map(|row| row.cell).collect();
    let ratio = report.comparison.as_ref().map(|comparison| comparison.parameters.ratio());
    let exceeded = (0..cells.len()).find_map(|at| {
        let excess = excess(
            report.limit,
            report.minimum_requests,
            ratio,
            cells.get(..=at).unwrap_or_default(),
        );
        excess.map(|excess| match excess {
            Excess::GrossFailure => (at, Because::GrossFailure),
            Excess::Limit => (at, Because::Limit),
        })
    });
    let compared = rows.iter().position(|row| row.point.as_ref().is_some_and(|point| point.fails));
    let compared = compared.map(|at| (at, Because::Comparison));
    compared.into_iter().chain(exceeded).min()
}

impl Row {
    pub fn until(&self) -> Timestamp {
        self.cell.from + self.length
    }
}

impl Report {
    /// When the first period begins; the weight may have moved a little before.
    pub(super) fn begins(&self) -> Timestamp {
        let stage = self.stages.iter().map(|stage| stage.from);
        let row = self.rows.iter().map(|row| row.cell.from);
        stage.chain(row).min().unwrap_or(Timestamp::from_millis(0))
    }

    /// When all is over.
    pub(super) fn ends(&self) -> Timestamp {
        let rows = self.rows.iter().map(Row::until);
        let end = self.end.iter().map(|end| end.at);
        rows.chain(end).max().unwrap_or(self.begins()).max(self.begins() + Span::from_millis(1))
    }

    /// Canary's and stable's requests of a row's stage, up to that row.
    pub fn stage_so_far(&self, at: usize) -> (SlotRequests, SlotRequests) {
        let rows = self.rows.get(..=at).unwrap_or_default();
        let stage = rows.last().map(|row| row.cell.stage);
        let here = || rows.iter().filter(|row| Some(row.cell.stage) == stage);
        (total_of(here().map(|row| row.cell.canary)), total_of(here().map(|row| row.cell.stable)))
    }

    /// What broke the limit, and the limit.
    pub fn over_the_limit(&self, at: usize) -> String {
        let (canary, _) = self.stage_so_far(at);
        let share = 100.0 * canary.bad as f64 / canary.all.max(1) as f64;
        let limit = self.limit.map_or_else(String::new, |limit| format!(", allowed are {limit}"));
        format!(
            "{} of {} canary requests of the stage are bad ({share:.1} %){limit}",
            canary.bad, canary.all
        )
    }

    /// Whether slow requests were counted.
    pub(super) fn counts_slow(&self) -> bool {
        self.rows.iter().any(|row| row.cell.canary.slow.is_some() && row.cell.stable.slow.is_some())
    }

    /// The rows of a stage, by its place among those that were reached.
    pub(super) fn rows_of(&self, place: usize) -> &[Row] {
        let from = |place: usize| match self.stages.get(place) {
            Some(stage) => self.rows.partition_point(|row| row.cell.from < stage.from),
            None => self.rows.len(),
        };
        self.rows.get(from(place)..from(place + 1)).unwrap_or_default()
    }
}

/// How many times stable's proportion, for programs.
pub fn interval(ratio: &RateRatio) -> Value {
    json!({ "timesStable": ratio.estimate, "lower": ratio.lower, "upper": ratio.upper })
}

pub fn total(rows: &[Row], slot: impl Fn(&Row) -> SlotRequests) -> SlotRequests {
    total_of(rows.iter().map(slot))
}

pub fn total_of(slots: impl Iterator<Item = SlotRequests>) -> SlotRequests {
    // Begins with the first: a sum with the default would forget whether slow ones were counted.
    slots.reduce(SlotRequests::plus).unwrap_or_default()
}

/// Which requests of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Those that went wrong.
    Bad,
    /// Those that took too long.
    Slow,
}

impl Metric {
    pub(super) fn of(self, slot: SlotRequests) -> Option<u64> {
        match self {
            Self::Bad => Some(slot.bad.min(slot.all)),
            Self::Slow => slot.slow.map(|slow| slow.min(slot.all)),
        }
    }

    /// Which part of all requests; `None` without any.
    pub(super) fn share(self, slot: SlotRequests) -> Option<f64> {
        let part = self.of(slot)?;
        (slot.all > 0).then(|| part as f64 / slot.all as f64)
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Slow => "slow",
        }
    }
}
