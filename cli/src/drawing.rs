//! The drawing of a report, in a file.

use std::path::Path;

use glidepath_report::{Report, drawing};

use crate::stopped::Stopped;

pub(crate) fn write_drawing(report: &Report, file: &Path) -> Result<(), Stopped> {
    let drawn = drawing(report)?;
    std::fs::write(file, drawn).map_err(|error| Stopped::Unusable {
        message: format!("cannot write `{}`: {error}", file.display()),
        hint: "--svg takes the name of a file in a directory that exists".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use glidepath_core::time::Span;
    use glidepath_report::Times;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_bad_usage() {
        let report = Report {
            subject: "shop".to_owned(),
            outcome: "it is as it is".to_owned(),
            rows: Vec::new(),
            stages: Vec::new(),
            times: Times::Clock,
            period: Span::from_secs(60),
            comparison: None,
            limit: None,
            minimum_requests: 200,
            slower_than: None,
            end: None,
        };
        let stopped = write_drawing(&report, Path::new("/nowhere/at/all.svg")).unwrap_err();
        assert!(matches!(stopped, Stopped::Unusable { .. }));
    }
}
