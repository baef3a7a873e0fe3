//! What ECR has of a version's images, before anything is written.

use std::collections::BTreeSet;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::plan::ImageDigest;
use glidepath_core::plan::Slot;
use glidepath_core::world::{PrivateImage, Stored};
use glidepath_engine::ports::PortError;
use glidepath_engine::testing::example::{service, version};
use serde_json::{Value, json};

use crate::shop::{Shop, back, release};

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop";

fn tagged(tag: &str) -> PrivateImage {
    PrivateImage::of(&format!("{REPOSITORY}:{tag}")).unwrap()
}

fn there(digest: &str) -> Stored {
    Stored::There { digest: digest.to_owned(), index: Some(true) }
}

impl Shop {
    /// A version whose tag stands for this build.
    pub(crate) fn pushed(&self, number: u32, digest: &str) {
        let image = format!("{REPOSITORY}:{number}");
        let named = tagged(&number.to_string());
        let mut state = self.world.state();
        state.stored.insert(named.by_digest(digest), there(digest));
        state.stored.insert(named, there(digest));
        let digest = Some(digest.to_owned());
        let container = "web".to_owned();
        state.images.insert(version(number), [ImageDigest { container, image, digest }].into());
    }

    /// The tag and what it stood for.
    pub(crate) fn vanishes(&self, number: u32, digest: &str) {
        let named = tagged(&number.to_string());
        let mut state = self.world.state();
        state.stored.remove(&named.by_digest(digest));
        state.stored.remove(&named);
    }

    /// Nothing is written, neither to AWS nor to the registry.
    async fn refused_by_its_plan(&self, name: &str, request: Value) -> Failure {
        self.world.take_calls();
        let known = self.registry.items().deployments.len();
        let failure = self.planned(name, request).await.map(drop).unwrap_err();
        assert_eq!(failure.code, FailureCode::InvalidRequest, "{failure}");
        assert_eq!(self.registry.items().deployments.len(), known);
        let written = self.world.take_calls();
        let reads = |call: &_| matches!(call, glidepath_engine::testing::Call::ReadRoute(_));
        assert!(written.iter().all(reads), "{written:?}");
        failure
    }

    /// What a plan is told beside its version.
    async fn warned(&self, name: &str, request: Value) -> String {
        self.succeeds(name, request).await;
        self.record(name).warnings.join("\n")
    }
}

#[tokio::test]
async fn a_version_whose_image_is_gone_is_refused_before_anything_is_written() {
    let shop = Shop::new();
    shop.pushed(2, "sha256:b");
    shop.vanishes(2, "sha256:b");
    let failure = shop.refused_by_its_plan("d1", release(2)).await;
    assert!(
        failure.cause.contains("`web` of `shop:2` cannot start: ECR has no image"),
        "{failure}"
    );
}

#[tokio::test]
async fn what_no_repository_says_holds_nothing_up() {
    let shop = Shop::new();
    shop.pushed(2, "sha256:b");
    for (name, error) in [
        ("d1", PortError::Throttled { operation: "ecr:DescribeImages" }),
        (
            "d2",
            PortError::Refused {
                operation: "ecr:DescribeImages",
                detail: "AccessDenied: no".to_owned(),
            },
        ),
    ] {
        shop.world.state().no_repositories = Some(error);
        let warned = shop.warned(name, release(2)).await;
        assert!(warned.contains("could not be seen"), "{warned}");
    }
}

#[tokio::test]
async fn a_way_back_to_what_is_gone_names_what_can_be_taken() {
    let shop = Shop::new();
    for (number, digest) in [(1, "sha256:1"), (2, "sha256:2"), (3, "sha256:3"), (4, "sha256:4")] {
        shop.pushed(number, digest);
    }
    for number in 2..5 {
        shop.succeeds(&format!("d{number}"), release(number)).await;
    }
    // The slot that is idle holds the third, with its tasks.
    shop.vanishes(1, "sha256:1");
    let failure = shop.refused_by_its_plan("b1", back("d4", "shop:1")).await;
    assert!(failure.cause.contains("these can be taken: shop:3, shop:2; or push"), "{failure}");
    shop.vanishes(2, "sha256:2");
    let failure = shop.refused_by_its_plan("b2", back("d4", "shop:1")).await;
    assert!(failure.cause.contains("these can be taken: shop:3; or push"), "{failure}");
    // Its tasks run, and it is taken.
    shop.vanishes(3, "sha256:3");
    let warned = shop.warned("b3", back("d4", "previous")).await;
    assert!(
        warned.contains("`shop:3` has running tasks, but no other one could start"),
        "{warned}"
    );
}

#[tokio::test]
async fn a_way_back_to_what_lost_its_tasks_goes_by_what_it_ran() {
    let shop = Shop::new();
    shop.pushed(1, "sha256:1");
    shop.pushed(2, "sha256:2");
    shop.pushed(3, "sha256:3");
    shop.succeeds("d2", release(2)).await;
    let idle = |tasks: u32| {
        let mut state = shop.world.state();
        let blue = state.services.get_mut(&service(Slot::Blue)).unwrap();
        (blue.running_count, blue.desired_count) = (tasks, tasks);
    };
    idle(0);
    // The tag is gone or moved, the image is not: ECS knows it by its digest.
    shop.world.state().stored.insert(tagged("1"), there("sha256:other"));
    assert_eq!(shop.warned("b1", back("d2", "previous")).await, "");
    shop.succeeds("d3", release(3)).await;
    idle(0);
    shop.vanishes(1, "sha256:1");
    let failure = shop.refused_by_its_plan("b2", back("d3", "previous")).await;
    assert!(failure.cause.contains("shop@sha256:1`"), "{failure}");
}

#[tokio::test]
async fn a_way_back_that_a_moved_tag_would_lead_elsewhere_ends_before_its_tasks_start() {
    let shop = Shop::new();
    for (number, digest) in [(1, "sha256:1"), (2, "sha256:2"), (3, "sha256:3")] {
        shop.pushed(number, digest);
    }
    shop.succeeds("d2", release(2)).await;
    shop.succeeds("d3", release(3)).await;
    shop.world.state().stored.insert(tagged("1"), there("sha256:bad"));
    let failure = shop.refused_by_its_plan("b1", back("d3", "shop:1")).await;
    for words in ["`web` ran 1 and runs bad", "shop@sha256:1`", "--skip-validation"] {
        assert!(failure.cause.contains(words), "{failure}");
    }
    // Whoever insists gets it as it is.
    let mut insists = back("d3", "shop:1");
    insists["release"]["skipValidation"] = json!(true);
    shop.succeeds("b2", insists).await;
}

#[tokio::test]
async fn the_same_build_under_another_tag_is_refused_before_its_tasks_start() {
    let shop = Shop::new();
    shop.pushed(1, "sha256:good");
    shop.pushed(2, "sha256:bad");
    shop.fails("d1", release(2), FailureCode::AlarmFired).await;
    shop.pushed(3, "sha256:bad");
    let failure = shop.refused_by_its_plan("d2", release(3)).await;
    assert!(failure.cause.contains("`shop:3` is the build of `shop:2`"), "{failure}");
    let mut retry = release(3);
    retry["release"]["retry"] = json!("d1");
    shop.succeeds("d3", retry).await;
    // It has proven itself.
    let left: BTreeSet<_> = shop
        .registry
        .items()
        .locks
        .values()
        .flat_map(|lock| lock.quarantined.iter().map(|one| one.version.clone()))
        .collect();
    assert_eq!(left, BTreeSet::new());
}
