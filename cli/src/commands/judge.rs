//! `glidepath judge`: what the comparison would have said about a history of one's own. No AWS.

use std::io::Write;
use std::path::{Path, PathBuf};

use glidepath_core::health::sequential::{Parameters, RateRatio, Terms};
use glidepath_core::health::{CEILING, Comparison, SlotRequests, evidence};
use serde_json::{Value, json};

use crate::history::{History, read};
use crate::report::Stopped;

/// Judge a history of requests as a deployment would have been judged, to tune the comparison
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// CSV with the columns cell,stage,canary_requests,canary_bad,stable_requests,stable_bad and, if
    /// wanted, canary_slow,stable_slow; one line for each complete minute, in order; `-` reads it
    /// from the standard input
    file: PathBuf,
    /// How many of the releases that keep within what is allowed may be rolled back, 0 to 0.5
    #[arg(long, value_name = "PROBABILITY", default_value_t = Terms::default().alpha)]
    alpha: f64,
    /// How many minutes have to speak against the canary (fast 2, standard 3, strict 4)
    #[arg(short = 'm', long, value_name = "MINUTES", default_value_t = Terms::default().witnesses)]
    witnesses: u32,
    /// How many times stable's proportion is allowed
    #[arg(short = 'r', long, default_value_t = Terms::default().ratio)]
    ratio: f64,
    /// The proportion that is always allowed, 0 to 0.5
    #[arg(short = 'a', long, value_name = "PROPORTION", default_value_t = Terms::default().floor)]
    floor: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Judges.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Stopped> {
    let history = open(&arguments.file).map_err(|message| Stopped::Unusable {
        message: format!("cannot judge `{}`: {message}", arguments.file.display()),
        hint: "`glidepath judge --help` names the columns".to_owned(),
    })?;
    let Arguments { alpha, witnesses, ratio, floor, .. } = *arguments;
    let terms = Terms { ratio, floor, alpha, witnesses };
    let metrics = if history.slow { 2 } else { 1 };
    let parameters = Parameters::new(terms, history.stages.len(), metrics).map_err(|error| {
        Stopped::Unusable {
            message: error.to_string(),
            hint: "`glidepath judge --help` shows the defaults".to_owned(),
        }
    })?;
    let comparison = Comparison::of(parameters, history.cells.clone());
    let judged = Judged { history, comparison };
    if arguments.json {
        writeln!(output, "{:#}", judged.json())?;
    } else {
        judged.table(output)?;
    }
    Ok(())
}

fn open(file: &Path) -> Result<History, String> {
    if file == Path::new("-") {
        return read(std::io::stdin());
    }
    read(std::fs::File::open(file).map_err(|error| error.to_string())?)
}

struct Judged {
    history: History,
    comparison: Comparison,
}

impl Judged {
    /// The first cell that rolls back, and what does it: gross failure goes before, in one cell.
    fn end(&self) -> Option<(usize, &'static str)> {
        let compared = self.comparison.fails_at().map(|at| (at, "comparison"));
        let gross = self.comparison.breaks_ceiling_at().map(|at| (at, "grossFailure"));
        compared.into_iter().chain(gross).min()
    }

    fn label(&self, at: usize) -> &str {
        self.history.labels.get(at).map_or("", String::as_str)
    }

    fn stage(&self, at: usize) -> &str {
        let cell = self.history.cells.get(at);
        let stage = cell.and_then(|cell| self.history.stages.get(cell.stage.0));
        stage.map_or("", String::as_str)
    }

    fn table(&self, output: &mut impl Write) -> std::io::Result<()> {
        let slow = self.history.slow;
        let mut rows = vec![heading(slow)];
        for (at, (cell, point)) in
            self.history.cells.iter().zip(&self.comparison.points).enumerate()
        {
            let mut row = vec![self.label(at).to_owned(), self.stage(at).to_owned()];
            row.extend([cell.canary, cell.stable].map(|slot| of(slot.bad, slot)));
            if slow {
                let slow =
                    |slot: SlotRequests| slot.slow.map_or("-".to_owned(), |slow| of(slow, slot));
                row.extend([cell.canary, cell.stable].map(slow));
            }
            row.extend([evidence(point.ln_e), point.witnesses.to_string()]);
            if let Some((_, what)) = self.end().filter(|(end, _)| *end == at) {
                let why = if what == "comparison" { "rolls back" } else { "gross failure" };
                row.push(format!("<- {why}"));
            }
            rows.push(row);
        }
        write_rows(&rows, output)?;
        writeln!(output)?;
        writeln!(output, "{}", self.sentence())?;
        writeln!(output, "bad requests: {}", self.comparison.bad)?;
        if let Some(slow) = &self.comparison.slow {
            writeln!(output, "slow requests: {slow}")?;
        }
        Ok(())
    }

    fn sentence(&self) -> String {
        let needed = evidence(self.comparison.parameters.bound());
        let witnesses = self.comparison.parameters.witnesses();
        match self.end() {
            Some((at, "comparison")) => {
                let point = self.comparison.points.get(at);
                let (sum, cells) = point.map_or((0.0, 0), |point| (point.ln_e, point.witnesses));
                format!(
                    "rolls back at cell {} in stage {}: evidence {} of {needed}, and {cells} of \
                     {witnesses} cells speak against the canary",
                    self.label(at),
                    self.stage(at),
                    evidence(sum),
                )
            }
            Some((at, _)) => format!(
                "rolls back at cell {} in stage {}: gross failure, {CEILING} of its canary \
                 requests or more are bad",
                self.label(at),
                self.stage(at),
            ),
            None => {
                let sum = self.comparison.latest().map_or(0.0, |point| point.ln_e);
                let cells = self.comparison.latest().map_or(0, |point| point.witnesses);
                format!(
                    "does not roll back: evidence {} of {needed}, and {cells} of {witnesses} cells \
                     speak against the canary",
                    evidence(sum),
                )
            }
        }
    }

    fn json(&self) -> Value {
        let parameters = &self.comparison.parameters;
        let cells: Vec<_> = self
            .comparison
            .points
            .iter()
            .enumerate()
            .map(|(at, point)| {
                json!({
                    "cell": self.label(at),
                    "stage": self.stage(at),
                    "log10E": point.log10_e(),
                    "witnesses": point.witnesses,
                    "fails": point.fails,
                })
            })
            .collect();
        let end = self.end().map(
            |(at, why)| json!({ "cell": self.label(at), "stage": self.stage(at), "why": why }),
        );
        json!({
            "alpha": parameters.alpha(),
            "witnesses": parameters.witnesses(),
            "ratio": parameters.ratio(),
            "floor": parameters.floor(),
            "stages": parameters.stages(),
            "metrics": parameters.metrics(),
            "cells": cells,
            "rollsBack": end,
            "badRequests": interval(&self.comparison.bad),
            "slowRequests": self.comparison.slow.as_ref().map(interval),
        })
    }
}

fn interval(ratio: &RateRatio) -> Value {
    json!({ "timesStable": ratio.estimate, "lower": ratio.lower, "upper": ratio.upper })
}

fn of(part: u64, slot: SlotRequests) -> String {
    format!("{part} of {}", slot.all)
}

fn heading(slow: bool) -> Vec<String> {
    let bad = ["cell", "stage", "canary bad", "stable bad"];
    let slow: &[&str] = if slow { &["canary slow", "stable slow"] } else { &[] };
    let last = ["evidence", "cells against"];
    bad.iter().chain(slow).chain(&last).map(|&name| name.to_owned()).collect()
}

fn write_rows(rows: &[Vec<String>], output: &mut impl Write) -> std::io::Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in rows {
        let aligned = row.iter().enumerate().map(|(column, text)| match widths.get(column) {
            Some(width) => format!("{text:>width$}"),
            None => text.clone(),
        });
        writeln!(output, "{}", aligned.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}
