//! Whether a run ends: everybody dies where they are, and only the sweep comes by.

use futures_util::FutureExt;
use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_core::rollback::AfterHold;
use glidepath_core::weight::Weight;
use glidepath_engine::sweep;

use crate::boundary::Signal;
use crate::bounds::Bounds;
use crate::example::{SLOTS, share, tasks};
use crate::process::Kind;
use crate::properties::{BOUNDS_COME_BACK, EVERY_RUN_ENDS, bounds_are_back, last};
use crate::situation::Situation;

/// More sweeps than any run needs.
const SWEEPS: u32 = 30;

/// Whether the sweep alone brings everything to its end: closed, locks free, one terminal notice each, all
/// traffic on one slot; or held or stepping back, and told, as long as stable is sick and the plan does not
/// force it.
pub(crate) fn is_brought_about(bounds: &Bounds, state: &Situation) -> Result<(), &'static str> {
    let mut state = state.clone();
    state.processes.clear();
    state.flights.clear();
    for machine in &mut state.machines {
        machine.alive = false;
        machine.invocation = None;
    }
    for _ in 0..SWEEPS {
        let open = |item: &&Deployment| !matches!(item.phase, Phase::Closed(_));
        let due = state.items.deployments.values().filter(open).map(|item| item.next_due_at).max();
        let Some(due) = due else {
            let back = last(&state).is_none_or(|last| bounds_are_back(&state, last));
            return match ended_well(&state) {
                true if back => Ok(()),
                true => Err(BOUNDS_COME_BACK),
                false => Err(EVERY_RUN_ENDS),
            };
        };
        state.now = state.now.max(due);
        sweep_once(bounds, &mut state);
    }
    let then = bounds.plan.as_ref().map_or(AfterHold::Hold, |plan| plan.rollback.then);
    let held = then == AfterHold::Hold && held_with_a_page(&state);
    if held { Ok(()) } else { Err(EVERY_RUN_ENDS) }
}

fn sweep_once(bounds: &Bounds, state: &mut Situation) {
    let on = state.boundary(bounds, (0, Kind::Sweep), state.now);
    on.go_straight();
    let _swept = sweep::run(&on).now_or_never();
    let signals = std::mem::take(&mut on.inner().signals);
    for signal in signals {
        let Signal::Start(due) = signal else { continue };
        let Some(work) = state.due_work(&due) else { continue };
        state.started[4] += 1;
        let number = 4_000 + state.started[4];
        let on = state.boundary(bounds, (number, work.kind()), state.now);
        // What fails is tried again by the next sweep.
        let _end = work.straight(&on);
        state.now = state.now.max(on.clock());
        state.adopt(on);
    }
}

fn ended_well(state: &Situation) -> bool {
    let free = state.items.locks.values().all(|lock| lock.holder.is_none());
    let told = state.items.deployments.keys().all(|id| {
        let terminal = state
            .items
            .notices
            .iter()
            .filter(|entry| entry.notice.deployment == *id && entry.notice.event.terminal());
        terminal.count() == 1
    });
    let whole = last(state).is_none_or(|deployment| {
        let serving = match deployment.phase {
            // Afterwards anybody may send requests to the old slot.
            Phase::Closed(Outcome::Succeeded) if state.seen.meddled => return true,
            Phase::Closed(Outcome::Succeeded) => deployment.plan.canary.slot,
            Phase::Closed(Outcome::RolledBack | Outcome::Abandoned)
            | Phase::Open
            | Phase::RollingBack
            | Phase::Held
            | Phase::Committed => deployment.plan.stable.slot,
        };
        share(&state.world, serving.other()) == Weight::NONE
    });
    let leads_nowhere = SLOTS
        .into_iter()
        .any(|slot| share(&state.world, slot) != Weight::NONE && tasks(&state.world, slot) == 0);
    free && told && whole && !leads_nowhere
}

fn held_with_a_page(state: &Situation) -> bool {
    let open =
        state.items.deployments.values().filter(|item| !matches!(item.phase, Phase::Closed(_)));
    !state.world.weak.is_empty()
        && open.into_iter().all(|deployment| {
            let weak = deployment.progress.weak.as_ref();
            match deployment.phase {
                Phase::Held => weak.is_some_and(|weak| weak.told_of_none),
                Phase::RollingBack => weak.is_some_and(|weak| weak.told_of_few),
                Phase::Open | Phase::Committed | Phase::Closed(_) => false,
            }
        })
}
