//! A rollback that finds stable too weak to take everything: it holds, steps back, or is forced.
//! Every share that is not everything is claimed on its own, after the routes were read.

use glidepath_core::plan::RoutePlan;
use glidepath_core::protocol::{StepBack, WeakLook, hold, step_back};
use glidepath_core::record::{Deployment, Intent, RecordedHealth};
use glidepath_core::rollback::{Forced, WayBack};
use glidepath_core::route::RouteActions;
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;

use super::claimed::Claimed;
use super::put_off::put_off;
use crate::attempt::{Patience, PutOff, Urgency};
use crate::pace::{self, FORWARD_LIFETIME, LINGER, overdue};
use crate::ports::{Clock, LoadBalancer, Ports, Registry};
use crate::restore::{Written, write_stable};
use crate::transition::{Stop, transition};
use crate::{Ambient, routes};

/// What a rollback could do for now.
pub(super) enum Weakened {
    /// Everything was written all the same.
    Whole {
        written: Written,
        /// Whose decision it was, if stable is too weak for it.
        forced: Option<Forced>,
    },
    /// All that can be done for now is done.
    Waits(Waits),
    /// The load balancer's API is throttled: that is recorded, and how long to stay away.
    PutOff(Span),
    /// Everything is on stable already: there is nothing to write or to hold.
    InPlace,
}

/// Until when, and why.
#[derive(Debug)]
pub(super) struct Waits {
    /// Nothing was sent to stable.
    pub(super) held: bool,
    /// Until the next look.
    pub(super) wait: Span,
    /// Whether somebody must be told now.
    pub(super) told: bool,
    pub(super) summary: String,
}

/// Somebody else is at it: look again soon.
const SOON: Span = Span::from_secs(1);

pub(super) async fn take<P>(
    claimed: &Claimed<'_, P>,
    health: RecordedHealth,
) -> Result<Weakened, Stop>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Ambient: Ambient>,
{
    let Claimed { ports, deployment, claim, .. } = *claimed;
    let look = WeakLook { fenced: deployment, own: claim.id(), health, found: None };
    let weak = Weak { claimed, look };
    match deployment.way_back(health.healthy, ports.ambient().now()) {
        WayBack::Whole(forced) => {
            let routes = &deployment.plan.routes;
            let urgency = Urgency::of(deployment, LINGER);
            let written = write_stable(ports, claim.intent(), routes, urgency).await;
            Ok(Weakened::Whole { written, forced })
        }
        WayBack::Stay => weak.stay().await,
        WayBack::Part(keeps) => weak.part(keeps).await,
    }
}

struct Weak<'a, P> {
    claimed: &'a Claimed<'a, P>,
    look: WeakLook<'a>,
}

impl<P> Weak<'_, P>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Ambient: Ambient>,
{
    /// Nothing healthy: traffic stays, somebody is paged, and the next turn looks again.
    async fn stay(&self) -> Result<Weakened, Stop> {
        let fenced = self.look.fenced;
        if fenced.progress.restored_at.is_some() {
            // Stable has everything already: there is nothing to hold. If that cannot be read, or is
            // not so any more, it is held until the next look.
            let observed = routes::read(self.claimed.ports, &fenced.plan.routes).await;
            if observed.is_ok_and(|observed| fenced.above(&observed, Weight::NONE).is_empty()) {
                return Ok(Weakened::InPlace);
            }
        }
        let (wait, told) = transition(self.claimed.ports, &fenced.id, |deployment| {
            let now = self.claimed.ports.ambient().now();
            let wait = pace::weak_look(deployment, now);
            let due = overdue(&deployment.plan, now, wait);
            let (held, writes) = hold(deployment, &self.look, now, due)?;
            Ok(((wait, held.notices > deployment.notices), writes))
        })
        .await?;
        let summary = "stable has no healthy target: traffic stays where it is".to_owned();
        Ok(Weakened::Waits(Waits { held: true, wait, told, summary }))
    }

    /// Some are healthy: the canary keeps no more than the rest.
    async fn part(&self, keeps: Weight) -> Result<Weakened, Stop> {
        let fenced = self.look.fenced;
        let read = routes::read(self.claimed.ports, &fenced.plan.routes).await;
        let observed = self.claimed.claim.holding(read).await?;
        if fenced.above(&observed, Weight::NONE).is_empty() {
            return Ok(Weakened::InPlace);
        }
        let found = fenced.foreign(&observed);
        let look = WeakLook { found: found.as_deref(), ..self.look };
        let above = fenced.above(&observed, keeps);
        let lifetime = (!above.is_empty()).then_some(FORWARD_LIFETIME);
        let (step, wait, told) = transition(self.claimed.ports, &fenced.id, |deployment| {
            let now = self.claimed.ports.ambient().now();
            let wait = pace::weak_look(deployment, now);
            let due = overdue(&deployment.plan, now, wait);
            let ((stepped, step), writes) =
                step_back(deployment, &look, keeps, lifetime, now, due)?;
            Ok(((step, wait, stepped.notices > deployment.notices), writes))
        })
        .await?;
        let (wait, summary) = match step {
            StepBack::Claimed(intent) => match self.write(&intent, &above).await? {
                None => (wait, self.summary(keeps)),
                Some(wait) => return Ok(Weakened::PutOff(wait)),
            },
            StepBack::Kept => (wait, self.summary(keeps)),
            StepBack::Overtaken => (SOON, "another rollback writes: look again".to_owned()),
        };
        Ok(Weakened::Waits(Waits { held: false, wait, told, summary }))
    }

    fn summary(&self, keeps: Weight) -> String {
        let needed = self.look.fenced.needed();
        let healthy = self.look.health.healthy;
        format!("{healthy} of {needed} targets of stable are healthy: the canary keeps {keeps}")
    }

    /// Writes a claimed step; if the load balancer's API has no call to spare, records that and says
    /// how long to stay away.
    async fn write(
        &self,
        intent: &Intent,
        above: &[(&RoutePlan, RouteActions)],
    ) -> Result<Option<Span>, Stop> {
        let Self { claimed, look } = self;
        let Claimed { ports, claim, carrier, .. } = **claimed;
        let patience = Patience::Insist(Urgency::of(look.fenced, LINGER));
        let attempted = routes::write(ports, intent, patience, above).await;
        if let Some(PutOff { wait, .. }) = attempted.put_off {
            // A step takes back a part of every route: none of them is where it belongs yet.
            let left = look.fenced.plan.routes.iter().map(|route| route.route.clone()).collect();
            let seen = Deployment { health: look.health, ..look.fenced.clone() };
            let step = Claimed { ports, deployment: &seen, claim, carrier };
            let own = attempted.clean.then(|| claim.id());
            put_off(&step, own, &PutOff { wait, left }).await?;
            return Ok(Some(wait));
        }
        claim.after(attempted).await?.result?;
        Ok(None)
    }
}
