//! How a rollback goes back where the old version is too weak, as a person writes it.

use schemars::JsonSchema;
use serde::Serialize;

use super::defaults;
use super::validation::ValidationRequest;
use crate::document::{Decode, Node};
use crate::rollback::{AfterHold, WeakStable};
use crate::time::Span;

/// What a rollback does where the old version has too few healthy targets to take everything. With
/// none at all the weights stay as they are and somebody is paged. As soon as enough are healthy the
/// rollback goes on by itself, and `glidepath rollback --force` ends the wait at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// With some healthy targets, but fewer than it had tasks before.
    #[serde(default = "defaults::weak_stable")]
    pub weak_stable: WeakStable,
    /// How long a rollback waits for the old version, counted from the first look that found it too
    /// weak.
    #[serde(default = "defaults::hold_for")]
    pub hold_for: Span,
    /// What happens when it has not recovered by then.
    #[serde(default = "defaults::after_hold")]
    pub then: AfterHold,
    /// What is asked of the old version once it has everything back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<ValidationRequest>,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            weak_stable: defaults::weak_stable(),
            hold_for: defaults::hold_for(),
            then: defaults::after_hold(),
            validate: None,
        }
    }
}

impl Decode for Rollback {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let weak_stable = fields.defaulted("weakStable", defaults::weak_stable);
            let hold_for =
                fields.defaulted_with("holdFor", |node| node.span_above_zero(), defaults::hold_for);
            let then = fields.defaulted("then", defaults::after_hold);
            let validate = fields.optional("validate");
            Some(Self {
                weak_stable: weak_stable?,
                hold_for: hold_for?,
                then: then?,
                validate: validate?,
            })
        })
    }
}

impl Decode for WeakStable {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("stepBack", Self::StepBack), ("atOnce", Self::AtOnce)])
    }
}

impl Decode for AfterHold {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("hold", Self::Hold), ("force", Self::Force)])
    }
}
