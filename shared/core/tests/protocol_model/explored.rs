//! Explorations of the protocol as it is: no property may fail.

use std::time::Instant;

use stateright::{Checker, DiscoveryClassification, HasDiscoveries, Model};

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{COARSE, FINE};
use crate::model::Exploration;
use crate::state::At;
use crate::told::line;

/// With this variable set, everything is explored with more time passing during invocations, and
/// with reads and writes of transitions apart: hours instead of minutes.
const LARGE: &str = "GLIDEPATH_MODEL_LARGE";

/// Explores everything within the bounds.
fn explore(name: &str, bounds: Bounds) {
    let large = std::env::var_os(LARGE).is_some();
    let budget = if large {
        Budget { pauses: bounds.budget.pauses + 1, ..bounds.budget }
    } else {
        bounds.budget
    };
    let bounds = Bounds {
        budget,
        fused: bounds.fused && !large,
        repeated: bounds.repeated.filter(|_| !large),
        ..bounds
    };
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let checker = Exploration::of(bounds).checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps, {} deep, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed()
    );
    for (property, path) in checker.discoveries() {
        let classification = checker.discovery_classification(property);
        if matches!(classification, DiscoveryClassification::Counterexample) {
            let lines: Vec<_> =
                path.into_vec().into_iter().map(|(state, action)| line(&state, action)).collect();
            panic!("{name}: not `{property}`:\n{}", lines.join("\n"));
        }
    }
}

/// Everything else is said against these.
pub(crate) const ALL_AT_ONCE: Bounds = Bounds {
    stages: &[1000],
    gates: false,
    successor: Successor::Never,
    retirement: false,
    from: From::Tasks,
    fused: false,
    tick: COARSE,
    repeated: None,
    concurrent: 2,
    budget: Budget {
        pauses: 1,
        firings: 0,
        repeats: 0,
        operators: 0,
        sweeps: 0,
        crashes: 0,
        unanswered: 0,
        duplicates: 0,
        deaths: 0,
        redrives: 0,
        sicknesses: 0,
        vetoes: 0,
    },
    mistake: None,
};

const BUDGET: Budget = ALL_AT_ONCE.budget;

#[test]
fn an_alarm_while_a_deployment_is_planned() {
    let budget = Budget { firings: 1, ..BUDGET };
    explore("planned", Bounds { budget, from: From::Plan, ..ALL_AT_ONCE });
}

#[test]
fn an_alarm_that_is_told_twice_around_a_shift() {
    let budget = Budget { firings: 1, repeats: 1, pauses: 0, ..BUDGET };
    explore("told twice", Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn an_alarm_and_a_person_around_a_shift() {
    let budget = Budget { firings: 1, operators: 1, pauses: 0, ..BUDGET };
    explore("operator", Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn an_alarm_and_a_crash_around_a_shift() {
    let budget = Budget { firings: 1, crashes: 1, ..BUDGET };
    explore("crash", Bounds { budget, from: From::Shift, ..ALL_AT_ONCE });
}

#[test]
fn an_alarm_and_an_unanswered_write() {
    let budget = Budget { firings: 1, unanswered: 1, ..BUDGET };
    explore("unanswered", Bounds { budget, from: From::Tasks, ..ALL_AT_ONCE });
}

#[test]
fn an_alarm_and_an_unanswered_write_in_finer_steps_of_time() {
    let budget = Budget { firings: 1, unanswered: 1, pauses: 2, ..BUDGET };
    explore("fine", Bounds { budget, tick: FINE, from: From::Shift, ..ALL_AT_ONCE });
}

#[test]
fn an_alarm_and_a_late_copy_of_a_shift() {
    let budget = Budget { firings: 1, duplicates: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE };
    explore("copy", Bounds { repeated: Some(At::Advance), ..bounds });
}

#[test]
fn an_alarm_and_a_late_entry_of_the_gate() {
    let budget = Budget { firings: 1, duplicates: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    explore("gate", Bounds { gates: true, repeated: Some(At::Gate), ..bounds });
}

#[test]
fn an_alarm_while_stable_is_sick() {
    let budget = Budget { firings: 1, sicknesses: 1, pauses: 0, ..BUDGET };
    explore("sick", Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn a_commit_while_an_alarm_fires_and_the_execution_dies() {
    let budget = Budget { firings: 1, deaths: 1, sweeps: 1, pauses: 0, ..BUDGET };
    explore("commit", Bounds { budget, from: From::Commit, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn an_execution_dies_during_a_shift_and_is_redriven() {
    let budget = Budget { deaths: 1, redrives: 1, sweeps: 1, pauses: 0, ..BUDGET };
    explore("redrive", Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn a_successor_and_an_event_that_comes_late() {
    let budget = Budget { firings: 1, repeats: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    explore("successor", Bounds { successor: Successor::Afterwards, ..bounds });
}

#[test]
fn a_successor_takes_over_what_is_being_retired() {
    let budget = Budget { vetoes: 1, ..BUDGET };
    let bounds = Bounds { budget, from: From::Commit, ..ALL_AT_ONCE };
    explore("retirement", Bounds { successor: Successor::AtAnyTime, retirement: true, ..bounds });
}

#[test]
fn a_retirement_that_is_not_answered() {
    let budget = Budget { unanswered: 1, ..BUDGET };
    let bounds = Bounds { budget, from: From::Commit, ..ALL_AT_ONCE };
    explore(
        "retirement unanswered",
        Bounds { successor: Successor::AtAnyTime, retirement: true, ..bounds },
    );
}

#[test]
fn two_successors_of_nothing_at_once() {
    let budget = Budget { firings: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Plan, fused: true, ..ALL_AT_ONCE };
    explore("race", Bounds { successor: Successor::AtAnyTime, ..bounds });
}

#[test]
fn two_stages() {
    let budget = Budget { firings: 1, vetoes: 1, ..BUDGET };
    explore("stages", Bounds { stages: &[500, 1000], budget, from: From::Bake, ..ALL_AT_ONCE });
}
