//! From a strategy to stages. Each strategy has one file, with what is written in a request and
//! its expansion; the rest of Glidepath knows stages only.

mod all_at_once;
mod approval;
mod blue_green;
mod canary;
mod linear;
mod stage;

use schemars::JsonSchema;
use serde::Serialize;

pub use all_at_once::AllAtOnce;
pub use approval::{ApprovalRequest, NotBy};
pub use blue_green::BlueGreen;
pub use canary::Canary;
pub use linear::Linear;
pub use stage::StageRequest;

use crate::document::{Decode, Node};
use crate::plan::{CanaryCapacity, Stage, StrategyName};

/// How traffic moves to the new version: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Any list of stages.
    Canary(Canary),
    /// Equal steps.
    Linear(Linear),
    /// The new version runs in full and is watched without traffic; then it gets everything.
    BlueGreen(BlueGreen),
    /// The new version gets everything as soon as it is healthy.
    AllAtOnce(AllAtOnce),
}

impl Strategy {
    /// The stages in order; weights increase strictly and end at 1000.
    pub fn stages(&self) -> Vec<Stage> {
        match self {
            Self::Canary(canary) => canary.stages(),
            Self::Linear(linear) => linear.stages(),
            Self::BlueGreen(blue_green) => blue_green.stages(),
            Self::AllAtOnce(all_at_once) => all_at_once.stages(),
        }
    }

    pub const fn name(&self) -> StrategyName {
        match self {
            Self::Canary(_) => StrategyName::Canary,
            Self::Linear(_) => StrategyName::Linear,
            Self::BlueGreen(_) => StrategyName::BlueGreen,
            Self::AllAtOnce(_) => StrategyName::AllAtOnce,
        }
    }

    /// How many tasks the canary gets if the request asks for `wanted`.
    pub const fn capacity(&self, wanted: CanaryCapacity) -> CanaryCapacity {
        match self {
            Self::Canary(_) | Self::Linear(_) => wanted,
            // There is no share to be proportional to: the first weight is everything, and what is
            // watched before it must be what will serve.
            Self::BlueGreen(_) | Self::AllAtOnce(_) => CanaryCapacity::Full,
        }
    }

    /// Where in a request the bake of a stage is written.
    pub fn bake_path(&self, stage: usize) -> String {
        let name = self.name();
        let field = match self {
            Self::Canary(_) => format!("stages[{stage}].bake"),
            Self::Linear(linear) => linear.bake_field(stage).to_owned(),
            Self::BlueGreen(_) if stage == 0 => "idleBake".to_owned(),
            Self::BlueGreen(_) | Self::AllAtOnce(_) => "bake".to_owned(),
        };
        format!("$.strategy.{name}.{field}")
    }
}

impl Default for Strategy {
    /// A careful canary for a service that nobody has thought about yet.
    fn default() -> Self {
        Self::Canary(Canary::default())
    }
}

impl Decode for Strategy {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.variant(&[
            ("canary", |node| Canary::decode(node).map(Self::Canary)),
            ("linear", |node| Linear::decode(node).map(Self::Linear)),
            ("blueGreen", |node| BlueGreen::decode(node).map(Self::BlueGreen)),
            ("allAtOnce", |node| AllAtOnce::decode(node).map(Self::AllAtOnce)),
        ])
    }
}

#[cfg(test)]
pub(crate) mod tests;
