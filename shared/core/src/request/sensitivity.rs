//! How much has to speak against the new version, as a person writes it.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::document::{Decode, Node};

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
    pub const fn from_thousandths(thousandths: u32) -> Self {
        Self(thousandths)
    }

    pub const fn thousandths(self) -> u32 {
        self.0
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
