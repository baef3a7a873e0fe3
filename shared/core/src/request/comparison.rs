//! How the new version is compared with the old one, as a person writes it.

use schemars::JsonSchema;
use serde::Serialize;

use super::defaults;
use super::sensitivity::{Ratio, Sensitivity};
use crate::document::{Decode, Node, Percent};
use crate::plan::{ComparisonPlan, Permille, Thousandths};

/// How the new version is compared with the old one while both serve: by a sequential test of the
/// shares of bad and of slow requests, period by period. [Health](health.md) says how it decides and
/// how often it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compared {
    /// How many periods have to speak against the new version, or `none`.
    #[serde(default = "defaults::sensitivity")]
    pub sensitivity: Sensitivity,
    /// The new version may have this many times the old one's share of bad (or slow) requests.
    #[serde(default = "defaults::ratio")]
    pub ratio: Ratio,
    /// This share is allowed whatever the old version has.
    #[serde(default = "defaults::floor")]
    pub floor: Percent,
    /// How many of the releases that keep within both may be rolled back all the same.
    #[serde(default = "defaults::false_rollbacks")]
    pub false_rollbacks: Percent,
}

impl Default for Compared {
    fn default() -> Self {
        Self {
            sensitivity: defaults::sensitivity(),
            ratio: defaults::ratio(),
            floor: defaults::floor(),
            false_rollbacks: defaults::false_rollbacks(),
        }
    }
}

impl Compared {
    /// As the plan holds it; `None` when it is not compared.
    pub fn plan(&self) -> Option<ComparisonPlan> {
        Some(ComparisonPlan {
            witnesses: self.sensitivity.witnesses()?,
            ratio: Thousandths(self.ratio.thousandths()),
            floor: self.floor.permille(),
            false_rollbacks: self.false_rollbacks.permille(),
        })
    }
}

impl Decode for Compared {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let sensitivity = fields.defaulted("sensitivity", defaults::sensitivity);
            let ratio = fields.defaulted("ratio", defaults::ratio);
            let floor = fields.defaulted_with("floor", up_to_half, defaults::floor);
            let false_rollbacks =
                fields.defaulted_with("falseRollbacks", up_to_half, defaults::false_rollbacks);
            Some(Self {
                sensitivity: sensitivity?,
                ratio: ratio?,
                floor: floor?,
                false_rollbacks: false_rollbacks?,
            })
        })
    }
}

/// Reads a percentage that a test can be made with.
fn up_to_half(node: Node<'_>) -> Option<Percent> {
    node.checked(|percent: &Percent| {
        if (Permille(1)..=Permille(500)).contains(&percent.permille()) {
            Ok(())
        } else {
            Err((
                format!("{percent} is not between 0.1 % and 50 %"),
                "write percent from 0.1 to 50",
            ))
        }
    })
}
