//! Forward actions, in the one form in which two that do the same are equal.
//!
//! The load balancer promises neither the order of an action's groups nor the weight of a group that
//! stands alone, and may answer with others than were written. If either counted, a route of our own
//! would read back as somebody else's: forward would hold, and a rollback would never end. So both
//! are made the same wherever an action comes into being: read, built, or taken from the registry.

use serde::{Deserialize, Serialize};

use crate::ids::TargetGroupArn;
use crate::weight::AlbWeight;

/// A forward action: its groups, and group stickiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "AsStored")]
pub struct Forward {
    groups: Vec<WeightedGroup>,
    stickiness: Option<Stickiness>,
}

/// A forward action as an earlier version may have stored it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AsStored {
    groups: Vec<WeightedGroup>,
    stickiness: Option<Stickiness>,
}

impl From<AsStored> for Forward {
    fn from(AsStored { groups, stickiness }: AsStored) -> Self {
        Self::new(groups, stickiness)
    }
}

/// One group of a forward action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedGroup {
    pub group: TargetGroupArn,
    pub weight: AlbWeight,
}

/// Group stickiness that is switched on: a cookie then outranks the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stickiness {
    pub duration_seconds: i32,
}

impl Forward {
    /// With these groups, in any order. One that stands alone gets everything whatever its weight,
    /// so every weight of it is the same.
    pub fn new(mut groups: Vec<WeightedGroup>, stickiness: Option<Stickiness>) -> Self {
        groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
        if let [alone] = groups.as_mut_slice() {
            alone.weight = AlbWeight::ALONE;
        }
        Self { groups, stickiness }
    }

    /// Its groups, sorted by ARN.
    pub fn groups(&self) -> &[WeightedGroup] {
        &self.groups
    }

    /// Group stickiness, when the action has it switched on.
    pub const fn stickiness(&self) -> Option<Stickiness> {
        self.stickiness
    }

    /// Whether a group is among its groups, with whatever weight.
    pub fn contains(&self, group: &TargetGroupArn) -> bool {
        self.groups.iter().any(|entry| entry.group == *group)
    }
}
