//! `engine::rollback`: by the state machine, an operator or the sweep.

use std::sync::Arc;

use glidepath_core::protocol::{
    Deployment, Fenced, Intent, NextStep, Outcome, Phase, Purpose, Refused, Restored as Written,
    restored,
};

use crate::call::{Call, End, Turn};
use crate::example::{LIFETIME, overdue};
use crate::marks::{Mark, Marks};
use crate::settle::{Settled, Settling, astray};
use crate::transit::{Restored, Restoring, Transit, Transited, the_route};
use crate::weak::{Begun, Weakened, Weakening};

/// Where a rollback is.
#[derive(Clone, Debug)]
pub(crate) enum Rollback {
    Fence,
    /// By a person who does not wait for stable.
    FenceForced,
    Astray(Read, Intent),
    /// The routes are where they should be: nothing to write.
    FinishUnused(Read),
    Restore(Read, Intent, Restoring),
    Weak(Begun, Weakening),
    /// Every attempt was answered, and none succeeded.
    FinishUnwritten,
    Restored {
        clean: bool,
        transit: Transit,
    },
    Wake(Read),
    Settle(Settling),
    Overtaken,
}

type Read = Arc<Deployment>;

/// Comes back after a wait.
const AGAIN: End = End::Reply(NextStep::Rollback);

impl Rollback {
    pub(crate) const fn fresh(&self) -> bool {
        matches!(self, Self::Fence | Self::FenceForced)
    }

    pub(crate) const fn attempts(&self) -> bool {
        match self {
            Self::Restore(..) => true,
            Self::Weak(_, weakening) => weakening.attempts(),
            Self::Settle(settling) => settling.attempts(),
            Self::Fence
            | Self::FenceForced
            | Self::Astray(..)
            | Self::FinishUnused(_)
            | Self::FinishUnwritten
            | Self::Restored { .. }
            | Self::Wake(_)
            | Self::Overtaken => false,
        }
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        match self.next(call) {
            Ok(next) => Turn::On(next),
            Err(end) => Turn::End(end),
        }
    }

    fn next(self, call: &mut Call<'_>) -> Result<Self, End> {
        let who = call.who;
        match self {
            Self::Fence | Self::FenceForced => {
                let person = matches!(self, Self::FenceForced).then(|| "ada".to_owned());
                let intent = Intent::new(Purpose::Restore, call.now(), LIFETIME).forced_by(person);
                match call.fence_deployment(who, &intent, None) {
                    Fenced::Closed(read) if read.progress.restored_at.is_some() => {
                        Ok(Self::Astray(Arc::new(read), intent))
                    }
                    Fenced::Closed(read) => {
                        Ok(Self::Restore(Arc::new(read), intent, Restoring::Begin))
                    }
                    Fenced::NotWritten(read) => Err(End::Reply(too_late(&read))),
                    Fenced::Unknown => Err(End::Reply(NextStep::Failed)),
                }
            }
            Self::Astray(read, intent) => Ok(if astray(call, &read) {
                Self::Restore(read, intent, Restoring::Begin)
            } else {
                Self::FinishUnused(read)
            }),
            Self::FinishUnused(read) => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Ok(Self::Settle(Settling::begin(call, read)))
            }
            Self::Restore(read, intent, restoring) => {
                let route = the_route(&read.plan);
                let forced = read.forced().is_some();
                let health = (read.health, read.plan.stable.desired_count, forced);
                match restoring.step(call, who, &intent, route, health) {
                    Restored::On(restoring) => Ok(Self::Restore(read, intent, restoring)),
                    Restored::TooWeak(health) => {
                        let begun = Begun { read, intent, health };
                        Ok(Self::Weak(begun, Weakening::Begin))
                    }
                    Restored::Attempted { written, clean } => attempted(call, written, clean),
                }
            }
            Self::Weak(begun, weakening) => match weakening.step(call, who, &begun) {
                Weakened::On(weakening) => Ok(Self::Weak(begun, weakening)),
                Weakened::Whole { written, clean } => attempted(call, written, clean),
                Weakened::InPlace => attempted(call, true, true),
                Weakened::Waits => Err(AGAIN),
                Weakened::Refused(refused) => overtaken(&refused),
                Weakened::Failed => Err(End::Transient),
            },
            Self::FinishUnwritten => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Err(End::Transient)
            }
            Self::Restored { clean, transit } => match record_restored(call, transit, clean) {
                Transited::On(transit) => Ok(Self::Restored { clean, transit }),
                Transited::Done(read) => Ok(Self::Wake(Arc::new(read))),
                Transited::Refused(refused) => overtaken(&refused),
            },
            Self::Wake(read) => {
                call.wake(&read);
                Ok(Self::Settle(Settling::begin(call, read)))
            }
            Self::Settle(settling) => match settling.step(call) {
                Ok(settling) => Ok(Self::Settle(settling)),
                Err(Settled::Again) => Err(AGAIN),
                Err(Settled::Refused(refused)) => overtaken(&refused),
                Err(Settled::End(end)) => Err(end),
            },
            Self::Overtaken => Err(End::Reply(match call.load(who) {
                None => NextStep::Failed,
                Some(read) => match read.phase {
                    Phase::Open | Phase::RollingBack | Phase::Held => NextStep::Rollback,
                    Phase::Committed | Phase::Closed(_) => too_late(&read),
                },
            })),
        }
    }
}

/// What follows the attempts to write everything.
fn attempted(call: &Call<'_>, written: bool, clean: bool) -> Result<Rollback, End> {
    match (written, call.clean(clean)) {
        (true, clean) => Ok(Rollback::Restored { clean, transit: Transit::Load }),
        (false, true) => Ok(Rollback::FinishUnwritten),
        (false, false) => Err(End::Transient),
    }
}

fn too_late(read: &Deployment) -> NextStep {
    match read.phase {
        Phase::Committed => NextStep::Complete,
        Phase::Closed(Outcome::Succeeded) => NextStep::Succeeded,
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned)
        | Phase::Open
        | Phase::RollingBack
        | Phase::Held => NextStep::Failed,
    }
}

/// Another rollback was faster: where it has come to counts.
const fn overtaken(refused: &Refused) -> Result<Rollback, End> {
    match refused {
        Refused::NotOpen(_) => Ok(Rollback::Overtaken),
        Refused::Busy { .. } | Refused::InUse(_) => Err(End::Transient),
        Refused::Fired(_) | Refused::NotNewer | Refused::NoSuchApproval(_) => Err(End::Failed),
    }
}

/// Records that traffic is back, and that the rollback's own intent is done.
pub(crate) fn record_restored(
    call: &mut Call<'_>,
    transit: Transit,
    done: bool,
) -> Transited<Deployment> {
    let (who, own) = (call.who, call.own());
    let written = Written { own: done.then_some(&own), ..Written::default() };
    transit.step(call, who, |deployment, now| restored(deployment, &written, now, overdue(now)))
}

impl Mark for Rollback {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::Fence | Self::FenceForced | Self::FinishUnwritten | Self::Overtaken => {}
            Self::Astray(read, intent) => {
                marks.deployment(read);
                marks.intent(intent);
            }
            Self::Restore(read, intent, restoring) => {
                marks.deployment(read);
                marks.intent(intent);
                restoring.mark(marks);
            }
            Self::Weak(begun, weakening) => {
                begun.mark(marks);
                weakening.mark(marks);
            }
            Self::Restored { clean, transit } => {
                marks.flag(*clean);
                transit.mark(marks);
            }
            Self::FinishUnused(read) | Self::Wake(read) => marks.deployment(read),
            Self::Settle(settling) => settling.mark(marks),
        }
    }
}
