//! Functions of the user's that have a say, by the contract of ECS lifecycle hooks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::weight::Weight;

/// A function that is asked at every stage whose weight its lifecycle stages stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Name or ARN of the Lambda function, with its alias or version if there is one.
    pub function: String,
    pub stages: Vec<LifecycleStage>,
    /// What it is told with every invocation.
    pub details: HookDetails,
}

/// What a hook is told and may pass on to its next invocation.
pub type HookDetails = Map<String, Value>;

/// The lifecycle stages of an ECS deployment that a stage of a plan can stand for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LifecycleStage {
    /// The tasks of the new version are healthy and get no traffic: a stage of weight 0.
    PostScaleUp,
    /// After every shift, the last one too.
    ProductionTrafficShift,
    /// All the traffic is on the new version: the stage of weight 100.
    PostProductionTrafficShift,
    /// Everything is back on what served before. ECS has no such stage and asks nobody then.
    #[schemars(skip)]
    Rollback,
}

impl LifecycleStage {
    /// Those that a stage can stand for, in the order in which a deployment comes to them.
    pub const OF_STAGES: [Self; 3] =
        [Self::PostScaleUp, Self::ProductionTrafficShift, Self::PostProductionTrafficShift];

    /// Its name, as ECS writes those that it has.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostScaleUp => "POST_SCALE_UP",
            Self::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Self::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
            Self::Rollback => "ROLLBACK",
        }
    }

    /// Whether a stage of this weight stands for it.
    pub fn is_at(self, weight: Weight) -> bool {
        match self {
            Self::PostScaleUp => weight == Weight::NONE,
            Self::ProductionTrafficShift => weight != Weight::NONE,
            Self::PostProductionTrafficShift => weight == Weight::ALL,
            Self::Rollback => false,
        }
    }
}

impl Hook {
    /// The function's name, for people.
    pub fn name(&self) -> &str {
        self.function.split_once(":function:").map_or(self.function.as_str(), |(_, name)| name)
    }
}
