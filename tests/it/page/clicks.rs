//! Buttons in Slack: whom Slack names answers where a list of approvers names them, and nobody else does anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glidepath_lab::{Fetched, Hearing, Person, fetch};
use serde_json::{Value, json};

use super::{FORM, asks, played};
use crate::block_on;
use crate::people::Stage;

/// Somebody's click, as Slack posts it.
pub(super) struct Clicked<'a> {
    pub(super) user: &'a str,
    pub(super) action: &'a str,
    pub(super) path: &'a str,
    /// How many seconds ago it was signed.
    pub(super) ago: u64,
    /// What becomes of the signature.
    pub(super) forged: bool,
}

pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(super) async fn click(stage: &Stage, clicked: Clicked<'_>) -> Fetched {
    let Clicked { user, action, path, ago, forged } = clicked;
    let payload = json!({
        "type": "block_actions",
        "user": { "id": user, "username": "somebody", "team_id": "T0LAB" },
        "team": { "id": "T0LAB", "domain": "lab" },
        "actions": [{ "action_id": action, "block_id": "b", "type": "button", "value": path }],
        "response_url": stage.lab.slack_answers(),
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let escaped = payload
        .to_string()
        .bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect::<String>();
    let body = format!("payload={escaped}");
    let at = seconds() - ago;
    let signature = stage.lab.signed_by_slack(at, &body).unwrap();
    let signature = if forged { signature.replace(['a', 'b', 'c'], "0") } else { signature };
    let timestamp = at.to_string();
    let headers = [
        FORM,
        ("x-slack-request-timestamp", timestamp.as_str()),
        ("x-slack-signature", signature.as_str()),
    ];
    let url = &stage.lab.glidepath().outputs()["SlackInteractivityUrl"];
    fetch("POST", url, &headers, body).await.unwrap()
}

/// What whoever has clicked is told.
pub(super) async fn told(hearing: &mut Hearing) -> String {
    let body = hearing.with(&["ephemeral"]).await.unwrap();
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["response_type"], "ephemeral");
    told["text"].as_str().unwrap().to_owned()
}

/// The button of an action in the only message of the app, once the message is like this.
async fn shown(stage: &Stage, is: impl Fn(&str) -> bool) -> Value {
    let mut last = String::new();
    for _ in 0..120 {
        if let [message] = stage.lab.slack_messages().as_slice() {
            last = message.to_string();
            if is(&last) {
                return message.clone();
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{last}");
}

/// The actions of a message's buttons, and what all of them carry: the question.
fn buttons(message: &Value) -> (Vec<String>, String) {
    let blocks = message["blocks"].as_array().unwrap().iter();
    let actions = blocks.filter(|block| block["type"] == "actions").collect::<Vec<_>>();
    let [actions] = actions.as_slice() else { panic!("{message}") };
    let elements = actions["elements"].as_array().unwrap();
    let of = |element: &Value, field: &str| element[field].as_str().unwrap().to_owned();
    let carried = of(&elements[0], "value");
    assert!(elements.iter().all(|element| of(element, "value") == carried), "{message}");
    (elements.iter().map(|element| of(element, "action_id")).collect(), carried)
}

#[test]
fn the_buttons_stay_until_as_many_have_clicked_as_must_and_one_of_them_until_the_weight_may_move() {
    block_on(async {
        let approvers = ["slack:T0LAB/U0ADA", "slack:T0LAB/U0BOB"];
        let approval =
            json!({ "timeout": "2h", "notBefore": "1h", "count": 2, "approvers": approvers });
        let stage = Stage::asking(approval).await;
        let mut request: Value =
            serde_json::from_str(&std::fs::read_to_string(&stage.request).unwrap()).unwrap();
        request["notify"] = json!(["slack", "app"]);
        std::fs::write(&stage.request, request.to_string()).unwrap();
        played(&stage, async {
            let root = Person::root();
            asks(&stage, "l-1").await;
            let click = async |user, action, path: &str| {
                let clicked = Clicked { user, action, path, ago: 0, forged: false };
                assert_eq!(click(&stage, clicked).await.status, 200);
            };
            let has_buttons = |text: &str| text.contains("\"actions\"");
            let (actions, asked) = buttons(&shown(&stage, has_buttons).await);
            assert_eq!(actions, ["approve", "reject"]);
            let mut hearing = stage.lab.hearing();
            // A second click is told the same as the first.
            for _ in 0..2 {
                click("U0ADA", "approve", &asked).await;
                let half = "You have approved stage 2. 1 person more must.";
                assert_eq!(told(&mut hearing).await, half);
            }
            let half = |text: &str| text.contains("U0ADA approved stage 2");
            let still = shown(&stage, half).await;
            assert_eq!(buttons(&still), (actions, asked.clone()));
            click("U0BOB", "approve", &asked).await;
            assert_eq!(told(&mut hearing).await, "You have approved stage 2.");
            // Now there is time for a second thought.
            let all = |text: &str| text.contains("U0BOB approved stage 2");
            let held = shown(&stage, all).await;
            assert_eq!(buttons(&held), (vec!["reject".to_owned()], asked.clone()));
            for _ in 0..2 {
                click("U0ADA", "reject", &asked).await;
                let all = "You have refused stage 2: all requests return to the version before.";
                assert_eq!(told(&mut hearing).await, all);
            }
            let back = |status: &Value| status["phase"] == "rolledBack";
            let ended = stage.until(&root, "l-1", back).await;
            assert_eq!(ended["traffic"][0]["canary"], 0.0, "{ended}");
            let refused = |text: &str| {
                text.contains("U0ADA refused stage 2") || text.contains("U0ADA rejected stage 2")
            };
            shown(&stage, |text| refused(text) && !has_buttons(text)).await;
        })
        .await;
    });
}

#[test]
fn whom_slack_names_answers_by_a_button_and_nobody_else_does() {
    block_on(async {
        let approvers = ["slack:T0LAB/S0LAB", "slack:T0LAB/U0BOB"];
        let stage = Stage::asking(json!({ "timeout": "1h", "approvers": approvers })).await;
        played(&stage, async {
            let url = asks(&stage, "l-1").await;
            let path = &url[url.find("/approve/").unwrap()..];
            let root = Person::root();
            let canary = async || {
                let shown = stage.runs(&root, &["status", "l-1", "--json"]).await;
                let shown: Value = serde_json::from_str(&shown).unwrap();
                shown["now"]["traffic"][0]["canary"].clone()
            };
            let own = |user, action| Clicked { user, action, path, ago: 0, forged: false };
            let mut hearing = stage.lab.hearing();

            // Nobody whom Slack has not named a moment ago.
            for (ago, forged) in [(0, true), (301, false), (86_400, false)] {
                let clicked = Clicked { ago, forged, ..own("U0BOB", "approve") };
                assert_eq!(click(&stage, clicked).await.status, 401, "{ago} {forged}");
            }
            // Nobody whom no list names, and nothing that the stack has not signed.
            assert_eq!(click(&stage, own("U0EVE", "approve")).await.status, 200);
            let refused = told(&mut hearing).await;
            assert!(refused.contains("slack:T0LAB/U0EVE may not approve stage 2"), "{refused}");
            let elsewhere = path.replacen("/l-1/2/", "/l-1/3/", 1);
            let clicked = Clicked { path: &elsewhere, ..own("U0BOB", "approve") };
            assert_eq!(click(&stage, clicked).await.status, 200);
            assert!(told(&mut hearing).await.contains("belongs to no question"));
            assert_eq!(canary().await, json!(10.0));

            // In the group that a list names.
            let approved = click(&stage, own("U0ADA", "approve")).await;
            assert_eq!((approved.status, approved.body.as_str()), (200, ""));
            assert_eq!(told(&mut hearing).await, "You have approved stage 2.");
            let half = |status: &Value| status["now"]["traffic"][0]["canary"] == 50.0;
            stage.until(&root, "l-1", half).await;
            let shown = stage.runs(&root, &["status", "l-1"]).await;
            assert!(shown.contains("slack:T0LAB/U0ADA"), "{shown}");
            // A second click, and the same once more.
            for action in ["approve", "reject"] {
                assert_eq!(click(&stage, own("U0BOB", action)).await.status, 200);
                let late = told(&mut hearing).await;
                assert!(late.starts_with("Nothing was recorded: "), "{late}");
            }
            assert_eq!(canary().await, json!(50.0));
            stage.runs(&root, &["rollback", "l-1", "--reason", "seen enough"]).await;
        })
        .await;
    });
}
