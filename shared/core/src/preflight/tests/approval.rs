//! What a stack demands of approvals.

use serde_json::{Value, json};

use super::{findings, plan};
use crate::ids::DeploymentId;
use crate::people::{ApprovalPolicy, Approvers};
use crate::plan::WayBack;
use crate::preflight::Found;

const MANAGERS: &str = "arn:aws:iam::123456789012:role/release-managers";

fn policy(policy: Value) -> ApprovalPolicy {
    ApprovalPolicy::parse(&policy.to_string()).expect("a policy")
}

/// Blue/green that asks as this says.
fn asking(document: &mut Value, approval: &Value) {
    document["strategy"] = json!({ "blueGreen": { "approval": approval } });
}

#[test]
fn what_is_demanded_is_demanded_of_the_service_that_is_deployed_whatever_it_is_called() {
    let silent = |document: &mut Value, found: &mut Found| {
        document["strategy"] = json!({ "blueGreen": {} });
        document["service"] = json!("another-name");
        found.stack.approvals = policy(json!({ "requiredFor": ["production/shop-*"] }));
    };
    let found = findings(silent);
    assert_eq!(
        found,
        [
            "error $.strategy: the stack demands an approval of `production/shop-blue` before anybody's requests (its \
          parameter `ApprovalPolicy`), and 100 % would go to the version before anybody is asked"
        ]
    );
    let elsewhere = findings(|document, found| {
        silent(document, found);
        found.stack.approvals = policy(json!({ "requiredFor": ["staging/*"] }));
    });
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn a_policy_adds_to_what_a_request_asks_for_and_takes_nothing_away() {
    let plan = plan(|document, found| {
        asking(document, &json!({ "count": 3, "approvers": [MANAGERS] }));
        found.stack.approvals = policy(json!({
            "requiredFor": ["*"], "count": 2, "approvers": ["arn:aws:iam::123456789012:role/*"],
            "notByStarter": true, "sessionsNamePeople": ["release-*"],
        }));
    });
    let approval = plan.stages[1].approval.as_ref().unwrap();
    assert_eq!((approval.count, approval.not_by_starter), (3, true));
    let all = "arn:aws:iam::123456789012:role/*".to_owned();
    let lists = [vec![MANAGERS.to_owned()], vec![all]].map(Approvers::new);
    assert_eq!(approval.approvers, lists);
    assert_eq!(plan.naming.sessions_name_people, ["release-*"]);
}

#[test]
fn nobody_has_most_of_the_requests_before_somebody_is_asked() {
    let staged = |percent: u16, first: u16| {
        findings(|document, found| {
            document["strategy"] = json!({ "canary": { "stages": [
                { "weight": first, "bake": "10m" }, { "weight": 100, "approval": {} },
            ] } });
            let demands = json!({ "requiredFor": ["*"], "withoutApprovalUpTo": percent });
            found.stack.approvals = policy(demands);
        })
    };
    assert!(staged(5, 5).is_empty() && staged(0, 0).is_empty());
    for (percent, first) in [(0, 1), (5, 99)] {
        let found = staged(percent, first);
        assert!(found.len() == 1 && found[0].contains("before anybody is asked"), "{found:?}");
    }
}

#[test]
fn more_people_than_a_list_can_name_are_never_enough() {
    let found =
        findings(|document, _| asking(document, &json!({ "count": 2, "approvers": [MANAGERS] })));
    assert!(found.len() == 1 && found[0].contains("2 people must approve, and"), "{found:?}");
    let users = ["ada", "bob"].map(|name| format!("arn:aws:iam::123456789012:user/{name}"));
    let found =
        findings(|document, _| asking(document, &json!({ "count": 2, "approvers": users })));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn where_an_approval_is_demanded_silence_is_none() {
    let silence = |required: &str| {
        findings(|document, found| {
            asking(document, &json!({ "onTimeout": "continue" }));
            found.stack.approvals = policy(json!({ "requiredFor": [required] }));
        })
    };
    let found = silence("*");
    assert!(found.len() == 1 && found[0].contains("approves without anybody"), "{found:?}");
    assert!(silence("staging/*").is_empty());
}

#[test]
fn sessions_approve_by_name_only_where_the_stack_says_whose_names_they_are() {
    let session = "arn:aws:sts::123456789012:assumed-role/engineer/ada";
    let named = |roles: Value| {
        findings(|document, found| {
            asking(document, &json!({ "approvers": [session] }));
            found.stack.approvals = policy(json!({ "sessionsNamePeople": roles }));
        })
    };
    let found = named(json!([]));
    assert!(found.len() == 1 && found[0].contains("chosen by whoever assumes it"), "{found:?}");
    assert!(named(json!(["eng*"])).is_empty());
}

#[test]
fn the_way_back_waits_for_nobody_and_brings_nothing_new() {
    let back = |skips_validation| {
        findings(|document, found| {
            document["strategy"] = json!({ "allAtOnce": {} });
            found.stack.approvals = policy(json!({ "requiredFor": ["*"] }));
            let version = found.blue.as_ref().unwrap().task_definition.clone();
            let from = DeploymentId::new("d0");
            found.way_back = Some(WayBack { from, version, skips_validation });
        })
    };
    let asks =
        |found: Vec<String>| found.iter().filter(|finding| finding.contains("approval")).count();
    assert_eq!((asks(back(false)), asks(back(true))), (0, 1));
}
