//! How a plan judges the canary.

use serde::{Deserialize, Serialize};

use super::checks::Check;
use super::hooks::Hook;
use super::probes::Probe;
use crate::health::sequential::Terms;
use crate::ids::AlarmArn;
use crate::time::{Span, Timestamp};

/// How the canary is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthPlan {
    /// Time between two looks.
    pub interval: Span,
    pub alarms: AlarmPlan,
    /// Highest share of bad requests, in permille of the canary's requests; `None`: not judged.
    pub bad_requests_limit: Option<Permille>,
    #[serde(default)]
    pub bad_requests_are: BadRequestsAre,
    /// Requests that take longer are slow; `None`: nobody asks.
    #[serde(default)]
    pub slower_than: Option<Span>,
    #[serde(default)]
    pub comparison: Option<ComparisonPlan>,
    /// Measures of the user's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Functions of the user's own that have a say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// URLs that must answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// Canary requests of a stage below which its share says nothing.
    pub minimum_requests: u64,
    /// How much longer than its bake a stage may take to gather enough evidence.
    pub extend_up_to: Span,
    /// What happens when that was not enough.
    pub on_inconclusive: OnInconclusive,
}

impl HealthPlan {
    /// Whether a verdict waits for requests and is made of them.
    pub const fn judges_requests(&self) -> bool {
        self.bad_requests_limit.is_some() || self.comparison.is_some()
    }

    /// How long a look at stable vouches for it: two intervals, so that one missed look does not matter.
    pub fn fresh_for(&self) -> Span {
        self.interval.times(2)
    }
}

/// Which requests are bad.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum BadRequestsAre {
    /// Everything that a target did not answer with 2xx, 3xx or 4xx. Also counts what the load
    /// balancer answers for a target that crashed, but with it clients that went away and
    /// switches of protocol (WebSockets).
    #[default]
    NotAnsweredWell,
    /// Answers of 5xx and connections that a target refused or dropped. Misses requests that the
    /// load balancer gave up.
    TargetErrors,
}

/// How the canary is compared with stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonPlan {
    /// How many periods have to speak against the canary.
    pub witnesses: u32,
    /// It may have this many times stable's share of bad requests, in thousandths.
    pub ratio: Thousandths,
    /// This share is allowed whatever stable has.
    pub floor: Permille,
    /// How many releases that keep within both may be rolled back.
    pub false_rollbacks: Permille,
}

impl ComparisonPlan {
    /// As the test takes them.
    pub fn terms(&self) -> Terms {
        let share = |permille: Permille| f64::from(permille.0) / 1000.0;
        Terms {
            ratio: f64::from(self.ratio.0) / 1000.0,
            floor: share(self.floor),
            alpha: share(self.false_rollbacks),
            witnesses: self.witnesses,
        }
    }
}

/// A factor in thousandths: 1250 is 1.25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Thousandths(pub u32);

/// A share in permille, 0 to 1000, of something other than traffic weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permille(pub u16);

impl std::fmt::Display for Permille {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_multiple_of(10) {
            write!(formatter, "{} %", self.0 / 10)
        } else {
            write!(formatter, "{}.{} %", self.0 / 10, self.0 % 10)
        }
    }
}

/// What happens to a stage whose evidence stayed inconclusive for all the time it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnInconclusive {
    /// The weight stays where it is until a person says otherwise.
    Hold,
    /// Everything returns to stable.
    Rollback,
    /// The next stage begins.
    Continue,
}

/// Alarms by the role of the slot that they watch in this deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmPlan {
    /// They watch the slot that serves today: firing, they hold the deployment.
    pub stable: Vec<AlarmArn>,
    /// They watch the new version: firing, they roll back.
    pub canary: Vec<AlarmArn>,
    /// They watch the service as a whole: firing, they roll back.
    pub service: Vec<AlarmArn>,
    /// Alarms that were already firing at the start and were named with `force`: they are
    /// neither bound nor looked at.
    pub forced: Vec<AlarmArn>,
    /// Those of `canary` that were firing when the deployment began: their slot had no traffic, and
    /// many an alarm fires for just that. They are bound like the others, and fire anew only after
    /// they were OK; until then they hold the stages in which the canary has traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<AlarmArn>,
}

impl AlarmPlan {
    /// Whether an alarm that fires has done so since before the deployment: what it says is then of
    /// the time without traffic. When it began to fire is CloudWatch's to tell; if it does not, it
    /// is taken to be so.
    pub fn fires_since_before(
        &self,
        alarm: &AlarmArn,
        since: Option<Timestamp>,
        started_at: Timestamp,
    ) -> bool {
        self.idle.contains(alarm) && since.is_none_or(|since| since < started_at)
    }

    /// The alarms whose firing rolls back.
    pub fn binding(&self) -> impl Iterator<Item = &AlarmArn> {
        self.canary.iter().chain(&self.service)
    }
}
