//! What early promotion gains for healthy releases, and what it costs with bad ones.

use glidepath_core::health::sequential::Pair;

use crate::arrivals::Errors;
use crate::promotion::{Bad, ENOUGH, ln_e};
use crate::report::progress;
use crate::rules::{Rule, parameters, sequential};
use crate::scenario::{Minute, Scenario, grid, late_onsets};
use crate::simulation::{Effort, Outcome, simulate, simulate_releases};
use crate::tables;

/// No stage is shorter: a bad minute may come late.
const SHORTEST: usize = 2;

/// Whose evidence promotes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Evidence {
    /// All cells of the release.
    All,
    /// Those of the stage.
    Stage,
}

/// Whether the stage may end.
pub(crate) fn may_end(evidence: Evidence, minutes: &[Minute]) -> bool {
    let stage = minutes.last().and_then(|minute| minute.stage);
    let in_stage = minutes.iter().rev().take_while(|minute| minute.stage == stage).count();
    let from = match evidence {
        Evidence::All => 0,
        Evidence::Stage => minutes.len() - in_stage,
    };
    let cells: Vec<Pair> = minutes.iter().skip(from).map(|minute| minute.pair).collect();
    in_stage >= SHORTEST && ln_e(&Bad::default(), &cells) >= ENOUGH.ln()
}

/// Without promotion, promoted by all cells, promoted by the stage's.
pub(crate) fn outcomes(effort: &Effort, scenarios: &[Scenario]) -> [Vec<Vec<Outcome>>; 3] {
    let rules = || -> Vec<Rule> {
        let rule = |parameters| Rule::new("m = 3", move |release| sequential(&parameters, release));
        parameters(3).map(rule).into_iter().collect()
    };
    let hastened = |evidence: Evidence| {
        let release = move |scenario: &Scenario, seed: u64| {
            scenario.hastened(seed, |minutes| may_end(evidence, minutes))
        };
        simulate_releases(effort, scenarios, &rules(), release, progress("promotion"))
    };
    [
        simulate(effort, scenarios, &rules(), progress("as planned")),
        hastened(Evidence::All),
        hastened(Evidence::Stage),
    ]
}

/// Healthy ones by the time they take, bad ones by what becomes of them.
pub(crate) fn report(effort: &Effort) -> String {
    let mut healthy = vec![];
    for (name, errors) in [
        ("independent", Errors::Independent),
        ("clusters", Errors::Clusters(4.0)),
        ("bursts", Errors::Bursts),
    ] {
        let scenarios = grid(errors, &[1.0]);
        healthy.extend(rows(effort, &scenarios, |scenario, outcome| {
            let minutes = outcome.median_full().map_or("-".to_owned(), |minute| minute.to_string());
            (format!("{}, {name}", scenario.name()), minutes)
        }));
    }
    let regressions = |scenarios: &[Scenario], when: &str| {
        rows(effort, scenarios, |scenario, outcome| {
            (format!("{}{when}", scenario.name()), tables::cell(outcome))
        })
    };
    let mut bad = regressions(&grid(Errors::Independent, &[5.0, 20.0]), "");
    bad.extend(regressions(&late_onsets(), ", from minute 11"));
    let columns =
        ["bad / requests a minute / regression", "as planned", "all cells", "the stage's"];
    format!(
        "### Early promotion\n\nMinutes to 100 % of healthy releases:\n\n{}\n\
         Regressions: rollbacks / minute / excess:\n\n{}\n",
        tables::plain(&columns, &healthy),
        tables::plain(&columns, &bad),
    )
}

fn rows(
    effort: &Effort,
    scenarios: &[Scenario],
    text: impl Fn(&Scenario, &Outcome) -> (String, String),
) -> Vec<Vec<String>> {
    let ways = outcomes(effort, scenarios);
    let row = |(index, scenario): (usize, &Scenario)| {
        let ways = ways.iter().filter_map(|way| way.get(index)?.first());
        let texts: Vec<(String, String)> = ways.map(|outcome| text(scenario, outcome)).collect();
        let name = texts.first().map(|(name, _)| name.clone());
        name.into_iter().chain(texts.into_iter().map(|(_, figure)| figure)).collect()
    };
    scenarios.iter().enumerate().map(row).collect()
}
