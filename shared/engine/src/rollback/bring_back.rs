//! What follows the attempt to write everything to stable, the same for whoever made it. An alarm's event and
//! a turn of the state machine are two doors of it.

use glidepath_core::failure::Failure;
use glidepath_core::protocol::{Restored, SeenRoutes, restored};
use glidepath_core::record::{Deployment, RecordedHealth};
use glidepath_core::route::RouteActions;
use glidepath_core::time::Span;

use super::claimed::{Carrier, Claimed};
use super::overwritten::overwritten;
use super::put_off::put_off;
use super::weak::{self, Waits, Weakened};
use crate::attempt::Attempted;
use crate::pace::overdue;
use crate::ports::{Clock, LoadBalancer, Orchestration, Ports, Random, Registry};
use crate::restore::{Restore, Written};
use crate::transition::{Stop, transition};
use crate::{Ambient, failed};

/// By which door a rollback has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// An alarm's event. The claim that stands for its writes is on the alarm; the deployment's only carried
    /// the fence.
    Alarm,
    /// A turn of the state machine or for it. The deployment's claim stands for the writes.
    Turn,
}

/// A rollback that has attempted its write, or found stable too weak for it.
pub(super) struct BringBack<'a, P> {
    pub(super) claimed: Claimed<'a, P>,
    pub(super) door: Door,
}

/// What came of it.
pub(super) enum Back {
    /// Everything is on stable, and that is recorded.
    Restored {
        deployment: Box<Deployment>,
        /// Whether somebody must be told now.
        told: bool,
        /// How long the load balancer is left alone.
        rest: Span,
        /// Whether every attempt was answered.
        clean: bool,
    },
    /// Stable is too weak: it has what it can take.
    Waits(Waits),
    /// The load balancer's API is throttled: when to come back.
    PutOff {
        /// How long to stay away.
        wait: Span,
        /// Whether every attempt was answered.
        clean: bool,
    },
}

/// It is not done.
pub(super) struct Unfinished {
    /// Whether every attempt was answered all the same.
    pub(super) clean: bool,
    pub(super) stop: Stop,
}

impl<P> BringBack<'_, P>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Orchestration: Orchestration,
            Ambient: Ambient,
        >,
{
    /// Records what was written, or does what can be done; `seen` says what is known of the routes before
    /// the write, from what was read beside it.
    pub(super) async fn after(
        &self,
        attempt: Restore,
        seen: impl FnOnce(Option<Vec<Option<RouteActions>>>) -> SeenRoutes,
    ) -> Result<Back, Unfinished> {
        let claimed = &self.claimed;
        let ports = claimed.ports;
        let (written, forced) = match attempt {
            Restore::Attempted(written) => (written, None),
            Restore::TooWeak(health) => {
                // A step has a claim of its own on the deployment.
                let stepped = self.weak(health).await;
                match stepped.map_err(|stop| Unfinished { clean: true, stop })? {
                    Weakened::Whole { written, forced } => (written, forced),
                    Weakened::PutOff(wait) => return Ok(Back::PutOff { wait, clean: true }),
                    Weakened::Waits(waits) => return Ok(Back::Waits(waits)),
                    Weakened::InPlace => (nothing_to_write(), None),
                }
            }
        };
        let Written { attempted: Attempted { result, clean, put_off: off }, beside } = written;
        let unfinished = |stop: Stop| Unfinished { clean, stop };
        let done = self.is_done(clean);
        let own = done.then(|| claimed.claim.id());
        if let Some(off) = &off {
            let later = put_off(claimed, own, off).await.map_err(unfinished)?;
            self.wake_whoever_waits(&later).await.map_err(|failure| unfinished(failure.into()))?;
            return Ok(Back::PutOff { wait: off.wait, clean });
        }
        if let Err(error) = result {
            claimed.claim.finish_if(done).await.map_err(unfinished)?;
            return Err(unfinished(error.into()));
        }
        let seen = seen(beside);
        let overwritten = overwritten(ports, claimed.deployment, &seen).await;
        let rest = match self.door {
            // The state machine is woken, and comes at once.
            Door::Alarm => Span::ZERO,
            Door::Turn => {
                let ambient = ports.ambient();
                claimed.deployment.rests(claimed.claim.id(), ambient.now(), || ambient.number())
            }
        };
        let restored = Restored { own, overwritten, forced };
        let (deployment, told) = self.record(&restored, rest).await.map_err(unfinished)?;
        let woken = wake(ports.orchestration(), &deployment).await;
        woken.map_err(|failure| unfinished(failure.into()))?;
        Ok(Back::Restored { deployment: Box::new(deployment), told, rest, clean })
    }

    async fn weak(&self, health: RecordedHealth) -> Result<Weakened, Stop> {
        let taken = weak::take(&self.claimed, health).await?;
        match taken {
            Weakened::PutOff(_) | Weakened::Waits(_) => {
                // The state machine looks again much sooner than its gate ends.
                self.wake_whoever_waits(self.claimed.deployment).await?;
            }
            Weakened::Whole { .. } | Weakened::InPlace => {}
        }
        Ok(taken)
    }

    /// Whether nothing can land any more that the deployment's claim stands for.
    const fn is_done(&self, clean: bool) -> bool {
        match self.door {
            Door::Alarm => true,
            Door::Turn => clean,
        }
    }

    /// Records that traffic is back, and that nothing is due for so long; whether somebody must be told
    /// now.
    async fn record(&self, written: &Restored<'_>, wait: Span) -> Result<(Deployment, bool), Stop> {
        let Claimed { ports, deployment, .. } = self.claimed;
        transition(ports, &deployment.id, |deployment| {
            let now = ports.ambient().now();
            let due = overdue(&deployment.plan, now, wait);
            let (restored, writes) = restored(deployment, written, now, due)?;
            let told = restored.notices > deployment.notices;
            Ok(((restored, told), writes))
        })
        .await
    }

    async fn wake_whoever_waits(&self, deployment: &Deployment) -> Result<(), Failure> {
        match self.claimed.carrier {
            // It gets the answer.
            Carrier::StateMachine => Ok(()),
            Carrier::Woken => wake(self.claimed.ports.orchestration(), deployment).await,
        }
    }
}

/// Everything is on stable already.
fn nothing_to_write() -> Written {
    Written { attempted: Attempted { result: Ok(()), clean: true, put_off: None }, beside: None }
}

/// Ends the pause of the state machine, so that it takes over the rest of the rollback at once.
async fn wake(orchestration: &impl Orchestration, deployment: &Deployment) -> Result<(), Failure> {
    let (Some(gate), Some(fence)) = (&deployment.gate, &deployment.fence) else {
        return Ok(());
    };
    // A gate that nobody waits at any more is as good as woken.
    orchestration
        .fail_gate(&gate.token, &fence.failure)
        .await
        .map(|_| ())
        .map_err(|error| failed(&error))
}
