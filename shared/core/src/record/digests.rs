//! What the containers of both versions run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::TaskDefinition;
use crate::plan::ImageDigest;

/// Those of both versions, as their tasks ran before anybody met the new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Digests {
    pub canary: BTreeSet<ImageDigest>,
    pub stable: BTreeSet<ImageDigest>,
    /// Versions in quarantine of which the canary turned out to be the same build, and which the request
    /// tries again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<TaskDefinition>,
}
