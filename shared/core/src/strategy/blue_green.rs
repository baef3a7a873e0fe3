//! Everything at once, after a look at the idle slot.

use schemars::JsonSchema;
use serde::Serialize;

use super::ApprovalRequest;
use crate::document::{Decode, Node};
use crate::plan::Stage;
use crate::request::defaults;
use crate::time::Span;
use crate::weight::Weight;

/// All tasks of the new version start and are watched without traffic; then everything moves at
/// once. `{}` takes the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlueGreen {
    /// How long the new version must stay healthy without traffic before the shift.
    #[serde(default = "defaults::idle_bake")]
    pub idle_bake: Span,
    /// How long it must stay healthy with all traffic, while the old version keeps its tasks.
    #[serde(default = "defaults::bake")]
    pub bake: Span,
    /// A person must approve before the shift. Without it nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<ApprovalRequest>,
}

impl BlueGreen {
    pub fn stages(&self) -> Vec<Stage> {
        let approval = self.approval.as_ref().map(ApprovalRequest::approval);
        vec![
            Stage { weight: Weight::NONE, bake: self.idle_bake, approval: None },
            Stage { weight: Weight::ALL, bake: self.bake, approval },
        ]
    }
}

impl Decode for BlueGreen {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let idle_bake = fields.defaulted("idleBake", defaults::idle_bake);
            let bake = fields.defaulted("bake", defaults::bake);
            let approval = fields.optional("approval");
            Some(Self { idle_bake: idle_bake?, bake: bake?, approval: approval? })
        })
    }
}
