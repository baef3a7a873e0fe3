//! `engine::rollback` with `settle`: by the state machine, an operator or the sweep.

use std::sync::Arc;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::protocol::{
    AlarmItem, Deployment, Fenced, Intent, NextStep, Outcome, Phase, Purpose, Refused,
    RegistryWrite, Restored as Written, Revision, claim_scale_in, close, restored,
};
use glidepath_core::time::Timestamp;

use crate::bounds::Mistake;
use crate::call::{Attempt, Call, End, Turn};
use crate::example::{LIFETIME, alarm, overdue, slot_index};
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};
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
    Settle(Read),
    Alarms {
        read: Read,
        now: Timestamp,
    },
    ReadBack {
        read: Read,
        now: Timestamp,
    },
    Service(Read),
    ClaimScaleIn(Transit),
    ScaleIn {
        intent: Intent,
        clean: bool,
    },
    FinishScaleIn {
        written: bool,
    },
    Overtaken,
    EndAlarms,
    EndLoad(Arc<Vec<AlarmItem>>),
    End {
        alarms: Arc<Vec<AlarmItem>>,
        read: Read,
        now: Timestamp,
    },
}

type Read = Arc<Deployment>;

/// Comes back after a wait.
const AGAIN: End = End::Reply(NextStep::Rollback);

impl Rollback {
    pub(crate) const fn fresh(&self) -> bool {
        matches!(self, Self::Fence | Self::FenceForced)
    }

    pub(crate) const fn attempts(&self) -> bool {
        matches!(self, Self::Restore(..) | Self::ScaleIn { .. })
            || matches!(self, Self::Weak(_, weakening) if weakening.attempts())
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
                Ok(settle(call, read))
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
                Ok(settle(call, read))
            }
            Self::Settle(read) => {
                let now = call.now();
                let read = if call.mistaken(Mistake::ReadBackTooEarly) {
                    read
                } else {
                    call.load(who).ok_or(End::Failed)?
                };
                Ok(Self::Alarms { read, now })
            }
            Self::Alarms { read, now } => {
                let alarms = call.alarms(&read.alarms);
                // With the mistake the deployment is read again here, after the read-back.
                let read = if call.mistaken(Mistake::ReadBackTooEarly) {
                    call.load(who).ok_or(End::Failed)?
                } else {
                    read
                };
                let intents = alarms.iter().flat_map(|alarm| alarm.intents.values());
                let living = read.intents.values().chain(intents).any(|intent| intent.lives(now));
                if living && !call.mistaken(Mistake::UnlockWithLiveIntent) {
                    return Err(AGAIN);
                }
                Ok(if call.mistaken(Mistake::ReadBackTooEarly) {
                    Self::Service(read)
                } else {
                    Self::ReadBack { read, now }
                })
            }
            Self::ReadBack { read, now } => {
                if astray(call, &read) {
                    return Err(AGAIN);
                }
                let restored_at = read.progress.restored_at.unwrap_or(now);
                let drained_at = restored_at + read.plan.scale_in_delay;
                if read.progress.shifted_at.is_some() && now < drained_at {
                    return Err(AGAIN);
                }
                Ok(if call.mistaken(Mistake::ReadBackTooEarly) {
                    Self::Settle(read)
                } else {
                    Self::Service(read)
                })
            }
            Self::Service(read) => {
                let canary = slot_index(read.plan.canary.slot);
                Ok(if call.state.world.tasks[canary] == 0 {
                    Self::EndAlarms
                } else {
                    Self::ClaimScaleIn(Transit::Load)
                })
            }
            Self::ClaimScaleIn(transit) => {
                let (own, lifetime) = (call.own_scale_in(), LIFETIME);
                let claimed = transit.step(call, who, |deployment, now| {
                    claim_scale_in(deployment, &own, lifetime, now, overdue(now))
                });
                match claimed {
                    Transited::On(transit) => Ok(Self::ClaimScaleIn(transit)),
                    Transited::Done(intent) => Ok(Self::ScaleIn { intent, clean: true }),
                    Transited::Refused(Refused::Busy { .. }) => Err(AGAIN),
                    Transited::Refused(refused) => overtaken(&refused),
                }
            }
            Self::ScaleIn { intent, clean } => scale_in(call, intent, clean),
            Self::FinishScaleIn { written } => {
                let own = call.own_scale_in();
                call.finish_deployment_intent(who, &own);
                if written { Ok(Self::EndAlarms) } else { Err(End::Transient) }
            }
            Self::EndAlarms => Ok(Self::EndLoad(call.alarms(&[alarm()]))),
            Self::EndLoad(alarms) => {
                let read = call.load(who).ok_or(End::Failed)?;
                let now = call.now();
                match ending(call, &read, &alarms, now) {
                    Ok(_) => Ok(Self::End { alarms, read, now }),
                    Err(Refused::Busy { .. }) => Err(AGAIN),
                    Err(Refused::NotOpen(Phase::Closed(_))) => Err(End::Reply(NextStep::Failed)),
                    Err(refused) => overtaken(&refused),
                }
            }
            Self::Overtaken => Err(End::Reply(match call.load(who) {
                None => NextStep::Failed,
                Some(read) => match read.phase {
                    Phase::Open | Phase::RollingBack | Phase::Held => NextStep::Rollback,
                    Phase::Committed | Phase::Closed(_) => too_late(&read),
                },
            })),
            Self::End { alarms, read, now } => match ending(call, &read, &alarms, now) {
                Ok(writes) if call.commit(writes.clone()) => Err(End::Reply(NextStep::Failed)),
                Ok(_) | Err(_) => Ok(Self::EndAlarms),
            },
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

/// What follows once traffic is safe.
fn settle(call: &Call<'_>, read: Read) -> Rollback {
    if call.mistaken(Mistake::ReadBackTooEarly) {
        return Rollback::ReadBack { read, now: call.now() };
    }
    Rollback::Settle(read)
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

fn astray(call: &Call<'_>, read: &Deployment) -> bool {
    call.read_route() != the_route(&read.plan).stable_only()
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

fn scale_in(call: &mut Call<'_>, intent: Intent, clean: bool) -> Result<Rollback, End> {
    let slot = call.load(call.who).ok_or(End::Failed)?.plan.canary.slot;
    let effect = Effect::Tasks { slot, wanted: 0, version: None };
    let written = match call.attempt(Author::Deployment(call.who), &intent, effect) {
        Attempt::Again => return Ok(Rollback::ScaleIn { intent, clean: false }),
        Attempt::Done => true,
        Attempt::Expired => false,
    };
    match (call.clean(clean), written) {
        (true, written) => Ok(Rollback::FinishScaleIn { written }),
        (false, true) => Ok(Rollback::EndAlarms),
        (false, false) => Err(End::Transient),
    }
}

/// The transaction that ends the deployment.
fn ending(
    call: &Call<'_>,
    read: &Deployment,
    alarms: &[AlarmItem],
    now: Timestamp,
) -> Result<Vec<RegistryWrite>, Refused> {
    let mut read = read.clone();
    let mut alarms = alarms.to_vec();
    if call.mistaken(Mistake::UnlockWithLiveIntent) {
        read.intents.clear();
        for alarm in &mut alarms {
            alarm.intents.clear();
        }
    }
    let failure = Failure::new(FailureCode::AlarmFired, "");
    let (_, mut writes) = close(&read, &alarms, failure, Outcome::RolledBack, now)?;
    if call.mistaken(Mistake::EndTwice) {
        without_conditions(call, &mut writes);
    }
    Ok(writes)
}

/// The same writes, each with a condition that holds.
fn without_conditions(call: &Call<'_>, writes: &mut Vec<RegistryWrite>) {
    let items = &call.state.items;
    writes.retain(|write| !matches!(write, RegistryWrite::ReleaseLock { .. }));
    for write in writes {
        if let RegistryWrite::PutDeployment(put) = write {
            let stored = items.deployments.get(&put.id).map(|stored| stored.revision);
            put.revision = stored.map_or(Revision::default(), Revision::next);
        } else if let RegistryWrite::Unbind { alarm, expected, .. } = write {
            *expected = items.alarm(alarm).revision;
        }
    }
}

impl Mark for Rollback {
    fn mark(&self, marks: &mut Marks<'_>) {
        let mark_alarms = |marks: &mut Marks<'_>, alarms: &[AlarmItem]| {
            for alarm in alarms {
                marks.alarm(alarm);
            }
        };
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::Fence
            | Self::FenceForced
            | Self::FinishUnwritten
            | Self::EndAlarms
            | Self::Overtaken => {}
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
            Self::ClaimScaleIn(transit) => transit.mark(marks),
            Self::Restored { clean, transit } => {
                marks.flag(*clean);
                transit.mark(marks);
            }
            Self::FinishScaleIn { written } => marks.flag(*written),
            Self::FinishUnused(read)
            | Self::Wake(read)
            | Self::Settle(read)
            | Self::Service(read) => {
                marks.deployment(read);
            }
            Self::Alarms { read, now } | Self::ReadBack { read, now } => {
                marks.deployment(read);
                marks.time(*now);
            }
            Self::ScaleIn { intent, clean } => {
                marks.intent(intent);
                marks.flag(*clean);
            }
            Self::EndLoad(alarms) => mark_alarms(marks, alarms),
            Self::End { alarms, read, now } => {
                mark_alarms(marks, alarms);
                marks.deployment(read);
                marks.time(*now);
            }
        }
    }
}
