//! The page of a question: by the link in the message that somebody gets, over HTTP and in a browser.

mod browser;
mod clicks;
mod flood;
mod logged;
mod refusals;
mod signing_in;
mod tools;

use std::path::Path;
use std::time::Duration;

use glidepath_lab::{Call, Fetched, Hearing, Lab, Person, fetch};
use serde_json::{Value, json};

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

/// Starts it once more after what took it back has ended, with a question of its own.
async fn asks_again(stage: &Stage, name: &str, after: &str, approval: Value) -> String {
    let root = Person::root();
    stage.until(&root, after, |status| status["phase"] == "rolledBack").await;
    let retry = format!("release.retry={after}");
    let approval = format!("strategy.canary.stages.1.approval={approval}");
    let mut hearing = stage.lab.hearing();
    let start = ["start", &stage.request, "--name", name, "--set", &retry, "--set", &approval];
    stage.runs(&root, &start).await;
    link(&mut hearing, &stage.lab, name).await
}

/// A deployment as `status` has it.
async fn status(stage: &Stage, name: &str) -> Value {
    let shown = stage.runs(&Person::root(), &["status", name, "--json"]).await;
    serde_json::from_str(&shown).unwrap()
}

/// What people have decided of it, as its timeline has it.
fn decided(status: &Value) -> usize {
    let events = status["timeline"].as_array().unwrap().iter();
    events.filter(|event| event["event"] == "decided").count()
}

/// What a role has asked AWS for that is no reading, after so many calls of everybody's.
fn written(stage: &Stage, role: &str, after: usize) -> Vec<String> {
    let calls = stage.lab.calls(0.0).unwrap();
    let is_own = |call: &&Call| call.principal.contains(role);
    assert!(calls.iter().any(|call| is_own(&call)), "{role} has not even read");
    let own = calls.iter().skip(after).filter(is_own).map(|call| call.action.clone());
    // The last of them opens the connection for a first write.
    let reads = ["GetItem", "BatchGetItem", "GetSecretValue", "DescribeAccountLimits"];
    own.filter(|action| !reads.contains(&action.as_str())).collect()
}

#[test]
fn whoever_has_the_link_answers_once_and_nobody_else_ever() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h", "anyoneWithLink": true })).await;
        played(&stage, async {
            let url = asks(&stage, "l-1").await;
            let root = Person::root();
            // As every preview of a link does, and nothing happens.
            for _ in 0..100 {
                let page = get(&url).await;
                assert_eq!(page.status, 200, "{}", page.body);
                assert!(page.body.contains("Approve 50 %"), "{}", page.body);
                assert_eq!(page.header("cache-control"), Some("no-store"));
            }
            let head = ask("HEAD", &url, &[], "").await;
            assert_eq!((head.status, head.body.as_str()), (200, ""));
            refusals::all(&stage, &url).await;
            assert_eq!(written(&stage, "PageRole", 0), [] as [&str; 0]);
            let shown = status(&stage, "l-1").await;
            assert!(shown["approval"].is_object() && decided(&shown) == 0, "{shown}");

            // A double click sends it twice, and a browser that has heard nothing once more.
            let approve = "decision=approve&reason=the+graphs+look+good";
            let (one, other) = tokio::join!(post(&url, approve), post(&url, approve));
            for taken in [one, other, post(&url, approve).await] {
                assert_eq!((taken.status, taken.body.as_str()), (303, ""));
                assert!(url.ends_with(taken.header("location").unwrap()), "{taken:?}");
            }
            // Whoever finds the link later.
            let again = post(&url, "decision=reject").await;
            assert_eq!(again.status, 409, "{}", again.body);
            assert!(again.body.contains("Nothing was recorded"), "{}", again.body);
            let page = get(&url).await.body;
            let told = "By <bdi>whoever had the link</bdi> at ";
            assert!(page.contains(told) && page.contains("the graphs look good"), "{page}");
            assert!(!page.contains("<form"), "{page}");
            let half = |status: &Value| status["now"]["traffic"][0]["canary"] == 50.0;
            let moved = stage.until(&root, "l-1", half).await;
            assert_eq!(decided(&moved), 1, "{moved}");
            assert_eq!(post(&url, approve).await.status, 303);
            let gone = get(&url).await;
            assert!(gone.status == 200 && gone.body.contains("It was approved"), "{}", gone.body);
            stage.runs(&root, &["rollback", "l-1", "--reason", "seen enough"]).await;
            thinks_again(&stage).await;
            logged::is_found(&stage, &url, "l-2").await;
        })
        .await;
    });
}

/// Until the weight may move, whoever has approved may still refuse.
async fn thinks_again(stage: &Stage) {
    let approval = json!({ "timeout": "2h", "anyoneWithLink": true, "notBefore": "1h" });
    let url = asks_again(stage, "l-2", "l-1", approval).await;
    assert_eq!(post(&url, "decision=approve").await.status, 303);
    let page = get(&url).await.body;
    for told in ["It was approved", " at the earliest, in 59m.", "value=\"reject\""] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("value=\"approve\""), "{page}");
    let reject = "decision=reject&reason=on+second+thought";
    let (one, other) = tokio::join!(post(&url, reject), post(&url, reject));
    assert_eq!((one.status, other.status), (303, 303), "{}{}", one.body, other.body);
    let late = post(&url, "decision=approve").await;
    assert_eq!(late.status, 409, "{}", late.body);
    let back = |status: &Value| status["phase"] == "rolledBack";
    let ended = stage.until(&Person::root(), "l-2", back).await;
    assert_eq!((&ended["traffic"][0]["canary"], decided(&ended)), (&json!(0.0), 2), "{ended}");
    let page = get(&url).await.body;
    assert!(page.contains("It was refused") && page.contains("on second thought"), "{page}");
    assert!(!page.contains("<form"), "{page}");
    assert_eq!(post(&url, reject).await.status, 303);
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
            // An alarm asks nobody.
            stage.fires().await;
            is_over(&stage, &url, "-green-errors").await;

            let approval = json!({ "timeout": "8s", "anyoneWithLink": true });
            let url = asks_again(&stage, "l-2", "l-1", approval).await;
            is_over(&stage, &url, "nobody approved stage 2 until ").await;
        })
        .await;
    });
}

/// The page says why, and so is told whoever answers all the same, there or by a button.
async fn is_over(stage: &Stage, url: &str, why: &str) {
    let mut page = get(url).await.body;
    for _ in 0..120 {
        if page.contains("It is over") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        page = get(url).await.body;
    }
    assert!(page.contains("It is over") && page.contains(why), "{page}");
    assert!(!page.contains("<form") && !page.contains("<pre"), "{page}");
    let late = post(url, "decision=approve").await;
    assert_eq!(late.status, 409, "{}", late.body);
    assert!(late.body.contains("Nothing was recorded: </strong><bdi>it returned"), "{}", late.body);
    let mut hearing = stage.lab.hearing();
    let path = &url[url.find("/approve/").unwrap()..];
    let clicked = clicks::Clicked { user: "U0BOB", action: "approve", path, ago: 0, forged: false };
    assert_eq!(clicks::click(stage, clicked).await.status, 200);
    let told = clicks::told(&mut hearing).await;
    assert!(told.starts_with("Nothing was recorded: it returned to stable: "), "{told}");
    assert!(told.contains(why), "{told}");
}
