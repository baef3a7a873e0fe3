//! A person's answer to an approval: recorded first, then the pause is ended. If the answer to the
//! pause is lost, the next tick finds the record.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::{Decision, Deployment, Refused, approve};

use crate::failed;
use crate::ports::{Clock, Orchestration, Registry};
use crate::transition::{Stop, transition};

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// About which deployment; the approval is the one that is open.
    pub deployment: DeploymentId,
    /// Go on, or back.
    pub approved: bool,
    /// Who: the ARN of the caller's identity.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// Records the answer and lets the deployment go on. The deployment as it is after the decision.
pub async fn run<R, O, K>(
    registry: &R,
    orchestration: &O,
    clock: &K,
    answer: &Answer,
) -> Result<Deployment, Failure>
where
    R: Registry,
    O: Orchestration,
    K: Clock,
{
    let decided = transition(registry, &answer.deployment, |deployment| {
        let decision = Decision {
            approved: answer.approved,
            by: answer.by.clone(),
            at: clock.now(),
            reason: answer.reason.clone(),
        };
        approve(deployment, decision, clock.now())
    })
    .await;
    let deployment = decided.map_err(|stop| match stop {
        Stop::Refused(refused @ Refused::NoSuchApproval(_)) => {
            Failure::new(FailureCode::InvalidRequest, refused.to_string())
        }
        stop @ (Stop::Refused(_) | Stop::Failed(_)) => stop.into(),
    })?;
    if let Some(gate) = &deployment.gate {
        // The record counts; a pause that is over already has a tick that will read it.
        orchestration.open_gate(&gate.token).await.map_err(|error| failed(&error))?;
    }
    Ok(deployment)
}
