//! A webhook of the user's own, signed as Standard Webhooks says. The secret is JSON with the URL and the
//! keys: `{"url": "https://...", "keys": ["whsec_..."]}`. With two keys each request has two signatures, so
//! that a key can be changed without losing one.

use aws_smithy_types::base64;
use glidepath_core::message::Trial;
use glidepath_core::message::webhook::{ID, KEY_PREFIX, Post, SIGNATURE, TIMESTAMP, seconds};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::NotTaken;
use ring::hmac;
use serde::Deserialize;

use super::sending::{Outgoing, Sending, is_url};

const OPERATION: &str = "webhook";

/// Bytes of a key, as Standard Webhooks has them, and most keys.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const MOST_KEYS: usize = 3;

pub(super) async fn deliver(
    sending: &Sending,
    secret: &str,
    post: &Post,
    now: Timestamp,
) -> Result<(), NotTaken> {
    let made = |text: &str| Ok(vec![signed(post, &Held::of(text)?, now)]);
    sending.send(OPERATION, secret, made).await
}

pub(super) async fn try_out(
    sending: &Sending,
    secret: &str,
    trial: &Trial,
    now: Timestamp,
) -> Result<(), NotTaken> {
    deliver(sending, secret, &Post::trial(trial, now), now).await
}

fn signed(post: &Post, held: &Held, now: Timestamp) -> Outgoing {
    let text = post.signed(now);
    let signatures = held.keys.iter().map(|key| {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        format!("v1,{}", base64::encode(signature))
    });
    let signatures: Vec<_> = signatures.collect();
    let headers = vec![
        (ID, post.id.clone()),
        (TIMESTAMP, seconds(now).to_string()),
        (SIGNATURE, signatures.join(" ")),
    ];
    Outgoing { url: held.url.clone(), headers, body: post.body.clone() }
}

/// What the secret holds.
struct Held {
    url: String,
    keys: Vec<Vec<u8>>,
}

impl Held {
    /// Or what it lacks, without repeating any of it.
    fn of(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            url: String,
            keys: Vec<String>,
        }
        let written: Written = serde_json::from_str(text).map_err(|_| {
            format!(r#"does not hold JSON such as {{"url": "https://...", "keys": ["{KEY_PREFIX}..."]}}"#)
        })?;
        if !is_url(&written.url) {
            return Err("has a `url` that is none".to_owned());
        }
        if written.keys.is_empty() || written.keys.len() > MOST_KEYS {
            return Err(format!("does not have 1 to {MOST_KEYS} `keys`"));
        }
        let keys = written.keys.iter().map(|key| {
            let key = key.strip_prefix(KEY_PREFIX).and_then(|key| base64::decode(key).ok());
            key.filter(|key| KEY_BYTES.contains(&key.len())).ok_or_else(|| {
                format!(
                    "has a key that is not {KEY_PREFIX} and base64 of {} to {} bytes",
                    KEY_BYTES.start(),
                    KEY_BYTES.end(),
                )
            })
        });
        Ok(Self { url: written.url, keys: keys.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of the reference implementations of Standard Webhooks, each of which has it as a test.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn held(keys: &[&str]) -> Held {
        Held::of(&json!({ "url": "https://a.example/b", "keys": keys }).to_string()).unwrap()
    }

    #[test]
    fn the_published_example_comes_out() {
        let post = Post {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            body: r#"{"test": 2432232314}"#.to_owned(),
        };
        let signed = signed(&post, &held(&[KEY]), Timestamp::from_millis(1_614_265_330_000));
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.headers[1], (TIMESTAMP, "1614265330".to_owned()));
        assert_eq!(signed.headers[2], (SIGNATURE, expected.to_owned()));
    }

    #[test]
    fn while_a_key_is_changed_both_have_signed() {
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let post = Post { id: "d/1".to_owned(), body: "{}".to_owned() };
        let signature = |keys: &[&str]| {
            let signed = signed(&post, &held(keys), Timestamp::from_millis(0));
            signed.headers[2].1.clone()
        };
        let both = signature(&[KEY, other]);
        assert_eq!(both, format!("{} {}", signature(&[KEY]), signature(&[other])));
    }

    #[test]
    fn a_secret_says_what_it_lacks_and_nothing_of_it() {
        let too_long = format!("{KEY_PREFIX}{}", base64::encode([7; 65]));
        let mistakes = [
            json!("https://a.example/hidden"),
            json!({ "url": "https://a.example/hidden" }),
            json!({ "url": "hidden", "keys": [KEY] }),
            json!({ "url": "https://a.example/hidden", "keys": [] }),
            json!({ "url": "https://a.example/hidden", "keys": ["whsec_aGlkZGVu"] }),
            json!({ "url": "https://a.example/hidden", "keys": ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }),
            json!({ "url": "https://a.example/hidden", "keys": [too_long] }),
        ];
        for mistake in mistakes {
            let lacks = Held::of(&mistake.to_string()).err().unwrap();
            assert!(!lacks.contains("hidden") && !lacks.contains("MfKQ"), "{lacks}");
        }
    }
}
