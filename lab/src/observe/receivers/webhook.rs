//! Somebody's own webhook, which verifies what it is sent as Standard Webhooks says, takes nothing that is
//! older than five minutes, and nothing twice.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use hyper::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::Sha256;

use super::shared::{Answer, Shared};
use crate::scenario::Receiver;

/// What signs.
pub(crate) const KEY: &str = "whsec_bGFiLXNlY3JldC1sYWItc2VjcmV0LWxhYi1zZWNyZXQ=";
/// In seconds, either way.
const TOLERANCE: u64 = 300;

pub(super) fn take(shared: &Shared, headers: &HeaderMap, text: String) -> Answer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (id, at, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let (Some(id), Some(at), Some(signatures)) = (id, at, signatures) else {
        return Answer::with(StatusCode::UNAUTHORIZED, "not signed");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let recent = at.parse::<u64>().is_ok_and(|at| now.abs_diff(at) <= TOLERANCE);
    if !recent || !is_signed(&format!("{id}.{at}.{text}"), signatures) {
        return Answer::with(StatusCode::UNAUTHORIZED, "not signed by whom it should be");
    }
    if !shared.state().seen.insert(id.to_owned()) {
        return Answer::saying("seen before");
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let name = body["data"]["event"].as_str().map(str::to_owned);
    shared.arrived(Receiver::Webhook, name, text);
    Answer::with(StatusCode::NO_CONTENT, "")
}

/// Whether one of the signatures is that of the key.
fn is_signed(text: &str, signatures: &str) -> bool {
    let key = KEY.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
    let Some(mac) = key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key).ok()) else {
        return false;
    };
    signatures.split(' ').any(|signature| {
        let signature = signature.strip_prefix("v1,");
        let signature = signature.and_then(|signature| BASE64_STANDARD.decode(signature).ok());
        signature.is_some_and(|signature| {
            mac.clone().chain_update(text.as_bytes()).verify_slice(&signature).is_ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_not_signed() {
        let key = BASE64_STANDARD.decode(KEY.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(b"d/1.1.{}");
        let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        assert!(is_signed("d/1.1.{}", &format!("v1,AAAA {signature}")));
        assert!(!is_signed("d/1.2.{}", &signature) && !is_signed("d/1.1.{ }", &signature));
    }
}
