//! What a person writes about a stage.

use schemars::JsonSchema;
use serde::Serialize;

use super::ApprovalRequest;
use crate::document::{Decode, Node, Percent};
use crate::plan::Stage;
use crate::request::defaults;
use crate::time::Span;

/// One stage: a weight, how long to stay there, and whether a person is asked before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Stage")]
pub struct StageRequest {
    /// Share of the requests that the new version gets.
    pub weight: Percent,
    /// How long the new version must stay healthy at this weight, from the moment the weight was
    /// read back from the load balancer.
    #[serde(default = "defaults::bake")]
    pub bake: Span,
    /// A person must approve before the shift to this weight. Without it nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<ApprovalRequest>,
}

impl StageRequest {
    pub fn stage(&self) -> Stage {
        Stage {
            weight: self.weight.weight(),
            bake: self.bake,
            approval: self.approval.as_ref().map(ApprovalRequest::approval),
        }
    }
}

impl Decode for StageRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let weight = fields.required("weight");
            let bake = fields.defaulted("bake", defaults::bake);
            let approval = fields.optional("approval");
            Some(Self { weight: weight?, bake: bake?, approval: approval? })
        })
    }
}
