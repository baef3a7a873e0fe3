//! What is compared: requests of both slots, period by period.

use serde::{Deserialize, Serialize};

use super::sequential::{Pair, Tally};
use crate::harm::RequestsPerMinute;
use crate::plan::StageIndex;
use crate::record::{Gap, Shift};
use crate::time::{Span, Timestamp};

/// How many of the newest periods say how much traffic there is now.
const NEWEST: usize = 10;

/// Complete periods as they were measured, summed over routes and zones: a zone of its own would let
/// one bad minute testify three times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Periods {
    /// The length of each.
    pub length: Span,
    /// In order of time; none overlaps another.
    pub counts: Vec<Period>,
}

/// One complete period of both slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub from: Timestamp,
    pub canary: SlotRequests,
    pub stable: SlotRequests,
}

impl Periods {
    /// Each period with the stage whose weight held for all of it. A period in which the weight
    /// moved, or somebody else's may have been there, belongs to no stage.
    pub fn by_stage(&self, shifts: &[Shift], gaps: &[Gap]) -> Vec<Cell> {
        let stage_of = |period: &Period| {
            let until = period.from + self.length;
            if gaps.iter().any(|gap| gap.touches(period.from, until)) {
                return None;
            }
            let begun = shifts.iter().rposition(|shift| shift.at <= period.from)?;
            let ended = shifts.get(begun + 1).is_some_and(|next| next.at < until);
            (!ended).then_some(shifts.get(begun)?.stage)
        };
        self.counts
            .iter()
            .filter_map(|period| {
                let Period { from, canary, stable } = *period;
                Some(Cell { from, stage: stage_of(period)?, canary, stable })
            })
            .collect()
    }

    /// Requests of both slots over the newest periods.
    pub fn traffic(&self) -> Option<RequestsPerMinute> {
        let newest = self.counts.iter().rev().take(NEWEST);
        let (requests, periods) = newest.fold((0_u64, 0_u64), |(requests, periods), period| {
            let both = period.canary.all.saturating_add(period.stable.all);
            (requests.saturating_add(both), periods + 1)
        });
        RequestsPerMinute::measured(requests, Span::from_millis(self.length.as_millis() * periods))
    }
}

/// A period with its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    pub from: Timestamp,
    /// The stage whose weight held for all of it.
    pub stage: StageIndex,
    pub canary: SlotRequests,
    pub stable: SlotRequests,
}

/// Requests of one slot in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotRequests {
    /// Requests for which the load balancer chose a target of the slot.
    pub all: u64,
    /// Those that went wrong, by the plan's definition of bad.
    pub bad: u64,
    /// Those that took longer than the plan allows; `None` where the plan does not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<u64>,
}

impl SlotRequests {
    /// The proportion of bad requests, to be compared.
    pub const fn bad_tally(&self) -> Tally {
        Tally { requests: self.all, events: self.bad }
    }

    fn slow_tally(&self) -> Option<Tally> {
        self.slow.map(|events| Tally { requests: self.all, events })
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let slow = match (self.slow, other.slow) {
            (Some(one), Some(two)) => Some(one.saturating_add(two)),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        };
        Self {
            all: self.all.saturating_add(other.all),
            bad: self.bad.saturating_add(other.bad),
            slow,
        }
    }
}

impl Cell {
    /// The proportion of bad requests, to be compared.
    pub const fn bad(&self) -> Pair {
        Pair { canary: self.canary.bad_tally(), stable: self.stable.bad_tally() }
    }

    /// The proportion of slow requests, to be compared; `None` where it was not measured.
    pub fn slow(&self) -> Option<Pair> {
        Some(Pair { canary: self.canary.slow_tally()?, stable: self.stable.slow_tally()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn periods(count: i64) -> Periods {
        let requests = SlotRequests { all: 50, bad: 0, slow: None };
        let counts = (0..count)
            .map(|minute| Period { from: at(minute * 60), canary: requests, stable: requests })
            .collect();
        Periods { length: MINUTE, counts }
    }

    #[test]
    fn a_period_in_which_the_weight_moved_belongs_to_no_stage() {
        let shift = |stage, seconds| Shift { stage: StageIndex(stage), at: at(seconds) };
        let cells = periods(6).by_stage(&[shift(0, 30), shift(1, 180), shift(2, 290)], &[]);
        let found: Vec<_> = cells.iter().map(|cell| (cell.from, cell.stage.0)).collect();
        assert_eq!(found, [(at(60), 0), (at(120), 0), (at(180), 1), (at(300), 2)]);
        assert_eq!(periods(6).by_stage(&[], &[]), []);
    }

    #[test]
    fn a_period_that_somebody_elses_weights_touch_belongs_to_no_stage() {
        let shifts = [Shift { stage: StageIndex(0), at: at(0) }];
        let gap = |from, until: Option<i64>| Gap { from: at(from), until: until.map(at) };
        let of = |gaps: &[Gap]| {
            let cells = periods(6).by_stage(&shifts, gaps);
            cells.iter().map(|cell| cell.from.as_millis() / 60_000).collect::<Vec<_>>()
        };
        assert_eq!(of(&[gap(70, Some(130))]), [0, 3, 4, 5]);
        assert_eq!(of(&[gap(60, Some(120)), gap(299, None)]), [0, 2, 3]);
    }

    #[test]
    fn traffic_is_that_of_the_newest_periods() {
        let mut periods = periods(20);
        periods.counts[0].stable.all = 1_000_000;
        assert_eq!(periods.traffic(), Some(RequestsPerMinute(100)));
        periods.counts.clear();
        assert_eq!(periods.traffic(), None);
    }
}
