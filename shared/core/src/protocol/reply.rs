//! What every function answers to the state machine.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::DeploymentId;
use crate::time::Span;

/// The state that comes next. The state machine only routes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NextStep {
    /// Bring the world towards the current stage.
    Advance,
    /// Pause on a token until the next look.
    Gate,
    Validate,
    /// Commit and hand over.
    Complete,
    /// Return everything to stable.
    Rollback,
    Succeeded,
    /// End with `error`.
    Failed,
}

impl NextStep {
    pub const ALL: [Self; 7] = [
        Self::Advance,
        Self::Gate,
        Self::Validate,
        Self::Complete,
        Self::Rollback,
        Self::Succeeded,
        Self::Failed,
    ];
}

/// The answer of a function to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    pub deployment: DeploymentId,
    pub next: NextStep,
    /// How long to wait before it, in seconds.
    pub wait_seconds: u64,
    /// Whether there is something that a person would want to hear now.
    pub notify: bool,
    /// One sentence for whoever looks at the execution.
    pub summary: String,
    /// With `failed`: name and cause of the execution's failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Reply {
    /// What comes next, at once and silently.
    pub fn new(deployment: &DeploymentId, next: NextStep, summary: impl Into<String>) -> Self {
        Self {
            deployment: deployment.clone(),
            next,
            wait_seconds: 0,
            notify: false,
            summary: summary.into(),
            failure: None,
        }
    }

    #[must_use]
    pub fn after(mut self, wait: Span) -> Self {
        self.wait_seconds = wait.as_secs_up();
        self
    }

    #[must_use]
    pub fn telling(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    #[must_use]
    pub fn failing(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }
}
