//! A workflow of Teams that begins with a webhook request: 202 means that it has begun. A card that no
//! telephone renders is one that somebody does not get, so it is refused here, which Teams would not tell.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::shared::{Answer, Shared};
use crate::scenario::Receiver;

/// In bytes.
const LARGEST: usize = 28 * 1024;
/// In a second.
const MOST: usize = 4;
/// What version 1.2 has, and a webhook may use.
const ELEMENTS: [&str; 9] = [
    "AdaptiveCard",
    "TextBlock",
    "RichTextBlock",
    "TextRun",
    "FactSet",
    "ColumnSet",
    "Column",
    "Container",
    "Action.OpenUrl",
];

pub(super) fn take(shared: &Shared, text: String) -> Answer {
    if text.len() > LARGEST {
        return Answer::with(StatusCode::PAYLOAD_TOO_LARGE, "too large");
    }
    let now = Instant::now();
    let limited = {
        let asked = &mut shared.state().teams;
        asked.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        let limited = asked.len() >= MOST;
        if !limited {
            asked.push(now);
        }
        limited
    };
    if limited {
        return Answer(StatusCode::TOO_MANY_REQUESTS, "throttled".into(), Some(1));
    }
    let message: Option<Value> = serde_json::from_str(&text).ok();
    if !message.is_some_and(|message| is_card(&message)) {
        return Answer::with(StatusCode::BAD_REQUEST, "no card");
    }
    shared.arrived(Receiver::Teams, None, text);
    Answer::with(StatusCode::ACCEPTED, "")
}

fn is_card(message: &Value) -> bool {
    let card = &message["attachments"][0];
    message["type"] == "message"
        && card["contentType"] == "application/vnd.microsoft.card.adaptive"
        && card["content"]["version"] == "1.2"
        && card["content"]["type"] == "AdaptiveCard"
        && elements(&card["content"])
}

/// Whether every element is one that is known.
fn elements(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            let known = fields
                .get("type")
                .is_none_or(|kind| kind.as_str().is_some_and(|kind| ELEMENTS.contains(&kind)));
            known && fields.values().all(elements)
        }
        Value::Array(entries) => entries.iter().all(elements),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
