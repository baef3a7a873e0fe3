//! The page of a question: by the link in the message that somebody gets, over HTTP and in a browser.

mod browser;
mod clicks;
mod flood;
mod signing_in;
mod tools;

use std::path::Path;
use std::time::Duration;

use glidepath_lab::{Fetched, Hearing, Lab, Person, fetch};
use serde_json::json;

use crate::block_on;
use crate::people::Stage;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The link in the next message that asks about a deployment.
async fn link(hearing: &mut Hearing, lab: &Lab, deployment: &str) -> String {
    let page = &lab.glidepath().outputs()["PageUrl"];
    let path = format!("/approve/{deployment}/");
    let heard = hearing.with(&[page.trim_end_matches('/'), &path]).await;
    if heard.is_err() {
        lab.keep_logs(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("page/logs")).await.unwrap();
    }
    let body = heard.unwrap();
    let from = &body[body.find(&format!("{}{path}", page.trim_end_matches('/'))).unwrap()..];
    let plain =
        |character: &char| character.is_ascii_alphanumeric() || ":/._-".contains(*character);
    from.chars().take_while(plain).collect()
}

/// Whoever asks more often than ten times a second for each of the reserved concurrency is answered 429, and the
/// function never hears of it.
async fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Fetched {
    loop {
        let answer = fetch(method, url, headers, body.to_owned()).await.unwrap();
        if answer.status != 429 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn get(url: &str) -> Fetched {
    ask("GET", url, &[], "").await
}

async fn post(url: &str, form: &str) -> Fetched {
    ask("POST", url, &[FORM, ("sec-fetch-site", "same-origin")], form).await
}

/// Plays while traffic and the sweep go on.
async fn played(stage: &Stage, playing: impl Future<Output = ()>) {
    tokio::select! {
        () = playing => {}
        ended = stage.keep_alive() => ended.unwrap(),
    }
}

/// Starts one that asks, and waits for its question; the link to it.
async fn asks(stage: &Stage, name: &str) -> String {
    let mut hearing = stage.lab.hearing();
    stage.runs(&Person::root(), &["start", &stage.request, "--name", name]).await;
    link(&mut hearing, &stage.lab, name).await
}

#[test]
fn whoever_has_the_link_answers_once_and_nobody_else_ever() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h", "anyoneWithLink": true })).await;
        played(&stage, async {
            let url = asks(&stage, "l-1").await;
            let root = Person::root();
            let revision = async || {
                let shown = stage.runs(&root, &["status", "l-1", "--json"]).await;
                let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
                (shown["approval"].is_object(), shown["now"]["traffic"][0]["canary"].clone())
            };
            // As every preview of a link does, and nothing happens.
            for _ in 0..100 {
                let page = get(&url).await;
                assert_eq!(page.status, 200, "{}", page.body);
                assert!(page.body.contains("Approve 50 %"), "{}", page.body);
                assert_eq!(page.header("cache-control"), Some("no-store"));
            }
            assert_eq!(revision().await, (true, json!(10.0)));
            refuses(&url).await;
            assert_eq!(revision().await, (true, json!(10.0)));

            let taken = post(&url, "decision=approve&reason=the+graphs+look+good").await;
            assert_eq!((taken.status, taken.body.as_str()), (303, ""));
            assert!(url.ends_with(taken.header("location").unwrap()), "{taken:?}");
            // A second click, and whoever finds the link later.
            let again = post(&url, "decision=reject").await;
            assert_eq!(again.status, 409, "{}", again.body);
            assert!(again.body.contains("Nothing was recorded"), "{}", again.body);
            let page = get(&url).await.body;
            let told = "By whoever had the link at ";
            assert!(page.contains(told) && page.contains("the graphs look good"), "{page}");
            assert!(!page.contains("<form"), "{page}");
            let half = |status: &serde_json::Value| status["now"]["traffic"][0]["canary"] == 50.0;
            stage.until(&root, "l-1", half).await;
            let gone = get(&url).await;
            assert!(gone.status == 200 && gone.body.contains("It was approved"), "{}", gone.body);
            stage.runs(&root, &["rollback", "l-1", "--reason", "seen enough"]).await;
        })
        .await;
    });
}

/// What is no link, and what is no answer.
async fn refuses(url: &str) {
    let (rest, signature) = url.rsplit_once('/').unwrap();
    let forged = signature.replace(|character: char| character.is_ascii_digit(), "0");
    let host = url.split("/approve/").next().unwrap();
    let elsewhere = |from: &str, to: &str| url.replacen(from, to, 1);
    for path in [
        format!("{rest}/{forged}"),
        format!("{rest}/{}", &signature[1..]),
        format!("{rest}/"),
        format!("{url}/"),
        elsewhere("/l-1/2/", "/l-1/3/"),
        elsewhere("/l-1/", "/l-2/"),
        format!("{host}/"),
        format!("{host}/favicon.ico"),
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(method, &path, &[FORM], "decision=approve").await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
            assert!(!answer.body.contains("shop"), "{}", answer.body);
        }
    }
    let site = |site| [FORM, ("sec-fetch-site", site)];
    let json = [("content-type", "application/json")];
    let long = "x".repeat(40_000);
    for (method, headers, body, status) in [
        ("PUT", &site("same-origin")[..], "decision=approve", 405),
        ("DELETE", &[], "", 405),
        ("POST", &json, "{\"decision\":\"approve\"}", 415),
        ("POST", &[], "decision=approve", 415),
        ("POST", &site("cross-site"), "decision=approve", 403),
        ("POST", &site("same-site"), "decision=approve", 403),
        ("POST", &site("same-origin"), "decision=maybe", 400),
        ("POST", &site("same-origin"), "", 400),
        ("POST", &site("same-origin"), &long, 413),
        ("POST", &site("same-origin"), "decision=approve&reason=%1b%5b31m", 409),
    ] {
        let answer = ask(method, url, headers, body).await;
        assert_eq!(answer.status, status, "{method} {body:.40}: {}", answer.body);
    }
}

#[test]
fn a_link_says_what_ended_the_question_and_where_it_asks_for_somebody_how_to_answer() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h" })).await;
        played(&stage, async {
            let url = asks(&stage, "l-1").await;
            let page = get(&url).await;
            assert!(!page.body.contains("<form"), "{}", page.body);
            assert!(page.body.contains("glidepath approve l-1 --stack "), "{}", page.body);
            let posted = post(&url, "decision=approve").await;
            assert_eq!(posted.status, 409, "{}", posted.body);
            assert!(posted.body.contains("a link names nobody"), "{}", posted.body);
            let root = Person::root();
            stage.runs(&root, &["rollback", "l-1", "--reason", "a bad feeling"]).await;
            let page = get(&url).await;
            assert!(page.body.contains("a bad feeling"), "{}", page.body);
            assert_eq!(post(&url, "decision=approve").await.status, 409);
        })
        .await;
    });
}
