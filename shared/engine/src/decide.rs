//! A person's word: the answer to an approval, or that a stage which lacks evidence may go on. It is
//! recorded first, then the pause is ended. If the answer to the pause is lost, the next tick finds the
//! record.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::StageIndex;
use glidepath_core::protocol::{self, Refused, promote};
use glidepath_core::record::{Decision, Deployment, Promotion};

use crate::failed;
use crate::ports::{Clock, Orchestration, Ports, Registry};
use crate::transition::{Stop, transition};

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub deployment: DeploymentId,
    /// About which stage: who answers an old message must not answer a question that they have not
    /// seen. An approval names it; without one the others are of whatever waits now.
    pub stage: Option<StageIndex>,
    /// Who: the ARN of the caller's identity.
    pub by: String,
    pub word: Word,
}

/// What a person says of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The weight may move.
    Approve { reason: Option<String> },
    /// Everything returns to stable.
    Reject { reason: Option<String> },
    /// It may go on although its evidence is not enough.
    Promote { reason: String },
}

/// Records the answer and lets the deployment go on. The deployment as it is after the decision.
pub async fn run<P>(ports: &P, answer: &Answer) -> Result<Deployment, Failure>
where
    P: Ports<Registry: Registry, Orchestration: Orchestration, Ambient: Clock>,
{
    let decided = transition(ports, &answer.deployment, |deployment| {
        let (by, at) = (answer.by.clone(), ports.ambient().now());
        match &answer.word {
            Word::Approve { reason } => {
                let decision = Decision { approved: true, by, at, reason: reason.clone() };
                protocol::answer(deployment, answer.stage, decision, at)
            }
            Word::Reject { reason } => {
                let decision = Decision { approved: false, by, at, reason: reason.clone() };
                protocol::answer(deployment, answer.stage, decision, at)
            }
            Word::Promote { reason } => {
                let promotion = Promotion { by, at, reason: reason.clone() };
                promote(deployment, answer.stage, promotion, at)
            }
        }
    })
    .await;
    let deployment = decided.map_err(|stop| match stop {
        Stop::Refused(refused @ Refused::NothingToDecide(_)) => {
            Failure::new(FailureCode::InvalidRequest, refused.to_string())
        }
        stop @ (Stop::Refused(_) | Stop::Failed(_)) => stop.into(),
    })?;
    if let Some(gate) = &deployment.gate {
        // The record counts; a pause that is over already has a tick that will read it.
        let opened = ports.orchestration().open_gate(&gate.token).await;
        opened.map_err(|error| failed(&error))?;
    }
    Ok(deployment)
}
