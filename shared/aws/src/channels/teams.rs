//! A workflow of Microsoft Teams that begins with a webhook request. Its URL is the secret: whoever has it
//! may post. An answer of 202 says that the workflow has begun, and nobody tells how it ends.

use glidepath_core::message::{Message, Trial, teams};
use glidepath_engine::ports::{Handover, NotTaken};
use serde_json::Value;

use super::sending::{Outgoing, Sending, is_url};

const OPERATION: &str = "teams workflow";

pub(super) async fn deliver(
    sending: &Sending,
    secret: &str,
    handover: Handover<'_>,
    message: &Message,
) -> Result<(), NotTaken> {
    post(sending, secret, &teams::body(handover.notice, message)).await
}

pub(super) async fn try_out(
    sending: &Sending,
    secret: &str,
    trial: &Trial,
) -> Result<(), NotTaken> {
    post(sending, secret, &teams::trial(trial)).await
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
