//! Functions and the definition that calls them are not updated in the same moment: what a newer one hands
//! over besides is ignored, or every deployment that runs would be rolled back for it.

use glidepath_engine::StepInput;
use glidepath_engine::complete::CompleteInput;
use glidepath_engine::gate::GateInput;
use glidepath_engine::plan::PlanInput;
use glidepath_engine::rollback::RollbackInput;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn is_read<Input: DeserializeOwned>(mut payload: Value) {
    let known = serde_json::from_value::<Input>(payload.clone());
    assert!(known.is_ok(), "{payload}: {:?}", known.err());
    payload["sinceALaterVersion"] = json!({ "of": "the definition" });
    let newer = serde_json::from_value::<Input>(payload.clone());
    assert!(newer.is_ok(), "{payload}: {:?}", newer.err());
}

#[test]
fn what_a_newer_definition_hands_over_besides_is_ignored() {
    is_read::<StepInput>(json!({ "deployment": "shop-42" }));
    is_read::<RollbackInput>(json!({
        "deployment": "shop-42",
        "error": { "name": "AlarmFired", "cause": "{}", "sinceALaterVersion": 1 },
    }));
    is_read::<PlanInput>(json!({
        "deployment": "shop-42",
        "execution": "arn:aws:states:eu-west-1:1:execution:glidepath:shop-42",
        "executionStart": "2026-11-21T07:00:00.000Z",
        "request": {},
    }));
    let tick = json!({
        "redriveCount": 0,
        "enteredAt": "2026-11-21T07:00:00.000Z",
        "retryCount": 0,
        "sinceALaterVersion": 1,
    });
    is_read::<GateInput>(json!({ "deployment": "shop-42", "token": "t", "tick": tick }));
}

#[test]
fn what_is_to_be_completed_is_one_thing() {
    let (deployment, retirement) = ("shop-42", "service#shop/shop-blue");
    is_read::<CompleteInput>(json!({ "deployment": deployment }));
    is_read::<CompleteInput>(json!({ "retirement": retirement }));
    for neither in [json!({}), json!({ "deployment": deployment, "retirement": retirement })] {
        assert!(serde_json::from_value::<CompleteInput>(neither).is_err());
    }
}
