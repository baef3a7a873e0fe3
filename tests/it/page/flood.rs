//! Whoever floods the page's open URL gets no further than the platform's limit, and neither a decision nor a rollback
//! has less room for it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use glidepath_lab::{Person, fetch};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{FORM, asks, played};
use crate::block_on;
use crate::people::Stage;

/// How often somebody asks who has no business there: 200 times a second.
const EVERY: Duration = Duration::from_millis(5);

/// What is answered to requests that are none, as often as it is.
#[derive(Default)]
struct Answers(Mutex<BTreeMap<u16, u32>>);

impl Answers {
    /// Asks for ever, whether the last has been answered or not.
    async fn flood(&self, url: &str) {
        let (forged, cut) = (format!("{url}0"), url[..url.len() - 1].to_owned());
        let elsewhere = url.replacen("/approve/", "/", 1);
        let long = "x".repeat(40_000);
        let kinds = [
            ("GET", forged.clone(), ""),
            ("POST", forged, "decision=approve"),
            ("POST", cut, "decision=reject"),
            ("PUT", url.to_owned(), "decision=reject"),
            ("POST", elsewhere, &long),
        ];
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut asked = tokio::task::JoinSet::new();
        for (method, url, body) in kinds.iter().cycle() {
            clock.tick().await;
            let (method, url, body) = (*method, url.clone(), (*body).to_owned());
            asked.spawn(async move { fetch(method, &url, &[FORM], body).await });
            while let Some(answered) = asked.try_join_next() {
                let status = answered.unwrap().unwrap().status;
                *self.0.lock().unwrap().entry(status).or_default() += 1;
            }
        }
    }

    fn count(&self) -> BTreeMap<u16, u32> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn a_flood_of_the_page_takes_nothing_of_a_decision_or_a_rollback() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h", "anyoneWithLink": true })).await;
        played(&stage, async {
            let url = asks(&stage, "l-1").await;
            let root = Person::root();
            let answers = Answers::default();
            let before = stage.lab.calls(0.0).unwrap().len();
            let deciding = async {
                stage.runs(&root, &["approve", "l-1", "--stage", "2"]).await;
                let half =
                    |status: &serde_json::Value| status["now"]["traffic"][0]["canary"] == 50.0;
                stage.until(&root, "l-1", half).await;
                stage.runs(&root, &["rollback", "l-1", "--reason", "seen enough"]).await;
                // It was a flood all the while.
                while answers.count().values().sum::<u32>() < 1_000 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! {
                () = deciding => {}
                () = answers.flood(&url) => {}
            }
            let counted = answers.count();
            let answered = |status| counted.get(&status).copied().unwrap_or_default();
            assert!(answered(429) > 0 && answered(404) > 0, "{counted:?}");
            for status in counted.keys() {
                assert!([404, 405, 413, 429].contains(status), "{counted:?}");
            }
            let calls = stage.lab.calls(0.0).unwrap().split_off(before);
            let of =
                |role: &'static str| calls.iter().filter(move |call| call.principal.contains(role));
            // Nothing is read before the signature has been looked at, and its key is read once by each sandbox.
            assert_eq!(of("PageRole").filter(|call| call.service == "dynamodb").count(), 0);
            let refused: Vec<_> = calls.iter().filter_map(|call| call.error.as_ref()).collect();
            assert!(!refused.iter().any(|error| error.contains("TooManyRequests")), "{refused:?}");
            let back = of("RollbackRole").filter(|call| call.action == "ModifyRule").count();
            assert!(back >= 1, "the rollback did not write the route itself");
        })
        .await;
    });
}
