//! The old slot after a success: it keeps its tasks for the retention time, then loses them, or
//! the next deployment takes it over as its canary.

use serde::{Deserialize, Serialize};

use super::deployment::Deployment;
use super::intent::Intent;
use super::lock::LockKey;
use super::revision::Revision;
use crate::ids::{ClusterName, DeploymentId, EcsServiceName, IntentId, TargetGroupArn};
use crate::plan::Slot;
use crate::route::{Role, RouteRef};
use crate::time::Timestamp;

/// A slot whose tasks are to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retirement {
    /// The deployment that left it behind; its timeline tells of the retirement.
    pub deployment: DeploymentId,
    pub slot: Slot,
    pub cluster: ClusterName,
    pub service: EcsServiceName,
    /// Its group on every route: it is not retired while one of them carries weight.
    pub routes: Vec<(RouteRef, TargetGroupArn)>,
    /// Whether Application Auto Scaling scales it. Of one from before this was kept nobody asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scaled: bool,
    pub due_at: Timestamp,
    /// Goes up with every write.
    pub revision: Revision,
    /// The write that may be on its way.
    pub intent: Option<(IntentId, Intent)>,
}

impl Retirement {
    /// The retirement of a committed deployment's old slot.
    pub fn after(deployment: &Deployment, now: Timestamp) -> Self {
        let plan = &deployment.plan;
        let old = plan.slot(Role::Stable);
        Self {
            deployment: deployment.id.clone(),
            slot: old.slot,
            cluster: plan.cluster.clone(),
            service: old.service.clone(),
            routes: plan
                .routes
                .iter()
                .map(|route| (route.route.clone(), route.group(Role::Stable).clone()))
                .collect(),
            scaled: old.scaling.is_some(),
            due_at: now + plan.retention,
            revision: Revision::default(),
            intent: None,
        }
    }

    /// The lock of its ECS service.
    pub fn key(&self) -> LockKey {
        LockKey::service(&self.cluster, &self.service)
    }
}
