//! The parts of the page.

use std::fmt::Write;

use crate::arrivals::Errors;
use crate::gross;
use crate::hastened;
use crate::limit;
use crate::rules;
use crate::scenario::{DISPERSIONS, Scenario, grid, late_onsets};
use crate::simulation::{Effort, Outcome, simulate};
use crate::tables;
use crate::tried;

pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) text: fn(&Effort) -> String,
}

pub(crate) const PARTS: [Part; 6] = [
    Part { name: "summary", text: summary },
    Part { name: "tables", text: full_tables },
    Part { name: "ceiling", text: gross::report },
    Part { name: "limit", text: limit::report },
    Part { name: "tried", text: tried::report },
    Part { name: "promotion", text: hastened::report },
];

/// Shows on stderr how far it is.
pub(crate) fn progress(what: &str) -> impl Fn(usize, usize) + Sync + use<'_> {
    move |done, all| {
        // Not at every piece: writing would take longer than simulating.
        if done == all || done % (all / 200).max(1) == 0 {
            eprint!("\r{what}: {} %  ", done * 100 / all);
        }
        if done == all {
            eprintln!();
        }
    }
}

/// The worst of several scenarios: the most rollbacks.
fn worst(outcomes: &[Vec<Outcome>], rule: usize) -> f64 {
    let percents = outcomes.iter().filter_map(|outcomes| outcomes.get(rule));
    percents.map(Outcome::percent).fold(0.0, f64::max)
}

/// How errors come in each scenario, by name, independent ones first.
pub(crate) fn all_errors() -> impl Iterator<Item = (&'static str, Errors)> {
    std::iter::once(("independent", Errors::Independent)).chain(DISPERSIONS)
}

fn summary(effort: &Effort) -> String {
    let rules = rules::all();
    let mut false_rollbacks = Vec::new();
    for (name, errors) in all_errors() {
        let outcomes = simulate(effort, &grid(errors, &[1.0]), &rules, progress(name));
        let figures = (0..rules.len()).map(|rule| tables::percent(worst(&outcomes, rule)));
        false_rollbacks.push((name.to_owned(), figures.collect()));
    }
    let changed = [Scenario::CHANGE_OF_REGIME];
    let outcomes = simulate(effort, &changed, &rules, progress("change of regime"));
    let figures = (0..rules.len()).map(|rule| tables::percent(worst(&outcomes, rule)));
    false_rollbacks.push(("change of regime".to_owned(), figures.collect()));

    let regressions = grid(Errors::Independent, &[5.0]);
    let outcomes = simulate(effort, &regressions, &rules, progress("x5"));
    let costs = regressions.iter().zip(&outcomes).map(|(scenario, outcomes)| {
        let figures = outcomes.iter().map(|outcome| {
            format!("{} ({})", tables::whole(outcome.excess()), tables::percent(outcome.percent()))
        });
        (scenario.name(), figures.collect())
    });
    format!(
        "### False rollbacks\n\n{}\n### What a 5x regression costs\n\n{}\n",
        tables::summary("errors", &rules, false_rollbacks),
        tables::summary("bad / requests a minute / regression", &rules, costs.collect()),
    )
}

fn full_tables(effort: &Effort) -> String {
    let rules = rules::all();
    let mut text = String::new();
    let mut table = |title: &str, scenarios: &[Scenario]| {
        let outcomes = simulate(effort, scenarios, &rules, progress(title));
        let table = tables::full(scenarios, &rules, &outcomes);
        // Writing to a string cannot fail.
        let _ = write!(text, "#### {title}\n\n{table}\n");
    };
    table("Independent errors", &grid(Errors::Independent, &[1.0, 2.0, 5.0, 20.0]));
    table("The regression begins with minute 11", &late_onsets());
    for (name, errors) in DISPERSIONS {
        table(&format!("No regression: {name}"), &grid(errors, &[1.0]));
    }
    table("No regression: the side that allows it changes", &[Scenario::CHANGE_OF_REGIME]);
    text
}
