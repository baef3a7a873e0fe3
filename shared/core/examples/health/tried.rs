//! Whether another shape of the test is better: fewer failed requests with no more false rollbacks.

use glidepath_core::health::sequential::Terms;

use crate::arrivals::Errors;
use crate::candidate::{Alternatives, Candidate, History, Starts};
use crate::report::progress;
use crate::rules::Rule;
use crate::scenario::{DISPERSIONS, Scenario, grid, late_onsets};
use crate::simulation::{Effort, Outcome, simulate};
use crate::tables;

const GRID: [f64; 5] = [1.5, 2.5, 5.0, 15.0, 50.0];
const COARSE: [f64; 3] = [2.0, 5.0, 20.0];
const FINE: [f64; 8] = [1.25, 1.6, 2.2, 3.5, 6.0, 12.0, 25.0, 60.0];
const FOUR: [f64; 4] = [1.6, 3.0, 8.0, 30.0];

/// All shapes by name, the product's first.
fn candidates() -> Vec<(&'static str, Candidate)> {
    let default = Candidate::default();
    let terms = default.terms;
    let witnesses = |witnesses: u32| Candidate {
        terms: Terms { witnesses, ..terms },
        parts: f64::from(witnesses),
        ..default
    };
    let of = |alternatives| Candidate { alternatives, ..default };
    let matched = Alternatives::Matched(&FOUR);
    vec![
        ("as it is", default),
        ("m = 2", witnesses(2)),
        ("m = 4", witnesses(4)),
        ("two sums instead of the smaller increment", of(Alternatives::TwoSums(&GRID))),
        ("grid of 3", of(Alternatives::Pairs(&COARSE))),
        ("grid of 8", of(Alternatives::Pairs(&FINE))),
        ("5 alternatives, not 25: the same for both sides", of(Alternatives::Diagonal(&GRID))),
        ("5 alternatives, not 25: matched to stable", of(Alternatives::Matched(&GRID))),
        ("4 alternatives, matched to stable", of(matched)),
        ("the same, m = 4", Candidate { alternatives: matched, ..witnesses(4) }),
        ("tempering assumes 1 even cell", Candidate { prior: 1.0, ..default }),
        ("tempering assumes 10 even cells", Candidate { prior: 10.0, ..default }),
        ("tempering: a cell says at most 9", Candidate { largest: 9.0, ..default }),
        ("tempering: a cell says anything", Candidate { largest: f64::INFINITY, ..default }),
        ("first stage has 70 % of the weight", Candidate { starts: Starts::First(0.7), ..default }),
        (
            "evidence begins with the first stage only",
            Candidate { starts: Starts::First(1.0), ..default },
        ),
        ("evidence begins with every minute", Candidate { starts: Starts::Minutes, ..default }),
        ("cap of 1/2.5, 3 witnesses", Candidate { parts: 2.5, ..default }),
        ("cap of 1/2, 3 witnesses", Candidate { parts: 2.0, ..default }),
        ("cap of 1/3, 2 witnesses", Candidate { parts: 3.0, ..witnesses(2) }),
        ("cap of 1/3.5, 4 witnesses", Candidate { parts: 3.5, ..witnesses(4) }),
        ("alpha 5 %", Candidate { terms: Terms { alpha: 0.05, ..terms }, ..default }),
        (
            "r 1.1, a 0.1 % (allows less)",
            Candidate { terms: Terms { ratio: 1.1, floor: 0.001, ..terms }, ..default },
        ),
        ("3 hours of stable temper", Candidate { history: History::Tempers, ..default }),
        (
            "m = 2 if 3 hours of stable were even",
            Candidate { history: History::Witnesses(2), ..default },
        ),
        ("the same, else m = 4", Candidate { history: History::Witnesses(2), ..witnesses(4) }),
        (
            "the same as both, 4 alternatives matched",
            Candidate { history: History::Witnesses(2), alternatives: matched, ..default },
        ),
    ]
}

/// Regressions that the product finds at least so often are those that a shape can be better at.
const FOUND: f64 = 5.0;

/// The rows of "What was tried".
pub(crate) fn report(effort: &Effort) -> String {
    let candidates = candidates();
    let rules: Vec<Rule> = candidates
        .iter()
        .map(|(name, candidate)| {
            let candidate = *candidate;
            Rule::new(name, move |release| candidate.acts(release))
        })
        .collect();
    let worst = |name: &str, scenarios: &[Scenario]| -> Vec<f64> {
        let outcomes = simulate(effort, scenarios, &rules, progress(name));
        let percents = |rule: usize| outcomes.iter().filter_map(move |all| all.get(rule));
        (0..rules.len())
            .map(|rule| percents(rule).map(Outcome::percent).fold(0.0, f64::max))
            .collect()
    };
    let mut false_rollbacks: Vec<Vec<f64>> =
        DISPERSIONS.iter().map(|(name, errors)| worst(name, &grid(*errors, &[1.0]))).collect();
    let mut even = grid(Errors::Independent, &[1.0]);
    // At the edge of what is allowed.
    even.extend(grid(Errors::Independent, &[1.25]));
    false_rollbacks.push(worst("independent", &even));
    false_rollbacks.push(worst("change of regime", &[Scenario::CHANGE_OF_REGIME]));

    let mut regressions = grid(Errors::Independent, &[2.0, 5.0, 20.0]);
    regressions.extend(late_onsets());
    let found = simulate(effort, &regressions, &rules, progress("regressions"));
    let uneven: Vec<Scenario> = [Errors::Clusters(4.0), Errors::Uneven(1.0), Errors::Bursts]
        .iter()
        .flat_map(|errors| {
            [500.0, 5_000.0].map(|requests| Scenario::new(*errors, 0.01, requests, 5.0))
        })
        .collect();
    let found_uneven = simulate(effort, &uneven, &rules, progress("uneven regressions"));

    let rows: Vec<Vec<String>> = rules
        .iter()
        .enumerate()
        .map(|(rule, named)| {
            let figures = false_rollbacks.iter().filter_map(|all| all.get(rule));
            let (cost, fewer, more) = compared(&found, rule);
            let (cost_uneven, ..) = compared(&found_uneven, rule);
            std::iter::once(named.name.to_owned())
                .chain(figures.map(|percent| tables::percent(*percent)))
                .chain([cost, cost_uneven].map(|cost| format!("{cost:+.1} %")))
                .chain(std::iter::once(format!("{fewer} / {more}")))
                .collect()
        })
        .collect();
    let columns = [
        "shape",
        "shock",
        "clusters",
        "CV 45 %",
        "CV 100 %",
        "bursts",
        "independent",
        "regime",
        "failed requests",
        "where errors are uneven",
        "fewer / more in",
    ];
    format!("### What was tried\n\n{}\n", tables::plain(&columns, &rows))
}

/// Failed requests compared with the first rule's: the mean over the scenarios in per cent, and in
/// how many they are more than 1 % fewer and more.
fn compared(outcomes: &[Vec<Outcome>], rule: usize) -> (f64, usize, usize) {
    let ratios: Vec<f64> = outcomes
        .iter()
        .filter_map(|outcomes| Some((outcomes.first()?, outcomes.get(rule)?)))
        .filter(|(product, _)| product.percent() >= FOUND)
        .map(|(product, shape)| shape.excess() / product.excess())
        .collect();
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
    let count = |differs: fn(f64) -> bool| ratios.iter().filter(|ratio| differs(**ratio)).count();
    (100.0 * (mean.exp() - 1.0), count(|ratio| ratio < 0.99), count(|ratio| ratio > 1.01))
}
