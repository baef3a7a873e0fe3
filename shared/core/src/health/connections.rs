//! What went wrong before a target could answer.

use serde::{Deserialize, Serialize};

use super::reading::Reading;
use super::verdict::{Reason, pass, read, suspect};

/// Fewest errors of the newest periods that are looked at: fewer are no change to speak of.
const FEWEST_ERRORS: u64 = 10;

/// How many times as many as before the deployment are a change.
const MANY_TIMES: u128 = 3;

/// Answers of 5xx that a load balancer gave itself (`HTTPCode_ELB_5XX_Count`): no target could be
/// reached, or none answered. The load balancer does not say for which target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerErrors {
    /// `app/NAME/ID`.
    pub load_balancer: String,
    /// Before the first shift.
    pub before: Errors,
    /// In the newest periods since.
    pub newest: Errors,
}

/// Errors in so many periods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Errors {
    pub count: u64,
    /// In how many complete periods.
    pub periods: u32,
}

impl LoadBalancerErrors {
    /// Whether there are clearly more than before. One more before than was counted: none at all is
    /// a small number too.
    fn rose(&self) -> bool {
        let newest = u128::from(self.newest.count) * u128::from(self.before.periods);
        let before = (u128::from(self.before.count) + 1) * u128::from(self.newest.periods);
        self.newest.count >= FEWEST_ERRORS && newest > MANY_TIMES * before
    }
}

/// Connections to targets that failed (`TargetConnectionErrorCount`), since the first shift. Both
/// definitions of bad requests contain them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionErrors {
    /// To canary targets.
    pub canary: u64,
    /// To stable targets.
    pub stable: u64,
}

/// A reason for each load balancer. More errors than before hold: they may be another service's,
/// but nobody should take more traffic while they last.
pub(super) fn judge_load_balancers(
    reading: &Reading<Vec<LoadBalancerErrors>>,
    reasons: &mut Vec<Reason>,
) {
    let Some(found) = read("the load balancer's own errors", reading, reasons) else { return };
    for errors in found {
        let name = errors.load_balancer.split('/').nth(1).unwrap_or(&errors.load_balancer);
        let Errors { count, periods } = errors.newest;
        let Errors { count: before, periods: before_periods } = errors.before;
        let text = format!(
            "load balancer `{name}` itself answered {count} requests with 5xx in {periods} periods; \
             before the deployment {before} in {before_periods}"
        );
        reasons.push(if errors.rose() { suspect(text) } else { pass(text) });
    }
}

/// Tells what is among the bad requests already.
pub(super) fn tell_connections(reading: &Reading<ConnectionErrors>, reasons: &mut Vec<Reason>) {
    let Some(ConnectionErrors { canary, stable }) = read("connection errors", reading, reasons)
    else {
        return;
    };
    if *canary > 0 {
        reasons.push(pass(format!(
            "{canary} connections to canary targets failed, {stable} to stable ones; they are among \
             the bad requests"
        )));
    }
}
