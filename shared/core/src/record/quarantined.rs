//! A version that was rolled back, so that no pipeline that runs again brings it to the users a second
//! time.

use serde::{Deserialize, Serialize};

use super::deployment::{Deployment, Outcome};
use crate::ids::{DeploymentId, TaskDefinition};
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

/// How many versions stay in quarantine; older ones are forgotten.
const KEPT: usize = 20;

/// The longest reason, in characters: twenty of them are read by every plan.
const LONGEST_REASON: usize = 500;

impl Quarantined {
    /// Whether this is the version, or another revision of the same build. Images that nothing pins are
    /// no proof of that: `latest` is another one tomorrow.
    pub fn is(&self, version: &TaskDefinition, images: &[String]) -> bool {
        let built = |images: &[String]| {
            let mut built = images.iter().map(|image| pinned(image)).collect::<Option<Vec<_>>>()?;
            built.sort_unstable();
            (!built.is_empty()).then_some(built.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let same = || built(&self.images).is_some_and(|own| built(images) == Some(own));
        self.version == *version || same()
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
        let added = |version: &TaskDefinition, images: &[String], because: &str| Quarantined {
            version: version.clone(),
            images: images.to_vec(),
            deployment: id.clone(),
            at,
            because: because.chars().take(LONGEST_REASON).collect(),
        };
        match outcome {
            Outcome::RolledBack => {
                let spoke = fence.iter().find(|fence| fence.failure.code.speaks_against_version());
                let added = spoke.map(|fence| {
                    added(&plan.task_definition, &plan.images, &fence.failure.to_string())
                });
                Self { added, lifted: Vec::new() }
            }
            Outcome::Succeeded => {
                let left = plan.way_back.as_ref();
                let added = left.map(|left| {
                    let because = plan.reason.as_deref().unwrap_or_default();
                    added(&plan.stable.task_definition, &left.images, because)
                });
                let mut lifted = plan.retries.clone();
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

/// An image by what does not change: its digest, or a tag that is not made to move.
fn pinned(image: &str) -> Option<&str> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest);
    }
    let (_, tag) = image.rsplit_once(':')?;
    // What follows a port is no tag.
    (tag != "latest" && !tag.contains('/')).then_some(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureCode};
    use crate::fixtures::{NOW, deployment};
    use crate::plan::WayBack;
    use crate::record::{Fence, FenceTrigger};
    use crate::time::Span;

    fn version(number: u32) -> TaskDefinition {
        TaskDefinition::new(format!("arn:aws:ecs:eu-west-1:1:task-definition/shop:{number}"))
    }

    fn of(number: u32, images: &[&str]) -> Quarantined {
        Quarantined {
            version: version(number),
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            deployment: DeploymentId::new(format!("shop-{number}")),
            at: NOW + Span::from_secs(u64::from(number)),
            because: "AlarmFired: 5xx".to_owned(),
        }
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
            (vec!["r/app:latest"], vec!["r/app:latest"], false),
            (vec!["r/app"], vec!["r/app"], false),
            (vec!["registry:5000/app"], vec!["registry:5000/app"], false),
            (vec!["r/app:7", "r/envoy:latest"], vec!["r/app:7", "r/envoy:latest"], false),
            (vec![&by_digest], vec![&tagged_too], true),
            (vec![], vec![], false),
        ] {
            let images: Vec<_> = other.iter().map(|image| (*image).to_owned()).collect();
            let found = of(1, &own);
            assert_eq!(found.is(&version(2), &images), same, "{own:?} {other:?}");
            assert!(found.is(&version(1), &images));
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
        let nothing = QuarantineChange::default();
        assert_eq!(QuarantineChange::at_end(&ended, Outcome::RolledBack, NOW), nothing);
        assert_eq!(QuarantineChange::at_end(&ended, Outcome::Abandoned, NOW), nothing);
        let mut other = of(9, &[]);
        known.push(other.clone());
        ended.plan.retries = vec![version(9)];
        QuarantineChange::at_end(&ended, Outcome::Succeeded, NOW).apply(&mut known);
        assert_eq!(known, []);
        // A way back lifts what it brings, and is the end of what it leaves.
        other.version = ended.plan.task_definition.clone();
        known.push(other);
        let images = vec!["r/app:8".to_owned()];
        let from = DeploymentId::new("shop-8");
        ended.plan.way_back = Some(WayBack { from, images: images.clone() });
        ended.plan.reason = Some("checkout is slow".to_owned());
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
