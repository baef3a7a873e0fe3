//! `engine::complete::retire`: the old slot loses its tasks.

use std::sync::Arc;

use glidepath_core::ids::IntentId;
use glidepath_core::plan::Slot;
use glidepath_core::protocol::{
    NextStep, claim_retirement, finish_retirement, postpone_retirement,
};
use glidepath_core::record::{Deployment, Event, Intent, Retirement};
use glidepath_core::time::Timestamp;

use crate::call::{Attempt, Call, End, Turn};
use crate::example::{COARSE, LIFETIME, Who, key};
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};

/// Where a retirement is.
#[derive(Clone, Debug)]
pub(crate) struct Retire {
    slot: Slot,
    at: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Read,
    Load(Due),
    Route(Due, Arc<Deployment>),
    Postpone(Due, Arc<Deployment>),
    Lock(Due),
    Claim(Due, glidepath_core::record::Lock),
    Write { claimed: Arc<Retirement>, intent: Intent, clean: bool },
    LoadAgain(Arc<Retirement>),
    Finish(Arc<Retirement>, Arc<Deployment>, Timestamp),
}

/// What was read, and when.
#[derive(Clone, Debug)]
struct Due {
    retirement: Arc<Retirement>,
    now: Timestamp,
}

/// The answer to the sweep, which does not mind.
const NOT_DUE: End = End::Reply(NextStep::Succeeded);

impl Retire {
    pub(crate) const fn new(slot: Slot) -> Self {
        Self { slot, at: Place::Read }
    }

    pub(crate) const fn fresh(&self) -> bool {
        matches!(self.at, Place::Read)
    }

    pub(crate) const fn attempts(&self) -> bool {
        matches!(self.at, Place::Write { .. })
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        let slot = self.slot;
        match place(self.at, slot, call) {
            Ok(at) => Turn::On(Self { slot, at }),
            Err(end) => Turn::End(end),
        }
    }
}

fn place(at: Place, slot: Slot, call: &mut Call<'_>) -> Result<Place, End> {
    match at {
        Place::Read => {
            let now = call.now();
            let found = call.state.items.retirements.get(&key(slot)).cloned();
            let retirement = found.filter(|found| found.due_at <= now).ok_or(NOT_DUE)?;
            Ok(Place::Load(Due { retirement: Arc::new(retirement), now }))
        }
        Place::Load(due) => {
            let who = Who::of(&due.retirement.deployment);
            let deployment = call.load(who).expect("it left the retirement behind");
            Ok(Place::Route(due, deployment))
        }
        Place::Route(due, deployment) => Ok(if call.state.world.carries(slot) {
            Place::Postpone(due, deployment)
        } else {
            Place::Lock(due)
        }),
        Place::Postpone(due, deployment) => {
            let until = due.now + COARSE;
            let why = Event::RetirementPostponed;
            call.commit(postpone_retirement(&due.retirement, &deployment, why, due.now, until));
            Err(NOT_DUE)
        }
        Place::Lock(due) => Ok(Place::Claim(due, call.state.items.lock(&key(slot)))),
        Place::Claim(due, lock) => {
            let (own, lifetime) = (call.own(), LIFETIME);
            let claimed = claim_retirement(&due.retirement, &lock, &own, lifetime, due.now);
            let (claimed, writes) = claimed.map_err(|_| NOT_DUE)?;
            if !call.commit(writes) {
                return Err(NOT_DUE);
            }
            let (_, intent): (IntentId, Intent) = claimed.intent.clone().ok_or(NOT_DUE)?;
            Ok(Place::Write { claimed: Arc::new(claimed), intent, clean: true })
        }
        Place::Write { claimed, intent, clean } => {
            let effect = Effect::Tasks { slot, wanted: 0, version: None };
            match call.attempt(Author::Retirement, &intent, effect) {
                Attempt::Again => Ok(Place::Write { claimed, intent, clean: false }),
                Attempt::Expired => Err(End::Transient),
                Attempt::Done if call.clean(clean) => Ok(Place::LoadAgain(claimed)),
                Attempt::Done => Err(NOT_DUE),
            }
        }
        Place::LoadAgain(claimed) => {
            let who = Who::of(&claimed.deployment);
            let deployment = call.load(who).expect("it left the retirement behind");
            Ok(Place::Finish(claimed, deployment, call.now()))
        }
        Place::Finish(claimed, deployment, now) => {
            if call.commit(finish_retirement(&claimed, &deployment, now)) {
                return Err(NOT_DUE);
            }
            Ok(Place::LoadAgain(claimed))
        }
    }
}

impl Mark for Retire {
    fn mark(&self, marks: &mut Marks<'_>) {
        let key = key(self.slot);
        let mark_due = |marks: &mut Marks<'_>, due: &Due| {
            marks.retirement(&key, &due.retirement);
            marks.time(due.now);
        };
        marks.hash((self.slot, std::mem::discriminant(&self.at)));
        match &self.at {
            Place::Read => {}
            Place::Load(due) | Place::Lock(due) => mark_due(marks, due),
            Place::Route(due, deployment) | Place::Postpone(due, deployment) => {
                mark_due(marks, due);
                marks.deployment(deployment);
            }
            Place::Claim(due, lock) => {
                mark_due(marks, due);
                marks.lock(lock);
            }
            Place::Write { claimed, intent, clean } => {
                marks.retirement(&key, claimed);
                marks.intent(intent);
                marks.flag(*clean);
            }
            Place::LoadAgain(claimed) => marks.retirement(&key, claimed),
            Place::Finish(claimed, deployment, now) => {
                marks.retirement(&key, claimed);
                marks.deployment(deployment);
                marks.time(*now);
            }
        }
    }
}
