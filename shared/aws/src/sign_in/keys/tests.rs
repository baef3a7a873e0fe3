use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use super::*;

/// Keys, and a token of each algorithm, as another library (joserfc) has made them.
const FOREIGN: &str = include_str!("foreign.json");

fn foreign() -> Value {
    serde_json::from_str(FOREIGN).unwrap()
}

fn keys() -> Keys {
    Keys::read(FOREIGN.as_bytes()).unwrap()
}

fn encoded(part: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// A key that a test holds.
struct Held(EcdsaKeyPair);

impl Held {
    fn new() -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap())
    }

    fn public(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": x, "y": y })
    }

    fn token(&self, header: &Value) -> String {
        let signed = unsigned(header);
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature.as_ref()))
    }
}

fn unsigned(header: &Value) -> String {
    let claims = json!({ "sub": "ada" });
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()))
}

fn set(keys: &[Value]) -> Keys {
    Keys::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

#[test]
fn what_another_library_has_signed_is_believed_by_every_algorithm() {
    let foreign = foreign();
    let tokens = foreign["tokens"].as_object().unwrap();
    assert_eq!(tokens.len(), ALGORITHMS.len());
    for (name, _) in ALGORITHMS {
        let token = tokens[name].as_str().unwrap();
        assert_eq!(keys().claims(token), Ok(json!({ "sub": "ada" })), "{name}");
        // The same key, with what was signed or with the signature changed.
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let other = encoded(br#"{"sub":"eve"}"#);
        let told = keys().claims(&format!("{header}.{other}.{signature}"));
        assert_eq!(told, Err(NotSigned::Signature), "{name}");
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[7] ^= 1;
        let told = keys().claims(&format!("{signed}.{}", encoded(&bytes)));
        assert_eq!(told, Err(NotSigned::Signature), "{name}");
    }
}

#[test]
fn what_anybody_can_sign_is_believed_of_nobody() {
    let header = |alg: &str| json!({ "alg": alg, "kid": "p256" });
    for alg in ["none", "None", "", "HS256", "HS512", "ES512", "RS1", "es256"] {
        let token = format!("{}.", unsigned(&header(alg)));
        assert_eq!(keys().claims(&token), Err(NotSigned::Algorithm), "{alg}");
    }
    // By the public key, which is known to everybody.
    let foreign = foreign();
    let public = foreign["keys"][1].to_string();
    let signed = unsigned(&header("HS256"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
    let token = format!("{signed}.{}", encoded(hmac::sign(&key, signed.as_bytes()).as_ref()));
    assert_eq!(keys().claims(&token), Err(NotSigned::Algorithm));
    for token in ["", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "{}.{}.x"] {
        assert_eq!(keys().claims(token), Err(NotSigned::NoToken), "{token}");
    }
    // A signature by another algorithm of the same key.
    let token = foreign["tokens"]["RS256"].as_str().unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let header = encoded(json!({ "alg": "PS256", "kid": "rsa" }).to_string().as_bytes());
    assert_eq!(keys().claims(&format!("{header}.{rest}")), Err(NotSigned::Signature));
}

#[test]
fn a_key_is_the_one_that_is_named_or_the_only_one_that_fits() {
    let (one, two) = (Held::new(), Held::new());
    let named = |kid: &str| json!({ "alg": "ES256", "kid": kid });
    let plain = json!({ "alg": "ES256" });
    let both = set(&[one.public("1"), json!({ "kty": "new", "kid": "1" }), two.public("2")]);
    assert!(both.claims(&one.token(&named("1"))).is_ok());
    assert!(both.claims(&two.token(&named("2"))).is_ok());
    assert_eq!(both.claims(&one.token(&named("2"))), Err(NotSigned::Signature));
    assert_eq!(both.claims(&one.token(&named("3"))), Err(NotSigned::UnknownKey));
    // Which of two nobody says.
    assert_eq!(both.claims(&one.token(&plain)), Err(NotSigned::UnknownKey));
    assert!(set(&[one.public("1")]).claims(&one.token(&plain)).is_ok());
    assert_eq!(set(&[]).claims(&one.token(&plain)), Err(NotSigned::UnknownKey));
    // A key that is for something else.
    for (field, value) in [("use", "enc"), ("alg", "ES384"), ("kty", "RSA"), ("crv", "P-384")] {
        let mut key = one.public("1");
        key[field] = json!(value);
        let told = set(&[key]).claims(&one.token(&named("1")));
        assert_eq!(told, Err(NotSigned::UnknownKey), "{field}");
    }
    for field in ["x", "y"] {
        for broken in [json!(null), json!("%"), json!("AAAA")] {
            let mut key = one.public("1");
            key[field] = broken;
            assert_eq!(set(&[key]).claims(&one.token(&named("1"))), Err(NotSigned::Signature));
        }
    }
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    let held = Held::new();
    let keys = set(&[held.public("1")]);
    let token = held.token(&json!({ "alg": "ES256", "kid": "1", "crit": ["exp"], "exp": 1 }));
    assert_eq!(keys.claims(&token), Err(NotSigned::Critical));
    for odd in [
        json!({ "alg": ["ES256"] }),
        json!({ "kid": "1" }),
        json!({ "alg": "ES256", "kid": 1 }),
        json!([]),
    ] {
        assert_eq!(keys.claims(&held.token(&odd)), Err(NotSigned::NoToken), "{odd}");
    }
    assert_eq!(Keys::read(b"{}"), None);
    assert_eq!(Keys::read(b"<html>"), None);
}
