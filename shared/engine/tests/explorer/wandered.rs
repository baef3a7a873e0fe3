//! Random ways of the engine as it is, where everything at once is too much to be exhausted: no property may
//! fail.

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{asking, attaching, forcing, hooked, lacking, scaled, sticky, two_routes};
use crate::explore::wander;
use crate::explored::{NOTHING, planned, two_stages};

/// Whatever goes wrong with processes, executions and targets.
const TROUBLE: Budget = Budget {
    pauses: 4,
    firings: 2,
    repeats: 1,
    operators: 1,
    forces: 1,
    sweeps: 3,
    crashes: 2,
    unanswered: 2,
    lost: 2,
    throttles: 2,
    copies: 2,
    deaths: 1,
    redrives: 1,
    sicknesses: 2,
    ..NOTHING
};

/// Two stages, and as many processes in flight as four.
fn at_random(from: From, budget: Budget) -> Bounds {
    Bounds { late: true, fused: false, concurrent: 4, ..two_stages(from, budget) }
}

#[test]
fn random_ways_with_everything_that_can_happen() {
    let bounds = Bounds {
        retirement: true,
        successor: Successor::AtAnyTime,
        ..at_random(From::Start, TROUBLE)
    };
    wander("random", &bounds, 1, 15_000);
    let bounds = Bounds { from: From::Weak(1), ..planned(bounds, forcing) };
    wander("random, weak", &bounds, 2, 15_000);
}

#[test]
fn random_ways_of_an_alarm_and_a_person_around_a_shift() {
    let budget = Budget { operators: 1, firings: 1, repeats: 1, ..NOTHING };
    wander("random, alarm and person", &at_random(From::Shift, budget), 7, 5_000);
}

#[test]
fn random_ways_of_two_successors_of_nothing_and_an_alarm() {
    let bounds = Bounds {
        plan: None,
        both_routes: true,
        successor: Successor::AtAnyTime,
        ..at_random(From::Start, Budget { firings: 1, operators: 1, ..NOTHING })
    };
    wander("random, race", &bounds, 8, 5_000);
}

#[test]
fn random_ways_where_a_person_is_asked_and_there_are_two_routes() {
    let budget = Budget { answers: 3, firings: 1, operators: 1, copies: 2, ..NOTHING };
    let bounds = planned(at_random(From::Start, budget), |plan| asking(two_routes(plan)));
    wander("random, asks", &bounds, 3, 10_000);
    let budget = Budget { answers: 3, vetoes: 1, ..TROUBLE };
    let bounds = planned(at_random(From::Start, budget), |plan| asking(two_routes(plan)));
    wander("random, asks, trouble", &bounds, 4, 10_000);
}

#[test]
fn random_ways_of_a_sticky_route_that_is_attached() {
    let budget = Budget { lost: 2, throttles: 2, firings: 1, sweeps: 2, crashes: 1, ..NOTHING };
    let bounds = planned(at_random(From::Start, budget), |plan| sticky(attaching(plan)));
    wander("random, sticky", &bounds, 5, 10_000);
}

#[test]
fn random_ways_of_what_holds_and_has_a_hook() {
    let budget = Budget {
        promotions: 3,
        meddles: 2,
        rebounds: 2,
        operators: 1,
        crashes: 1,
        copies: 1,
        ..NOTHING
    };
    let bounds = planned(at_random(From::Start, budget), |plan| scaled(hooked(lacking(plan))));
    wander("random, holds", &bounds, 6, 10_000);
}
