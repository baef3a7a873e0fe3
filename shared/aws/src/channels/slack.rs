//! An incoming webhook of Slack. Its URL is the secret.

use glidepath_core::message::{Message, Trial, slack};
use glidepath_core::record::Notice;
use glidepath_engine::ports::NotTaken;
use serde_json::Value;

use super::sending::{Outgoing, Sending, is_url};

const OPERATION: &str = "slack webhook";

pub(super) async fn deliver(
    sending: &Sending,
    secret: &str,
    notice: &Notice,
    message: &Message,
) -> Result<(), NotTaken> {
    post(sending, secret, &slack::body(notice, message)).await
}

pub(super) async fn try_out(
    sending: &Sending,
    secret: &str,
    trial: &Trial,
) -> Result<(), NotTaken> {
    post(sending, secret, &trial.slack()).await
}

async fn post(sending: &Sending, secret: &str, body: &Value) -> Result<(), NotTaken> {
    let made = |url: &str| {
        if !is_url(url) {
            return Err("does not hold a URL".to_owned());
        }
        Ok(vec![Outgoing::new(url, body)])
    };
    sending.send(OPERATION, secret, made).await
}
