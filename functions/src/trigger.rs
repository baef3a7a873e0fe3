//! What may start the rollback function, in every form in which AWS delivers it.
//!
//! An alarm arrives as an EventBridge event (primary: it is sent even when actions are muted), as
//! CloudWatch's direct Lambda action, or as an SNS message; the end of an execution as an EventBridge
//! event. Everything else is a call by the state machine, the sweep or a person.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sns::SnsEvent;
use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{AlarmArn, DeploymentId};
use glidepath_core::people::SAID;
use glidepath_core::record::FenceTrigger;
use glidepath_core::said::quoted;
use glidepath_core::time::Timestamp;
use glidepath_engine::rollback::{AlarmEvent, CaughtError, RollbackInput};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an invocation of the rollback function is about.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// Alarms that went to ALARM; an SNS delivery may carry several.
    Alarms(Vec<AlarmEvent>),
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

pub fn read_trigger(payload: &Value, muted: MutedAlarms) -> Result<Trigger, Malformed> {
    if let Some(detail_type) = payload.get("detail-type") {
        return match detail_type.as_str() {
            Some("CloudWatch Alarm State Change") => alarm_change(payload, muted),
            Some("Step Functions Execution Status Change") => execution_end(payload),
            Some(_) | None => Err(Malformed(format!("its detail-type is {detail_type}"))),
        };
    }
    if payload.get("alarmData").is_some() {
        return direct_action(payload);
    }
    if payload.get("Records").is_some() {
        return notification(payload);
    }
    let mut input: RollbackInput = read(payload)?;
    if let Some(FenceTrigger::Operator(name)) = &mut input.by {
        // Whoever may invoke the function writes this; whom AWS has recognised comes by the URL.
        name.push_str(SAID);
        if let Some(error) = &mut input.error {
            let said =
                error.cause.take().map(|cause| format!(": {}", quoted(&cause))).unwrap_or_default();
            error.cause = Some(format!("{name}{said}"));
        }
    }
    Ok(Trigger::Deployment(input))
}

/// The state of an alarm. Our own type: the library's takes a state without a value for
/// INSUFFICIENT_DATA, and so would lose an alarm.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    value: String,
    #[serde(default)]
    reason: String,
    timestamp: String,
}

impl State {
    /// With the time at which it began: an alarm that fires already acts again when a mute or a
    /// suppression of its actions ends, and is no new firing then.
    fn since(self, previous: Option<&Value>) -> Self {
        let text = |field: &str| previous.and_then(|state| state.get(field)?.as_str());
        let began = text("timestamp").filter(|at| Timestamp::parse(at).is_some());
        match (text("value") == Some(self.value.as_str()), began) {
            (true, Some(began)) => Self { timestamp: began.to_owned(), ..self },
            (_, _) => self,
        }
    }
}

fn alarm_change(payload: &Value, muted: MutedAlarms) -> Result<Trigger, Malformed> {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Detail {
        state: State,
        #[serde(default)]
        previous_state: Option<Value>,
        #[serde(default)]
        mute_detail: Option<Value>,
    }
    let event: EventBridgeEvent<Detail> = read(payload)?;
    let alarms = event.resources.unwrap_or_default();
    let [alarm] = alarms.as_slice() else {
        return Err(Malformed(format!("it names {} alarms instead of one", alarms.len())));
    };
    if event.detail.mute_detail.is_some() && muted == MutedAlarms::Ignore {
        return Ok(Trigger::Ignored(format!("alarm `{alarm}` is muted")));
    }
    let Detail { state, previous_state, .. } = event.detail;
    fired(alarm, &state.since(previous_state.as_ref())).map(one)
}

/// An execution that ended without success. If it finished its deployment first, the fence finds
/// that and changes nothing.
fn execution_end(payload: &Value) -> Result<Trigger, Malformed> {
    #[derive(Serialize, Deserialize)]
    struct Detail {
        name: String,
        status: String,
    }
    let Detail { name, status } = read::<EventBridgeEvent<Detail>>(payload)?.detail;
    match status.as_str() {
        "FAILED" | "TIMED_OUT" | "ABORTED" => {}
        "RUNNING" | "SUCCEEDED" | "PENDING_REDRIVE" => {
            return Ok(Trigger::Ignored(format!("execution `{name}` is {status}")));
        }
        other => return Err(Malformed(format!("`{other}` is no status of an execution"))),
    }
    Ok(Trigger::Deployment(RollbackInput {
        deployment: DeploymentId::new(name),
        error: Some(CaughtError {
            name: FailureCode::OrchestrationLost.name().to_owned(),
            cause: Some(format!("its execution ended as {status} before the deployment had ended")),
        }),
        by: Some(FenceTrigger::ExecutionEnd),
        force: false,
        woken: false,
        execution_start: None,
    }))
}

fn direct_action(payload: &Value) -> Result<Trigger, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Action {
        alarm_arn: String,
        alarm_data: AlarmData,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct AlarmData {
        state: State,
        #[serde(default)]
        previous_state: Option<Value>,
    }
    let Action { alarm_arn, alarm_data: AlarmData { state, previous_state } } = read(payload)?;
    fired(&alarm_arn, &state.since(previous_state.as_ref())).map(one)
}

fn notification(payload: &Value) -> Result<Trigger, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Message {
        alarm_arn: String,
        new_state_value: String,
        #[serde(default)]
        new_state_reason: String,
        state_change_time: String,
    }
    let mut events = Vec::new();
    let mut ignored = Vec::new();
    for record in read::<SnsEvent>(payload)?.records {
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

fn read<Form: DeserializeOwned>(payload: &Value) -> Result<Form, Malformed> {
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

#[cfg(test)]
mod tests;
