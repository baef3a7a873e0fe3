//! How many tasks the service has turned out to need since its deployment was planned.

use serde::{Deserialize, Serialize};

/// What autoscalers, and people, have made of both services meanwhile. Records from before it was kept
/// have none: what the plan says counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demand {
    /// The most tasks that all of the traffic was seen to need. It only grows: whoever takes the traffic
    /// back must be able to carry what it was.
    #[serde(default)]
    pub needed: Option<u32>,
    /// What this deployment has last asked the canary's service for. Whatever it has more is the doing of
    /// somebody who sees its load.
    #[serde(default)]
    pub asked: Option<u32>,
}
