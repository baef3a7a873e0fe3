//! `glidepath report`: what a deployment's requests said, minute by minute, as text and as a drawing.

use std::io::Write;
use std::path::PathBuf;

use glidepath_core::health::StoredCells;
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{Clock, Registry};
use glidepath_report::{Report, Row, by_stage, interval, total};
use serde_json::{Value, json};

use crate::connection::Options;
use crate::drawing::write_drawing;
use crate::names::Named;
use crate::next_command::Commands;
use crate::render::words;
use crate::stopped::Stopped;

/// Show how the requests of a deployment went, stage by stage, also after it has ended
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment, or ARN of its execution
    deployment: Named,
    /// Draw it, too: an SVG for this file, in light and dark
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON, with every period
    #[arg(long)]
    json: bool,
    /// Print what was counted as CSV, for `glidepath judge`
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let connection = options.connect().await?;
    let id = arguments.deployment.exactly(|id| connection.operator.execution(id))?;
    let now = connection.ports.ambient.now();
    let (deployment, stored) = find(&connection.ports.registry, &id, &options.commands()).await?;
    let report = report(&deployment, &stored, now);
    if let Some(file) = &arguments.svg {
        write_drawing(&report, file)?;
    }
    let text = if arguments.csv {
        csv(&report)
    } else if arguments.json {
        format!("{:#}\n", view(&deployment, &stored, &report))
    } else {
        shown(&deployment, &stored, &report)
    };
    write!(output, "{text}")?;
    Ok(())
}

async fn find(
    registry: &impl Registry,
    id: &DeploymentId,
    commands: &Commands,
) -> Result<(Deployment, StoredCells), Stopped> {
    let deployment =
        registry.deployment(id).await?.ok_or_else(|| Stopped::unknown(id, commands))?;
    match registry.stored_cells(id).await? {
        Some(stored) => Ok((deployment, stored)),
        None => Err(nothing_yet(&deployment, commands)),
    }
}

/// Nothing was counted, and whether that can still change.
fn nothing_yet(deployment: &Deployment, commands: &Commands) -> Stopped {
    let id = &deployment.id;
    let hint = match deployment.phase {
        Phase::Open => {
            "requests are counted by complete minutes from the first shift on, and kept at the \
             next look; try again in some minutes"
        }
        Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_) => {
            "it ended before a look could count a complete minute; why it ended is in its timeline"
        }
    };
    Stopped::Unusable {
        message: format!("no requests of `{id}` have been counted"),
        hint: format!("{hint}; {}", commands.to_look(id)),
    }
}

/// With what the deployment does now.
fn report(deployment: &Deployment, stored: &StoredCells, now: Timestamp) -> Report {
    glidepath_report::report(deployment, stored, words(deployment, now))
}

/// One line for each period, in the columns that `judge` reads.
fn csv(report: &Report) -> String {
    let rows = &report.rows;
    let slow =
        rows.iter().all(|row| row.cell.canary.slow.is_some() && row.cell.stable.slow.is_some());
    let mut text = "cell,stage,canary_requests,canary_bad,stable_requests,stable_bad".to_owned();
    text.push_str(if slow { ",canary_slow,stable_slow\n" } else { "\n" });
    for Row { cell, .. } in rows {
        let (canary, stable) = (cell.canary, cell.stable);
        text.push_str(&format!(
            "{},{},{},{},{},{}",
            cell.from, cell.stage, canary.all, canary.bad, stable.all, stable.bad
        ));
        if let (true, Some(canary), Some(stable)) = (slow, canary.slow, stable.slow) {
            text.push_str(&format!(",{canary},{stable}"));
        }
        text.push('\n');
    }
    text
}

fn shown(deployment: &Deployment, stored: &StoredCells, report: &Report) -> String {
    let mut text = format!("{}\n{}\n", report.subject, report.headline());
    if let Some(fence) = &deployment.fence {
        text.push_str(&format!("{}: {}\n", fence.failure.code, fence.failure.cause));
    }
    if let Some(reason) = report.reason() {
        text.push_str(&format!("{reason}\n"));
    }
    text.push_str(&format!("\n{}\ncounted at {}", by_stage(report), stored.written_at));
    if stored.is_merged() {
        text.push_str(
            "; older minutes were merged to save room, so the evidence shown is less than the \
             judge had",
        );
    }
    text.push('\n');
    text
}

/// For programs.
fn view(deployment: &Deployment, stored: &StoredCells, report: &Report) -> Value {
    let cells = report.rows.iter().map(|row| {
        json!({
            "from": row.cell.from.to_string(),
            "length": row.length,
            "stage": row.cell.stage.to_string(),
            "canary": row.cell.canary,
            "stable": row.cell.stable,
            "log10E": row.point.as_ref().map(|point| point.log10_e()),
            "witnesses": row.point.as_ref().map(|point| point.witnesses),
            "fails": row.point.as_ref().map(|point| point.fails),
        })
    });
    let comparison = report.comparison.as_ref().map(|comparison| {
        let parameters = &comparison.parameters;
        json!({
            "alpha": parameters.alpha(),
            "witnesses": parameters.witnesses(),
            "ratio": parameters.ratio(),
            "floor": parameters.floor(),
            "badRequests": interval(&comparison.bad),
            "slowRequests": comparison.slow.as_ref().map(interval),
        })
    });
    let failure = deployment
        .fence
        .as_ref()
        .map(|fence| json!({ "name": fence.failure.code.name(), "cause": fence.failure.cause }));
    json!({
        "deployment": deployment.id,
        "headline": report.headline(),
        "phase": deployment.phase.name(),
        "failure": failure,
        "countedAt": stored.written_at.to_string(),
        "merged": stored.is_merged(),
        "stages": report.stages.iter().map(|stage| json!({
            "stage": stage.name,
            "weight": stage.weight,
            "from": stage.from.to_string(),
        })).collect::<Vec<_>>(),
        "comparison": comparison,
        "totals": {
            "canary": total(&report.rows, |row| row.cell.canary),
            "stable": total(&report.rows, |row| row.cell.stable),
        },
        "cells": cells.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use glidepath_core::health::{Cell, CountedCells, SlotRequests};
    use glidepath_core::plan::{ComparisonPlan, Permille, StageIndex, Thousandths};
    use glidepath_core::record::Shift;
    use glidepath_core::time::Span;
    use glidepath_engine::testing::MemoryRegistry;

    use super::*;
    use crate::fixtures::{self, NOW, minutes, same_as_file};

    const MINUTE: Span = Span::from_secs(60);

    fn counted(deployment: &mut Deployment, slow: Option<u64>) -> StoredCells {
        deployment.plan.health.comparison = Some(ComparisonPlan {
            witnesses: 3,
            ratio: Thousandths(1_250),
            floor: Permille(2),
            false_rollbacks: Permille(10),
        });
        deployment.plan.health.slower_than = slow.map(|_| Span::from_secs(1));
        let begins = NOW - minutes(14);
        let shifts = [
            Shift { stage: StageIndex(0), at: begins - Span::from_secs(20) },
            Shift { stage: StageIndex(1), at: begins + minutes(7) },
        ];
        let cell = |minute: u64| {
            let (stage, all) = if minute < 7 { (0, 50) } else { (1, 250) };
            let bad = if minute < 8 { 0 } else { 9 };
            Cell {
                from: begins + MINUTE.times(minute),
                stage: StageIndex(stage),
                canary: SlotRequests { all, bad, slow },
                stable: SlotRequests { all: 1_000 - all, bad: 3, slow },
            }
        };
        let cells: Vec<_> = (0..13).map(cell).collect();
        let counted = CountedCells { period: MINUTE, cells: &cells };
        StoredCells::of(&deployment.id, &deployment.plan, &shifts, counted, NOW)
    }

    #[test]
    fn a_report_says_what_happened_when_and_why() {
        for (file, slow) in [("report.txt", None), ("report-slow.txt", Some(1))] {
            let mut deployment = fixtures::rolled_back();
            let stored = counted(&mut deployment, slow);
            let report = report(&deployment, &stored, NOW);
            same_as_file(file, &shown(&deployment, &stored, &report));
        }
    }

    #[test]
    fn programs_get_every_period() {
        let mut deployment = fixtures::baking();
        let stored = counted(&mut deployment, None);
        let view = view(&deployment, &stored, &report(&deployment, &stored, NOW));
        assert_eq!(view["cells"].as_array().unwrap().len(), 13);
        assert_eq!(view["cells"][12]["fails"], true);
        assert_eq!(view["failure"], Value::Null);
        assert_eq!(view["stages"][1]["weight"], "25 %");
        assert_eq!(view["totals"]["canary"]["bad"], 45);
        assert!(!view.to_string().contains(fixtures::TOKEN));
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_with_what_to_do() {
        let registry = MemoryRegistry::default();
        let commands = Commands::default();
        let id = DeploymentId::new("shop-42");
        let unknown = find(&registry, &id, &commands).await.unwrap_err();
        assert!(unknown.to_string().contains("there is no deployment `shop-42`"), "{unknown}");
        for (deployment, wanted) in
            [(fixtures::baking(), "try again"), (fixtures::abandoned(), "it ended before")]
        {
            registry.items().deployments.insert(id.clone(), deployment);
            let Stopped::Unusable { message, hint } =
                find(&registry, &id, &commands).await.unwrap_err()
            else {
                panic!("nothing was counted, and yet there is a report");
            };
            assert_eq!(message, "no requests of `shop-42` have been counted");
            assert!(hint.contains(wanted) && hint.contains("glidepath status shop-42"), "{hint}");
        }
        let mut deployment = fixtures::baking();
        let stored = counted(&mut deployment, None);
        registry.store_cells(&stored).await.unwrap();
        assert_eq!(find(&registry, &id, &commands).await.unwrap().1, stored);
    }
}
