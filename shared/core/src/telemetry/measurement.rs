//! What is measured at one time.

use super::metric::Metric;
use crate::failure::{FailureCode, FailureKind};
use crate::health::sequential::Tally;
use crate::health::{Cell, Judgement, MeasuredMetrics, Reading, Readings, Verdict};
use crate::ids::{DeploymentId, ServiceLabel};
use crate::record::Deployment;
use crate::time::Span;
use crate::weight::Weight;

/// Metrics that belong together, and what they are about.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Not empty, all of them with the same dimensions.
    pub(super) values: Vec<(Metric, f64)>,
    pub(super) service: Option<ServiceLabel>,
    /// For whoever reads the line; no dimension.
    pub(super) deployment: Option<DeploymentId>,
    /// Which failure it was; no dimension either.
    pub(super) code: Option<FailureCode>,
}

impl Measurement {
    /// What one look at a stage has found. What nobody could read, or nobody asked of the load balancer, is not
    /// there: it is no zero.
    pub fn of_look(deployment: &Deployment, readings: &Readings, verdict: &Verdict) -> Self {
        let stage = deployment.progress.stage.0.saturating_add(1);
        let mut values = vec![
            (Metric::CanaryWeight, percent(weight(deployment))),
            (Metric::Stage, whole(u64::try_from(stage).unwrap_or(u64::MAX))),
            (Metric::Verdict, ordinal(verdict.judgement)),
        ];
        if let Some(cell) = newest(readings) {
            let (bad, slow) = (cell.bad(), cell.slow());
            let all = bad.canary.requests.saturating_add(bad.stable.requests);
            let of_all = Tally { requests: all, events: bad.canary.requests };
            let shares = [
                (Metric::CanaryTraffic, Some(of_all)),
                (Metric::CanaryBadRequests, Some(bad.canary)),
                (Metric::StableBadRequests, Some(bad.stable)),
                (Metric::CanarySlowRequests, slow.map(|slow| slow.canary)),
                (Metric::StableSlowRequests, slow.map(|slow| slow.stable)),
            ];
            values.extend(
                shares.into_iter().filter_map(|(metric, tally)| Some((metric, share(tally?)?))),
            );
        }
        let service = Some(deployment.plan.service.clone());
        Self { values, service, deployment: Some(deployment.id.clone()), code: None }
    }

    /// What one sweep has found overdue, and for how long the oldest of it: nothing is zero.
    pub fn of_sweep(work: Span, notices: Span) -> Self {
        Self::of_stack(vec![
            (Metric::Sweeps, 1.0),
            (Metric::OverdueWork, seconds(work)),
            (Metric::UndeliveredNotices, seconds(notices)),
        ])
    }

    /// How long it took from an alarm's change until every route that it stops was written back.
    pub fn of_rollback(took: Span) -> Self {
        Self::of_stack(vec![(Metric::AlarmToRoute, seconds(took))])
    }

    /// A failure that is no answer. What is an answer (a verdict, a refusal) is none of Glidepath's own.
    pub fn of_failure(code: FailureCode) -> Option<Self> {
        let metric = match code.kind() {
            FailureKind::Passing => Metric::TransientFailures,
            FailureKind::Broken => Metric::UnexpectedFailures,
            FailureKind::Mistaken
            | FailureKind::Unknown
            | FailureKind::NotAllowed
            | FailureKind::Refused => return None,
        };
        Some(Self { code: Some(code), ..Self::of_stack(vec![(metric, 1.0)]) })
    }

    const fn of_stack(values: Vec<(Metric, f64)>) -> Self {
        Self { values, service: None, deployment: None, code: None }
    }
}

/// The newest complete period in which the weight of a stage held.
fn newest(readings: &Readings) -> Option<&Cell> {
    match &readings.metrics {
        Reading::Read(MeasuredMetrics { requests: Reading::Read(cells), .. }) => cells.last(),
        Reading::Read(_) | Reading::Unreadable(_) => None,
    }
}

/// What the canary has on the route where it has most, as last read back.
fn weight(deployment: &Deployment) -> Weight {
    let routes = deployment.plan.routes.iter().zip(&deployment.progress.verified);
    let shares = routes.filter_map(|(route, actions)| actions.canary_share(&route.pair).ok());
    shares.max().unwrap_or(Weight::NONE)
}

fn percent(weight: Weight) -> f64 {
    f64::from(weight.permille()) / 10.0
}

/// In percent; of no requests there is no share.
fn share(Tally { requests, events }: Tally) -> Option<f64> {
    (requests > 0).then(|| whole(events) / whole(requests) * 100.0)
}

fn seconds(span: Span) -> f64 {
    whole(span.as_millis()) / 1000.0
}

/// As a number of CloudWatch: exact up to more than anything that is counted here.
const fn whole(number: u64) -> f64 {
    number as f64
}

/// The worse, the greater.
const fn ordinal(judgement: Judgement) -> f64 {
    match judgement {
        Judgement::Pass => 0.0,
        Judgement::Inconclusive => 1.0,
        Judgement::Suspect => 2.0,
        Judgement::Fail => 3.0,
    }
}
