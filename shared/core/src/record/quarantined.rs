//! A version that was rolled back, so that no pipeline that runs again brings it to the users a second
//! time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::deployment::{Deployment, Outcome};
use crate::ids::{DeploymentId, TaskDefinition};
use crate::plan::{ImageDigest, build_of};
use crate::time::Timestamp;

/// A version that was rolled back. It is kept with the locks of both slots, which every plan reads anyway,
/// until a deployment of it succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    pub version: TaskDefinition,
    /// What it is made of: a pipeline that runs again registers the same build as another revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What its containers ran, if that tells which build it is: a tag may have been moved since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<String>,
    /// What took it back: the name by which it is tried again.
    pub deployment: DeploymentId,
    pub at: Timestamp,
    /// What spoke against it, in words.
    pub because: String,
}

/// What the end of a deployment changes in the quarantine of its service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineChange {
    pub added: Option<Quarantined>,
    /// Versions that have proven themselves.
    pub lifted: Vec<TaskDefinition>,
}

/// Tags that are moved from build to build; of others nobody can tell.
const MOVED: [&str; 12] = [
    "latest",
    "stable",
    "main",
    "master",
    "develop",
    "dev",
    "staging",
    "stage",
    "production",
    "prod",
    "edge",
    "nightly",
];

/// How many versions stay in quarantine; older ones are forgotten.
const KEPT: usize = 20;

/// The longest reason, in characters: twenty of them are read by every plan.
const LONGEST_REASON: usize = 500;

impl Quarantined {
    /// Whether this is the version, or another revision of the same build.
    pub fn is(&self, version: &TaskDefinition, images: &[String]) -> bool {
        let same = || !self.images.is_empty() && sorted(&self.images) == sorted(images);
        let pinned = || {
            let digests =
                images.iter().map(|image| image.split_once('@').map(|(_, digest)| digest));
            let digests: Option<BTreeSet<_>> = digests.collect();
            digests.is_some_and(|digests| self.runs(&digests.into_iter().collect::<Vec<_>>()))
        };
        self.version == *version || same() || pinned()
    }

    /// Whether these digests, in order, are those of this build.
    pub fn runs(&self, digests: &[impl AsRef<str>]) -> bool {
        let own = self.digests.iter().map(String::as_str);
        !self.digests.is_empty() && own.eq(digests.iter().map(AsRef::as_ref))
    }

    /// Those that are too old to be kept beside the others.
    pub fn forgotten(known: &[Self]) -> Vec<TaskDefinition> {
        let mut known: Vec<_> = known.iter().collect();
        known.sort_by_key(|one| std::cmp::Reverse(one.at));
        known.into_iter().skip(KEPT).map(|one| one.version.clone()).collect()
    }
}

impl QuarantineChange {
    /// What the end of a deployment says of the versions between which it moved the traffic.
    pub fn at_end(deployment: &Deployment, outcome: Outcome, at: Timestamp) -> Self {
        let Deployment { id, plan, fence, .. } = deployment;
        let ran = deployment.progress.digests.clone().unwrap_or_default();
        let added = |version: &TaskDefinition, images: Vec<String>, because: &str| Quarantined {
            version: version.clone(),
            images,
            digests: if *version == plan.task_definition {
                told_apart(&ran.canary, &ran.stable)
            } else {
                told_apart(&ran.stable, &ran.canary)
            },
            deployment: id.clone(),
            at,
            because: because.chars().take(LONGEST_REASON).collect(),
        };
        match outcome {
            // Somebody has thought better of it: what it was to bring has served before.
            Outcome::RolledBack if plan.way_back.is_some() => Self::default(),
            // Moved to the other slot and back: it serves.
            Outcome::RolledBack if plan.task_definition == plan.stable.task_definition => {
                Self::default()
            }
            Outcome::RolledBack => {
                let met = !deployment.progress.shifts.is_empty();
                let mut fences = fence.iter();
                let spoke = fences.find(|fence| fence.failure.code.speaks_against_version(met));
                let added = spoke.map(|fence| {
                    let images = build(&plan.images, &plan.stable_images);
                    added(&plan.task_definition, images, &fence.failure.to_string())
                });
                Self { added, lifted: Vec::new() }
            }
            Outcome::Succeeded => {
                let left = &plan.stable.task_definition;
                // Somebody may have changed the service by hand, and then nobody has said what of.
                let leaves = plan.way_back.as_ref().is_some_and(|back| back.version == *left);
                let added = leaves.then(|| {
                    let because = plan.reason.as_deref().unwrap_or_default();
                    added(left, build(&plan.stable_images, &plan.images), because)
                });
                let mut lifted = [plan.retries.as_slice(), &ran.retries].concat();
                lifted.push(plan.task_definition.clone());
                lifted.retain(|version| added.as_ref().is_none_or(|left| left.version != *version));
                lifted.sort_unstable();
                lifted.dedup();
                Self { added, lifted }
            }
            // Nobody has met it.
            Outcome::Abandoned => Self::default(),
        }
    }

    /// What is in quarantine afterwards.
    pub fn apply(&self, known: &mut Vec<Quarantined>) {
        known.retain(|one| !self.lifted.contains(&one.version));
        if let Some(added) = &self.added {
            known.retain(|one| one.version != added.version);
            known.push(added.clone());
        }
    }
}

/// The images of a version, if they say which build it is. Where the other version has the same ones, what is
/// wrong is not the build; and images that nothing pins are no proof, for `latest` is another one tomorrow.
fn build(images: &[String], other: &[String]) -> Vec<String> {
    let tells = images.iter().any(|image| is_pinned(image) && !other.contains(image));
    if tells { images.to_vec() } else { Vec::new() }
}

/// The digests of a version, if they tell its build from the other one's.
fn told_apart(images: &BTreeSet<ImageDigest>, other: &BTreeSet<ImageDigest>) -> Vec<String> {
    let (own, other) = (build_of(images), build_of(other));
    if own == other { Vec::new() } else { own }
}

/// Whether what the name stands for does not change: it has a digest, or a tag that is not moved from build to
/// build.
pub fn is_pinned(image: &str) -> bool {
    let tagged = image.rsplit_once(':').is_some_and(|(_, tag)| {
        // What follows a port is no tag.
        !MOVED.contains(&tag) && !tag.contains('/')
    });
    image.contains('@') || tagged
}

/// By digest where there is one: whatever else such a name says counts for nothing.
fn sorted(images: &[String]) -> Vec<&str> {
    let mut sorted: Vec<_> = images
        .iter()
        .map(|image| image.split_once('@').map_or(image.as_str(), |(_, digest)| digest))
        .collect();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureCode};
    use crate::fixtures::{NOW, deployment};
    use crate::plan::{StageIndex, WayBack};
    use crate::record::{Fence, FenceTrigger, Shift};
    use crate::time::Span;

    fn version(number: u32) -> TaskDefinition {
        TaskDefinition::new(format!("arn:aws:ecs:eu-west-1:1:task-definition/shop:{number}"))
    }

    fn of(number: u32, images: &[&str]) -> Quarantined {
        Quarantined {
            version: version(number),
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            digests: Vec::new(),
            deployment: DeploymentId::new(format!("shop-{number}")),
            at: NOW + Span::from_secs(u64::from(number)),
            because: "AlarmFired: 5xx".to_owned(),
        }
    }

    fn named(images: &[&str]) -> Vec<String> {
        images.iter().map(|image| (*image).to_owned()).collect()
    }

    #[test]
    fn a_build_is_the_same_under_another_revision_where_its_images_say_so() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let by_digest = format!("r/app@{digest}");
        let tagged_too = format!("mirror/app:7@{digest}");
        for (own, other, same) in [
            (vec!["r/app:7"], vec!["r/app:7"], true),
            (vec!["r/app:7", "r/envoy:1"], vec!["r/envoy:1", "r/app:7"], true),
            (vec!["r/app:7"], vec!["r/app:8"], false),
            (vec!["r/app:7", "r/envoy:1"], vec!["r/app:7", "r/envoy:2"], false),
            (vec!["r/app:7", "r/envoy:1"], vec!["r/app:7"], false),
            (vec![&by_digest], vec![&tagged_too], true),
            (vec![], vec![], false),
        ] {
            let found = of(1, &own);
            assert_eq!(found.is(&version(2), &named(&other)), same, "{own:?} {other:?}");
            assert!(found.is(&version(1), &named(&other)));
        }
    }

    #[test]
    fn images_say_which_build_it_is_where_a_pinned_one_has_changed() {
        for (images, before, says) in [
            (vec!["r/app:7"], vec!["r/app:6"], true),
            (vec!["r/app@sha256:1"], vec!["r/app@sha256:0"], true),
            // A side container that nobody has pinned.
            (
                vec!["r/app:7", "amazon/aws-xray-daemon"],
                vec!["r/app:6", "amazon/aws-xray-daemon"],
                true,
            ),
            (vec!["r/app:7"], vec!["r/app:7"], false),
            (vec!["r/app:latest"], vec!["r/app:latest"], false),
            (vec!["r/app:main", "r/envoy:1"], vec!["r/app:main", "r/envoy:1"], false),
            (vec!["r/app"], vec!["r/app:6"], false),
            (vec!["registry:5000/app"], vec![], false),
            (vec!["registry:5000/app:7"], vec![], true),
            (vec![], vec!["r/app:6"], false),
        ] {
            let build = build(&named(&images), &named(&before));
            assert_eq!(!build.is_empty(), says, "{images:?} {before:?}");
        }
    }

    #[test]
    fn what_speaks_against_a_version_puts_it_in_quarantine_and_its_success_lifts_it() {
        let mut ended = deployment();
        let fence = |code| Fence {
            trigger: FenceTrigger::StateMachine,
            failure: Failure::new(code, "5xx"),
            at: NOW,
        };
        ended.fence = Some(fence(FailureCode::AlarmFired));
        let nothing = QuarantineChange::default();
        // Nobody has met it yet: an alarm may speak of what it was to replace.
        assert_eq!(QuarantineChange::at_end(&ended, Outcome::RolledBack, NOW), nothing);
        ended.progress.shifts = vec![Shift { stage: StageIndex(0), at: NOW }];
        let change = QuarantineChange::at_end(&ended, Outcome::RolledBack, NOW);
        let added = change.added.clone().unwrap();
        assert_eq!(added.version, ended.plan.task_definition);
        assert_eq!(added.images, ended.plan.images);
        assert_eq!(added.because, "AlarmFired: 5xx");
        let mut known = Vec::new();
        change.apply(&mut known);
        assert_eq!(known, [added]);
        // An outage of AWS's says nothing of it, and neither does what nobody has met.
        ended.fence = Some(fence(FailureCode::OrchestrationLost));
        assert_eq!(QuarantineChange::at_end(&ended, Outcome::RolledBack, NOW), nothing);
        assert_eq!(QuarantineChange::at_end(&ended, Outcome::Abandoned, NOW), nothing);
        // The same build as what it was to replace: it is not the build.
        let mut same = ended.clone();
        same.fence = Some(fence(FailureCode::VerdictFailed));
        same.plan.stable_images = same.plan.images.clone();
        let change = QuarantineChange::at_end(&same, Outcome::RolledBack, NOW);
        assert!(change.added.unwrap().images.is_empty());
        same.plan.stable.task_definition = same.plan.task_definition.clone();
        assert_eq!(QuarantineChange::at_end(&same, Outcome::RolledBack, NOW), nothing);
        let mut other = of(9, &[]);
        known.push(other.clone());
        ended.plan.retries = vec![version(9)];
        QuarantineChange::at_end(&ended, Outcome::Succeeded, NOW).apply(&mut known);
        assert_eq!(known, []);
        // A way back lifts what it brings, and is the end of what it leaves.
        other.version = ended.plan.task_definition.clone();
        known.push(other);
        let images = vec!["r/app:8".to_owned()];
        let (from, left) = (DeploymentId::new("shop-8"), version(8));
        ended.plan.way_back =
            Some(WayBack { from, version: left.clone(), skips_validation: false });
        ended.plan.stable_images = images.clone();
        let by_hand = QuarantineChange::at_end(&ended, Outcome::Succeeded, NOW);
        assert_eq!((by_hand.added, by_hand.lifted.len()), (None, 2));
        ended.plan.stable.task_definition = left;
        ended.plan.reason = Some("checkout is slow".to_owned());
        ended.fence = Some(fence(FailureCode::Aborted));
        assert_eq!(QuarantineChange::at_end(&ended, Outcome::RolledBack, NOW), nothing);
        QuarantineChange::at_end(&ended, Outcome::Succeeded, NOW).apply(&mut known);
        let [left] = known.as_slice() else { panic!("{known:?}") };
        assert_eq!(left.version, ended.plan.stable.task_definition);
        assert_eq!((&left.images, left.because.as_str()), (&images, "checkout is slow"));
    }

    #[test]
    fn the_newest_are_kept() {
        let known: Vec<_> = (0..23).map(|number| of(number, &[])).collect();
        let forgotten: std::collections::BTreeSet<_> =
            Quarantined::forgotten(&known).into_iter().collect();
        assert_eq!(forgotten, (0..3).map(version).collect());
    }
}
