use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, NOW};
use crate::health::verdict::Judgement;
use crate::weight::Weight;

fn hook(stages: &[LifecycleStage]) -> Hook {
    Hook {
        function: "arn:aws:lambda:eu-west-1:1:function:smoke:live".to_owned(),
        stages: stages.to_vec(),
        details: HookDetails::new(),
    }
}

fn answered(answer: &Value) -> Result<HookRun, String> {
    let at = LifecycleStage::ProductionTrafficShift;
    let told = json!({ "bucket": "b", "try": 1 }).as_object().cloned().unwrap();
    HookRun::answered(0, at, None, told, answer, NOW)
}

fn said(run: Reading<HookRun>) -> Reason {
    let at = LifecycleStage::ProductionTrafficShift;
    let mut reasons = Vec::new();
    judge(&[hook(&[at])], &[HookReading { hook: 0, at, run }], &mut reasons);
    reasons.remove(0)
}

#[test]
fn answers_are_those_of_the_contract() {
    let succeeded = answered(&json!({ "hookStatus": "SUCCEEDED" })).unwrap();
    assert_eq!(said(Reading::Read(succeeded.clone())).judgement, Judgement::Pass);
    assert!(!succeeded.is_due(NOW + Span::from_secs(3600)));
    let failed = answered(&json!({ "hookStatus": "FAILED" })).unwrap();
    let reason = said(Reading::Read(failed));
    assert_eq!(reason.judgement, Judgement::Fail);
    assert_eq!(reason.text, "hook `smoke:live` at PRODUCTION_TRAFFIC_SHIFT failed");
    let open = answered(&json!({ "hookStatus": "IN_PROGRESS" })).unwrap();
    assert!(!open.is_due(NOW + Span::from_secs(29)) && open.is_due(NOW + Span::from_secs(30)));
    assert_eq!(said(Reading::Read(open)).judgement, Judgement::Inconclusive);
}

#[test]
fn delay_and_details_are_kept_for_the_next_time() {
    let first = answered(&json!({
        "hookStatus": "IN_PROGRESS", "callBackDelay": 5, "hookDetails": { "try": 2, "more": [1] }
    }));
    let first = first.unwrap();
    assert_eq!(first.again_at, NOW + Span::from_secs(5));
    assert_eq!(
        Value::Object(first.details.clone()),
        json!({ "bucket": "b", "try": 2, "more": [1] })
    );
    let later = NOW + Span::from_secs(60);
    let open = json!({ "hookStatus": "IN_PROGRESS" });
    let second = HookRun::answered(0, first.at, Some(&first), first.details.clone(), &open, later);
    let second = second.unwrap();
    assert_eq!((second.since, second.again_at), (NOW, later + Span::from_secs(30)));
    assert_eq!(second.details, first.details);
}

#[test]
fn nonsense_is_named_and_no_answer() {
    for (answer, text) in [
        (json!(null), "no hookStatus"),
        (json!({}), "no hookStatus"),
        (json!([1]), "no hookStatus"),
        (json!("SUCCEEDED"), "no hookStatus"),
        (json!({ "hookStatus": "succeeded" }), "the hookStatus \"succeeded\""),
        (json!({ "hookStatus": 1 }), "the hookStatus 1"),
        (json!({ "hookStatus": "IN_PROGRESS", "callBackDelay": -1 }), "the callBackDelay -1"),
        (json!({ "hookStatus": "IN_PROGRESS", "callBackDelay": "1" }), "the callBackDelay \"1\""),
        (json!({ "hookStatus": "IN_PROGRESS", "callBackDelay": 1e9 }), "the callBackDelay"),
        (json!({ "hookStatus": "IN_PROGRESS", "hookDetails": [] }), "that are no object"),
        (
            json!({ "hookStatus": "IN_PROGRESS", "hookDetails": { "a": "x".repeat(5000) } }),
            "characters of JSON",
        ),
    ] {
        let why = answered(&answer).unwrap_err();
        assert!(why.contains(text), "no {text:?} in {why:?}");
        assert_eq!(said(Reading::Unreadable(why)).judgement, Judgement::Inconclusive);
    }
}

#[test]
fn hooks_have_a_say_where_the_weight_is_their_stage() {
    let hooks = [hook(&LifecycleStage::OF_STAGES)];
    let at = |permille| {
        let weight = Weight::from_permille(permille).unwrap();
        hooks_at(&hooks, weight, &[]).map(|(_, at, _)| at.name()).collect::<Vec<_>>()
    };
    assert_eq!(at(0), ["POST_SCALE_UP"]);
    assert_eq!(at(125), ["PRODUCTION_TRAFFIC_SHIFT"]);
    assert_eq!(at(1000), ["PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"]);
}

#[test]
fn the_event_is_that_of_ecs() {
    let deployment = fixtures::deployment();
    let of = |slot: &str| ServiceDeployment {
        arn: Some(format!("arn:deployment:{slot}")),
        service: Some(format!("arn:service:{slot}")),
        revision: Some(format!("arn:revision:{slot}")),
    };
    let found = ServiceDeployments { canary: of("green"), stable: of("blue") };
    let details = json!({ "bucket": "b" }).as_object().cloned().unwrap();
    let event = |at, permille| {
        let weight = Weight::from_permille(permille).unwrap();
        hook_event(&deployment, 2, at, weight, &details, &found)
    };
    assert_eq!(
        event(LifecycleStage::ProductionTrafficShift, 125),
        json!({
            "executionId": "shop-42-1-2-PRODUCTION_TRAFFIC_SHIFT",
            "lifecycleStage": "PRODUCTION_TRAFFIC_SHIFT",
            "resourceArn": "arn:deployment:green",
            "executionDetails": {
                "serviceArn": "arn:service:green",
                "targetServiceRevisionArn": "arn:revision:green",
                "testTrafficWeights": {},
                "productionTrafficWeights": { "arn:revision:green": 12.5, "arn:revision:blue": 87.5 },
            },
            "hookDetails": { "bucket": "b" },
        })
    );
    let all = event(LifecycleStage::ProductionTrafficShift, 1000);
    assert_eq!(
        all["executionDetails"]["productionTrafficWeights"],
        json!({ "arn:revision:green": 100, "arn:revision:blue": 0 })
    );
    let idle = event(LifecycleStage::PostScaleUp, 0);
    assert_eq!(idle["executionDetails"]["productionTrafficWeights"], json!({}));
}

#[test]
fn what_ecs_does_not_say_is_left_out_of_the_event() {
    let deployment = fixtures::deployment();
    let service = Some("arn:service:green".to_owned());
    let canary = ServiceDeployment { service, ..ServiceDeployment::default() };
    let found = ServiceDeployments { canary, ..ServiceDeployments::default() };
    let at = LifecycleStage::ProductionTrafficShift;
    let weight = Weight::from_permille(125).unwrap();
    assert_eq!(
        hook_event(&deployment, 0, at, weight, &HookDetails::new(), &found),
        json!({
            "executionId": "shop-42-1-0-PRODUCTION_TRAFFIC_SHIFT",
            "lifecycleStage": "PRODUCTION_TRAFFIC_SHIFT",
            "executionDetails": {
                "serviceArn": "arn:service:green",
                "testTrafficWeights": {},
                "productionTrafficWeights": {},
            },
            "hookDetails": {},
        })
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["SUCCEEDED", "FAILED", "IN_PROGRESS", ".*"].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name = prop_oneof!["hookStatus", "callBackDelay", "hookDetails", "[a-z]*"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(name, inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_answer_is_understood_or_named(answer in any_json()) {
        match answered(&answer) {
            Ok(run) => {
                prop_assert!(run.again_at >= NOW);
                prop_assert_eq!(
                    run.status == HookStatus::Succeeded,
                    answer["hookStatus"] == json!("SUCCEEDED")
                );
            }
            Err(why) => prop_assert!(!why.is_empty()),
        }
    }
}
