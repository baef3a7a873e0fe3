//! What a hook of the plan has answered.

use serde::{Deserialize, Serialize};

use crate::plan::{HookDetails, LifecycleStage};
use crate::time::Timestamp;

/// Asking a hook at one stage: from the first invocation until it has succeeded or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookRun {
    /// Which, by its place in the plan.
    pub hook: usize,
    pub at: LifecycleStage,
    /// What it answered last.
    pub status: HookStatus,
    /// What it is told next time.
    pub details: HookDetails,
    /// When it was asked first.
    pub since: Timestamp,
    /// When it is to be asked again, if it is in progress.
    pub again_at: Timestamp,
}

/// What a hook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HookStatus {
    /// The stage may end.
    Succeeded,
    /// The deployment must not go on.
    Failed,
    /// Not known yet.
    InProgress,
}
