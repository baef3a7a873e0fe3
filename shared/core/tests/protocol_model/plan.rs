//! `engine::plan`, with `engine::survey`.

use std::collections::BTreeMap;
use std::sync::Arc;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::plan::Slot;
use glidepath_core::protocol::{NextStep, RegistryWrite, begin, close};
use glidepath_core::record::{
    AlarmItem, Deployment, Lock, LockKey, Outcome, Phase, Progress, RecordedHealth, Revision,
};
use glidepath_core::route::Role;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;

use crate::bounds::Mistake;
use crate::call::{Call, End, Turn};
use crate::example::{SLOTS, Who, alarm, health, key, overdue, plan, slot_index};
use crate::marks::{Mark, Marks};
use crate::transit::{Transit, Transited, foreign};

/// As in the engine.
const CLOCK_DISAGREEMENT: Span = Span::from_secs(5);

/// Where a plan is.
#[derive(Clone, Debug)]
pub(crate) enum Planning {
    Existing,
    Locks,
    Resources(Locks),
    Alarms(Locks, Draft),
    Stable(Locks, Draft, Timestamp, Timestamp),
    Retirements(Locks, Arc<Deployment>, Timestamp),
    Begin(Locks, Arc<Deployment>, Vec<RegistryWrite>),
    Load,
    LookAtAlarms(Arc<Deployment>),
    LookAtRoutes(Arc<Deployment>),
    AbandonAlarms,
    Abandon(Arc<Vec<AlarmItem>>, Transit),
}

type Locks = Arc<Vec<Lock>>;

/// What the resources say, before anything is locked.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Draft {
    stable: Slot,
    tasks: [u8; 2],
    versions: [u8; 2],
}

impl Planning {
    pub(crate) const fn fresh(&self) -> bool {
        matches!(self, Self::Existing)
    }

    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Stable(_, _, started_at, _) => Some(*started_at),
            Self::Retirements(_, deployment, _) | Self::Begin(_, deployment, _) => {
                Some(deployment.started_at)
            }
            Self::Existing
            | Self::Locks
            | Self::Resources(_)
            | Self::Alarms(..)
            | Self::Load
            | Self::LookAtAlarms(_)
            | Self::LookAtRoutes(_)
            | Self::AbandonAlarms
            | Self::Abandon(..) => None,
        }
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        let who = call.who;
        match self {
            Self::Existing => match call.load(who) {
                Some(existing) => look_at_alarms(existing),
                None => Turn::On(Self::Locks),
            },
            Self::Locks => {
                // Every key of a plan, whichever slot is stable.
                let draft = Draft { stable: Slot::Blue, tasks: [1, 0], versions: [1, 1] };
                let keys = LockKey::of(&draft.plan(call));
                let locks = keys.iter().map(|key| call.state.items.lock(key)).collect();
                Turn::On(Self::Resources(Arc::new(locks)))
            }
            Self::Resources(locks) => {
                let world = call.state.world;
                let whole = |slot: &Slot| world.share(*slot) == Weight::ALL;
                let Some(stable) = SLOTS.into_iter().find(whole) else {
                    return Turn::End(End::Failed);
                };
                let held = locks.iter().any(|lock| lock.holder.is_some());
                if held || world.tasks[slot_index(stable)] == 0 {
                    return Turn::End(End::Failed);
                }
                if call.mistaken(Mistake::BindAfterLook) && world.firing_since.is_some() {
                    return Turn::End(End::Failed);
                }
                let draft = Draft { stable, tasks: world.tasks, versions: world.versions };
                Turn::On(Self::Alarms(locks, draft))
            }
            Self::Alarms(locks, draft) => {
                let now = call.now();
                let after_firing = call.alarm().fired_at.map(Timestamp::just_after);
                let started_at = after_firing.into_iter().chain([now - CLOCK_DISAGREEMENT]).max();
                Turn::On(Self::Stable(locks, draft, started_at.unwrap_or(now), now))
            }
            Self::Stable(locks, draft, started_at, now) => {
                let healthy = call.healthy(draft.stable);
                let health = health(healthy, call.now(), call.bounds);
                let deployment = draft.deployment(call, (started_at, now), health);
                Turn::On(Self::Retirements(locks, Arc::new(deployment), now))
            }
            Self::Retirements(locks, deployment, now) => {
                let mut writes = Vec::new();
                for role in [Role::Stable, Role::Canary] {
                    let key = key(deployment.plan.slot(role).slot);
                    if let Some(due) = call.state.items.retirements.get(&key) {
                        match due.consume(now) {
                            Ok(write) => writes.push(write),
                            Err(_) => return Turn::End(End::Transient),
                        }
                    }
                }
                Turn::On(Self::Begin(locks, deployment, writes))
            }
            Self::Begin(locks, deployment, consumed) => {
                let mut locks = locks.to_vec();
                if call.mistaken(Mistake::RolesReadOnce) {
                    for lock in &mut locks {
                        lock.epoch = call.state.items.lock(&lock.key).epoch;
                    }
                }
                let mut writes = begin(&deployment, &locks);
                writes.extend(consumed);
                Turn::On(if call.commit(writes) { Self::Load } else { Self::Locks })
            }
            Self::Load => {
                let begun = call.load(who).expect("it has just begun");
                if call.mistaken(Mistake::BindAfterLook) {
                    return Turn::On(Self::LookAtRoutes(begun));
                }
                look_at_alarms(begun)
            }
            Self::LookAtAlarms(deployment) => {
                if call.state.world.firing_since.is_some() {
                    return Turn::End(End::Failed);
                }
                let moved_on = deployment.progress.shifted_at.is_some()
                    || deployment.revision > Revision::default();
                if moved_on {
                    return Turn::End(End::Reply(NextStep::Advance));
                }
                Turn::On(Self::LookAtRoutes(deployment))
            }
            Self::LookAtRoutes(deployment) => {
                if foreign(call, &deployment) && !call.mistaken(Mistake::RolesReadOnce) {
                    return Turn::On(Self::AbandonAlarms);
                }
                Turn::End(End::Reply(NextStep::Advance))
            }
            Self::AbandonAlarms => {
                let alarms = call.alarms(&[alarm()]);
                Turn::On(Self::Abandon(alarms, Transit::Load))
            }
            Self::Abandon(alarms, transit) => {
                let read = Arc::clone(&alarms);
                let abandoned = transit.step(call, who, |deployment, now| {
                    let failure = Failure::new(FailureCode::RouteChanged, "");
                    close(deployment, &read, failure, Outcome::Abandoned, now)
                });
                match abandoned {
                    // Ten conflicts with the same alarms end the invocation.
                    Transited::On(Transit::Load) => Turn::End(End::Transient),
                    Transited::On(transit) => Turn::On(Self::Abandon(alarms, transit)),
                    Transited::Done(_) | Transited::Refused(_) => Turn::End(End::Failed),
                }
            }
        }
    }
}

fn look_at_alarms(deployment: Arc<Deployment>) -> Turn<Planning> {
    match deployment.require_open() {
        Ok(()) => Turn::On(Planning::LookAtAlarms(deployment)),
        Err(_) => Turn::End(End::Failed),
    }
}

impl Draft {
    fn plan(self, call: &Call<'_>) -> glidepath_core::plan::Plan {
        plan(call.who, self.stable, self.tasks, self.versions, call.bounds)
    }

    fn deployment(
        self,
        call: &Call<'_>,
        (started_at, now): (Timestamp, Timestamp),
        health: RecordedHealth,
    ) -> Deployment {
        let plan = self.plan(call);
        Deployment {
            id: call.who.id(),
            execution: Who::execution(call.who),
            execution_start: None,
            revision: Revision::default(),
            phase: Phase::Open,
            fence: None,
            intents: BTreeMap::new(),
            started_at,
            progress: Progress::at_start(&plan, now),
            health,
            traffic: None,
            gate: None,
            alarms: plan.health.alarms.binding().cloned().collect(),
            warnings: Vec::new(),
            notices: 0,
            next_due_at: overdue(now),
            plan,
        }
    }
}

impl Mark for Planning {
    fn mark(&self, marks: &mut Marks<'_>) {
        let locks = |marks: &mut Marks<'_>, locks: &Locks| {
            for lock in locks.iter() {
                marks.lock(lock);
            }
        };
        match self {
            Self::Existing => marks.word(0),
            Self::Locks => marks.word(1),
            Self::Resources(read) => {
                marks.word(2);
                locks(marks, read);
            }
            Self::Alarms(read, draft) => {
                marks.word(3);
                locks(marks, read);
                marks.hash(draft);
            }
            Self::Stable(read, draft, started_at, now) => {
                marks.word(4);
                locks(marks, read);
                marks.hash(draft);
                marks.ordered(*started_at);
                marks.time(*now);
            }
            Self::Retirements(read, deployment, now) => {
                marks.word(5);
                locks(marks, read);
                marks.deployment(deployment);
                marks.time(*now);
            }
            Self::Begin(read, deployment, consumed) => {
                marks.word(6);
                locks(marks, read);
                marks.deployment(deployment);
                for write in consumed {
                    if let RegistryWrite::DeleteRetirement { key, expected, .. } = write {
                        marks.consumed(key, *expected);
                    }
                }
            }
            Self::Load => marks.word(7),
            Self::LookAtAlarms(deployment) => {
                marks.word(8);
                marks.deployment(deployment);
            }
            Self::LookAtRoutes(deployment) => {
                marks.word(9);
                marks.deployment(deployment);
            }
            Self::AbandonAlarms => marks.word(10),
            Self::Abandon(alarms, transit) => {
                marks.word(11);
                for alarm in alarms.iter() {
                    marks.alarm(alarm);
                }
                transit.mark(marks);
            }
        }
    }
}
