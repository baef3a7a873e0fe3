//! Who wanted what happened, how it is known who they are, and why they wanted it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::people::{LINK_HOLDER, SAID};
use crate::plan::Plan;
use crate::record::{Deployment, Event, FenceTrigger};
use crate::rollback::Forced;
use crate::said::unquoted;

/// How it is known who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Known {
    /// AWS, Slack or the stack's issuer says so.
    Proven,
    /// They say so themselves.
    Said,
    /// Whoever had the link: nobody knows who.
    Link,
}

impl Known {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Said => "said",
            Self::Link => "link",
        }
    }
}

/// Somebody's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    pub by: &'a str,
    pub known: Known,
    /// In their words.
    pub reason: Option<&'a str>,
}

impl<'a> Wish<'a> {
    /// Whose wish an event was; `None`: nobody's, or nobody knows.
    pub fn of(event: &'a Event, deployment: &'a Deployment) -> Option<Self> {
        match event {
            Event::Started => Self::of_start(&deployment.plan),
            Event::Decided { decision, .. } => {
                Some(Self::at_a_door(&decision.by, decision.reason.as_deref()))
            }
            Event::Promoted { promotion, .. } => {
                Some(Self::at_a_door(&promotion.by, Some(&promotion.reason)))
            }
            Event::Paused { pause, .. } => {
                Some(Self::at_a_door(&pause.by, pause.reason.as_deref()))
            }
            Event::Frozen { freeze, .. } => Some(Self::at_a_door(&freeze.by, Some(&freeze.reason))),
            Event::Resumed { by, reason, .. } => Some(Self::at_a_door(by, reason.as_deref())),
            Event::RetirementHastened { by, .. }
            | Event::TrafficRestored { forced: Some(Forced::Operator(by)), .. } => {
                Some(Self::at_a_door(by, None))
            }
            Event::TrafficRestored { forced: Some(Forced::Plan) | None, .. }
            | Event::Abandoned { .. }
            | Event::RolledBack { .. } => Self::of_end(deployment),
            Event::ApprovalNeeded { .. }
            | Event::Shifted { .. }
            | Event::Waiting { .. }
            | Event::OutsideWindows { .. }
            | Event::CheckAlert { .. }
            | Event::StageHeld { .. }
            | Event::NotPromoted { .. }
            | Event::Validated { .. }
            | Event::ForeignChange { .. }
            | Event::RouteInOrder { .. }
            | Event::RollbackHeld
            | Event::SteppingBack { .. }
            | Event::RollbackOverdue { .. }
            | Event::ScalingChanged { .. }
            | Event::ScalingNotSet { .. }
            | Event::Succeeded
            | Event::Retired
            | Event::RetirementPostponed
            | Event::StillReached { .. }
            | Event::Drifted { .. }
            | Event::Undelivered { .. } => None,
        }
    }

    /// The doors write beside a name if nobody but its bearer says it.
    fn at_a_door(by: &'a str, reason: Option<&'a str>) -> Self {
        match by.strip_suffix(SAID) {
            Some(by) => Self { by, known: Known::Said, reason },
            None if by == LINK_HOLDER => Self { by, known: Known::Link, reason },
            None => Self { by, known: Known::Proven, reason },
        }
    }

    fn of_start(plan: &'a Plan) -> Option<Self> {
        let reason = plan.reason.as_deref();
        let of = |by: &'a String, known| Self { by, known, reason };
        let proven = plan.starter.as_ref().map(|by| of(by, Known::Proven));
        proven.or_else(|| plan.started_by.as_ref().map(|by| of(by, Known::Said)))
    }

    /// Who has ended it.
    fn of_end(deployment: &'a Deployment) -> Option<Self> {
        let fence = deployment.fence.as_ref()?;
        match &fence.trigger {
            FenceTrigger::Operator(by) => {
                // The cause of the failure is told as theirs; without a reason it is another sentence.
                let cause = fence.failure.cause.strip_prefix(by.as_str());
                Some(Self::at_a_door(
                    by,
                    cause.and_then(|cause| cause.strip_prefix(": ")).map(unquoted),
                ))
            }
            FenceTrigger::Alarm(_)
            | FenceTrigger::StateMachine
            | FenceTrigger::ExecutionEnd
            | FenceTrigger::Sweep => None,
        }
    }
}
