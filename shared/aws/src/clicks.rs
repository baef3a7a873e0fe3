//! Clicks on buttons in Slack: whether Slack has signed one, which groups somebody is in, and how they are told what
//! became of it. The app's secret is read when it is needed, and appears in no error, log or `Debug`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures_util::future::join_all;
use glidepath_core::message::slack;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clicks, PortError, PortResult, SlackGroups};
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clients::Clients;
use crate::http::LazyClient;
use crate::links::bytes;
use crate::secrets;

/// How far the clocks may be apart, and how long a click can be sent again.
const WINDOW: Span = Span::from_secs(300);

/// How long it is believed who is in a group, and what the secret holds: one that has leaked is changed, and what is signed
/// with it must not go on counting where a process lives long.
const KEPT: Span = Span::from_secs(300);

/// How soon the secret is read again because of a signature that does not fit: it may have been changed, and anybody may
/// post what does not fit.
const NOT_AGAIN: Span = Span::from_secs(60);

/// Longest time of one call of Slack's: whoever has clicked waits three seconds.
const REQUEST: Duration = Duration::from_millis(800);

/// What Slack says of a token that is not taken any more.
const DEAD_TOKEN: [&str; 4] =
    ["invalid_auth", "token_revoked", "token_expired", "account_inactive"];

/// Where Slack takes calls, and from where it has clicks answered.
const ENDPOINT: &str = "https://slack.com/api";
const ANSWERS: [&str; 2] = ["https://hooks.slack.com/", "https://hooks.slack-gov.com/"];

/// The stack's app.
pub struct SlackClicks {
    secrets: Client,
    /// ARN of the secret.
    secret: String,
    http: LazyClient,
    held: Mutex<Option<(Held, Timestamp)>>,
    /// Members by group, and since when that is known.
    members: Mutex<HashMap<String, (BTreeSet<String>, Timestamp)>>,
}

/// What the secret holds.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    token: String,
    signing_secret: String,
    /// Where Slack takes calls, if not at `https://slack.com/api`.
    #[serde(default)]
    endpoint: Option<String>,
}

impl Held {
    fn has_signed(&self, timestamp: &str, body: &[u8], signature: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.signing_secret.as_bytes());
        let signed = [b"v0:", timestamp.as_bytes(), b":", body].concat();
        hmac::verify(&key, &signed, signature).is_ok()
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/')
    }

    /// Whether Slack is there. The URL is in what Slack has signed, and is looked at all the same: nobody shall have this
    /// function call anything else.
    fn is_slacks(&self, url: &str) -> bool {
        let own = self.endpoint.as_deref().and_then(|own| {
            let host = own.find("://").map(|at| at + 3)?;
            let end = own[host..].find('/').map_or(own.len(), |at| host + at);
            Some(format!("{}/", &own[..end]))
        });
        ANSWERS.iter().any(|answers| url.starts_with(answers))
            || own.is_some_and(|own| url.starts_with(&own))
    }
}

impl fmt::Debug for SlackClicks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SlackClicks").finish_non_exhaustive()
    }
}

impl SlackClicks {
    pub fn new(clients: &Clients, secret: String) -> Self {
        Self {
            secrets: Client::new(clients.reading()),
            secret,
            http: LazyClient::default(),
            held: Mutex::default(),
            members: Mutex::default(),
        }
    }

    async fn held(&self, now: Timestamp, anew: bool) -> PortResult<(Held, Timestamp)> {
        let mut kept = self.held.lock().await;
        let fresh = |(_, read_at): &&(Held, Timestamp)| !anew && now.since(*read_at) < KEPT;
        if let Some(kept) = kept.as_ref().filter(fresh) {
            return Ok(kept.clone());
        }
        let text = secrets::text(&self.secrets, &self.secret).await?;
        let held: Option<Held> = text.and_then(|text| serde_json::from_str(&text).ok());
        let held = held.filter(|held| !held.signing_secret.is_empty());
        let held = held.ok_or_else(|| PortError::Refused {
            operation: secrets::READ,
            detail: format!(
                "secret `{}` does not hold a JSON object with `token` and `signingSecret`",
                self.secret
            ),
        })?;
        Ok(kept.insert((held, now)).clone())
    }

    async fn is_member(&self, user: &str, group: &str, now: Timestamp) -> Result<bool, String> {
        if let Some((members, since)) = self.members.lock().await.get(group)
            && now.since(*since) < KEPT
        {
            return Ok(members.contains(user));
        }
        let (_, id) = group.rsplit_once('/').ok_or("it is no group")?;
        let (held, _) = self.held(now, false).await.map_err(|error| error.to_string())?;
        let url = format!("{}/usergroups.users.list?usergroup={id}", held.endpoint());
        let mut request = HttpRequest::get(url).map_err(|_| "the endpoint is no URL")?;
        let authorization = format!("Bearer {}", held.token);
        let headers = request.headers_mut();
        headers.try_insert("authorization", authorization).map_err(|_| "the token is none")?;
        let answer = self.http.send(request, REQUEST).await?;
        let answer: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("status {}, and not what Slack answers", answer.status))?;
        let Some(users) = answer["users"].as_array().filter(|_| answer["ok"] == true) else {
            let plain =
                |text: &&str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let why = answer["error"].as_str().filter(plain).unwrap_or("Slack does not say why");
            if DEAD_TOKEN.contains(&why) {
                // The app may have been installed again, with another token: whoever tries again shall not be told the same.
                *self.held.lock().await = None;
            }
            return Err(why.chars().take(60).collect());
        };
        let members: BTreeSet<_> =
            users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect();
        let member = members.contains(user);
        self.members.lock().await.insert(group.to_owned(), (members, now));
        Ok(member)
    }
}

impl Clicks for SlackClicks {
    async fn is_signed(
        &self,
        timestamp: &str,
        signature: &str,
        body: &[u8],
        now: Timestamp,
    ) -> PortResult<bool> {
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let at = timestamp.parse::<i64>().ok().filter(|_| digits);
        let at = at.and_then(|seconds| seconds.checked_mul(1_000)).map(Timestamp::from_millis);
        let recent = at.is_some_and(|at| now.since(at) <= WINDOW && at.since(now) <= WINDOW);
        let signature = signature.strip_prefix("v0=").and_then(bytes);
        let Some(signature) = signature.filter(|signature| recent && signature.len() == 32) else {
            return Ok(false);
        };
        let (held, read_at) = self.held(now, false).await?;
        if held.has_signed(timestamp, body, &signature) {
            return Ok(true);
        }
        // Perhaps the secret was changed.
        if now.since(read_at) < NOT_AGAIN {
            return Ok(false);
        }
        Ok(self.held(now, true).await?.0.has_signed(timestamp, body, &signature))
    }

    async fn groups(&self, user: &str, groups: &[String], now: Timestamp) -> SlackGroups {
        // At once: whoever has clicked waits.
        let asked = groups.iter().map(|group| self.is_member(user, group, now));
        let mut found = SlackGroups::default();
        for (group, member) in groups.iter().zip(join_all(asked).await) {
            match member {
                Ok(true) => found.of.push(group.clone()),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(group, error, "who is in the group is not known");
                    found.unknown.push(group.clone());
                }
            }
        }
        found
    }

    async fn tell(&self, response_url: &str, text: &str, now: Timestamp) -> Result<(), String> {
        let (held, _) = self.held(now, false).await.map_err(|error| error.to_string())?;
        if !held.is_slacks(response_url) {
            return Err("the answer would go to a host that is not Slack's".to_owned());
        }
        let unfit = |_| "the answer makes no request".to_owned();
        let mut request = HttpRequest::get(response_url).map_err(unfit)?;
        request.set_method("POST").map_err(unfit)?;
        request.headers_mut().insert("content-type", "application/json");
        *request.body_mut() = SdkBody::from(slack::answer(text).to_string());
        let answer = self.http.send(request, REQUEST).await?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(format!("status {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::replay;

    /// The example of Slack's own documentation, "Verifying requests from Slack".
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const AT: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                        response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
                        96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    /// As Slack signs with the secret of its example.
    fn sign(timestamp: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, format!("v0:{timestamp}:{BODY}").as_bytes());
        let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
        format!("v0={}", digits.collect::<String>())
    }

    fn held(signing: &str) -> replay::Answer {
        let secret = json!({ "token": "xoxb-hidden", "signingSecret": signing }).to_string();
        replay::json(&json!({ "SecretString": secret }))
    }

    fn clicks(answers: Vec<replay::Answer>) -> SlackClicks {
        SlackClicks::new(&replay::answering(answers), "arn:s".to_owned())
    }

    #[tokio::test]
    async fn slacks_own_example_is_signed_for_five_minutes_either_way() {
        let now = 1_531_420_618;
        let clicks = clicks(vec![held(SECRET), held(SECRET)]);
        for (seconds, expected) in [
            (now, true),
            (now + 300, true),
            (now - 300, true),
            (now + 301, false),
            (now - 301, false),
            (0, false),
        ] {
            let signed = clicks.is_signed(AT, SIGNATURE, BODY.as_bytes(), at(seconds)).await;
            assert_eq!(signed, Ok(expected), "{seconds}");
        }
    }

    #[tokio::test]
    async fn what_is_of_no_use_is_refused_before_the_secret_is_read() {
        let clicks = clicks(Vec::new());
        let upper = SIGNATURE.to_uppercase().replace("V0", "v0");
        for (timestamp, signature) in [
            ("", SIGNATURE),
            ("now", SIGNATURE),
            (" 1531420618", SIGNATURE),
            ("+1531420618", SIGNATURE),
            ("99999999999999999999", SIGNATURE),
            (AT, ""),
            (AT, "v0="),
            (AT, "v0=a2"),
            (AT, "v0=ä"),
            (AT, &SIGNATURE[3..]),
            (AT, &upper),
        ] {
            let signed = clicks.is_signed(timestamp, signature, BODY.as_bytes(), at(1_531_420_618));
            assert_eq!(signed.await, Ok(false), "{timestamp} {signature}");
        }
    }

    #[tokio::test]
    async fn what_was_changed_is_not_signed_and_a_secret_that_was_is_read_again() {
        let now = 1_531_420_618;
        let changed = BODY.replace("roadrunner", "coyote");
        let clicks = clicks(vec![held("before"), held(SECRET)]);
        let signed = |body: String, seconds| {
            let clicks = &clicks;
            async move { clicks.is_signed(AT, SIGNATURE, body.as_bytes(), at(seconds)).await }
        };
        assert_eq!(signed(BODY.to_owned(), now).await, Ok(false));
        assert_eq!(signed(BODY.to_owned(), now + 59).await, Ok(false), "not again so soon");
        assert_eq!(signed(changed.clone(), now + 60).await, Ok(false));
        assert_eq!(signed(BODY.to_owned(), now + 60).await, Ok(true));
        assert_eq!(signed(changed, now + 61).await, Ok(false));
    }

    #[tokio::test]
    async fn what_was_signed_with_a_secret_that_was_changed_counts_for_some_minutes_only() {
        let now = 1_531_420_618;
        let clicks = clicks(vec![held(SECRET), held("after"), held("after")]);
        for (seconds, expected) in [(0, true), (299, true), (300, false)] {
            let at = at(now + seconds);
            let timestamp = (now + seconds).to_string();
            let signature = sign(&timestamp);
            let signed = clicks.is_signed(&timestamp, &signature, BODY.as_bytes(), at).await;
            assert_eq!(signed, Ok(expected), "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_token_that_slack_takes_no_more_is_read_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/api", listener.local_addr().unwrap());
        let serving = async {
            for token in ["xoxb-before", "xoxb-after"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.contains(token), "{head}");
                let body = match token {
                    "xoxb-before" => r#"{"ok":false,"error":"invalid_auth"}"#,
                    _ => r#"{"ok":true,"users":["U0ADA"]}"#,
                };
                let length = body.len();
                let told = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(told.as_bytes()).await.unwrap();
            }
        };
        let secret = |token: &str| {
            let held = json!({ "token": token, "signingSecret": "s", "endpoint": endpoint });
            replay::json(&json!({ "SecretString": held.to_string() }))
        };
        let clicks = clicks(vec![secret("xoxb-before"), secret("xoxb-after")]);
        let group = ["slack:T0/S1".to_owned()];
        let asking = async {
            let now = at(1_531_420_618);
            let [first, second] = [
                clicks.groups("U0ADA", &group, now).await,
                clicks.groups("U0ADA", &group, now).await,
            ];
            assert_eq!((first.of.len(), first.unknown.len()), (0, 1));
            assert_eq!(second.of, group);
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn a_secret_without_what_signs_is_named_and_not_shown() {
        for text in
            ["xoxb-hidden", r#"{"token":"xoxb-hidden"}"#, r#"{"token":"x","signingSecret":""}"#]
        {
            let clicks = clicks(vec![replay::json(&json!({ "SecretString": text }))]);
            let error = clicks.is_signed(AT, SIGNATURE, b"", at(1_531_420_618)).await.unwrap_err();
            let shown = format!("{error} {clicks:?}");
            assert!(shown.contains("arn:s") && !shown.contains("hidden"), "{shown}");
        }
    }

    #[tokio::test]
    async fn groups_are_asked_for_at_once_and_one_that_is_not_known_hides_no_other() {
        let answers = [
            r#"{"ok":true,"users":["U0BOB","U0ADA"]}"#,
            r#"{"ok":true,"users":["U0BOB"]}"#,
            r#"{"ok":false,"error":"no_such_subteam"}"#,
        ];
        let answer = |path: &str| {
            answers.iter().zip(1..).find(|(_, id)| path.ends_with(&format!("=S{id} HTTP/1.1")))
        };
        // Nobody is answered before everybody has asked.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/api", listener.local_addr().unwrap());
        let serving = async {
            let mut asked = Vec::new();
            for _ in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.contains("Bearer xoxb-hidden"), "{head}");
                asked.push((stream, head.lines().next().unwrap().to_owned()));
            }
            for (mut stream, first) in asked {
                let (body, _) = answer(&first).unwrap();
                let length = body.len();
                let told = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(told.as_bytes()).await.unwrap();
            }
        };
        let secret = json!({ "token": "xoxb-hidden", "signingSecret": "s", "endpoint": endpoint });
        let secret = replay::json(&json!({ "SecretString": secret.to_string() }));
        let clicks = clicks(vec![secret]);
        let [first, second, third] = ["S1", "S2", "S3"].map(|id| format!("slack:T0/{id}"));
        let groups = [first.clone(), second.clone(), third.clone()];
        let now = at(1_531_420_618);
        let (found, ()) = tokio::join!(clicks.groups("U0ADA", &groups, now), serving);
        assert_eq!(found, SlackGroups { of: vec![first.clone()], unknown: vec![third] });
        // It is remembered, also of whom it was not asked for; nobody listens any more.
        let known = clicks.groups("U0BOB", &[first.clone(), second.clone()], now).await;
        assert_eq!(known, SlackGroups { of: vec![first, second], unknown: vec![] });
    }

    #[test]
    fn only_slack_is_answered() {
        let held = |endpoint: Option<&str>| Held {
            token: String::new(),
            signing_secret: String::new(),
            endpoint: endpoint.map(str::to_owned),
        };
        let (usual, own) = (held(None), held(Some("http://127.0.0.1:4000/slack/api")));
        assert!(usual.is_slacks("https://hooks.slack.com/actions/T0/1/x"));
        assert!(own.is_slacks("http://127.0.0.1:4000/answers/1"));
        for url in [
            "http://hooks.slack.com/actions/x",
            "https://hooks.slack.com.evil.example/",
            "https://hooks.slack.com@evil.example/",
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:4000/answers/1",
            "http://127.0.0.1:40000/",
        ] {
            assert!(!usual.is_slacks(url), "{url}");
        }
        assert!(!own.is_slacks("http://127.0.0.1:40001/"));
    }
}
