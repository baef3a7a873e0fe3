//! Running and recent deployments as a table.

use std::fmt::Write;

use glidepath_core::record::Deployment;
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::Recent;

use super::Tone;
use super::moment::{distance, length};
use super::state::{shares, state};
use super::table::{Cell, shortened, table};
use crate::filter::Filter;

/// Longest text of a cell, in characters: a line should fit on a screen.
const LONGEST: usize = 56;

const TITLES: [&str; 7] = ["DEPLOYMENT", "SERVICE", "VERSION", "STAGE", "WEIGHT", "STATE", "SINCE"];

/// One line for each deployment, in the order given.
///
/// `known` is all that was looked through.
pub(crate) fn overview(
    found: &Recent,
    asked: Filter<'_>,
    known: &Recent,
    now: Timestamp,
) -> String {
    let rows: Vec<_> = found.deployments.iter().map(|deployment| row(deployment, now)).collect();
    let mut text = table(TITLES, &rows);
    let style = Tone::Waiting.style();
    let frozen: String = known
        .freezes
        .in_force(now)
        .map(|freeze| format!("{style}{} is {}{style:#}\n", freeze.what(), freeze.in_words()))
        .collect();
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
        let none = match asked.offered(known) {
            _ if asked.is_for_all() => {
                "no deployments yet; `glidepath start FILE` begins one\n".to_owned()
            }
            Some(offered) => format!("no deployments{}; {offered}\n", asked.in_words()),
            None => format!("no deployments{}\n", asked.in_words()),
        };
        return frozen + &none;
    }
    frozen + &text
}

fn row(deployment: &Deployment, now: Timestamp) -> [Cell; TITLES.len()] {
    let plan = &deployment.plan;
    let state = state(deployment, now);
    let words = match state.until {
        Some(until) => format!("{}, {} left", state.words, length(until.since(now))),
        None => state.words,
    };
    let plain = |text: String| (text, Tone::Plain.style());
    [
        plain(deployment.id.to_string()),
        plain(plan.service.to_string()),
        plain(plan.task_definition.short().to_owned()),
        plain(format!("{}/{}", deployment.progress.stage, plan.stages.len())),
        plain(weights(deployment)),
        (shortened(&words, LONGEST), state.tone.style()),
        plain(distance(state.since, now)),
    ]
}

/// Every share once: routes differ only if somebody else changed one.
fn weights(deployment: &Deployment) -> String {
    let mut weights: Vec<Option<Weight>> = shares(deployment).map(|(_, share)| share).collect();
    weights.dedup();
    let texts = weights.iter().map(|share| share.map_or("?".to_owned(), |share| share.to_string()));
    texts.collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;
    use glidepath_core::record::Freezes;

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
        let freezes = Freezes { all: vec![fixtures::freeze()], ..Freezes::default() };
        let found = Recent { deployments, unreadable, freezes };
        same_as_file("overview.txt", &overview(&found, Filter::default(), &found, NOW));
    }

    #[test]
    fn the_first_one_is_told_how_to_begin() {
        let (nothing, all) = (Recent::default(), Filter::default());
        assert!(overview(&nothing, all, &nothing, NOW).contains("`glidepath start FILE`"));
        let known = Recent { deployments: fixtures::all(), ..Recent::default() };
        let asked = Filter { service: Some("shpo"), ..all };
        assert_eq!(
            overview(&nothing, asked, &known, NOW),
            "no deployments of the service `shpo`; did you mean `shop`?\n"
        );
    }
}
