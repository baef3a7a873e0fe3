//! A rollback that the load balancer's API refuses for now: it goes away instead of holding a
//! function, and comes back when its turn may have come.

use glidepath_core::ids::IntentId;
use glidepath_core::protocol::{Look, NextStep, Reply, Unwritten};
use glidepath_core::record::Deployment;
use glidepath_core::storm::look_back;
use glidepath_core::time::{Span, Timestamp};

use super::claimed::{Carrier, Claimed};
use crate::Ambient;
use crate::attempt::PutOff;
use crate::pace::overdue;
use crate::ports::{Clock, LoadBalancer, Ports, Registry};
use crate::restore::look_at_stable;
use crate::transition::{Stop, transition};

/// Throttled for less than this, a rollback leaves the load balancer no pause.
const SHORT: Span = Span::from_secs(15);

/// Records what is left and when to try again; `own` is a claim of which nothing can land any more.
pub(super) async fn put_off<P>(
    claimed: &Claimed<'_, P>,
    own: Option<&IntentId>,
    off: &PutOff,
) -> Result<Deployment, Stop>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Ambient: Ambient>,
{
    let Claimed { ports, deployment, carrier, .. } = *claimed;
    let ambient = ports.ambient();
    let plan = &deployment.plan;
    let again_at = ambient.now() + off.wait;
    // The next attempt must not wait for a look: it is made now, when there is time. Without an
    // answer it decides nothing, as always: stable kept its capacity.
    let look = if deployment.vouching().vouches(0, again_at) {
        Look::NotNeeded
    } else {
        let looked = look_at_stable(ports, &plan.routes, plan.health.fresh_for()).await;
        looked.map_or(Look::NoAnswer, Look::Seen)
    };
    transition(ports, &deployment.id, |current| {
        let now = ambient.now();
        let due = match carrier {
            Carrier::StateMachine => overdue(&current.plan, now, off.wait),
            // If nobody is there to be woken, the sweep must come no later for it.
            Carrier::Woken => current.next_due_at,
        };
        let unwritten = Unwritten { routes: off.left.clone(), again_at, look };
        glidepath_core::protocol::put_off(current, own, unwritten, now, due)
    })
    .await
}

/// How long the state machine has to stay away still, if a rollback was put off for longer.
pub(super) fn still_off(deployment: &Deployment, now: Timestamp) -> Option<Span> {
    let throttled = deployment.progress.throttled.as_ref()?;
    (now < throttled.again_at).then(|| throttled.again_at.since(now))
}

/// How long a rollback whose write was taken leaves the load balancer alone; not at all if it did
/// not have to wait long, or if somebody else's write may still land on its routes.
pub(super) fn rest(deployment: &Deployment, own: &IntentId, ambient: &impl Ambient) -> Span {
    let now = ambient.now();
    let Some(throttled) = &deployment.progress.throttled else { return Span::ZERO };
    let waited = now.since(throttled.since);
    let mut others = deployment.intents.iter().filter(|(id, _)| *id != own);
    if waited < SHORT || others.any(|(_, intent)| intent.lives(now)) {
        return Span::ZERO;
    }
    look_back(waited, ambient.number())
}

/// The answer to the state machine.
pub(super) fn later(deployment: &Deployment, wait: Span) -> Reply {
    let summary = "the load balancer's API is throttled: traffic goes back as soon as it takes the \
                   write";
    Reply::new(&deployment.id, NextStep::Rollback, summary).after(wait)
}
