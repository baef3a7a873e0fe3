//! Equal steps.

use schemars::JsonSchema;
use serde::Serialize;

use super::ApprovalRequest;
use crate::document::{Decode, Node, Percent};
use crate::plan::Stage;
use crate::request::defaults;
use crate::time::Span;
use crate::weight::Weight;

/// Equal steps up to 100 %; the last may be smaller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Linear {
    /// How much further each step goes; more than 0.
    pub step: Percent,
    /// How long each step must stay healthy.
    #[serde(default = "defaults::bake")]
    pub bake: Span,
    /// How long the last step, at 100 %, must stay healthy. Without it: as long as the others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub final_bake: Option<Span>,
    /// A person must approve before every step. Without it nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<ApprovalRequest>,
}

impl Linear {
    pub fn stages(&self) -> Vec<Stage> {
        let approval = self.approval.as_ref().map(ApprovalRequest::approval);
        let step = self.step.weight().permille().max(1);
        let mut stages: Vec<_> = (1..)
            .map_while(|count: u16| Weight::from_permille(count.checked_mul(step)?).ok())
            .take_while(|weight| *weight < Weight::ALL)
            .map(|weight| Stage { weight, bake: self.bake, approval: approval.clone() })
            .collect();
        let bake = self.final_bake.unwrap_or(self.bake);
        stages.push(Stage { weight: Weight::ALL, bake, approval });
        stages
    }

    /// The field that says how long a stage bakes.
    pub fn bake_field(&self, stage: usize) -> &'static str {
        if self.final_bake.is_some() && stage + 1 == self.stages().len() {
            "finalBake"
        } else {
            "bake"
        }
    }
}

impl Decode for Linear {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let step: Option<Percent> = fields.required("step");
            let bake = fields.defaulted("bake", defaults::bake);
            let final_bake = fields.optional("finalBake");
            let approval = fields.optional("approval");
            if step.is_some_and(|step| step.weight() == Weight::NONE) {
                fields.error("step", "a step of 0 goes nowhere", "write percent from 0.1 to 100");
            }
            Some(Self { step: step?, bake: bake?, final_bake: final_bake?, approval: approval? })
        })
    }
}
