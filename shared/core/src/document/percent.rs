//! Percent as people write it in a request.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::decode::{Decode, Node};
use crate::plan::Permille;
use crate::weight::Weight;

/// Percent with at most one decimal, 0 to 100; held in permille.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(Weight);

impl Percent {
    /// From permille, 0 to 1000.
    pub const fn from_permille(weight: Weight) -> Self {
        Self(weight)
    }

    /// As a share of traffic.
    pub const fn weight(self) -> Weight {
        self.0
    }

    /// As a share of anything else.
    pub const fn permille(self) -> Permille {
        Permille(self.0.permille())
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let permille = self.0.permille();
        if permille.is_multiple_of(10) {
            serializer.serialize_u16(permille / 10)
        } else {
            serializer.serialize_f64(f64::from(permille) / 10.0)
        }
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "description": "Percent with at most one decimal.",
            "examples": [5, 12.5, 100]
        })
    }
}

impl Decode for Percent {
    fn decode(node: Node<'_>) -> Option<Self> {
        let Some(percent) = node.value().as_f64() else {
            return node.wrong_type(
                "a number of percent",
                "write a number without quotes and without %, such as 5",
            );
        };
        let Some(weight) = Weight::from_percent(percent) else {
            return if (0.0..=100.0).contains(&percent) {
                node.error(
                    format!("{percent} is finer than one decimal of a percent"),
                    format!("write {:.1}", percent),
                )
            } else {
                node.error(
                    format!("{percent} is not a share"),
                    "write percent from 0 to 100, with at most one decimal",
                )
            };
        };
        Some(Self(weight))
    }
}
