//! Every form in which AWS delivers an alarm, with its stated outcome.

use glidepath_engine::rollback::PostedRollback;
use serde_json::json;

use super::*;

const ALARM: &str = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:green-errors";
/// As CloudWatch writes it: an offset without a colon.
const AT: &str = "2026-11-21T06:23:32.490+0000";

fn event_bridge(state: &str) -> Value {
    json!({
        "version": "0", "id": "c4c1c1c9", "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch", "account": "123456789012", "time": "2026-11-21T06:23:33Z",
        "region": "eu-west-1", "resources": [ALARM],
        "detail": {
            "alarmName": "green-errors",
            "configuration": {"description": "", "metrics": []},
            "state": {"value": state, "reason": "1 datapoint", "reasonData": "{}", "timestamp": AT},
            "previousState": {"value": "OK", "reason": "", "timestamp": AT},
        },
    })
}

fn direct_action(state: &str) -> Value {
    json!({
        "source": "aws.cloudwatch", "alarmArn": ALARM, "accountId": "123456789012", "time": AT,
        "region": "eu-west-1",
        "alarmData": {
            "alarmName": "green-errors",
            "state": {"value": state, "reason": "1 datapoint", "timestamp": AT},
            "previousState": {"value": "OK", "reason": "", "timestamp": AT},
            "configuration": {"metrics": []},
        },
    })
}

fn notification(states: &[&str]) -> Value {
    let records: Vec<_> = states
        .iter()
        .map(|state| {
            let message = json!({
                "AlarmName": "green-errors", "AlarmArn": ALARM, "NewStateValue": state,
                "NewStateReason": "1 datapoint", "StateChangeTime": AT, "OldStateValue": "OK",
                "Trigger": {"MetricName": "bad"},
            });
            sns_record(&message.to_string())
        })
        .collect();
    json!({ "Records": records })
}

fn sns_record(message: &str) -> Value {
    json!({
        "EventSource": "aws:sns", "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:alarms:1",
        "Sns": {
            "Type": "Notification", "MessageId": "1", "Subject": "ALARM: \"green-errors\"",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms", "Message": message,
            "Timestamp": "2026-11-21T06:23:33.000Z", "SignatureVersion": "1", "Signature": "s",
            "SigningCertUrl": "https://sns", "UnsubscribeUrl": "https://sns",
            "MessageAttributes": {},
        },
    })
}

fn execution(status: &str) -> Value {
    json!({
        "version": "0", "id": "315c1398", "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states", "account": "123456789012", "time": "2026-11-21T06:23:33Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:states:eu-west-1:123456789012:execution:Deployment:shop-42"],
        "detail": {
            "executionArn": "arn:aws:states:eu-west-1:123456789012:execution:Deployment:shop-42",
            "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:Deployment",
            "name": "shop-42", "status": status, "startDate": 1_795_000_000_000_i64,
            "stopDate": 1_795_000_100_000_i64, "input": null, "output": null,
        },
    })
}

fn composite() -> Value {
    let mut event = event_bridge("ALARM");
    event["detail"]["configuration"] = json!({"alarmRule": "ALARM(a) OR ALARM(b)"});
    event["detail"]["state"]["actionsSuppressedBy"] = json!("none");
    event
}

fn alarms(payload: &Value) -> Vec<AlarmEvent> {
    let trigger = read_trigger(payload, MutedAlarms::RollBack).unwrap();
    let Trigger::Alarms(events) = trigger else { panic!("{trigger:?}") };
    events
}

#[test]
fn all_three_ways_of_delivery_say_the_same() {
    let expected = AlarmEvent {
        alarm: AlarmArn::new(ALARM),
        at: Timestamp::parse("2026-11-21T06:23:32.490Z").unwrap(),
        reason: "1 datapoint".to_owned(),
    };
    for payload in
        [event_bridge("ALARM"), composite(), direct_action("ALARM"), notification(&["ALARM"])]
    {
        assert_eq!(alarms(&payload), std::slice::from_ref(&expected), "{payload}");
    }
    assert_eq!(alarms(&notification(&["OK", "ALARM", "ALARM"])).len(), 2);
}

#[test]
fn other_transitions_change_nothing() {
    for state in ["OK", "INSUFFICIENT_DATA"] {
        for payload in [event_bridge(state), direct_action(state), notification(&[state])] {
            let trigger = read_trigger(&payload, MutedAlarms::RollBack).unwrap();
            assert!(
                matches!(&trigger, Trigger::Ignored(why) if why.contains(state)),
                "{trigger:?}"
            );
        }
    }
}

#[test]
fn a_muted_alarm_follows_the_declared_policy() {
    let mut muted = event_bridge("ALARM");
    muted["detail"]["muteDetail"] = json!({"muteRule": "night"});
    assert_eq!(alarms(&muted).len(), 1);
    let ignored = read_trigger(&muted, MutedAlarms::Ignore).unwrap();
    assert!(matches!(ignored, Trigger::Ignored(_)), "{ignored:?}");
}

#[test]
fn an_execution_that_ended_without_success_leaves_its_deployment_to_the_rollback() {
    for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
        let trigger = read_trigger(&execution(status), MutedAlarms::RollBack).unwrap();
        let Trigger::Deployment(input) = trigger else { panic!("{trigger:?}") };
        assert_eq!(input.deployment, DeploymentId::new("shop-42"));
        assert_eq!(input.by, Some(FenceTrigger::ExecutionEnd));
        let error = input.error.unwrap();
        assert_eq!(error.name, "OrchestrationLost");
        assert!(error.cause.unwrap().contains(status));
    }
    for status in ["RUNNING", "SUCCEEDED", "PENDING_REDRIVE"] {
        let trigger = read_trigger(&execution(status), MutedAlarms::RollBack).unwrap();
        assert!(matches!(&trigger, Trigger::Ignored(why) if why.contains(status)), "{trigger:?}");
    }
}

#[test]
fn who_asks_past_the_url_is_told_as_said_and_who_comes_by_it_as_known() {
    for (cause, told) in [
        (json!("it is slow"), "ada, as they say: \"it is slow\""),
        (Value::Null, "ada, as they say"),
    ] {
        let payload = json!({
            "deployment": "d-1", "by": { "operator": "ada" },
            "error": { "name": "Aborted", "cause": cause },
        });
        let read = read_trigger(&payload, MutedAlarms::RollBack).unwrap();
        let Trigger::Deployment(input) = read else { panic!("{read:?}") };
        assert_eq!(input.by, Some(FenceTrigger::Operator("ada, as they say".to_owned())));
        assert_eq!(input.error.unwrap().cause.as_deref(), Some(told));
    }
    for (reason, told) in [
        (Some("it is slow\n"), "arn:ada: \"it is slow\""),
        // Nobody's terminal is to be written on, and the rollback goes on.
        (Some("\u{1b}[31mred"), "arn:ada asked for it"),
        (None, "arn:ada asked for it"),
    ] {
        let (deployment, reason) = (DeploymentId::new("d-1"), reason.map(str::to_owned));
        let input = PostedRollback { deployment, reason, force: true }.by("arn:ada".to_owned());
        assert_eq!(input.by, Some(FenceTrigger::Operator("arn:ada".to_owned())));
        assert_eq!((input.force, input.error.unwrap().cause.as_deref()), (true, Some(told)));
    }
}

#[test]
fn an_event_that_cannot_be_read_fails_with_the_reason() {
    let mut no_time = event_bridge("ALARM");
    no_time["detail"]["state"]["timestamp"] = json!("yesterday");
    let mut no_alarm = direct_action("ALARM");
    no_alarm["alarmArn"] = json!("green-errors");
    let mut two_alarms = event_bridge("ALARM");
    two_alarms["resources"] = json!([ALARM, ALARM]);
    let mut other_event = event_bridge("ALARM");
    other_event["detail-type"] = json!("ECS Task State Change");
    let no_message = json!({"Records": [sns_record("hello")]});
    for (payload, reason) in [
        (no_time, "`yesterday` is no time"),
        (no_alarm, "no alarm's ARN"),
        (two_alarms, "2 alarms"),
        (other_event, "ECS Task State Change"),
        (no_message, "no alarm's"),
        (event_bridge("SLEEPING"), "no state of an alarm"),
        (execution("SLEEPING"), "no status of an execution"),
        (json!({}), "missing field"),
        (json!("x"), "invalid type"),
    ] {
        let error = read_trigger(&payload, MutedAlarms::RollBack).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// When a mute or the suppression of a composite alarm ends, CloudWatch acts by the state there is.
#[test]
fn an_alarm_that_fires_already_is_as_old_as_its_firing() {
    const BEFORE: &str = "2026-11-21T06:20:00.000+0000";
    let at = |payload: &Value| {
        let Ok(Trigger::Alarms(events)) = read_trigger(payload, MutedAlarms::RollBack) else {
            panic!("{payload}");
        };
        events[0].at
    };
    let parsed = |text| Timestamp::parse(text).unwrap();
    for (payload, inside) in
        [(event_bridge("ALARM"), "detail"), (direct_action("ALARM"), "alarmData")]
    {
        for (previous, expected) in [
            (json!({ "value": "ALARM", "timestamp": BEFORE }), BEFORE),
            (json!({ "value": "OK", "timestamp": BEFORE }), AT),
            (json!({ "value": "INSUFFICIENT_DATA", "timestamp": BEFORE }), AT),
            // Whatever it says of before, the alarm fires now.
            (json!({ "value": "ALARM", "timestamp": "yesterday" }), AT),
            (json!({ "value": "ALARM" }), AT),
            (json!("ALARM"), AT),
            (json!(null), AT),
        ] {
            let mut payload = payload.clone();
            payload[inside]["previousState"] = previous.clone();
            assert_eq!(at(&payload), parsed(expected), "{previous}");
        }
    }
}
