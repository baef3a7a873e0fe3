//! Mistakes that somebody could make: each is found, by the property that it breaks.

use glidepath_core::rollback::AfterHold;
use stateright::{Checker, HasDiscoveries, Model};

use crate::bounds::{Bounds, Budget, From, Mistake, Successor};
use crate::example::FINE;
use crate::explored::ALL_AT_ONCE;
use crate::model::Exploration;
use crate::properties::{
    BAKED_AT_ITS_OWN_WEIGHT, BINDINGS_END, EVERY_RUN_ENDS, NEVER_FORWARD_AGAIN, NEVER_ONTO_NOTHING,
    NO_ANSWER_IS_LOST, NO_COMMIT_AFTER_FIRING, NO_LATE_WRITE, NO_UNSEEN_FIRING, NOBODY_IS_ACCUSED,
    NOT_ONTO_THE_DEAD, NOT_STOPPED_BY_THE_PAST, NOT_WITHOUT_EVIDENCE, NOTHING_ON_THE_CANARY,
    NOTHING_UNSEEN, ONE_END, RESTORED_AT_ONCE, ROLES_ARE_CURRENT, STEPS_GO_BACK, THE_GATE_IS_WOKEN,
};
use crate::state::At;

/// Explores with a mistake until a property fails, which must be this one.
fn find(mistake: Mistake, broken: &'static str, bounds: Bounds) {
    let bounds = Bounds { mistake: Some(mistake), ..bounds };
    let wanted = HasDiscoveries::AllOf([broken].into());
    let checker =
        Exploration::of(bounds).checker().threads(2).finish_when(wanted).spawn_dfs().join();
    let states = checker.unique_state_count();
    let Some(path) = checker.discovery(broken) else {
        panic!("{mistake:?} was not found in {states} states");
    };
    println!(
        "{mistake:?}: {broken}, after {} steps ({states} states)",
        path.into_states().len() - 1
    );
}

const BUDGET: Budget = ALL_AT_ONCE.budget;

fn alarm() -> Bounds {
    Bounds { budget: Budget { firings: 1, ..BUDGET }, ..ALL_AT_ONCE }
}

#[test]
fn a_shift_must_look_at_the_fence_again() {
    find(Mistake::NoSecondLook, RESTORED_AT_ONCE, alarm());
}

#[test]
fn the_fence_must_come_before_the_route() {
    find(Mistake::WriteBeforeFence, RESTORED_AT_ONCE, alarm());
}

#[test]
fn every_attempt_must_look_at_its_deadline() {
    find(Mistake::NoDeadline, NO_LATE_WRITE, alarm());
}

#[test]
fn a_rollback_must_look_at_a_stable_that_nobody_vouches_for() {
    let budget = Budget { sicknesses: 1, ..alarm().budget };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    find(Mistake::RestoreWithoutLook, NOT_ONTO_THE_DEAD, bounds);
}

#[test]
fn steps_back_must_not_cross() {
    let budget = Budget { operators: 2, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, tasks: 3, from: From::Weak, fused: true, ..ALL_AT_ONCE };
    find(Mistake::StepsCross, STEPS_GO_BACK, bounds);
}

#[test]
fn a_throttled_write_must_not_count_as_written() {
    let budget = Budget { throttles: 1, ..alarm().budget };
    let bounds = Bounds { budget, from: From::Bake, ..ALL_AT_ONCE };
    find(Mistake::ThrottledIsWritten, RESTORED_AT_ONCE, bounds);
}

#[test]
fn a_rollback_that_is_put_off_must_wake_the_execution() {
    let budget = Budget { throttles: 1, pauses: 0, ..alarm().budget };
    let bounds = Bounds { budget, gates: true, from: From::Bake, ..ALL_AT_ONCE };
    find(Mistake::PutOffAsleep, THE_GATE_IS_WOKEN, bounds);
}

#[test]
fn a_rollback_that_is_put_off_must_look_at_stable() {
    let budget = Budget { throttles: 1, sicknesses: 1, pauses: 0, ..alarm().budget };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    find(Mistake::PutOffWithoutLook, NOT_ONTO_THE_DEAD, bounds);
}

#[test]
fn a_rollback_that_is_put_off_must_keep_its_fence() {
    let budget = Budget { throttles: 1, operators: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE };
    find(Mistake::PutOffReopens, NEVER_FORWARD_AGAIN, bounds);
}

#[test]
fn a_rollback_must_not_be_put_off_after_its_end() {
    let budget = Budget { throttles: 1, operators: 2, ..BUDGET };
    let bounds = Bounds { budget, from: From::Bake, fused: true, ..ALL_AT_ONCE };
    find(Mistake::PutOffBlindly, NO_LATE_WRITE, bounds);
}

/// Stable is weak, and the plan forces it after a while.
fn forced() -> Bounds {
    let budget = Budget { operators: 3, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, tasks: 2, from: From::Weak, fused: true, ..ALL_AT_ONCE };
    Bounds { then: AfterHold::Force, ..bounds }
}

#[test]
fn the_wait_for_stable_must_come_to_its_end() {
    find(Mistake::WaitBeginsAnew, EVERY_RUN_ENDS, forced());
}

#[test]
fn the_plan_must_not_force_it_before_its_time() {
    let budget = Budget { sicknesses: 1, pauses: 0, ..alarm().budget };
    find(Mistake::ForceAtOnce, NOT_ONTO_THE_DEAD, Bounds { budget, from: From::Bake, ..forced() });
}

#[test]
fn what_is_forced_must_be_written() {
    find(Mistake::ForceUnwritten, EVERY_RUN_ENDS, forced());
}

#[test]
fn what_is_forced_must_be_claimed() {
    find(Mistake::ForceUnclaimed, NO_LATE_WRITE, forced());
}

#[test]
fn an_unlock_must_wait_for_live_intents() {
    find(Mistake::UnlockWithLiveIntent, NO_LATE_WRITE, alarm());
}

#[test]
fn the_old_slot_must_keep_its_tasks_until_the_commit() {
    find(Mistake::RetireBeforeCommit, NEVER_ONTO_NOTHING, alarm());
}

#[test]
fn alarms_must_be_bound_before_they_are_looked_at() {
    find(Mistake::BindAfterLook, NO_UNSEEN_FIRING, Bounds { from: From::Plan, ..alarm() });
}

#[test]
fn an_older_gate_must_not_replace_a_newer_one() {
    let budget = Budget { duplicates: 1, pauses: 0, ..alarm().budget };
    let bounds = Bounds { budget, gates: true, from: From::Bake, ..ALL_AT_ONCE };
    let bounds = Bounds { repeated: Some(At::Gate), fused: true, ..bounds };
    find(Mistake::GateWithoutNewerCheck, THE_GATE_IS_WOKEN, bounds);
}

#[test]
fn an_event_must_not_stop_what_began_after_it() {
    let budget = Budget { repeats: 1, ..alarm().budget };
    let bounds =
        Bounds { budget, successor: Successor::AtAnyTime, from: From::Bake, ..ALL_AT_ONCE };
    find(Mistake::EventsBeforeTheStart, NOT_STOPPED_BY_THE_PAST, bounds);
}

#[test]
fn a_repeated_event_must_register_its_write() {
    let budget = Budget { repeats: 1, ..alarm().budget };
    let bounds = Bounds { budget, from: From::Bake, ..ALL_AT_ONCE };
    find(Mistake::RepeatWithoutIntent, NO_LATE_WRITE, bounds);
}

#[test]
fn an_attached_group_must_be_known_for_our_own() {
    let budget = Budget { unanswered: 1, ..BUDGET };
    let bounds = Bounds { budget, attaches: true, from: From::Tasks, ..ALL_AT_ONCE };
    find(Mistake::AttachForgotten, NOBODY_IS_ACCUSED, bounds);
}

/// A person is asked before both stages.
fn asks() -> Bounds {
    let budget = Budget { answers: 2, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, stages: &[500, 1000], from: From::Shift, ..ALL_AT_ONCE };
    Bounds { asks: true, fused: true, ..bounds }
}

#[test]
fn an_old_question_must_not_be_answered_as_a_new_one() {
    find(Mistake::ApproveWhatIsAsked, NOTHING_UNSEEN, asks());
}

#[test]
fn an_answer_in_the_last_second_must_count() {
    let budget = Budget { pauses: 1, ..asks().budget };
    find(Mistake::EndUnrecorded, NO_ANSWER_IS_LOST, Bounds { budget, ..asks() });
}

#[test]
fn a_late_copy_of_a_step_must_not_ask_again() {
    let budget = Budget { duplicates: 1, ..asks().budget };
    let bounds = Bounds { budget, repeated: Some(At::Advance), ..asks() };
    find(Mistake::AskAgain, NO_ANSWER_IS_LOST, bounds);
}

/// Both stages lack evidence.
fn holds() -> Bounds {
    let budget = Budget { promotions: 2, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, stages: &[500, 1000], from: From::Bake, ..ALL_AT_ONCE };
    Bounds { fused: true, ..bounds }
}

#[test]
fn an_old_hold_must_not_be_let_go_on_as_a_new_one() {
    find(Mistake::PromoteWhatHolds, NOT_WITHOUT_EVIDENCE, holds());
}

#[test]
fn a_promotion_must_not_be_declined_unseen() {
    let budget = Budget { duplicates: 1, pauses: 1, ..holds().budget };
    let bounds = Bounds { budget, repeated: Some(At::Validate), ..holds() };
    find(Mistake::DeclineBlindly, NO_ANSWER_IS_LOST, bounds);
}

#[test]
fn the_time_of_somebody_elses_weights_must_not_count() {
    let budget = Budget { meddles: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, stages: &[500, 1000], from: From::Bake, ..ALL_AT_ONCE };
    find(Mistake::ForeignTimeCounts, BAKED_AT_ITS_OWN_WEIGHT, Bounds { tick: FINE, ..bounds });
}

#[test]
fn a_late_copy_of_a_step_must_not_write_after_it() {
    let budget = Budget { duplicates: 1, pauses: 0, ..BUDGET };
    let bounds = Bounds { budget, attaches: true, from: From::Tasks, fused: true, ..ALL_AT_ONCE };
    let bounds = Bounds { repeated: Some(At::Advance), ..bounds };
    find(Mistake::LateClaim, NOBODY_IS_ACCUSED, bounds);
}

#[test]
fn an_unanswered_write_must_be_waited_for() {
    let budget = Budget { unanswered: 1, ..alarm().budget };
    find(Mistake::FinishUnanswered, NO_LATE_WRITE, Bounds { budget, ..ALL_AT_ONCE });
}

#[test]
fn the_last_read_back_must_come_after_the_last_write() {
    let budget = Budget { operators: 1, ..BUDGET };
    let bounds = Bounds { budget, from: From::Shift, ..ALL_AT_ONCE };
    find(Mistake::ReadBackTooEarly, NOTHING_ON_THE_CANARY, bounds);
}

#[test]
fn a_shift_must_not_take_itself_back_after_the_unlock() {
    let budget = Budget { operators: 2, ..BUDGET };
    let bounds = Bounds { budget, from: From::Shift, fused: true, ..ALL_AT_ONCE };
    find(Mistake::UndoWithoutLock, NO_LATE_WRITE, bounds);
}

#[test]
fn a_look_must_not_bring_a_binding_back() {
    let budget = Budget { operators: 1, ..BUDGET };
    find(Mistake::BlindRefresh, BINDINGS_END, Bounds { budget, ..ALL_AT_ONCE });
}

#[test]
fn roles_must_be_read_under_the_lock() {
    let bounds = Bounds { successor: Successor::AtAnyTime, from: From::Plan, ..ALL_AT_ONCE };
    find(Mistake::RolesReadOnce, ROLES_ARE_CURRENT, bounds);
}

#[test]
fn a_commit_must_ask_whether_an_alarm_has_fired() {
    find(Mistake::CommitAfterFiring, NO_COMMIT_AFTER_FIRING, alarm());
}

#[test]
fn the_sweep_must_look_after_what_is_held() {
    let budget = Budget { sicknesses: 1, ..alarm().budget };
    find(Mistake::HeldIsForgotten, EVERY_RUN_ENDS, Bounds { budget, ..ALL_AT_ONCE });
}

#[test]
fn a_rollback_must_end_once() {
    let budget = Budget { operators: 1, ..alarm().budget };
    find(Mistake::EndTwice, ONE_END, Bounds { budget, from: From::Bake, ..ALL_AT_ONCE });
}

#[test]
fn a_deadline_is_needed_in_finer_steps_of_time_as_well() {
    let budget = Budget { pauses: 2, ..alarm().budget };
    find(Mistake::NoDeadline, NO_LATE_WRITE, Bounds { tick: FINE, budget, ..ALL_AT_ONCE });
}
