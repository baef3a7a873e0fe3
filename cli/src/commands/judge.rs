//! `glidepath judge`: what the comparison would have said about a history of one's own. No AWS.

use std::io::Write;
use std::path::{Path, PathBuf};

use glidepath_core::health::sequential::{Parameters, Terms};
use glidepath_core::health::{CEILING, Comparison, SlotRequests, evidence, is_compared, is_even};
use glidepath_core::plan::{ComparisonPlan, Permille};
use glidepath_core::request::{Health, Sensitivity};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_report::{
    Because, End, Report, Row, StageName, Times, by_stage, first_failing, interval, rows,
    write_rows,
};
use serde_json::{Value, json};

use crate::document::Document;
use crate::drawing::write_drawing;
use crate::request_history::{History, read};
use crate::stopped::Stopped;

/// A cell of a history.
const MINUTE: Span = Span::from_secs(60);

/// Judge a history of requests as a deployment would have been judged, to tune a request
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// CSV with the columns cell,stage,canary_requests,canary_bad,stable_requests,stable_bad and, if
    /// wanted, canary_slow,stable_slow; one line for each complete minute, in order, as `glidepath
    /// report --csv` writes it; `-` reads it from the standard input
    file: PathBuf,
    /// Take everything from this request, the number of its stages too
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Percent of the releases that keep within what is allowed that may be rolled back
    /// [default: 1]
    #[arg(long, value_name = "PERCENT")]
    false_rollbacks: Option<f64>,
    /// How many minutes have to speak against the canary: fast (2), standard (3), strict (4),
    /// adaptive (by how evenly stable's bad requests come), or a number [default: standard]
    #[arg(short = 'm', long, value_name = "WORD")]
    sensitivity: Option<String>,
    /// How many times stable's proportion is allowed [default: 1.25]
    #[arg(short = 'r', long)]
    ratio: Option<f64>,
    /// Percent of bad requests that is always allowed [default: 0.2]
    #[arg(short = 'a', long, value_name = "PERCENT")]
    floor: Option<f64>,
    /// Percent of a stage's requests that may be bad [default: 5]
    #[arg(long, value_name = "PERCENT")]
    limit: Option<f64>,
    /// Canary requests of a stage below which the limit says nothing [default: 200]
    #[arg(long, value_name = "REQUESTS")]
    minimum_requests: Option<u64>,
    /// How many stages the plan compares, those that were not reached too [default: the file's]
    #[arg(long)]
    stages: Option<usize>,
    /// Draw it, too: an SVG for this file, in light and dark
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Stopped> {
    let history = open(&arguments.file).map_err(|message| Stopped::Unusable {
        message: format!("cannot judge `{}`: {message}", arguments.file.display()),
        hint: "`glidepath judge --help` names the columns".to_owned(),
    })?;
    let settings = Settings::of(arguments, &history)?;
    let metrics = if history.slow { 2 } else { 1 };
    let parameters = Parameters::new(settings.terms, settings.stages, metrics).map_err(unusable)?;
    // At 100 % stable has no requests: nothing is compared there.
    let compared = history.compared();
    let cells = history.cells.iter().filter(|cell| compared.contains(&cell.stage));
    let comparison = Comparison::of(parameters, cells.copied().collect());
    let judged = Judged::of(&arguments.file, history, comparison, &settings);
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

fn unusable(error: impl std::fmt::Display) -> Stopped {
    Stopped::Unusable {
        message: error.to_string(),
        hint: "`glidepath judge --help` shows the defaults".to_owned(),
    }
}

/// What a deployment would have judged by.
#[derive(Clone, Copy, Debug)]
struct Settings {
    terms: Terms,
    limit: Permille,
    minimum_requests: u64,
    stages: usize,
}

impl Settings {
    /// The options, over the request, over the defaults of a request.
    fn of(arguments: &Arguments, history: &History) -> Result<Self, Stopped> {
        let request = arguments.request.as_deref().map(|file| Document::read(file)?.request());
        let request = request.transpose()?;
        let health =
            request.as_ref().map_or_else(Health::default, |request| request.health.clone());
        let planned = health.comparison.plan();
        let mut terms = planned.as_ref().map_or(Terms::default(), ComparisonPlan::terms);
        let word = arguments.sensitivity.as_deref();
        let adaptive = match word {
            Some(word) => word == "adaptive",
            None => health.comparison.sensitivity == Sensitivity::Adaptive,
        };
        if let Some(witnesses) = word.map(witnesses).transpose()? {
            terms.witnesses = witnesses;
        }
        if adaptive {
            let stable: Vec<_> = history.cells.iter().map(|cell| cell.stable.bad_tally()).collect();
            let sensitivity =
                if is_even(&stable) { Sensitivity::Fast } else { Sensitivity::Standard };
            terms.witnesses = sensitivity.witnesses().unwrap_or(terms.witnesses);
        }
        terms.alpha = arguments.false_rollbacks.map_or(terms.alpha, |percent| percent / 100.0);
        terms.floor = arguments.floor.map_or(terms.floor, |percent| percent / 100.0);
        terms.ratio = arguments.ratio.unwrap_or(terms.ratio);
        let limit = match arguments.limit {
            Some(percent) => {
                Weight::from_percent(percent).map(|weight| Permille(weight.permille())).ok_or_else(
                    || unusable(format!("the limit {percent} is no percent with one decimal")),
                )?
            }
            None => health.bad_requests.limit.permille(),
        };
        let reached = history.compared().len();
        let planned = request.map(|request| {
            let stages = request.strategy.stages();
            stages.iter().filter(|stage| is_compared(stage.weight)).count()
        });
        let stages = arguments.stages.or(planned).unwrap_or(reached);
        if stages < reached {
            let message = format!("the file compares {reached} stages, and the plan has {stages}");
            return Err(unusable(message));
        }
        let minimum_requests = arguments.minimum_requests.unwrap_or(health.minimum_requests);
        Ok(Self { terms, limit, minimum_requests, stages })
    }
}

/// As a request writes it, or a number; `adaptive` is decided by the history.
fn witnesses(word: &str) -> Result<u32, Stopped> {
    let sensitivity = match word {
        "fast" => Sensitivity::Fast,
        "standard" | "adaptive" => Sensitivity::Standard,
        "strict" => Sensitivity::Strict,
        number => {
            return number.parse().map_err(|_| {
                unusable(format!(
                    "`{word}` is none of fast, standard, strict, adaptive and a number"
                ))
            });
        }
    };
    Ok(sensitivity.witnesses().unwrap_or_default())
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
    /// The first cell that rolls back, and what does it.
    end: Option<(usize, Because)>,
}

impl Judged {
    fn of(file: &Path, history: History, comparison: Comparison, settings: &Settings) -> Self {
        let cells = history.cells.iter().map(|cell| (*cell, MINUTE)).collect();
        let rows = rows(cells, Some(&comparison));
        let stages = history.stages.iter().enumerate().filter_map(|(place, name)| {
            let first = history.cells.iter().find(|cell| cell.stage.0 == place)?;
            Some(StageName { name: name.clone(), weight: None, from: first.from })
        });
        let mut report = Report {
            subject: file
                .file_name()
                .map_or("-".into(), |name| name.to_string_lossy())
                .into_owned(),
            outcome: "not rolled back".to_owned(),
            stages: stages.collect(),
            rows,
            times: Times::Labels(history.labels.clone()),
            period: MINUTE,
            comparison: Some(comparison.clone()),
            limit: Some(settings.limit),
            minimum_requests: settings.minimum_requests,
            slower_than: None,
            end: None,
        };
        let end = first_failing(&report);
        if let Some((at, because, row)) =
            end.and_then(|(at, because)| Some((at, because, report.rows.get(at)?)))
        {
            let label = history.labels.get(at).map_or("", String::as_str);
            let why = match because {
                Because::Comparison => "",
                Because::GrossFailure => ", gross failure",
                Because::Limit => ", the limit",
            };
            let words = format!("rolled back at cell {label}{why}");
            report.outcome.clone_from(&words);
            report.end = Some(End { at: row.until(), words });
        }
        Self { history, comparison, report, end }
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
        if let Some((_, because)) = self.end.filter(|(end, _)| *end == at) {
            line.push(match because {
                Because::Comparison => "<- rolls back".to_owned(),
                Because::GrossFailure => "<- gross failure".to_owned(),
                Because::Limit => "<- over the limit".to_owned(),
            });
        }
        line
    }

    fn sentence(&self) -> String {
        let needed = evidence(self.comparison.parameters.bound());
        let witnesses = self.comparison.parameters.witnesses();
        match self.end {
            Some((at, Because::Comparison)) => {
                let point = self.report.rows.get(at).and_then(|row| row.point.as_ref());
                let (sum, cells) = point.map_or((0.0, 0), |point| (point.ln_e, point.witnesses));
                format!(
                    "rolls back at cell {} in stage {}: evidence {} ({needed} are needed), and \
                     {cells} cells ({witnesses} are needed) speak against the canary",
                    self.label(at),
                    self.stage(at),
                    evidence(sum),
                )
            }
            Some((at, Because::Limit)) => format!(
                "rolls back at cell {} in stage {}: {}",
                self.label(at),
                self.stage(at),
                self.report.over_the_limit(at)
            ),
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
            .report
            .rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((at, row.point.as_ref()?)))
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
        let end = self.end.map(
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
        Because::Limit => "limit",
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
