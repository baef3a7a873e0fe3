//! What was read, with its window, samples and age. Absence is not zero: what could not be read
//! is [`Reading::Unreadable`], with the reason.

use serde::{Deserialize, Serialize};

use super::hooks::HookReading;
use super::metrics::MeasuredMetrics;
use super::probes::ProbeReading;
use super::reading::Reading;
use crate::ids::AlarmArn;
use crate::record::Gap;
use crate::time::Timestamp;

/// Everything that one look gathered about a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Readings {
    pub at: Timestamp,
    /// Alarms as CloudWatch sees them now: actions fire only on transitions, so a look is needed.
    pub alarms: Reading<Vec<AlarmReading>>,
    /// Targets of every route.
    pub targets: Reading<Vec<RouteTargets>>,
    /// Canary tasks that stopped by themselves since the stage was shifted.
    pub stopped_tasks: Reading<Vec<StoppedTask>>,
    /// Times in which somebody else's weights may have been on a route: a task that stopped then says
    /// nothing about the stage's.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    pub metrics: Reading<MeasuredMetrics>,
    /// The plan's hooks that have a say at this stage.
    pub hooks: Vec<HookReading>,
    pub probes: Vec<ProbeReading>,
}

/// An alarm's role in this deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Watched {
    Stable,
    Canary,
    Service,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmReading {
    pub alarm: AlarmArn,
    pub watched: Watched,
    pub signal: AlarmSignal,
    /// CloudWatch's own reason.
    pub reason: String,
    /// Whether it has fired since before the deployment began, when its slot had no traffic, and
    /// has not been OK in between.
    #[serde(default)]
    pub since_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlarmSignal {
    Ok,
    Alarm,
    /// `INSUFFICIENT_DATA`: neither good nor bad.
    InsufficientData,
    /// It does not exist any more.
    Missing,
    /// AWS does not say; others beside it may be readable.
    Unreadable,
}

/// Healthy targets of both slots on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteTargets {
    pub canary_healthy: u32,
    /// Canary targets that the stage needs.
    pub canary_needed: u32,
    pub stable_healthy: u32,
    /// The load balancer's reason for one of the canary's that is not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_sick: Option<String>,
}

/// A task that stopped although nobody asked it to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedTask {
    /// The last part of its ARN.
    pub task: String,
    /// ECS's reason, with the exit code of the essential container where there is one.
    pub reason: String,
    pub at: Timestamp,
    #[serde(default)]
    pub end: TaskEnd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskEnd {
    /// It never ran: an image that cannot be pulled, a secret that cannot be read, no place.
    NeverRan,
    /// It ran, and then a container without which it cannot be ended.
    #[default]
    Exited,
    /// It ran, and ECS replaced it because its health checks failed.
    Unhealthy,
}
