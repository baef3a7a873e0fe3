//! Something that can be seen to happen: what the script waits for and what expectations name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{AlarmName, Slot};

/// One thing that happens. Exactly one of `stage`, `weight`, `state`, `notice`, `execution`,
/// `alarm`, `tasks`, `scaling`, `badRequests`, `fault` and `step` says what; the other fields say more exactly which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Happening {
    /// The canary gets the weight of this stage of the plan, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<usize>,
    /// The route is read back with this share on the canary, in percent; in expectations: it is
    /// written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The execution enters the state of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// A notice with this name is delivered, on whichever channel first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The execution gets this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionStatus>,
    /// The alarm changes to the state `is`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmName>,
    /// With `alarm`: the new state; without it, `ALARM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<AlarmState>,
    /// The tasks of a slot are as many as this says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskCount>,
    /// The scaling settings of a slot are these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingIs>,
    /// Clients have seen so many bad requests in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_requests: Option<u64>,
    /// This fault of the scenario's `faults` strikes, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<usize>,
    /// This step of the script has been done, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Only of this deployment, by its name in the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Only of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Not the first time but this one, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<usize>,
}

impl Happening {
    /// How many of the fields that say what happens are given; it must be one.
    pub fn kinds(&self) -> usize {
        [
            self.stage.is_some(),
            self.weight.is_some(),
            self.state.is_some(),
            self.notice.is_some(),
            self.execution.is_some(),
            self.alarm.is_some(),
            self.tasks.is_some(),
            self.scaling.is_some(),
            self.bad_requests.is_some(),
            self.fault.is_some(),
            self.step.is_some(),
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }
}

impl std::fmt::Display for Happening {
    /// As in the file, in one line.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => formatter.write_str(&json),
            Err(_) => formatter.write_str("(not writable)"),
        }
    }
}

/// `tasks`: how many tasks a slot has, wanted or running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskCount {
    /// Which slot.
    pub slot: Slot,
    /// It is asked to run so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// It runs so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<u32>,
}

/// `scaling`: how Application Auto Scaling may scale a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingIs {
    /// Which slot.
    pub slot: Slot,
    /// Bounds, and which of `scaleIn`, `scaleOut` and `scheduled` are suspended: `0-8 scaleIn`.
    pub settings: String,
}

/// Status of a Step Functions execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// It goes on.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended with an error and a cause.
    Failed,
    /// It ran into its own time limit.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

impl ExecutionStatus {
    pub const fn ended(self) -> bool {
        match self {
            Self::Running => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Aborted => true,
        }
    }

    /// As AWS writes it.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "RUNNING" | "PENDING_REDRIVE" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" => Self::Failed,
            "TIMED_OUT" => Self::TimedOut,
            "ABORTED" => Self::Aborted,
            _ => return None,
        })
    }
}

/// State of a CloudWatch alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// Within its bounds.
    Ok,
    /// Firing.
    Alarm,
    /// It cannot say.
    InsufficientData,
}

impl AlarmState {
    /// As AWS writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    /// As AWS writes it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData]
            .into_iter()
            .find(|state| state.name() == text)
    }
}
