//! Running and recent deployments as a table.

use std::fmt::Write;

use glidepath_core::record::Deployment;
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::Recent;

use super::moment::{distance, length};
use super::state::{shares, state};
use super::{STRONG, Tone};

/// Longest text of a cell, in characters: a line should fit on a screen.
const LONGEST: usize = 56;

const TITLES: [&str; 7] = ["DEPLOYMENT", "SERVICE", "VERSION", "STAGE", "WEIGHT", "STATE", "SINCE"];

/// The column with a tone.
const STATE: usize = 5;

struct Row {
    cells: [String; TITLES.len()],
    tone: Tone,
}

/// One line for each deployment, in the order given.
pub(crate) fn overview(found: &Recent, service: Option<&str>, now: Timestamp) -> String {
    let mut text = table(&found.deployments, now);
    let style = Tone::Bad.style();
    for (id, why) in &found.unreadable {
        // Writing to a text cannot fail.
        let _written = writeln!(
            text,
            "{style}the record of {id} cannot be read{style:#}: a newer version has written it, or \
             it is damaged ({why})"
        );
    }
    if text.is_empty() {
        return match service {
            Some(service) => format!("no deployments of the service `{service}`\n"),
            None => "no deployments yet; `glidepath start FILE` begins one\n".to_owned(),
        };
    }
    text
}

fn table(deployments: &[Deployment], now: Timestamp) -> String {
    if deployments.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = deployments.iter().map(|deployment| row(deployment, now)).collect();
    let widths: [usize; TITLES.len()] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row.cells[column].chars().count());
        cells.chain([TITLES[column].len()]).max().unwrap_or_default()
    });
    let mut text = String::new();
    for (column, title) in TITLES.iter().enumerate() {
        push(&mut text, title, STRONG, widths[column], column);
    }
    for Row { cells, tone } in &rows {
        text.push('\n');
        for (column, cell) in cells.iter().enumerate() {
            let style = if column == STATE { tone.style() } else { Tone::Plain.style() };
            push(&mut text, cell, style, widths[column], column);
        }
    }
    text.push('\n');
    text
}

fn push(text: &mut String, cell: &str, style: anstyle::Style, width: usize, column: usize) {
    let last = column + 1 == TITLES.len();
    let padding = if last { 0 } else { width - cell.chars().count() + 2 };
    // Writing to a text cannot fail.
    let _written = write!(text, "{style}{cell}{style:#}{:padding$}", "");
}

fn row(deployment: &Deployment, now: Timestamp) -> Row {
    let plan = &deployment.plan;
    let state = state(deployment, now);
    let words = match state.until {
        Some(until) => format!("{}, {} left", state.words, length(until.since(now))),
        None => state.words,
    };
    let cells = [
        deployment.id.to_string(),
        plan.service.to_string(),
        plan.task_definition.short().to_owned(),
        format!("{}/{}", deployment.progress.stage, plan.stages.len()),
        weights(deployment),
        shortened(&words),
        distance(state.since, now),
    ];
    Row { cells, tone: state.tone }
}

/// Every share once: routes differ only if somebody else changed one.
fn weights(deployment: &Deployment) -> String {
    let mut weights: Vec<Option<Weight>> = shares(deployment).map(|(_, share)| share).collect();
    weights.dedup();
    let texts = weights.iter().map(|share| share.map_or("?".to_owned(), |share| share.to_string()));
    texts.collect::<Vec<_>>().join(" / ")
}

/// The beginning, with an ellipsis where something is left out.
fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(LONGEST - 1).collect();
    format!("{}…", beginning.trim_end())
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;

    use super::*;
    use crate::fixtures::{self, NOW, same_as_file};

    #[test]
    fn every_state_has_a_line() {
        let deployments = vec![
            fixtures::settling(),
            fixtures::approving(),
            fixtures::baking(),
            fixtures::waiting(),
            fixtures::held_by_others(),
            fixtures::rolling_back(),
            fixtures::held(),
            fixtures::committed(),
            fixtures::succeeded(),
            fixtures::rolled_back(),
            fixtures::abandoned(),
        ];
        let unreadable = DeploymentId::new("shop-9");
        let why = "item `deployment#shop-9` / `deployment` is corrupt: there is no phase `x`";
        let unreadable = [(unreadable, why.to_owned())].into();
        same_as_file("overview.txt", &overview(&Recent { deployments, unreadable }, None, NOW));
    }

    #[test]
    fn the_first_one_is_told_how_to_begin() {
        let nothing = Recent::default();
        assert!(overview(&nothing, None, NOW).contains("`glidepath start FILE`"));
        assert_eq!(overview(&nothing, Some("shpo"), NOW), "no deployments of the service `shpo`\n");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(LONGEST)).chars().count(), LONGEST);
        let cut = shortened(&"é".repeat(LONGEST + 1));
        assert_eq!(cut.chars().count(), LONGEST);
        assert!(cut.ends_with('…'));
    }
}
