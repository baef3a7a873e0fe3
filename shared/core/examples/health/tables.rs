//! Outcomes as Markdown.

use crate::rules::Rule;
use crate::scenario::Scenario;
use crate::simulation::Outcome;

/// One row per scenario, one column per rule: `rollbacks % / median minute / excess`.
pub(crate) fn full(scenarios: &[Scenario], rules: &[Rule], outcomes: &[Vec<Outcome>]) -> String {
    let mut lines = head("bad / requests a minute / regression", rules);
    for (scenario, outcomes) in scenarios.iter().zip(outcomes) {
        lines.push(row(&scenario.name(), outcomes.iter().map(cell)));
    }
    text(&lines)
}

/// Rows of one figure per rule.
pub(crate) fn summary(first: &str, rules: &[Rule], rows: Vec<(String, Vec<String>)>) -> String {
    let mut lines = head(first, rules);
    lines.extend(rows.into_iter().map(|(name, figures)| row(&name, figures.into_iter())));
    text(&lines)
}

pub(crate) fn plain(columns: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![format!("| {} |", columns.join(" | "))];
    lines.push(format!("|{}", "---|".repeat(columns.len())));
    lines.extend(rows.iter().map(|row| format!("| {} |", row.join(" | "))));
    text(&lines)
}

fn text(lines: &[String]) -> String {
    format!("{}\n", lines.join("\n"))
}

fn head(first: &str, rules: &[Rule]) -> Vec<String> {
    let names = rules.iter().map(|rule| rule.name.to_owned());
    vec![row(first, names), format!("|---|{}", "---|".repeat(rules.len()))]
}

fn row(name: &str, figures: impl Iterator<Item = String>) -> String {
    let figures: Vec<String> = figures.collect();
    format!("| {name} | {} |", figures.join(" | "))
}

/// `100 % / 9 / 21`
pub(crate) fn cell(outcome: &Outcome) -> String {
    let median = outcome.median().map_or("-".to_owned(), |minute| minute.to_string());
    format!("{} / {median} / {}", percent(outcome.percent()), whole(outcome.excess()))
}

/// To a tenth, which is what the simulation is good for; without a needless `.0`.
pub(crate) fn percent(percent: f64) -> String {
    if percent == 0.0 || percent > 99.95 {
        format!("{percent:.0} %")
    } else if percent < 0.1 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// Without the sign of a rounded zero.
pub(crate) fn whole(number: f64) -> String {
    let rounded = number.round();
    if rounded == 0.0 { "0".to_owned() } else { format!("{rounded}") }
}
