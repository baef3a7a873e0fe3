//! What the tasks really run, where a tag does not say it.

use std::collections::BTreeSet;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::ImageDigest;
use glidepath_core::record::Digests;
use glidepath_core::weight::Weight;
use glidepath_engine::testing::Call;
use glidepath_engine::testing::example::{actions, route, version};
use serde_json::{Value, json};

use crate::planning::request;
use crate::shop::{Shop, back, release};

fn image(container: &str, digest: &str) -> ImageDigest {
    let (image, digest) = (format!("repository/{container}:latest"), Some(digest.to_owned()));
    ImageDigest { container: container.to_owned(), image, digest }
}

impl Shop {
    /// What the tag stands for when the tasks of the version start.
    fn runs(&self, number: u32, digest: &str) {
        self.runs_beside(number, digest, "sha256:agent");
    }

    /// The same with a sidecar, to which no request goes, and with what AWS puts beside both.
    fn runs_beside(&self, number: u32, digest: &str, agent: &str) {
        let guard = image("aws-guardduty-agent-1", &format!("sha256:{number}"));
        let images = BTreeSet::from([image("web", digest), image("agent", agent), guard]);
        self.world.state().images.insert(version(number), images);
    }

    /// Its tasks start, and no request meets them.
    async fn refused_by_its_tasks(&self, name: &str, request: Value) -> Failure {
        let before = self.world.state().routes.clone();
        self.world.take_calls();
        let failure = self.planned(name, request).await.unwrap().run().await.unwrap_err();
        let written = self.world.take_calls();
        let moved = written.iter().any(|call| match call {
            Call::WriteRoute(_, to) => *to != before[&route()],
            _ => false,
        });
        assert!(!moved, "{written:?}");
        failure
    }

    fn digests(&self, name: &str) -> Digests {
        self.record(name).progress.digests.unwrap()
    }
}

#[tokio::test]
async fn the_same_build_under_a_tag_that_is_moved_is_refused_before_anybody_meets_it() {
    let shop = Shop::new();
    shop.runs(1, "sha256:good");
    shop.runs(2, "sha256:bad");
    shop.fails("d1", release(2), FailureCode::AlarmFired).await;
    let seen = shop.digests("d1");
    let agent = image("agent", "sha256:agent");
    assert_eq!(seen.canary, [image("web", "sha256:bad"), agent.clone()].into());
    assert_eq!(seen.stable, [image("web", "sha256:good"), agent].into());

    // Registered anew by a pipeline that runs again: only its tasks can tell.
    shop.runs(3, "sha256:bad");
    let failure = shop.refused_by_its_tasks("d2", release(3)).await;
    assert_eq!(failure.code, FailureCode::InvalidRequest);
    for words in ["runs the build of `shop:2`", "by `d1`", "5xx", "No request has met it"] {
        assert!(failure.cause.contains(words), "{failure}");
    }
    // What serves is what was there: nothing but the build speaks against it.
    shop.runs(4, "sha256:good");
    shop.succeeds("d3", release(4)).await;
    // Another build under the same tag.
    shop.runs(5, "sha256:mended");
    shop.succeeds("d4", release(5)).await;

    let mut retry = release(3);
    retry["release"]["retry"] = json!("d1");
    shop.succeeds("d5", retry).await;
    // It has proven itself, under whatever name.
    shop.succeeds("d6", release(5)).await;
    shop.succeeds("d7", release(3)).await;
    shop.succeeds("d8", release(5)).await;
    shop.succeeds("d9", release(2)).await;
}

/// A proxy that requests go to, and the application behind it.
#[tokio::test]
async fn what_is_behind_a_proxy_tells_one_build_from_another() {
    let shop = Shop::new();
    let runs = |number: u32, proxy: &str, app: &str| {
        let images = BTreeSet::from([image("web", proxy), image("app", app)]);
        shop.world.state().images.insert(version(number), images);
    };
    runs(1, "sha256:proxy-1", "sha256:app-1");
    runs(2, "sha256:proxy-2", "sha256:app-bad");
    shop.fails("d1", release(2), FailureCode::AlarmFired).await;
    // The mended one has the proxy of the bad one.
    runs(3, "sha256:proxy-2", "sha256:app-3");
    shop.succeeds("d2", release(3)).await;
    // The proxy is the one that serves, and the application is bad.
    runs(4, "sha256:proxy-2", "sha256:app-worse");
    shop.fails("d3", release(4), FailureCode::AlarmFired).await;
    runs(5, "sha256:proxy-2", "sha256:app-worse");
    assert!(shop.refused_by_its_tasks("d4", release(5)).await.cause.contains("`d3`"));
}

#[tokio::test]
async fn one_build_under_several_names_asks_for_the_same_retry_everywhere() {
    let shop = Shop::new();
    let retry = |number: u32, deployment: &str| {
        let mut request = release(number);
        request["release"]["retry"] = json!(deployment);
        request
    };
    shop.runs(1, "sha256:good");
    shop.runs(2, "sha256:bad");
    shop.runs(3, "sha256:bad");
    shop.fails("d1", release(2), FailureCode::AlarmFired).await;
    shop.fails("d2", retry(3, "d1"), FailureCode::AlarmFired).await;
    // The plan knows of both by what they ran, though only one has this name.
    let refused = shop.planned("d3", retry(2, "d1")).await.map(drop).unwrap_err();
    assert!(refused.cause.contains("`release.retry` to `d2`"), "{refused}");
    shop.succeeds("d4", retry(2, "d2")).await;
}

#[tokio::test]
async fn the_tasks_are_looked_at_once() {
    let shop = Shop::new();
    let mut staged = release(2);
    staged["strategy"] = request()["strategy"].clone();
    let mut machine = shop.planned("d1", staged).await.unwrap();
    machine.run().await.unwrap();
    let operations = machine.bed.take_operations();
    let looks = operations.iter().filter(|operation| **operation == "images").count();
    assert_eq!(looks, 2, "one for each version: {operations:?}");
}

#[tokio::test]
async fn whoever_wants_it_whatever_it_runs_says_so() {
    let shop = Shop::new();
    shop.runs(1, "sha256:good");
    shop.runs(2, "sha256:bad");
    let mut asking = release(2);
    asking["rollback"] = json!({ "validate": { "hooks": [{ "function": "smoke" }] } });
    shop.succeeds("d1", asking).await;
    shop.runs(1, "sha256:other");
    let back = json!({
        "apiVersion": "glidepath/v1",
        "service": "d1",
        "release": { "rollbackTo": "previous", "skipValidation": true },
        "reason": "anything is better than this",
    });
    shop.succeeds("b1", back).await;
    let plan = shop.registry.items().deployments[&DeploymentId::new("b1")].plan.clone();
    assert!(plan.way_back.unwrap().skips_validation);
    assert!(shop.world.state().asked.is_empty());
}

#[tokio::test]
async fn a_way_back_brings_what_has_served_and_nothing_else_of_that_name() {
    let shop = Shop::new();
    shop.runs(1, "sha256:good");
    shop.runs(2, "sha256:bad");
    shop.succeeds("d1", release(2)).await;
    // The tag was moved, to what is bad or to something else.
    shop.runs(1, "sha256:bad");
    let failure = shop.refused_by_its_tasks("b0", back("d1", "shop:1")).await;
    assert!(failure.cause.contains("`web` ran good and runs bad"), "{failure}");
    shop.runs(1, "sha256:other");
    let failure = shop.refused_by_its_tasks("b1", back("d1", "shop:1")).await;
    assert_eq!(failure.code, FailureCode::InvalidRequest);
    assert!(failure.cause.contains("`web` ran good and runs other"), "{failure}");
    assert_eq!(shop.world.state().routes[&route()], actions(Weight::ALL));
    // Somebody has tried that under the old name, and it was rolled back: it never served.
    shop.fails("d1-again", release(1), FailureCode::AlarmFired).await;
    let failure = shop.refused_by_its_tasks("b1-again", back("d1", "shop:1")).await;
    assert!(failure.cause.contains("`web` ran good and runs other"), "{failure}");
    // Others have moved the sidecar's tag: no reason to stay with what is bad.
    shop.runs_beside(1, "sha256:good", "sha256:newer");
    shop.succeeds("b2", back("d1", "shop:1")).await;
    // Nobody says what runs, and nothing waits for it.
    shop.runs(2, "sha256:bad");
    shop.world.state().images.clear();
    shop.succeeds("d2", release(3)).await;
    assert_eq!(shop.digests("d2"), Digests::default());
}
