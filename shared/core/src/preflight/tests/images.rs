//! Images that ECR has, has not, and does not tell of.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::fixtures::container;
use crate::plan::{ImageDigest, WayBack};
use crate::record::Quarantined;
use crate::world::{PrivateImage, RegisteredVersion, Stored};

const SHOP: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop";

fn tagged(tag: &str) -> String {
    format!("{SHOP}:{tag}")
}

fn named(image: &str) -> PrivateImage {
    PrivateImage::of(image).expect("it is in ECR")
}

fn pinned(digest: &str) -> PrivateImage {
    named(SHOP).by_digest(digest)
}

fn there(digest: &str) -> Stored {
    Stored::There { digest: digest.to_owned(), index: Some(false) }
}

fn version(short: &str, image: &str) -> RegisteredVersion {
    RegisteredVersion { containers: vec![container("web", image)], ..registered(short) }
}

fn ran(container: &str, image: &str, digest: &str) -> ImageDigest {
    let (container, image) = (container.to_owned(), image.to_owned());
    ImageDigest { container, image, digest: Some(digest.to_owned()) }
}

fn way_back(skips_validation: bool) -> WayBack {
    WayBack {
        from: DeploymentId::new("shop-41"),
        version: task_definition("shop:41"),
        skips_validation,
    }
}

/// A way back to `shop:40`, which green still holds, with this many tasks.
fn back(tasks: u32) -> Found {
    let image = tagged("40");
    Found {
        green: Some(ecs_service(tasks, "shop:40", &["green"])),
        task_definition: Some(version("shop:40", &image)),
        way_back: Some(way_back(false)),
        before: Before { ran: [ran("web", &image, "sha256:a")].into(), ..Before::default() },
        ..found()
    }
}

/// The same after somebody else's version was there.
fn back_anew() -> Found {
    Found { green: Some(ecs_service(0, "shop:39", &["green"])), ..back(0) }
}

/// What is told of images, with the way out.
fn told(found: &Found) -> Vec<String> {
    let findings = match preflight(&request(), found) {
        Ok(resolved) => resolved.warnings,
        Err(refusal) => refusal.findings().clone(),
    };
    let told = findings.iter().map(|finding| finding.to_string());
    told.filter(|told| told.contains("ECR") || told.contains("served")).collect()
}

fn said(found: &Found, words: &[&str]) {
    let told = told(found);
    let [told] = told.as_slice() else { panic!("{told:?}") };
    for words in words {
        assert!(told.contains(words), "{told}\nlacks: {words}");
    }
}

fn refused(found: &Found, words: &[&str]) {
    assert!(preflight(&request(), found).is_err());
    said(found, words);
}

fn warned(found: &Found, words: &[&str]) {
    assert!(preflight(&request(), found).is_ok(), "{:?}", told(found));
    said(found, words);
}

fn release(image: &str, stored: Stored) -> Found {
    Found {
        task_definition: Some(version("shop:42", image)),
        stored: [(named(image), stored)].into(),
        ..found()
    }
}

#[test]
fn an_image_that_no_task_could_pull_is_refused_with_the_way_out() {
    let image = tagged("0a1b2c3");
    for (stored, words) in [
        (Stored::Gone, ["`web` of `shop:42` cannot start: ECR has no image", "push the image"]),
        (
            Stored::Archived,
            [
                "ECR has archived its image",
                "`aws ecr update-image-storage-class --region eu-west-1 --registry-id 123456789012 \
                 --repository-name shop --image-id imageTag=0a1b2c3 --target-storage-class STANDARD`",
            ],
        ),
        (Stored::Restoring, ["ECR is still restoring its image", "try again once it is back"]),
        (
            Stored::NoRepository,
            ["ECR has no repository `shop` in account 123456789012, eu-west-1", "push the image"],
        ),
    ] {
        refused(&release(&image, stored), &words);
    }
    assert_eq!(told(&release(&image, there("sha256:a"))), [""; 0]);
    // By digest, whatever the tag beside it stands for.
    let digest = format!("{SHOP}:7@sha256:a");
    refused(
        &release(&digest, Stored::Gone),
        &["ECR has no image `123456789012.", "shop@sha256:a`"],
    );
}

#[test]
fn a_container_that_the_others_go_on_without_refuses_nothing() {
    let mut found = release(&tagged("0a1b2c3"), Stored::Gone);
    let version = found.task_definition.as_mut().expect("it is there");
    version.containers[0].optional = true;
    warned(&found, &["`web` of `shop:42` may not start: ECR has no image"]);
}

#[test]
fn what_ecs_may_pull_by_its_tag_is_not_refused_for_its_digest() {
    // The digest that it ran is gone, and its tag is there: ECS resolves no tags where that is switched off.
    let mut found = back(0);
    found.stored =
        [(named(&tagged("40")), there("sha256:b")), (pinned("sha256:a"), Stored::Gone)].into();
    warned(&found, &["`web` of `shop:40` may not start: ECR has no image"]);
}

#[test]
fn nothing_is_refused_in_doubt() {
    let image = tagged("0a1b2c3");
    let warned = |stored, words| warned(&release(&image, stored), &[words]);
    warned(Stored::Denied, "not allowed (ecr:DescribeImages)");
    warned(
        Stored::Unseen("ecr:DescribeImages: throttled".to_owned()),
        "ecr:DescribeImages: throttled",
    );
    assert_eq!(told(&release(&image, Stored::Cacheable)), [""; 0]);
    // Another account's repository is its owner's affair.
    let other = image.replace("123456789012", "999999999999");
    for stored in [Stored::Denied, Stored::NoRepository] {
        assert_eq!(told(&release(&other, stored)), [""; 0]);
    }
    // Whoever may see it, may see that it is not there.
    refused(&release(&other, Stored::Gone), &["cannot start"]);
}

#[test]
fn a_way_back_to_what_is_gone_says_what_can_be_taken() {
    let mut found = back_anew();
    found.stored =
        [(named(&tagged("40")), Stored::Gone), (pinned("sha256:a"), Stored::Gone)].into();
    refused(&found, &["$.release.rollbackTo", "or go back to another version"]);
    found.before.takeable = Some(vec![task_definition("shop:39"), task_definition("shop:38")]);
    refused(&found, &["these can be taken: shop:39, shop:38; or push the image"]);
    found.before.takeable = Some(Vec::new());
    refused(&found, &["no other version that has served can be taken either"]);
    // Without its tag, but not gone.
    found.stored.insert(pinned("sha256:a"), there("sha256:a"));
    refused(
        &found,
        &["register the version with `123456789012.", "shop@sha256:a`, and release that one"],
    );
    // Somebody insists: an instance may have it.
    found.way_back = Some(way_back(true));
    warned(&found, &["may not start"]);
}

#[test]
fn a_slot_that_holds_the_version_goes_by_what_it_has_resolved() {
    let gone = [(named(&tagged("40")), Stored::Gone), (pinned("sha256:a"), Stored::Gone)];
    // Its tasks run.
    let mut found = back(3);
    found.stored = gone.clone().into();
    warned(
        &found,
        &["`shop:40` has running tasks, but no other one could start: ECR has no image"],
    );
    // It has none any more.
    let mut found = back(0);
    found.stored = gone.into();
    refused(&found, &["`web` of `shop:40` cannot start: ECR has no image", "shop@sha256:a"]);
    // The tag was moved or is gone, and what it stood for is there.
    for tag in [Stored::Gone, there("sha256:b")] {
        found.stored =
            [(named(&tagged("40")), tag), (pinned("sha256:a"), there("sha256:a"))].into();
        assert_eq!(told(&found), [""; 0]);
    }
    // Two, where ECS could not settle on one, of which nobody can see the other.
    found.before.ran.insert(ran("web", &tagged("40"), "sha256:b"));
    for unseen in ["sha256:a", "sha256:b"] {
        found.stored = [
            (pinned("sha256:a"), Stored::Gone),
            (pinned("sha256:b"), Stored::Gone),
            (pinned(unseen), Stored::Unseen("throttled".to_owned())),
        ]
        .into();
        warned(&found, &["could not be seen: throttled"]);
    }
    // Nobody has written down what it ran.
    found.before.ran.clear();
    found.stored = [(named(&tagged("40")), Stored::Gone)].into();
    warned(&found, &["may not start"]);
}

#[test]
fn a_tag_that_was_moved_brings_nothing_back() {
    let mut found = back_anew();
    let moved = |before: Stored, now: Stored| -> BTreeMap<_, _> {
        [(named(&tagged("40")), now), (pinned("sha256:a"), before)].into()
    };
    found.stored = moved(there("sha256:a"), there("sha256:b"));
    refused(
        &found,
        &[
            "`shop:40` would not start with what it ran when it served: `web` ran a and runs b",
            "register the version with `123456789012.",
            "shop@sha256:a`",
            "`--skip-validation`",
        ],
    );
    found.stored = moved(Stored::Gone, there("sha256:b"));
    refused(&found, &["`web` ran a and runs b"]);
    // The one may be an image in the other, an index.
    let index = Stored::There { digest: "sha256:b".to_owned(), index: Some(true) };
    for before in [there("sha256:a"), Stored::Archived, Stored::Denied] {
        found.stored = moved(before, index.clone());
        assert_eq!(told(&found), [""; 0]);
    }
    found.stored = moved(there("sha256:a"), there("sha256:a"));
    assert_eq!(told(&found), [""; 0]);
}

/// As the tasks are judged when they run: a sidecar is excused where what requests go to is back.
#[test]
fn a_sidecar_is_excused_only_by_what_is_known() {
    let mut found = back_anew();
    let (web, agent) = (tagged("40"), format!("{SHOP}-agent:stable"));
    let version = RegisteredVersion {
        containers: vec![container("web", &web), container("agent", &agent)],
        ..registered("shop:40")
    };
    found.task_definition = Some(version);
    found.before.ran = [ran("web", &web, "sha256:a"), ran("agent", &agent, "sha256:x")].into();
    found.before.serves = [ran("web", &web, "sha256:b"), ran("agent", &agent, "sha256:x")].into();
    if let Some(green) = &mut found.green {
        let port = crate::world::Registration {
            answers: Some(("web".to_owned(), 8080)),
            ..green.target_groups[0].clone()
        };
        green.target_groups = vec![port];
    }
    let agent_then = named(&agent).by_digest("sha256:x");
    found.stored = [
        (named(&web), there("sha256:a")),
        (pinned("sha256:a"), there("sha256:a")),
        (named(&agent), there("sha256:y")),
        (agent_then, there("sha256:x")),
    ]
    .into();
    assert_eq!(told(&found), [""; 0]);
    // Nobody knows what the application would be: its tasks will tell.
    found.stored.insert(named(&web), Stored::Denied);
    let told = told(&found);
    assert!(told.iter().all(|told| told.contains("could not be seen")), "{told:?}");
}

#[test]
fn what_was_taken_back_is_known_by_its_digest_under_another_tag() {
    let image = tagged("again");
    let mut found = release(&image, there("sha256:bad"));
    found.quarantined = vec![Quarantined {
        version: task_definition("shop:37"),
        images: vec![tagged("37")],
        digests: vec!["sha256:bad".to_owned()],
        deployment: DeploymentId::new("shop-37"),
        at: crate::fixtures::NOW,
        because: "AlarmFired: shop-5xx".to_owned(),
    }];
    let mut document = document();
    let refused = preflight(&decoded(&document), &found).unwrap_err().findings().to_string();
    assert!(refused.contains("`shop:42` is the build of `shop:37`"), "{refused}");
    document["release"]["retry"] = json!("shop-37");
    // Its success has to be of that build: the tag may be moved until its tasks start.
    let plan = preflight(&decoded(&document), &found).unwrap().plan;
    assert_eq!(plan.retries, []);
    let mut other = found.clone();
    other.stored.insert(named(&image), there("sha256:mended"));
    assert!(preflight(&request(), &other).is_ok());
    // A container of which nobody knows what it is.
    let version = found.task_definition.as_mut().unwrap();
    version.containers.push(container("proxy", "envoy:latest"));
    assert!(preflight(&request(), &found).is_ok());
}

#[test]
fn only_what_can_start_is_said_to_be_takeable() {
    let of = |number: u32, active: bool| {
        let name = format!("shop:{number}");
        RegisteredVersion { active, ..version(&name, &tagged(&number.to_string())) }
    };
    let stored = [
        (named(&tagged("1")), there("sha256:a")),
        (named(&tagged("2")), there("sha256:b")),
        (named(&tagged("3")), Stored::Gone),
        (named(&tagged("4")), Stored::Archived),
        (named(&tagged("5")), Stored::Denied),
    ]
    .into();
    let versions =
        vec![of(1, true), of(2, false), of(3, true), of(4, true), of(5, true), of(6, true)];
    let expected = ["shop:1", "shop:5", "shop:6"].map(task_definition);
    assert_eq!(takeable(versions, &stored), expected);
}

/// What a repository really has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Active,
    Archived,
    Restoring,
    Gone,
}

/// What is so, whoever may see it: two builds, what the tag stands for, and what ECS has resolved it to.
#[derive(Clone, Debug)]
struct Truth {
    builds: [Status; 2],
    tag: Option<usize>,
    ran: Option<usize>,
    resolved: usize,
    holds: bool,
    tasks: u32,
    back: bool,
}

const BUILDS: [&str; 2] = ["sha256:a", "sha256:b"];

impl Truth {
    fn any() -> impl Strategy<Value = Self> {
        let status = prop::sample::select(vec![
            Status::Active,
            Status::Active,
            Status::Archived,
            Status::Restoring,
            Status::Gone,
        ]);
        let build = 0..2_usize;
        (
            [status.clone(), status],
            prop::option::of(build.clone()),
            prop::option::of(build.clone()),
            (build, any::<bool>(), 0..2_u32, any::<bool>()),
        )
            .prop_map(|(builds, tag, ran, (resolved, holds, tasks, back))| Self {
                builds,
                // A tag goes with its image.
                tag: tag.filter(|tag| builds[*tag] != Status::Gone),
                ran: ran.filter(|_| back),
                // What ran is what ECS has resolved.
                resolved: ran.filter(|_| back).unwrap_or(resolved),
                holds,
                tasks,
                back,
            })
    }

    fn says(&self, build: usize) -> Stored {
        match self.builds[build] {
            Status::Active => there(BUILDS[build]),
            Status::Archived => Stored::Archived,
            Status::Restoring => Stored::Restoring,
            Status::Gone => Stored::Gone,
        }
    }

    /// Whether it brings what it is asked for.
    fn works(&self) -> bool {
        if self.holds {
            return self.tasks > 0 || self.builds[self.resolved] == Status::Active;
        }
        let starts = self.tag.filter(|tag| self.builds[*tag] == Status::Active);
        starts.is_some_and(|starts| self.ran.is_none_or(|ran| ran == starts))
    }

    /// As it is seen by whoever may see all of it, or by others.
    fn found(&self, blind: [bool; 3]) -> Found {
        let mut found = if self.holds { back(self.tasks) } else { back_anew() };
        found.way_back = self.back.then(|| way_back(false));
        let ran_digest = self.ran.map(|build| ran("web", &tagged("40"), BUILDS[build]));
        found.before.ran = ran_digest.into_iter().collect();
        let tag = self.tag.map_or(Stored::Gone, |tag| self.says(tag));
        let says = [
            (named(&tagged("40")), tag),
            (pinned(BUILDS[0]), self.says(0)),
            (pinned(BUILDS[1]), self.says(1)),
        ];
        let seen = says.into_iter().zip(blind).map(|((image, stored), blind)| {
            let stored = if blind { Stored::Unseen("throttled".to_owned()) } else { stored };
            (image, stored)
        });
        found.stored = seen.collect();
        found
    }
}

proptest! {
    /// Whoever is refused would have gained nothing, whatever can and cannot be seen.
    #[test]
    fn what_would_work_is_never_refused(truth in Truth::any(), blind in any::<[bool; 3]>()) {
        if truth.works() {
            let checked = preflight(&request(), &truth.found(blind));
            prop_assert!(checked.is_ok(), "{:?}", checked.unwrap_err());
        }
    }

    /// And what would not work is refused where all can be seen, and it is known what it is about.
    #[test]
    fn what_would_not_work_is_refused(truth in Truth::any()) {
        let known = !truth.holds || truth.ran.is_some();
        // Of what is archived nobody says what it is.
        let told_apart = truth.ran.is_none_or(|ran| {
            matches!(truth.builds[ran], Status::Active | Status::Gone)
        });
        // Where ECS resolves no tags, it starts what the tag stands for: that may work.
        let pulls_by_tag =
            truth.holds && truth.tag.is_some_and(|tag| truth.builds[tag] == Status::Active);
        if !truth.works() && known && !pulls_by_tag && (told_apart || truth.holds) {
            prop_assert!(preflight(&request(), &truth.found([false; 3])).is_err());
        }
    }
}
