//! What is no link, no answer and no click: each is refused with a sentence that names nobody and nothing, and writes
//! nothing.

use glidepath_core::link::QuestionLink;
use glidepath_lab::{ACCOUNT, Fetched, Person, fetch_as, signature};
use serde_json::{Value, json};

use super::{FORM, Stage, ask, written};

/// More than Lambda hands to any function.
const SIX_MEGABYTES: usize = 6 * 1024 * 1024 + 1024;

/// Whoever is refused learns nothing of what is deployed.
fn says_nothing(answer: &Fetched, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    for never in ["shop", ACCOUNT, "l-1", "arn:"] {
        assert!(!answer.body.contains(never), "{what}: {}", answer.body);
    }
}

/// Everything that could be sent in place of an answer to this question.
pub(super) async fn all(stage: &Stage, url: &str) {
    links(url).await;
    answers(url).await;
    clicks(stage).await;
    requests(stage).await;
}

async fn links(url: &str) {
    let (rest, signed) = url.rsplit_once('/').unwrap();
    let forged = signed.replace(|character: char| character.is_ascii_digit(), "0");
    let at = url.find("/approve/").unwrap();
    let host = &url[..at];
    let elsewhere = |from: &str, to: &str| url.replacen(from, to, 1);
    let (link, _) = QuestionLink::read(&url[at..]).unwrap();
    // As it would be from a stack of the same name with another key.
    let key = "k".repeat(64);
    let other = link.path(&signature(&key, &link.signed(glidepath_lab::STACK_NAME)).unwrap());
    for path in [
        format!("{host}{other}"),
        format!("{rest}/{forged}"),
        format!("{rest}/{}", &signed[1..]),
        format!("{rest}/"),
        format!("{url}/"),
        elsewhere("/l-1/2/", "/l-1/3/"),
        elsewhere("/l-1/", "/l-2/"),
        format!("{host}/"),
        format!("{host}/favicon.ico"),
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(method, &path, &[FORM], "decision=approve").await;
            says_nothing(&answer, 404, &format!("{method} {path}"));
        }
    }
}

async fn answers(url: &str) {
    let site = |site| [FORM, ("sec-fetch-site", site)];
    let json = [("content-type", "application/json")];
    let (long, longer) = ("x".repeat(40_000), "x".repeat(SIX_MEGABYTES));
    for (method, headers, body, status) in [
        ("PUT", &site("same-origin")[..], "decision=approve", 405),
        ("DELETE", &[], "", 405),
        ("POST", &json, "{\"decision\":\"approve\"}", 415),
        ("POST", &[], "decision=approve", 415),
        ("POST", &site("cross-site"), "decision=approve", 403),
        ("POST", &site("same-site"), "decision=approve", 403),
        ("POST", &site("same-origin"), &long, 413),
        ("POST", &site("same-origin"), &longer, 413),
    ] {
        let answer = ask(method, url, headers, body).await;
        says_nothing(&answer, status, &format!("{method} {body:.40}"));
    }
    // These are told beside the question itself, which whoever has the link may see.
    for (body, status) in
        [("decision=maybe", 400), ("", 400), ("decision=approve&reason=%1b%5b31m", 409)]
    {
        let answer = ask("POST", url, &site("same-origin"), body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body.contains("Nothing was recorded"), "{}", answer.body);
    }
}

/// Of nothing that Slack sends.
async fn clicks(stage: &Stage) {
    let slack = &stage.lab.glidepath().outputs()["SlackInteractivityUrl"];
    let json = [("content-type", "application/json")];
    let (long, longer) = ("x".repeat(300_000), "x".repeat(SIX_MEGABYTES));
    for (method, headers, body, status) in [
        ("GET", &[FORM][..], "", 405),
        ("PUT", &[FORM], "payload=%7B%7D", 405),
        ("POST", &json, "{}", 415),
        ("POST", &[], "payload=%7B%7D", 415),
        ("POST", &[FORM], &long, 413),
        ("POST", &[FORM], &longer, 413),
        ("POST", &[FORM], "payload=%7B%7D", 401),
    ] {
        let answer = ask(method, slack, headers, body).await;
        let what = format!("/slack: {method} {body:.40}");
        says_nothing(&answer, status, &what);
        assert!(!answer.body.is_empty(), "{what}");
    }
}

/// By whoever may do everything, at the URLs that ask whose a request is.
async fn requests(stage: &Stage) {
    let before = stage.lab.calls(0.0).unwrap().len();
    unfit(stage).await;
    approvals(stage).await;
    for role in ["DecideRole", "StartRole", "RollbackRole"] {
        assert_eq!(written(stage, role, before), [] as [&str; 0], "{role}");
    }
}

async fn unfit(stage: &Stage) {
    let root = Person::root();
    let json = ("content-type", "application/json");
    let longer = format!("\"{}\"", "x".repeat(SIX_MEGABYTES));
    for output in ["DecideUrl", "StartUrl", "RollbackUrl"] {
        let url = &stage.lab.glidepath().outputs()[output];
        for (method, headers, body, status) in [
            ("GET", &[][..], "", 405),
            ("PUT", &[json], "{}", 405),
            ("POST", &[FORM], "decision=approve", 415),
            ("POST", &[("content-type", "text/plain")], "{}", 415),
            ("POST", &[], "{}", 415),
            ("POST", &[json], "decision=approve", 400),
            ("POST", &[json], &longer, 413),
        ] {
            let answer = fetch_as(&root, "lambda", method, url, headers, body).await.unwrap();
            let what = format!("{output}: {method} {body:.40}");
            assert_eq!(answer.status, status, "{what}: {}", answer.body);
            assert!(!answer.body.is_empty(), "{what}");
        }
        let unsigned = ask("POST", url, &[json], "{}").await;
        says_nothing(&unsigned, 403, output);
    }
}

/// As they must be, of what there is not.
async fn approvals(stage: &Stage) {
    let (root, url) = (Person::root(), &stage.lab.glidepath().outputs()["DecideUrl"]);
    for (deployment, number, status, cause) in [
        ("nobody", 2, 404, "there is no deployment `nobody`"),
        ("l-1", 99, 400, "stage 99 does not wait for an approval, stage 2 does"),
    ] {
        let decision = json!({ "approve": { "stage": number } });
        let body = json!({ "deployment": deployment, "decision": decision }).to_string();
        let headers = [("content-type", "application/json")];
        let answer = fetch_as(&root, "lambda", "POST", url, &headers, &body).await.unwrap();
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(told["cause"], cause, "{body}: {told}");
    }
}
