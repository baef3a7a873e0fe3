//! `engine::complete`, up to the unlock. The route is not sticky, so nothing is detached.

use std::sync::Arc;

use glidepath_core::protocol::{NextStep, Refused, commit, finish};
use glidepath_core::record::{AlarmItem, Deployment, Outcome, Phase, Retirement};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;

use crate::bounds::Mistake;
use crate::call::{Call, End, Turn};
use crate::example::overdue;
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};
use crate::transit::{Transit, Transited, foreign, the_route};

/// Where a completion is.
#[derive(Clone, Debug)]
pub(crate) enum Complete {
    Load,
    /// Only with the mistake: the old slot is retired already.
    Retire(Arc<Deployment>),
    Reload,
    Alarms(Arc<Deployment>),
    ReadBack(Reads),
    Commit(Reads),
    Finish(Transit),
}

/// What the commit is decided on, and when.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    deployment: Arc<Deployment>,
    alarms: Arc<Vec<AlarmItem>>,
    at: Timestamp,
}

impl Complete {
    pub(crate) const fn fresh(&self) -> bool {
        matches!(self, Self::Load)
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        match self {
            Self::Load => {
                let read = call.load(call.who).expect("planned");
                match read.phase {
                    Phase::Open if call.mistaken(Mistake::RetireBeforeCommit) => {
                        Turn::On(Self::Retire(read))
                    }
                    Phase::Open => Turn::On(Self::Reload),
                    Phase::Committed => Turn::On(Self::Finish(Transit::Load)),
                    Phase::Closed(Outcome::Succeeded) => Turn::End(End::Reply(NextStep::Succeeded)),
                    Phase::RollingBack
                    | Phase::Held
                    | Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
                        Turn::End(End::Failed)
                    }
                }
            }
            Self::Retire(read) => {
                let slot = read.plan.stable.slot;
                let effect = Effect::Tasks { slot, wanted: 0, version: None };
                call.state.land(Author::Deployment(call.who), effect);
                Turn::On(Self::Reload)
            }
            Self::Reload => {
                let read = call.load(call.who).expect("planned");
                Turn::On(Self::Alarms(read))
            }
            Self::Alarms(deployment) => {
                let mut alarms = call.alarms(&deployment.alarms);
                if call.mistaken(Mistake::CommitAfterFiring) {
                    for alarm in Arc::make_mut(&mut alarms) {
                        alarm.fired_at = None;
                    }
                }
                let reads = Reads { deployment, alarms, at: call.now() };
                match reads.decide() {
                    Ok(_) => Turn::On(Self::ReadBack(reads)),
                    Err(refused) => stopped(&refused),
                }
            }
            Self::ReadBack(reads) => {
                let route = the_route(&reads.deployment.plan);
                let whole = call.read_route().canary_share(&route.pair) == Ok(Weight::ALL);
                if foreign(call, &reads.deployment) || !whole {
                    return Turn::End(End::Failed);
                }
                Turn::On(Self::Commit(reads))
            }
            Self::Commit(reads) => match reads.decide() {
                Ok((_, writes)) => Turn::On(if call.commit(writes) {
                    Self::Finish(Transit::Load)
                } else {
                    Self::Reload
                }),
                Err(refused) => stopped(&refused),
            },
            Self::Finish(transit) => {
                let finished = transit.step(call, call.who, |deployment, now| {
                    finish(deployment, Retirement::after(deployment, now), now)
                });
                match finished {
                    Transited::On(transit) => Turn::On(Self::Finish(transit)),
                    Transited::Done(_) => Turn::End(End::Reply(NextStep::Succeeded)),
                    Transited::Refused(refused) => stopped(&refused),
                }
            }
        }
    }
}

impl Reads {
    fn decide(
        &self,
    ) -> Result<(Deployment, Vec<glidepath_core::protocol::RegistryWrite>), Refused> {
        commit(&self.deployment, &self.alarms, self.at, overdue(self.at))
    }
}

fn stopped(refused: &Refused) -> Turn<Complete> {
    Turn::End(match refused {
        Refused::Busy { .. } => End::Reply(NextStep::Complete),
        Refused::InUse(_) => End::Transient,
        Refused::NotOpen(_)
        | Refused::Fired(_)
        | Refused::NotNewer
        | Refused::NothingToDecide(_) => End::Failed,
    })
}

impl Mark for Complete {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::Load | Self::Reload => {}
            Self::Retire(read) | Self::Alarms(read) => marks.deployment(read),
            Self::ReadBack(reads) | Self::Commit(reads) => {
                marks.deployment(&reads.deployment);
                for alarm in reads.alarms.iter() {
                    marks.alarm(alarm);
                }
                marks.time(reads.at);
            }
            Self::Finish(transit) => transit.mark(marks),
        }
    }
}
