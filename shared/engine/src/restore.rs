//! Sending everything back to stable: the one write that a rollback is about.

use futures_util::future::join_all;
use glidepath_core::plan::{Plan, RoutePlan};
use glidepath_core::protocol::{Intent, RecordedHealth};
use glidepath_core::time::Span;

use crate::Ambient;
use crate::attempt::{Attempted, Patience, Urgency};
use crate::ports::{Clock, LoadBalancer, PortResult};
use crate::routes;

/// How the write ended.
#[derive(Debug)]
pub(crate) enum Restore {
    /// It was attempted.
    Attempted(Attempted),
    /// Stable has no healthy target on one of the routes, so traffic stays where it is.
    OntoNothing,
}

/// Writes every route back to stable. If the recorded health of stable does not vouch for it, looks
/// at stable's targets first: this is the one thing that may stand between the fence and the route.
pub(crate) async fn restore(
    load_balancer: &impl LoadBalancer,
    ambient: &impl Ambient,
    intent: &Intent,
    plan: &[RoutePlan],
    health: RecordedHealth,
    needed: u32,
    urgency: Urgency,
) -> Restore {
    if !health.vouches(needed, ambient.now()) && has_nothing_healthy(load_balancer, plan).await {
        return Restore::OntoNothing;
    }
    let stable: Vec<_> = plan.iter().map(|route| (route, route.stable_only())).collect();
    Restore::Attempted(
        routes::write(load_balancer, ambient, intent, Patience::Insist(urgency), &stable).await,
    )
}

/// Whether a route would lead to no healthy target at all. A look that gets no answer decides
/// nothing: stable kept its capacity, so the write goes ahead.
async fn has_nothing_healthy(load_balancer: &impl LoadBalancer, plan: &[RoutePlan]) -> bool {
    let looks = plan.iter().map(|route| load_balancer.target_health(&route.pair.stable));
    join_all(looks).await.into_iter().any(|look| look.is_ok_and(|health| health.healthy == 0))
}

/// How long a look at stable vouches for it: two intervals, so that one missed look does not matter.
pub(crate) fn fresh_for(plan: &Plan) -> Span {
    plan.health.interval.times(2)
}

/// How many targets of stable are healthy, on the route that has the fewest.
pub(crate) async fn look_at_stable(
    load_balancer: &impl LoadBalancer,
    clock: &impl Clock,
    plan: &[RoutePlan],
    fresh_for: Span,
) -> PortResult<RecordedHealth> {
    let looks = plan.iter().map(|route| load_balancer.target_health(&route.pair.stable));
    let mut healthy = u32::MAX;
    for look in join_all(looks).await {
        healthy = healthy.min(look?.healthy);
    }
    Ok(RecordedHealth { healthy, at: clock.now(), fresh_for })
}
