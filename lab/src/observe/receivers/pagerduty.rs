//! PagerDuty's Events API v2. It answers 202 for whatever has the right form, and only then looks what becomes
//! of it: who is acknowledged or resolved without an open alert is dropped, and nobody is told. An alert that is
//! triggered again after somebody has acknowledged it rings nobody (docs/events-API-v2/02-Trigger-Events.md of
//! PagerDuty/developer-docs).

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::Value;

use super::shared::{Answer, Shared};
use crate::scenario::Receiver;

pub(super) const ALERTS: &str = "/v2/enqueue";
pub(super) const CHANGES: &str = "/v2/change/enqueue";
/// The integration's.
pub(crate) const ROUTING_KEY: &str = "1ab0000000000000000000000000c2de";

/// In bytes.
const LARGEST: usize = 512 * 1024;
const LONGEST_KEY: usize = 255;
const LONGEST_SUMMARY: usize = 1024;

pub(super) fn take(shared: &Shared, path: &str, text: String) -> Answer {
    if text.len() > LARGEST {
        return Answer::with(StatusCode::PAYLOAD_TOO_LARGE, "too large");
    }
    let event: Option<Value> = serde_json::from_str(&text).ok();
    let Some(event) = event.filter(|event| is_event(path, event)) else {
        return Answer::with(StatusCode::BAD_REQUEST, r#"{"status":"invalid event"}"#);
    };
    let name =
        if path == CHANGES { "change" } else { event["event_action"].as_str().unwrap_or_default() };
    let key = event["dedup_key"].as_str().unwrap_or_default();
    let happens = happens(&mut shared.state().alerts, name, key);
    let name = if happens { name.to_owned() } else { format!("{name} of nothing") };
    shared.arrived(Receiver::Pager, Some(name), text);
    Answer::with(StatusCode::ACCEPTED, r#"{"status":"success","message":"Event processed"}"#)
}

/// Whether anybody hears of it. `alerts`: those that are open, and whether somebody has acknowledged them.
fn happens(alerts: &mut BTreeMap<String, bool>, name: &str, key: &str) -> bool {
    match name {
        // Whether it is acknowledged stays as it is.
        "trigger" => !*alerts.entry(key.to_owned()).or_default(),
        "acknowledge" => alerts.get_mut(key).map(|acknowledged| *acknowledged = true).is_some(),
        "resolve" => alerts.remove(key).is_some(),
        _ => true,
    }
}

/// Whether it has what the form asks for.
fn is_event(path: &str, event: &Value) -> bool {
    let text = |value: &Value, longest: usize| {
        value.as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= longest)
    };
    let payload = &event["payload"];
    let told = text(&payload["summary"], LONGEST_SUMMARY)
        && (payload.get("timestamp").is_none() || text(&payload["timestamp"], 40));
    if event["routing_key"] != ROUTING_KEY {
        return false;
    }
    if path == CHANGES {
        return told;
    }
    let has_key = text(&event["dedup_key"], LONGEST_KEY);
    match event["event_action"].as_str() {
        Some("trigger") => {
            let severity = payload["severity"].as_str().unwrap_or_default();
            has_key
                && told
                && text(&payload["source"], usize::MAX)
                && ["critical", "error", "warning", "info"].contains(&severity)
        }
        Some("acknowledge" | "resolve") => has_key,
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_acknowledged_alert_rings_nobody_until_it_was_resolved() {
        let mut alerts = BTreeMap::new();
        let mut happens = |name, key| happens(&mut alerts, name, key);
        assert!(!happens("acknowledge", "d") && !happens("resolve", "d"));
        assert!(happens("trigger", "d") && happens("trigger", "d") && happens("acknowledge", "d"));
        assert!(!happens("trigger", "d") && happens("trigger", "d/page"));
        assert!(happens("resolve", "d") && happens("trigger", "d"));
    }

    #[test]
    fn an_event_without_what_is_required_is_none() {
        let payload = json!({ "summary": "s", "source": "o", "severity": "critical" });
        let event = json!({ "routing_key": ROUTING_KEY, "event_action": "trigger", "dedup_key": "k",
                            "payload": payload });
        assert!(is_event(ALERTS, &event));
        for field in ["routing_key", "event_action", "dedup_key", "payload"] {
            let mut lacking = event.clone();
            lacking[field] = Value::Null;
            assert!(!is_event(ALERTS, &lacking), "{field}");
        }
    }
}
