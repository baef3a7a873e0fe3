//! What CloudWatch measured, all of it from one call.

use serde::{Deserialize, Serialize};

use super::cells::Cell;
use super::checks::{self, CheckReading};
use super::connections::{self, ConnectionErrors, LoadBalancerErrors};
use super::reading::Reading;
use super::requests;
use super::verdict::{Reason, pass, read};
use crate::plan::{CheckMode, Plan, StageIndex};
use crate::weight::Weight;

/// Everything measured since the first verified shift, up to the newest complete period. A metric
/// that could not be read leaves the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredMetrics {
    /// Requests of both slots.
    pub requests: Reading<Vec<Cell>>,
    /// Connections to targets that failed.
    pub connection_errors: Reading<ConnectionErrors>,
    /// What each load balancer answered itself.
    pub load_balancer_errors: Reading<Vec<LoadBalancerErrors>>,
    /// The plan's own checks, in its order.
    pub checks: Vec<CheckReading>,
}

/// Adds a reason for everything that the plan asks of them.
pub(super) fn judge(
    plan: &Plan,
    stage: StageIndex,
    reading: &Reading<MeasuredMetrics>,
    reasons: &mut Vec<Reason>,
) {
    let health = &plan.health;
    let judged = health.judges_requests();
    let idle = plan.stage(stage).is_some_and(|stage| stage.weight == Weight::NONE);
    if judged && idle {
        // Waiting for requests that cannot come would hold an idle check for ever.
        reasons.push(pass("no requests expected at weight 0 %"));
    }
    let with_requests = judged && !idle;
    if !with_requests && health.checks.is_empty() {
        return;
    }
    let mut unread = Vec::new();
    let Some(metrics) = read("metrics", reading, &mut unread) else {
        // Those that change no verdict must not hold it either.
        let critical = health.checks.iter().any(|check| check.mode == CheckMode::Critical);
        if with_requests || critical {
            reasons.append(&mut unread);
        }
        return;
    };
    if with_requests {
        requests::judge(plan, stage, &metrics.requests, reasons);
        connections::judge_load_balancers(&metrics.load_balancer_errors, reasons);
        connections::tell_connections(&metrics.connection_errors, reasons);
    }
    checks::judge(&health.checks, &metrics.checks, reasons);
}
