//! How the new version is compared with the old one, as a person writes it.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{Decode, Node, Percent, defaults};
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
            ratio: Thousandths(self.ratio.0),
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

/// How many periods have to speak against the new version before it is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Sensitivity {
    /// It is not compared (`off` would be a truth value in YAML); alarms, limits and gross failure still roll back.
    None,
    /// Two: for services whose errors come alone. Where they come in bursts, up to one good release
    /// in ten is rolled back.
    Fast,
    /// Three.
    Standard,
    /// `fast` where the errors of the version that serves came alone during the last three hours,
    /// otherwise `standard`.
    Adaptive,
    /// Four: for services whose errors come in bursts.
    Strict,
}

impl Sensitivity {
    /// The number of periods; `None` when it is not compared.
    pub const fn witnesses(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Fast => Some(2),
            // Until the three hours are read.
            Self::Standard | Self::Adaptive => Some(3),
            Self::Strict => Some(4),
        }
    }
}

impl Decode for Sensitivity {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[
            ("none", Self::None),
            ("fast", Self::Fast),
            ("standard", Self::Standard),
            ("strict", Self::Strict),
            ("adaptive", Self::Adaptive),
        ])
    }
}

/// How many times as many, 1 to 1000, with at most three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(u32);

impl Ratio {
    /// From thousandths.
    pub const fn from_thousandths(thousandths: u32) -> Self {
        Self(thousandths)
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u32(self.0 / 1000)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 1000.0)
        }
    }
}

impl JsonSchema for Ratio {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ratio".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 1,
            "maximum": 1000,
            "description": "How many times as many, with at most three decimals.",
            "examples": [1.25, 2]
        })
    }
}

impl Decode for Ratio {
    fn decode(node: Node<'_>) -> Option<Self> {
        let Some(ratio) = node.value().as_f64() else {
            return node.wrong_type("a number", "write 1.25 for a quarter more");
        };
        let thousandths = (ratio * 1000.0).round();
        if !(1.0..=1000.0).contains(&ratio) || (thousandths / 1000.0 - ratio).abs() > 1e-9 {
            return node.error(
                format!("{ratio} is no ratio from 1 to 1000 with at most three decimals"),
                "write 1.25 for a quarter more",
            );
        }
        // In range by the check above.
        Some(Self(thousandths as u32))
    }
}
