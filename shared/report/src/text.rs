//! The report as text.

use glidepath_core::health::{SlotRequests, evidence};

use super::counted::{Metric, Report, Row, Times, first_failing, total};
use super::sparkline::sparkline;
use super::table::write_rows;
use super::words::{clock, percent};

/// Characters of a sparkline.
const WIDTH: usize = 60;

/// A table with a line for each stage, and each course in one line.
pub fn by_stage(report: &Report) -> String {
    format!("{}\n{}", stages(report), courses(report))
}

fn stages(report: &Report) -> String {
    let slow = report.counts_slow();
    let compared = report.comparison.is_some();
    let weighed = report.stages.iter().any(|stage| stage.weight.is_some());
    let mut heading = vec!["stage"];
    if weighed {
        heading.push("weight");
    }
    heading.extend(["from", "minutes", "canary bad", "stable bad"]);
    if slow {
        heading.extend(["canary slow", "stable slow"]);
    }
    if compared {
        heading.push("evidence");
    }
    let mut table = vec![heading.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    let failing = first_failing(report).map(|(at, _)| at);
    for (place, stage) in report.stages.iter().enumerate() {
        let rows = report.rows_of(place);
        let mut line = vec![stage.name.clone()];
        if weighed {
            line.push(stage.weight.clone().unwrap_or_else(|| "-".to_owned()));
        }
        line.push(from(report, rows).unwrap_or_else(|| "-".to_owned()));
        line.push(minutes(rows));
        let metrics: &[Metric] = if slow { &[Metric::Bad, Metric::Slow] } else { &[Metric::Bad] };
        for metric in metrics {
            line.extend(
                [total(rows, |row| row.cell.canary), total(rows, |row| row.cell.stable)]
                    .map(|slot| of(*metric, slot)),
            );
        }
        if compared {
            let latest = rows.iter().rev().find_map(|row| row.point.as_ref());
            line.push(latest.map_or_else(|| "-".to_owned(), |point| evidence(point.ln_e)));
        }
        let before = report.rows.partition_point(|row| row.cell.from < stage.from);
        if failing.is_some_and(|at| (before..before + rows.len()).contains(&at)) {
            line.push("<- fails".to_owned());
        }
        table.push(line);
    }
    write_rows(&table)
}

fn from(report: &Report, rows: &[Row]) -> Option<String> {
    let first = rows.first()?;
    match &report.times {
        Times::Clock => Some(clock(first.cell.from, true)),
        Times::Labels(labels) => {
            let at = report.rows.partition_point(|row| row.cell.from < first.cell.from);
            labels.get(at).map(|label| format!("cell {label}"))
        }
    }
}

fn minutes(rows: &[Row]) -> String {
    let millis: u64 = rows.iter().map(|row| row.length.as_millis()).sum();
    let minutes = millis as f64 / 60_000.0;
    if millis.is_multiple_of(60_000) { format!("{minutes:.0}") } else { format!("{minutes:.1}") }
}

/// `14 of 254 (5.5 %)`
fn of(metric: Metric, slot: SlotRequests) -> String {
    match (metric.of(slot), metric.share(slot)) {
        (Some(part), Some(share)) => format!("{part} of {} ({})", slot.all, percent(share)),
        (Some(part), None) => format!("{part} of {}", slot.all),
        (None, _) => "-".to_owned(),
    }
}

/// Every course as bars, both slots on one scale.
fn courses(report: &Report) -> String {
    let size = report.rows.len().div_ceil(WIDTH).max(1);
    let chunks: Vec<_> = report.rows.chunks(size).collect();
    let mut table = Vec::new();
    let metrics: &[Metric] =
        if report.counts_slow() { &[Metric::Bad, Metric::Slow] } else { &[Metric::Bad] };
    for metric in metrics {
        let course = |slot: fn(&Row) -> SlotRequests| -> Vec<Option<f64>> {
            chunks.iter().map(|rows| metric.share(total(rows, slot))).collect()
        };
        let (canary, stable) = (course(|row| row.cell.canary), course(|row| row.cell.stable));
        let highest = canary.iter().chain(&stable).flatten().copied().fold(0.0, f64::max);
        for (slot, values) in [("canary", canary), ("stable", stable)] {
            let name = format!("{slot} {}", metric.word());
            table.push((
                name,
                sparkline(&values, 0.0, highest),
                format!("0 to {}", percent(highest)),
            ));
        }
    }
    if let Some(comparison) = &report.comparison {
        let latest = |rows: &&[Row]| {
            let point = rows.iter().rev().find_map(|row| row.point.as_ref());
            point.map(|point| point.ln_e)
        };
        let values: Vec<_> = chunks.iter().map(latest).collect();
        let bound = comparison.parameters.bound();
        let lowest = values.iter().flatten().copied().fold(0.0, f64::min);
        let scale = format!("{} to {}, logarithmic", evidence(lowest), evidence(bound));
        table.push(("evidence".to_owned(), sparkline(&values, lowest, bound), scale));
    }
    let widest = table.iter().map(|(name, _, _)| name.chars().count()).max().unwrap_or(0);
    let lines =
        table.iter().map(|(name, bars, scale)| format!("{name:widest$}  {bars}  {scale}\n"));
    lines.collect()
}
