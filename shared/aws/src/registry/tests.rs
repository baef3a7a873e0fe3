//! What becomes of DynamoDB's answers.

use aws_sdk_dynamodb::types::AttributeValue;
use glidepath_core::record::{Freeze, FreezeChange, Phase, Purpose, Revision};
use serde_json::json;

use super::*;
use crate::replay::{Answer, answering, error_of, json as answer, silent, watched};

fn registry(answers: Vec<Answer>) -> DynamoRegistry {
    DynamoRegistry::new(&answering(answers), "table")
}

fn free() -> Vec<RegistryWrite> {
    vec![RegistryWrite::RequireFree(LockKey::from_text("route#r"))]
}

fn canceled(codes: &[&str]) -> Answer {
    let reasons: Vec<_> = codes.iter().map(|code| json!({ "Code": code })).collect();
    Answer::new(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled", "CancellationReasons": reasons,
        }),
    )
}

fn alarm() -> AlarmArn {
    AlarmArn::new("arn:aws:cloudwatch:eu-west-1:1:alarm:errors")
}

fn intent() -> (IntentId, Intent) {
    let intent = Intent::new(Purpose::Restore, Timestamp::from_millis(0), Span::from_secs(60));
    (IntentId::new("i1"), intent)
}

fn alarm_item() -> serde_json::Value {
    let intent = serde_json::to_string(&intent().1).unwrap();
    json!({
        "pk": { "S": format!("alarm#{}", alarm()) }, "sk": { "S": "alarm" },
        "revision": { "N": "4" }, "firedAt": { "N": "1000" }, "intent:i1": { "S": intent },
    })
}

#[tokio::test]
async fn a_failed_condition_is_a_conflict_even_next_to_a_contention() {
    let both = canceled(&["TransactionConflict", "ConditionalCheckFailed"]);
    assert_eq!(registry(vec![both]).commit(free()).await, Ok(Committed::Conflict));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_met_another_is_tried_again_and_then_a_conflict() {
    let met = || canceled(&["None", "TransactionConflict"]);
    let (clients, replay) = watched(vec![met(), met(), answer(&json!({}))]);
    let registry = DynamoRegistry::new(&clients, "table");
    assert_eq!(registry.commit(free()).await, Ok(Committed::Yes));
    assert_eq!(replay.actual_requests().count(), 3);

    let (clients, replay) = watched((0..10).map(|_| met()).collect());
    let registry = DynamoRegistry::new(&clients, "table");
    assert_eq!(registry.commit(free()).await, Ok(Committed::Conflict));
    assert_eq!(replay.actual_requests().count(), CONTENDED as usize);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_transaction_carries_the_token_of_the_first_attempt() {
    let lost = error_of(500, "InternalServerError", "oops");
    let throttled = error_of(400, "ThrottlingException", "slow down");
    let (clients, replay) = watched(vec![lost, throttled, answer(&json!({}))]);
    let committed = DynamoRegistry::new(&clients, "table").commit(free()).await;
    assert_eq!(committed, Ok(Committed::Yes));
    let tokens: std::collections::BTreeSet<_> = replay
        .actual_requests()
        .map(|request| {
            let body: serde_json::Value =
                serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            body["ClientRequestToken"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!((tokens.len(), replay.actual_requests().count()), (1, 3));
    assert!(tokens.iter().all(|token| token.len() <= 36));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_table_is_no_answer() {
    let error = DynamoRegistry::new(&silent(), "table").commit(free()).await.unwrap_err();
    assert!(!error.answered(), "{error}");
}

#[tokio::test]
async fn a_denied_transaction_is_refused_at_once() {
    let (clients, replay) = watched(vec![error_of(400, "AccessDeniedException", "no")]);
    let error = DynamoRegistry::new(&clients, "table").commit(free()).await.unwrap_err();
    assert!(error.answered() && !error.may_pass(), "{error}");
    assert_eq!(replay.actual_requests().count(), 1);
}

#[tokio::test]
async fn a_transaction_that_is_too_long_is_not_sent() {
    let (clients, replay) = watched(Vec::new());
    let writes = vec![free().remove(0); writes::LONGEST + 1];
    let error = DynamoRegistry::new(&clients, "table").commit(writes).await.unwrap_err();
    assert!(error.to_string().contains("too many alarms and routes"), "{error}");
    assert_eq!(replay.actual_requests().count(), 0);
}

#[tokio::test]
async fn a_fence_that_was_closed_before_still_returns_the_routes() {
    let failed = Answer::new(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "The conditional request failed", "Item": alarm_item(),
        }),
    );
    let closed = answer(&json!({ "Attributes": alarm_item() }));
    let unknown = error_of(400, "ConditionalCheckFailedException", "The request failed");
    let registry = registry(vec![failed, closed, unknown]);
    let (id, intent) = intent();
    let (alarm, at) = (alarm(), Timestamp::from_millis(900));
    let fence = || registry.fence_alarm(&alarm, at, &id, &intent);
    let before = fence().await.unwrap();
    let AlarmFence::ClosedBefore(item) = before else { panic!("{before:?}") };
    assert_eq!(item.fired_at, Some(Timestamp::from_millis(1000)));
    assert!(item.intents.contains_key(&id));
    assert_eq!(fence().await, Ok(AlarmFence::Closed(item)));
    assert_eq!(fence().await, Ok(AlarmFence::Unknown));
}

#[tokio::test]
async fn an_item_that_is_not_as_it_must_be_is_named() {
    let broken = json!({
        "pk": { "S": "deployment#d" }, "sk": { "S": "deployment" }, "phase": { "S": "dancing" },
        "document": { "S": "{}" },
    });
    let one = registry(vec![answer(&json!({ "Item": broken }))]).without_freezes();
    let both = registry(vec![answer(&json!({ "Responses": { "table": [broken] } }))]);
    let id = DeploymentId::new("d");
    for error in [one.deployment(&id).await, both.deployment(&id).await] {
        let error = error.unwrap_err();
        assert!(error.to_string().contains("`deployment#d`"), "{error}");
        assert!(error.to_string().contains("dancing") && !error.may_pass(), "{error}");
    }
}

/// As DynamoDB answers it.
fn answered(item: &items::Item) -> serde_json::Map<String, serde_json::Value> {
    let typed = |value: &AttributeValue| match (value.as_s(), value.as_n(), value.as_l()) {
        (Ok(text), _, _) => json!({ "S": text }),
        (_, Ok(number), _) => json!({ "N": number }),
        (_, _, Ok(list)) => {
            let texts = list.iter().map(|text| json!({ "S": text.as_s().unwrap() }));
            json!({ "L": texts.collect::<Vec<_>>() })
        }
        _ => panic!("{value:?}"),
    };
    let typed = item.iter().map(|(name, value)| (name.clone(), typed(value)));
    typed.collect()
}

fn freezes(services: &str) -> Freezes {
    let (by, reason) = ("arn:ada".to_owned(), "the sale".to_owned());
    let (at, services) = (Timestamp::from_millis(1_000), services.to_owned());
    let freeze = Freeze { services, by, at, since: at, reason, until: None };
    Freezes { revision: Revision(1), all: vec![freeze], unreadable: false }
}

#[tokio::test]
async fn a_deployment_is_read_with_what_freezes_it_in_one_call() {
    let deployment = items::tests::deployment(Phase::Open);
    let record = answered(&items::write_deployment(&deployment).unwrap());
    let read = async |item: serde_json::Map<String, serde_json::Value>| {
        let both = json!({ "Responses": { "table": [record.clone(), item] } });
        let (clients, replay) = watched(vec![answer(&both)]);
        let read = DynamoRegistry::new(&clients, "table").deployment(&deployment.id).await;
        assert_eq!(replay.actual_requests().count(), 1);
        read.unwrap().unwrap().freeze
    };
    let written = |services| answered(&items::write_freezes(&freezes(services)).unwrap());
    assert_eq!(read(written("*")).await, freezes("*").all.pop());
    assert_eq!(read(written("elsewhere/*")).await, None);
    // What a newer version has written holds everything: nobody here can tell what it means.
    for unknown in
        [json!({ "S": "{\"services\": [\"a\"]}" }), json!({ "S": "?" }), json!({ "N": "1" })]
    {
        let mut newer = written("elsewhere/*");
        newer.insert("documents".to_owned(), json!({ "L": [unknown] }));
        let freeze = read(newer).await.unwrap();
        assert_eq!((freeze.services.as_str(), freeze.until), ("*", None));
    }
    for lost in ["documents", "revision"] {
        let mut newer = written("elsewhere/*");
        newer.remove(lost);
        assert!(read(newer).await.is_some(), "{lost}");
    }
}

#[tokio::test]
async fn freezes_are_written_by_whoever_has_read_them_last() {
    for (revision, condition) in [(1, "attribute_not_exists(pk)"), (2, "revision = :before")] {
        let (clients, replay) = watched(vec![answer(&json!({}))]);
        let freezes = Freezes { revision: Revision(revision), ..freezes("*") };
        let entry = FreezeEntry {
            at: Timestamp::from_millis(1_000),
            services: "*".to_owned(),
            by: "arn:ada".to_owned(),
            reason: None,
            change: FreezeChange::Frozen { until: None },
        };
        let registry = DynamoRegistry::new(&clients, "table");
        assert_eq!(registry.store_freezes(&freezes, &entry).await, Ok(Committed::Yes));
        let sent: Vec<_> = replay.actual_requests().collect();
        let body: serde_json::Value =
            serde_json::from_slice(sent[0].body().bytes().unwrap()).unwrap();
        let puts = body["TransactItems"].as_array().unwrap();
        assert_eq!(puts[0]["Put"]["ConditionExpression"], condition);
        assert_eq!(puts[1]["Put"]["Item"]["sk"]["S"], format!("entry#000000000001000#{revision}"));
    }
}

#[tokio::test]
async fn cells_are_written_once_whatever_the_answer() {
    let cells: StoredCells = serde_json::from_value(json!({
        "deployment": "d", "writtenAt": 0, "period": "1m", "begins": 0, "gaps": [], "stages": [],
        "canary": { "all": [], "bad": [] }, "stable": { "all": [], "bad": [] },
    }))
    .unwrap();
    let (clients, replay) = watched(vec![error_of(400, "ThrottlingException", "slow down")]);
    let error = DynamoRegistry::new(&clients, "table").store_cells(&cells).await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert_eq!(replay.actual_requests().count(), 1);
    assert_eq!(registry(vec![answer(&json!({}))]).store_cells(&cells).await, Ok(()));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_listed_as_such_beside_the_others() {
    let item = items::write_deployment(&items::tests::deployment(Phase::Open)).unwrap();
    let read = answered(&item);
    let mut newer = read.clone();
    newer.insert("pk".to_owned(), json!({ "S": "deployment#newer" }));
    newer.insert("phase".to_owned(), json!({ "S": "promoting" }));
    let keys = |item: &serde_json::Map<String, serde_json::Value>| json!({ "pk": item["pk"], "sk": item["sk"] });
    let newest = answer(&json!({ "Items": [keys(&read), keys(&newer)] }));
    let mut indexed = keys(&newer);
    indexed["nextDueAt"] = newer["nextDueAt"].clone();
    let due = answer(&json!({ "Items": [indexed] }));
    let both = answer(&json!({ "Responses": { "table": [read, newer] } }));
    let recent = registry(vec![newest, due, both]).recent(20).await.unwrap();
    let ids: Vec<_> = recent.deployments.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(ids, ["d-1"]);
    let (id, why) = recent.unreadable.first_key_value().unwrap();
    assert_eq!(id.as_str(), "newer");
    assert!(why.contains("there is no phase `promoting`"), "{why}");
}

#[tokio::test]
async fn a_page_begins_after_the_last_of_the_one_before() {
    let mut written = items::tests::deployment(Phase::Open);
    written.started_at = Timestamp::from_millis(7_000);
    let item = items::write_deployment(&written).unwrap();
    let read = answered(&item);
    let key = json!({
        "pk": { "S": "deployment#d-1" }, "sk": { "S": "deployment" },
        "kind": { "S": "deployment" }, "startedAt": { "N": "7000" },
    });
    let (clients, replay) = watched(vec![
        answer(&json!({ "Items": [key], "LastEvaluatedKey": key })),
        answer(&json!({ "Responses": { "table": [read] } })),
        answer(&json!({ "Items": [] })),
    ]);
    let registry = DynamoRegistry::new(&clients, "table").without_freezes();
    let first = registry.page(None, 1).await.unwrap();
    let ids: Vec<_> = first.found.deployments.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(ids, ["d-1"]);
    let (started_at, deployment) = (Timestamp::from_millis(7_000), DeploymentId::new("d-1"));
    assert_eq!(first.last, Some(Place { started_at, deployment }));
    assert_eq!(registry.page(first.last.as_ref(), 1).await, Ok(Page::default()));
    let asked: Vec<serde_json::Value> = replay
        .actual_requests()
        .map(|request| serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
        .collect();
    assert_eq!(asked[0].get("ExclusiveStartKey"), None);
    assert_eq!(asked[2]["ExclusiveStartKey"], key);
}

#[tokio::test]
async fn a_claimed_notice_is_ones_own_somebody_elses_or_done_with() {
    let id = DeploymentId::new("d-1");
    let (now, until) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
    let event = glidepath_core::record::Event::Started;
    let notice = Notice { deployment: id, sequence: 1, at: now, event };
    let mut item = json!({
        "pk": { "S": "deployment#d-1" }, "sk": { "S": "notice#000001" },
        "document": { "S": serde_json::to_string(&notice).unwrap() },
    });
    let refused = |item: &serde_json::Value| {
        let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        Answer::new(400, &json!({ "__type": code, "message": "failed", "Item": item }))
    };
    let claimed = answer(&json!({ "Attributes": item }));
    item["sending#pager"] = json!({ "N": "5000" });
    let elsewhere = refused(&item);
    // A lost answer: the repetition meets its own claim.
    item["sending#pager"] = json!({ "N": "9000" });
    let own = refused(&item);
    item["delivered"] = json!({ "SS": ["pager"] });
    let done = refused(&item);
    let gone = error_of(400, "ConditionalCheckFailedException", "failed");
    let registry = registry(vec![claimed, elsewhere, own, done, gone]);
    let pager = ChannelName::new("pager");
    for expected in [
        DeliveryClaim::Claimed,
        DeliveryClaim::Elsewhere,
        DeliveryClaim::Claimed,
        DeliveryClaim::Done(Delivery::Taken),
        DeliveryClaim::Done(Delivery::Refused),
    ] {
        assert_eq!(registry.claim_delivery(&notice, &pager, now, until).await, Ok(expected));
    }
}
