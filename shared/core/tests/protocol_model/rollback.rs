//! `engine::rollback`: by the state machine, an operator or the sweep.

use std::sync::Arc;

use glidepath_core::protocol::{Fenced, NextStep, Refused, Restored as Written, restored};
use glidepath_core::record::{Deployment, Intent, Outcome, Phase, Purpose};
use glidepath_core::rollback::Forced;

use crate::bounds::Mistake;
use crate::call::{Call, End, Turn};
use crate::example::{LIFETIME, overdue};
use crate::marks::{Mark, Marks};
use crate::put_off::{Carrier, PutOff, PuttingOff, rests, still_off};
use crate::settle::{Settled, Settling, astray};
use crate::transit::{Restored, Restoring, Transit, Transited, Wrote, the_route, vouched};
use crate::weak::{Begun, Weakened, Weakening};

/// A rollback.
#[derive(Clone, Debug)]
pub(crate) struct Rollback {
    by: By,
    place: Place,
}

/// Who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    StateMachine,
    /// A person or the sweep.
    Somebody,
    /// A person who does not wait for stable.
    Forcing,
}

/// Where it is.
#[derive(Clone, Debug)]
enum Place {
    Fence,
    /// It was put off for longer.
    FinishEarly,
    Astray(Read, Intent),
    /// The routes are where they should be: nothing to write.
    FinishUnused(Read),
    Restore(Read, Intent, Restoring),
    Weak(Begun, Weakening),
    /// Every attempt was answered, and none succeeded.
    FinishUnwritten,
    PutOff {
        read: Read,
        clean: bool,
        putting: PuttingOff,
    },
    Restored {
        clean: bool,
        forced: Option<Forced>,
        rests: bool,
        transit: Transit,
    },
    /// And whether it ends there for now.
    Wake(Read, bool),
    Settle(Settling),
    Overtaken,
}

type Read = Arc<Deployment>;

/// Comes back after a wait.
const AGAIN: End = End::Reply(NextStep::Rollback);

impl Rollback {
    pub(crate) const fn new(by: By) -> Self {
        Self { by, place: Place::Fence }
    }

    pub(crate) const fn fresh(&self) -> bool {
        matches!(self.place, Place::Fence)
    }

    pub(crate) const fn attempts(&self) -> bool {
        match &self.place {
            Place::Restore(..) => true,
            Place::Weak(_, weakening) => weakening.attempts(),
            Place::Settle(settling) => settling.attempts(),
            Place::Fence
            | Place::FinishEarly
            | Place::Astray(..)
            | Place::FinishUnused(_)
            | Place::FinishUnwritten
            | Place::PutOff { .. }
            | Place::Restored { .. }
            | Place::Wake(..)
            | Place::Overtaken => false,
        }
    }

    /// Whether the next call may write everything to stable, and be put off.
    pub(crate) const fn restores(&self) -> bool {
        matches!(self.place, Place::Restore(..))
            || matches!(&self.place, Place::Weak(_, weakening) if weakening.restores())
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        let by = self.by;
        match self.next(call) {
            Ok(place) => Turn::On(Self { by, place }),
            Err(end) => Turn::End(end),
        }
    }

    fn next(self, call: &mut Call<'_>) -> Result<Place, End> {
        let (who, by) = (call.who, self.by);
        match self.place {
            Place::Fence => fence(call, by),
            Place::FinishEarly => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Err(AGAIN)
            }
            Place::Astray(read, intent) => Ok(if astray(call, &read) {
                Place::Restore(read, intent, Restoring::Begin)
            } else {
                Place::FinishUnused(read)
            }),
            Place::FinishUnused(read) => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Ok(Place::Settle(Settling::begin(call, read)))
            }
            Place::Restore(read, intent, restoring) => {
                let route = the_route(&read.plan);
                match restoring.step(call, who, &intent, route, vouched(&read)) {
                    Restored::On(restoring) => Ok(Place::Restore(read, intent, restoring)),
                    Restored::TooWeak(health) => {
                        let begun = Begun { read, intent, health };
                        Ok(Place::Weak(begun, Weakening::Begin))
                    }
                    Restored::Attempted { wrote, clean } => {
                        attempted(call, read, wrote, clean, None)
                    }
                }
            }
            Place::Weak(begun, weakening) => match weakening.step(call, who, &begun) {
                Weakened::On(weakening) => Ok(Place::Weak(begun, weakening)),
                Weakened::Whole { wrote, clean, forced } => {
                    attempted(call, begun.read, wrote, clean, forced)
                }
                Weakened::InPlace => attempted(call, begun.read, Wrote::Everything, true, None),
                Weakened::Waits => Err(AGAIN),
                Weakened::Refused(refused) => overtaken(&refused),
                Weakened::Failed => Err(End::Transient),
            },
            Place::FinishUnwritten => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Err(End::Transient)
            }
            Place::PutOff { read, clean, putting } => put_off(call, by, read, clean, putting),
            Place::Restored { clean, forced, rests, transit } => {
                match record_restored(call, transit, clean, forced.as_ref()) {
                    Transited::On(transit) => Ok(Place::Restored { clean, forced, rests, transit }),
                    Transited::Done(read) => Ok(Place::Wake(Arc::new(read), rests)),
                    Transited::Refused(refused) => overtaken(&refused),
                }
            }
            Place::Wake(read, ends) => {
                call.wake(&read);
                if ends { Err(AGAIN) } else { Ok(Place::Settle(Settling::begin(call, read))) }
            }
            Place::Settle(settling) => match settling.step(call) {
                Ok(settling) => Ok(Place::Settle(settling)),
                Err(Settled::Again) => Err(AGAIN),
                Err(Settled::Refused(refused)) => overtaken(&refused),
                Err(Settled::End(end)) => Err(end),
            },
            Place::Overtaken => Err(End::Reply(match call.load(who) {
                None => NextStep::Failed,
                Some(read) => match read.phase {
                    Phase::Open | Phase::RollingBack | Phase::Held => NextStep::Rollback,
                    Phase::Committed | Phase::Closed(_) => too_late(&read),
                },
            })),
        }
    }
}

fn fence(call: &mut Call<'_>, by: By) -> Result<Place, End> {
    let person = (by == By::Forcing).then(|| "ada".to_owned());
    let intent = Intent::new(Purpose::Restore, call.now(), LIFETIME).forced_by(person);
    match call.fence_deployment(call.who, &intent, None) {
        Fenced::Closed(read) if by == By::StateMachine && still_off(&read, call.now()) => {
            Ok(Place::FinishEarly)
        }
        Fenced::Closed(read) if read.progress.restored_at.is_some() => {
            Ok(Place::Astray(Arc::new(read), intent))
        }
        Fenced::Closed(read) => Ok(Place::Restore(Arc::new(read), intent, Restoring::Begin)),
        Fenced::NotWritten(read) => Err(End::Reply(too_late(&read))),
        Fenced::Unknown => Err(End::Reply(NextStep::Failed)),
    }
}

/// What follows the attempts to write everything.
fn attempted(
    call: &Call<'_>,
    read: Read,
    wrote: Wrote,
    clean: bool,
    forced: Option<Forced>,
) -> Result<Place, End> {
    match (wrote, call.clean(clean)) {
        (Wrote::Everything, clean) => {
            let rests = rests(call, &read);
            Ok(Place::Restored { clean, forced, rests, transit: Transit::Load })
        }
        (Wrote::PutOff, clean) => Ok(Place::PutOff { read, clean, putting: PuttingOff::Begin }),
        (Wrote::Nothing, true) => Ok(Place::FinishUnwritten),
        (Wrote::Nothing, false) => Err(End::Transient),
    }
}

fn put_off(
    call: &mut Call<'_>,
    by: By,
    read: Read,
    clean: bool,
    putting: PuttingOff,
) -> Result<Place, End> {
    let own = call.own();
    let own = clean.then_some(&own);
    let carrier = match by {
        By::StateMachine => Carrier::StateMachine,
        By::Somebody | By::Forcing => Carrier::Woken,
    };
    match putting.step(call, &read, own, carrier) {
        PutOff::On(putting) => Ok(Place::PutOff { read, clean, putting }),
        PutOff::Done(off) => match carrier {
            Carrier::Woken if !call.mistaken(Mistake::PutOffAsleep) => Ok(Place::Wake(off, true)),
            Carrier::Woken | Carrier::StateMachine => Err(AGAIN),
        },
        PutOff::Refused(refused) => overtaken(&refused),
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
const fn overtaken(refused: &Refused) -> Result<Place, End> {
    match refused {
        Refused::NotOpen(_) => Ok(Place::Overtaken),
        Refused::Busy { .. } | Refused::InUse(_) => Err(End::Transient),
        Refused::Fired(_) | Refused::NotNewer | Refused::NothingToDecide(_) => Err(End::Failed),
    }
}

/// Records that traffic is back, and that the rollback's own intent is done.
pub(crate) fn record_restored(
    call: &mut Call<'_>,
    transit: Transit,
    done: bool,
    forced: Option<&Forced>,
) -> Transited<Deployment> {
    let (who, own) = (call.who, call.own());
    let forced = forced.cloned();
    let written = Written { own: done.then_some(&own), forced, ..Written::default() };
    transit.step(call, who, |deployment, now| restored(deployment, &written, now, overdue(now)))
}

impl Mark for Rollback {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.hash(std::mem::discriminant(&self.place));
        // Who asks decides only whether it is a person's claim, and who goes on with a put-off.
        marks.word(match self.by {
            By::Forcing if self.fresh() => 2,
            By::StateMachine if marks.storms() => 1,
            By::StateMachine | By::Somebody | By::Forcing => 0,
        });
        match &self.place {
            Place::Fence | Place::FinishEarly | Place::FinishUnwritten | Place::Overtaken => {}
            Place::Astray(read, intent) => {
                marks.deployment(read);
                marks.intent(intent);
            }
            Place::Restore(read, intent, restoring) => {
                marks.deployment(read);
                marks.intent(intent);
                restoring.mark(marks);
            }
            Place::Weak(begun, weakening) => {
                begun.mark(marks);
                weakening.mark(marks);
            }
            Place::PutOff { read, clean, putting } => {
                marks.deployment(read);
                marks.flag(*clean);
                putting.mark(marks);
            }
            Place::Restored { clean, forced, rests, transit } => {
                marks.flag(*clean);
                marks.flag(forced.is_some());
                marks.flag(*rests);
                transit.mark(marks);
            }
            Place::FinishUnused(read) => marks.deployment(read),
            Place::Wake(read, ends) => {
                marks.deployment(read);
                marks.flag(*ends);
            }
            Place::Settle(settling) => settling.mark(marks),
        }
    }
}
