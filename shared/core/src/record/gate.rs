//! The pause of the state machine.

use serde::{Deserialize, Serialize};

use crate::ids::TaskToken;
use crate::time::Timestamp;

/// The pause of the state machine that is open now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Which entry of the state it belongs to.
    pub tick: Tick,
    /// What ends it.
    pub token: TaskToken,
}

/// Orders the entries of the gate state: a delayed invocation must not replace a newer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// `Execution.RedriveCount`.
    pub redrive_count: u32,
    /// `State.EnteredTime`.
    pub entered_at: Timestamp,
    /// `State.RetryCount`.
    pub retry_count: u32,
}
