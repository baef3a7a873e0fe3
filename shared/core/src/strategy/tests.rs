use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::document::Percent;
use crate::people::Approvers;
use crate::plan::OnTimeout;
use crate::time::Span;
use crate::weight::Weight;

fn percent(permille: u16) -> Percent {
    Percent::from_permille(Weight::from_permille(permille).unwrap())
}

fn bakes() -> impl Generator<Value = Span> {
    (0u64..=86_400).prop_map(Span::from_secs)
}

fn approvals() -> impl Generator<Value = Option<ApprovalRequest>> {
    let approval = (2u64..=86_400, any::<bool>(), 1u32..=10, any::<bool>());
    let approval = approval.prop_map(|(timeout, rollback, count, all)| ApprovalRequest {
        timeout: Span::from_secs(timeout),
        on_timeout: if rollback { OnTimeout::Rollback } else { OnTimeout::Continue },
        count,
        approvers: all.then(|| Approvers::new(vec!["arn:aws:iam::111122223333:role/*".to_owned()])),
        not_by: all.then_some(NotBy::Starter),
        not_before: all.then(|| Span::from_secs(timeout - 1)),
        remind_after: all.then(|| Span::from_secs(1)),
        anyone_with_link: false,
    });
    proptest::option::of(approval)
}

/// Every valid strategy.
pub(crate) fn strategies() -> impl Generator<Value = Strategy> {
    let before = proptest::collection::btree_map(0u16..1000, (bakes(), approvals()), 0..12);
    let canary = (before, bakes(), approvals()).prop_map(|(before, last_bake, last_approval)| {
        let last = (1000, (last_bake, last_approval));
        let stages = before.into_iter().chain([last]);
        let stage = |(permille, (bake, approval))| StageRequest {
            weight: percent(permille),
            bake,
            approval,
        };
        Strategy::Canary(Canary { stages: stages.map(stage).collect() })
    });
    let linear = (1u16..=1000, bakes(), proptest::option::of(bakes()), approvals());
    let linear = linear.prop_map(|(step, bake, final_bake, approval)| {
        Strategy::Linear(Linear { step: percent(step), bake, final_bake, approval })
    });
    let blue_green = (bakes(), bakes(), approvals()).prop_map(|(idle_bake, bake, approval)| {
        Strategy::BlueGreen(BlueGreen { idle_bake, bake, approval })
    });
    let all_at_once = bakes().prop_map(|bake| Strategy::AllAtOnce(AllAtOnce { bake }));
    prop_oneof![canary, linear, blue_green, all_at_once]
}

proptest! {
    #[test]
    fn weights_of_both_slots_are_everything_increase_and_end_at_everything(strategy in strategies()) {
        let stages = strategy.stages();
        for stage in &stages {
            prop_assert_eq!(stage.weight.permille() + stage.weight.rest().permille(), 1000);
            let (stable, canary) = stage.weight.alb_weights();
            let sum = u32::from(stable.get()) + u32::from(canary.get());
            prop_assert_eq!(u32::from(canary.get()) * 1000, u32::from(stage.weight.permille()) * sum);
        }
        prop_assert!(stages.windows(2).all(|pair| pair[0].weight < pair[1].weight));
        prop_assert_eq!(stages.last().map(|stage| stage.weight), Some(Weight::ALL));
    }

    #[test]
    fn every_bake_is_where_its_path_says(strategy in strategies()) {
        let document = serde_json::json!({ "strategy": strategy });
        for (index, stage) in strategy.stages().iter().enumerate() {
            let pointer = strategy.bake_path(index)
                .replace("$.", "/").replace(['.', '['], "/").replace(']', "");
            let written = document.pointer(&pointer).and_then(serde_json::Value::as_str).map(str::to_owned);
            prop_assert_eq!(written, Some(stage.bake.to_string()), "{}", pointer);
        }
    }
}

fn shape(strategy: &Strategy) -> Vec<(u16, String, bool)> {
    let stages = strategy.stages();
    stages
        .iter()
        .map(|stage| (stage.weight.permille(), stage.bake.to_string(), stage.approval.is_some()))
        .collect()
}

fn decoded(document: serde_json::Value) -> Strategy {
    let mut findings = crate::document::Findings::default();
    let strategy = Strategy::decode(Node::root(&document, &mut findings));
    strategy.unwrap_or_else(|| panic!("{findings}"))
}

#[test]
fn the_default_is_a_careful_canary() {
    let expected = [(50, "5m"), (100, "5m"), (250, "5m"), (500, "5m"), (1000, "30m")];
    let expected: Vec<_> = expected.map(|(weight, bake)| (weight, bake.to_owned(), false)).into();
    assert_eq!(shape(&Strategy::default()), expected);
}

#[test]
fn the_last_linear_step_may_be_smaller_and_has_its_own_bake() {
    let linear = decoded(serde_json::json!({
        "linear": { "step": 40, "bake": "1m", "finalBake": "1h", "approval": {} }
    }));
    let expected = [(400, "1m"), (800, "1m"), (1000, "1h")];
    let expected: Vec<_> = expected.map(|(weight, bake)| (weight, bake.to_owned(), true)).into();
    assert_eq!(shape(&linear), expected);
}

#[test]
fn blue_green_watches_the_idle_slot_and_asks_before_everything_moves() {
    let blue_green = decoded(serde_json::json!({ "blueGreen": { "approval": {} } }));
    let expected = [(0, "2m".to_owned(), false), (1000, "5m".to_owned(), true)];
    assert_eq!(shape(&blue_green), expected);
    assert_eq!(blue_green.capacity(CanaryCapacity::Proportional), CanaryCapacity::Full);
}

#[test]
fn all_at_once_is_one_stage() {
    let all_at_once = decoded(serde_json::json!({ "allAtOnce": {} }));
    assert_eq!(shape(&all_at_once), [(1000, "5m".to_owned(), false)]);
}
