//! URLs that must answer, as a person writes them.

use schemars::JsonSchema;
use serde::Serialize;

use super::checks::Placeholder;
use super::defaults;
use crate::document::{Decode, Node};
use crate::time::Span;

/// Longest time that all attempts of a probe may take together: a look has other things to do.
const LONGEST_PROBE: Span = Span::from_secs(30);

/// A URL that is asked by GET at every look of a stage, from outside of your network: through a
/// listener or rule that leads to the new version only. `${slot}` and the other placeholders of
/// [checks](#checkrequest) stand for the slot of the new version. Redirects are answers and not
/// followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeRequest {
    /// `https://` or `http://`, without user and password.
    pub url: String,
    /// The status that it must answer with.
    #[serde(default = "defaults::probe_status")]
    #[schemars(range(min = 100, max = 599))]
    pub status: u64,
    /// A text that must be in the first 64 KiB of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// How often it is asked at one look, a second apart, until it answers so.
    #[serde(default = "defaults::probe_attempts")]
    #[schemars(range(min = 1, max = 5))]
    pub attempts: u64,
    /// How long an answer may take; all attempts together at most 30 seconds.
    #[serde(default = "defaults::probe_timeout")]
    pub timeout: Span,
}

impl Decode for ProbeRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let url = fields.required_with("url", url);
            let status = fields.defaulted_with(
                "status",
                |node| within(node, 100, 599, "a status such as 200"),
                defaults::probe_status,
            );
            let contains = fields.optional_with("contains", |node| node.text());
            let attempts = fields.defaulted_with(
                "attempts",
                |node| within(node, 1, 5, "a number from 1 to 5"),
                defaults::probe_attempts,
            );
            let timeout = fields.defaulted_with(
                "timeout",
                |node| node.span_above_zero(),
                defaults::probe_timeout,
            );
            let probe = Self {
                url: url?,
                status: status?,
                contains: contains?,
                attempts: attempts?,
                timeout: timeout?,
            };
            let longest = probe.timeout.times(probe.attempts);
            if longest > LONGEST_PROBE {
                let message =
                    format!("{} attempts of {} are {longest}", probe.attempts, probe.timeout);
                let hint = format!("stay within {LONGEST_PROBE}, or use a hook");
                fields.error("timeout", message, hint);
                return None;
            }
            Some(probe)
        })
    }
}

fn within(node: Node<'_>, least: u64, most: u64, expected: &str) -> Option<u64> {
    match node.value().as_u64() {
        Some(number) if (least..=most).contains(&number) => Some(number),
        Some(_) | None => node.error(format!("not {expected}"), format!("write {expected}")),
    }
}

fn url(node: Node<'_>) -> Option<String> {
    let text = node.value().as_str().unwrap_or_default();
    if let Err((message, hint)) = Placeholder::check(text) {
        return node.error(message, hint);
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if authority.is_some_and(|authority| authority.contains('@')) {
        // It would be kept with the deployment, and shown.
        return node
            .error("a URL with a user or password", "leave them out; a hook can have secrets");
    }
    node.text_like("a URL such as https://${slot}.example.com/health", |text| {
        authority.is_some_and(|authority| !authority.is_empty())
            && text.chars().all(|c| c.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fixtures;
    use crate::request::decode;

    fn said(probe: &serde_json::Value) -> String {
        let mut document = fixtures::document();
        document["health"]["probes"] = json!([probe]);
        match decode(&document) {
            Ok(_) => String::new(),
            Err(findings) => findings.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let fine = "https://${slot}.example.com:8443/health?deep=1";
        assert_eq!(said(&json!({ "url": fine })), "");
        for (probe, text) in [
            (json!({}), "`url` is missing"),
            (json!({ "url": "example.com" }), "is not a URL"),
            (json!({ "url": "https://" }), "is not a URL"),
            (json!({ "url": "https://a b" }), "is not a URL"),
            (json!({ "url": "https://user:secret@example.com/" }), "a user or password"),
            (json!({ "url": "https://${solt}.example.com" }), "did you mean `${slot}`?"),
            (json!({ "url": fine, "status": 99 }), "$.health.probes[0].status"),
            (json!({ "url": fine, "attempts": 6 }), "$.health.probes[0].attempts"),
            (json!({ "url": fine, "timeout": "11s" }), "3 attempts of 11s are 33s"),
        ] {
            let said = said(&probe);
            assert!(said.contains(text), "no {text:?} in {said:?}");
        }
    }
}
