//! What happened, as the timeline of a deployment keeps it and as channels deliver it.

use serde::{Deserialize, Serialize};

use super::decision::{Decision, Pause, Promotion};
use super::freeze::Freeze;
use crate::failure::Failure;
use crate::ids::{ChannelName, DeploymentId, EcsServiceName};
use crate::plan::StageIndex;
use crate::rollback::Forced;
use crate::route::RouteRef;
use crate::scaling::ScalableTarget;
use crate::time::{Span, Timestamp};
use crate::urgency::Urgency;
use crate::weight::Weight;

/// One entry of a deployment's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    pub deployment: DeploymentId,
    /// From 1, without gaps; with the deployment it is the notice's stable id.
    pub sequence: u32,
    pub at: Timestamp,
    pub event: Event,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_nobody(lacking: &u32) -> bool {
    *lacking == 0
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The deployment has its locks and begins.
    Started,
    /// A person is asked.
    ApprovalNeeded {
        /// Before which stage.
        stage: StageIndex,
        /// What the look before it said, with numbers. Notices from before this was kept have none.
        #[serde(default)]
        judged: Vec<String>,
        /// When it was asked for the first time, if this is a reminder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_at: Option<Timestamp>,
    },
    Decided {
        /// Before which stage.
        stage: StageIndex,
        decision: Decision,
        /// How many more people must approve.
        #[serde(default, skip_serializing_if = "is_nobody")]
        lacking: u32,
    },
    /// A stage's weight was written and read back.
    Shifted { stage: StageIndex },
    /// A stage takes longer, or stays, and why.
    Waiting {
        stage: StageIndex,
        /// What is lacking, in words.
        reasons: Vec<String>,
        /// What speaks against the version, without being enough to end it. Notices from before the two
        /// were told apart have both as reasons.
        #[serde(default)]
        against: Vec<String>,
    },
    /// A stage would begin, and it is outside its windows.
    OutsideWindows {
        stage: StageIndex,
        /// When the next one opens; `None`: none is known to.
        opens_at: Option<Timestamp>,
    },
    /// A stage would begin, and somebody has frozen the service.
    Frozen {
        stage: StageIndex,
        freeze: Freeze,
        /// When it ends by itself and a window is open; `None`: somebody has to thaw it.
        goes_on_at: Option<Timestamp>,
    },
    /// Checks that only alert are out of bounds. It changes nothing.
    CheckAlert {
        stage: StageIndex,
        /// What they have seen, in words.
        reasons: Vec<String>,
    },
    /// The time that a stage was extended by is over, and it still lacks evidence: it holds until a
    /// person decides.
    StageHeld {
        stage: StageIndex,
        /// What is lacking, in words.
        reasons: Vec<String>,
        /// What speaks against the version, without being enough to end it.
        against: Vec<String>,
    },
    /// A person lets a stage go on whose evidence is not enough.
    Promoted { stage: StageIndex, promotion: Promotion },
    /// It does not go on all the same.
    NotPromoted {
        stage: StageIndex,
        /// What speaks against it, in words.
        reasons: Vec<String>,
    },
    /// No weight moves forward until it is resumed.
    Paused { stage: StageIndex, pause: Pause },
    /// It goes on.
    Resumed {
        stage: StageIndex,
        /// The ARN of the caller's identity.
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// For how long it was paused.
        lasted: Span,
    },
    /// Somebody else changed a route; the deployment holds.
    ForeignChange {
        /// What is different, in words.
        found: String,
    },
    /// The routes are the deployment's own again, and it goes on.
    RouteInOrder {
        /// For how long they may not have been.
        lasted: Span,
    },
    /// Everything is back on stable; what led to it.
    TrafficRestored {
        failure: Failure,
        /// Whether somebody else's change was overwritten.
        overwritten: Option<String>,
        /// Whose decision it was, if it did not wait for stable to be healthy enough.
        #[serde(default)]
        forced: Option<Forced>,
    },
    /// The rollback cannot send traffic to stable: no target there is healthy.
    RollbackHeld,
    /// Stable has too few healthy targets: the rollback goes back step by step.
    SteppingBack {
        /// Healthy targets of stable.
        healthy: u32,
        /// How many everything needs.
        needed: u32,
        /// What the canary keeps until more are healthy.
        keeps: Weight,
    },
    /// Stable is still too weak after all the time that the plan gives it.
    RollbackOverdue {
        /// Healthy targets of stable.
        healthy: u32,
        /// How many everything needs.
        needed: u32,
        waited: Span,
    },
    /// Somebody else has changed the scaling settings of a slot: they are kept for the end.
    ScalingChanged {
        service: EcsServiceName,
        /// What is different, in words.
        found: Vec<String>,
    },
    /// The scaling settings of a slot cannot be written.
    ScalingNotSet {
        service: EcsServiceName,
        /// What they were to be.
        wanted: ScalableTarget,
        /// In words.
        why: String,
    },
    /// Terminal: the canary is the stable version now.
    Succeeded,
    /// Terminal: everything is on stable and the canary is scaled in.
    RolledBack { failure: Failure },
    /// Terminal: it ended before it changed anything.
    Abandoned { failure: Failure },
    /// After the end: what was asked of the version that serves again.
    Validated {
        /// What is as it must be, in words with numbers.
        good: Vec<String>,
        bad: Vec<String>,
        /// What nobody could say in time.
        unknown: Vec<String>,
    },
    /// After a success: a person ends the time in which the old slot keeps its tasks.
    RetirementHastened {
        /// The ARN of the caller's identity.
        by: String,
        /// When they would have gone by themselves.
        was_due_at: Timestamp,
    },
    /// After a success: the old slot has lost its tasks.
    Retired,
    /// After a success: the old slot carries weight again, so it keeps its tasks.
    RetirementPostponed,
    /// After a success: rules that the request did not list still lead to the old slot, so it keeps
    /// its tasks.
    StillReached {
        /// Which rules and listeners.
        by: Vec<RouteRef>,
    },
    /// After the end: its service is otherwise than it has left it. Told once for as long as it is the same.
    Drifted {
        /// What is otherwise, in words.
        differences: Vec<String>,
    },
    /// A channel does not get what is told: for whoever reads the other ones.
    Undelivered {
        channel: ChannelName,
        /// The first notice that it has not taken.
        sequence: u32,
        reason: String,
        how: Undelivered,
        /// The most urgent of what it has not taken. Notices from before this was kept were for attention.
        #[serde(default = "attention")]
        lost: Urgency,
    },
}

const fn attention() -> Urgency {
    Urgency::Attention
}

/// What becomes of a notice that a channel has not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Undelivered {
    /// It is lost for this channel; what comes after it is tried.
    Refused,
    /// It waits, and what comes after it too.
    Waits,
}

/// What it is to somebody who looks at the deployment now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    News,
    /// Somebody is asked.
    Question,
    /// It waits going forward.
    Wait,
    /// It waits going forward until a person decides.
    Hold,
    /// It waits going back, for stable.
    WeakStable,
}

impl Event {
    /// The failure that it tells, if it tells one.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::TrafficRestored { failure, .. }
            | Self::RolledBack { failure }
            | Self::Abandoned { failure } => Some(failure),
            Self::Started
            | Self::ApprovalNeeded { .. }
            | Self::Decided { .. }
            | Self::Shifted { .. }
            | Self::Waiting { .. }
            | Self::OutsideWindows { .. }
            | Self::Frozen { .. }
            | Self::CheckAlert { .. }
            | Self::StageHeld { .. }
            | Self::Promoted { .. }
            | Self::NotPromoted { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::ForeignChange { .. }
            | Self::RouteInOrder { .. }
            | Self::RollbackHeld
            | Self::SteppingBack { .. }
            | Self::RollbackOverdue { .. }
            | Self::ScalingChanged { .. }
            | Self::ScalingNotSet { .. }
            | Self::Succeeded
            | Self::Validated { .. }
            | Self::RetirementHastened { .. }
            | Self::Retired
            | Self::RetirementPostponed
            | Self::StillReached { .. }
            | Self::Drifted { .. }
            | Self::Undelivered { .. } => None,
        }
    }

    /// The stage that it is about, if it is about one.
    pub const fn stage(&self) -> Option<StageIndex> {
        match self {
            Self::ApprovalNeeded { stage, .. }
            | Self::Decided { stage, .. }
            | Self::Shifted { stage }
            | Self::Waiting { stage, .. }
            | Self::OutsideWindows { stage, .. }
            | Self::Frozen { stage, .. }
            | Self::CheckAlert { stage, .. }
            | Self::StageHeld { stage, .. }
            | Self::Promoted { stage, .. }
            | Self::NotPromoted { stage, .. }
            | Self::Paused { stage, .. }
            | Self::Resumed { stage, .. } => Some(*stage),
            Self::Started
            | Self::ForeignChange { .. }
            | Self::RouteInOrder { .. }
            | Self::TrafficRestored { .. }
            | Self::RollbackHeld
            | Self::SteppingBack { .. }
            | Self::RollbackOverdue { .. }
            | Self::RolledBack { .. }
            | Self::Abandoned { .. }
            | Self::ScalingChanged { .. }
            | Self::ScalingNotSet { .. }
            | Self::Succeeded
            | Self::Validated { .. }
            | Self::RetirementHastened { .. }
            | Self::Retired
            | Self::RetirementPostponed
            | Self::StillReached { .. }
            | Self::Drifted { .. }
            | Self::Undelivered { .. } => None,
        }
    }

    pub const fn concern(&self) -> Concern {
        match self {
            Self::ApprovalNeeded { .. } => Concern::Question,
            Self::Waiting { .. }
            | Self::OutsideWindows { opens_at: Some(_), .. }
            | Self::Frozen { goes_on_at: Some(_), .. }
            | Self::ForeignChange { .. } => Concern::Wait,
            Self::StageHeld { .. }
            | Self::OutsideWindows { opens_at: None, .. }
            | Self::Frozen { goes_on_at: None, .. }
            | Self::Paused { .. } => Concern::Hold,
            Self::RollbackHeld | Self::SteppingBack { .. } | Self::RollbackOverdue { .. } => {
                Concern::WeakStable
            }
            Self::Started
            | Self::Decided { .. }
            | Self::Shifted { .. }
            | Self::CheckAlert { .. }
            | Self::Promoted { .. }
            | Self::NotPromoted { .. }
            | Self::Resumed { .. }
            | Self::RouteInOrder { .. }
            | Self::TrafficRestored { .. }
            | Self::ScalingChanged { .. }
            | Self::ScalingNotSet { .. }
            | Self::Succeeded
            | Self::RolledBack { .. }
            | Self::Abandoned { .. }
            | Self::Validated { .. }
            | Self::RetirementHastened { .. }
            | Self::Retired
            | Self::RetirementPostponed
            | Self::StillReached { .. }
            | Self::Drifted { .. }
            | Self::Undelivered { .. } => Concern::News,
        }
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::ApprovalNeeded { .. } => "approvalNeeded",
            Self::Decided { .. } => "decided",
            Self::Shifted { .. } => "shifted",
            Self::Waiting { .. } => "waiting",
            Self::OutsideWindows { .. } => "outsideWindows",
            Self::Frozen { .. } => "frozen",
            Self::CheckAlert { .. } => "checkAlert",
            Self::StageHeld { .. } => "stageHeld",
            Self::Promoted { .. } => "promoted",
            Self::NotPromoted { .. } => "notPromoted",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::ForeignChange { .. } => "foreignChange",
            Self::RouteInOrder { .. } => "routeInOrder",
            Self::TrafficRestored { .. } => "trafficRestored",
            Self::RollbackHeld => "rollbackHeld",
            Self::SteppingBack { .. } => "steppingBack",
            Self::RollbackOverdue { .. } => "rollbackOverdue",
            Self::ScalingChanged { .. } => "scalingChanged",
            Self::ScalingNotSet { .. } => "scalingNotSet",
            Self::Succeeded => "succeeded",
            Self::RolledBack { .. } => "rolledBack",
            Self::Abandoned { .. } => "abandoned",
            Self::Validated { .. } => "validated",
            Self::RetirementHastened { .. } => "retirementHastened",
            Self::Retired => "retired",
            Self::RetirementPostponed => "retirementPostponed",
            Self::StillReached { .. } => "stillReached",
            Self::Drifted { .. } => "drifted",
            Self::Undelivered { .. } => "undelivered",
        }
    }

    /// Whether the deployment has ended with it. A deployment has exactly one such notice.
    pub const fn terminal(&self) -> bool {
        match self {
            Self::Succeeded | Self::RolledBack { .. } | Self::Abandoned { .. } => true,
            Self::Started
            | Self::ApprovalNeeded { .. }
            | Self::Decided { .. }
            | Self::Shifted { .. }
            | Self::Waiting { .. }
            | Self::OutsideWindows { .. }
            | Self::Frozen { .. }
            | Self::CheckAlert { .. }
            | Self::StageHeld { .. }
            | Self::Promoted { .. }
            | Self::NotPromoted { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::ForeignChange { .. }
            | Self::RouteInOrder { .. }
            | Self::TrafficRestored { .. }
            | Self::RollbackHeld
            | Self::SteppingBack { .. }
            | Self::RollbackOverdue { .. }
            | Self::ScalingChanged { .. }
            | Self::ScalingNotSet { .. }
            | Self::Validated { .. }
            | Self::RetirementHastened { .. }
            | Self::Retired
            | Self::RetirementPostponed
            | Self::StillReached { .. }
            | Self::Drifted { .. }
            | Self::Undelivered { .. } => false,
        }
    }

    pub const fn urgency(&self) -> Urgency {
        match self {
            Self::RollbackHeld | Self::RollbackOverdue { .. } => Urgency::Page,
            // Somebody who has to act now does not know it.
            Self::Undelivered { lost: Urgency::Page, .. } => Urgency::Page,
            // Everybody is on it, and nothing is left to go back to by itself.
            Self::Validated { bad, .. } if !bad.is_empty() => Urgency::Page,
            Self::Validated { unknown, .. } if !unknown.is_empty() => Urgency::Attention,
            Self::Validated { .. } => Urgency::Information,
            Self::ApprovalNeeded { .. }
            | Self::Waiting { .. }
            | Self::CheckAlert { .. }
            | Self::StageHeld { .. }
            | Self::OutsideWindows { opens_at: None, .. }
            | Self::Frozen { goes_on_at: None, .. }
            | Self::NotPromoted { .. }
            | Self::Paused { .. }
            | Self::ForeignChange { .. }
            | Self::TrafficRestored { .. }
            | Self::SteppingBack { .. }
            | Self::ScalingChanged { .. }
            | Self::ScalingNotSet { .. }
            | Self::RolledBack { .. }
            | Self::Abandoned { .. }
            | Self::RetirementPostponed
            | Self::StillReached { .. }
            | Self::Drifted { .. }
            | Self::Undelivered { .. } => Urgency::Attention,
            Self::Started
            | Self::Decided { .. }
            | Self::Shifted { .. }
            | Self::Promoted { .. }
            // It was planned so.
            | Self::OutsideWindows { opens_at: Some(_), .. }
            | Self::Frozen { goes_on_at: Some(_), .. }
            | Self::Resumed { .. }
            | Self::RouteInOrder { .. }
            | Self::Succeeded
            | Self::RetirementHastened { .. }
            | Self::Retired => Urgency::Information,
        }
    }
}

impl Notice {
    /// The id under which channels may see it more than once.
    pub fn id(&self) -> String {
        format!("{}/{}", self.deployment, self.sequence)
    }
}
