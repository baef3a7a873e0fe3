//! Names under which things fail. They are contracts: the state machine matches on them, CI reads
//! them from the execution, people read them in messages.

use serde::{Deserialize, Serialize};

macro_rules! failure_codes {
    ($($(#[$documentation:meta])* $code:ident,)*) => {
        /// Why a function or a deployment failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FailureCode {
            $($(#[$documentation])* $code,)*
        }

        impl FailureCode {
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The name on the wire: `errorType` of a function, `Error` of an execution.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }
        }
    };
}

failure_codes! {
    /// The request has mistakes; nothing was written.
    InvalidRequest,
    /// An earlier deployment has the same name; nothing was written.
    NameUsed,
    /// Another deployment holds one of the resources; nothing was written.
    DeploymentRunning,
    /// A bound alarm fired while the deployment was being set up.
    AlarmAlreadyFiring,
    /// Somebody else changed a route while the deployment was being set up; it was not touched.
    RouteChanged,
    AlarmFired,
    /// The evidence says that the canary is worse than allowed.
    VerdictFailed,
    /// The evidence stayed inconclusive for longer than the plan allows.
    Inconclusive,
    /// The canary's tasks do not start.
    CanaryFailedToStart,
    /// The canary did not become healthy in time.
    CanaryNotHealthy,
    /// A person refused a stage.
    ApprovalRejected,
    /// Nobody approved a stage in time.
    ApprovalTimedOut,
    /// Somebody else may decide that; nothing was recorded.
    NotAllowed,
    /// A person ended the deployment.
    Aborted,
    /// The execution that carried the deployment ended without finishing it.
    OrchestrationLost,
    /// The step is not allowed any more: a rollback has begun, or the deployment has ended.
    FenceClosed,
    /// No deployment of that name exists.
    UnknownDeployment,
    /// The rollback cannot go on by itself: the stable slot has no healthy target, or the time is
    /// up. A person was paged and the sweep goes on.
    RollbackHeld,
    /// AWS did not answer, or refused for the moment; the same call may succeed later.
    Transient,
    /// AWS refused for good, or something is not as it must be.
    Unexpected,
}

impl std::fmt::Display for FailureCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FailureCode {
    /// Whether a rollback with this name says something of the version, and not of AWS, of whoever was to
    /// watch it or of other deployments. `met`: whether it has had traffic. Without it an alarm may speak
    /// of the version before, and ECS may have had no place for tasks.
    pub const fn speaks_against_version(self, met: bool) -> bool {
        match self {
            Self::VerdictFailed | Self::ApprovalRejected | Self::Aborted => true,
            Self::AlarmFired | Self::CanaryFailedToStart | Self::CanaryNotHealthy => met,
            Self::InvalidRequest
            | Self::NameUsed
            | Self::DeploymentRunning
            | Self::AlarmAlreadyFiring
            | Self::RouteChanged
            | Self::Inconclusive
            | Self::ApprovalTimedOut
            | Self::NotAllowed
            | Self::OrchestrationLost
            | Self::FenceClosed
            | Self::UnknownDeployment
            | Self::RollbackHeld
            | Self::Transient
            | Self::Unexpected => false,
        }
    }

    /// What kind of answer it is.
    pub const fn kind(self) -> FailureKind {
        match self {
            Self::InvalidRequest => FailureKind::Mistaken,
            Self::UnknownDeployment => FailureKind::Unknown,
            Self::NotAllowed => FailureKind::NotAllowed,
            Self::NameUsed
            | Self::DeploymentRunning
            | Self::AlarmAlreadyFiring
            | Self::RouteChanged
            | Self::AlarmFired
            | Self::VerdictFailed
            | Self::Inconclusive
            | Self::CanaryFailedToStart
            | Self::CanaryNotHealthy
            | Self::ApprovalRejected
            | Self::ApprovalTimedOut
            | Self::Aborted
            | Self::OrchestrationLost
            | Self::FenceClosed
            | Self::RollbackHeld => FailureKind::Refused,
            Self::Transient => FailureKind::Passing,
            Self::Unexpected => FailureKind::Broken,
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

/// What a failure tells whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// What was asked cannot be meant.
    Mistaken,
    /// There is nothing of that name.
    Unknown,
    /// Somebody else may ask for it.
    NotAllowed,
    /// It is not possible as things are.
    Refused,
    /// Nobody knows whether it was done; the same may succeed later.
    Passing,
    /// Nobody knows whether it was done, and something is not as it must be.
    Broken,
}

impl FailureKind {
    /// Whether it is an answer. Without one what was asked may have been done all the same.
    pub const fn is_answer(self) -> bool {
        match self {
            Self::Mistaken | Self::Unknown | Self::NotAllowed | Self::Refused => true,
            Self::Passing | Self::Broken => false,
        }
    }
}

/// A code with a sentence for the person who reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {cause}")]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What state machine and programs decide by.
    pub code: FailureCode,
    /// What happened and what now, for people: nothing may depend on its words.
    pub cause: String,
}

impl Failure {
    pub fn new(code: FailureCode, cause: impl Into<String>) -> Self {
        Self { code, cause: cause.into() }
    }
}
