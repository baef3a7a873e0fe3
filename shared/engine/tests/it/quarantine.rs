use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::Slot;
use glidepath_core::record::LockKey;
use glidepath_core::weight::Weight;
use glidepath_engine::testing::example::{self, actions, route, version};
use serde_json::{Value, json};

use crate::shop::{Shop, back, release};

fn retry(number: u32, deployment: &str) -> Value {
    let mut request = release(number);
    request["release"]["retry"] = json!(deployment);
    request
}

impl Shop {
    async fn refused(&self, name: &str, request: Value) -> Failure {
        let items = || self.registry.items().deployments.clone();
        let (before, locks) = (items(), self.registry.items().locks.clone());
        let refused = self.planned(name, request).await.map(drop).unwrap_err();
        assert!(items() == before && self.registry.items().locks == locks, "{refused}");
        refused
    }

    fn quarantined(&self) -> Vec<String> {
        let items = self.registry.items();
        let mut found = Vec::new();
        for slot in [Slot::Blue, Slot::Green] {
            let cluster = glidepath_core::ids::ClusterName::new("production");
            let lock = items.lock(&LockKey::service(&cluster, &example::service(slot)));
            let versions = lock.quarantined.iter().map(|one| one.version.short().to_owned());
            found.push(versions.collect::<Vec<_>>());
        }
        // Whichever slot is next: both locks know it.
        assert_eq!(found[0], found[1]);
        let others = items.locks.values().filter(|lock| !lock.key.as_str().contains("service#"));
        assert!(others.flat_map(|lock| &lock.quarantined).next().is_none());
        found.remove(0)
    }
}

#[tokio::test]
async fn what_was_rolled_back_waits_for_whoever_names_it_until_it_succeeds() {
    let shop = Shop::new();
    shop.fails("d1", release(2), FailureCode::AlarmFired).await;
    assert_eq!(shop.quarantined(), ["shop:2"]);
    let refused = shop.refused("d2", release(2)).await;
    assert_eq!(refused.code, FailureCode::InvalidRequest);
    for word in ["`shop:2` was taken back by `d1`", "AlarmFired: 5xx", "`release.retry` to `d1`"] {
        assert!(refused.cause.contains(word), "{refused}");
    }
    // Another version goes, and changes nothing for this one.
    shop.succeeds("d3", release(3)).await;
    assert_eq!(shop.quarantined(), ["shop:2"]);
    shop.refused("d4", release(2)).await;
    // Tried again it fails again: what was named is over.
    shop.fails("d5", retry(2, "d1"), FailureCode::VerdictFailed).await;
    assert!(shop.refused("d6", retry(2, "d1")).await.cause.contains("by `d5`"));
    shop.succeeds("d7", retry(2, "d5")).await;
    assert_eq!(shop.quarantined(), [""; 0]);
    shop.succeeds("d8", release(3)).await;
    shop.succeeds("d9", release(2)).await;
}

#[tokio::test]
async fn what_says_nothing_of_a_version_leaves_it_free() {
    for code in [
        FailureCode::OrchestrationLost,
        FailureCode::Inconclusive,
        FailureCode::ApprovalTimedOut,
        FailureCode::Unexpected,
    ] {
        let shop = Shop::new();
        shop.fails("d1", release(2), code).await;
        assert_eq!(shop.quarantined(), [""; 0], "{code}");
        shop.succeeds("d2", release(2)).await;
    }
}

#[tokio::test]
async fn a_pipeline_goes_back_and_what_it_leaves_is_refused() {
    let shop = Shop::new();
    let none = shop.refused("b0", back("shop", "previous")).await;
    assert_eq!(none.code, FailureCode::InvalidRequest);
    assert!(none.cause.contains("has succeeded"), "{none}");
    shop.succeeds("d1", release(2)).await;

    // While another one runs the same may be right later.
    let mut running = shop.planned("d2", release(3)).await.unwrap();
    let refused = shop.refused("b1", back("shop", "previous")).await;
    assert_eq!(refused.code, FailureCode::DeploymentRunning);
    assert!(refused.cause.contains("`glidepath rollback d2`"), "{refused}");
    running.run().await.unwrap();

    shop.succeeds("b2", back("d2", "previous")).await;
    let items = shop.registry.items().clone();
    let plan = &items.deployments[&DeploymentId::new("b2")].plan;
    assert_eq!(plan.task_definition, version(2));
    assert_eq!(plan.reason.as_deref(), Some("checkout is slow"));
    assert!(plan.only_switches());
    assert_eq!(plan.notify, items.deployments[&DeploymentId::new("d2")].plan.notify);
    assert_eq!(shop.quarantined(), ["shop:3"]);
    assert!(shop.refused("d3", release(3)).await.cause.contains("checkout is slow"));

    // Named exactly it is no mistake, and by the service's name it would go back and forth.
    for (subject, to, words) in [
        ("shop", "previous", "somebody has gone back already, by b2"),
        ("d2", "previous", "b2 has succeeded since d2"),
        ("shop", "shop:2", "shop:2 serves already"),
        ("shop", "shop:9", "these have: shop:3, shop:1"),
        ("basket", "previous", "none of the last 300 deployments"),
    ] {
        let refused = shop.refused("b3", back(subject, to)).await;
        assert_eq!(refused.code, FailureCode::InvalidRequest);
        assert!(refused.cause.contains(words), "{refused}");
    }
    // Whoever names it knows why.
    shop.succeeds("b4", back("b2", "shop:3")).await;
    assert_eq!(shop.quarantined(), ["shop:2"]);
    assert_eq!(shop.world.state().routes[&route()], actions(Weight::NONE));
}

#[tokio::test]
async fn a_channel_that_has_gone_and_a_damaged_record() {
    let shop = Shop::new();
    shop.succeeds("d1", release(2)).await;
    let id = DeploymentId::new("d1");
    shop.registry
        .items()
        .deployments
        .get_mut(&id)
        .unwrap()
        .plan
        .notify
        .push(glidepath_core::ids::ChannelName::new("gone"));
    shop.registry.items().unreadable.insert(DeploymentId::new("d0"));
    let refused = shop.refused("b1", back("shop", "previous")).await;
    assert!(refused.cause.contains("the record of d0 cannot be read"), "{refused}");
    shop.registry.items().unreadable.clear();
    shop.succeeds("b1", back("shop", "previous")).await;
    let b1 = shop.registry.items().deployments[&DeploymentId::new("b1")].clone();
    assert!(!b1.plan.notify.iter().any(|channel| channel.as_str() == "gone"));
}

#[tokio::test]
async fn mistakes_in_a_way_back_are_found_before_anything_is_read() {
    let shop = Shop::new();
    let mut wrong = back("shop", "previous");
    wrong["strategy"] = json!({ "allAtOnce": {} });
    wrong.as_object_mut().unwrap().remove("reason");
    let refused = shop.refused("b1", wrong).await;
    assert!(refused.cause.contains("strategy") && refused.cause.contains("reason"), "{refused}");
}
