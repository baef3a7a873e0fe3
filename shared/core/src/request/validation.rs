//! What is asked once everything is back, as a person writes it.

use schemars::JsonSchema;
use serde::Serialize;

use super::checks::{self, CheckRequest};
use super::probes::ProbeRequest;
use super::{defaults, hooks};
use crate::document::{Decode, Node};
use crate::plan::HookDetails;
use crate::time::Span;

/// What is asked of the version that serves once a rollback is over, or a way back to it has succeeded:
/// whether it is as good as it was. It changes nothing; what came of it is told. `${slot}` and the other
/// placeholders stand for the slot that serves then. At least one of `probes`, `checks` and `hooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationRequest {
    /// URLs that must answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeRequest>,
    /// Measures of your own, from the moment on at which everything was back. `againstStable` is refused:
    /// nothing is left to compare with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckRequest>,
    /// Functions of your own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<ValidationHook>,
    /// How long it is asked again, about every `health.interval` and at most an hour, while something is not known: a measure that has no
    /// points yet, a hook that is in progress.
    #[serde(default = "defaults::validated_within")]
    pub within: Span,
}

/// A Lambda function that is asked once everything is back, by the contract of
/// [ECS lifecycle hooks](#hookrequest), with the lifecycle stage `ROLLBACK`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationHook {
    /// Name or ARN of the function, with its alias or version if there is one.
    pub function: String,
    /// What it is told with every invocation, as `hookDetails`.
    #[serde(default)]
    pub details: HookDetails,
}

impl ValidationRequest {
    /// An execution that goes on keeps whoever waits for it.
    pub const LONGEST: Span = Span::from_secs(3600);
}

impl Decode for ValidationRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let probes = fields.defaulted_with("probes", |node| node.set_or_empty(), Vec::new);
            let checks = fields.defaulted_with("checks", checks, Vec::new);
            let hooks = fields.defaulted_with("hooks", |node| node.set_or_empty(), Vec::new);
            let within = fields.defaulted_with("within", within, defaults::validated_within);
            let asked = Self { probes: probes?, checks: checks?, hooks: hooks?, within: within? };
            if asked.probes.is_empty() && asked.checks.is_empty() && asked.hooks.is_empty() {
                let message = "nothing is asked: no probes, no checks and no hooks";
                fields.error("probes", message, "name one, or leave `validate` out");
                return None;
            }
            Some(asked)
        })
    }
}

fn within(node: Node<'_>) -> Option<Span> {
    node.checked(|within: &Span| {
        let hint = "write such as 10m";
        if *within == Span::ZERO {
            return Err(("no time at all".to_owned(), hint));
        }
        if *within > ValidationRequest::LONGEST {
            return Err((format!("{within} is longer than an hour"), hint));
        }
        Ok(())
    })
}

fn checks(mut node: Node<'_>) -> Option<Vec<CheckRequest>> {
    let entries = node.value().as_array().map_or(&[][..], Vec::as_slice);
    let compared: Vec<_> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry["againstStable"].is_null())
        .map(|(index, _)| index)
        .collect();
    for index in &compared {
        node.error_at(
            &format!("[{index}].againstStable"),
            "once everything is back there is nothing to compare with",
            "write a `limit`",
        );
    }
    checks::checks(node).filter(|_| compared.is_empty())
}

impl Decode for ValidationHook {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let function = fields.required_with("function", hooks::function);
            let details = fields.defaulted_with("details", hooks::details, HookDetails::new);
            Some(Self { function: function?, details: details? })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::fixtures;
    use crate::request::decode;

    fn said(validate: &Value) -> String {
        let mut document = fixtures::document();
        document["rollback"]["validate"] = validate.clone();
        match decode(&document) {
            Ok(_) => String::new(),
            Err(findings) => findings.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let check = json!({
            "name": "orders",
            "metric": { "namespace": "Shop", "name": "Orders" },
            "limit": { "below": 10 },
        });
        assert_eq!(said(&json!({ "checks": [check] })), "");
        assert_eq!(said(&json!({ "hooks": [{ "function": "smoke-tests" }] })), "");
        let mut compared = check;
        compared["metric"]["dimensions"] = json!({ "Slot": "${slot}" });
        compared["againstStable"] = json!({ "above": 2 });
        for (validate, text) in [
            (json!({}), "nothing is asked"),
            (json!({ "probes": [], "checks": [] }), "$.rollback.validate.probes"),
            (json!({ "checks": [compared] }), "$.rollback.validate.checks[0].againstStable"),
            (json!({ "probes": [{ "url": "example.com" }] }), "$.rollback.validate.probes[0].url"),
            (json!({ "hooks": [{ "function": "f", "stages": [] }] }), "`stages`"),
            (
                json!({ "hooks": [{ "function": "f" }], "within": "0s" }),
                "$.rollback.validate.within",
            ),
            (json!({ "hooks": [{ "function": "f" }], "within": "61m" }), "longer than an hour"),
        ] {
            let said = said(&validate);
            assert!(said.contains(text), "no {text:?} in {said:?}");
        }
    }
}
