//! What a stack demands of approvals, whatever a request says.

use serde::Deserialize;

use super::approvers::Approvers;
use crate::ids::{ClusterName, EcsServiceName};
use crate::pattern::matches;

/// The stack's parameter `ApprovalPolicy`. It adds to what requests ask for, and takes nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// Patterns of `CLUSTER/SERVICE`, by the names of ECS services: their deployments ask somebody. A request
    /// calls its service as it likes, and names these as they are.
    #[serde(default)]
    pub required_for: Vec<String>,
    /// How many people approve there, at least.
    #[serde(default)]
    pub count: Option<u32>,
    /// Who may approve there.
    #[serde(default)]
    pub approvers: Approvers,
    /// Whether somebody else than the starter approves there.
    #[serde(default)]
    pub not_by_starter: bool,
    /// Names of roles, as patterns, whose sessions are named after people: their trust policies demand it by
    /// `sts:RoleSessionName`. For all approvals of the stack.
    #[serde(default)]
    pub sessions_name_people: Vec<String>,
}

impl ApprovalPolicy {
    /// Whether deployments of this ECS service ask somebody.
    pub fn is_for(&self, cluster: &ClusterName, service: &EcsServiceName) -> bool {
        let name = format!("{}/{service}", cluster.short());
        self.required_for.iter().any(|pattern| matches(pattern, &name))
    }
}
