//! What people have frozen: no weight moves forward there until somebody thaws it.

use serde::{Deserialize, Serialize};

use super::revision::Revision;
use crate::ids::{ClusterName, EcsServiceName};
use crate::pattern::matches;
use crate::plan::Plan;
use crate::said::quoted;
use crate::time::{Span, Timestamp};

/// Most freezes at a time: they are one item of the registry, which every look reads, and which has room for 400 KB
/// however long their reasons are.
pub const MOST_FREEZES: usize = 30;

/// The pattern of every service.
pub const EVERY_SERVICE: &str = "*";

/// A person's word that no weight moves forward, whatever is deployed. It stops nothing else: versions are judged as
/// before, and everything that leads back to stable leads there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// Where: a pattern of `CLUSTER/SERVICE`, by the names of ECS services.
    pub services: String,
    /// Who, as far as it is proven: the ARN of the caller's IAM identity.
    pub by: String,
    pub at: Timestamp,
    /// Since when it has been frozen there without a break, whoever did it first.
    pub since: Timestamp,
    /// Why, in their words.
    pub reason: String,
    /// When it ends by itself; `None`: somebody thaws it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Freeze {
    /// Whether it holds anything at this instant.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it is for deployments of these ECS services.
    pub fn is_for(&self, cluster: &ClusterName, service: &EcsServiceName) -> bool {
        matches(&self.services, &format!("{}/{service}", cluster.short()))
    }

    /// Whether it is for the deployments of this plan.
    pub fn holds(&self, plan: &Plan) -> bool {
        [&plan.stable, &plan.canary].iter().any(|slot| self.is_for(&plan.cluster, &slot.service))
    }

    /// What is frozen, in words.
    pub fn what(&self) -> String {
        frozen_services(&self.services)
    }

    /// Who has frozen what since when, why, and until when.
    pub fn in_words(&self) -> String {
        let Self { by, at, reason, until, .. } = self;
        let until = until.map_or(String::new(), |until| format!(", until {until}"));
        format!("frozen by {by} at {at} ({}){until}", quoted(reason))
    }
}

/// The services of a pattern, in words.
pub fn frozen_services(pattern: &str) -> String {
    if pattern == EVERY_SERVICE { "every service".to_owned() } else { pattern.to_owned() }
}

/// Everything that is frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freezes {
    /// Goes up with every write.
    pub revision: Revision,
    /// One for each pattern, in the order in which they came.
    pub all: Vec<Freeze>,
    /// Whether something is among them that stands for what could not be read.
    pub unreadable: bool,
}

impl Freezes {
    /// What holds the deployments of this plan the longest, if anything does; whether it is in force is for whoever
    /// asks at an instant. Nothing holds a way back: that is made because something is bad.
    pub fn of(&self, plan: &Plan) -> Option<&Freeze> {
        let holds = |freeze: &&Freeze| plan.way_back.is_none() && freeze.holds(plan);
        let holding = self.all.iter().filter(holds);
        // `max_by_key` has the last of equals.
        holding.rev().max_by_key(|freeze| (freeze.until.is_none(), freeze.until))
    }

    /// With these in their place.
    pub(crate) fn followed_by(&self, all: Vec<Freeze>) -> Self {
        Self { revision: self.revision.next(), all, unreadable: false }
    }

    /// Those that hold something now.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Freeze> {
        self.all.iter().filter(move |freeze| freeze.in_force(now))
    }
}

/// What was done about freezes, for whoever asks a year later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FreezeEntry {
    pub at: Timestamp,
    /// The pattern of the services.
    pub services: String,
    /// Who, as far as it is proven.
    pub by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub change: FreezeChange,
}

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FreezeChange {
    /// From now on, and until then if it ends by itself.
    Frozen {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// For how long it was frozen.
    Thawed { lasted: Span },
}

impl FreezeChange {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Frozen { .. } => "frozen",
            Self::Thawed { .. } => "thawed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW, deployment};

    fn freeze(services: &str, until: Option<u64>) -> Freeze {
        let until = until.map(|seconds| NOW + Span::from_secs(seconds));
        Freeze { until, ..fixtures::freeze(services) }
    }

    #[test]
    fn a_deployment_is_held_by_what_lasts_longest() {
        let plan = deployment().plan;
        let cluster = plan.cluster.short().to_owned();
        let (own, other) = (format!("{cluster}/{}", plan.canary.service), "elsewhere/*".to_owned());
        let of =
            |all: &[Freeze]| Freezes { all: all.to_vec(), ..Freezes::default() }.of(&plan).cloned();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[freeze(&other, None)]), None);
        let (short, long) = (freeze("*", Some(60)), freeze(&own, Some(90)));
        assert_eq!(of(&[short.clone(), long.clone()]), Some(long.clone()));
        let ever = freeze(&format!("{cluster}/*"), None);
        assert_eq!(of(&[short.clone(), ever.clone(), long]), Some(ever));
        let again = freeze(&own, Some(60));
        assert_eq!(of(&[short.clone(), again]), Some(short));
    }

    #[test]
    fn a_freeze_ends_at_its_instant() {
        let freeze = freeze("*", Some(60));
        assert!(freeze.in_force(NOW + Span::from_secs(59)));
        assert!(!freeze.in_force(NOW + Span::from_secs(60)));
    }
}
