//! A click on a button of a message in Slack, as Slack posts it to the page. Nothing of it is believed before its signature
//! has been looked at.

use glidepath_core::failure::FailureCode;
use glidepath_engine::click::{Click, Signed, Taken};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http_event::{HttpEvent, Unfit};
use crate::telemetry::tell_failure;

/// Where Slack posts them: the stack's output `SlackInteractivityUrl`.
const PATH: &str = "/slack";

/// Longest body, in bytes: Slack sends the whole message along.
const LONGEST_BODY: usize = 256 * 1024;

/// What is posted where Slack posts; `None`: it is something else.
pub fn read(payload: &Value) -> Option<Result<Signed, Unfit>> {
    let event = HttpEvent::deserialize(payload).ok()?;
    (event.raw_path == PATH).then(|| signed(&event))
}

fn signed(event: &HttpEvent) -> Result<Signed, Unfit> {
    let method = event.request_context.http.as_ref().map(|http| http.method.as_str());
    if method != Some("POST") {
        return Err(Unfit::Method);
    }
    if !event.is_of_type("application/x-www-form-urlencoded") {
        return Err(Unfit::NoForm);
    }
    let body = event.bytes(LONGEST_BODY)?;
    let header = |name| event.header(name).unwrap_or_default().to_owned();
    let (timestamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
    Ok(Signed { timestamp, signature, body })
}

/// What was clicked; `None`: nothing that decides anything, such as a link.
pub fn click(body: &[u8]) -> Option<Click> {
    let mut fields = form_urlencoded::parse(body);
    let payload = fields.find(|(name, _)| name == "payload")?.1;
    let Interaction { kind, user, actions, response_url } = serde_json::from_str(&payload).ok()?;
    let [Action { action_id, value: Some(path) }] = <[Action; 1]>::try_from(actions).ok()? else {
        return None;
    };
    let approved = match action_id.as_str() {
        "approve" => true,
        "reject" => false,
        _ => return None,
    };
    // Of somebody in a shared channel it is their own team. Never the one beside it, which is where they have clicked: an
    // id of a user says who it is only together with their team's.
    let team = user.team_id?;
    let click = Click { approved, path, team, user: user.id, response_url };
    (kind == "block_actions").then_some(click)
}

#[derive(Deserialize)]
struct Interaction {
    #[serde(rename = "type")]
    kind: String,
    user: User,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(default)]
    response_url: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    #[serde(default)]
    value: Option<String>,
}

/// What Slack is answered: it looks at the status, and shows nothing of the rest.
pub fn answer(taken: Taken) -> Value {
    match taken {
        Taken::Yes => answered(200, ""),
        Taken::Undecided(code) => {
            tell_failure(code);
            answered(200, "")
        }
        Taken::NotSigned => answered(401, "Slack has not signed this, or not within five minutes."),
        Taken::NotKnown => {
            tell_failure(FailureCode::Transient);
            answered(
                503,
                "Whether Slack has signed this is not known: its secret could not be read in time.",
            )
        }
    }
}

/// What is answered to what is no click.
pub fn unfit(unfit: Unfit) -> Value {
    let told = match unfit {
        Unfit::Method => "Slack posts clicks here; nothing else is taken.",
        Unfit::NoForm | Unfit::Elsewhere => "A click must be sent as Slack sends it: as a form.",
        Unfit::TooLong => "This is longer than anything that Slack sends.",
        Unfit::Unknown => "This is no request that can be understood.",
    };
    answered(unfit.status(), told)
}

/// What is answered where the stack has no app of Slack's.
pub fn without_app() -> Value {
    answered(404, "No clicks of Slack are taken here: the stack names no app.")
}

fn answered(status: u16, told: &str) -> Value {
    let headers =
        json!({ "cache-control": "no-store", "content-type": "text/plain; charset=utf-8" });
    json!({ "statusCode": status, "headers": headers, "body": told })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn event(body: &str) -> Value {
        json!({
            "rawPath": "/slack",
            "headers": {
                "content-type": "application/x-www-form-urlencoded",
                "x-slack-signature": "v0=ab", "x-slack-request-timestamp": "1531420618",
            },
            "requestContext": { "http": { "method": "POST" } },
            "body": STANDARD.encode(body), "isBase64Encoded": true,
        })
    }

    fn clicked(payload: &Value) -> Option<Click> {
        let text = payload.to_string();
        let body: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        click(&read(&event(&format!("payload={body}"))).unwrap().unwrap().body)
    }

    fn payload() -> Value {
        json!({
            "type": "block_actions",
            "user": { "id": "U1", "username": "ada", "team_id": "T1" },
            "team": { "id": "T0", "domain": "shop" },
            "actions": [{ "action_id": "approve", "block_id": "b", "type": "button", "value": "/approve/a/1/2/3" }],
            "response_url": "https://hooks.slack.com/actions/x",
        })
    }

    #[test]
    fn a_click_says_who_has_answered_what() {
        let click = clicked(&payload()).unwrap();
        assert_eq!((click.approved, click.path.as_str()), (true, "/approve/a/1/2/3"));
        assert_eq!((click.team.as_str(), click.user.as_str()), ("T1", "U1"));
        let mut other = payload();
        other["actions"][0]["action_id"] = json!("reject");
        assert!(!clicked(&other).unwrap().approved);
    }

    #[test]
    fn what_decides_nothing_is_nothing() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut payload = payload();
            change(&mut payload);
            clicked(&payload)
        };
        assert_eq!(with(&|payload| payload["type"] = json!("view_submission")), None);
        assert_eq!(with(&|payload| payload["actions"][0]["action_id"] = json!("more")), None);
        assert_eq!(with(&|payload| payload["actions"][0]["value"] = json!(null)), None);
        assert_eq!(with(&|payload| payload["actions"] = json!([])), None);
        assert_eq!(with(&|payload| payload["user"] = json!(null)), None);
        // Of whichever team it is: an id of another company's may be the same.
        assert_eq!(with(&|payload| payload["user"] = json!({ "id": "U1" })), None);
        let twice = |payload: &mut Value| {
            let action = payload["actions"][0].clone();
            payload["actions"] = json!([action, action]);
        };
        assert_eq!(with(&twice), None);
    }

    #[test]
    fn what_is_posted_is_taken_as_it_was_signed_or_refused() {
        let signed = read(&event("payload=%7B%7D")).unwrap().unwrap();
        assert_eq!(signed.body, b"payload=%7B%7D");
        assert_eq!((signed.timestamp.as_str(), signed.signature.as_str()), ("1531420618", "v0=ab"));
        let with = |change: &dyn Fn(&mut Value)| {
            let mut event = event("payload=%7B%7D");
            change(&mut event);
            read(&event)
        };
        assert!(with(&|event| event["rawPath"] = json!("/slack/")).is_none());
        let refused = |change: &dyn Fn(&mut Value)| with(change).unwrap().unwrap_err();
        let get = |event: &mut Value| event["requestContext"]["http"]["method"] = json!("GET");
        assert_eq!(refused(&get), Unfit::Method);
        assert_eq!(refused(&|event| event["headers"] = json!({})), Unfit::NoForm);
        assert_eq!(refused(&|event| event["body"] = json!("%%%")), Unfit::Unknown);
        let long = "A".repeat((LONGEST_BODY / 3 + 2) * 4);
        assert_eq!(refused(&|event| event["body"] = json!(long)), Unfit::TooLong);
    }

    #[test]
    fn nothing_that_is_posted_makes_it_fail() {
        let long = [b"payload=".as_slice(), "{\"a\":".repeat(10_000).as_bytes()].concat();
        for body in [
            b"".as_slice(),
            b"payload",
            b"payload=%",
            b"payload=%ff%fe",
            b"\xff\xfe=\x00",
            b"payload=[]",
            &long,
        ] {
            assert_eq!(click(body), None);
        }
    }

    #[test]
    fn whatever_is_refused_is_told_in_one_sentence() {
        let unfit =
            [Unfit::Method, Unfit::NoForm, Unfit::TooLong, Unfit::Elsewhere, Unfit::Unknown];
        let refused = unfit.map(super::unfit);
        let others = [answer(Taken::NotSigned), answer(Taken::NotKnown), without_app()];
        for refused in refused.iter().chain(&others) {
            let told = refused["body"].as_str().unwrap();
            assert!(refused["statusCode"].as_u64().unwrap() >= 400, "{refused}");
            assert!(told.ends_with('.') && told.matches(". ").count() == 0, "{refused}");
        }
        // Slack would show it in the place of the message.
        assert_eq!(answer(Taken::Yes)["body"], "");
    }
}
