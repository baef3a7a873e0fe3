//! Any list of stages.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::StageRequest;
use crate::document::{Decode, Node, Percent};
use crate::plan::Stage;
use crate::request::defaults;
use crate::weight::Weight;

/// A list of stages whose weights increase strictly up to 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// The stages in order; the last has weight 100.
    #[schemars(length(min = 1))]
    pub stages: Vec<StageRequest>,
}

impl Canary {
    pub fn stages(&self) -> Vec<Stage> {
        self.stages.iter().map(StageRequest::stage).collect()
    }
}

impl Default for Canary {
    /// 5, 10, 25, 50 and 100 %. Twice as far each time and no further: what the last stage has
    /// shown to be healthy bounds what the next can break.
    fn default() -> Self {
        let stage = |permille, bake| {
            let weight = Weight::from_permille(permille).unwrap_or(Weight::ALL);
            StageRequest { weight: Percent::from_permille(weight), bake, approval: None }
        };
        let mut stages: Vec<_> =
            [50, 100, 250, 500].map(|permille| stage(permille, defaults::bake())).into();
        stages.push(stage(1000, defaults::bake_at_everything()));
        Self { stages }
    }
}

impl Decode for Canary {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let stages = fields.required_with("stages", stages);
            Some(Self { stages: stages? })
        })
    }
}

fn stages(mut node: Node<'_>) -> Option<Vec<StageRequest>> {
    check_weights(&mut node);
    node.list()
}

/// Looks at the weights of the document itself, so that a mistake in another field of a stage
/// does not hide one in the sequence.
fn check_weights(node: &mut Node<'_>) {
    let Some(stages) = node.value().as_array() else { return };
    let weights: Vec<_> = stages.iter().map(weight).collect();
    let mut before: Option<(usize, Weight)> = None;
    for (index, weight) in weights.iter().enumerate() {
        let Some(weight) = *weight else { continue };
        if let Some((earlier, lower)) = before
            && weight <= lower
        {
            node.error_at(
                &format!("[{index}].weight"),
                format!("{weight} does not go beyond the {lower} of stages[{earlier}]"),
                "let the weights increase from stage to stage",
            );
        }
        before = Some((index, weight));
    }
    if let Some(Some(last)) = weights.last()
        && *last != Weight::ALL
    {
        node.error_at(
            &format!("[{}].weight", weights.len() - 1),
            format!("the last stage ends at {last}"),
            "end with a stage of weight 100: a deployment is done when everything has moved",
        );
    }
}

fn weight(stage: &Value) -> Option<Weight> {
    stage.get("weight").and_then(Value::as_f64).and_then(Weight::from_percent)
}
