//! An app of Slack: it has one message for each deployment, which it edits, and tells the details in its thread. Its
//! token is the secret. Slack answers 200 to what it refuses, too: what became of a call is in the body.

use glidepath_core::message::{Message, Trial, slack};
use glidepath_core::time::Span;
use glidepath_core::urgency::Urgency;
use glidepath_engine::ports::{Handover, NotTaken, PortError, PostedMessage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::sending::{Outgoing, Sending, is_url, judge};
use crate::http::Answer;

const OPERATION: &str = "slack app";

/// Where Slack takes calls.
const ENDPOINT: &str = "https://slack.com/api";

/// Which app posts where.
#[derive(Clone, Copy)]
pub(super) struct App<'a> {
    pub(super) secret: &'a str,
    pub(super) channel: &'a str,
    pub(super) endpoint: Option<&'a str>,
}

/// What the secret holds. It may hold more: what clicks are signed with is for the page.
#[derive(Deserialize)]
struct Secret {
    token: String,
}

/// What Slack answers.
#[derive(Deserialize)]
struct Answered {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    channel: Option<Value>,
    #[serde(default)]
    ts: Option<String>,
}

/// What became of a call that Slack has understood.
enum Done {
    /// Where the message is.
    At(PostedMessage),
    /// There is no message any more that could be edited.
    NotEdited,
}

/// Edits the deployment's message first, so that it shows this `state`: that may be repeated. Then it says in its thread
/// what is new.
pub(super) async fn deliver(
    sending: &Sending,
    app: App<'_>,
    handover: Handover<'_>,
    message: &Message,
    state: Value,
) -> Result<Option<PostedMessage>, NotTaken> {
    let Handover { notice, posted, heard, waiting, .. } = handover;
    let place = posted.and_then(|posted| posted.0.split_once('/'));
    // The stack may name another channel by now.
    let place = place.filter(|(channel, _)| !is_channel(app.channel) || *channel == app.channel);
    let Some((channel, ts)) = place else {
        // What is not to be heard makes no message of its own.
        return if heard { post(sending, app, state).await.map(Some) } else { Ok(None) };
    };
    let mut edit = state.clone();
    (edit["channel"], edit["ts"]) = (json!(channel), json!(ts));
    match call(sending, app, "chat.update", &edit).await {
        done if !heard => return done.map(|_| None),
        Ok(Done::At(_)) => {}
        // It was deleted, or is too old for the workspace: whoever reads the channel must see the state.
        Ok(Done::NotEdited) | Err(NotTaken { error: PortError::Refused { .. }, .. }) => {
            return post(sending, app, state).await.map(Some);
        }
        // Whoever must act is told first, by this notice or by one that waits behind it, which edits.
        Err(_) if waiting == Urgency::Page => {}
        Err(why) => return Err(why),
    }
    let mut reply = slack::body(notice, message);
    (reply["channel"], reply["thread_ts"]) = (json!(channel), json!(ts));
    // In the channel, too: nobody is told of an edit, nor of a thread that they do not follow.
    match notice.event.urgency() {
        Urgency::Page | Urgency::Attention => reply["reply_broadcast"] = json!(true),
        Urgency::Information => {}
    }
    match call(sending, app, "chat.postMessage", &reply).await {
        // Nobody may reply there any more, say.
        Err(NotTaken { error: PortError::Refused { .. }, .. }) => {
            post(sending, app, state).await.map(Some)
        }
        told => told.map(|_| None),
    }
}

/// Whether it is the id of a channel, and not its name.
fn is_channel(text: &str) -> bool {
    text.starts_with(['C', 'G', 'D'])
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

pub(super) async fn try_out(
    sending: &Sending,
    app: App<'_>,
    trial: &Trial,
) -> Result<(), NotTaken> {
    post(sending, app, trial.slack()).await.map(drop)
}

async fn post(sending: &Sending, app: App<'_>, mut body: Value) -> Result<PostedMessage, NotTaken> {
    body["channel"] = json!(app.channel);
    match call(sending, app, "chat.postMessage", &body).await? {
        Done::At(posted) => Ok(posted),
        Done::NotEdited => Err(refused("it answers a post as if it were an edit").into()),
    }
}

async fn call(
    sending: &Sending,
    app: App<'_>,
    method: &str,
    body: &Value,
) -> Result<Done, NotTaken> {
    let endpoint = app.endpoint.unwrap_or(ENDPOINT).trim_end_matches('/');
    let made = |text: &str| {
        let secret: Option<Secret> = serde_json::from_str(text).ok();
        let token = secret.map(|secret| secret.token).filter(|token| is_token(token));
        let token = token.ok_or(
            "does not hold a JSON object with the `token` of a bot, which begins with `xoxb-`",
        )?;
        if !is_url(endpoint) {
            return Err("is not sent anywhere: the channel's `endpoint` is no URL".to_owned());
        }
        let outgoing = Outgoing::new(format!("{endpoint}/{method}"), body);
        Ok(vec![Outgoing {
            headers: vec![("authorization", format!("Bearer {token}"))],
            ..outgoing
        }])
    };
    let done = sending.ask(OPERATION, app.secret, made, read).await?;
    done.into_iter().next().ok_or_else(|| refused("nothing was asked").into())
}

fn is_token(text: &str) -> bool {
    text.starts_with("xoxb-") && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn refused(detail: &str) -> PortError {
    PortError::Refused { operation: OPERATION, detail: detail.to_owned() }
}

fn read(answer: &Answer) -> Result<Done, NotTaken> {
    judge(OPERATION, answer)?;
    let answered: Answered = serde_json::from_slice(&answer.body)
        .map_err(|_| refused("its answer is not what Slack answers"))?;
    let Answered { ok, error, channel, ts } = answered;
    if ok {
        let channel = channel.as_ref().and_then(Value::as_str);
        let at = channel.zip(ts).filter(|(channel, _)| !channel.contains('/'));
        let at = at.ok_or_else(|| refused("its answer does not say where the message is"))?;
        return Ok(Done::At(PostedMessage(format!("{}/{}", at.0, at.1))));
    }
    let code = error.filter(|code| is_code(code));
    let code = code.as_deref().unwrap_or("an error without a name");
    let unanswered = || PortError::Unanswered { operation: OPERATION, detail: code.to_owned() };
    match code {
        "message_not_found" | "cant_update_message" | "edit_window_closed" => Ok(Done::NotEdited),
        "ratelimited" | "rate_limited" => Err(NotTaken {
            error: PortError::Throttled { operation: OPERATION },
            retry_after: answer.retry_after.map(Span::from_secs),
        }),
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "update_failed"
        | "external_channel_migrating"
        | "team_added_to_org" => Err(unanswered().into()),
        refusal => Err(refused(refusal).into()),
    }
}

/// As Slack names its errors. Anything else may repeat what was sent.
fn is_code(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= 60 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use glidepath_core::message::alert::Rung;
    use glidepath_core::message::message;
    use glidepath_core::plan::StageIndex;
    use glidepath_core::record::{Event, Notice, Phase};
    use glidepath_engine::ports::Counted;

    use super::super::sending::tests::{saying, secret};
    use super::*;
    use crate::registry::tests_deployment as deployment;
    use crate::replay::answering;

    const TOKEN: &str = r#"{"token":"xoxb-hidden","signingSecret":"s"}"#;

    fn trial() -> Trial {
        Trial { id: "t".to_owned(), by: "arn:ada".to_owned() }
    }

    async fn tried(answer: &str, held: &str) -> (Result<(), NotTaken>, String) {
        let (url, asked) = saying(vec![answer.to_owned()]).await;
        // A refusal counts for the secret as it is now, but it was not kept.
        let sending = Sending::new(&answering(vec![secret(held)]));
        let app = App { secret: "arn:s", channel: "C0", endpoint: Some(&url) };
        let tried = try_out(&sending, app, &trial()).await;
        asked.abort();
        (tried, url)
    }

    #[tokio::test]
    async fn the_token_is_in_a_header_and_the_channel_in_the_body() {
        let (url, asked) =
            saying(vec![r#"{"ok":true,"channel":"C0","ts":"17.1"}"#.to_owned()]).await;
        let sending = Sending::new(&answering(vec![secret(TOKEN)]));
        let app = App { secret: "arn:s", channel: "C0", endpoint: Some(&url) };
        try_out(&sending, app, &trial()).await.unwrap();
        let asked = asked.await.unwrap().remove(0);
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /T0/B0/x/chat.postMessage "), "{head}");
        assert!(head.contains("Bearer xoxb-hidden") && !body.contains("xoxb"), "{asked}");
        assert!(body.contains(r#""channel":"C0""#), "{body}");
    }

    #[tokio::test]
    async fn what_slack_says_of_a_call_is_in_its_answer_and_not_in_its_status() {
        for (answer, passes) in [
            (r#"{"ok":false,"error":"channel_not_found"}"#, false),
            (r#"{"ok":false,"error":"invalid_auth"}"#, false),
            (r#"{"ok":false,"error":"ratelimited"}"#, true),
            (r#"{"ok":false,"error":"fatal_error"}"#, true),
            (r#"{"ok":false,"error":"xoxb-hidden is wrong"}"#, false),
            (r#"{"ok":true}"#, false),
            ("<html>", false),
        ] {
            let (tried, _) = tried(answer, TOKEN).await;
            let error = tried.unwrap_err().error;
            assert_eq!(error.may_pass(), passes, "{answer}: {error}");
            assert!(!format!("{error:?}").contains("xoxb"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused_and_not_shown() {
        for held in ["xoxb-hidden", r#"{"token":"xoxp-hidden"}"#, r#"{"token":"xoxb-hidden\n"}"#] {
            let shown = tried("{}", held).await.0.unwrap_err().error.to_string();
            assert!(shown.contains("arn:s") && !shown.contains("hidden"), "{shown}");
        }
    }

    /// What was asked, method by method with its body, when a message was posted before at this place.
    async fn delivered(answers: &[&str], event: Event) -> (PostedOr, Vec<(String, Value)>) {
        let waiting = event.urgency();
        handed_over(answers, event, true, waiting).await
    }

    async fn handed_over(
        answers: &[&str],
        event: Event,
        heard: bool,
        waiting: Urgency,
    ) -> (PostedOr, Vec<(String, Value)>) {
        let answers: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let (url, asked) = saying(answers).await;
        let sending = Sending::new(&answering(vec![secret(TOKEN), secret(TOKEN)]));
        let app = App { secret: "arn:s", channel: "C0", endpoint: Some(&url) };
        let deployment = deployment(Phase::Open);
        let (at, sequence) = (deployment.started_at, 3);
        let notice = Notice { deployment: deployment.id.clone(), sequence, at, event };
        let (rung, posted) = (Rung::default(), PostedMessage("C0/17.1".to_owned()));
        let handover = Handover {
            notice: &notice,
            deployment: &deployment,
            heard,
            rung: &rung,
            counted: Counted::Nothing,
            posted: Some(&posted),
            waiting,
        };
        let told = message(&notice, &deployment);
        let state = slack::state(&notice, &deployment, &told, None, None);
        let done = deliver(&sending, app, handover, &told, state).await;
        let asked = asked.await.unwrap().into_iter().map(|request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let method = head.split(' ').nth(1).unwrap().rsplit('/').next().unwrap();
            (method.to_owned(), serde_json::from_str(body).unwrap())
        });
        (done, asked.collect())
    }

    type PostedOr = Result<Option<PostedMessage>, NotTaken>;

    const TAKEN: &str = r#"{"ok":true,"channel":"C0","ts":"18.2"}"#;

    #[tokio::test]
    async fn the_message_is_edited_and_then_the_thread_says_what_is_new() {
        for (event, broadcast) in [
            (Event::Shifted { stage: StageIndex(0) }, Value::Null),
            (Event::RollbackHeld, json!(true)),
        ] {
            let (done, asked) = delivered(&[TAKEN, TAKEN], event).await;
            assert_eq!(done, Ok(None));
            let [(first, edit), (second, reply)] = &asked[..] else { panic!("{asked:?}") };
            assert_eq!((first.as_str(), second.as_str()), ("chat.update", "chat.postMessage"));
            assert_eq!((&edit["channel"], &edit["ts"]), (&json!("C0"), &json!("17.1")));
            assert_eq!((&reply["thread_ts"], &reply["ts"]), (&json!("17.1"), &Value::Null));
            assert_eq!(reply["reply_broadcast"], broadcast);
        }
    }

    #[tokio::test]
    async fn what_the_channel_does_not_hear_is_shown_and_nothing_is_said() {
        let gone = r#"{"ok":false,"error":"message_not_found"}"#;
        for answer in [TAKEN, gone] {
            let event = Event::Shifted { stage: StageIndex(0) };
            let waiting = Urgency::Information;
            let (done, asked) = handed_over(&[answer], event, false, waiting).await;
            assert_eq!(done, Ok(None));
            let [(method, edit)] = &asked[..] else { panic!("{asked:?}") };
            assert_eq!((method.as_str(), &edit["ts"]), ("chat.update", &json!("17.1")));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_edited_any_more_is_posted_anew_and_kept() {
        let gone = r#"{"ok":false,"error":"message_not_found"}"#;
        let (done, asked) = delivered(&[gone, TAKEN], Event::RollbackHeld).await;
        assert_eq!(done, Ok(Some(PostedMessage("C0/18.2".to_owned()))));
        assert_eq!(
            (asked[1].0.as_str(), &asked[1].1["thread_ts"]),
            ("chat.postMessage", &Value::Null)
        );
        // Nothing was said, so nothing is done with it.
        let later = r#"{"ok":false,"error":"internal_error"}"#;
        let (done, _) = delivered(&[later], Event::Shifted { stage: StageIndex(0) }).await;
        assert!(done.unwrap_err().error.may_pass());
        // But whoever must act is told, also where something else is to be told before.
        for event in [Event::RollbackHeld, Event::Shifted { stage: StageIndex(0) }] {
            for later in [later, r#"{"ok":false,"error":"ratelimited"}"#] {
                let event = event.clone();
                let (done, asked) = handed_over(&[later, TAKEN], event, true, Urgency::Page).await;
                assert_eq!((done, &asked[1].1["thread_ts"]), (Ok(None), &json!("17.1")));
            }
        }
        // And what Slack refuses is posted where it takes something.
        let archived = r#"{"ok":false,"error":"is_inactive"}"#;
        let (done, asked) = delivered(&[archived, TAKEN], Event::RollbackHeld).await;
        assert_eq!(done, Ok(Some(PostedMessage("C0/18.2".to_owned()))));
        assert_eq!(asked.len(), 2);
    }
}
