//! Reads a history of requests as CSV: one line for each complete minute.

use std::collections::BTreeSet;
use std::io::Read;

use glidepath_core::health::{Cell, SlotRequests};
use glidepath_core::plan::StageIndex;
use glidepath_core::time::Timestamp;
use serde::Deserialize;

/// A history that can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// What the file calls each cell.
    pub(crate) labels: Vec<String>,
    /// What it calls each stage, in order.
    pub(crate) stages: Vec<String>,
    /// The cells, in order.
    pub(crate) cells: Vec<Cell>,
    /// Whether slow requests were counted.
    pub(crate) slow: bool,
}

impl History {
    /// The stages in which stable has requests to compare with.
    pub(crate) fn compared(&self) -> BTreeSet<StageIndex> {
        let both = self.cells.iter().filter(|cell| cell.stable.all > 0);
        both.map(|cell| cell.stage).collect()
    }
}

#[derive(Deserialize)]
struct Line {
    cell: String,
    stage: String,
    canary_requests: u64,
    canary_bad: u64,
    stable_requests: u64,
    stable_bad: u64,
    canary_slow: Option<u64>,
    stable_slow: Option<u64>,
}

const REQUIRED: [&str; 6] =
    ["cell", "stage", "canary_requests", "canary_bad", "stable_requests", "stable_bad"];
const SLOW: [&str; 2] = ["canary_slow", "stable_slow"];

/// Reads all of it, or says where the first mistake is.
pub(crate) fn read(input: impl Read) -> Result<History, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    let slow = columns(&headers)?;
    let mut history = History { labels: vec![], stages: vec![], cells: vec![], slow };
    let mut seen = BTreeSet::new();
    for line in reader.deserialize::<Line>() {
        let number = history.cells.len() + 2;
        let line = line.map_err(|error| fault(number, &headers, &error))?;
        if !seen.insert(line.cell.clone()) {
            return Err(format!("line {number}: cell `{}` is there twice", line.cell));
        }
        let stage = stage(&mut history.stages, &line.stage, number)?;
        let slot = |name: &str, all: u64, bad: u64, slow: Option<u64>| {
            for (what, part) in [("bad", Some(bad)), ("slow", slow)] {
                if let Some(part) = part.filter(|part| *part > all) {
                    return Err(format!(
                        "line {number}: {name}_{what} is {part}, of {all} requests"
                    ));
                }
            }
            Ok(SlotRequests { all, bad, slow })
        };
        let minute = i64::try_from(history.cells.len()).unwrap_or(i64::MAX);
        history.cells.push(Cell {
            from: Timestamp::from_millis(minute.saturating_mul(60_000)),
            stage,
            canary: slot("canary", line.canary_requests, line.canary_bad, line.canary_slow)?,
            stable: slot("stable", line.stable_requests, line.stable_bad, line.stable_slow)?,
        });
        history.labels.push(line.cell);
    }
    if history.cells.is_empty() {
        return Err("there is no cell".to_owned());
    }
    Ok(history)
}

/// Whether the file counts slow requests; a column that is not known is a mistake.
fn columns(headers: &csv::StringRecord) -> Result<bool, String> {
    if let Some(missing) = REQUIRED.iter().find(|name| !headers.iter().any(|is| is == **name)) {
        return Err(format!("line 1: the column `{missing}` is missing"));
    }
    let known = |name: &str| REQUIRED.contains(&name) || SLOW.contains(&name);
    if let Some(unknown) = headers.iter().find(|name| !known(name)) {
        return Err(format!("line 1: unknown column `{unknown}`"));
    }
    let slow = SLOW.map(|name| headers.iter().any(|is| is == name));
    match slow {
        [true, true] => Ok(true),
        [false, false] => Ok(false),
        [true, false] => Err("line 1: the column `stable_slow` is missing".to_owned()),
        [false, true] => Err("line 1: the column `canary_slow` is missing".to_owned()),
    }
}

/// The stage's place; stages come one after the other.
fn stage(stages: &mut Vec<String>, name: &str, line: usize) -> Result<StageIndex, String> {
    match stages.iter().position(|known| known == name) {
        Some(known) if known + 1 == stages.len() => Ok(StageIndex(known)),
        Some(_) => Err(format!("line {line}: stage `{name}` begins again after another one")),
        None => {
            stages.push(name.to_owned());
            Ok(StageIndex(stages.len() - 1))
        }
    }
}

fn fault(line: usize, headers: &csv::StringRecord, error: &csv::Error) -> String {
    let kind = error.kind();
    let reason = if let csv::ErrorKind::Deserialize { err, .. } = kind {
        let column = err.field().and_then(|field| headers.get(usize::try_from(field).ok()?));
        let column = column.map_or(String::new(), |column| format!("{column}: "));
        format!("{column}{}; counts are whole numbers from 0", err.kind())
    } else if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = kind {
        format!("{len} fields where the first line has {expected_len}")
    } else {
        error.to_string()
    };
    format!("line {line}: {reason}")
}
