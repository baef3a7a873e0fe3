//! `engine::rollback::settle`: the rest of a rollback, once traffic is safe.

use std::sync::Arc;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::protocol::{NextStep, Refused, RegistryWrite, claim_scale_in, close};
use glidepath_core::record::{AlarmItem, Deployment, Intent, Outcome, Phase, Revision};
use glidepath_core::time::Timestamp;

use crate::bounds::Mistake;
use crate::call::{Attempt, Call, End};
use crate::example::{LIFETIME, alarm, overdue, slot_index};
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};
use crate::transit::{Transit, Transited, the_route};

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) enum Settling {
    /// With what was read before, if a mistake relies on it.
    Load(Option<Read>),
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
    EndAlarms,
    EndLoad(Arc<Vec<AlarmItem>>),
    End {
        alarms: Arc<Vec<AlarmItem>>,
        read: Read,
        now: Timestamp,
    },
}

type Read = Arc<Deployment>;

/// Why it goes no further for now.
pub(crate) enum Settled {
    /// Something has to be waited for.
    Again,
    Refused(Refused),
    End(End),
}

impl Settling {
    /// What follows once traffic is safe.
    pub(crate) fn begin(call: &Call<'_>, read: Read) -> Self {
        if call.mistaken(Mistake::ReadBackTooEarly) {
            return Self::ReadBack { read, now: call.now() };
        }
        Self::Load(None)
    }

    pub(crate) const fn attempts(&self) -> bool {
        matches!(self, Self::ScaleIn { .. })
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Result<Self, Settled> {
        let who = call.who;
        let gone = Settled::End(End::Failed);
        match self {
            Self::Load(before) => {
                let now = call.now();
                // With the mistake the deployment is read again beside the alarms only.
                let read = before.or_else(|| call.load(who)).ok_or(gone)?;
                Ok(Self::Alarms { read, now })
            }
            Self::Alarms { read, now } => {
                let alarms = call.alarms(&read.alarms);
                let read = if call.mistaken(Mistake::ReadBackTooEarly) {
                    call.load(who).ok_or(gone)?
                } else {
                    read
                };
                let intents = alarms.iter().flat_map(|alarm| alarm.intents.values());
                let living = read.intents.values().chain(intents).any(|intent| intent.lives(now));
                if living && !call.mistaken(Mistake::UnlockWithLiveIntent) {
                    return Err(Settled::Again);
                }
                Ok(if call.mistaken(Mistake::ReadBackTooEarly) {
                    Self::Service(read)
                } else {
                    Self::ReadBack { read, now }
                })
            }
            Self::ReadBack { read, now } => {
                if astray(call, &read) {
                    return Err(Settled::Again);
                }
                let restored_at = read.progress.restored_at.unwrap_or(now);
                let drained_at = restored_at + read.plan.scale_in_delay;
                if read.progress.shifted_at.is_some() && now < drained_at {
                    return Err(Settled::Again);
                }
                Ok(if call.mistaken(Mistake::ReadBackTooEarly) {
                    Self::Load(Some(read))
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
                    Transited::Refused(Refused::Busy { .. }) => Err(Settled::Again),
                    Transited::Refused(refused) => Err(Settled::Refused(refused)),
                }
            }
            Self::ScaleIn { intent, clean } => {
                let slot = call.load(who).ok_or(gone)?.plan.canary.slot;
                let effect = Effect::Tasks { slot, wanted: 0, version: None };
                let written = match call.attempt(Author::Deployment(who), &intent, effect) {
                    Attempt::Again => return Ok(Self::ScaleIn { intent, clean: false }),
                    Attempt::Done => true,
                    Attempt::Expired => false,
                };
                match (call.clean(clean), written) {
                    (true, written) => Ok(Self::FinishScaleIn { written }),
                    (false, true) => Ok(Self::EndAlarms),
                    (false, false) => Err(Settled::End(End::Transient)),
                }
            }
            Self::FinishScaleIn { written } => {
                let own = call.own_scale_in();
                call.finish_deployment_intent(who, &own);
                if written { Ok(Self::EndAlarms) } else { Err(Settled::End(End::Transient)) }
            }
            Self::EndAlarms => Ok(Self::EndLoad(call.alarms(&[alarm()]))),
            Self::EndLoad(alarms) => {
                let read = call.load(who).ok_or(gone)?;
                let now = call.now();
                match ending(call, &read, &alarms, now) {
                    Ok(_) => Ok(Self::End { alarms, read, now }),
                    Err(Refused::Busy { .. }) => Err(Settled::Again),
                    Err(Refused::NotOpen(Phase::Closed(_))) => {
                        Err(Settled::End(End::Reply(NextStep::Failed)))
                    }
                    Err(refused) => Err(Settled::Refused(refused)),
                }
            }
            Self::End { alarms, read, now } => match ending(call, &read, &alarms, now) {
                Ok(writes) if call.commit(writes.clone()) => {
                    Err(Settled::End(End::Reply(NextStep::Failed)))
                }
                Ok(_) | Err(_) => Ok(Self::EndAlarms),
            },
        }
    }
}

/// Whether the route is not as the rollback wrote it.
pub(crate) fn astray(call: &Call<'_>, read: &Deployment) -> bool {
    call.read_route() != the_route(&read.plan).stable_only()
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

impl Mark for Settling {
    fn mark(&self, marks: &mut Marks<'_>) {
        let mark_alarms = |marks: &mut Marks<'_>, alarms: &[AlarmItem]| {
            for alarm in alarms {
                marks.alarm(alarm);
            }
        };
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::EndAlarms => {}
            Self::ClaimScaleIn(transit) => transit.mark(marks),
            Self::FinishScaleIn { written } => marks.flag(*written),
            Self::Load(before) => marks.some(before.as_deref(), Marks::deployment),
            Self::Service(read) => marks.deployment(read),
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
