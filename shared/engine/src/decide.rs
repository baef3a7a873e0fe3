//! A person's answer to an approval: recorded first, then the pause is ended. If the answer to the
//! pause is lost, the next tick finds the record.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::StageIndex;
use glidepath_core::protocol::{Decision, Deployment, Refused, Step, approve};

use crate::failed;
use crate::ports::{Clock, Orchestration, Registry};
use crate::transition::{Stop, transition};

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// About which deployment.
    pub deployment: DeploymentId,
    /// Before which stage: who answers an old message must not answer a question that they have not
    /// seen. A refusal without one is of whatever is asked.
    pub stage: Option<StageIndex>,
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
        let stage = match (answer.stage, answer.approved) {
            (Some(stage), _) => stage,
            (None, false) => deployment.progress.stage,
            (None, true) => return Err(Refused::NoSuchApproval(unnamed(deployment))),
        };
        approve(deployment, stage, decision, clock.now())
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

/// What to say to an approval that names no stage.
fn unnamed(deployment: &Deployment) -> String {
    let stage = deployment.progress.stage;
    match deployment.progress.step {
        Step::Approving { decision: None, .. } => {
            let weight = deployment.plan.stage(stage).map(|stage| stage.weight);
            let weight = weight.map_or(String::new(), |weight| format!(" ({weight})"));
            let version = deployment.plan.task_definition.short();
            let mut seen = deployment.progress.judged.join("; ");
            if !seen.is_empty() {
                seen = format!("; seen so far: {seen}");
            }
            format!(
                "an approval names its stage. Stage {stage}{weight} of {version} is asked for{seen}. \
                 To approve it: `glidepath approve {} --stage {stage}`",
                deployment.id
            )
        }
        Step::Approving { decision: Some(_), .. } | Step::Settling { .. } | Step::Baking { .. } => {
            format!("stage {stage} does not wait for an approval")
        }
    }
}
