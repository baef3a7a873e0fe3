//! What doctor found, as a table and for programs.

use std::fmt::Write;

use glidepath_core::doctor::{Outcome, Row};
use serde_json::json;

use super::{FAINT, STRONG, Tone};

/// One assumption after the other, with what to do below those that do not hold.
pub(crate) fn rows(rows: &[Row]) -> String {
    let widest = |cell: fn(&Row) -> &str| {
        rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or_default()
    };
    let width = widest(|row| &row.assumption).max("ASSUMPTION".len());
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _written = writeln!(
        text,
        "{STRONG}{:<11}{STRONG:#}  {STRONG}{:<width$}{STRONG:#}  {STRONG}SEEN{STRONG:#}",
        "", "ASSUMPTION"
    );
    for Row { assumption, seen, outcome, advice, .. } in rows {
        let (word, tone) = match outcome {
            Outcome::Ok => ("ok", Tone::Good),
            Outcome::NotOk => ("not ok", Tone::Bad),
            Outcome::NotChecked => ("not checked", Tone::Waiting),
        };
        let style = tone.style();
        let _written = writeln!(text, "{style}{word:<11}{style:#}  {assumption:<width$}  {seen}");
        if let Some(advice) = advice {
            let _written = writeln!(text, "{:13}{FAINT}-> {advice}{FAINT:#}", "");
        }
    }
    text
}

/// The same for programs.
pub(crate) fn rows_as_json(rows: &[Row]) -> String {
    format!("{:#}\n", json!({ "rows": rows }))
}

#[cfg(test)]
mod tests {
    use glidepath_core::doctor::{About, versions};

    use super::*;
    use crate::fixtures::same_as_file;

    fn found() -> Vec<Row> {
        let about = About::new("alarm.event", "an alarm closes the fence by EventBridge");
        vec![
            versions(Some("0.1.0"), "0.1.0"),
            about.ok("1.2 s after its state was set"),
            about.not_ok("nothing arrived within 40.0 s", "look whether the rule is enabled"),
            about.not_checked(
                "you may not cloudwatch:PutMetricAlarm",
                "let your identity do `cloudwatch:PutMetricAlarm`",
            ),
        ]
    }

    #[test]
    fn every_assumption_is_shown_with_what_to_do() {
        same_as_file("doctor.txt", &rows(&found()));
        same_as_file("doctor.json", &rows_as_json(&found()));
    }
}
