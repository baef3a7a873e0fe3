//! What is asked of the version that serves once everything is back.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Measure, Number};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, Outcome, Phase};
use glidepath_core::time::Span;
use glidepath_engine::ports::{Clock, PortError, PortResult, ProbeAnswer};
use glidepath_engine::testing::example::version;
use glidepath_engine::testing::{Bed, Call, Machine};
use glidepath_engine::{StepInput, sweep, validate};
use serde_json::{Value, json};

use crate::planning::request;
use crate::shop::{Shop, back};

/// What the plan asks: one of each.
fn asking() -> Value {
    let mut request = request();
    request["strategy"] = json!({ "allAtOnce": { "bake": "5m" } });
    request["rollback"] = json!({ "validate": {
        "probes": [{ "url": "https://${slot}.example.com/", "attempts": 1 }],
        "checks": [{
            "name": "orders",
            "metric": { "namespace": "Shop", "name": "Orders", "dimensions": { "Slot": "${slot}" } },
            "limit": { "below": 10 },
            "points": 2,
        }],
        "hooks": [{ "function": "smoke", "details": { "suite": "short" } }],
    } });
    request
}

/// Where everything is as it must be.
fn sound() -> Shop {
    let shop = Shop::new();
    shop.page("blue", Ok(200));
    shop.hook(&["SUCCEEDED"]);
    shop.orders("blue", &[12.0, 12.0]);
    shop
}

impl Shop {
    fn page(&self, slot: &str, answer: PortResult<u16>) {
        let answer = answer.map(|status| ProbeAnswer { status, body: String::new() });
        self.world.state().pages.insert(format!("https://{slot}.example.com/"), answer);
    }

    fn hook(&self, says: &[&str]) {
        let answers = says.iter().map(|status| Ok(json!({ "hookStatus": status })));
        self.world.state().answers.insert("smoke".to_owned(), answers.collect());
    }

    fn orders(&self, slot: &str, points: &[f64]) {
        let measure: Measure = serde_json::from_value(json!({ "metric": {
            "namespace": "Shop", "name": "Orders", "dimensions": { "Slot": slot },
            "statistic": "Average",
        } }))
        .unwrap();
        let points = points.iter().map(|point| Number::new(*point).unwrap()).collect();
        let mut state = self.world.state();
        state.measures.retain(|(known, _)| *known != measure);
        state.measures.push((measure, Ok(points)));
    }

    /// Until it is on its way to the end, for an alarm.
    async fn rolled_back(&self, name: &str) -> Machine<'_> {
        self.caught(name, asking(), FailureCode::AlarmFired).await
    }

    /// Good, bad and unknown, of every time that it was told.
    fn told(&self, name: &str) -> Vec<[Vec<String>; 3]> {
        let items = self.registry.items();
        let of = items.notices.iter().filter(|entry| entry.notice.deployment.as_str() == name);
        of.filter_map(|entry| {
            let Event::Validated { good, bad, unknown } = &entry.notice.event else { return None };
            Some([good.clone(), bad.clone(), unknown.clone()])
        })
        .collect()
    }

    fn asked(&self) -> Vec<Value> {
        self.world.state().asked.iter().map(|(_, event)| event.clone()).collect()
    }
}

#[tokio::test]
async fn what_serves_again_is_asked_once_everything_is_back_and_the_first_reason_stays() {
    let shop = sound();
    shop.hook(&["IN_PROGRESS", "SUCCEEDED"]);
    let mut machine = shop.rolled_back("d1").await;
    machine.run_until(|reply| reply.next == NextStep::Validate).await.unwrap();
    let ended = shop.record("d1");
    assert_eq!(ended.phase, Phase::Closed(Outcome::RolledBack));
    assert!(shop.registry.items().locks.values().all(|lock| lock.holder.is_none()));
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure, Failure::new(FailureCode::AlarmFired, "5xx"));

    let [told] = &shop.told("d1")[..] else { panic!("{:?}", shop.told("d1")) };
    let [good, bad, unknown] = told;
    assert_eq!((good.len(), bad.len(), unknown.len()), (3, 0, 0), "{told:?}");
    let asked = shop.asked();
    assert_eq!(asked.len(), 2, "once more while it was in progress");
    assert_eq!(asked[0]["lifecycleStage"], "ROLLBACK");
    assert_eq!(asked[0]["hookDetails"], json!({ "suite": "short" }));
    // What is asked about is what serves.
    assert_eq!(asked[0]["executionDetails"]["serviceArn"], "arn:service/shop-blue");
    assert_eq!(asked[0]["executionId"], asked[1]["executionId"]);
    let after = shop.record("d1");
    assert_eq!((after.validating.clone(), after.ended_at()), (None, ended.ended_at()));
}

#[tokio::test]
async fn what_is_not_as_it_must_be_is_told_at_once_and_what_is_not_known_when_its_time_is_over() {
    let shop = sound();
    shop.page("blue", Ok(503));
    shop.orders("blue", &[]);
    shop.rolled_back("d1").await.run().await.unwrap_err();
    let [[good, bad, unknown]] = &shop.told("d1")[..] else { panic!("{:?}", shop.told("d1")) };
    assert_eq!((good.len(), unknown.len()), (1, 1));
    assert!(bad[0].contains("answered 503 instead of 200"), "{bad:?}");

    let shop = sound();
    shop.orders("blue", &[]);
    shop.hook(&["MAYBE"]);
    let mut machine = shop.rolled_back("d1").await;
    machine.run_until(|reply| reply.next == NextStep::Validate).await.unwrap();
    let began = shop.world.now();
    machine.run().await.unwrap_err();
    assert!(shop.world.now().since(began) >= Span::from_secs(600));
    let [[good, bad, unknown]] = &shop.told("d1")[..] else { panic!("{:?}", shop.told("d1")) };
    assert_eq!((good.len(), bad.len()), (1, 0));
    assert!(unknown[0].contains("`orders` has no data yet"), "{unknown:?}");
    assert!(unknown[1].contains("hook `smoke` at ROLLBACK says nothing"), "{unknown:?}");
}

#[tokio::test]
async fn a_way_back_asks_what_it_has_brought_back_and_a_success_asks_nothing() {
    let shop = sound();
    shop.planned("d1", asking()).await.unwrap().run().await.unwrap();
    assert!(shop.told("d1").is_empty());
    assert!(shop.asked().is_empty());
    // Blue serves again, which is the canary of this one.
    shop.planned("b1", back("d1", "previous")).await.unwrap().run().await.unwrap();
    let plan = shop.record("b1").plan;
    assert_eq!(plan.task_definition, version(1));
    let [[good, bad, unknown]] = &shop.told("b1")[..] else { panic!("{:?}", shop.told("b1")) };
    assert_eq!((good.len(), bad.len(), unknown.len()), (3, 0, 0), "{bad:?} {unknown:?}");
    assert_eq!(shop.asked()[0]["executionDetails"]["serviceArn"], "arn:service/shop-blue");
    // And back again: the plan knows both slots.
    shop.page("green", Ok(200));
    shop.orders("green", &[1.0, 1.0]);
    shop.planned("b2", back("b1", "previous")).await.unwrap().run().await.unwrap();
    let [[_, bad, _]] = &shop.told("b2")[..] else { panic!("{:?}", shop.told("b2")) };
    assert!(bad[0].contains("check `orders`: 1, allowed is at least 10"), "{bad:?}");
}

#[tokio::test]
async fn the_sweep_has_it_asked_where_nobody_comes_back() {
    let shop = sound();
    shop.orders("blue", &[]);
    let mut machine = shop.rolled_back("d1").await;
    machine.run_until(|reply| reply.next == NextStep::Validate).await.unwrap();
    let bed = Bed::new(&shop.registry, &shop.world);
    let validated = async || {
        shop.world.take_calls();
        let swept = sweep::run(&bed).await.unwrap().validated;
        let id = DeploymentId::new("d1");
        assert_eq!(shop.world.take_calls().contains(&Call::Validate(id)), swept > 0);
        swept
    };
    // Whoever ended it is expected to.
    assert_eq!(validated().await, 0);
    shop.world.pass(Span::from_secs(61));
    assert_eq!(validated().await, 1);
    // An error is nobody's verdict, and it is asked again.
    let lost = PortError::Unanswered { operation: "GetMetricData", detail: "timed out".to_owned() };
    shop.page("blue", Err(lost));
    let look = async || {
        let input = StepInput { deployment: DeploymentId::new("d1") };
        validate::run(&bed, &input).await.unwrap()
    };
    assert_eq!(look().await.next, NextStep::Validate);
    assert_eq!(validated().await, 0);
    shop.page("blue", Ok(200));
    shop.orders("blue", &[12.0, 12.0]);
    shop.world.pass(Span::from_secs(300));
    assert_eq!(validated().await, 1);
    // Twice is once.
    let (one, other) = (look().await, look().await);
    assert_eq!((one.next, other.next), (NextStep::Failed, NextStep::Failed));
    assert_eq!(one.failure, Some(Failure::new(FailureCode::AlarmFired, "5xx")));
    assert_eq!(shop.told("d1").len(), 1);
    assert_eq!(validated().await, 0);
}

#[tokio::test]
async fn whoever_begins_meanwhile_may_have_answered() {
    for (looked, ended) in [(true, false), (true, true), (false, true)] {
        let shop = sound();
        shop.orders("blue", &[]);
        let mut machine = shop.rolled_back("d1").await;
        machine.run_until(|reply| reply.next == NextStep::Validate).await.unwrap();
        let look = async || {
            let input = StepInput { deployment: DeploymentId::new("d1") };
            validate::run(&machine.bed, &input).await.unwrap()
        };
        if looked {
            assert_eq!(look().await.next, NextStep::Validate);
        }
        let mut next = request();
        next["release"]["taskDefinition"] = json!(version(3).as_str());
        next["strategy"] = json!({ "allAtOnce": { "bake": "1m" } });
        let mut next = shop.planned("d2", next).await.unwrap();
        if ended {
            next.run().await.unwrap();
        }
        // The new version answers in its place.
        shop.page("blue", Ok(503));
        assert_eq!(look().await.next, NextStep::Failed);
        let [[good, bad, unknown]] = &shop.told("d1")[..] else { panic!("{:?}", shop.told("d1")) };
        assert!(good.is_empty() && bad.is_empty(), "{good:?} {bad:?}");
        let by = if ended { "another deployment has begun" } else { "d2 has begun" };
        assert!(unknown[0].starts_with(by), "{unknown:?}");
    }
}

#[tokio::test]
async fn what_was_measured_before_everything_was_back_counts_for_nothing() {
    let shop = sound();
    let mut machine = shop.rolled_back("d1").await;
    machine.run_until(|reply| reply.next == NextStep::Validate).await.unwrap();
    let input = StepInput { deployment: DeploymentId::new("d1") };
    // Two points of a minute each, of which one began before.
    let reply = validate::run(&machine.bed, &input).await.unwrap();
    assert_eq!(reply.next, NextStep::Validate, "{}", reply.summary);
    assert!(shop.told("d1").is_empty());
    shop.world.pass(Span::from_secs(120));
    let reply = validate::run(&machine.bed, &input).await.unwrap();
    assert_eq!(reply.next, NextStep::Failed, "{}", reply.summary);
    assert_eq!(shop.told("d1")[0][0].len(), 3);
}

#[tokio::test]
async fn a_plan_that_asks_nothing_ends_as_it_did() {
    let shop = sound();
    let mut machine = shop.planned("d1", request()).await.unwrap();
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(Some(Failure::new(FailureCode::AlarmFired, "5xx"))).await;
    machine.run().await.unwrap_err();
    assert!(!machine.steps.ends_with(&[NextStep::Validate]), "{:?}", machine.steps);
    assert!(shop.told("d1").is_empty());
    assert_eq!(shop.record("d1").validating, None);
}
