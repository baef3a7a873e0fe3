//! What the functions logged.

use std::path::Path;

use crate::clients::Clients;
use crate::error::{Doing, LabResult};

const GROUPS: &str = "/aws/lambda/";

/// One group of logs, line by line.
pub(crate) struct Log {
    group: String,
    lines: Vec<String>,
}

impl Log {
    /// The group's name.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Its lines in order, each with its stream.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// The logs of every function since a moment in seconds since 1970.
pub(crate) async fn read(clients: &Clients, since: f64) -> LabResult<Vec<Log>> {
    let doing = "reading the functions' logs";
    let groups = clients.logs.describe_log_groups().log_group_name_prefix(GROUPS).send();
    let mut logs = Vec::new();
    for group in groups.await.doing(doing)?.log_groups.unwrap_or_default() {
        let Some(name) = group.log_group_name else { continue };
        let mut lines = Vec::new();
        let mut token = None;
        loop {
            let page = clients.logs.filter_log_events().log_group_name(&name).limit(10_000);
            let page = page.start_time(milliseconds(since)).set_next_token(token);
            let page = page.send().await.doing(doing)?;
            lines.extend(page.events.unwrap_or_default().into_iter().filter_map(|event| {
                let stream = event.log_stream_name.unwrap_or_default();
                event.message.map(|message| format!("{stream} {}", message.trim_end()))
            }));
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        logs.push(Log { group: name.trim_start_matches(GROUPS).to_owned(), lines });
    }
    Ok(logs)
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

/// Writes one file for each group.
pub(crate) fn keep(logs: &[Log], into: &Path) -> LabResult<()> {
    std::fs::create_dir_all(into).doing(format!("cannot make {}", into.display()))?;
    for log in logs {
        let path = into.join(format!("{}.log", log.group));
        std::fs::write(&path, log.lines.join("\n"))
            .doing(format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Lines that tell of something wrong, each with its group.
pub(crate) fn errors(logs: &[Log]) -> Vec<String> {
    const SIGNS: [&str; 4] = ["\"level\":\"ERROR\"", "\"level\":\"WARN\"", "panicked", "errorType"];
    let wrong = |line: &&String| SIGNS.iter().any(|sign| line.contains(sign));
    logs.iter()
        .flat_map(|log| log.lines.iter().filter(wrong).map(|line| format!("{}: {line}", log.group)))
        .collect()
}
