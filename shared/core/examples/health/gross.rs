//! The hard ceiling: what it costs healthy releases, and how soon it acts.

use glidepath_core::health::sequential::Tally;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::arrivals::{Errors, Load};
use crate::report::{all_errors, progress};
use crate::rules::{Rule, breaks, ceiling, earlier, parameters, sequential};
use crate::scenario::grid;
use crate::simulation::{Effort, simulate};
use crate::tables;

/// Ceilings to choose from, in permille.
const CEILINGS: [(&str, u16); 3] = [("50 %", 500), ("55 %", 550), ("60 %", 600)];

/// Both parts.
pub(crate) fn report(effort: &Effort) -> String {
    let added: Vec<Vec<String>> = all_errors()
        .map(|(name, errors)| {
            let points = added(effort, name, errors);
            let points = points.into_iter().map(|points| format!("{points:.2}"));
            std::iter::once(name.to_owned()).chain(points).collect()
        })
        .collect();
    let chances: Vec<Vec<String>> = [0.6, 0.8, 1.0]
        .iter()
        .map(|failing| {
            let caught = CEILINGS.map(|(_, permille)| caught(effort, *failing, permille));
            let caught = caught.map(tables::percent);
            std::iter::once(format!("{:.0} %", failing * 100.0)).chain(caught).collect()
        })
        .collect();
    let columns =
        |first| std::iter::once(first).chain(CEILINGS.map(|(name, _)| name)).collect::<Vec<&str>>();
    format!(
        "### The hard ceiling\n\nAdded false rollbacks, percentage points:\n\n{}\n\
         Acts on the first bad minute, 500 requests a minute, 10 % stage:\n\n{}\n",
        tables::plain(&columns("errors"), &added),
        tables::plain(&columns("of the canary fails"), &chances),
    )
}

/// Percentage points of false rollbacks that each ceiling adds to the sequential test, in the worst
/// service.
pub(crate) fn added(effort: &Effort, name: &str, errors: Errors) -> Vec<f64> {
    let Some(parameters) = parameters(3) else { return Vec::new() };
    let mut rules = vec![Rule::new("none", move |release| sequential(&parameters, release))];
    rules.extend(CEILINGS.map(|(name, permille)| {
        Rule::new(name, move |release| {
            earlier(sequential(&parameters, release), ceiling(release, permille))
        })
    }));
    let outcomes = simulate(effort, &grid(errors, &[1.0]), &rules, progress(name));
    let points = |rule: usize| {
        let of_each = outcomes.iter().filter_map(|outcomes| match outcomes.as_slice() {
            [none, with @ ..] => with.get(rule).map(|with| with.percent() - none.percent()),
            [] => None,
        });
        of_each.fold(0.0, f64::max)
    };
    (0..CEILINGS.len()).map(points).collect()
}

/// How often a ceiling acts on the first minute in which so much of the canary fails, in per cent.
pub(crate) fn caught(effort: &Effort, failing: f64, permille: u16) -> f64 {
    let load = Load { requests: 500.0, share: 0.1, canary: failing, stable: 0.01 };
    let mut random = SmallRng::seed_from_u64(effort.seed);
    let acts = (0..effort.runs).filter(|_| {
        let canary: Tally = Errors::Independent.minute(&load, &mut random).canary;
        breaks(&canary, permille)
    });
    100.0 * acts.count() as f64 / effort.runs as f64
}
