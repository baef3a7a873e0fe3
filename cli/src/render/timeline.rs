//! Entries of a timeline, in the words that people were told.

use std::fmt::Write;

use glidepath_core::message::{Message, details, message};
use glidepath_core::record::{Concern, Deployment, Event, Notice};
use glidepath_core::time::Timestamp;
use glidepath_core::urgency::Urgency;

use super::moment::distance;
use super::{FAINT, Tone};
use crate::next_command::Commands;

/// Width of an instant with the space behind it: details stand below their headline.
const INDENT: usize = 22;

/// What happened, without the service's name: whoever reads it asked for this deployment.
pub(super) fn headline(notice: &Notice, deployment: &Deployment) -> String {
    let Message { headline, .. } = message(notice, deployment);
    headline.replacen(&format!("{}: ", deployment.plan.service), "", 1)
}

/// All entries with their ages, for somebody who looks back.
pub(super) fn timeline(notices: &[Notice], deployment: &Deployment, now: Timestamp) -> String {
    let ages: Vec<_> = notices.iter().map(|notice| distance(notice.at, now)).collect();
    let width = ages.iter().map(String::len).max().unwrap_or_default();
    let entries = notices.iter().zip(&ages).map(|(notice, age)| {
        let time = format!("{}  {FAINT}{age:width$}{FAINT:#}", notice.at);
        told(notice, deployment, &details(&notice.event), &time, INDENT + width + 2)
    });
    entries.collect()
}

/// One entry for somebody who watches: with everything that was told, where they must act.
pub(crate) fn followed(notice: &Notice, deployment: &Deployment, commands: &Commands) -> String {
    let act = match notice.event.concern() {
        Concern::Question | Concern::Hold | Concern::WeakStable => true,
        Concern::News | Concern::Wait => false,
    };
    let lines = if act {
        message(notice, deployment).with_options(&commands.options()).texts().collect()
    } else {
        details(&notice.event)
    };
    told(notice, deployment, &lines, &notice.at.to_string(), INDENT)
}

fn told(
    notice: &Notice,
    deployment: &Deployment,
    lines: &[String],
    time: &str,
    indent: usize,
) -> String {
    let style = match (&notice.event, notice.event.urgency()) {
        (Event::Succeeded, _) => Tone::Good.style(),
        (_, Urgency::Page) => Tone::Bad.style().bold(),
        (_, Urgency::Attention) => Tone::Waiting.style(),
        (_, Urgency::Information) => Tone::Plain.style(),
    };
    let headline = headline(notice, deployment);
    let mut text = format!("{time}  {style}{headline}{style:#}\n");
    // A cause of several lines stays below its headline.
    for line in lines.iter().flat_map(|line| line.lines()) {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "{:indent$}{line}", "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW, same_as_file};

    #[test]
    fn every_event_in_words_for_somebody_who_looks_back() {
        let deployment = fixtures::approving();
        let entries = fixtures::every_notice();
        same_as_file("timeline.txt", &timeline(&entries, &deployment, NOW));
    }

    #[test]
    fn whoever_watches_is_told_what_to_type() {
        let deployment = fixtures::approving();
        let entries = fixtures::every_notice();
        let texts =
            entries.iter().map(|notice| followed(notice, &deployment, &Commands::default()));
        same_as_file("followed.txt", &texts.collect::<String>());
    }
}
