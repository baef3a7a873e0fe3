//! Why a rollback began, and who began it.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::AlarmArn;
use crate::time::Timestamp;

/// Why a rollback began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    pub trigger: FenceTrigger,
    /// How the deployment will fail.
    pub failure: Failure,
    pub at: Timestamp,
}

/// Who closes a fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FenceTrigger {
    Alarm(AlarmArn),
    /// The deployment's own state machine, after a failure.
    StateMachine,
    /// A person: the ARN of the IAM identity, or what names them where AWS does not.
    Operator(String),
    /// The end of the execution that carried the deployment.
    ExecutionEnd,
    /// The sweep, for a deployment that nobody carries any more.
    Sweep,
}
