//! An integration of PagerDuty, by its Events API v2. Its key is the secret. An answer of 202 says that the
//! event was taken: what becomes of it comes later, and is told nobody.

use glidepath_core::message::pagerduty::{Call, calls, trial as trial_of};
use glidepath_core::message::{Message, Trial};
use glidepath_engine::ports::{Handover, NotTaken};

use super::sending::{Outgoing, Sending, is_url};

const OPERATION: &str = "pagerduty events";

/// Where events go, unless the account is in another region of PagerDuty's.
const ENDPOINT: &str = "https://events.pagerduty.com";

/// Characters of an integration's key.
const KEY: usize = 32;

pub(super) async fn deliver(
    sending: &Sending,
    (secret, endpoint): (&str, Option<&str>),
    handover: Handover<'_>,
    message: &Message,
) -> Result<(), NotTaken> {
    let Handover { notice, deployment, rung, .. } = handover;
    let calls = calls(notice, deployment, message, rung);
    if calls.is_empty() {
        return Ok(());
    }
    post(sending, secret, endpoint, &calls).await
}

pub(super) async fn try_out(
    sending: &Sending,
    (secret, endpoint): (&str, Option<&str>),
    trial: &Trial,
) -> Result<(), NotTaken> {
    post(sending, secret, endpoint, &[trial_of(trial)]).await
}

async fn post(
    sending: &Sending,
    secret: &str,
    endpoint: Option<&str>,
    calls: &[Call],
) -> Result<(), NotTaken> {
    let endpoint = endpoint.unwrap_or(ENDPOINT).trim_end_matches('/');
    let made = |key: &str| {
        if key.len() != KEY || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!("does not hold an integration key, {KEY} letters and digits"));
        }
        if !is_url(endpoint) {
            return Err("is not sent anywhere: the channel's `endpoint` is no URL".to_owned());
        }
        let posts = calls.iter().map(|call| {
            Outgoing::new(format!("{endpoint}{}", call.path()), &call.clone().body(key))
        });
        Ok(posts.collect())
    };
    sending.send(OPERATION, secret, made).await
}

#[cfg(test)]
mod tests {
    use super::super::sending::tests::{secret, server};
    use super::*;
    use crate::replay::answering;

    fn trial() -> Trial {
        Trial { id: "t".to_owned(), by: "arn:ada".to_owned() }
    }

    #[tokio::test]
    async fn the_key_is_in_the_body_and_nowhere_else() {
        let (url, asked) = server(vec!["202 Accepted".to_owned()]).await;
        let host = url.trim_end_matches("/T0/B0/x");
        let key = "0123456789abcdef0123456789abcdef";
        let sending = Sending::new(&answering(vec![secret(key)]));
        try_out(&sending, ("arn:s", Some(host)), &trial()).await.unwrap();
        let asked = asked.await.unwrap().remove(0);
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v2/change/enqueue "), "{head}");
        assert!(!head.contains(key) && body.contains(key), "{asked}");
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused_and_not_shown() {
        for text in ["R0123", "https://events.pagerduty.com/x?key=0123456789a"] {
            let sending = Sending::new(&answering(vec![secret(text)]));
            let refused = try_out(&sending, ("arn:s", None), &trial()).await.unwrap_err();
            let shown = refused.error.to_string();
            assert!(!refused.error.may_pass() && !shown.contains(text), "{shown}");
        }
    }
}
