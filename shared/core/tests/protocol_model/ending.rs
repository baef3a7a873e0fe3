//! Whether a run ends: everybody dies where they are, and only the sweep comes by.

use std::hash::{DefaultHasher, Hash, Hasher};

use glidepath_core::record::{Outcome, Phase};
use glidepath_core::rollback::AfterHold;
use glidepath_core::weight::Weight;

use crate::bounds::{Budget, Mistake};
use crate::call::Choice;
use crate::example::{OVERDUE, SLOTS, Who};
use crate::model::Exploration;
use crate::process::Origin;
use crate::state::State;

/// More sweeps than any run needs.
const SWEEPS: u32 = 30;

/// More calls than any invocation makes.
const CALLS: u32 = 80;

/// Whether the sweep alone brings everything to its end: closed, locks free, one terminal notice
/// each, all traffic on one slot; or held or stepping back, and told, as long as stable is sick and
/// the plan does not force it.
pub(crate) fn is_brought_about(exploration: &Exploration, state: &State) -> bool {
    let mut state = state.clone();
    state.left = Budget::default();
    state.processes.clear();
    state.events.clear();
    for machine in &mut state.machines {
        machine.alive = false;
        machine.invocation = None;
    }
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    let fingerprint = hasher.finish();
    let known = || exploration.known.lock().expect("no test has panicked with it");
    if known().contains(&fingerprint) {
        return true;
    }
    let ends = ends(exploration, state);
    if ends {
        known().insert(fingerprint);
    }
    ends
}

fn ends(exploration: &Exploration, mut state: State) -> bool {
    for _ in 0..SWEEPS {
        let open = Who::BOTH.into_iter().filter(|who| open(&state, *who)).collect::<Vec<_>>();
        if open.is_empty() {
            return ended_well(&state);
        }
        // By then everything is overdue, whenever it was touched last.
        state.now = state.now + OVERDUE;
        let now = state.now;
        state.flights.retain(|flight| now < flight.until);
        for who in open {
            if !sweep(exploration, &mut state, who) {
                return false;
            }
        }
    }
    match exploration.bounds.then {
        AfterHold::Hold => held_with_a_page(&state),
        AfterHold::Force => false,
    }
}

fn open(state: &State, who: Who) -> bool {
    state.deployment(who).is_some_and(|item| !matches!(item.phase, Phase::Closed(_)))
}

/// One sweep, from its start to its end.
fn sweep(exploration: &Exploration, state: &mut State, who: Who) -> bool {
    let Some(deployment) = state.deployment(who) else { return true };
    let forgotten = deployment.phase == Phase::Held
        && exploration.bounds.mistake == Some(Mistake::HeldIsForgotten);
    if forgotten {
        return true;
    }
    let Some(work) = state.sweeps(who) else { return true };
    let number = state.start(who, Origin::Sweep, work);
    for _ in 0..CALLS {
        if exploration.step(state, number, Choice::Go).is_none() {
            return true;
        }
    }
    false
}

fn ended_well(state: &State) -> bool {
    let free = state.items.locks.values().all(|lock| lock.holder.is_none());
    let whole = SLOTS.into_iter().any(|slot| state.world.share(slot) == Weight::ALL);
    let told = Who::BOTH.into_iter().all(|who| {
        let expected = u8::from(state.deployment(who).is_some());
        state.seen.ends[who.index()] == expected
    });
    let rolled_back_onto_stable = Who::BOTH.into_iter().all(|who| {
        let last = state.seen.last == Some(who);
        let Some(deployment) = state.deployment(who).filter(|_| last) else { return true };
        let serving = match deployment.phase {
            Phase::Closed(Outcome::Succeeded) => deployment.plan.canary.slot,
            Phase::Closed(Outcome::RolledBack | Outcome::Abandoned)
            | Phase::Open
            | Phase::RollingBack
            | Phase::Held
            | Phase::Committed => deployment.plan.stable.slot,
        };
        state.world.share(serving) == Weight::ALL
    });
    free && whole && told && rolled_back_onto_stable && !state.world.leads_nowhere()
}

fn held_with_a_page(state: &State) -> bool {
    state.world.sick.is_some()
        && Who::BOTH.into_iter().filter(|who| open(state, *who)).all(|who| {
            state.deployment(who).is_some_and(|deployment| {
                let weak = deployment.progress.weak.as_ref();
                let told_of_none = weak.is_some_and(|weak| weak.told_of_none);
                let told_of_few = weak.is_some_and(|weak| weak.told_of_few);
                match deployment.phase {
                    Phase::Held => told_of_none,
                    Phase::RollingBack => told_of_few,
                    Phase::Open | Phase::Committed | Phase::Closed(_) => false,
                }
            })
        })
}
