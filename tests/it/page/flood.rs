//! Whoever floods the page's open URL gets no further than the platform's limit, and neither a decision nor a rollback
//! has less room for it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use glidepath_lab::{Call, Person, fetch};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::clicks::seconds;
use super::{FORM, asks, played};
use crate::block_on;
use crate::people::Stage;

/// How often somebody asks who has no business there: 200 times a second.
const EVERY: Duration = Duration::from_millis(5);

/// Fewer requests a second are no flood: the test would prove nothing.
const FLOOD: f64 = 150.0;

/// How many sandboxes the page has at most: the default of the stack's parameter.
const SANDBOXES: usize = 5;

/// What is asked, and what is answered how often.
#[derive(Default)]
struct Flood {
    is_over: AtomicBool,
    sent: AtomicU32,
    answers: Mutex<BTreeMap<u16, u32>>,
}

impl Flood {
    /// Asks until it is over, whether the last has been answered or not; then waits for the answers.
    async fn goes_on(&self, url: &str) {
        let (forged, cut) = (format!("{url}0"), url[..url.len() - 1].to_owned());
        let elsewhere = url.replacen("/approve/", "/", 1);
        let sign_in = forged.replacen("/approve/", "/sign-in/approve/", 1);
        let slack = format!("{}/slack", url.split("/approve/").next().unwrap_or_default());
        let long = "x".repeat(40_000);
        let kinds = [
            ("GET", forged.clone(), ""),
            ("POST", forged, "decision=approve"),
            ("POST", cut, "decision=reject"),
            ("PUT", url.to_owned(), "decision=reject"),
            ("POST", elsewhere, &long),
            ("POST", slack, "payload=%7B%7D"),
            ("GET", sign_in, ""),
            // Whoever has the link, and looks and looks.
            ("GET", url.to_owned(), ""),
        ];
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut asked = tokio::task::JoinSet::new();
        let goes_on = |_: &_| !self.is_over.load(Ordering::Relaxed);
        for (method, url, body) in kinds.iter().cycle().take_while(goes_on) {
            clock.tick().await;
            let (method, url, body) = (*method, url.clone(), (*body).to_owned());
            self.sent.fetch_add(1, Ordering::Relaxed);
            asked.spawn(async move {
                // As new as Slack's, or nothing of it would be looked at.
                let (at, signature) = (seconds().to_string(), format!("v0={}", "0".repeat(64)));
                let headers =
                    [FORM, ("x-slack-request-timestamp", &at), ("x-slack-signature", &signature)];
                fetch(method, &url, &headers, body).await
            });
            while let Some(answered) = asked.try_join_next() {
                self.counts(answered.unwrap().unwrap().status);
            }
        }
        while let Some(answered) = asked.join_next().await {
            self.counts(answered.unwrap().unwrap().status);
        }
    }

    fn counts(&self, status: u16) {
        *self.answers.lock().unwrap().entry(status).or_default() += 1;
    }

    fn count(&self) -> BTreeMap<u16, u32> {
        self.answers.lock().unwrap().clone()
    }
}

/// Reads of the secret with this in its name.
fn reads_of(calls: &[&Call], name: &str) -> usize {
    let reads = calls.iter().filter(|call| call.action == "GetSecretValue");
    reads.filter(|call| call.request.to_string().contains(name)).count()
}

/// The requests to a function's URL, as the journal has them.
fn requests_to(stage: &Stage, function: &str) -> Vec<Value> {
    let journal = std::fs::read_to_string(stage.lab.journal()).unwrap();
    let lines = journal.lines().filter(|line| line.contains(r#""kind": "url""#));
    // The last line may be half written.
    let requests = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_own = |name: &str| name.contains(function);
    requests.filter(|request| request["function"].as_str().is_some_and(is_own)).collect()
}

#[test]
fn a_flood_of_the_page_takes_nothing_of_a_decision_or_a_rollback() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h", "anyoneWithLink": true })).await;
        played(&stage, async {
            let url = asks(&stage, "l-1").await;
            let root = Person::root();
            let flood = Flood::default();
            let before = stage.lab.calls(0.0).unwrap().len();
            let (begun, from) = (Instant::now(), seconds());
            let deciding = async {
                stage.runs(&root, &["approve", "l-1", "--stage", "2"]).await;
                let half = |status: &Value| status["now"]["traffic"][0]["canary"] == 50.0;
                stage.until(&root, "l-1", half).await;
                stage.runs(&root, &["rollback", "l-1", "--reason", "seen enough"]).await;
                let until = seconds();
                // It was a flood all the while; where the machine had no time for it, what was left out is made up for.
                let rate = || {
                    f64::from(flood.sent.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64()
                };
                while flood.count().values().sum::<u32>() < 1_000 || rate() < FLOOD {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                flood.is_over.store(true, Ordering::Relaxed);
                until
            };
            let (until, ()) = tokio::join!(deciding, flood.goes_on(&url));
            let counted = flood.count();
            let answered = |status| counted.get(&status).copied().unwrap_or_default();
            assert!(answered(429) > 0 && answered(404) > 0, "{counted:?}");
            for status in counted.keys() {
                assert!([200, 401, 404, 405, 413, 429].contains(status), "{counted:?}");
            }
            let calls = stage.lab.calls(0.0).unwrap().split_off(before);
            let of = |role: &'static str| {
                calls.iter().filter(|call| call.principal.contains(role)).collect::<Vec<_>>()
            };
            // Nothing is read before a signature has been looked at. What it is looked at with is read once by each
            // sandbox, and Slack's once more in a minute in which somebody forges it.
            let page = of("PageRole");
            let read = page.iter().filter(|call| call.service == "dynamodb").count();
            // A read that was answered late is made again: those are a few, and what is forged is many.
            let refused: u32 = [401, 404, 405, 413].map(answered).iter().sum();
            let most = 2 * answered(200) + refused / 10;
            assert!(read <= most as usize, "{read}: {counted:?}");
            let (keys, apps) = (reads_of(&page, "PageKey"), reads_of(&page, "glidepath/app"));
            assert!((1..=SANDBOXES).contains(&keys), "{keys} reads of the key");
            let minutes = begun.elapsed().as_secs() as usize / 60 + 1;
            let most = SANDBOXES * (minutes + 1);
            assert!((1..=most).contains(&apps), "{apps} reads of the app's secret");
            let refused: Vec<_> = calls.iter().filter_map(|call| call.error.as_ref()).collect();
            assert!(!refused.iter().any(|error| error.contains("TooManyRequests")), "{refused:?}");
            // Whoever is refused for want of room goes another way, and is later: so nobody was.
            let decisions = requests_to(&stage, "DecideFunction");
            let rollbacks = requests_to(&stage, "RollbackFunction");
            for requests in [&decisions, &rollbacks] {
                let had_room = requests.iter().all(|request| request["status"] != 429);
                assert!(!requests.is_empty() && had_room, "{requests:?}");
            }
            // The request itself has written the route, and neither the state machine nor the sweep later on.
            let asked_for = |call: &&Call| {
                let invocation = call.invocation.as_deref();
                rollbacks.iter().any(|request| request["invocation"].as_str() == invocation)
            };
            let written = of("RollbackRole").into_iter().filter(|call| call.action == "ModifyRule");
            let amid =
                written.filter(|call| (from as f64..=until as f64 + 1.0).contains(&call.time));
            assert!(
                amid.filter(asked_for).count() >= 1,
                "the rollback did not write the route itself, amid the flood"
            );
        })
        .await;
    });
}
