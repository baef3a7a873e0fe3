//! Why a rollback began, and who began it.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::AlarmArn;
use crate::time::Timestamp;

/// Why a rollback began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    /// Who closed it.
    pub trigger: FenceTrigger,
    /// How the deployment will fail.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
}

/// Who closes a fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FenceTrigger {
    /// An alarm that fired.
    Alarm(AlarmArn),
    /// The deployment's own state machine, after a failure.
    StateMachine,
    /// A person.
    Operator(String),
    /// The end of the execution that carried the deployment.
    ExecutionEnd,
    /// The sweep, for a deployment that nobody carries any more.
    Sweep,
}
