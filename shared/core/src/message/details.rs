//! What there is to say of an event besides its headline, for whoever reads a timeline.

use crate::failure::Failure;
use crate::plan::outside_windows;
use crate::record::Event;
use crate::rollback::Forced;
use crate::time::Span;

/// A failure in a line.
pub(crate) fn why(failure: &Failure) -> String {
    format!("{}: {}", failure.code, failure.cause)
}

pub(crate) fn paused_for(lasted: Span) -> String {
    format!("it was paused for {lasted}")
}

/// Why, where there is more to say than the headline does.
pub fn details(event: &Event) -> Vec<String> {
    match event {
        Event::Waiting { reasons, against, .. } | Event::StageHeld { reasons, against, .. } => {
            [reasons.as_slice(), against].concat()
        }
        Event::OutsideWindows { opens_at, .. } => vec![outside_windows(*opens_at)],
        Event::Frozen { freeze, .. } => vec![freeze.in_words()],
        Event::Promoted { promotion, .. } => vec![promotion.reason.clone()],
        Event::Paused { pause, .. } => pause.reason.iter().cloned().collect(),
        Event::Resumed { reason, lasted, .. } => {
            reason.iter().cloned().chain([paused_for(*lasted)]).collect()
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
        Event::Drifted { differences } => differences.clone(),
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
