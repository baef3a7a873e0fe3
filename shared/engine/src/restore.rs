//! Sending everything back to stable: the one write that a rollback is about.

use std::pin::pin;

use futures_util::future::{Either, join, select};
use glidepath_core::plan::RoutePlan;
use glidepath_core::record::{Binding, Deployment, Intent, RecordedHealth};
use glidepath_core::rollback::can_take;
use glidepath_core::route::RouteActions;
use glidepath_core::time::Span;

use crate::attempt::{Attempted, Patience, Urgency};
use crate::ports::{Clock, LoadBalancer, PortError, PortResult, Ports, TargetHealth};
use crate::{Ambient, routes, targets};

/// How the write ended.
#[derive(Debug)]
pub(crate) enum Restore {
    Attempted(Written),
    /// Stable has too few healthy targets, or none: nothing was written. With what was seen.
    TooWeak(RecordedHealth),
}

/// Attempts to write everything to stable.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) attempted: Attempted,
    /// The routes as they were read beside the attempts, before or after they took effect; `None` if
    /// that got no answer in time.
    pub(crate) beside: Option<Vec<Option<RouteActions>>>,
}

/// How long the record of a rollback waits for what was read beside its write.
const BESIDE: Span = Span::from_secs(2);

/// What a rollback knows of stable before it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stable {
    /// How it was when somebody last looked.
    pub(crate) health: RecordedHealth,
    /// How many healthy targets everything needs.
    pub(crate) needed: u32,
    /// Somebody has decided that its health does not matter.
    pub(crate) forced: bool,
}

impl Stable {
    /// As the deployment's record has it.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        Self {
            health: deployment.vouching(),
            needed: deployment.needed(),
            forced: deployment.forced().is_some(),
        }
    }

    /// As an alarm has it. Whether somebody forces it, only the deployment knows: it is asked if stable is weak.
    pub(crate) const fn bound(binding: &Binding) -> Self {
        Self { health: binding.health, needed: binding.needed, forced: false }
    }
}

/// Writes every route back to stable. If the recorded health of stable does not vouch for it, looks
/// at stable's targets first: this is the one thing that may stand between the fence and the route.
pub(crate) async fn restore(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Ambient: Ambient>,
    intent: &Intent,
    plan: &[RoutePlan],
    stable: Stable,
    urgency: Urgency,
) -> Restore {
    let Stable { health, needed, forced } = stable;
    if !forced && !health.vouches(needed, ports.ambient().now()) {
        let seen = look_again(ports, plan, health).await;
        if !can_take(seen.healthy, needed) {
            return Restore::TooWeak(seen);
        }
    }
    Restore::Attempted(write_stable(ports, intent, plan, urgency).await)
}

/// Everything to stable, all routes at once. A write that is refused for good, for want of a permission
/// say, is no failure where there was nothing to write: that is looked at only once it was refused, so
/// that nothing stands before the write.
pub(crate) async fn write_stable(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Ambient: Ambient>,
    intent: &Intent,
    plan: &[RoutePlan],
    urgency: Urgency,
) -> Written {
    let mut written = attempt_stable(ports, intent, plan, urgency).await;
    let attempted = &mut written.attempted;
    let refused = matches!(attempted.result, Err(PortError::Refused { .. }));
    if refused && nothing_on_canary(ports, plan).await {
        attempted.result = Ok(());
    }
    written
}

/// Whether nothing on any route leads to the canary. If that cannot be read, it is not known.
async fn nothing_on_canary(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    plan: &[RoutePlan],
) -> bool {
    let wanted: Vec<_> = plan.iter().map(|route| route.route.clone()).collect();
    let Ok(found) = ports.load_balancer().routes(&wanted).await else { return false };
    plan.iter().zip(&found).all(|(route, found)| route.leads_to_canary(found) == Some(false))
}

/// The attempts. What is overwritten by them is looked at beside them: before that would cost a round
/// trip.
async fn attempt_stable(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Ambient: Ambient>,
    intent: &Intent,
    plan: &[RoutePlan],
    urgency: Urgency,
) -> Written {
    let stable: Vec<_> = plan.iter().map(|route| (route, route.stable_only())).collect();
    let write = routes::write(ports, intent, Patience::Insist(urgency), &stable);
    if urgency.throttled_since.is_some() {
        // Reads share the account's calls with the writes of everybody who waits.
        return Written { attempted: write.await, beside: None };
    }
    let look = pin!(routes::read(ports, plan));
    let patience = pin!(ports.ambient().sleep(BESIDE));
    let read = select(look, patience);
    // The write first: it takes the connection that is open already.
    let (attempted, read) = join(write, read).await;
    let beside = match read {
        Either::Left((observed, _)) => observed.ok(),
        Either::Right(((), _)) => None,
    };
    Written { attempted, beside }
}

/// How many targets of stable are healthy, on the route that has the fewest. A look that gets no
/// answer changes nothing of what was known: stable kept its capacity, so if it was healthy the
/// write goes ahead, and if it was sick nothing is sent there blindly.
async fn look_again(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Ambient: Clock>,
    plan: &[RoutePlan],
    known: RecordedHealth,
) -> RecordedHealth {
    let looks = look_at_groups(ports, plan).await;
    let answered = looks.iter().all(Result::is_ok);
    let healthy = looks
        .into_iter()
        .map(|look| look.map_or(known.healthy, |health| health.healthy))
        .min()
        .unwrap_or(known.healthy);
    // What was not seen must not look fresh.
    let at = if answered { ports.ambient().now() } else { known.at };
    RecordedHealth { healthy, at, fresh_for: known.fresh_for }
}

/// How many targets of stable are healthy, on the route that has the fewest.
pub(crate) async fn look_at_stable(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Ambient: Clock>,
    plan: &[RoutePlan],
    fresh_for: Span,
) -> PortResult<RecordedHealth> {
    let mut healthy = u32::MAX;
    for look in look_at_groups(ports, plan).await {
        healthy = healthy.min(look?.healthy);
    }
    Ok(RecordedHealth { healthy, at: ports.ambient().now(), fresh_for })
}

async fn look_at_groups(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    plan: &[RoutePlan],
) -> Vec<PortResult<TargetHealth>> {
    let groups: Vec<_> = plan.iter().map(|route| &route.pair.stable).collect();
    targets::health(ports, &groups).await
}
