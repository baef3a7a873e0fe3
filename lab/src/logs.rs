//! What the functions logged.

use std::path::Path;

use crate::control::{Control, LogLine};
use crate::error::{Doing, LabResult};

pub(crate) const GROUPS: &str = "/aws/lambda/";

/// One group of logs, line by line.
pub(crate) struct Log {
    group: String,
    lines: Vec<String>,
}

impl Log {
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Its lines in order, each with its stream.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// The logs of every function since a moment in seconds since 1970.
pub(crate) async fn read(control: &Control, since: f64) -> LabResult<Vec<Log>> {
    let groups = control.logs(since).await?.into_iter();
    let of_functions = groups.filter_map(|(name, lines)| {
        let group = name.strip_prefix(GROUPS)?.to_owned();
        let line = |line: LogLine| format!("{} {}", line.stream, line.message.trim_end());
        Some(Log { group, lines: lines.into_iter().map(line).collect() })
    });
    Ok(of_functions.collect())
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
