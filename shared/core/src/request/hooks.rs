//! Functions of the user's that have a say, as a person writes them.

use schemars::JsonSchema;
use serde::Serialize;

use super::defaults;
use crate::document::{Decode, Node};
use crate::plan::{HookDetails, LifecycleStage};

/// Longest details, as JSON: they are kept with the deployment.
pub const LONGEST_DETAILS: usize = 4096;

/// A Lambda function that is asked at every stage, by the contract of ECS lifecycle hooks: it answers
/// `{"hookStatus": "SUCCEEDED"}`, `FAILED` (rolls back) or `IN_PROGRESS` (is asked again after
/// `callBackDelay` seconds, by default 30, with the `hookDetails` of its answer). The stack must allow
/// it: its parameter `HookFunctionPattern`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookRequest {
    /// Name or ARN of the function, with its alias or version if there is one.
    pub function: String,
    /// When it is asked.
    #[serde(default = "defaults::hook_stages")]
    pub stages: Vec<LifecycleStage>,
    /// What it is told with every invocation, as `hookDetails`.
    #[serde(default)]
    pub details: HookDetails,
}

impl Decode for HookRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let function = fields.required_with("function", function);
            let stages = fields.defaulted_with("stages", |node| node.set(), defaults::hook_stages);
            let details = fields.defaulted_with("details", details, HookDetails::new);
            Some(Self { function: function?, stages: stages?, details: details? })
        })
    }
}

pub(super) fn function(node: Node<'_>) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_:$".contains(c);
    node.text_like("name or ARN of a Lambda function", |text| {
        !text.is_empty() && text.len() <= 170 && text.chars().all(allowed)
    })
}

pub(super) fn details(node: Node<'_>) -> Option<HookDetails> {
    let Some(details) = node.value().as_object() else {
        return node.wrong_type("an object", "write { name: value }");
    };
    let length = node.value().to_string().len();
    if length > LONGEST_DETAILS {
        let message = format!("{length} characters of JSON");
        return node.error(message, format!("write at most {LONGEST_DETAILS}"));
    }
    Some(details.clone())
}

impl Decode for LifecycleStage {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&Self::OF_STAGES.map(|stage| (stage.name(), stage)))
    }
}
