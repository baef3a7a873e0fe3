//! What goes wrong on request, at AWS rather than in the application.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One fault. Calls and invocations are counted from the moment it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Calls of an AWS action do not go as they should.
    Fail(FailCalls),
    /// A function's process ends before it answers.
    Kill(KillInvocation),
    /// The event of an invocation is delivered a second time.
    Repeat(RepeatInvocation),
}

/// `fail`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailCalls {
    /// The action, with its service's IAM prefix where others have one of the same name:
    /// `ModifyRule`, `dynamodb:UpdateItem`.
    pub action: String,
    /// Only calls of this caller count; without it those of everybody, clients of the lab included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Caller>,
    /// The first call that fails, counted from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many fail from there on.
    #[serde(default = "one")]
    pub times: u32,
    /// All fail from there on, until the script ends the faults.
    #[serde(default)]
    pub until_ended: bool,
    /// In which way.
    pub error: CallError,
}

/// `kill`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KillInvocation {
    /// Whose.
    pub function: Caller,
    /// Which invocation, counted from 1.
    #[serde(default = "one")]
    pub invocation: u32,
    /// After so many of its AWS calls, before it sees the last one's answer; 0: at its first call,
    /// which has no effect.
    pub after_calls: u32,
}

/// `repeat`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepeatInvocation {
    /// Whose.
    pub function: Caller,
    /// Which invocation, counted from 1.
    #[serde(default = "one")]
    pub invocation: u32,
    /// When the second delivery comes. Its answer is told to nobody.
    pub again: Again,
}

/// Who calls AWS: a function by its own name, or the state machine.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Caller {
    /// Checks the request and takes the locks.
    Plan,
    /// Brings the world towards a stage.
    Advance,
    /// Stores the token of a pause.
    Gate,
    /// Judges.
    Validate,
    /// Commits, unlocks and retires.
    Complete,
    /// Brings traffic back.
    Rollback,
    /// Delivers notices.
    Notify,
    /// Looks after what nobody carries any more.
    Sweep,
    /// The state machine, whose only calls are invocations of functions.
    StateMachine,
}

impl Caller {
    pub const ALL: [Self; 9] = [
        Self::Plan,
        Self::Advance,
        Self::Gate,
        Self::Validate,
        Self::Complete,
        Self::Rollback,
        Self::Notify,
        Self::Sweep,
        Self::StateMachine,
    ];

    /// The role's name in template.yaml, which is part of its name in the account.
    pub const fn role(self) -> &'static str {
        match self {
            Self::Plan => "PlanRole",
            Self::Advance => "AdvanceRole",
            Self::Gate => "GateRole",
            Self::Validate => "ValidateRole",
            Self::Complete => "CompleteRole",
            Self::Rollback => "RollbackRole",
            Self::Notify => "NotifyRole",
            Self::Sweep => "SweepRole",
            Self::StateMachine => "DeploymentRole",
        }
    }

    /// The function's name in template.yaml, which is part of its name in the account.
    pub const fn function(self) -> Option<&'static str> {
        match self {
            Self::Plan => Some("PlanFunction"),
            Self::Advance => Some("AdvanceFunction"),
            Self::Gate => Some("GateFunction"),
            Self::Validate => Some("ValidateFunction"),
            Self::Complete => Some("CompleteFunction"),
            Self::Rollback => Some("RollbackFunction"),
            Self::Notify => Some("NotifyFunction"),
            Self::Sweep => Some("SweepFunction"),
            Self::StateMachine => None,
        }
    }

    /// The caller that has this role.
    pub fn with_role(principal: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|caller| principal.contains(caller.role()))
    }
}

/// What happens to a call.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum CallError {
    /// AWS asks to come back later; no effect.
    Throttle,
    /// A 500; no effect.
    ServerError,
    /// AWS refuses for good; no effect.
    Denied,
    /// No answer, and no effect.
    TimeoutBefore,
    /// No answer, but the effect: the response is lost.
    TimeoutAfter,
    /// The effect, and the caller's process is killed before it sees the answer.
    Killed,
}

impl CallError {
    /// All that a caller should survive.
    pub const SURVIVABLE: [Self; 5] =
        [Self::Throttle, Self::ServerError, Self::TimeoutBefore, Self::TimeoutAfter, Self::Killed];
}

/// When an event comes again.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Again {
    /// At the same time.
    Meanwhile,
    /// Shortly after the first delivery was answered.
    Afterwards,
}

impl Fault {
    /// As the local AWS takes it.
    pub(crate) fn request(&self, name: &str) -> Value {
        match self {
            Self::Fail(fail) => {
                let (service, action) = match fail.action.split_once(':') {
                    Some((service, action)) => (Some(service), action),
                    None => (None, fail.action.as_str()),
                };
                json!({ "name": name, "fail": {
                    "service": service,
                    "action": action,
                    "principal": fail.by.map(Caller::role),
                    "first": fail.nth,
                    "times": if fail.until_ended { 0 } else { fail.times },
                    "how": fail.error,
                }})
            }
            Self::Kill(kill) => json!({ "name": name, "kill": {
                "function": kill.function.function(),
                "invocation": kill.invocation,
                "afterCalls": kill.after_calls,
            }}),
            Self::Repeat(repeat) => json!({ "name": name, "repeat": {
                "function": repeat.function.function(),
                "invocation": repeat.invocation,
                "again": repeat.again,
            }}),
        }
    }
}

impl std::fmt::Display for Fault {
    /// As in the file, in one line.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => formatter.write_str(&json),
            Err(_) => formatter.write_str("(not writable)"),
        }
    }
}

fn one() -> u32 {
    1
}
