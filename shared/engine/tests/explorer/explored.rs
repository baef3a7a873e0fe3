//! Explorations of the engine as it is: no property may fail.

use glidepath_core::time::Span;

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{
    asking, attaching, blue, forcing, hooked, lacking, plan, scaled, sticky, two_routes,
};
use crate::explore::explore;
use crate::process::Kind;

/// Nothing happens besides.
pub(crate) const NOTHING: Budget = Budget {
    pauses: 0,
    firings: 0,
    repeats: 0,
    operators: 0,
    forces: 0,
    sweeps: 0,
    crashes: 0,
    unanswered: 0,
    lost: 0,
    throttles: 0,
    copies: 0,
    deaths: 0,
    redrives: 0,
    sicknesses: 0,
    answers: 0,
    promotions: 0,
    holds: 0,
    vetoes: 0,
    meddles: 0,
    rebounds: 0,
};

/// An alarm fires.
pub(crate) const ALARM: Budget = Budget { firings: 1, ..NOTHING };

/// The canary gets everything in one stage.
pub(crate) fn all_at_once(from: From, budget: Budget) -> Bounds {
    Bounds {
        plan: Some(plan(&[1000])),
        both_routes: false,
        from,
        successor: Successor::Never,
        retirement: false,
        late: false,
        fused: true,
        copied: None,
        stands: None,
        concurrent: 2,
        horizon: Span::from_secs(900),
        sickens: blue(),
        budget,
        mistake: None,
    }
}

/// Half of it first.
pub(crate) fn two_stages(from: From, budget: Budget) -> Bounds {
    Bounds { plan: Some(plan(&[500, 1000])), ..all_at_once(from, budget) }
}

/// The same with a plan that is made into another one.
pub(crate) fn planned(
    bounds: Bounds,
    other: fn(glidepath_core::plan::Plan) -> glidepath_core::plan::Plan,
) -> Bounds {
    Bounds { plan: bounds.plan.map(other), ..bounds }
}

/// A minute around the first shift; the sweep's ends of it are driven all the same.
pub(crate) fn around_a_shift(budget: Budget) -> Bounds {
    Bounds { horizon: Span::from_secs(60), ..all_at_once(From::Shift, budget) }
}

#[test]
fn an_alarm_at_any_moment() {
    let explored = explore("alarm", &Bounds { late: true, ..all_at_once(From::Start, ALARM) });
    assert!(explored.succeeded > 0 && explored.rolled_back > 0, "{explored:?}");
}

#[test]
fn an_alarm_and_a_crash_around_a_shift() {
    explore("crash", &around_a_shift(Budget { crashes: 1, ..ALARM }));
}

#[test]
fn an_alarm_and_a_lost_answer_around_a_shift() {
    explore("lost", &around_a_shift(Budget { lost: 1, ..NOTHING }));
    let bounds = all_at_once(From::Bake, Budget { lost: 1, ..ALARM });
    explore("lost, alarm", &Bounds { horizon: Span::from_secs(6), ..bounds });
}

#[test]
fn an_alarm_and_an_unanswered_write() {
    explore("unanswered", &around_a_shift(Budget { unanswered: 1, ..ALARM }));
}

#[test]
fn an_alarm_and_time_around_a_shift() {
    let bounds = all_at_once(From::Shift, Budget { pauses: 1, ..ALARM });
    let bounds = Bounds { stands: Some(Kind::Alarm), ..bounds };
    explore("pause", &Bounds { horizon: Span::from_secs(20), ..bounds });
}

#[test]
fn an_alarm_that_is_told_twice_in_a_bake() {
    let bounds = around_a_shift(Budget { repeats: 1, ..ALARM });
    explore("told twice", &Bounds { from: From::Bake, ..bounds });
}

#[test]
fn a_person_around_a_shift_and_an_alarm_where_nobody_drives() {
    explore("person", &around_a_shift(Budget { operators: 1, ..NOTHING }));
    let bounds = all_at_once(From::Weak(3), Budget { operators: 1, ..ALARM });
    explore("operator", &bounds);
}

#[test]
fn a_person_pauses_and_resumes_it_around_a_shift_and_before_the_commit() {
    let holds = Budget { holds: 1, ..NOTHING };
    explore("paused", &around_a_shift(Budget { firings: 1, ..holds }));
    let copies = around_a_shift(Budget { copies: 1, ..holds });
    explore("paused, copy", &Bounds { horizon: Span::from_secs(20), ..copies });
    let unanswered = Bounds {
        horizon: Span::from_secs(20),
        ..around_a_shift(Budget { unanswered: 1, ..holds })
    };
    explore("paused, unanswered", &unanswered);
    explore("paused, commit", &all_at_once(From::Bake, Budget { sweeps: 1, ..holds }));
}

#[test]
fn an_alarm_and_a_late_copy_of_a_shift() {
    let bounds = around_a_shift(Budget { copies: 1, ..ALARM });
    let copied = Some(Kind::Advance);
    explore("copy", &Bounds { copied, horizon: Span::from_secs(20), ..bounds });
}

#[test]
fn an_alarm_and_a_late_entry_of_the_gate() {
    let budget = Budget { copies: 1, ..ALARM };
    let bounds = all_at_once(From::Bake, budget);
    explore("gate", &Bounds { copied: Some(Kind::Gate), ..bounds });
}

#[test]
fn a_group_is_attached_while_calls_are_lost_and_an_alarm_fires() {
    let budget = Budget { unanswered: 1, ..ALARM };
    let bounds = planned(all_at_once(From::Start, budget), attaching);
    explore("attach", &Bounds { horizon: Span::from_secs(4), ..bounds });
}

#[test]
fn a_late_copy_of_the_attach() {
    let budget = Budget { crashes: 1, copies: 1, ..NOTHING };
    let bounds = planned(all_at_once(From::Start, budget), attaching);
    explore("attach copy", &Bounds { copied: Some(Kind::Advance), ..bounds });
}

#[test]
fn two_routes_and_an_alarm_around_a_shift() {
    explore("two routes", &planned(all_at_once(From::Shift, ALARM), two_routes));
}

#[test]
fn two_routes_of_which_one_is_not_answered() {
    let bounds = all_at_once(From::Shift, Budget { unanswered: 1, ..NOTHING });
    explore("two unanswered", &planned(bounds, two_routes));
}

#[test]
fn sticky_routes_and_lost_answers_after_the_commit() {
    let budget = Budget { lost: 1, sweeps: 1, ..NOTHING };
    explore("sticky", &planned(all_at_once(From::Commit, budget), sticky));
}

#[test]
fn a_hook_that_decides_later_and_an_alarm() {
    explore("hook", &planned(all_at_once(From::Bake, ALARM), hooked));
}

#[test]
fn two_stages_that_ask_and_late_copies_of_their_steps() {
    let budget = Budget { answers: 2, ..NOTHING };
    let bounds = planned(two_stages(From::Start, budget), asking);
    explore("asks", &bounds);
    let budget = Budget { answers: 1, copies: 1, ..NOTHING };
    let bounds = planned(all_at_once(From::Start, budget), asking);
    explore("asks, copied", &Bounds { horizon: Span::from_secs(100), ..bounds });
}

#[test]
fn two_stages_that_hold_and_late_copies_of_their_looks() {
    let bounds = planned(two_stages(From::Bake, Budget { promotions: 2, ..NOTHING }), lacking);
    explore("holds", &Bounds { horizon: Span::from_secs(300), ..bounds });
    let budget = Budget { promotions: 1, copies: 1, ..NOTHING };
    let bounds = planned(all_at_once(From::Bake, budget), lacking);
    let copied = Some(Kind::Validate);
    explore("holds, copied", &Bounds { copied, horizon: Span::from_secs(130), ..bounds });
}

#[test]
fn a_stage_that_holds_and_an_alarm() {
    let budget = Budget { promotions: 1, ..ALARM };
    let bounds = planned(all_at_once(From::Bake, budget), lacking);
    explore("held", &Bounds { horizon: Span::from_secs(70), ..bounds });
}

#[test]
fn somebody_elses_weights_in_the_middle_of_a_bake() {
    let bounds = two_stages(From::Bake, Budget { meddles: 1, ..NOTHING });
    explore("meddled", &bounds);
}

#[test]
fn an_alarm_while_stable_is_sick() {
    let bounds = all_at_once(From::Bake, Budget { sicknesses: 1, ..ALARM });
    explore("sick", &Bounds { horizon: Span::from_secs(60), ..bounds });
}

#[test]
fn two_people_while_stable_recovers() {
    let budget = Budget { operators: 2, ..NOTHING };
    explore("recovers", &all_at_once(From::Weak(1), budget));
}

#[test]
fn a_step_back_that_is_not_answered() {
    let budget = Budget { operators: 2, unanswered: 1, ..NOTHING };
    explore("step", &all_at_once(From::Weak(1), budget));
}

#[test]
fn a_rollback_that_is_put_off_beside_a_persons() {
    let bounds = all_at_once(From::Bake, Budget { operators: 1, throttles: 1, ..NOTHING });
    explore("put off", &bounds);
    let bounds = all_at_once(From::Bake, Budget { throttles: 1, ..ALARM });
    explore("put off, alarm", &bounds);
}

#[test]
fn the_plan_forces_it_while_stable_recovers() {
    let budget = Budget { operators: 2, ..NOTHING };
    explore("forced by the plan", &planned(all_at_once(From::Weak(1), budget), forcing));
}

#[test]
fn a_person_forces_it_while_stable_is_dead() {
    let budget = Budget { operators: 1, forces: 1, ..NOTHING };
    explore("forced", &all_at_once(From::Weak(0), budget));
}

#[test]
fn a_commit_while_an_alarm_fires_and_the_execution_dies() {
    explore("commit", &all_at_once(From::Commit, Budget { deaths: 1, ..ALARM }));
}

#[test]
fn an_execution_dies_during_a_shift_and_is_redriven() {
    let budget = Budget { deaths: 1, redrives: 1, ..NOTHING };
    explore("redrive", &all_at_once(From::Shift, budget));
}

#[test]
fn an_alarm_while_a_deployment_is_planned() {
    let bounds = all_at_once(From::Start, ALARM);
    explore("planned", &Bounds { plan: None, horizon: Span::from_secs(100), ..bounds });
}

#[test]
fn a_successor_and_an_event_that_comes_late() {
    let bounds = all_at_once(From::Bake, Budget { repeats: 1, ..ALARM });
    let bounds = Bounds { successor: Successor::Afterwards, concurrent: 1, ..bounds };
    explore("successor", &Bounds { horizon: Span::from_secs(160), ..bounds });
}

#[test]
fn a_successor_takes_over_what_is_being_retired() {
    let bounds = all_at_once(From::Commit, NOTHING);
    explore(
        "retirement",
        &Bounds {
            successor: Successor::AtAnyTime,
            retirement: true,
            horizon: Span::from_secs(300),
            ..bounds
        },
    );
}

#[test]
fn two_successors_of_nothing_at_once() {
    let bounds = all_at_once(From::Start, NOTHING);
    explore(
        "race",
        &Bounds {
            plan: None,
            successor: Successor::AtAnyTime,
            horizon: Span::from_secs(30),
            ..bounds
        },
    );
}

#[test]
fn a_rollback_that_is_put_off_while_stable_is_sick() {
    let budget = Budget { throttles: 1, sicknesses: 1, ..ALARM };
    explore(
        "put off, sick",
        &Bounds { horizon: Span::from_secs(20), ..all_at_once(From::Bake, budget) },
    );
}

#[test]
fn what_the_plan_forces_is_put_off() {
    let budget = Budget { operators: 2, throttles: 1, ..NOTHING };
    explore("forced and put off", &planned(all_at_once(From::Weak(1), budget), forcing));
}

#[test]
fn a_retirement_that_is_not_answered() {
    let budget = Budget { unanswered: 2, sweeps: 2, ..NOTHING };
    explore(
        "retirement, unanswered",
        &Bounds {
            retirement: true,
            horizon: Span::from_secs(300),
            ..all_at_once(From::Commit, budget)
        },
    );
}

#[test]
fn bounds_that_move_with_the_traffic_and_an_alarm() {
    explore("scaled", &planned(all_at_once(From::Start, ALARM), scaled));
    let bounds = planned(all_at_once(From::Shift, Budget { crashes: 1, ..ALARM }), scaled);
    explore("scaled, crash", &Bounds { horizon: Span::from_secs(60), ..bounds });
}

#[test]
fn bounds_that_are_not_answered() {
    let bounds = planned(all_at_once(From::Start, Budget { unanswered: 1, ..ALARM }), scaled);
    explore("scaled, unanswered", &Bounds { horizon: Span::from_secs(30), ..bounds });
    let bounds =
        planned(all_at_once(From::Commit, Budget { unanswered: 1, lost: 1, ..NOTHING }), scaled);
    explore("scaled, commit", &bounds);
}

#[test]
fn bounds_that_somebody_else_sets() {
    let bounds = planned(all_at_once(From::Start, Budget { rebounds: 1, ..NOTHING }), scaled);
    explore("rebound", &bounds);
    let bounds = planned(all_at_once(From::Bake, Budget { rebounds: 1, ..ALARM }), scaled);
    explore("rebound, alarm", &bounds);
}

#[test]
fn a_retirement_that_is_not_answered_and_a_successor() {
    let bounds = all_at_once(From::Commit, Budget { unanswered: 1, ..NOTHING });
    let bounds = Bounds { successor: Successor::AtAnyTime, retirement: true, ..bounds };
    explore("retirement, successor", &Bounds { horizon: Span::from_secs(180), ..bounds });
}

#[test]
fn two_stages_and_an_alarm() {
    explore("stages", &two_stages(From::Bake, ALARM));
}
