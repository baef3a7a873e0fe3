//! Events that start no rollback, sent to the deployed function: what cannot be read ends in the
//! queue of undelivered events with the reason, and none of them writes anything.

use std::time::{Duration, Instant};

use glidepath_lab::{Call, Lab};
use serde_json::{Value, json};

use crate::block_on;

const LIMIT: Duration = Duration::from_secs(300);
const ALARM: &str = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:nobody-s";

fn alarm(state: &str, timestamp: &str) -> Value {
    json!({
        "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
        "resources": [ALARM],
        "detail": {
            "alarmName": "nobody-s",
            "state": {"value": state, "reason": "1 datapoint", "timestamp": timestamp},
        },
    })
}

fn execution(name: &str) -> Value {
    json!({
        "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
        "detail": {"name": name, "status": "ABORTED"},
    })
}

/// What nobody can read, or do, with a part of the reason.
fn malformed() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), "missing field `deployment`"),
        (json!({"detail-type": "EC2 Instance State-change Notification"}), "its detail-type is"),
        (alarm("ALARM", "yesterday"), "`yesterday` is no time"),
        (alarm("ON", "2026-11-21T06:23:32.490+0000"), "`ON` is no state of an alarm"),
        (json!({"Records": [{"Sns": {"Message": "hello"}}]}), "missing field"),
        (
            json!({
                "deployment": "never-began", "by": {"operator": "somebody"},
                "error": {"name": "Aborted", "cause": "\"the colours are wrong\""},
            }),
            "there is no deployment `never-began`",
        ),
    ]
}

/// What is understood, and concerns nobody.
fn of_no_concern() -> Vec<Value> {
    vec![
        alarm("ALARM", "2026-11-21T06:23:32.490+0000"),
        alarm("OK", "2026-11-21T06:23:32.490+0000"),
        alarm("INSUFFICIENT_DATA", "2026-11-21T06:23:32.490+0000"),
        execution("never-began"),
    ]
}

fn wrote(call: &Call) -> bool {
    let reading = ["Get", "BatchGet", "Query", "Describe", "List"];
    // Logs are telemetry; a refused condition wrote nothing; the queue is where it shall go.
    !reading.iter().any(|reading| call.action.starts_with(reading))
        && call.error.is_none()
        && !["logs", "xray", "sqs"].contains(&call.service.as_str())
}

#[test]
fn events_that_start_nothing_write_nothing_and_unreadable_ones_are_kept_with_the_reason() {
    block_on(async {
        let lab = Lab::start(&Default::default()).await.unwrap();
        for payload in of_no_concern().iter().chain(malformed().iter().map(|(payload, _)| payload))
        {
            lab.send_event("RollbackFunctionName", payload).await.unwrap();
        }
        let begun = Instant::now();
        let mut kept: Vec<Value> = Vec::new();
        while kept.len() < malformed().len() && begun.elapsed() < LIMIT {
            for record in lab.undelivered().await.unwrap() {
                // Queues deliver at least once.
                let id = &record["requestContext"]["requestId"];
                if kept.iter().all(|known| known["requestContext"]["requestId"] != *id) {
                    kept.push(record);
                }
            }
        }
        for (payload, reason) in malformed() {
            let found = kept.iter().find(|record| record["requestPayload"] == payload);
            let told = found.map(|record| record["responsePayload"]["errorMessage"].to_string());
            let told = told.unwrap_or_else(|| panic!("{payload} is not in the queue: {kept:?}"));
            assert!(told.contains(reason), "{payload}: {told}");
        }
        assert_eq!(kept.len(), malformed().len(), "{kept:?}");
        let calls = lab.calls(0.0).unwrap();
        let by_rollback: Vec<_> =
            calls.iter().filter(|call| call.principal.contains("RollbackRole")).collect();
        assert!(by_rollback.iter().any(|call| call.action == "UpdateItem"), "{by_rollback:?}");
        let writes: Vec<_> = by_rollback.into_iter().filter(|call| wrote(call)).collect();
        assert!(writes.is_empty(), "{writes:?}");
    });
}
