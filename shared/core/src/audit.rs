//! What auditors ask of a deployment, a year later: who, what, when and why, entry by entry.

use serde::Serialize;

use crate::ids::TaskDefinition;
use crate::message::{details, message, paused_for, why};
use crate::people::{LINK_HOLDER, SAID};
use crate::plan::{Plan, StageIndex};
use crate::record::{Deployment, Event, FenceTrigger, Notice};
use crate::rollback::Forced;
use crate::said::unquoted;

/// One entry. Within a major version fields and words are added, and none changes its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, in UTC.
    pub at: String,
    pub deployment: String,
    pub sequence: u32,
    pub cluster: String,
    pub service: String,
    /// The new version, a task definition.
    pub version: TaskDefinition,
    /// The one that served before.
    pub version_before: TaskDefinition,
    /// What happened, as notices name it.
    pub event: &'static str,
    /// The stage that it is about, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<usize>,
    /// Who wanted it; `None`: nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How the name is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// For whom, as they say: who is behind a pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Why they wanted it, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, in a sentence.
    pub what: String,
    /// What was seen, with numbers, or why it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// How it is known who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Known {
    /// AWS, Slack or the stack's issuer says so.
    Proven,
    /// They say so themselves.
    Said,
    /// Whoever had the link: nobody knows who.
    Link,
}

impl Known {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Said => "said",
            Self::Link => "link",
        }
    }
}

/// Who wanted it, how that is known, and why.
struct Wish<'a> {
    by: &'a str,
    known: Known,
    reason: Option<&'a str>,
}

impl<'a> Wish<'a> {
    /// By one of the doors, which write beside a name if nobody but its bearer says it.
    fn of(by: &'a str, reason: Option<&'a str>) -> Self {
        match by.strip_suffix(SAID) {
            Some(by) => Self { by, known: Known::Said, reason },
            None if by == LINK_HOLDER => Self { by, known: Known::Link, reason },
            None => Self { by, known: Known::Proven, reason },
        }
    }

    fn of_start(plan: &'a Plan) -> Option<Self> {
        let reason = plan.reason.as_deref();
        let of = |by: &'a String, known| Self { by, known, reason };
        let proven = plan.starter.as_ref().map(|by| of(by, Known::Proven));
        proven.or_else(|| plan.started_by.as_ref().map(|by| of(by, Known::Said)))
    }

    /// Who has ended it.
    fn of_end(deployment: &'a Deployment) -> Option<Self> {
        let fence = deployment.fence.as_ref()?;
        match &fence.trigger {
            FenceTrigger::Operator(by) => {
                // The cause of the failure is told as theirs; without a reason it is another sentence.
                let cause = fence.failure.cause.strip_prefix(by.as_str());
                Some(Self::of(by, cause.and_then(|cause| cause.strip_prefix(": ")).map(unquoted)))
            }
            FenceTrigger::Alarm(_)
            | FenceTrigger::StateMachine
            | FenceTrigger::ExecutionEnd
            | FenceTrigger::Sweep => None,
        }
    }
}

/// The entry of a notice.
pub fn entry(notice: &Notice, deployment: &Deployment) -> Entry {
    let plan = &deployment.plan;
    let (stage, wish, evidence) = about(&notice.event, deployment);
    let proven = notice.event == Event::Started && plan.starter.is_some();
    let on_behalf_of =
        plan.started_by.clone().filter(|said| proven && plan.starter.as_ref() != Some(said));
    Entry {
        at: notice.at.to_string(),
        deployment: notice.deployment.to_string(),
        sequence: notice.sequence,
        cluster: plan.cluster.short().to_owned(),
        service: plan.service.to_string(),
        version: plan.task_definition.clone(),
        version_before: plan.stable.task_definition.clone(),
        event: notice.event.name(),
        stage: stage.map(|stage| stage.0 + 1),
        by: wish.as_ref().map(|wish| wish.by.to_owned()),
        known: wish.as_ref().map(|wish| wish.known),
        on_behalf_of,
        reason: wish.and_then(|wish| wish.reason.map(str::to_owned)),
        what: message(notice, deployment).headline,
        evidence,
    }
}

/// The stage that an event is about, who wanted it, and what was seen. Of what somebody wanted, their words stand with
/// who they are.
fn about<'a>(
    event: &'a Event,
    deployment: &'a Deployment,
) -> (Option<StageIndex>, Option<Wish<'a>>, Vec<String>) {
    match event {
        Event::Started => (None, Wish::of_start(&deployment.plan), Vec::new()),
        Event::Decided { stage, decision, .. } => {
            (Some(*stage), Some(Wish::of(&decision.by, decision.reason.as_deref())), Vec::new())
        }
        Event::Promoted { stage, promotion } => {
            (Some(*stage), Some(Wish::of(&promotion.by, Some(&promotion.reason))), Vec::new())
        }
        Event::Paused { stage, pause } => {
            (Some(*stage), Some(Wish::of(&pause.by, pause.reason.as_deref())), Vec::new())
        }
        Event::Resumed { stage, by, reason, lasted } => {
            (Some(*stage), Some(Wish::of(by, reason.as_deref())), vec![paused_for(*lasted)])
        }
        Event::RetirementHastened { by, .. } => (None, Some(Wish::of(by, None)), Vec::new()),
        Event::TrafficRestored { forced: Some(Forced::Operator(by)), .. } => {
            (None, Some(Wish::of(by, None)), details(event))
        }
        Event::TrafficRestored { forced: Some(Forced::Plan) | None, .. }
        | Event::Abandoned { .. } => (None, Wish::of_end(deployment), details(event)),
        Event::RolledBack { failure } => (None, Wish::of_end(deployment), vec![why(failure)]),
        Event::ApprovalNeeded { stage, judged, .. } => (Some(*stage), None, judged.clone()),
        Event::Shifted { stage }
        | Event::Waiting { stage, .. }
        | Event::OutsideWindows { stage, .. }
        | Event::CheckAlert { stage, .. }
        | Event::StageHeld { stage, .. }
        | Event::NotPromoted { stage, .. } => (Some(*stage), None, details(event)),
        Event::Validated { good, .. } => {
            let good = good.iter().map(|text| format!("as it must be: {text}"));
            (None, None, good.chain(details(event)).collect())
        }
        Event::ForeignChange { .. }
        | Event::RouteInOrder { .. }
        | Event::RollbackHeld
        | Event::SteppingBack { .. }
        | Event::RollbackOverdue { .. }
        | Event::ScalingChanged { .. }
        | Event::ScalingNotSet { .. }
        | Event::Succeeded
        | Event::Retired
        | Event::RetirementPostponed
        | Event::StillReached { .. }
        | Event::Undelivered { .. } => (None, None, details(event)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureCode};
    use crate::fixtures::{NOW, deployment};
    use crate::record::{Decision, Fence};

    fn notice(event: Event) -> Notice {
        Notice { deployment: deployment().id, sequence: 7, at: NOW, event }
    }

    fn decided(by: &str) -> Event {
        let (reason, groups) = (Some("graphs are fine".to_owned()), Vec::new());
        let decision = Decision { approved: true, by: by.to_owned(), at: NOW, reason, groups };
        Event::Decided { stage: StageIndex(1), decision, lacking: 0 }
    }

    #[test]
    fn an_entry_says_who_wanted_what_and_how_that_is_known() {
        for (by, known, name) in [
            (
                "arn:aws:iam::111122223333:user/ada",
                Known::Proven,
                "arn:aws:iam::111122223333:user/ada",
            ),
            ("slack:T0/U1", Known::Proven, "slack:T0/U1"),
            (LINK_HOLDER, Known::Link, LINK_HOLDER),
            ("ada, as they say", Known::Said, "ada"),
        ] {
            let found = entry(&notice(decided(by)), &deployment());
            assert_eq!((found.by.as_deref(), found.known), (Some(name), Some(known)), "{by}");
            assert_eq!(found.reason.as_deref(), Some("graphs are fine"));
            assert_eq!((found.stage, found.event, found.sequence), (Some(2), "decided", 7));
        }
    }

    #[test]
    fn who_has_started_it_is_proven_or_said() {
        let mut started = deployment();
        (started.plan.starter, started.plan.started_by) = (None, None);
        assert_eq!(entry(&notice(Event::Started), &started).by, None);
        started.plan.started_by = Some("pipeline 7".to_owned());
        let said = entry(&notice(Event::Started), &started);
        assert_eq!((said.by.as_deref(), said.known), (Some("pipeline 7"), Some(Known::Said)));
        started.plan.starter = Some("arn:ada".to_owned());
        started.plan.reason = Some("the basket is broken".to_owned());
        let proven = entry(&notice(Event::Started), &started);
        assert_eq!((proven.by.as_deref(), proven.known), (Some("arn:ada"), Some(Known::Proven)));
        assert_eq!(proven.on_behalf_of.as_deref(), Some("pipeline 7"));
        assert_eq!(proven.reason.as_deref(), Some("the basket is broken"));
    }

    #[test]
    fn who_has_ended_it_stands_with_why() {
        let mut ended = deployment();
        let failure = Failure::new(FailureCode::Aborted, "arn:ada: errors in the basket");
        let told = notice(Event::RolledBack { failure: failure.clone() });
        let trigger = FenceTrigger::Operator("arn:ada".to_owned());
        ended.fence = Some(Fence { trigger, failure, at: NOW });
        let found = entry(&told, &ended);
        assert_eq!((found.by.as_deref(), found.known), (Some("arn:ada"), Some(Known::Proven)));
        assert_eq!(found.reason.as_deref(), Some("errors in the basket"));
        assert_eq!(found.evidence, ["Aborted: arn:ada: errors in the basket"]);
        // As it is told since it stands in quotation marks.
        ended.fence.as_mut().unwrap().failure.cause =
            "arn:ada: \"errors in the basket\"".to_owned();
        assert_eq!(entry(&told, &ended).reason.as_deref(), Some("errors in the basket"));
        ended.fence.as_mut().unwrap().trigger = FenceTrigger::StateMachine;
        assert_eq!(entry(&told, &ended).by, None);
    }
}
