//! What is compared: requests of both slots, period by period.

use serde::{Deserialize, Serialize};

use super::sequential::{Pair, Tally};
use crate::plan::StageIndex;
use crate::time::Timestamp;

/// One complete period of both slots, summed over routes and zones: a zone of its own would let one
/// bad minute testify three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// When the period begins.
    pub from: Timestamp,
    /// The stage whose weight held for all of it.
    pub stage: StageIndex,
    /// The new version.
    pub canary: SlotRequests,
    /// The version that serves today.
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
    const fn bad_tally(&self) -> Tally {
        Tally { requests: self.all, events: self.bad }
    }

    fn slow_tally(&self) -> Option<Tally> {
        self.slow.map(|events| Tally { requests: self.all, events })
    }

    /// Both, added up.
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
