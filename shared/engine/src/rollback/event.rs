//! What may start the rollback function, in every form in which AWS delivers it.
//!
//! An alarm arrives as an EventBridge event (primary: it is sent even when actions are muted), as
//! CloudWatch's direct Lambda action, or as an SNS message. Everything else is a call by the state
//! machine, the sweep or a person.

use glidepath_core::ids::AlarmArn;
use glidepath_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{AlarmEvent, RollbackInput};

/// What an invocation of the rollback function is about.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// Alarms that went to ALARM; an SNS delivery may carry several.
    Alarms(Vec<AlarmEvent>),
    /// A deployment.
    Deployment(RollbackInput),
    /// Nothing to do, and why.
    Ignored(String),
}

/// Whether an alarm that somebody has muted still rolls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutedAlarms {
    /// A mute is about being woken at night, not about users.
    RollBack,
    /// A muted alarm says nothing.
    Ignore,
}

/// An event that is none of ours. It must fail the invocation, so that it ends in the dead-letter
/// queue with this reason instead of being lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event that can start a rollback: {0}")]
pub struct Malformed(String);

/// Reads an invocation's payload.
pub fn read_trigger(payload: &Value, muted: MutedAlarms) -> Result<Trigger, Malformed> {
    if payload.get("detail-type").is_some() {
        return event_bridge(payload, muted);
    }
    if payload.get("alarmData").is_some() {
        return direct_action(payload);
    }
    if payload.get("Records").is_some() {
        return notification(payload);
    }
    serde_json::from_value(payload.clone())
        .map(Trigger::Deployment)
        .map_err(|error| Malformed(error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    value: String,
    #[serde(default)]
    reason: String,
    timestamp: String,
}

fn event_bridge(payload: &Value, muted: MutedAlarms) -> Result<Trigger, Malformed> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "detail-type")]
        detail_type: String,
        resources: Vec<String>,
        detail: Detail,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Detail {
        state: State,
        #[serde(default)]
        mute_detail: Option<Value>,
    }
    let event: Event = read(payload)?;
    if event.detail_type != "CloudWatch Alarm State Change" {
        return Err(Malformed(format!("its detail-type is `{}`", event.detail_type)));
    }
    let [alarm] = event.resources.as_slice() else {
        let count = event.resources.len();
        return Err(Malformed(format!("it names {count} alarms instead of one")));
    };
    if event.detail.mute_detail.is_some() && muted == MutedAlarms::Ignore {
        return Ok(Trigger::Ignored(format!("alarm `{alarm}` is muted")));
    }
    fired(alarm, &event.detail.state).map(one)
}

fn direct_action(payload: &Value) -> Result<Trigger, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Action {
        alarm_arn: String,
        alarm_data: AlarmData,
    }
    #[derive(Deserialize)]
    struct AlarmData {
        state: State,
    }
    let action: Action = read(payload)?;
    fired(&action.alarm_arn, &action.alarm_data.state).map(one)
}

fn notification(payload: &Value) -> Result<Trigger, Malformed> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    }
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "Sns")]
        sns: Sns,
    }
    #[derive(Deserialize)]
    struct Sns {
        #[serde(rename = "Message")]
        message: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Message {
        alarm_arn: String,
        new_state_value: String,
        #[serde(default)]
        new_state_reason: String,
        state_change_time: String,
    }
    let envelope: Envelope = read(payload)?;
    let mut events = Vec::new();
    let mut ignored = Vec::new();
    for record in envelope.records {
        let message: Message = serde_json::from_str(&record.sns.message)
            .map_err(|error| Malformed(format!("its SNS message is no alarm's: {error}")))?;
        let state = State {
            value: message.new_state_value,
            reason: message.new_state_reason,
            timestamp: message.state_change_time,
        };
        match fired(&message.alarm_arn, &state)? {
            Ok(event) => events.push(event),
            Err(reason) => ignored.push(reason),
        }
    }
    if events.is_empty() {
        return Ok(Trigger::Ignored(ignored.join("; ")));
    }
    Ok(Trigger::Alarms(events))
}

fn read<Form: for<'de> Deserialize<'de>>(payload: &Value) -> Result<Form, Malformed> {
    Form::deserialize(payload).map_err(|error| Malformed(error.to_string()))
}

/// The event of an alarm that went to ALARM, or why there is nothing to do.
fn fired(alarm: &str, state: &State) -> Result<Result<AlarmEvent, String>, Malformed> {
    if !alarm.contains(":alarm:") {
        return Err(Malformed(format!("`{alarm}` is no alarm's ARN")));
    }
    match state.value.as_str() {
        "ALARM" => {}
        "OK" | "INSUFFICIENT_DATA" => {
            return Ok(Err(format!("alarm `{alarm}` went to {}", state.value)));
        }
        other => return Err(Malformed(format!("`{other}` is no state of an alarm"))),
    }
    let at = Timestamp::parse(&state.timestamp)
        .ok_or_else(|| Malformed(format!("`{}` is no time", state.timestamp)))?;
    Ok(Ok(AlarmEvent { alarm: AlarmArn::new(alarm), at, reason: state.reason.clone() }))
}

fn one(fired: Result<AlarmEvent, String>) -> Trigger {
    fired.map_or_else(Trigger::Ignored, |event| Trigger::Alarms(vec![event]))
}
