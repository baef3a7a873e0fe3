//! `glidepath judge`: what the comparison would have said about a history of one's own. No AWS.

use std::io::Write;
use std::path::{Path, PathBuf};

use glidepath_core::health::sequential::{Parameters, Terms};
use glidepath_core::health::{CEILING, Comparison, SlotRequests, evidence};
use glidepath_core::time::Span;
use serde_json::{Value, json};

use crate::health_report::{
    Because, End, Report, Row, StageName, Times, by_stage, first_failing, interval, rows,
    write_drawing, write_rows,
};
use crate::history::{History, read};
use crate::report::Stopped;

/// A cell of a history.
const MINUTE: Span = Span::from_secs(60);

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
    /// Draw it, too: an SVG for this file, in light and dark
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
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
    let judged = Judged::of(&arguments.file, history, comparison);
    if let Some(file) = &arguments.svg {
        write_drawing(&judged.report, file)?;
    }
    if arguments.json {
        writeln!(output, "{:#}", judged.json())?;
    } else {
        write!(output, "{}", judged.text())?;
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
    report: Report,
}

impl Judged {
    fn of(file: &Path, history: History, comparison: Comparison) -> Self {
        let cells = history.cells.iter().map(|cell| (*cell, MINUTE)).collect();
        let rows = rows(cells, Some(&comparison));
        let stages = history.stages.iter().enumerate().filter_map(|(place, name)| {
            let first = history.cells.iter().find(|cell| cell.stage.0 == place)?;
            Some(StageName { name: name.clone(), weight: None, from: first.from })
        });
        let failing =
            first_failing(&rows).and_then(|(at, because)| Some((at, because, rows.get(at)?)));
        let end = failing.map(|(at, because, row)| {
            let label = history.labels.get(at).map_or("", String::as_str);
            let why = match because {
                Because::Comparison => "",
                Because::GrossFailure => ", gross failure",
            };
            End { at: row.until(), words: format!("rolled back at cell {label}{why}") }
        });
        let outcome = end.as_ref().map_or("not rolled back", |end| &end.words).to_owned();
        let report = Report {
            subject: file
                .file_name()
                .map_or("-".into(), |name| name.to_string_lossy())
                .into_owned(),
            outcome,
            stages: stages.collect(),
            rows,
            times: Times::Labels(history.labels.clone()),
            period: MINUTE,
            comparison: Some(comparison.clone()),
            limit: None,
            slower_than: None,
            end,
        };
        Self { history, comparison, report }
    }

    /// The first cell that rolls back, and what does it.
    fn end(&self) -> Option<(usize, Because)> {
        first_failing(&self.report.rows)
    }

    fn label(&self, at: usize) -> &str {
        self.history.labels.get(at).map_or("", String::as_str)
    }

    fn stage(&self, at: usize) -> &str {
        let cell = self.history.cells.get(at);
        let stage = cell.and_then(|cell| self.history.stages.get(cell.stage.0));
        stage.map_or("", String::as_str)
    }

    fn text(&self) -> String {
        let Report { rows, .. } = &self.report;
        let slow = self.history.slow;
        let mut lines = vec![heading(slow)];
        lines.extend(rows.iter().enumerate().map(|(at, row)| self.line(at, row)));
        let mut text = format!("{}\n{}\n", write_rows(&lines), by_stage(&self.report));
        text.push_str(&format!("{}\nbad requests: {}\n", self.sentence(), self.comparison.bad));
        if let Some(slow) = &self.comparison.slow {
            text.push_str(&format!("slow requests: {slow}\n"));
        }
        text
    }

    fn line(&self, at: usize, row: &Row) -> Vec<String> {
        let cell = row.cell;
        let mut line = vec![self.label(at).to_owned(), self.stage(at).to_owned()];
        line.extend([cell.canary, cell.stable].map(|slot| of(slot.bad, slot)));
        if self.history.slow {
            let slow = |slot: SlotRequests| slot.slow.map_or("-".to_owned(), |slow| of(slow, slot));
            line.extend([cell.canary, cell.stable].map(slow));
        }
        if let Some(point) = &row.point {
            line.extend([evidence(point.ln_e), point.witnesses.to_string()]);
        }
        if let Some((_, because)) = self.end().filter(|(end, _)| *end == at) {
            line.push(match because {
                Because::Comparison => "<- rolls back".to_owned(),
                Because::GrossFailure => "<- gross failure".to_owned(),
            });
        }
        line
    }

    fn sentence(&self) -> String {
        let needed = evidence(self.comparison.parameters.bound());
        let witnesses = self.comparison.parameters.witnesses();
        match self.end() {
            Some((at, Because::Comparison)) => {
                let point = self.comparison.points.get(at);
                let (sum, cells) = point.map_or((0.0, 0), |point| (point.ln_e, point.witnesses));
                format!(
                    "rolls back at cell {} in stage {}: evidence {} ({needed} are needed), and \
                     {cells} cells ({witnesses} are needed) speak against the canary",
                    self.label(at),
                    self.stage(at),
                    evidence(sum),
                )
            }
            Some((at, Because::GrossFailure)) => format!(
                "rolls back at cell {} in stage {}: gross failure, {CEILING} of its canary \
                 requests or more are bad",
                self.label(at),
                self.stage(at),
            ),
            None => {
                let sum = self.comparison.latest().map_or(0.0, |point| point.ln_e);
                let cells = self.comparison.latest().map_or(0, |point| point.witnesses);
                format!(
                    "does not roll back: evidence {} ({needed} are needed), and {cells} cells \
                     ({witnesses} are needed) speak against the canary",
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
            |(at, because)| json!({ "cell": self.label(at), "stage": self.stage(at), "why": why(because) }),
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

/// For programs.
const fn why(because: Because) -> &'static str {
    match because {
        Because::Comparison => "comparison",
        Because::GrossFailure => "grossFailure",
    }
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
