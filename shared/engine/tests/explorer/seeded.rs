//! Mistakes that somebody could make: each is found, by the property that it breaks.

use glidepath_core::time::Span;

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{
    asking, attaching, baking, forcing, lacking, reached_besides, scaled, two_routes,
};
use crate::explore::find;
use crate::explored::{ALARM, NOTHING, all_at_once, planned, two_stages};
use crate::mistake::Mistake;
use crate::process::Kind;
use crate::properties::{
    BAKED_AT_ITS_OWN_WEIGHT, BINDINGS_END, BOUNDS_COME_BACK, CLAIMS_END, EVERY_RUN_ENDS,
    LOCKS_ARE_OWNED, NEVER_FORWARD_AGAIN, NEVER_ONTO_NOTHING, NO_ANSWER_IS_LOST,
    NO_COMMIT_AFTER_FIRING, NO_LATE_WRITE, NO_SERVING_SLOT_RETIRED, NO_UNSEEN_FIRING,
    NOBODY_IS_ACCUSED, NOT_ONTO_THE_DEAD, NOT_STOPPED_BY_THE_PAST, NOT_WITHOUT_EVIDENCE,
    NOTHING_MOVES_WHILE_PAUSED, NOTHING_ON_THE_CANARY, NOTHING_UNSEEN, ONE_END, RESTORED_AT_ONCE,
    ROLES_ARE_CURRENT, ROLLBACKS_DO_NOT_FAIL, STABLE_IS_HELD, STEPS_GO_BACK, THE_GATE_IS_WOKEN,
};

fn alarm(from: From) -> Bounds {
    all_at_once(from, ALARM)
}

#[test]
fn a_shift_must_look_at_the_fence_again() {
    find(Mistake::NoSecondLook, RESTORED_AT_ONCE, &alarm(From::Shift));
}

#[test]
fn the_fence_must_come_before_the_route() {
    find(Mistake::WriteBeforeFence, RESTORED_AT_ONCE, &alarm(From::Shift));
}

#[test]
fn every_attempt_must_look_at_its_deadline() {
    let bounds = all_at_once(From::Bake, Budget { pauses: 1, ..ALARM });
    find(Mistake::NoDeadline, NO_LATE_WRITE, &Bounds { horizon: Span::from_secs(100), ..bounds });
}

#[test]
fn an_unlock_must_wait_for_live_intents() {
    find(Mistake::UnlockWithLiveIntent, NO_LATE_WRITE, &alarm(From::Bake));
}

#[test]
fn the_old_slot_must_keep_its_tasks_until_the_commit() {
    find(Mistake::RetireBeforeCommit, NEVER_ONTO_NOTHING, &alarm(From::Commit));
}

#[test]
fn alarms_must_be_bound_before_they_are_looked_at() {
    let bounds =
        Bounds { plan: None, late: true, horizon: Span::from_secs(60), ..alarm(From::Start) };
    find(Mistake::BindAfterLook, NO_UNSEEN_FIRING, &bounds);
}

#[test]
fn an_older_gate_must_not_replace_a_newer_one() {
    let budget = Budget { copies: 1, ..ALARM };
    let bounds =
        planned(all_at_once(From::Bake, budget), |plan| baking(plan, Span::from_secs(120)));
    let bounds = Bounds { copied: Some(Kind::Gate), ..bounds };
    find(Mistake::GateWithoutNewerCheck, THE_GATE_IS_WOKEN, &bounds);
}

#[test]
fn an_event_must_not_stop_what_began_after_it() {
    let bounds = all_at_once(From::Bake, Budget { repeats: 1, ..ALARM });
    let bounds = Bounds { successor: Successor::Afterwards, concurrent: 1, ..bounds };
    find(Mistake::EventsBeforeTheStart, NOT_STOPPED_BY_THE_PAST, &bounds);
}

#[test]
fn a_repeated_event_must_register_its_write() {
    let budget = Budget { repeats: 1, ..ALARM };
    find(Mistake::RepeatWithoutIntent, NO_LATE_WRITE, &all_at_once(From::Bake, budget));
}

#[test]
fn an_unanswered_write_must_be_waited_for() {
    let budget = Budget { unanswered: 1, ..ALARM };
    find(Mistake::FinishUnanswered, NO_LATE_WRITE, &all_at_once(From::Shift, budget));
}

#[test]
fn the_last_read_back_must_come_after_the_last_write() {
    let budget = Budget { unanswered: 1, operators: 1, ..NOTHING };
    let bounds = all_at_once(From::Shift, budget);
    let bounds = Bounds { concurrent: 1, horizon: Span::from_secs(60), ..bounds };
    find(Mistake::NoReadBack, EVERY_RUN_ENDS, &bounds);
}

#[test]
fn a_shift_must_not_take_itself_back_after_the_unlock() {
    let budget = Budget { operators: 1, sweeps: 1, pauses: 1, ..NOTHING };
    let bounds = all_at_once(From::Shift, budget);
    let horizon = Span::from_secs(45);
    let bounds = Bounds { stands: Some(Kind::Decide), horizon, ..bounds };
    find(Mistake::UndoWithoutLock, NO_LATE_WRITE, &bounds);
}

#[test]
fn a_look_must_not_bring_a_binding_back() {
    let bounds = all_at_once(From::Bake, Budget { operators: 1, ..NOTHING });
    find(Mistake::BlindRefresh, BINDINGS_END, &Bounds { fused: false, ..bounds });
}

#[test]
fn roles_must_be_read_under_the_lock() {
    let bounds = all_at_once(From::Shift, Budget { pauses: 2, ..NOTHING });
    let stands = Some(Kind::Plan);
    let bounds = Bounds { successor: Successor::AtAnyTime, stands, ..bounds };
    find(Mistake::RolesReadOnce, ROLES_ARE_CURRENT, &bounds);
}

#[test]
fn a_commit_must_ask_whether_an_alarm_has_fired() {
    find(Mistake::CommitAfterFiring, NO_COMMIT_AFTER_FIRING, &alarm(From::Commit));
}

#[test]
fn the_sweep_must_look_after_what_is_held() {
    let budget = Budget { operators: 1, ..NOTHING };
    find(Mistake::HeldIsForgotten, EVERY_RUN_ENDS, &all_at_once(From::Weak(0), budget));
}

#[test]
fn a_rollback_must_look_at_a_stable_that_nobody_vouches_for() {
    let budget = Budget { operators: 1, ..NOTHING };
    find(Mistake::RestoreWithoutLook, NOT_ONTO_THE_DEAD, &all_at_once(From::Weak(0), budget));
}

#[test]
fn steps_back_must_not_cross() {
    let budget = Budget { operators: 2, ..NOTHING };
    find(Mistake::StepsCross, STEPS_GO_BACK, &all_at_once(From::Weak(1), budget));
}

/// The write of a rollback is throttled.
fn throttled(from: From) -> Bounds {
    all_at_once(from, Budget { throttles: 1, ..ALARM })
}

#[test]
fn a_throttled_write_must_not_count_as_written() {
    find(Mistake::ThrottledIsWritten, RESTORED_AT_ONCE, &throttled(From::Bake));
}

#[test]
fn a_rollback_that_is_put_off_must_wake_the_execution() {
    find(Mistake::PutOffAsleep, THE_GATE_IS_WOKEN, &throttled(From::Bake));
}

#[test]
fn a_rollback_that_is_put_off_must_look_at_stable() {
    let budget = Budget { throttles: 1, sicknesses: 1, operators: 2, ..NOTHING };
    find(Mistake::PutOffWithoutLook, NOT_ONTO_THE_DEAD, &all_at_once(From::Weak(3), budget));
}

#[test]
fn a_rollback_that_is_put_off_must_keep_its_fence() {
    find(Mistake::PutOffReopens, NEVER_FORWARD_AGAIN, &throttled(From::Bake));
}

#[test]
fn a_rollback_must_not_be_put_off_after_its_end() {
    let budget = Budget { throttles: 1, operators: 2, pauses: 1, ..NOTHING };
    let bounds = Bounds { stands: Some(Kind::Decide), ..all_at_once(From::Weak(3), budget) };
    find(Mistake::PutOffBlindly, ONE_END, &bounds);
}

/// Stable is weak, and the plan forces it after a while.
fn forced(healthy: u32) -> Bounds {
    let budget = Budget { operators: 2, ..NOTHING };
    planned(all_at_once(From::Weak(healthy), budget), forcing)
}

#[test]
fn the_wait_for_stable_must_come_to_its_end() {
    find(Mistake::WaitBeginsAnew, EVERY_RUN_ENDS, &forced(1));
}

#[test]
fn the_plan_must_not_force_it_before_its_time() {
    find(Mistake::ForceAtOnce, NOT_ONTO_THE_DEAD, &forced(0));
}

#[test]
fn what_is_forced_must_be_written() {
    find(Mistake::ForceUnwritten, EVERY_RUN_ENDS, &forced(1));
}

#[test]
fn what_is_forced_must_be_written_under_a_claim() {
    find(Mistake::ForceUnclaimed, NO_LATE_WRITE, &forced(1));
}

#[test]
fn the_last_read_back_must_come_after_the_last_claim() {
    let budget = Budget { operators: 1, pauses: 1, ..NOTHING };
    let bounds = all_at_once(From::Shift, budget);
    let bounds = Bounds { stands: Some(Kind::Decide), horizon: Span::from_secs(60), ..bounds };
    find(Mistake::ReadBackTooEarly, NEVER_ONTO_NOTHING, &bounds);
}

#[test]
fn a_fence_must_carry_a_claim() {
    let budget = Budget { operators: 2, ..NOTHING };
    find(Mistake::FenceUnclaimed, NO_LATE_WRITE, &all_at_once(From::Bake, budget));
}

#[test]
fn a_rollback_must_end_once() {
    let bounds = all_at_once(From::Bake, Budget { operators: 1, ..NOTHING });
    find(Mistake::EndTwice, ONE_END, &Bounds { fused: false, ..bounds });
}

#[test]
fn an_attached_group_must_be_known_for_our_own() {
    let budget = Budget { unanswered: 1, ..NOTHING };
    let bounds = planned(all_at_once(From::Start, budget), attaching);
    find(Mistake::AttachForgotten, NOBODY_IS_ACCUSED, &bounds);
}

/// A person is asked before both stages.
fn asks(budget: Budget) -> Bounds {
    planned(two_stages(From::Start, Budget { answers: 2, ..budget }), asking)
}

#[test]
fn an_old_question_must_not_be_answered_as_a_new_one() {
    find(Mistake::ApproveWhatIsAsked, NOTHING_UNSEEN, &asks(NOTHING));
}

#[test]
fn an_answer_in_the_last_second_must_count() {
    let budget = Budget { pauses: 1, ..NOTHING };
    find(Mistake::EndUnrecorded, NO_ANSWER_IS_LOST, &asks(budget));
}

#[test]
fn a_late_copy_of_a_step_must_not_ask_again() {
    let bounds = asks(Budget { copies: 1, ..NOTHING });
    let bounds = Bounds { copied: Some(Kind::Advance), ..bounds };
    find(Mistake::AskAgain, NO_ANSWER_IS_LOST, &bounds);
}

#[test]
fn a_late_copy_of_a_step_must_not_write_after_it() {
    let budget = Budget { copies: 1, pauses: 2, ..NOTHING };
    let bounds = planned(all_at_once(From::Tasks, budget), attaching);
    let bounds = Bounds { copied: Some(Kind::Advance), stands: Some(Kind::Decide), ..bounds };
    let bounds = Bounds { horizon: Span::from_secs(70), ..bounds };
    find(Mistake::LateClaim, NOBODY_IS_ACCUSED, &bounds);
}

#[test]
fn stable_must_be_held_before_its_traffic_goes() {
    let bounds = planned(all_at_once(From::Start, NOTHING), scaled);
    find(Mistake::BoundsUnread, STABLE_IS_HELD, &bounds);
}

#[test]
fn what_somebody_else_sets_must_be_kept() {
    let bounds = planned(all_at_once(From::Start, Budget { rebounds: 1, ..NOTHING }), scaled);
    find(Mistake::ChangesForgotten, BOUNDS_COME_BACK, &bounds);
}

/// Both stages lack evidence.
fn holds() -> Bounds {
    planned(two_stages(From::Bake, Budget { promotions: 2, ..NOTHING }), lacking)
}

#[test]
fn an_old_hold_must_not_be_let_go_on_as_a_new_one() {
    find(Mistake::PromoteWhatHolds, NOT_WITHOUT_EVIDENCE, &holds());
}

#[test]
fn a_promotion_must_not_be_declined_unseen() {
    find(Mistake::DeclineBlindly, NO_ANSWER_IS_LOST, &holds());
}

#[test]
fn a_pause_must_be_read_before_a_weight_moves() {
    let bounds = two_stages(From::Bake, Budget { holds: 1, ..NOTHING });
    find(Mistake::PauseUnread, NOTHING_MOVES_WHILE_PAUSED, &bounds);
}

#[test]
fn an_end_must_free_every_lock() {
    let bounds = all_at_once(From::Bake, Budget { operators: 1, ..NOTHING });
    find(Mistake::LockKept, LOCKS_ARE_OWNED, &bounds);
}

#[test]
fn a_retirement_must_look_at_the_routes() {
    let bounds = all_at_once(From::Commit, Budget { meddles: 1, ..NOTHING });
    let bounds = Bounds { retirement: true, horizon: Span::from_secs(180), ..bounds };
    find(Mistake::RetireUnseen, NO_SERVING_SLOT_RETIRED, &bounds);
}

#[test]
fn a_rollback_that_is_overtaken_must_not_fail() {
    let bounds = all_at_once(From::Bake, Budget { operators: 2, ..NOTHING });
    find(Mistake::OvertakenFails, ROLLBACKS_DO_NOT_FAIL, &bounds);
}

#[test]
fn what_lands_late_must_be_taken_back_where_the_tasks_stay() {
    let budget = Budget { unanswered: 1, operators: 1, ..NOTHING };
    let bounds = planned(all_at_once(From::Shift, budget), reached_besides);
    let bounds = Bounds { concurrent: 1, horizon: Span::from_secs(60), ..bounds };
    find(Mistake::LastLookSkipped, NOTHING_ON_THE_CANARY, &bounds);
}

#[test]
fn a_decision_must_keep_the_claims_of_others() {
    let budget = Budget { answers: 1, unanswered: 1, operators: 1, ..NOTHING };
    let bounds = planned(all_at_once(From::Start, budget), asking);
    find(Mistake::DecisionForgetsClaims, NO_LATE_WRITE, &bounds);
}

#[test]
fn a_rollback_onto_a_weak_stable_must_wake_the_execution() {
    let bounds = all_at_once(From::Bake, Budget { operators: 1, sicknesses: 1, ..NOTHING });
    let bounds = planned(bounds, |plan| baking(plan, Span::from_secs(180)));
    let bounds = Bounds { concurrent: 1, horizon: Span::from_secs(70), ..bounds };
    find(Mistake::WeakAsleep, THE_GATE_IS_WOKEN, &bounds);
}

#[test]
fn what_a_rollback_writes_must_not_be_taken_for_somebody_elses() {
    find(Mistake::FenceIsForeign, NOBODY_IS_ACCUSED, &two_stages(From::Bake, ALARM));
}

#[test]
fn half_a_shift_must_be_taken_back() {
    let bounds = planned(alarm(From::Shift), two_routes);
    find(Mistake::HalfAShift, RESTORED_AT_ONCE, &bounds);
}

#[test]
fn a_read_that_fails_must_end_its_claim() {
    let bounds = all_at_once(From::Shift, Budget { lost: 1, ..NOTHING });
    find(Mistake::ClaimLeftByAFailedRead, CLAIMS_END, &bounds);
}

#[test]
fn stable_must_not_be_held_after_the_end() {
    let bounds = planned(all_at_once(From::Start, Budget { operators: 1, ..NOTHING }), scaled);
    find(Mistake::HeldUnseen, BOUNDS_COME_BACK, &bounds);
}

#[test]
fn the_time_of_somebody_elses_weights_must_not_count() {
    let budget = Budget { meddles: 1, ..NOTHING };
    let bounds = planned(two_stages(From::Bake, budget), |plan| baking(plan, Span::from_secs(120)));
    find(Mistake::ForeignTimeCounts, BAKED_AT_ITS_OWN_WEIGHT, &bounds);
}
