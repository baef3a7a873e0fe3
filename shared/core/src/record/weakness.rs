//! What a rollback remembers of a stable slot that is too weak to take everything.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::weight::Weight;

/// A rollback that cannot send everything to stable yet, because stable is too weak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Weakness {
    /// Since the first look that found it so; the plan's deadline counts from here.
    pub since: Timestamp,
    /// Every share of the canary that was claimed on the way back, in order: states of the routes
    /// that are this deployment's own.
    pub steps: Vec<Weight>,
    /// Somebody was paged because nothing is healthy.
    pub told_of_none: bool,
    /// Somebody was told that too little is healthy.
    pub told_of_few: bool,
    /// How often somebody was reminded.
    pub reminders: u32,
}
