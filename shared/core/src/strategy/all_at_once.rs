//! Everything at once.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Decode, Node};
use crate::plan::Stage;
use crate::request::defaults;
use crate::time::Span;
use crate::weight::Weight;

/// Everything moves as soon as all tasks of the new version are healthy. `{}` takes the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllAtOnce {
    /// How long the new version must stay healthy with all traffic, while the old version keeps
    /// its tasks.
    #[serde(default = "defaults::bake")]
    pub bake: Span,
}

impl AllAtOnce {
    pub fn stages(&self) -> Vec<Stage> {
        vec![Stage { weight: Weight::ALL, bake: self.bake, approval: None }]
    }
}

impl Decode for AllAtOnce {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let bake = fields.defaulted("bake", defaults::bake);
            Some(Self { bake: bake? })
        })
    }
}
