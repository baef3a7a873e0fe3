//! What must hold in every state.

use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_core::rollback::Forced;
use glidepath_core::weight::Weight;
use stateright::Property;

use crate::ending;
use crate::example::{Who, overdue};
use crate::model::Exploration;
use crate::process::Origin;
use crate::state::{At, State};

/// A rollback that has ended leaves nothing on the canary, ever.
pub(crate) const NOTHING_ON_THE_CANARY: &str = "no weight on the canary once it was rolled back";
/// Not even until the last read-back, unless something failed.
pub(crate) const RESTORED_AT_ONCE: &str =
    "without faults traffic is on stable as soon as nobody is writing";
/// Nothing lands in the name of a deployment that has unlocked.
pub(crate) const NO_LATE_WRITE: &str = "no write of a deployment lands after its unlock";
/// Tasks are taken from an idle slot only.
pub(crate) const NO_SERVING_SLOT_RETIRED: &str = "no slot that carries weight loses its tasks";
/// Neither forward nor back.
pub(crate) const NEVER_ONTO_NOTHING: &str = "no weight on a slot without tasks";
/// A lock belongs to a deployment that the sweep will look at.
pub(crate) const LOCKS_ARE_OWNED: &str = "every lock is free or held by a deployment that goes on";
/// Wherever everybody dies.
pub(crate) const EVERY_RUN_ENDS: &str = "the sweep alone brings every run to its end";
/// One terminal record.
pub(crate) const ONE_END: &str = "exactly one terminal notice for each deployment that has ended";
/// The fence wins against the commit.
pub(crate) const NO_COMMIT_AFTER_FIRING: &str = "no commit after a bound alarm fired";
/// Rollback wins, however long it takes.
pub(crate) const NEVER_FORWARD_AGAIN: &str = "no deployment goes on once its rollback has begun";
/// A late event is about another deployment.
pub(crate) const NOT_STOPPED_BY_THE_PAST: &str = "no deployment is stopped by an older event";
/// An alarm that fires while a plan is being made is seen.
pub(crate) const NO_UNSEEN_FIRING: &str = "no alarm fires unseen while a deployment begins";
/// The rest of a rollback does not wait for the tick.
pub(crate) const THE_GATE_IS_WOKEN: &str = "a rollback wakes the gate that is open";
/// It never gives up because of another one.
pub(crate) const ROLLBACKS_DO_NOT_FAIL: &str = "no rollback fails unless a call did";
/// The roles are those under the lock.
pub(crate) const ROLES_ARE_CURRENT: &str = "no deployment changes the slot that serves";
/// Bindings end with what they stop.
pub(crate) const BINDINGS_END: &str = "no binding outlives its deployment";

/// However stable comes and goes.
pub(crate) const NOT_ONTO_THE_DEAD: &str =
    "no rollback writes onto nothing healthy unless it is forced";
/// An approval is of what was asked.
pub(crate) const NOTHING_UNSEEN: &str =
    "no stage that asks is shifted unless that stage was approved";
/// A promotion is of what holds.
pub(crate) const NOT_WITHOUT_EVIDENCE: &str =
    "no stage that lacks evidence is left unless somebody let that stage go on";
/// What was confirmed counts.
pub(crate) const NO_ANSWER_IS_LOST: &str = "no answer that was confirmed is lost";
/// Whoever has changed the route meanwhile.
pub(crate) const BAKED_AT_ITS_OWN_WEIGHT: &str =
    "no stage goes on before it has baked at its weight";
/// Nobody is accused of what a deployment did itself.
pub(crate) const NOBODY_IS_ACCUSED: &str = "nobody is told of a change that nobody else has made";
/// Back is back.
pub(crate) const STEPS_GO_BACK: &str = "no step back gives the canary more";

pub(crate) fn all() -> Vec<Property<Exploration>> {
    vec![
        Property::always(NOTHING_ON_THE_CANARY, |_, state| nothing_on_the_canary(state)),
        Property::always(RESTORED_AT_ONCE, |_, state| restored_at_once(state)),
        Property::always(NO_LATE_WRITE, |_, state: &State| !state.seen.late_write),
        Property::always(NO_SERVING_SLOT_RETIRED, |_, state: &State| !state.seen.served_by_nobody),
        Property::always(NEVER_ONTO_NOTHING, |_, state: &State| !state.world.leads_nowhere()),
        Property::always(LOCKS_ARE_OWNED, |_, state| locks_are_owned(state)),
        Property::always(EVERY_RUN_ENDS, |exploration: &Exploration, state: &State| {
            state.busy() || ending::is_brought_about(exploration, state)
        }),
        Property::always(ONE_END, |_, state| one_end(state)),
        Property::always(NO_COMMIT_AFTER_FIRING, |_, state: &State| {
            !state.seen.committed_after_firing
        }),
        Property::always(NEVER_FORWARD_AGAIN, |_, state: &State| !state.seen.went_on),
        Property::always(NOT_STOPPED_BY_THE_PAST, |_, state: &State| {
            !state.seen.stopped_by_the_past
        }),
        Property::always(NO_UNSEEN_FIRING, |_, state| no_unseen_firing(state)),
        Property::always(THE_GATE_IS_WOKEN, |_, state: &State| {
            !state.seen.not_woken && !sleeps_through(state)
        }),
        Property::always(ROLLBACKS_DO_NOT_FAIL, |_, state: &State| !state.seen.rollback_failed),
        Property::always(ROLES_ARE_CURRENT, |_, state: &State| !state.seen.wrong_roles),
        Property::always(NOT_ONTO_THE_DEAD, |_, state: &State| !state.seen.onto_nothing),
        Property::always(STEPS_GO_BACK, |_, state: &State| !state.seen.stepped_forward),
        Property::always(NOTHING_UNSEEN, |_, state: &State| !state.seen.unseen_shift),
        Property::always(NOT_WITHOUT_EVIDENCE, |_, state: &State| !state.seen.unasked),
        Property::always(NO_ANSWER_IS_LOST, |_, state: &State| !state.seen.answer_lost),
        Property::always(BAKED_AT_ITS_OWN_WEIGHT, |_, state: &State| !state.seen.hasty),
        Property::always(NOBODY_IS_ACCUSED, |_, state: &State| !state.seen.accused),
        Property::always(BINDINGS_END, |_, state| bindings_end(state)),
        // The model is not empty: these must be reached.
        Property::sometimes(SUCCEEDS, |_, state| ended(state, Who::First, Outcome::Succeeded)),
        Property::sometimes(ROLLS_BACK, |_, state| ended(state, Who::First, Outcome::RolledBack)),
        Property::sometimes(FORCES, |_, state: &State| {
            let deployment = state.deployment(Who::First);
            deployment.is_some_and(|item| item.progress.forced == Some(Forced::Plan))
        }),
        Property::sometimes(COMES_BACK, |_, state: &State| {
            state.seen.throttled && ended(state, Who::First, Outcome::RolledBack)
        }),
    ]
}

/// Something that must be possible.
pub(crate) const SUCCEEDS: &str = "a deployment succeeds";
/// Something that must be possible.
pub(crate) const ROLLS_BACK: &str = "a deployment is rolled back";
/// Something that must be possible.
pub(crate) const COMES_BACK: &str = "a rollback that was put off ends";
/// Something that must be possible.
pub(crate) const FORCES: &str = "a plan forces its rollback";

fn ended(state: &State, who: Who, outcome: Outcome) -> bool {
    state.closed(&who.id()) == Some(outcome)
}

fn nothing_on_the_canary(state: &State) -> bool {
    let Some(deployment) = state.seen.last.and_then(|who| state.deployment(who)) else {
        return true;
    };
    match deployment.phase {
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
            state.world.share(deployment.plan.canary.slot) == Weight::NONE
        }
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Committed
        | Phase::Closed(Outcome::Succeeded) => true,
    }
}

fn restored_at_once(state: &State) -> bool {
    if state.seen.fault || state.busy() {
        return true;
    }
    Who::BOTH.into_iter().filter_map(|who| state.deployment(who)).all(|deployment| {
        deployment.phase != Phase::RollingBack
            || deployment.progress.restored_at.is_none()
            || !state.world.carries(deployment.plan.canary.slot)
    })
}

/// Whether an execution still waits for its gate while its rollback was put off and nobody else goes
/// on with it.
fn sleeps_through(state: &State) -> bool {
    let sleeps = |who: &Who| {
        let machine = state.machines[who.index()];
        let waits = machine.alive && machine.at == At::Paused;
        let put_off = |deployment: &&Deployment| match deployment.phase {
            Phase::RollingBack | Phase::Held => deployment.progress.throttled.is_some(),
            Phase::Open | Phase::Committed | Phase::Closed(_) => false,
        };
        let gate = state.deployment(*who).filter(put_off).and_then(|item| item.gate.as_ref());
        waits && gate.is_some_and(|gate| gate.tick == machine.tick())
    };
    !state.seen.fault && !state.busy() && Who::BOTH.iter().any(sleeps)
}

fn locks_are_owned(state: &State) -> bool {
    let holders = state.items.locks.values().filter_map(|lock| lock.holder.as_ref());
    let due = |holder| {
        let deployment = state.items.deployments.get(holder);
        deployment.is_some_and(|deployment| deployment.next_due_at <= overdue(state.now))
    };
    holders.into_iter().all(|holder| state.closed(holder).is_none() && due(holder))
}

fn one_end(state: &State) -> bool {
    Who::BOTH.into_iter().all(|who| {
        let ends = u8::from(state.closed(&who.id()).is_some());
        state.seen.ends[who.index()] == ends
    })
}

fn no_unseen_firing(state: &State) -> bool {
    let delivering = state.processes.iter().any(|process| process.origin == Origin::Delivery);
    let delivered = state.events.is_empty() && !state.busy() && !delivering;
    Who::BOTH.into_iter().all(|who| {
        let planned = !matches!(state.machines[who.index()].at, At::Plan | At::Rollback);
        let Some(deployment) = state.deployment(who) else { return true };
        let unseen = state.world.firing_since.is_some_and(|at| deployment.started_at <= at);
        let stopped = deployment.phase != Phase::Open || state.seen.fired[who.index()];
        !delivered || !planned || state.seen.fault || !unseen || stopped
    })
}

fn bindings_end(state: &State) -> bool {
    let bound = state.items.alarms.values().flat_map(|alarm| alarm.bindings.keys());
    bound.into_iter().all(|id| match state.items.deployments.get(id).map(|item| item.phase) {
        Some(Phase::Open | Phase::RollingBack | Phase::Held) => true,
        Some(Phase::Committed | Phase::Closed(_)) | None => false,
    })
}
