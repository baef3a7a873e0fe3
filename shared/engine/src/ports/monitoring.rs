//! Alarms and metrics.

use std::future::Future;

use glidepath_core::health::{ConnectionErrors, LoadBalancerErrors, Periods, Series};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::plan::{BadRequestsAre, Measure};
use glidepath_core::record::Shift;
use glidepath_core::time::{Span, Timestamp};

use super::{Alarm, PortResult};

/// Which requests to count, and what else to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsQuery {
    /// Load balancer dimension, canary group and stable group of every route.
    pub routes: Vec<(String, TargetGroupArn, TargetGroupArn)>,
    /// The verified shifts, in order; the first begins the window.
    pub shifts: Vec<Shift>,
    pub bad_are: BadRequestsAre,
    /// Requests that take longer are slow; `None`: they are not counted.
    pub slower_than: Option<Span>,
    /// Measures of the user's own.
    pub checks: Vec<CheckQuery>,
    /// Their points from earlier are left out.
    pub checks_since: Timestamp,
    /// Now; the newest, incomplete period is left out.
    pub now: Timestamp,
}

/// A measure of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckQuery {
    pub canary: Measure,
    /// Of stable, where they are compared.
    pub stable: Option<Measure>,
    /// The length of a period; `None`: as the load balancer publishes its metrics.
    pub period: Option<Span>,
}

/// What was measured. Each part has an error of its own: a metric that cannot be read must not take
/// the others with it.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests of both slots, by period.
    pub requests: PortResult<Periods>,
    /// Connections to targets that failed, since the first shift.
    pub connection_errors: PortResult<ConnectionErrors>,
    /// What each load balancer answered itself.
    pub load_balancer_errors: PortResult<Vec<LoadBalancerErrors>>,
    /// Each check, in the order asked.
    pub checks: Vec<CheckAnswer>,
}

/// What was measured for one check.
#[derive(Clone, Debug)]
pub struct CheckAnswer {
    pub canary: PortResult<Series>,
    /// Of stable, where that was asked.
    pub stable: Option<PortResult<Series>>,
    pub period: Span,
    /// Where the newest complete period ends.
    pub until: Timestamp,
}

pub trait Monitoring: Sync {
    /// The alarms of these names or ARNs, in the order asked; `None` where there is none.
    fn alarms(
        &self,
        names: &[String],
    ) -> impl Future<Output = PortResult<Vec<Option<Alarm>>>> + Send;
    /// Everything measured since the first shift; `None` while there is no complete period.
    fn metrics(
        &self,
        query: &MetricsQuery,
    ) -> impl Future<Output = PortResult<Option<Metrics>>> + Send;
}
