//! A person's word: the answer to an approval, that a stage which lacks evidence may go on, or that none does for now.
//! It is recorded first, then the pause is ended. If the answer to the pause is lost, the next tick finds the
//! record.

use std::num::NonZeroUsize;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::StageIndex;
use glidepath_core::protocol::{self, Refused, pause, promote, resume};
use glidepath_core::record::{Decision, Deployment, Pause, Phase, Promotion, Step};
use glidepath_core::request::can_be_said;
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use serde::{Deserialize, Serialize};

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
    /// Who: the ARN of the caller's identity, or whom Slack or the stack's issuer names ([`glidepath_core::people`]).
    pub by: String,
    /// The groups that are proven of them, as lists of approvers name them.
    pub groups: Vec<String>,
    pub word: Word,
}

impl Answer {
    /// Whether the record has it of them already, as after a second click.
    pub fn is_recorded(&self, deployment: &Deployment) -> bool {
        let here = deployment.progress.stage;
        let (stage, approved) = match self.word {
            Word::Approve { .. } => (self.stage, true),
            Word::Reject { .. } => (self.stage.or(Some(here)), false),
            Word::Promote { .. } | Word::Pause { .. } | Word::Resume { .. } => return false,
        };
        stage.is_some_and(|stage| deployment.has_recorded(stage, approved, &self.by))
    }
}

/// What a person says of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The weight may move.
    Approve { reason: Option<String> },
    /// Everything returns to stable.
    Reject { reason: Option<String> },
    /// It may go on although its evidence is not enough; or before its bake is over, if that is to be skipped.
    Promote { reason: String, skip_bake: bool },
    /// No weight moves forward until somebody resumes it.
    Pause { reason: Option<String> },
    /// Weights may move again.
    Resume { reason: Option<String> },
}

/// What is posted to the function `decide`. It refuses what it does not know: a decision of which a part
/// was dropped is another decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Posted {
    pub deployment: DeploymentId,
    pub decision: PostedDecision,
}

/// What is decided, as it is written: `{"approve": {"stage": 2}}`. Stages are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum PostedDecision {
    Approve {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<NonZeroUsize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Reject {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<NonZeroUsize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Promote {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<NonZeroUsize>,
        reason: String,
        /// Whether the rest of the bake is left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        skip_bake: bool,
    },
    /// No weight moves forward until it is resumed.
    Pause {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Resume {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The old slot's tasks go before their time.
    Retire {},
    /// Nothing: where the question is shown.
    Link {},
}

/// What the function answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    pub deployment: DeploymentId,
    /// Of an old slot whose tasks were to go: since when they would have gone by themselves. `None`: nothing
    /// is kept of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_due_at: Option<Timestamp>,
    /// Of a pause: the weight to which a shift was under way already; it may still come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<Weight>,
    /// The address of the question's page, if that was wanted, something is asked, and the stack has a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

impl Decided {
    /// What was answered, and left of the deployment.
    pub fn answer(answer: &Answer, after: &Deployment, now: Timestamp) -> Self {
        let pauses = matches!(answer.word, Word::Pause { .. });
        let under_way = after.under_way(now).filter(|_| pauses);
        Self { deployment: after.id.clone(), was_due_at: None, under_way, page: None }
    }

    /// An old slot, of which so much was kept.
    pub const fn retirement(deployment: DeploymentId, was_due_at: Option<Timestamp>) -> Self {
        Self { deployment, was_due_at, under_way: None, page: None }
    }

    /// A question, which is shown there.
    pub const fn link(deployment: DeploymentId, page: Option<String>) -> Self {
        Self { deployment, was_due_at: None, under_way: None, page }
    }
}

/// What a person wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Answer(Answer),
    Retire { deployment: DeploymentId, by: String },
    Link { deployment: DeploymentId },
}

impl Posted {
    /// What this person wants, or why it cannot be recorded.
    pub fn by(self, person: String) -> Result<Wanted, Failure> {
        let Self { deployment, decision } = self;
        let (stage, word) = match decision {
            PostedDecision::Approve { stage, reason } => (stage, Word::Approve { reason }),
            PostedDecision::Reject { stage, reason } => (stage, Word::Reject { reason }),
            PostedDecision::Promote { stage, reason, skip_bake } => {
                (stage, Word::Promote { reason, skip_bake })
            }
            PostedDecision::Pause { reason } => (None, Word::Pause { reason }),
            PostedDecision::Resume { reason } => (None, Word::Resume { reason }),
            PostedDecision::Retire {} => return Ok(Wanted::Retire { deployment, by: person }),
            PostedDecision::Link {} => return Ok(Wanted::Link { deployment }),
        };
        let reason = match &word {
            Word::Approve { reason }
            | Word::Reject { reason }
            | Word::Pause { reason }
            | Word::Resume { reason } => reason.as_deref(),
            Word::Promote { reason, .. } => Some(reason.as_str()),
        };
        reason.map_or(Ok(()), require_said)?;
        let stage = stage.map(|stage| StageIndex(stage.get() - 1));
        // What groups of IAM somebody is in is nothing that AWS says of a caller.
        Ok(Wanted::Answer(Answer { deployment, stage, by: person, groups: Vec::new(), word }))
    }
}

/// Refuses a reason that is none, or more than the timeline takes.
pub(crate) fn require_said(reason: &str) -> Result<(), Failure> {
    can_be_said(reason)
        .map_err(|why| Failure::new(FailureCode::InvalidRequest, format!("the reason: {why}")))
}

impl From<&Answer> for Posted {
    fn from(answer: &Answer) -> Self {
        let stage = answer.stage.and_then(|stage| NonZeroUsize::new(stage.0 + 1));
        let decision = match answer.word.clone() {
            Word::Approve { reason } => PostedDecision::Approve { stage, reason },
            Word::Reject { reason } => PostedDecision::Reject { stage, reason },
            Word::Promote { reason, skip_bake } => {
                PostedDecision::Promote { stage, reason, skip_bake }
            }
            Word::Pause { reason } => PostedDecision::Pause { reason },
            Word::Resume { reason } => PostedDecision::Resume { reason },
        };
        Self { deployment: answer.deployment.clone(), decision }
    }
}

/// Records the answer and lets the deployment go on. The deployment as it is after the decision.
pub async fn run<P>(ports: &P, answer: &Answer) -> Result<Deployment, Failure>
where
    P: Ports<Registry: Registry, Orchestration: Orchestration, Ambient: Clock>,
{
    let decided = transition(ports, &answer.deployment, |deployment| {
        let (by, at) = (answer.by.clone(), ports.ambient().now());
        match &answer.word {
            Word::Approve { reason } | Word::Reject { reason } => {
                let approved = matches!(answer.word, Word::Approve { .. });
                if answer.is_recorded(deployment) {
                    return Ok((deployment.clone(), Vec::new()));
                }
                let groups = answer.groups.clone();
                let decision = Decision { approved, by, at, reason: reason.clone(), groups };
                protocol::answer(deployment, answer.stage, decision, at)
            }
            Word::Promote { reason, skip_bake } => {
                let (reason, skips_bake) = (reason.clone(), *skip_bake);
                let promotion = Promotion { by, at, reason, skips_bake };
                promote(deployment, answer.stage, promotion, at)
            }
            Word::Pause { reason } => {
                pause(deployment, Pause { by, at, reason: reason.clone() }, at)
            }
            Word::Resume { reason } => resume(deployment, by, reason.clone(), at),
        }
    })
    .await;
    let deployment = decided.map_err(|stop| match stop {
        Stop::Refused(refused @ Refused::NothingToDecide(_)) => {
            Failure::new(FailureCode::InvalidRequest, refused.to_string())
        }
        stop @ (Stop::Refused(_) | Stop::Failed(_)) => stop.into(),
    })?;
    let is_answered = matches!(deployment.progress.step, Step::Approving { decision: Some(_), .. });
    let waits = match answer.word {
        // Others are still to be asked, or what was sent again has been followed already.
        Word::Approve { .. } | Word::Reject { .. } => {
            !is_answered || deployment.phase != Phase::Open
        }
        Word::Promote { .. } => false,
        // Nothing moves for a pause: the next look comes when it would have.
        Word::Pause { .. } => true,
        Word::Resume { .. } => false,
    };
    if let Some(gate) = deployment.gate.as_ref().filter(|_| !waits) {
        // The record counts; a pause that is over already has a tick that will read it.
        let opened = ports.orchestration().open_gate(&gate.token).await;
        opened.map_err(|error| failed(&error))?;
    }
    Ok(deployment)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(decision: serde_json::Value) -> Result<Posted, String> {
        let posted = json!({ "deployment": "shop-42", "decision": decision });
        serde_json::from_value(posted).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_posted_is_what_is_answered() {
        let posted = read(json!({ "approve": { "stage": 2, "reason": "graphs" } })).unwrap();
        let Ok(Wanted::Answer(answer)) = posted.clone().by("arn:ada".to_owned()) else { panic!() };
        assert_eq!((answer.stage, answer.by.as_str()), (Some(StageIndex(1)), "arn:ada"));
        assert_eq!(Posted::from(&answer), posted);
        let retire = read(json!({ "retire": {} })).unwrap().by("arn:ada".to_owned());
        let deployment = DeploymentId::new("shop-42");
        assert_eq!(retire, Ok(Wanted::Retire { deployment, by: "arn:ada".to_owned() }));
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        for decision in [
            json!({ "approve": { "stage": 0 } }),
            json!({ "approve": { "stage": 1, "by": "somebody else" } }),
            json!({ "promote": {} }),
            json!({ "approve": {}, "reject": {} }),
            json!({ "postpone": {} }),
            json!("approve"),
        ] {
            assert!(read(decision.clone()).is_err(), "{decision}");
        }
        for reason in ["", " ", "\u{1b}[31mred", &"x".repeat(2_001)] {
            let posted = read(json!({ "promote": { "reason": reason } })).unwrap();
            let refused = posted.by("arn:ada".to_owned()).unwrap_err();
            assert_eq!(refused.code, FailureCode::InvalidRequest, "{reason:?}");
        }
    }
}
