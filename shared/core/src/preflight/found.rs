//! What was read of the world for a request.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ChannelName, DeploymentId, ServiceLabel, TargetGroupArn, TaskDefinition};
use crate::people::ApprovalPolicy;
use crate::plan::{ImageDigest, Slot, WayBack};
use crate::record::{LockKey, Quarantined};
use crate::time::Timestamp;
use crate::urgency::Listening;
use crate::world::{
    Alarm, EcsService, FoundRoute, FoundScaling, PrivateImage, Reaching, RegisteredVersion, Stored,
    TargetGroup,
};

/// What was read of the world for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// When it was.
    pub now: Timestamp,
    /// Routes, in the order of the request.
    pub routes: Vec<FoundRoute>,
    /// The ECS service of the blue slot; `None`: there is none of this name.
    pub blue: Option<EcsService>,
    /// The ECS service of the green slot; `None`: there is none of this name.
    pub green: Option<EcsService>,
    pub scaling: SlotsScaling,
    /// The target groups with which both register; `None`: there is none of this ARN any more.
    pub target_groups: BTreeMap<TargetGroupArn, Option<TargetGroup>>,
    /// Every rule and listener of the routes' load balancers that leads to one of these groups.
    pub reaching: Vec<Reaching>,
    /// The new version; `None`: there is none of this name.
    pub task_definition: Option<RegisteredVersion>,
    /// What the versions of both slots are made of, as far as it could be read.
    pub images: BTreeMap<TaskDefinition, Vec<String>>,
    pub alarms: FoundAlarms,
    pub stack: StackSettings,
    /// Deployments that hold something the request needs.
    pub holders: Vec<Holder>,
    /// Versions that were rolled back in either slot.
    pub quarantined: Vec<Quarantined>,
    /// Set where the request brings back what has served before.
    pub way_back: Option<WayBack>,
    pub before: Before,
    /// What the repositories say of the images that were looked up.
    pub stored: BTreeMap<PrivateImage, Stored>,
}

/// What the stack has configured, as far as a request depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackSettings {
    /// Its channels, and how each listens.
    pub channels: BTreeMap<ChannelName, Listening>,
    /// Its parameter `TaskRolePattern`: the names, with their paths, of the roles that it may pass to
    /// tasks. `None`: it does not say, because it is from before there was this parameter.
    pub task_roles: Option<String>,
    /// Its parameter `ApprovalPolicy`.
    pub approvals: ApprovalPolicy,
}

/// Alarms in the order of the request's lists; `None`: there is none of this name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundAlarms {
    pub blue: Vec<Option<Alarm>>,
    pub green: Vec<Option<Alarm>>,
    pub service: Vec<Option<Alarm>>,
}

/// What Application Auto Scaling has of both slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotsScaling {
    pub blue: FoundScaling,
    pub green: FoundScaling,
    /// Why nobody may see it.
    pub unreadable: Option<String>,
}

impl SlotsScaling {
    pub(super) const fn of(&self, slot: Slot) -> &FoundScaling {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }
}

/// A deployment that holds locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub keys: Vec<LockKey>,
    pub deployment: DeploymentId,
    /// What it deploys; `None` if it has no record any more.
    pub service: Option<ServiceLabel>,
}

/// What has served before, of what the registry knows; empty where the request brings nothing back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// What the version ran when it last served.
    pub ran: BTreeSet<ImageDigest>,
    /// What the version ran that serves now.
    pub serves: BTreeSet<ImageDigest>,
    /// Other versions that can be brought back, the newest first; `None`: nobody has looked.
    pub takeable: Option<Vec<TaskDefinition>>,
}

impl Found {
    /// What mends the version, and for a way back what can be taken in its place.
    pub(super) fn or_another(&self, remedy: &str) -> String {
        match &self.way_back {
            None => remedy.to_owned(),
            Some(_) => self.before.or_another(remedy),
        }
    }
}

impl Before {
    /// The way out of a way back to what cannot be taken: to mend it, or another one.
    pub(super) fn or_another(&self, remedy: &str) -> String {
        match self.takeable.as_deref() {
            None => format!("{remedy}; or go back to another version"),
            Some([]) => format!(
                "{remedy}; as far as is known, no other version that has served can be taken either"
            ),
            Some(takeable) => {
                let short: Vec<_> = takeable.iter().map(TaskDefinition::short).collect();
                format!("these can be taken: {}; or {remedy}", short.join(", "))
            }
        }
    }

    /// The digests that a container ran.
    pub(super) fn ran_in(&self, container: &str) -> BTreeSet<&str> {
        let ran = self.ran.iter().filter(|ran| ran.container == container);
        ran.filter_map(|ran| ran.digest.as_deref()).collect()
    }
}
