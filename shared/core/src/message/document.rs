//! A notice as a document for programs, and a trial: what a webhook is posted and what EventBridge carries. Their forms
//! are published (docs/notice.schema.json, docs/trial.schema.json), so a field is added and none is changed.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Link, Message, Trial, limits};
use crate::failure::FailureCode;
use crate::record::{Deployment, Event, Notice};
use crate::urgency::Urgency;
use crate::wish::{Known, Wish};

/// Room for the lines, in bytes. EventBridge takes 1 MB as a whole, and many who listen behind it 256 KB.
const ROOM: usize = 96 * 1024;

/// Longest headline and longest line, in characters.
const LONGEST_LINE: usize = 8192;

/// What happened to a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeDocument {
    /// Version of this form. Within one, fields are only added.
    pub version: FormVersion,
    /// The same for every delivery of a notice, and for no other: the execution's ARN and the sequence.
    pub id: String,
    /// From 1 without gaps, in the order in which things happened.
    pub sequence: u32,
    /// When it happened, in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// What happened. Names may be added.
    pub event: String,
    /// The stage that it is about, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<usize>,
    /// Who wanted it: an ARN, or whom Slack or the stack's issuer names. Absent where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How that name is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Why they wanted it, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How urgent it is for a person.
    pub urgency: Urgency,
    /// Whether the deployment has ended with it. Each has exactly one such notice.
    pub terminal: bool,
    /// The stack of Glidepath.
    pub stack: String,
    /// Name of the deployment.
    pub deployment: String,
    /// ARN of the execution that carries it.
    pub execution: String,
    /// What the request calls the service.
    pub service: String,
    /// The ECS cluster.
    pub cluster: String,
    /// The new version, a task definition's ARN.
    pub version_deployed: String,
    /// The version that served before.
    pub version_before: String,
    /// Why it was rolled back or ended, in what tells of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureDocument>,
    /// Understood alone.
    pub headline: String,
    /// What else a person is told, one sentence or command each.
    pub lines: Vec<String>,
    /// Where the question can be looked at and answered, in what asks one; only if the stack has a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Where it is to be seen in AWS's console; empty where that is not known.
    pub links: Vec<Link>,
}

/// Why a deployment failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureDocument {
    /// A name such as `AlarmFired`.
    pub code: String,
    /// In words.
    pub cause: String,
}

/// A message that `glidepath doctor` sends on every channel, to see whether it arrives. Nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialDocument {
    /// Version of this form. Within one, fields are only added.
    pub version: FormVersion,
    /// The same for every delivery of a trial, and for no other.
    pub id: String,
    /// Understood alone.
    pub headline: String,
    /// What else a person is told, one sentence or command each.
    pub lines: Vec<String>,
}

/// Version of the form of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum FormVersion {
    /// The first.
    #[serde(rename = "1")]
    V1,
}

/// The notice as a document.
pub fn document(
    notice: &Notice,
    deployment: &Deployment,
    stack: &str,
    message: &Message,
) -> NoticeDocument {
    let (event, plan) = (&notice.event, &deployment.plan);
    let wish = Wish::of(event, deployment);
    NoticeDocument {
        version: FormVersion::V1,
        id: format!("{}/{}", deployment.execution, notice.sequence),
        sequence: notice.sequence,
        at: notice.at.to_string(),
        event: event.name().to_owned(),
        stage: event.stage().map(|stage| stage.0 + 1),
        by: wish.map(|wish| limits::line(wish.by, LONGEST_LINE)),
        known: wish.map(|wish| wish.known),
        reason: wish.and_then(|wish| wish.reason.map(|said| limits::line(said, LONGEST_LINE))),
        urgency: event.urgency(),
        terminal: event.terminal(),
        stack: stack.to_owned(),
        deployment: deployment.id.to_string(),
        execution: deployment.execution.to_string(),
        service: plan.service.to_string(),
        cluster: plan.cluster.to_string(),
        version_deployed: plan.task_definition.to_string(),
        version_before: plan.stable.task_definition.to_string(),
        failure: failure(event),
        headline: limits::line(&message.headline, LONGEST_LINE),
        lines: limits::fitting(&message.written(), LONGEST_LINE, ROOM, limits::in_json),
        page: message.page.clone(),
        links: message.links.clone(),
    }
}

fn failure(event: &Event) -> Option<FailureDocument> {
    let failure = event.failure()?;
    let code: FailureCode = failure.code;
    let cause = limits::line(&failure.cause, LONGEST_LINE);
    Some(FailureDocument { code: code.name().to_owned(), cause })
}

/// What `glidepath doctor` sends: it is no notice, so nobody who listens to those takes it for one.
pub fn trial(trial: &Trial) -> TrialDocument {
    let message = trial.message();
    TrialDocument {
        version: FormVersion::V1,
        id: trial.id.clone(),
        headline: message.headline.clone(),
        lines: message.texts().collect(),
    }
}

/// The published schema of [`NoticeDocument`].
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(NoticeDocument).to_value();
    schema["title"] = json!("Glidepath notice");
    // The width of a number of Rust's is no format: strict validators refuse the whole schema.
    for number in ["sequence", "stage"] {
        if let Some(number) = schema["properties"][number].as_object_mut() {
            number.remove("format");
        }
    }
    schema
}

/// The published schema of [`TrialDocument`].
pub fn trial_schema() -> Value {
    let mut schema = schemars::schema_for!(TrialDocument).to_value();
    schema["title"] = json!("Glidepath trial");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, same_as_file};
    use crate::message::Line;
    use crate::message::tests::{notices, told};

    #[test]
    fn the_published_schemas_are_the_generated_ones() {
        let published = [
            ("../../docs/notice.schema.json", schema()),
            ("../../docs/trial.schema.json", trial_schema()),
        ];
        for (file, schema) in published {
            same_as_file(file, &serde_json::to_string_pretty(&schema).unwrap());
        }
    }

    /// The lab holds these against the published schema with a validator (`test_notices.py`).
    #[test]
    fn every_event_is_a_document() {
        let deployment = deployment();
        let documents = notices().into_iter();
        let documents = documents
            .map(|notice| document(&notice, &deployment, "glidepath", &told(&notice, &deployment)));
        let shown = serde_json::to_string_pretty(&documents.collect::<Vec<_>>()).unwrap();
        same_as_file("src/message/expected/notice.json", &shown);
    }

    /// Held against its schema there, too.
    #[test]
    fn a_trial_is_a_document() {
        let asked = Trial { id: "t".to_owned(), by: "arn:ada".to_owned() };
        let shown = serde_json::to_string_pretty(&trial(&asked)).unwrap();
        same_as_file("src/message/expected/trial.json", &shown);
    }

    #[test]
    fn the_longest_message_fits_into_an_event() {
        let line = "\"\\é".repeat(9_000);
        let message = Message {
            lines: vec![Line::new(&line); 900],
            ..Message::new(&line, Vec::new().into())
        };
        let notice = notices().remove(0);
        let document = document(&notice, &deployment(), "glidepath", &message);
        let written = serde_json::to_string(&document).unwrap();
        // Less than what EventBridge took until 2025, and SQS takes of whoever has not asked for more.
        assert!(written.len() < 200 * 1024, "{}", written.len());
    }
}
