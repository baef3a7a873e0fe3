//! The limit: what it adds to the false rollbacks of the comparison, and what it finds.

use glidepath_core::health::sequential::Tally;
use glidepath_core::health::{DEVIATIONS, FEWEST_REQUESTS, beyond_chance, shown_worse};

use crate::arrivals::Errors;
use crate::report::{all_errors, progress};
use crate::rules::{Rule, earlier, parameters, sequential};
use crate::scenario::{Release, Scenario, thousands};
use crate::simulation::{Effort, Outcome, simulate};
use crate::tables;

/// The default limit.
const LIMIT: f64 = 0.05;

/// `minimumRequests`.
const MINIMUM: u64 = 200;

/// `ratio` of the comparison.
const RATIO: f64 = 1.25;

/// Both versions' proportions of bad requests: below the limit, at it, and above.
const PROPORTIONS: [f64; 5] = [0.02, 0.04, 0.05, 0.1, 0.3];

const REQUESTS: [f64; 3] = [50.0, 500.0, 5_000.0];

/// When a canary over the limit is rolled back.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// If its share is above stable's at the same stage, by whatever; at 100 % always.
    AnyWorse,
    /// If it is shown to be worse than stable, by so many standard errors as if errors were
    /// independent; at 100 % than stable was before.
    Independent(f64),
    /// The same, and as uneven as the minutes are: the product's.
    Shown(f64),
}

/// The minute after which the limit rolls back.
pub(crate) fn over(release: &Release, shape: Shape) -> Option<usize> {
    let mut done = 0;
    let mut all: Vec<Tally> = Vec::new();
    for stage in release.minutes.chunk_by(|one, other| one.stage == other.stage) {
        let (mut canary, mut stable) = (Vec::new(), Vec::new());
        for minute in stage {
            done += 1;
            canary.push(minute.pair.canary);
            if minute.stage.is_some() {
                stable.push(minute.pair.stable);
                all.push(minute.pair.stable);
            }
            let own = sum(&canary);
            let over = own.requests >= MINIMUM && share(&own) > LIMIT;
            if over && fails(shape, &canary, &stable, &all) {
                return Some(done);
            }
        }
    }
    None
}

fn fails(shape: Shape, canary: &[Tally], stable: &[Tally], all: &[Tally]) -> bool {
    let here = if stable.is_empty() { all } else { stable };
    let (own, reference) = (sum(canary), sum(here));
    if reference.requests < FEWEST_REQUESTS {
        return true;
    }
    match shape {
        Shape::AnyWorse => stable.is_empty() || share(&own) > share(&reference),
        Shape::Independent(deviations) => beyond_chance(&own, &reference, RATIO, deviations),
        Shape::Shown(deviations) => shown_worse(canary, here, all, RATIO, deviations),
    }
}

fn sum(minutes: &[Tally]) -> Tally {
    minutes.iter().fold(Tally::default(), |sum, minute| plus(sum, *minute))
}

fn plus(one: Tally, other: Tally) -> Tally {
    Tally { requests: one.requests + other.requests, events: one.events + other.events }
}

fn share(tally: &Tally) -> f64 {
    tally.events.min(tally.requests) as f64 / tally.requests as f64
}

/// The comparison alone, and with each shape of the limit.
pub(crate) fn rules() -> Vec<Rule> {
    let Some(parameters) = parameters(3) else { return Vec::new() };
    let mut rules = vec![Rule::new("no limit", move |release| sequential(&parameters, release))];
    let shapes = [
        ("above stable", Shape::AnyWorse),
        ("3 errors, independent", Shape::Independent(3.0)),
        ("2 errors", Shape::Shown(2.0)),
        ("3 errors (as it is)", Shape::Shown(DEVIATIONS)),
        ("4 errors", Shape::Shown(4.0)),
    ];
    rules.extend(shapes.map(|(name, shape)| {
        Rule::new(name, move |release| {
            earlier(sequential(&parameters, release), over(release, shape))
        })
    }));
    rules
}

/// The worst load of each proportion and way in which errors come.
fn worst(outcomes: &[Vec<Outcome>], rule: usize) -> String {
    let percents = outcomes.iter().filter_map(|outcomes| outcomes.get(rule));
    tables::percent(percents.map(Outcome::percent).fold(0.0, f64::max))
}

/// What a canary that is as bad as stable has to fear, and what one that is worse or better.
pub(crate) fn report(effort: &Effort) -> String {
    let rules = rules();
    let mut equal = Vec::new();
    for (name, errors) in all_errors() {
        for proportion in PROPORTIONS {
            let of = |requests| Scenario::new(errors, proportion, requests, 1.0);
            let outcomes = simulate(effort, &REQUESTS.map(of), &rules, progress(name));
            let figures = (0..rules.len()).map(|rule| worst(&outcomes, rule)).collect();
            equal.push((format!("{name}, both {} %", proportion * 100.0), figures));
        }
    }
    let better = [(0.3, 1.0 / 3.0), (0.1, 0.6), (0.2, 0.8)];
    let improved = better.map(|(stable, times)| {
        let of = |requests| Scenario::new(Errors::Independent, stable, requests, times);
        let outcomes = simulate(effort, &REQUESTS.map(of), &rules, progress("better"));
        let figures = (0..rules.len()).map(|rule| worst(&outcomes, rule)).collect();
        (format!("{:.0} % instead of {:.0} %", stable * times * 100.0, stable * 100.0), figures)
    });
    let regressions: Vec<_> = [(0.01, 6.0), (0.01, 20.0), (0.04, 2.0)]
        .iter()
        .flat_map(|(stable, times)| {
            REQUESTS.map(|requests| Scenario::new(Errors::Independent, *stable, requests, *times))
        })
        .collect();
    let outcomes = simulate(effort, &regressions, &rules, progress("worse"));
    let found = regressions
        .iter()
        .zip(&outcomes)
        .map(|(scenario, outcomes)| (scenario.name(), outcomes.iter().map(tables::cell).collect()));
    format!(
        "### The limit\n\nFalse rollbacks with a limit of 5 %, of releases that are as bad as what they \
         replace; the worst of {} requests a minute:\n\n{}\nRollbacks of releases that are better \
         and still over the limit:\n\n{}\nRegressions: rollbacks / minute / excess:\n\n{}\n",
        REQUESTS.map(thousands).join(", "),
        tables::summary("errors", &rules, equal),
        tables::summary("bad", &rules, improved.to_vec()),
        tables::summary("bad / requests a minute / regression", &rules, found.collect()),
    )
}
