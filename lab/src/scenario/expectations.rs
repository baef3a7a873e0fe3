//! What must be true in the end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::happening::{ExecutionStatus, Happening};
use super::service::Slot;

/// What must be true in the end. Everything given is checked; nothing is assumed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// By the name of the deployment; the one of the scenario's `request` is called `first`.
    #[serde(default)]
    pub deployments: BTreeMap<String, DeploymentExpectations>,
    /// By the name of the service.
    #[serde(default)]
    pub services: BTreeMap<String, ServiceExpectations>,
    /// Whether it is asked that everything ends as it always must: each service has all its traffic
    /// on one healthy slot and no tasks elsewhere, nothing is locked, due or undelivered, each
    /// deployment has exactly one terminal record, and no secret is to be seen anywhere.
    #[serde(default)]
    pub clean_end: bool,
    /// Each list happens in this order; other things may happen between.
    #[serde(default)]
    pub in_order: Vec<Vec<Happening>>,
    /// None of these happens.
    #[serde(default)]
    pub never: Vec<Happening>,
}

/// How a deployment goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentExpectations {
    /// How its execution ends.
    #[serde(default)]
    pub status: Option<ExecutionStatus>,
    /// The `error` of the failed execution: a failure name such as `VerdictFailed`.
    #[serde(default)]
    pub failure: Option<String>,
    /// Each of these texts is in the `cause` of the failed execution.
    #[serde(default)]
    pub cause_contains: Vec<String>,
    /// The shares of the canary, in percent, that were written going forward: exactly these.
    #[serde(default)]
    pub weights: Option<Vec<f64>>,
    /// These states are entered, in this order; others may be between.
    #[serde(default)]
    pub states: Vec<String>,
    /// Notices with these names are delivered, in this order; others may be between.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Exactly these notices are delivered, in this order, whatever `waiting` ones are between.
    #[serde(default)]
    pub exact_notices: Option<Vec<String>>,
    /// Exactly this arrives on each of these channels, in this order and as often, whatever `waiting` notices are
    /// between: names of notices; of `pager` what an alert becomes (`trigger`, `acknowledge`, `resolve`), and
    /// `change`.
    #[serde(default)]
    pub arrives: BTreeMap<String, Vec<String>>,
}

/// How a service is left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceExpectations {
    /// The slot that has all the traffic of all routes.
    #[serde(default)]
    pub serving: Option<Slot>,
    /// The version that its running tasks are of, by slot.
    #[serde(default)]
    pub version: BTreeMap<Slot, String>,
    /// Tasks that each slot is asked to run.
    #[serde(default)]
    pub desired_count: BTreeMap<Slot, u32>,
    /// Scaling settings of each slot: bounds, and what is suspended, as `0-8 scaleIn scaleOut scheduled`.
    #[serde(default)]
    pub scaling: BTreeMap<Slot, String>,
    /// Tasks that run in each slot.
    #[serde(default)]
    pub running_count: BTreeMap<Slot, u32>,
    /// At most this many requests were bad (a 5xx, no answer, or one that no task gave), as the clients saw it.
    #[serde(default)]
    pub max_bad_requests: Option<u64>,
    /// At least this many requests were sent.
    #[serde(default)]
    pub min_requests: Option<u64>,
    /// Whether it is asked that the load balancer itself never failed: no 502, 503 or 504, and no
    /// lost connection.
    #[serde(default)]
    pub no_load_balancer_errors: bool,
    /// Whether it is asked that every rule and listener is as before, apart from the weights.
    #[serde(default)]
    pub only_weights_changed: bool,
}
