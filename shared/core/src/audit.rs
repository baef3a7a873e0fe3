//! What auditors ask of a deployment, a year later: who, what, when and why, entry by entry.

use serde::Serialize;

use crate::ids::TaskDefinition;
use crate::message::{details, message, paused_for, why};
use crate::record::{
    Deployment, Event, FreezeChange, FreezeEntry, Notice, frozen_services as what,
};
use crate::wish::{Known, Wish};

/// One entry. Within a major version fields and words are added, and none changes its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, in UTC.
    pub at: String,
    /// `None`: it is about no deployment, as a freeze is; so are its number, its cluster and its versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Of a freeze, the pattern of its services.
    pub service: String,
    /// The new version, a task definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<TaskDefinition>,
    /// The one that served before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_before: Option<TaskDefinition>,
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

/// The entry of a notice.
pub fn entry(notice: &Notice, deployment: &Deployment) -> Entry {
    let plan = &deployment.plan;
    let wish = Wish::of(&notice.event, deployment);
    let proven = notice.event == Event::Started && plan.starter.is_some();
    let on_behalf_of =
        plan.started_by.clone().filter(|said| proven && plan.starter.as_ref() != Some(said));
    Entry {
        at: notice.at.to_string(),
        deployment: Some(notice.deployment.to_string()),
        sequence: Some(notice.sequence),
        cluster: Some(plan.cluster.short().to_owned()),
        service: plan.service.to_string(),
        version: Some(plan.task_definition.clone()),
        version_before: Some(plan.stable.task_definition.clone()),
        event: notice.event.name(),
        stage: notice.event.stage().map(|stage| stage.0 + 1),
        by: wish.as_ref().map(|wish| wish.by.to_owned()),
        known: wish.as_ref().map(|wish| wish.known),
        on_behalf_of,
        reason: wish.and_then(|wish| wish.reason.map(str::to_owned)),
        what: message(notice, deployment).headline,
        evidence: evidence(&notice.event),
    }
}

/// The entry of what was frozen or thawed, of whatever deployments.
pub fn entry_of_freeze(entry: &FreezeEntry) -> Entry {
    let FreezeEntry { at, services, by, reason, change } = entry;
    let evidence = match change {
        FreezeChange::Frozen { until } => until.map(|until| format!("until {until}")),
        FreezeChange::Thawed { lasted } => Some(format!("it was frozen for {lasted}")),
    };
    Entry {
        at: at.to_string(),
        deployment: None,
        sequence: None,
        cluster: None,
        service: services.clone(),
        version: None,
        version_before: None,
        event: change.name(),
        stage: None,
        by: Some(by.clone()),
        known: Some(Known::Proven),
        on_behalf_of: None,
        reason: reason.clone(),
        what: match change {
            FreezeChange::Frozen { .. } => format!("{by} has frozen {}", what(services)),
            FreezeChange::Thawed { .. } => format!("{by} has thawed {}", what(services)),
        },
        evidence: evidence.into_iter().collect(),
    }
}

/// What was seen. Of what somebody wanted, their words stand with who they are.
fn evidence(event: &Event) -> Vec<String> {
    match event {
        Event::Started
        | Event::Decided { .. }
        | Event::Promoted { .. }
        | Event::Paused { .. }
        | Event::RetirementHastened { .. } => Vec::new(),
        Event::Resumed { lasted, .. } => vec![paused_for(*lasted)],
        Event::RolledBack { failure } => vec![why(failure)],
        Event::ApprovalNeeded { judged, .. } => judged.clone(),
        Event::Validated { good, .. } => {
            let good = good.iter().map(|text| format!("as it must be: {text}"));
            good.chain(details(event)).collect()
        }
        Event::TrafficRestored { .. }
        | Event::Abandoned { .. }
        | Event::Shifted { .. }
        | Event::Waiting { .. }
        | Event::OutsideWindows { .. }
        | Event::Frozen { .. }
        | Event::CheckAlert { .. }
        | Event::StageHeld { .. }
        | Event::NotPromoted { .. }
        | Event::ForeignChange { .. }
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
        | Event::Drifted { .. }
        | Event::Undelivered { .. } => details(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureCode};
    use crate::fixtures::{NOW, deployment};
    use crate::people::LINK_HOLDER;
    use crate::plan::StageIndex;
    use crate::record::{Decision, Fence, FenceTrigger};

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
            assert_eq!((found.stage, found.event, found.sequence), (Some(2), "decided", Some(7)));
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
