//! Explorations of the protocol as it is: no property may fail.
//!
//! Two deployments of one service, one route, one alarm. Every exploration is exhaustive within its
//! bounds; time has no bound between invocations, and `pauses` within them. In a test run they take
//! less than three minutes of a slow core and see 2.3 million states: 0.3 each in the finer steps of
//! time and the random runs, 0.2 each in the successor's, the race and what is put off while stable
//! is sick, 0.1 or less in the rest.
//!
//! `GLIDEPATH_MODEL_LARGE=1 cargo test -p glidepath-core --test protocol_model -- --nocapture
//! --test-threads 1` lets time pass once more during invocations, keeps the reads and writes of
//! transitions apart and copies every step. Exhausted so far: the crash (0.47 million states), the
//! unanswered write (0.39), two stages (0.17), the plan (0.10), the retirements (0.02) and
//! the redrive (1.58); the others take more than two million.

use std::time::Instant;

use glidepath_core::rollback::AfterHold;
use stateright::{Checker, DiscoveryClassification, HasDiscoveries, Model, UniformChooser};

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{COARSE, FINE};
use crate::model::Exploration;
use crate::properties::{COMES_BACK, FORCES, ROLLS_BACK, SUCCEEDS};
use crate::state::At;
use crate::told::line;

/// With this variable set, the bounds are larger.
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
    let (from, then) = (bounds.from, bounds.then);
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let checker = Exploration::of(bounds).checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    told(name, &checker, begun);
    if from != From::Weak {
        assert!(checker.discovery(SUCCEEDS).is_some(), "{name}: {SUCCEEDS} was never seen");
    }
    if budget.firings > 0 {
        assert!(checker.discovery(ROLLS_BACK).is_some(), "{name}: {ROLLS_BACK} was never seen");
    }
    if then == AfterHold::Force {
        assert!(checker.discovery(FORCES).is_some(), "{name}: {FORCES} was never seen");
    }
    if budget.throttles > 0 {
        assert!(checker.discovery(COMES_BACK).is_some(), "{name}: {COMES_BACK} was never seen");
    }
}

/// Prints what was explored, and fails if a property did.
fn told(name: &str, checker: &impl Checker<Exploration>, begun: Instant) {
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

/// The canary gets everything in one stage, and nothing happens besides: what the explorations and
/// the mistakes add to.
pub(crate) const ALL_AT_ONCE: Bounds = Bounds {
    stages: &[1000],
    tasks: 1,
    gates: false,
    successor: Successor::Never,
    asks: false,
    attaches: false,
    retirement: false,
    then: AfterHold::Hold,
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
        throttles: 0,
        duplicates: 0,
        deaths: 0,
        redrives: 0,
        sicknesses: 0,
        forces: 0,
        vetoes: 0,
        answers: 0,
        promotions: 0,
        meddles: 0,
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
fn two_stages_that_ask_and_late_copies_of_their_steps() {
    let budget = Budget { answers: 3, duplicates: 1, pauses: 1, ..BUDGET };
    let bounds = Bounds { budget, stages: &[500, 1000], from: From::Shift, ..ALL_AT_ONCE };
    explore("asks", Bounds { asks: true, fused: true, ..bounds });
}

#[test]
fn two_stages_that_hold_and_late_copies_of_their_looks() {
    let budget = Budget { promotions: 2, duplicates: 1, pauses: 1, ..BUDGET };
    let bounds = Bounds { budget, stages: &[500, 1000], from: From::Bake, ..ALL_AT_ONCE };
    explore("holds", Bounds { fused: true, repeated: Some(At::Validate), ..bounds });
}

#[test]
fn a_stage_that_holds_and_an_alarm() {
    let budget = Budget { promotions: 1, firings: 1, pauses: 0, ..BUDGET };
    explore("held", Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn somebody_elses_weights_in_the_middle_of_a_bake() {
    let budget = Budget { meddles: 2, firings: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, stages: &[500, 1000], from: From::Bake, ..ALL_AT_ONCE };
    explore("meddled", Bounds { fused: true, tick: FINE, ..bounds });
}

#[test]
fn a_group_is_attached_while_calls_are_lost_and_an_alarm_fires() {
    let budget = Budget { firings: 1, unanswered: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Plan, fused: true, ..ALL_AT_ONCE };
    explore("attach", Bounds { attaches: true, ..bounds });
}

#[test]
fn a_late_copy_of_the_attach() {
    let budget = Budget { crashes: 1, duplicates: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Tasks, fused: true, ..ALL_AT_ONCE };
    explore("attach copy", Bounds { attaches: true, repeated: Some(At::Advance), ..bounds });
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
fn an_alarm_while_stable_is_weak() {
    let budget = Budget { firings: 1, sicknesses: 1, pauses: 0, ..BUDGET };
    explore("weak", Bounds { budget, tasks: 2, from: From::Bake, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn two_people_and_an_alarm_while_stable_recovers() {
    let budget = Budget { firings: 1, operators: 2, pauses: 0, ..BUDGET };
    explore("recovers", Bounds { budget, tasks: 3, from: From::Weak, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn a_step_back_that_is_not_answered() {
    let budget = Budget { operators: 2, unanswered: 1, pauses: 0, ..BUDGET };
    explore("step", Bounds { budget, tasks: 3, from: From::Weak, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn a_rollback_that_is_put_off_and_not_answered() {
    let budget = Budget { firings: 1, throttles: 2, unanswered: 1, pauses: 0, ..BUDGET };
    explore("put off", Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn a_rollback_that_is_put_off_beside_a_persons() {
    let budget = Budget { firings: 1, operators: 1, throttles: 1, pauses: 0, ..BUDGET };
    explore("put off twice", Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn a_rollback_that_is_put_off_while_the_gate_is_open() {
    let budget = Budget { firings: 1, throttles: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    explore("put off at the gate", Bounds { gates: true, ..bounds });
}

#[test]
fn a_rollback_that_is_put_off_while_stable_is_sick() {
    let budget = Budget { firings: 1, throttles: 1, sicknesses: 1, pauses: 0, ..BUDGET };
    explore("put off sick", Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE });
}

#[test]
fn the_plan_forces_it_while_stable_is_sick() {
    let budget = Budget { firings: 1, sicknesses: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    explore("forced by the plan", Bounds { then: AfterHold::Force, ..bounds });
}

#[test]
fn the_plan_forces_it_while_stable_recovers() {
    let budget = Budget { operators: 3, unanswered: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, tasks: 3, from: From::Weak, fused: true, ..ALL_AT_ONCE };
    explore("forced weak", Bounds { then: AfterHold::Force, ..bounds });
}

#[test]
fn what_the_plan_forces_is_put_off() {
    let budget = Budget { operators: 3, throttles: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, tasks: 2, from: From::Weak, fused: true, ..ALL_AT_ONCE };
    explore("forced and put off", Bounds { then: AfterHold::Force, ..bounds });
}

#[test]
fn a_person_forces_it_while_stable_is_sick() {
    let budget = Budget { vetoes: 1, forces: 1, sicknesses: 1, pauses: 0, ..BUDGET };
    explore("forced", Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE });
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

/// Everything at once is too much to be exhausted; random runs go through it, the same ones in
/// every test.
#[test]
fn random_runs_with_everything_that_can_happen() {
    let budget = Budget {
        pauses: 4,
        firings: 2,
        repeats: 1,
        operators: 1,
        sweeps: 3,
        crashes: 2,
        unanswered: 2,
        throttles: 2,
        duplicates: 2,
        deaths: 1,
        redrives: 1,
        sicknesses: 2,
        forces: 1,
        vetoes: 1,
        answers: 0,
        promotions: 0,
        meddles: 0,
    };
    let bounds = Bounds { budget, tick: FINE, gates: true, ..ALL_AT_ONCE };
    let bounds =
        Bounds { stages: &[500, 1000], retirement: true, concurrent: 4, tasks: 3, ..bounds };
    let bounds = Bounds { successor: Successor::AtAnyTime, ..bounds };
    let steps = if std::env::var_os(LARGE).is_some() { 2_500_000 } else { 150_000 };
    for (then, from, seed) in [(AfterHold::Hold, From::Plan, 1), (AfterHold::Force, From::Weak, 2)]
    {
        let begun = Instant::now();
        let bounds = Bounds { then, from, ..bounds.clone() };
        let checker = Exploration::of(bounds).checker().target_state_count(steps);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures);
        let checker = checker.spawn_simulation(seed, UniformChooser).join();
        told("random", &checker, begun);
        let forces = checker.discovery(FORCES).is_some();
        assert_eq!(forces, then == AfterHold::Force, "random: {FORCES}");
    }
}
