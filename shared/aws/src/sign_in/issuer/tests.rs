use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex as Shared};

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;
use crate::replay;

const NOW: Timestamp = Timestamp::from_millis(1_795_244_400_000);
const SECONDS: i64 = 1_795_244_400;
const PATH: &str = "/approve/shop-42/2/1795244400000/0a1b";
const REDIRECT: &str = "https://page.example/signed-in";

/// An issuer whose key the test holds; it answers what the test has put there, and keeps what it was asked.
struct Door {
    address: String,
    answers: Arc<Shared<BTreeMap<String, (u16, String)>>>,
    asked: Arc<Shared<Vec<String>>>,
    key: Shared<(Ed25519KeyPair, String)>,
}

fn key() -> Ed25519KeyPair {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()
}

impl Door {
    fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Shared::new(BTreeMap::<String, (u16, String)>::new()));
        let asked = Arc::new(Shared::new(Vec::new()));
        let (answering, keeping) = (answers.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut text, mut buffer) = (String::new(), [0; 4096]);
                let length = |text: &str| {
                    let (head, body) = text.split_once("\r\n\r\n")?;
                    let length = head
                        .to_lowercase()
                        .split("content-length: ")
                        .nth(1)?
                        .split("\r\n")
                        .next()?
                        .parse();
                    Some(body.len() >= length.unwrap_or(0_usize))
                };
                while !text.contains("\r\n\r\n") || length(&text) == Some(false) {
                    let read = stream.read(&mut buffer).unwrap();
                    if read == 0 {
                        break;
                    }
                    text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                }
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                keeping.lock().unwrap().push(text);
                let answer = answering.lock().unwrap().get(&path).cloned();
                let (status, body) = answer.unwrap_or((404, String::new()));
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        let door = Self { address, answers, asked, key: Shared::new((key(), "1".to_owned())) };
        door.describes(|_| ());
        door.shows_key();
        door
    }

    fn answers(&self, path: &str, status: u16, body: &Value) {
        self.answers.lock().unwrap().insert(path.to_owned(), (status, body.to_string()));
    }

    fn describes(&self, change: impl Fn(&mut Value)) {
        let at = |path: &str| format!("{}{path}", self.address);
        let mut description = json!({
            "issuer": self.address, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
        });
        change(&mut description);
        self.answers("/.well-known/openid-configuration", 200, &description);
    }

    fn shows_key(&self) {
        let key = self.key.lock().unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.0.public_key().as_ref());
        let shown = json!({ "kty": "OKP", "crv": "Ed25519", "kid": key.1, "x": x });
        self.answers("/jwks", 200, &json!({ "keys": [shown] }));
    }

    fn has_new_key(&self, kid: &str) {
        *self.key.lock().unwrap() = (key(), kid.to_owned());
    }

    fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let of_path = asked.iter().filter(|text| text.split(' ').nth(1) == Some(path));
        of_path.cloned().collect()
    }

    /// Answers the next codes with these claims.
    fn grants(&self, attempt: &Attempt, change: impl Fn(&mut Value)) {
        let mut claims = json!({
            "iss": self.address, "aud": "glidepath", "sub": "ada", "nonce": attempt.nonce, "iat": SECONDS,
            "exp": SECONDS + 300, "groups": ["release"],
        });
        change(&mut claims);
        let key = self.key.lock().unwrap();
        let header = json!({ "alg": "EdDSA", "kid": key.1 }).to_string();
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encoded(&header), encoded(&claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(key.0.sign(signed.as_bytes()));
        self.answers("/token", 200, &json!({ "id_token": format!("{signed}.{signature}") }));
    }

    fn issuer(&self, secrets: &[&str]) -> Issuer {
        let secrets = secrets.iter().map(|secret| replay::json(&json!({ "SecretString": secret })));
        let secrets: Vec<_> = secrets.collect();
        let secret = (!secrets.is_empty()).then(|| "arn:s".to_owned());
        let text = |text: &str| text.to_owned();
        let settings = SignInSettings {
            issuer: self.address.clone(),
            client: text("glidepath"),
            secret,
            name_claim: text("sub"),
            groups_claim: text("groups"),
        };
        Issuer::new(&replay::answering(secrets), settings)
    }
}

fn seals(usage: &str) -> Seals {
    Seals::of(&hmac::Key::new(hmac::HMAC_SHA256, b"key"), usage).unwrap()
}

async fn begun(issuer: &Issuer) -> Begun {
    issuer.begin(&seals("attempt"), PATH, REDIRECT.to_owned(), NOW).await.unwrap()
}

fn returned(state: &str) -> Returned {
    Returned { state: Some(state.to_owned()), code: Some("c0de".to_owned()), ..Returned::default() }
}

async fn back(issuer: &Issuer, begun: &Begun) -> Attempt {
    issuer.attempt(&seals("attempt"), Some(&begun.kept), &returned(&begun.state)).unwrap()
}

async fn finish(
    issuer: &Issuer,
    attempt: &Attempt,
    now: Timestamp,
) -> Result<SignedIn, SignInError> {
    issuer.finish(attempt, &returned("x"), now).await
}

fn fields(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_code_is_asked_for_and_exchanged_as_the_texts_say() {
    let door = Door::open();
    let issuer = door.issuer(&[]);
    let begun = begun(&issuer).await;
    let (place, query) = begun.location.split_once('?').unwrap();
    assert_eq!(place, format!("{}/authorize", door.address));
    let asked = fields(query);
    for (name, value) in [
        ("response_type", "code"),
        ("response_mode", "query"),
        ("client_id", "glidepath"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid"),
        ("state", &begun.state),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value);
    }
    let attempt = back(&issuer, &begun).await;
    assert_eq!((attempt.path.as_str(), &attempt.nonce), (PATH, &asked["nonce"]));
    // What is secret is not in the address.
    assert!(!begun.location.contains(&attempt.verifier) && !begun.location.contains("approve"));
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
    assert_eq!(asked["code_challenge"], challenge);
    door.grants(&attempt, |_| ());
    let told = finish(&issuer, &attempt, NOW).await.unwrap();
    assert_eq!((told.name.as_str(), told.groups), ("ada", Some(vec!["release".to_owned()])));
    let posted = door.asked("/token").remove(0);
    let (head, body) = posted.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("authorization:"), "{head}");
    let sent = fields(body);
    assert_eq!((sent["code"].as_str(), &sent["code_verifier"]), ("c0de", &attempt.verifier));
    assert_eq!(
        (sent["redirect_uri"].as_str(), sent["client_id"].as_str()),
        (REDIRECT, "glidepath")
    );
}

#[tokio::test]
async fn a_secret_is_shown_as_the_issuer_takes_it_and_read_anew_once_it_was_changed() {
    let door = Door::open();
    let issuer = door.issuer(&["s e&cret", "new"]);
    let attempt = back(&issuer, &begun(&issuer).await).await;
    door.grants(&attempt, |_| ());
    finish(&issuer, &attempt, NOW).await.unwrap();
    let basic = STANDARD.encode("glidepath:s%20e%26cret");
    assert!(door.asked("/token")[0].contains(&format!("Basic {basic}")));
    door.answers("/token", 401, &json!({ "error": "invalid_client" }));
    let told = finish(&issuer, &attempt, NOW).await.unwrap_err();
    assert!(
        matches!(&told, SignInError::NotExchanged(error) if error == "invalid_client"),
        "{told}"
    );
    let basic = STANDARD.encode("glidepath:new");
    assert!(door.asked("/token")[2].contains(&format!("Basic {basic}")));

    let door = Door::open();
    door.describes(|written| {
        written["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"])
    });
    let issuer = door.issuer(&["secret"]);
    let attempt = back(&issuer, &begun(&issuer).await).await;
    door.grants(&attempt, |_| ());
    finish(&issuer, &attempt, NOW).await.unwrap();
    assert!(door.asked("/token")[0].contains("client_id=glidepath&client_secret=secret"));
}

#[tokio::test]
async fn only_the_browser_that_has_begun_comes_back() {
    let door = Door::open();
    let issuer = door.issuer(&[]);
    let (one, two) = (begun(&issuer).await, begun(&issuer).await);
    assert!(one.state != two.state && one.kept != two.kept);
    let attempt =
        |usage, kept, state: &str| issuer.attempt(&seals(usage), kept, &returned(state)).map(drop);
    assert_eq!(attempt("attempt", Some(one.kept.as_str()), &one.state), Ok(()));
    let refused = Err(NotSignedIn::NotBegun);
    // Without what the other browser keeps, with another tab's, with what was sealed for something else.
    assert_eq!(attempt("attempt", None, &one.state), refused);
    assert_eq!(attempt("attempt", Some(two.kept.as_str()), &one.state), refused);
    assert_eq!(attempt("attempt", Some("x"), &one.state), refused);
    assert_eq!(attempt("session", Some(one.kept.as_str()), &one.state), refused);
    // Of a stack whose issuer was another then.
    let other = Door::open().issuer(&[]);
    assert!(other.attempt(&seals("attempt"), Some(&one.kept), &returned(&one.state)).is_err());
    let late = back(&issuer, &one).await;
    let told = finish(&issuer, &late, NOW + Attempt::lasts()).await.unwrap_err();
    assert!(matches!(told, SignInError::NotSignedIn(NotSignedIn::TooLate)), "{told}");
    assert!(door.asked("/token").is_empty());
}

#[tokio::test]
async fn a_token_that_says_something_else_signs_nobody_in() {
    let door = Door::open();
    let issuer = door.issuer(&[]);
    let attempt = back(&issuer, &begun(&issuer).await).await;
    for (claim, value) in [
        ("aud", json!("another")),
        ("aud", json!(["glidepath", "another"])),
        ("azp", json!("another")),
        ("exp", json!(SECONDS - 60)),
        ("iat", json!(SECONDS + 61)),
        ("iss", json!("https://evil.example")),
        ("nonce", json!("of another attempt")),
        ("sub", json!("")),
    ] {
        door.grants(&attempt, |claims| claims[claim] = value.clone());
        let told = finish(&issuer, &attempt, NOW).await.unwrap_err();
        assert!(matches!(told, SignInError::Token(_)), "{claim}: {told}");
    }
    // A code that was used before, or that never was one.
    door.answers(
        "/token",
        400,
        &json!({ "error": "invalid_grant", "error_description": "<c0de>" }),
    );
    let told = finish(&issuer, &attempt, NOW).await.unwrap_err();
    assert!(
        matches!(&told, SignInError::NotExchanged(error) if error == "invalid_grant"),
        "{told}"
    );
    door.answers("/token", 400, &json!({ "error": "no code: <c0de>" }));
    let told = finish(&issuer, &attempt, NOW).await.unwrap_err();
    assert!(!told.to_string().contains("c0de"), "{told}");
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_and_not_more_often_than_once_a_minute() {
    let door = Door::open();
    let issuer = door.issuer(&[]);
    let attempt = back(&issuer, &begun(&issuer).await).await;
    door.grants(&attempt, |_| ());
    finish(&issuer, &attempt, NOW).await.unwrap();
    finish(&issuer, &attempt, NOW).await.unwrap();
    assert_eq!(door.asked("/jwks").len(), 1);
    door.has_new_key("2");
    door.shows_key();
    door.grants(&attempt, |_| ());
    let unknown = |told| matches!(told, Err(SignInError::NotSigned(NotSigned::UnknownKey)));
    assert!(unknown(finish(&issuer, &attempt, NOW + Span::from_secs(59)).await));
    assert_eq!(door.asked("/jwks").len(), 1);
    finish(&issuer, &attempt, NOW + Span::from_secs(60)).await.unwrap();
    assert_eq!(door.asked("/jwks").len(), 2);
    // One that is shown nowhere, however often it comes.
    door.has_new_key("3");
    door.grants(&attempt, |_| ());
    for _ in 0..3 {
        assert!(unknown(finish(&issuer, &attempt, NOW + Span::from_secs(120)).await));
    }
    assert_eq!(door.asked("/jwks").len(), 3);
    // Of the same name, and another.
    door.has_new_key("2");
    door.grants(&attempt, |_| ());
    let told = finish(&issuer, &attempt, NOW + Span::from_secs(120)).await;
    assert!(matches!(told, Err(SignInError::NotSigned(NotSigned::Signature))), "{told:?}");
}

#[tokio::test]
async fn an_issuer_that_is_not_there_or_is_another_signs_nobody_in() {
    let door = Door::open();
    door.describes(|written| written["issuer"] = json!("https://evil.example"));
    let issuer = door.issuer(&[]);
    let begins = async |issuer: &Issuer| {
        issuer.begin(&seals("attempt"), PATH, REDIRECT.to_owned(), NOW).await.map(drop).unwrap_err()
    };
    assert!(matches!(begins(&issuer).await, SignInError::Provider(UnfitProvider::OtherIssuer(_))));
    door.answers("/.well-known/openid-configuration", 503, &json!({}));
    assert!(matches!(begins(&issuer).await, SignInError::NoAnswer { what: DESCRIPTION, .. }));
    // It is not asked again at once.
    door.answers("/.well-known/openid-configuration", 200, &json!({}));
    assert!(matches!(begins(&issuer).await, SignInError::NoAnswer { what: DESCRIPTION, .. }));
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let gone = Door { address: format!("http://{nobody}"), ..Door::open() };
    assert!(matches!(begins(&gone.issuer(&[])).await, SignInError::NoAnswer { .. }));
    // Once it is there, what it says is kept for an hour.
    let issuer = door.issuer(&[]);
    door.describes(|_| ());
    let first = begun(&issuer).await;
    door.describes(|written| written["authorization_endpoint"] = json!("https://new.example/"));
    assert_eq!(begun(&issuer).await.location.split('?').next(), first.location.split('?').next());
    let later =
        issuer.begin(&seals("attempt"), PATH, REDIRECT.to_owned(), NOW + KEPT).await.unwrap();
    assert!(later.location.starts_with("https://new.example/?"), "{}", later.location);
}
