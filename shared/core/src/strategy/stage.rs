//! What a person writes about a stage.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Decode, Node, Percent};
use crate::plan::{Approval, OnTimeout, Stage};
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
            approval: self.approval.map(ApprovalRequest::approval),
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

/// A person's approval; `{}` takes the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Approval")]
pub struct ApprovalRequest {
    /// How long to wait for an answer.
    #[serde(default = "defaults::approval_timeout")]
    pub timeout: Span,
    /// What happens when nobody has answered by then.
    #[serde(default = "defaults::on_timeout")]
    pub on_timeout: OnTimeout,
}

impl ApprovalRequest {
    pub const fn approval(self) -> Approval {
        Approval { timeout: self.timeout, on_timeout: self.on_timeout }
    }
}

impl Decode for ApprovalRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let timeout = fields.defaulted_with(
                "timeout",
                |node| node.span_above_zero(),
                defaults::approval_timeout,
            );
            let on_timeout = fields.defaulted("onTimeout", defaults::on_timeout);
            Some(Self { timeout: timeout?, on_timeout: on_timeout? })
        })
    }
}

impl Decode for OnTimeout {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("rollback", Self::Rollback), ("continue", Self::Continue)])
    }
}
