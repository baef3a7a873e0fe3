//! What a deployment has made of its slots' scaling settings.

use serde::{Deserialize, Serialize};

use crate::route::Role;
use crate::scaling::{Pin, ScalableTarget};

/// Of both slots. Records from before it was kept have none, and nothing to give back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pins {
    #[serde(default)]
    pub stable: SlotPin,
    #[serde(default)]
    pub canary: SlotPin,
}

/// Of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotPin {
    /// `None`: nothing was written, and nobody has changed what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The settings of which somebody was told last that they cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<ScalableTarget>,
}

impl Pins {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub const fn of(&self, role: Role) -> &SlotPin {
        match role {
            Role::Stable => &self.stable,
            Role::Canary => &self.canary,
        }
    }

    pub(crate) const fn of_mut(&mut self, role: Role) -> &mut SlotPin {
        match role {
            Role::Stable => &mut self.stable,
            Role::Canary => &mut self.canary,
        }
    }
}
