//! One deployment at a time per route, ECS service and target group.

use serde::{Deserialize, Serialize};

use super::quarantined::Quarantined;
use crate::ids::{ClusterName, DeploymentId, EcsServiceName};
use crate::plan::Plan;
use crate::route::Role;

/// What is locked. The name of a service is only a label, so it is not among them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockKey(String);

/// What kind of resource is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKind {
    Service,
    /// A listener rule or listener.
    Route,
    Group,
}

impl LockKind {
    /// Several of them, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Service => "ECS services",
            Self::Route => "routes",
            Self::Group => "target groups",
        }
    }
}

impl LockKey {
    /// A listener rule or listener.
    pub fn route(arn: &str) -> Self {
        Self(format!("route#{arn}"))
    }

    pub fn service(cluster: &ClusterName, service: &EcsServiceName) -> Self {
        // Given by its name or by its ARN, it must lock the same thing.
        Self(format!("service#{}/{service}", cluster.short()))
    }

    pub fn group(arn: &str) -> Self {
        Self(format!("group#{arn}"))
    }

    pub fn kind(&self) -> LockKind {
        if self.0.starts_with("service#") {
            LockKind::Service
        } else if self.0.starts_with("route#") {
            LockKind::Route
        } else {
            LockKind::Group
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the text of [`Self::as_str`].
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Everything that a plan locks, each once.
    pub fn of(plan: &Plan) -> Vec<Self> {
        let mut keys: Vec<_> = [Role::Stable, Role::Canary]
            .into_iter()
            .map(|role| Self::service(&plan.cluster, &plan.slot(role).service))
            .collect();
        for route in &plan.routes {
            keys.push(Self::route(route.route.arn()));
            keys.push(Self::group(route.pair.stable.as_str()));
            keys.push(Self::group(route.pair.canary.as_str()));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

impl Lock {
    /// One that was never taken.
    pub const fn untaken(key: LockKey) -> Self {
        Self { key, holder: None, epoch: 0, quarantined: Vec::new() }
    }
}

/// A lock as the registry holds it. It is never deleted: its epoch tells a planner that somebody
/// had it between two looks at the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub key: LockKey,
    pub holder: Option<DeploymentId>,
    /// How often it was taken.
    pub epoch: u64,
    /// Versions that were rolled back; only those of ECS services have any.
    pub quarantined: Vec<Quarantined>,
}
