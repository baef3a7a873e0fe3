//! When which weights were on the routes.

use serde::{Deserialize, Serialize};

use crate::plan::StageIndex;
use crate::time::Timestamp;

/// A shift that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// To the weight of this stage.
    pub stage: StageIndex,
    /// When the weight was read back.
    pub at: Timestamp,
}

/// A time in which somebody else's weights may have been on a route: from the last look at which every
/// route was this deployment's own to the first one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    pub from: Timestamp,
    /// `None` while it goes on.
    pub until: Option<Timestamp>,
}

impl Gap {
    /// Whether this moment is in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|end| at < end)
    }

    /// Whether a moment of this time is in it.
    pub fn touches(&self, from: Timestamp, until: Timestamp) -> bool {
        self.from < until && self.until.is_none_or(|end| from < end)
    }
}
