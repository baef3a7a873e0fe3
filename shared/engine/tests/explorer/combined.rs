//! Explorations of what comes together: two things that go wrong, or one of them and a plan that says more. No
//! property may fail.

use glidepath_core::time::Span;

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{asking, at_once, forcing, judged, lacking, scaled, sticky, two_routes};
use crate::explore::explore;
use crate::explored::{ALARM, NOTHING, all_at_once, around_a_shift, planned, two_stages};
use crate::process::Kind;

const PERSON: Budget = Budget { operators: 1, ..NOTHING };

#[test]
fn a_question_and_an_alarm_or_a_persons_rollback() {
    let asks = |budget| planned(all_at_once(From::Start, budget), asking);
    explore("asks, alarm", &asks(Budget { answers: 1, ..ALARM }));
    let bounds = asks(Budget { answers: 1, ..PERSON });
    explore("asks, person", &Bounds { horizon: Span::from_secs(8), ..bounds });
}

#[test]
fn questions_of_two_stages_and_late_copies() {
    let bounds = two_stages(From::Start, Budget { answers: 2, copies: 1, ..NOTHING });
    let bounds = Bounds { copied: Some(Kind::Advance), concurrent: 1, ..bounds };
    explore("asks twice, copied", &planned(bounds, asking));
}

#[test]
fn holds_of_two_stages_and_late_copies() {
    let bounds = two_stages(From::Bake, Budget { promotions: 2, copies: 1, ..NOTHING });
    let bounds = Bounds { copied: Some(Kind::Validate), concurrent: 1, ..bounds };
    let bounds = Bounds { horizon: Span::from_secs(300), ..bounds };
    explore("holds twice, copied", &planned(bounds, lacking));
}

#[test]
fn a_sticky_route_before_the_commit() {
    explore("sticky, alarm", &planned(all_at_once(From::Shift, ALARM), sticky));
    let bounds = all_at_once(From::Bake, Budget { unanswered: 1, ..PERSON });
    explore("sticky, person", &planned(bounds, sticky));
}

#[test]
fn a_weak_stable_gets_everything_at_once() {
    let bounds = all_at_once(From::Weak(1), Budget { operators: 2, unanswered: 1, ..NOTHING });
    explore("at once", &planned(bounds, at_once));
    let bounds = all_at_once(From::Bake, Budget { sicknesses: 1, ..ALARM });
    let bounds = Bounds { horizon: Span::from_secs(20), ..bounds };
    explore("at once, alarm", &planned(bounds, at_once));
}

#[test]
fn a_verdict_that_fails() {
    let veto = |from, budget| planned(all_at_once(from, Budget { vetoes: 1, ..budget }), judged);
    explore("veto", &veto(From::Start, NOTHING));
    explore("veto, alarm", &veto(From::Bake, ALARM));
    explore("veto, crash", &veto(From::Bake, Budget { crashes: 1, ..NOTHING }));
}

#[test]
fn a_rollback_that_is_put_off_and_not_answered() {
    let bounds = around_a_shift(Budget { throttles: 1, unanswered: 1, ..PERSON });
    explore("put off, unanswered", &bounds);
}

#[test]
fn the_plan_forces_it_while_stable_is_sick() {
    let bounds = all_at_once(From::Weak(0), Budget { operators: 2, ..NOTHING });
    explore("forced, sick", &planned(bounds, forcing));
}

#[test]
fn two_successors_of_nothing_on_two_routes() {
    let bounds =
        Bounds { plan: None, successor: Successor::AtAnyTime, ..all_at_once(From::Start, NOTHING) };
    let bounds = Bounds { both_routes: true, horizon: Span::from_secs(30), ..bounds };
    explore("race, two routes", &bounds);
}

#[test]
fn bounds_that_move_with_the_traffic_and_a_person() {
    let bounds = planned(all_at_once(From::Start, PERSON), scaled);
    explore("scaled, person", &Bounds { horizon: Span::from_secs(4), ..bounds });
}

#[test]
fn a_lost_answer_while_stable_is_weak() {
    let bounds = all_at_once(From::Weak(1), Budget { lost: 1, ..PERSON });
    explore("weak, lost", &Bounds { horizon: Span::from_secs(700), ..bounds });
}

#[test]
fn two_routes_and_a_person_around_a_shift() {
    explore("two routes, person", &planned(around_a_shift(PERSON), two_routes));
}
