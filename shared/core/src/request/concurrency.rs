//! What becomes of a second deployment of the same resources, as a person writes it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Decode, Node};

/// What happens when another deployment holds one of the resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Concurrency {
    /// The new deployment is refused.
    Reject,
}

impl Decode for Concurrency {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("reject", Self::Reject)])
    }
}
