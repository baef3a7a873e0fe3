//! Whoever may approve may do that, in their own name, and nothing else.

use glidepath_lab::{Person, fetch_as};
use serde_json::{Value, json};

use super::Stage;

/// Everything that an approver could try in place of asking the one function.
pub(super) async fn does_nothing_else(stage: &Stage, approver: &Person) {
    forges_nothing(stage, approver).await;
    writes_nothing(stage, approver).await;
    let clients = stage.lab.clients_of(approver);
    let functions = stage.lab.clients().lambda.list_functions().send().await.unwrap();
    assert!(functions.functions().len() >= 10, "{functions:?}");
    for function in functions.functions() {
        let name = function.function_name().unwrap();
        let invoked = clients.lambda.invoke().function_name(name).send().await;
        is_denied(name, invoked.map_err(|error| format!("{error:?}")));
    }
    let outputs = stage.lab.glidepath().outputs();
    let machine = &outputs["StateMachineArn"];
    let execution = format!("{}:p-1", machine.replace(":stateMachine:", ":execution:"));
    let input = std::fs::read_to_string(&stage.request).unwrap();
    let start = clients.sfn.start_execution().state_machine_arn(machine).name("p-3").input(input);
    is_denied("StartExecution", start.send().await.map_err(|error| format!("{error:?}")));
    let stop = clients.sfn.stop_execution().execution_arn(execution);
    is_denied("StopExecution", stop.send().await.map_err(|error| format!("{error:?}")));
    let wake = clients.sfn.send_task_success().task_token("a-token").output("{}");
    is_denied("SendTaskSuccess", wake.send().await.map_err(|error| format!("{error:?}")));
    for output in ["StartUrl", "RollbackUrl"] {
        let json = [("content-type", "application/json")];
        let body = json!({ "deployment": "p-1", "reason": "nobody asked me" }).to_string();
        let posted = fetch_as(approver, "lambda", "POST", &outputs[output], &json, &body).await;
        assert_eq!(posted.unwrap().status, 403, "{output}");
    }
}

#[track_caller]
fn is_denied<T: std::fmt::Debug>(what: &str, answer: Result<T, String>) {
    let denied = answer.as_ref().is_err_and(|told| told.contains("AccessDenied"));
    assert!(denied, "{what}: {answer:?}");
}

/// As a URL writes it, with somebody else's name.
fn forged(body: &Value) -> Value {
    json!({
        "version": "2.0", "rawPath": "/", "headers": { "content-type": "application/json" },
        "requestContext": {
            "authorizer": { "iam": { "userArn": "arn:aws:iam::1:user/boss" } },
            "http": { "method": "POST" }, "timeEpoch": 0,
        },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

/// Whoever may roll back may do so past the URL, and not as somebody else.
pub(super) async fn operator_forges_nothing(stage: &Stage, operator: &Person) {
    let outputs = stage.lab.glidepath().outputs();
    let lambda = stage.lab.clients_of(operator).lambda;
    let payload = forged(&json!({ "deployment": "p-1" })).to_string().into_bytes();
    let function = &outputs["RollbackFunctionName"];
    for name in [function.clone(), format!("{function}:$LATEST"), format!("{function}:1")] {
        let invoke = lambda.invoke().function_name(&name).payload(payload.clone().into());
        is_denied(&name, invoke.send().await.map_err(|error| format!("{error:?}")));
    }
    let boss = "arn:aws:iam::111122223333:user/boss";
    let error = json!({ "name": "Aborted", "cause": format!("{boss}: \"too slow\"") });
    let alarm = json!({ "detail-type": "CloudWatch Alarm State Change", "detail": {} });
    for payload in [
        forged(&json!({ "deployment": "p-1" })),
        // As the state machine, whose cause is told as it is.
        json!({ "deployment": "p-1", "error": error }),
        json!({ "deployment": "p-1", "by": "sweep" }),
        json!({ "deployment": "p-1", "by": { "alarm": boss } }),
        alarm.clone(),
        json!({ "by": { "operator": "somebody" }, "detail-type": alarm["detail-type"], "detail": {} }),
        json!({ "alarmData": {} }),
        json!({ "Records": [] }),
    ] {
        let invoke = lambda.invoke().function_name(&outputs["RollbackByHand"]);
        let answer = invoke.payload(payload.to_string().into_bytes().into()).send().await.unwrap();
        let told = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
        let told = String::from_utf8(told).unwrap();
        let refused = answer.function_error().is_some() && told.contains("NotAllowed");
        assert!(refused, "{payload}: {told}");
    }
}

/// The way past the URL, by which an approver could say to be somebody else.
async fn forges_nothing(stage: &Stage, approver: &Person) {
    let forged = forged(&json!({ "deployment": "p-1", "decision": { "approve": { "stage": 2 } } }));
    let function = stage.lab.glidepath().outputs()["DecideFunctionName"].clone();
    let lambda = stage.lab.clients_of(approver).lambda;
    let payload = forged.to_string().into_bytes();
    let invoked = lambda.invoke().function_name(function).payload(payload.into()).send().await;
    is_denied("a forged request", invoked.map_err(|error| format!("{error:?}")));
}

/// The registry, past every function: the record of the deployment, as it is and without its question.
async fn writes_nothing(stage: &Stage, approver: &Person) {
    let table = stage.lab.glidepath().table().unwrap();
    let items = stage.lab.registry().await.unwrap();
    let record = items.iter().find(|item| item.to_string().contains("\"p-1\"")).unwrap();
    let keys: Value = json!({ "pk": record["pk"], "sk": record["sk"] });
    for (action, request) in [
        ("PutItem", json!({ "TableName": table, "Item": record })),
        (
            "UpdateItem",
            json!({
                "TableName": table, "Key": keys, "UpdateExpression": "SET approved = :yes",
                "ExpressionAttributeValues": { ":yes": { "BOOL": true } },
            }),
        ),
        ("DeleteItem", json!({ "TableName": table, "Key": keys })),
        (
            "TransactWriteItems",
            json!({ "TransactItems": [{ "Put": { "TableName": table, "Item": record } }] }),
        ),
    ] {
        let target = format!("DynamoDB_20120810.{action}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", &target)];
        let url = format!("{}/", stage.lab.endpoint());
        let body = request.to_string();
        let answer = fetch_as(approver, "dynamodb", "POST", &url, &headers, &body).await.unwrap();
        assert!(answer.status >= 400, "{action}: {}", answer.body);
        assert!(answer.body.contains("AccessDenied"), "{action}: {}", answer.body);
    }
}
