//! Slack's Web API, as far as an app tells of deployments: it has a token, posts messages and replies, and edits its own.
//! What is refused is answered with 200, too.

use hyper::HeaderMap;
use serde_json::{Value, json};

use super::shared::{Answer, Shared};
use crate::error::LabResult;
use crate::scenario::Receiver;

/// The token of the app.
pub(crate) const TOKEN: &str = "xoxb-lab-0123456789-secret";
/// What its clicks are signed with.
pub(crate) const SIGNING_SECRET: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
/// The channel that it posts to.
pub(crate) const CHANNEL: &str = "C0LAB";
pub(super) const POST: &str = "/slack/api/chat.postMessage";
pub(super) const UPDATE: &str = "/slack/api/chat.update";
/// Who is in a user group.
pub(super) const MEMBERS: &str = "/slack/api/usergroups.users.list";
/// Where whoever has clicked is told something.
pub(super) const ANSWERS: &str = "/slack/answers";
/// The only user group, and the only one in it.
const GROUP: &str = "S0LAB";
const MEMBER: &str = "U0ADA";

/// In characters, as Slack documents them.
const LONGEST_TEXT: usize = 4_000;
const LONGEST_SECTION: usize = 3_000;
const LONGEST_HEADER: usize = 150;
const LONGEST_BUTTON: usize = 75;
const MOST_BLOCKS: usize = 50;

pub(super) fn take(shared: &Shared, path: &str, headers: &HeaderMap, text: String) -> Answer {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {TOKEN}")) {
        return refused("invalid_auth");
    }
    let Ok(message) = serde_json::from_str::<Value>(&text) else { return refused("invalid_json") };
    if message["channel"] != CHANNEL {
        return refused("channel_not_found");
    }
    if let Some(why) = unfit(&message) {
        return refused(why);
    }
    let named = |field: &str| message[field].as_str().map(str::to_owned);
    let ts = {
        let messages = &mut shared.state().messages;
        match (path, named("ts"), named("thread_ts")) {
            (UPDATE, Some(ts), _) if messages.contains_key(&ts) => ts,
            (UPDATE, _, _) => return refused("message_not_found"),
            (_, _, Some(thread)) if !messages.contains_key(&thread) => {
                return refused("thread_not_found");
            }
            (_, _, _) => format!("1795244400.{:06}", messages.len() + 1),
        }
    };
    let known = shared.state().messages.insert(ts.clone(), message).is_some();
    if !known {
        shared.arrived(Receiver::App, None, text);
    }
    Answer::saying(json!({ "ok": true, "channel": CHANNEL, "ts": ts }).to_string())
}

/// What Slack signs a click with.
pub(crate) fn signature(timestamp: u64, body: &str) -> LabResult<String> {
    let signed = crate::signed::signature(SIGNING_SECRET, &format!("v0:{timestamp}:{body}"))?;
    Ok(format!("v0={signed}"))
}

/// Who is in the group that is asked for.
pub(super) fn members(query: &str, headers: &HeaderMap) -> Answer {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {TOKEN}")) {
        return refused("invalid_auth");
    }
    if query != format!("usergroup={GROUP}") {
        return refused("no_such_subteam");
    }
    Answer::saying(json!({ "ok": true, "users": [MEMBER] }).to_string())
}

/// What whoever has clicked is told.
pub(super) fn told(shared: &Shared, text: String) -> Answer {
    shared.arrived(Receiver::App, None, text);
    Answer::saying("ok")
}

fn refused(error: &str) -> Answer {
    Answer::saying(json!({ "ok": false, "error": error }).to_string())
}

/// Why Slack would not take a message.
fn unfit(message: &Value) -> Option<&'static str> {
    let longer = |text: &Value, most: usize| {
        text.as_str().is_none_or(|text| text.is_empty() || text.chars().count() > most)
    };
    if longer(&message["text"], LONGEST_TEXT) {
        return Some(if message["text"].is_null() { "no_text" } else { "msg_too_long" });
    }
    let blocks = message["blocks"].as_array()?;
    let fits = |block: &Value| match block["type"].as_str() {
        Some("header") => !longer(&block["text"]["text"], LONGEST_HEADER),
        Some("section") => !longer(&block["text"]["text"], LONGEST_SECTION),
        Some("context") => block["elements"].as_array().is_some_and(|all| all.len() <= 10),
        Some("actions") => block["elements"].as_array().is_some_and(|all| {
            all.iter().all(|one| {
                one["type"] == "button"
                    && !longer(&one["text"]["text"], LONGEST_BUTTON)
                    && !longer(&one["value"], 2_000)
            })
        }),
        Some(_) | None => false,
    };
    (blocks.len() > MOST_BLOCKS || !blocks.iter().all(fits)).then_some("invalid_blocks")
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn asked(shared: &Shared, path: &str, message: &Value) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        let Answer(status, text, _) = take(shared, path, &headers, message.to_string());
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn only_what_was_posted_is_edited_and_answered() {
        let shared = Shared::default();
        let message = |more: Value| {
            let mut message = json!({ "channel": CHANNEL, "text": "hello" });
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            message
        };
        let posted = asked(&shared, POST, &message(json!({})));
        let ts = posted["ts"].clone();
        assert_eq!(asked(&shared, UPDATE, &message(json!({ "ts": ts })))["ok"], true);
        assert_eq!(asked(&shared, POST, &message(json!({ "thread_ts": ts })))["ok"], true);
        for (path, more, error) in [
            (UPDATE, json!({ "ts": "1" }), "message_not_found"),
            (POST, json!({ "thread_ts": "1" }), "thread_not_found"),
            (POST, json!({ "channel": "C1" }), "channel_not_found"),
            (POST, json!({ "text": "x".repeat(4_001) }), "msg_too_long"),
            (POST, json!({ "blocks": [{ "type": "table" }] }), "invalid_blocks"),
        ] {
            assert_eq!(asked(&shared, path, &message(more))["error"], error);
        }
        let Answer(_, text, _) = take(&shared, POST, &HeaderMap::new(), String::new());
        assert!(text.contains("invalid_auth"));
    }
}
