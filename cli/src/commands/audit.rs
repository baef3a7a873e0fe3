//! `glidepath audit`: who did what, when and why, of all deployments of a time.

use std::io::Write;

use futures_util::{StreamExt, TryStreamExt, stream};
use glidepath_aws::clock::System;
use glidepath_core::audit::{Entry, entry, entry_of_freeze, json_lines};
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::Deployment;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clock, PortError, PortResult, Recent, Registry};

use crate::connection::Options;
use crate::filter::Filter;
use crate::stopped::Stopped;

const DAY: Span = Span::from_secs(86_400);

/// How many timelines are read at a time.
const AT_A_TIME: usize = 16;

/// Columns of the CSV.
const COLUMNS: [&str; 15] = [
    "at",
    "deployment",
    "sequence",
    "cluster",
    "service",
    "version",
    "versionBefore",
    "event",
    "stage",
    "by",
    "known",
    "onBehalfOf",
    "reason",
    "what",
    "evidence",
];

/// Show who did what, when, why and on what evidence, of every deployment that was started in a time
///
/// What was frozen and thawed in that time is among it. Each entry is kept for 400 days.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// From when on deployments were started: a day (2026-11-01, in UTC) or an instant (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = day_or_instant)]
    from: Moment,
    /// Until when: to the end of that day, or before that instant; until now without it
    #[arg(long, value_name = "TIME", value_parser = day_or_instant)]
    to: Option<Moment>,
    /// Only deployments of this service, and nothing of what was frozen
    #[arg(long)]
    service: Option<String>,
    /// Print JSON: one object a line for each entry
    #[arg(long)]
    json: bool,
    /// Print CSV: one row for each entry, below a row of names
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// A day or an instant, as somebody has written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    begins: Timestamp,
    is_day: bool,
}

fn day_or_instant(text: &str) -> Result<Moment, String> {
    let day = Timestamp::parse(&format!("{text}T00:00:00Z"));
    let moment = match day {
        Some(begins) => Some(Moment { begins, is_day: true }),
        None => Timestamp::parse(text).map(|begins| Moment { begins, is_day: false }),
    };
    moment.ok_or_else(|| {
        "it is neither a day (2026-11-01) nor an instant (2026-11-01T12:00:00Z)".to_owned()
    })
}

impl Arguments {
    /// From when on, and before when.
    fn range(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Stopped> {
        let before = match self.to {
            Some(Moment { begins, is_day: true }) => begins + DAY,
            Some(Moment { begins, is_day: false }) => begins,
            None => now,
        };
        if before <= self.from.begins {
            return Err(Stopped::Unusable {
                message: format!("nothing is from {} on and before {before}", self.from.begins),
                hint: "`--from` is the earlier one".to_owned(),
            });
        }
        Ok((self.from.begins, before))
    }

    fn filter(&self) -> Filter<'_> {
        Filter { service: self.service.as_deref(), failed: false }
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let (from, before) = arguments.range(System::default().now())?;
    let connection = options.connect().await?;
    let registry = &connection.ports.registry;
    let found = registry.started(from, before).await?;
    let mut told = told(registry, &found, arguments.filter()).await?;
    if arguments.service.is_none() {
        let frozen = registry.freeze_entries(from, before).await?;
        told.entries.extend(frozen.iter().map(entry_of_freeze));
    }
    let text = if arguments.csv {
        as_csv(&told.entries)?
    } else if arguments.json {
        json_lines(&told.entries)
    } else {
        shown(&told.entries)
    };
    write!(output, "{text}")?;
    output.flush()?;
    // Whoever relies on it must not take what lacks something for everything.
    let lacking = found.unreadable.keys().chain(&told.incomplete);
    Stopped::unreadable(lacking, " whole, so entries are missing above").map_or(Ok(()), Err)
}

/// What is known of the deployments that are asked for.
#[derive(Debug, Default)]
struct Told {
    /// The oldest deployment first.
    entries: Vec<Entry>,
    /// Those of which an entry cannot be read, or is kept no more.
    incomplete: Vec<DeploymentId>,
}

async fn told(registry: &impl Registry, found: &Recent, asked: Filter<'_>) -> PortResult<Told> {
    let deployments = found.deployments.iter().rev().filter(|deployment| asked.takes(deployment));
    let read = stream::iter(deployments)
        .map(async |deployment: &Deployment| {
            Ok::<_, PortError>((deployment, registry.notices(&deployment.id).await?))
        })
        .buffered(AT_A_TIME);
    let read: Vec<_> = read.try_collect().await?;
    let mut told = Told::default();
    for (deployment, notices) in &read {
        // Notices are counted without gaps, and one may have been added since.
        let known = notices.iter().filter(|told| told.notice.sequence <= deployment.notices);
        if known.count() < usize::try_from(deployment.notices).unwrap_or(usize::MAX) {
            told.incomplete.push(deployment.id.clone());
        }
        told.entries.extend(notices.iter().map(|told| entry(&told.notice, deployment)));
    }
    Ok(told)
}

fn as_csv(entries: &[Entry]) -> std::io::Result<String> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(COLUMNS)?;
    for entry in entries {
        let row = [
            entry.at.clone(),
            entry.deployment.clone().unwrap_or_default(),
            entry.sequence.map(|sequence| sequence.to_string()).unwrap_or_default(),
            entry.cluster.clone().unwrap_or_default(),
            entry.service.clone(),
            entry.version.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.version_before.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.event.to_owned(),
            entry.stage.map(|stage| stage.to_string()).unwrap_or_default(),
            entry.by.clone().unwrap_or_default(),
            entry.known.map(|known| known.name().to_owned()).unwrap_or_default(),
            entry.on_behalf_of.clone().unwrap_or_default(),
            entry.reason.clone().unwrap_or_default(),
            entry.what.clone(),
            entry.evidence.join("; "),
        ];
        rows.write_record(row.iter().map(|cell| harmless(cell)))?;
    }
    let bytes = rows.into_inner().map_err(|error| error.into_error())?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// As text for a spreadsheet, which would take a reason that begins as a formula for one, whatever the width of its first
/// character and whatever space is before it.
fn harmless(cell: &str) -> String {
    let formula = cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if formula { format!("'{cell}") } else { cell.to_owned() }
}

fn shown(entries: &[Entry]) -> String {
    let line = |entry: &Entry| {
        let Entry { at, deployment, what, by, known, on_behalf_of, reason, evidence, .. } = entry;
        let whom = on_behalf_of.as_ref().map(|whom| format!(" for {whom}")).unwrap_or_default();
        let by =
            by.iter().zip(known).map(|(by, known)| format!("by {by}{whom} ({})", known.name()));
        let reason = reason.iter().map(|reason| format!("because: {reason}"));
        let more = by.chain(reason).chain(evidence.iter().cloned());
        let more: String = more
            .flat_map(|more| more.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>())
            .collect();
        let deployment = deployment.as_deref().unwrap_or("-");
        format!("{at}  {deployment}  {what}\n{more}")
    };
    entries.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use glidepath_core::record::{Decision, Event, Notice};
    use glidepath_engine::ports::OutboxEntry;
    use glidepath_engine::testing::MemoryRegistry;

    use super::*;
    use crate::fixtures::{self, NOW};

    fn asked(from: &str, to: Option<&str>) -> Arguments {
        let moment = |text: &str| day_or_instant(text).unwrap();
        let (from, to) = (moment(from), to.map(moment));
        Arguments { from, to, service: None, json: false, csv: false }
    }

    #[test]
    fn a_day_is_whole_and_an_instant_is_not() {
        let range = |from, to| {
            let range = asked(from, to).range(NOW).unwrap();
            (range.0.to_string(), range.1.to_string())
        };
        let of = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            range("2026-11-01", Some("2026-11-01")),
            of("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
        );
        assert_eq!(
            range("2026-11-01T09:30:00+01:00", Some("2026-11-01T12:00:00Z")),
            of("2026-11-01T08:30:00Z", "2026-11-01T12:00:00Z")
        );
        assert_eq!(range("2026-11-01", None), of("2026-11-01T00:00:00Z", &NOW.to_string()));
        assert!(asked("2026-11-02", Some("2026-11-01")).range(NOW).is_err());
        for odd in ["yesterday", "2026-13-01", "2026-11", ""] {
            assert!(day_or_instant(odd).is_err(), "{odd}");
        }
    }

    /// A deployment with an approval whose reason is odd, in a registry.
    async fn example(reason: &str) -> Told {
        let registry = MemoryRegistry::default();
        let deployment = Deployment { notices: 3, ..fixtures::succeeded() };
        let (reason, by) = (Some(reason.to_owned()), "arn:aws:iam::111122223333:user/ada");
        let decision =
            Decision { approved: true, by: by.to_owned(), at: NOW, reason, groups: Vec::new() };
        let stage = glidepath_core::plan::StageIndex(1);
        for (sequence, event) in
            [Event::Started, Event::Decided { stage, decision, lacking: 0 }, Event::Succeeded]
                .into_iter()
                .enumerate()
        {
            let sequence = u32::try_from(sequence).unwrap() + 1;
            let id = deployment.id.clone();
            let notice = Notice { deployment: id, sequence, at: NOW, event };
            registry.items().notices.push(OutboxEntry {
                notice,
                delivered: Vec::new(),
                refused: Vec::new(),
                posted: BTreeMap::new(),
                due: false,
            });
        }
        let found = Recent { deployments: vec![deployment], ..Recent::default() };
        let of = |service| Filter { service, failed: false };
        assert!(told(&registry, &found, of(Some("other"))).await.unwrap().entries.is_empty());
        let whole = told(&registry, &found, of(None)).await.unwrap();
        assert!(whole.incomplete.is_empty());
        registry.items().notices.remove(1);
        let lacking = told(&registry, &found, of(None)).await.unwrap();
        assert_eq!((lacking.entries.len(), lacking.incomplete.len()), (2, 1));
        whole
    }

    #[tokio::test]
    async fn every_entry_is_a_line_of_each_form() {
        let Told { entries, .. } = example("=HYPERLINK(\"https://evil\"), and, more").await;
        assert_eq!(entries.len(), 3);
        let csv = as_csv(&entries).unwrap();
        let mut rows = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(rows.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        let cell = |name: &str| {
            let at = COLUMNS.iter().position(|column| *column == name).unwrap();
            rows[1].get(at).unwrap().to_owned()
        };
        assert_eq!((cell("event").as_str(), cell("stage").as_str()), ("decided", "2"));
        assert_eq!(cell("known"), "proven");
        assert_eq!(cell("reason"), "'=HYPERLINK(\"https://evil\"), and, more");
        let lines = json_lines(&entries);
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // The same names in both.
        for line in &lines {
            let names = line.as_object().unwrap().keys();
            assert!(names.into_iter().all(|name| COLUMNS.contains(&name.as_str())), "{line}");
        }
        assert_eq!(lines[1]["by"], "arn:aws:iam::111122223333:user/ada");
        let text = shown(&entries);
        assert!(text.contains("    by arn:aws:iam::111122223333:user/ada (proven)\n"), "{text}");
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_compute_is_text() {
        for formula in ["=1", "+1", "-1", "@a", " =1", "\n=1", "\t=1", "＝1"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for plain in ["", "graphs are fine", "1+1", "slack:T0/U1"] {
            assert_eq!(harmless(plain), plain);
        }
    }
}
