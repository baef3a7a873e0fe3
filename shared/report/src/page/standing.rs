//! What has become of a question.

use glidepath_core::link::QuestionLink;
use glidepath_core::record::{Decision, Deployment, Outcome, Phase, Step};
use glidepath_core::said::quoted;
use glidepath_core::time::Timestamp;
use maud::{Markup, html};

use super::said;

/// Whether a question waits for an answer, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Open {
        /// Until then.
        until: Timestamp,
    },
    /// It has one.
    Answered(Decision),
    /// The time for it is up.
    TimeIsUp(Timestamp),
    /// Something else has ended it; in words.
    Over(String),
}

impl Standing {
    /// Of the question that a link leads to.
    pub(super) fn of(deployment: &Deployment, link: &QuestionLink, now: Timestamp) -> Self {
        let progress = &deployment.progress;
        let mut decisions = progress.decisions.iter().rev();
        let answer = decisions.find(|(stage, _)| *stage == link.stage).map(|(_, given)| given);
        let rejected = answer.filter(|answer| !answer.approved);
        match deployment.phase {
            Phase::Open => {}
            _ if rejected.is_some() => return Self::answered(rejected),
            Phase::RollingBack | Phase::Held => {
                return Self::Over(format!("It returns to stable: {}", deployment.reason().cause));
            }
            Phase::Committed | Phase::Closed(Outcome::Succeeded) => {
                return Self::Over("It has succeeded since.".to_owned());
            }
            Phase::Closed(Outcome::RolledBack) => {
                return Self::Over(format!("It was rolled back: {}", deployment.reason().cause));
            }
            Phase::Closed(Outcome::Abandoned) => {
                return Self::Over("It ended before it changed anything.".to_owned());
            }
        }
        if let Some(failure) = &progress.ended_by {
            return Self::Over(format!("It returns to stable: {}", failure.cause));
        }
        match &progress.step {
            Step::Approving { since, until, decision, .. }
                if *since == link.asked_at && progress.stage == link.stage =>
            {
                match decision {
                    Some(decision) => Self::Answered(decision.clone()),
                    None if progress.step.awaits(now) => Self::Open { until: *until },
                    None => Self::TimeIsUp(*until),
                }
            }
            Step::Approving { .. } | Step::Settling { .. } | Step::Baking { .. } => {
                Self::answered(answer)
            }
        }
    }

    fn answered(answer: Option<&Decision>) -> Self {
        let over = || Self::Over("Nobody is asked this any more.".to_owned());
        answer.cloned().map_or_else(over, Self::Answered)
    }

    pub(super) fn headline(&self) -> &'static str {
        match self {
            Self::Open { .. } => "It waits for an answer",
            Self::Answered(decision) if decision.approved => "It was approved",
            Self::Answered(_) => "It was refused",
            Self::TimeIsUp(_) => "The time is up",
            Self::Over(_) => "It is over",
        }
    }

    pub(super) fn text(&self) -> Markup {
        match self {
            Self::Open { until } => html! { "Until " (until) "." },
            Self::Answered(Decision { by, at, reason, .. }) => html! {
                "By " (said(by)) " at " (at) "."
                @if let Some(why) = reason { " Their reason: " (said(&quoted(why))) }
            },
            Self::TimeIsUp(until) => html! { "Nobody can approve it since " (until) "." },
            Self::Over(why) => html! { (said(why)) },
        }
    }
}
