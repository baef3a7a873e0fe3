//! The cells of a deployment as they are kept for its report, when CloudWatch may be out of reach or
//! has forgotten the minutes.

use serde::{Deserialize, Serialize};

use super::cells::{Cell, SlotRequests};
use crate::ids::DeploymentId;
use crate::plan::{BadRequestsAre, ComparisonPlan, Plan, StageIndex};
use crate::record::Shift;
use crate::time::{Span, Timestamp};

/// Most bytes that the cells take as JSON. An item of the table may have 400 KB, and every look pays
/// for each of them. A minute takes some 30 bytes, so about six days of minutes fit.
pub const LARGEST: usize = 256 * 1024;

/// What was counted for a deployment up to its latest look, with what is needed to judge it again.
///
/// Columns of numbers, because names in every row would be most of it. A field that is added later
/// needs a default, and a column may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Columns", into = "Columns")]
pub struct StoredCells {
    pub deployment: DeploymentId,
    /// When the look was.
    pub written_at: Timestamp,
    /// How long a cell is unless it was merged.
    pub period: Span,
    /// The verified shifts, in order.
    pub shifts: Vec<Shift>,
    pub bad_requests_are: BadRequestsAre,
    /// Requests that took longer were counted as slow.
    pub slower_than: Option<Span>,
    pub comparison: Option<ComparisonPlan>,
    /// In order.
    pub cells: Vec<StoredCell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredCell {
    pub cell: Cell,
    pub length: Span,
}

/// What one look has counted.
#[derive(Clone, Copy, Debug)]
pub struct CountedCells<'a> {
    /// The length of each.
    pub period: Span,
    /// In order.
    pub cells: &'a [Cell],
}

impl StoredCells {
    /// Of one look; what does not fit is merged, the oldest first.
    pub fn of(
        deployment: &DeploymentId,
        plan: &Plan,
        shifts: &[Shift],
        CountedCells { period, cells }: CountedCells<'_>,
        written_at: Timestamp,
    ) -> Self {
        let whole = Self {
            deployment: deployment.clone(),
            written_at,
            period,
            shifts: shifts.to_vec(),
            bad_requests_are: plan.health.bad_requests_are,
            slower_than: plan.health.slower_than,
            comparison: plan.health.comparison,
            cells: cells.iter().map(|cell| StoredCell { cell: *cell, length: period }).collect(),
        };
        whole.within(LARGEST)
    }

    /// With at most so many bytes as JSON: pairs of the older half become one cell, as often as
    /// needed. What was merged is still counted, but no longer minute by minute.
    #[must_use]
    fn within(mut self, largest: usize) -> Self {
        while self.cells.len() > 1 && self.size() > largest {
            let before = self.cells.len();
            let newer = self.cells.split_off(before.div_ceil(2));
            self.cells = merged_in_pairs(&self.cells);
            self.cells.extend(newer);
            if self.cells.len() == before {
                // Only if hardly any stage has two cells: the newest are worth most.
                self.cells.drain(..before.div_ceil(2));
            }
        }
        self
    }

    /// Whether older cells were merged: the test, done again, then sees less than the judge did.
    pub fn is_merged(&self) -> bool {
        self.cells.iter().any(|stored| stored.length > self.period)
    }

    fn size(&self) -> usize {
        // Whatever cannot be written takes no room.
        serde_json::to_string(self).map_or(0, |json| json.len())
    }
}

fn merged_in_pairs(cells: &[StoredCell]) -> Vec<StoredCell> {
    let stages = cells.chunk_by(|one, other| one.cell.stage == other.cell.stage);
    stages.flat_map(|stage| stage.chunks(2)).filter_map(merged).collect()
}

fn merged(cells: &[StoredCell]) -> Option<StoredCell> {
    let (first, last) = (cells.first()?, cells.last()?);
    let sum = |slot: fn(&Cell) -> SlotRequests| {
        let slots = cells.iter().map(|stored| slot(&stored.cell));
        slots.reduce(SlotRequests::plus).unwrap_or_default()
    };
    let cell =
        Cell { canary: sum(|cell| cell.canary), stable: sum(|cell| cell.stable), ..first.cell };
    let length = (last.cell.from + last.length).since(first.cell.from);
    Some(StoredCell { cell, length })
}

/// The same as JSON holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Columns {
    deployment: DeploymentId,
    written_at: Timestamp,
    period: Span,
    #[serde(default)]
    shifts: Vec<Shift>,
    #[serde(default)]
    bad_requests_are: BadRequestsAre,
    #[serde(default)]
    slower_than: Option<Span>,
    #[serde(default)]
    comparison: Option<ComparisonPlan>,
    /// When the first cell begins.
    begins: Timestamp,
    /// Milliseconds between the end of the cell before and the beginning of each: mostly 0.
    gaps: Vec<i64>,
    /// In milliseconds; empty if all are one period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lengths: Vec<u64>,
    stages: Vec<StageIndex>,
    canary: SlotColumns,
    stable: SlotColumns,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlotColumns {
    all: Vec<u64>,
    bad: Vec<u64>,
    /// Empty if nobody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slow: Vec<Option<u64>>,
}

impl From<StoredCells> for Columns {
    fn from(stored: StoredCells) -> Self {
        let cells = &stored.cells;
        let begins = cells.first().map_or(stored.written_at, |first| first.cell.from);
        let mut until = begins;
        let gaps = cells.iter().map(|stored| {
            let gap = stored.cell.from.as_millis().saturating_sub(until.as_millis());
            until = stored.cell.from + stored.length;
            gap
        });
        let gaps = gaps.collect();
        let lengths = if cells.iter().all(|cell| cell.length == stored.period) {
            Vec::new()
        } else {
            cells.iter().map(|stored| stored.length.as_millis()).collect()
        };
        Self {
            begins,
            gaps,
            lengths,
            stages: cells.iter().map(|stored| stored.cell.stage).collect(),
            canary: cells.iter().map(|stored| stored.cell.canary).collect(),
            stable: cells.iter().map(|stored| stored.cell.stable).collect(),
            deployment: stored.deployment,
            written_at: stored.written_at,
            period: stored.period,
            shifts: stored.shifts,
            bad_requests_are: stored.bad_requests_are,
            slower_than: stored.slower_than,
            comparison: stored.comparison,
        }
    }
}

impl FromIterator<SlotRequests> for SlotColumns {
    fn from_iter<Slots: IntoIterator<Item = SlotRequests>>(slots: Slots) -> Self {
        let slots: Vec<_> = slots.into_iter().collect();
        let asked = slots.iter().any(|slot| slot.slow.is_some());
        Self {
            all: slots.iter().map(|slot| slot.all).collect(),
            bad: slots.iter().map(|slot| slot.bad).collect(),
            slow: slots.iter().filter(|_| asked).map(|slot| slot.slow).collect(),
        }
    }
}

impl StoredCells {
    /// What both slots have had, while it was counted.
    pub fn totals(&self) -> (SlotRequests, SlotRequests) {
        let cells = self.cells.iter().map(|stored| stored.cell);
        cells.fold(Default::default(), |(canary, stable): (SlotRequests, SlotRequests), cell| {
            (canary.plus(cell.canary), stable.plus(cell.stable))
        })
    }
}

impl SlotColumns {
    fn slot(&self, row: usize) -> Option<SlotRequests> {
        let slow = if self.slow.is_empty() { None } else { *self.slow.get(row)? };
        Some(SlotRequests { all: *self.all.get(row)?, bad: *self.bad.get(row)?, slow })
    }

    fn rows(&self) -> usize {
        self.all.len().max(self.bad.len()).max(self.slow.len())
    }
}

/// Columns that are not equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the columns of the cells are not equally long")]
pub struct Ragged;

impl TryFrom<Columns> for StoredCells {
    type Error = Ragged;

    fn try_from(columns: Columns) -> Result<Self, Ragged> {
        let rows = columns.gaps.len();
        let others = [columns.stages.len(), columns.canary.rows(), columns.stable.rows()];
        if others.iter().any(|length| *length != rows) {
            return Err(Ragged);
        }
        let mut until = columns.begins;
        let cells =
            columns.gaps.iter().zip(&columns.stages).enumerate().map(|(row, (gap, stage))| {
                let length = if columns.lengths.is_empty() {
                    columns.period
                } else {
                    Span::from_millis(*columns.lengths.get(row)?)
                };
                let from = Timestamp::from_millis(until.as_millis().saturating_add(*gap));
                until = from + length;
                let (canary, stable) = (columns.canary.slot(row)?, columns.stable.slot(row)?);
                Some(StoredCell { cell: Cell { from, stage: *stage, canary, stable }, length })
            });
        let cells = cells.collect::<Option<_>>().ok_or(Ragged)?;
        Ok(Self {
            deployment: columns.deployment,
            written_at: columns.written_at,
            period: columns.period,
            shifts: columns.shifts,
            bad_requests_are: columns.bad_requests_are,
            slower_than: columns.slower_than,
            comparison: columns.comparison,
            cells,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Span = Span::from_secs(60);

    fn stored(cells: Vec<Cell>) -> StoredCells {
        StoredCells {
            deployment: DeploymentId::new("shop-42"),
            written_at: Timestamp::from_millis(1_800_000_600_000),
            period: MINUTE,
            shifts: vec![Shift { stage: StageIndex(0), at: Timestamp::from_millis(0) }],
            bad_requests_are: BadRequestsAre::NotAnsweredWell,
            slower_than: None,
            comparison: None,
            cells: cells.into_iter().map(|cell| StoredCell { cell, length: MINUTE }).collect(),
        }
    }

    fn slot() -> impl Strategy<Value = SlotRequests> {
        let count = prop_oneof![0..2_000_u64, any::<u64>()];
        (count.clone(), count.clone(), proptest::option::of(count))
            .prop_map(|(all, bad, slow)| SlotRequests { all, bad, slow })
    }

    fn cells() -> impl Strategy<Value = Vec<Cell>> {
        let cell = (slot(), slot(), 0..3_u64, proptest::bool::weighted(0.2));
        proptest::collection::vec(cell, 0..60).prop_map(|found| {
            let (mut minute, mut stage) = (30_000_000, 0);
            let cells = found.into_iter().map(|(canary, stable, gap, next)| {
                minute += 1 + gap;
                stage += usize::from(next);
                let from = Timestamp::from_millis(0) + MINUTE.times(minute);
                Cell { from, stage: StageIndex(stage), canary, stable }
            });
            cells.collect()
        })
    }

    fn requests(stored: &StoredCells) -> u128 {
        stored.cells.iter().map(|stored| u128::from(stored.cell.canary.all)).sum()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(cells in cells(), largest in 500..20_000_usize) {
            let whole = stored(cells);
            let small = whole.clone().within(largest);
            for stored in [&whole, &small] {
                let json = serde_json::to_string(stored).unwrap();
                prop_assert_eq!(&serde_json::from_str::<StoredCells>(&json).unwrap(), stored);
            }
            prop_assert!(small.cells.len() <= 1 || small.size() <= largest);
            prop_assert_eq!(small.cells.last().map(|one| one.length), whole.cells.last().map(|_| MINUTE));
        }
    }

    fn night(minutes: u64) -> StoredCells {
        let slot = |all, bad| SlotRequests { all, bad, slow: Some(bad * 3) };
        let cell = |minute| Cell {
            from: Timestamp::from_millis(1_800_000_000_000) + MINUTE.times(minute),
            stage: StageIndex(3),
            canary: slot(1_500, 12),
            stable: slot(13_500, 95),
        };
        stored((0..minutes).map(cell).collect())
    }

    #[test]
    fn six_days_fit_minute_by_minute_and_longer_ones_lose_the_oldest_minutes_first() {
        let six_days = night(6 * 24 * 60);
        assert_eq!(six_days.clone().within(LARGEST), six_days);
        let weeks = night(21 * 24 * 60);
        let kept = weeks.clone().within(LARGEST);
        assert!(kept.size() <= LARGEST && kept.is_merged());
        assert_eq!(requests(&kept), requests(&weeks), "nothing is lost");
        assert_eq!(kept.cells.last(), weeks.cells.last(), "the newest are as they were");
        let lengths: Vec<_> = kept.cells.iter().map(|stored| stored.length).collect();
        assert!(lengths.is_sorted_by(|older, newer| older >= newer));
    }

    #[test]
    fn it_is_read_with_fields_that_are_not_known_yet_and_without_later_ones() {
        let json = r#"{
            "deployment": "shop-42", "writtenAt": 1800000060000, "period": "1m",
            "begins": 1800000000000, "gaps": [0], "stages": [0], "mood": "good",
            "canary": { "all": [50], "bad": [1] }, "stable": { "all": [950], "bad": [2] }
        }"#;
        let read: StoredCells = serde_json::from_str(json).unwrap();
        assert_eq!(read.cells[0].cell.canary, SlotRequests { all: 50, bad: 1, slow: None });
        assert_eq!(read.cells[0].length, MINUTE);
        let ragged = json.replace("\"gaps\": [0]", "\"gaps\": [0, 0]");
        let error = serde_json::from_str::<StoredCells>(&ragged).unwrap_err();
        assert!(error.to_string().contains("not equally long"), "{error}");
    }
}
