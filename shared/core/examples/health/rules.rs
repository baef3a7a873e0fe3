//! What decides about a rollback, side by side.

use glidepath_core::health::sequential::{
    Observation, Pair, Parameters, Tally, Tempering, Terms, assess,
};
use glidepath_core::health::{CEILING, FEWEST_REQUESTS, breaks_ceiling};

use crate::peers;
use crate::scenario::{Release, SHARES};

/// The minute (the first is 1) after which a rule rolls back; `None` if it never does.
type Acts = Box<dyn Fn(&Release) -> Option<usize> + Sync>;

pub(crate) struct Rule {
    /// The column's head.
    pub(crate) name: &'static str,
    /// Of a release that nobody else stops.
    pub(crate) acts: Acts,
}

impl Rule {
    pub(crate) fn new(
        name: &'static str,
        acts: impl Fn(&Release) -> Option<usize> + Sync + 'static,
    ) -> Self {
        Self { name, acts: Box::new(acts) }
    }
}

/// The rules of the tables, the product's default first.
pub(crate) fn all() -> Vec<Rule> {
    let mut rules = Vec::new();
    for (name, witnesses) in [("m = 3", 3), ("m = 2", 2), ("m = 4", 4)] {
        if let Some(parameters) = parameters(witnesses) {
            rules.push(Rule::new(name, move |release| sequential(&parameters, release)));
        }
    }
    if let Some(parameters) = parameters(3) {
        rules.push(Rule::new("m = 3 and ceiling", move |release| {
            earlier(sequential(&parameters, release), ceiling(release, CEILING.0))
        }));
    }
    rules.push(Rule::new("> 5 % once", |release| peers::failed_checks(release, 1)));
    rules.push(Rule::new("5 checks > 5 %", |release| peers::failed_checks(release, 5)));
    rules.push(Rule::new("5 in a row", |release| peers::failed_in_a_row(release, 5)));
    rules.push(Rule::new("Kayenta", peers::kayenta));
    rules.push(Rule::new("z every minute", peers::repeated_z_test));
    rules
}

/// The sequential test with its default terms, but for the witnesses.
pub(crate) fn parameters(witnesses: u32) -> Option<Parameters> {
    Parameters::new(Terms { witnesses, ..Terms::default() }, SHARES.len(), 1).ok()
}

pub(crate) fn sequential(parameters: &Parameters, release: &Release) -> Option<usize> {
    // At 100 % nothing is left to compare with, and E can only fall.
    let compared = release.minutes.iter().filter_map(|minute| Some((minute.stage?, minute.pair)));
    let metrics: Vec<(usize, [Option<Pair>; 1])> =
        compared.map(|(stage, pair)| (stage, [Some(pair)])).collect();
    let cells: Vec<_> =
        metrics.iter().map(|(stage, metrics)| Observation { stage: *stage, metrics }).collect();
    let points = assess(parameters, Tempering::Adaptive, &cells);
    points.iter().position(|point| point.fails).map(|index| index + 1)
}

/// The hard ceiling at so many permille, at 100 % too.
pub(crate) fn ceiling(release: &Release, permille: u16) -> Option<usize> {
    let breaks = |canary: &Tally| breaks(canary, permille);
    let broken = release.minutes.iter().position(|minute| breaks(&minute.pair.canary));
    broken.map(|index| index + 1)
}

/// The product's own where it is about the product's.
pub(crate) fn breaks(canary: &Tally, permille: u16) -> bool {
    if permille == CEILING.0 {
        return breaks_ceiling(canary);
    }
    canary.requests >= FEWEST_REQUESTS
        && canary.events * 1000 >= canary.requests * u64::from(permille)
}

/// Whichever of two rules acts first.
pub(crate) fn earlier(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (Some(minute), None) | (None, Some(minute)) => Some(minute),
        (None, None) => None,
    }
}
