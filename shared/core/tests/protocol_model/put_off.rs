//! `engine::rollback::put_off`: the load balancer's API refuses the write for now, so the rollback
//! goes away and comes back.

use std::sync::Arc;

use glidepath_core::ids::IntentId;
use glidepath_core::protocol::{Look, Refused, RegistryWrite, Unwritten, put_off};
use glidepath_core::record::{Deployment, Phase, RecordedHealth};
use glidepath_core::time::{Span, Timestamp};

use crate::bounds::Mistake;
use crate::call::Call;
use crate::example::{PUT_OFF_FOR, overdue};
use crate::marks::{Mark, Marks};
use crate::transit::{Transit, Transited, the_route};

/// A throttle of less is no storm.
const SHORT: Span = Span::from_secs(15);

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) enum PuttingOff {
    Begin,
    Record { look: Look, again_at: Timestamp, transit: Transit },
}

/// What it has come to.
pub(crate) enum PutOff {
    On(PuttingOff),
    Done(Arc<Deployment>),
    Refused(Refused),
}

/// Who goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    StateMachine,
    /// The state machine as well, once it is woken.
    Woken,
}

impl PuttingOff {
    /// `read` is the deployment as the rollback's fence left it, `own` an intent that is done.
    pub(crate) fn step(
        self,
        call: &mut Call<'_>,
        read: &Deployment,
        own: Option<&IntentId>,
        carrier: Carrier,
    ) -> PutOff {
        let (look, again_at, transit) = match self {
            Self::Begin => {
                let again_at = call.now() + PUT_OFF_FOR;
                let vouched = read.vouching().vouches(0, again_at);
                if !vouched && !call.mistaken(Mistake::PutOffWithoutLook) {
                    let healthy = call.healthy(read.plan.stable.slot);
                    let look =
                        Look::Seen(RecordedHealth { healthy, at: call.now(), ..read.health });
                    return PutOff::On(Self::Record { look, again_at, transit: Transit::Load });
                }
                (Look::NotNeeded, again_at, Transit::Load)
            }
            Self::Record { look, again_at, transit } => (look, again_at, transit),
        };
        let reopens = call.mistaken(Mistake::PutOffReopens);
        let blind = call.mistaken(Mistake::PutOffBlindly);
        let recorded = transit.step(call, call.who, |current, now| {
            let due = match carrier {
                Carrier::StateMachine => overdue(now),
                Carrier::Woken => current.next_due_at,
            };
            let routes = vec![the_route(&read.plan).route.clone()];
            let as_fenced = Deployment { revision: current.revision, ..read.clone() };
            let current = if blind { &as_fenced } else { current };
            let unwritten = Unwritten { routes, again_at, look };
            let (off, mut writes) = put_off(current, own, unwritten, now, due)?;
            if reopens && let Some(RegistryWrite::PutDeployment(put)) = writes.first_mut() {
                put.phase = Phase::Open;
            }
            Ok((off, writes))
        });
        match recorded {
            Transited::On(transit) => PutOff::On(Self::Record { look, again_at, transit }),
            Transited::Done(off) => PutOff::Done(Arc::new(off)),
            Transited::Refused(refused) => PutOff::Refused(refused),
        }
    }
}

/// Whether the state machine has to stay away still.
pub(crate) fn still_off(read: &Deployment, now: Timestamp) -> bool {
    read.progress.throttled.as_ref().is_some_and(|throttled| now < throttled.again_at)
}

/// Whether a rollback whose write was taken leaves the load balancer alone for a while.
pub(crate) fn rests(call: &Call<'_>, read: &Deployment) -> bool {
    let (now, own) = (call.now(), call.own());
    let others = || read.intents.iter().filter(|(id, _)| **id != own);
    read.progress.throttled.as_ref().is_some_and(|throttled| {
        now.since(throttled.since) >= SHORT && !others().any(|(_, intent)| intent.lives(now))
    })
}

impl Mark for PuttingOff {
    fn mark(&self, marks: &mut Marks<'_>) {
        match self {
            Self::Begin => marks.word(0),
            Self::Record { look, again_at, transit } => {
                match look {
                    Look::NotNeeded => marks.word(1),
                    Look::NoAnswer => marks.word(2),
                    Look::Seen(health) => {
                        marks.word(3);
                        marks.health(*health);
                    }
                }
                marks.due(*again_at);
                transit.mark(marks);
            }
        }
    }
}
