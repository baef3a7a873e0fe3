//! What a line is drawn through: as many points as can be told apart.

use glidepath_core::health::SlotRequests;
use glidepath_core::time::{Span, Timestamp};

use super::scale::seconds;
use crate::counted::{Metric, Row};

/// Most points of a line. More are summed: single minutes of a night are noise, at two pixels each.
const MOST: usize = 240;

/// Most points that have a mark each.
const MARKED: usize = 60;

/// A line, in the pieces between which nothing is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
}

impl Line {
    fn add(&mut self, point: Option<(f64, f64)>, begins: bool) {
        let Some(point) = point else {
            self.pieces.push(Vec::new());
            return;
        };
        match self.pieces.last_mut() {
            Some(piece) if !begins => piece.push(point),
            Some(_) | None => self.pieces.push(vec![point]),
        }
    }

    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pieces.iter().flatten().copied()
    }

    /// Points that a line alone would not show.
    pub(super) fn marks(&self) -> Vec<(f64, f64)> {
        let all = self.pieces.iter().map(Vec::len).sum::<usize>();
        let marked = self.pieces.iter().filter(|piece| all <= MARKED || piece.len() == 1);
        marked.flatten().copied().collect()
    }
}

/// How many rows are one point.
pub(super) fn rows_per_point(rows: usize) -> usize {
    rows.div_ceil(MOST).max(1)
}

/// The middle of some rows.
fn middle(rows: &[Row], from: Timestamp) -> Option<f64> {
    let (first, last) = (rows.first()?, rows.last()?);
    let length = last.until().since(first.cell.from);
    Some(seconds(from, first.cell.from + Span::from_millis(length.as_millis() / 2)))
}

/// Rows that are one point: of one stage, and without a gap of more than the moves of a weight.
pub(super) fn chunks(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let size = rows_per_point(rows.len());
    let stages = rows.chunk_by(|one, other| one.cell.stage == other.cell.stage);
    stages.flat_map(move |rows| rows.chunks(size))
}

/// The proportion of one slot. A line goes on over the minute in which the weight moved, but not
/// over a longer silence.
pub(super) fn shares(
    rows: &[Row],
    from: Timestamp,
    metric: Metric,
    slot: impl Fn(&Row) -> SlotRequests,
) -> Line {
    let mut line = Line::default();
    let mut until = None;
    for rows in chunks(rows) {
        let sum = rows.iter().map(&slot).fold(SlotRequests::default(), SlotRequests::plus);
        let point = middle(rows, from).zip(metric.share(sum));
        line.add(point, silent(rows, until));
        until = rows.last().map(Row::until);
    }
    line
}

/// Whether more than three periods are missing before these rows.
fn silent(rows: &[Row], until: Option<Timestamp>) -> bool {
    let Some((first, until)) = rows.first().zip(until) else { return false };
    first.cell.from.since(until) > first.length.times(3)
}

/// log10 of the evidence after each row, kept in view, with the first that fails always there.
pub(super) fn evidence(rows: &[Row], from: Timestamp, low: f64, high: f64) -> Line {
    let mut line = Line::default();
    let mut until = None;
    for rows in chunks(rows) {
        let failing = rows.iter().find(|row| row.point.as_ref().is_some_and(|point| point.fails));
        let shown = failing.or(rows.last());
        let point = shown.and_then(|row| {
            let at = middle(std::slice::from_ref(row), from)?;
            Some((at, row.point.as_ref()?.log10_e().clamp(low, high)))
        });
        line.add(point, silent(rows, until));
        until = rows.last().map(Row::until);
    }
    line
}

/// Where a row stands on the axis of time.
pub(super) fn place(row: &Row, from: Timestamp) -> f64 {
    middle(std::slice::from_ref(row), from).unwrap_or(0.0)
}
