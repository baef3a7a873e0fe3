//! What auditors ask of a deployment, a year later: who, what, when and why, entry by entry.

use serde::Serialize;
use serde_json::json;

use crate::ids::{DeploymentId, ServiceLabel, TaskDefinition};
use crate::message::{details, message, paused_for, why};
use crate::record::{
    Deployment, Event, FreezeChange, FreezeEntry, Notice, frozen_services as what,
};
use crate::time::Timestamp;
use crate::wish::{Known, Wish};

/// What every document that is kept is below of, in the bucket.
pub const KEPT_BELOW: &str = "glidepath/";

/// Most characters of a service's label in the key of a document, which has room for 1,024 bytes.
const LONGEST_LABEL: usize = 80;

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

/// Entries as `glidepath audit --json` prints them and documents keep them: one object a line.
pub fn json_lines(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("{}\n", json!(entry))).collect()
}

/// What is kept of a deployment for longer than the registry has it: with the end everything that led to it, and
/// afterwards each entry by itself. So nothing is lost that comes later and nothing is twice, and what is once written
/// never has to change: in the order of their keys the documents are what `glidepath audit --json` prints of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// When the deployment ended: all that is kept of it stands below that day.
    ended_at: Timestamp,
    /// Several accounts may share a bucket.
    account: String,
    service: ServiceLabel,
    deployment: DeploymentId,
    /// Of the last entry in it.
    sequence: u32,
    text: String,
}

impl Document {
    /// What is kept with the last of a deployment's first notices; nothing before its end.
    pub fn of(deployment: &Deployment, notices: &[&Notice]) -> Option<Self> {
        let (last, before) = notices.split_last()?;
        let ended_before = before.iter().find(|notice| notice.event.terminal());
        let (ended, kept) = match ended_before {
            Some(ended) => (*ended, std::slice::from_ref(last)),
            None => (*last, notices),
        };
        if !ended.event.terminal() {
            return None;
        }
        let entries: Vec<_> = kept.iter().map(|notice| entry(notice, deployment)).collect();
        let account = deployment.execution.as_str().split(':').nth(4).unwrap_or_default();
        Some(Self {
            ended_at: ended.at,
            account: account.to_owned(),
            service: deployment.plan.service.clone(),
            deployment: deployment.id.clone(),
            sequence: last.sequence,
            text: json_lines(&entries),
        })
    }

    /// Its key in the bucket: by the day of the end in UTC, then by whose it is. Documents of one deployment differ in
    /// the number of the last entry, which sorts as it counts.
    pub fn key(&self, stack: &str) -> String {
        let Self { ended_at, account, service, deployment, sequence, text: _ } = self;
        let day = ended_at.to_string();
        let day = day.get(.."2026-12-01".len()).unwrap_or(&day).replace('-', "/");
        let service = plain(service.as_str());
        format!("{KEPT_BELOW}{day}/{account}/{stack}/{service}/{deployment}.{sequence:06}.jsonl")
    }

    /// One object a line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A label as one part of a key: it may be any text, and what it is exactly every entry says.
fn plain(label: &str) -> String {
    let kept = |character: char| {
        if character.is_alphanumeric() || "-_.".contains(character) { character } else { '_' }
    };
    label.chars().take(LONGEST_LABEL).map(kept).collect()
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
    use crate::ids::ExecutionArn;
    use crate::link::QuestionLink;
    use crate::people::LINK_HOLDER;
    use crate::plan::StageIndex;
    use crate::record::{Decision, Fence, FenceTrigger, Step};

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

    /// A timeline of these events.
    fn timeline(events: Vec<Event>) -> Vec<Notice> {
        let notices = (1..).zip(events).map(|(sequence, event)| Notice {
            deployment: deployment().id,
            sequence,
            at: NOW,
            event,
        });
        notices.collect()
    }

    /// What is kept with each notice, by its key.
    fn kept(deployment: &Deployment, notices: &[Notice]) -> Vec<Option<(String, String)>> {
        let notices: Vec<_> = notices.iter().collect();
        let kept = (1..=notices.len()).map(|first| {
            let document = Document::of(deployment, &notices[..first])?;
            Some((document.key("glidepath"), document.text().to_owned()))
        });
        kept.collect()
    }

    #[test]
    fn what_is_kept_one_after_the_other_is_everything_once() {
        let deployment = deployment();
        let notices = timeline(vec![
            Event::Started,
            Event::Succeeded,
            Event::RetirementHastened { by: "arn:ada".to_owned(), was_due_at: NOW },
            Event::Retired,
        ]);
        let documents = kept(&deployment, &notices);
        assert_eq!(documents[0], None, "nothing has ended");
        let documents: Vec<_> = documents.into_iter().flatten().collect();
        let entries: Vec<_> = notices.iter().map(|notice| entry(notice, &deployment)).collect();
        let (mut keys, texts): (Vec<_>, Vec<_>) = documents.into_iter().unzip();
        assert_eq!(texts.concat(), json_lines(&entries));
        assert_eq!(texts.iter().map(|text| text.lines().count()).collect::<Vec<_>>(), [2, 1, 1]);
        // As a list of the bucket shows them.
        let in_order = keys.clone();
        keys.sort();
        keys.dedup();
        assert_eq!(keys, in_order);
    }

    #[test]
    fn a_key_sorts_by_the_day_of_the_end_and_names_whose_it_is() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let document = Document {
            // Early in the evening of the day before, in New York.
            ended_at: at("2026-12-01T00:30:00Z"),
            account: "111122223333".to_owned(),
            service: ServiceLabel::new("shop / ../größe"),
            deployment: DeploymentId::new("shop-42"),
            sequence: 7,
            text: String::new(),
        };
        let expected =
            "glidepath/2026/12/01/111122223333/production/shop___.._größe/shop-42.000007.jsonl";
        assert_eq!(document.key("production"), expected);
        let later =
            Document { ended_at: at("2027-01-01T00:00:00Z"), sequence: 1, ..document.clone() };
        assert!(later.key("production") > document.key("production"));
        let long = Document { service: ServiceLabel::new("ß".repeat(2_000)), ..document };
        assert!(long.key("production").len() < 512);
    }

    #[test]
    fn the_document_of_an_end_names_the_account_and_the_deployment() {
        let mut ended = deployment();
        ended.execution = ExecutionArn::new("arn:aws:states:eu-west-1:111122223333:execution:m:d");
        let failure = Failure::new(FailureCode::AlarmFired, "alarm `x` fired");
        for end in [
            Event::Succeeded,
            Event::RolledBack { failure: failure.clone() },
            Event::Abandoned { failure },
        ] {
            let documents = kept(&ended, &timeline(vec![Event::Started, end]));
            let (key, _) = documents[1].clone().unwrap();
            let named =
                format!("/111122223333/glidepath/{}/{}.000002.", ended.plan.service, ended.id);
            assert!(key.contains(&named), "{key}");
        }
    }

    /// Whoever has a token ends a pause of the state machine, and whoever has a link answers its question.
    #[test]
    fn nothing_that_is_kept_lets_anybody_do_anything() {
        let mut asked = deployment();
        let step = Step::Approving { since: NOW, until: NOW, decision: None, reminded: false };
        asked.progress.step = step;
        let judged = vec!["3 of 3 targets healthy".to_owned()];
        let documents = kept(
            &asked,
            &timeline(vec![
                Event::Started,
                Event::ApprovalNeeded { stage: StageIndex(1), judged, asked_at: None },
                decided(LINK_HOLDER),
                Event::Succeeded,
            ]),
        );
        let (_, text) = documents[3].clone().unwrap();
        assert_eq!(text.lines().count(), 4);
        let link = QuestionLink::of(&asked).unwrap().path("");
        let token = asked.gate.unwrap().token;
        for secret in [token.expose(), link.as_str()] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
