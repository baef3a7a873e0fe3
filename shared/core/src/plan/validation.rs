//! What is asked of the version that serves once a rollback, or a way back, is over.

use serde::{Deserialize, Serialize};

use super::checks::Check;
use super::hooks::Hook;
use super::probes::Probe;
use crate::route::Role;
use crate::time::Span;

/// What is asked then. It decides nothing: what came of it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Where stable serves.
    pub stable: SlotValidation,
    /// Where the canary does, because this is the way back to it.
    pub canary: SlotValidation,
    pub hooks: Vec<Hook>,
    /// For how long it is asked again while something is not known.
    pub within: Span,
}

/// What is asked of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotValidation {
    pub probes: Vec<Probe>,
    /// Both measures of each are the slot's own: nothing is compared.
    pub checks: Vec<Check>,
}

impl Validation {
    pub fn of(&self, role: Role) -> &SlotValidation {
        match role {
            Role::Stable => &self.stable,
            Role::Canary => &self.canary,
        }
    }

    /// The same for a deployment in which the slots have each other's role.
    #[must_use]
    pub fn swapped(self) -> Self {
        let Self { stable, canary, hooks, within } = self;
        Self { stable: canary, canary: stable, hooks, within }
    }
}
