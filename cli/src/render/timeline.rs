//! Entries of a timeline, in the words that people were told.

use std::fmt::Write;

use glidepath_core::failure::Failure;
use glidepath_core::message::{Message, message};
use glidepath_core::record::{Concern, Deployment, Event, Notice};
use glidepath_core::rollback::Forced;
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

/// Why, where there is more to say than the headline does.
pub(super) fn details(notice: &Notice) -> Vec<String> {
    let why = |failure: &Failure| format!("{}: {}", failure.code, failure.cause);
    match &notice.event {
        Event::Waiting { reasons, against, .. } | Event::StageHeld { reasons, against, .. } => {
            [reasons.as_slice(), against].concat()
        }
        Event::Promoted { promotion, .. } => vec![promotion.reason.clone()],
        Event::Paused { pause, .. } => pause.reason.iter().cloned().collect(),
        Event::Resumed { reason, lasted, .. } => {
            let lasted = format!("it was paused for {lasted}");
            reason.iter().cloned().chain([lasted]).collect()
        }
        Event::NotPromoted { reasons, .. } | Event::CheckAlert { reasons, .. } => reasons.clone(),
        Event::ForeignChange { found } => vec![found.clone()],
        Event::TrafficRestored { failure, overwritten, forced } => {
            let overwritten = overwritten.as_ref();
            let overwritten = overwritten.map(|found| format!("overwritten: {found}"));
            let forced = forced.as_ref().map(|forced| match forced {
                Forced::Operator(person) => format!("forced by {person}"),
                Forced::Plan => "forced by the plan".to_owned(),
            });
            [why(failure)].into_iter().chain(forced).chain(overwritten).collect()
        }
        Event::Abandoned { failure } => vec![why(failure)],
        Event::StillReached { by } => by.iter().map(|route| format!("by {route}")).collect(),
        Event::ScalingChanged { found, .. } => found.clone(),
        Event::ScalingNotSet { why, .. } => vec![why.clone()],
        Event::Validated { bad, unknown, .. } => {
            let bad = bad.iter().map(|text| format!("not as it must be: {text}"));
            bad.chain(unknown.iter().map(|text| format!("not known: {text}"))).collect()
        }
        Event::Undelivered { reason, .. } => vec![format!("Why: {reason}")],
        Event::RetirementHastened { by, was_due_at } => {
            vec![format!("{by} wants it so; they would have been kept until {was_due_at}")]
        }
        Event::Decided { decision, .. } => decision.reason.iter().cloned().collect(),
        Event::Started
        | Event::ApprovalNeeded { .. }
        | Event::Shifted { .. }
        | Event::RouteInOrder { .. }
        | Event::RollbackHeld
        | Event::SteppingBack { .. }
        | Event::RollbackOverdue { .. }
        | Event::Succeeded
        // Told when the traffic was restored.
        | Event::RolledBack { .. }
        | Event::Retired
        | Event::RetirementPostponed => Vec::new(),
    }
}

/// All entries with their ages, for somebody who looks back.
pub(super) fn timeline(notices: &[Notice], deployment: &Deployment, now: Timestamp) -> String {
    let ages: Vec<_> = notices.iter().map(|notice| distance(notice.at, now)).collect();
    let width = ages.iter().map(String::len).max().unwrap_or_default();
    let entries = notices.iter().zip(&ages).map(|(notice, age)| {
        let time = format!("{}  {FAINT}{age:width$}{FAINT:#}", notice.at);
        told(notice, deployment, &details(notice), &time, INDENT + width + 2)
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
        message(notice, deployment).with_options(&commands.options()).lines
    } else {
        details(notice)
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
