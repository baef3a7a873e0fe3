//! What becomes of a click in Slack, whatever AWS and Slack do meanwhile.

use std::future::pending;
use std::sync::Mutex;

use glidepath_core::failure::FailureCode;
use glidepath_core::people::Approvers;
use glidepath_core::plan::{Approval, OnTimeout};
use glidepath_core::record::Step;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::click::{Click, Signed, Taken, run};
use glidepath_engine::ports::{Clicks, Clock, PortError, PortResult, SlackGroups};
use glidepath_engine::testing::{Bed, Fault, MemoryRegistry, SIGNED};

use glidepath_engine::testing::example::world;

use crate::page::{asking_for, link};

/// How long Slack waits, less what the way to the function and its start may take.
const WAITS: Span = Span::from_millis(2_400);

/// What the app does at one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Foreign,
    Unreadable,
    SilentSignature,
    SilentGroups,
    SilentTelling,
    NotTold,
}

struct App {
    trouble: Trouble,
    told: Mutex<Vec<String>>,
}

impl App {
    fn new(trouble: Trouble) -> Self {
        Self { trouble, told: Mutex::default() }
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join("|")
    }
}

impl Clicks for App {
    async fn is_signed(&self, _: &str, _: &str, _: &[u8], _: Timestamp) -> PortResult<bool> {
        match self.trouble {
            Trouble::SilentSignature => pending().await,
            Trouble::Unreadable => {
                let (operation, detail) = ("secretsmanager:GetSecretValue", "no".to_owned());
                Err(PortError::Refused { operation, detail })
            }
            trouble => Ok(trouble != Trouble::Foreign),
        }
    }

    async fn groups(&self, user: &str, groups: &[String], _: Timestamp) -> SlackGroups {
        match self.trouble {
            Trouble::SilentGroups => pending().await,
            _ if user == "U0ADA" => SlackGroups { of: groups.to_vec(), unknown: Vec::new() },
            _ => SlackGroups { of: Vec::new(), unknown: groups.to_vec() },
        }
    }

    async fn tell(&self, url: &str, text: &str, _: Timestamp) -> Result<(), String> {
        match self.trouble {
            Trouble::SilentTelling => pending().await,
            Trouble::NotTold => Err("status 500".to_owned()),
            _ => {
                assert_eq!(url, "https://hooks.slack.com/actions/x");
                self.told.lock().unwrap().push(text.to_owned());
                Ok(())
            }
        }
    }
}

fn approval() -> Approval {
    let list = Approvers::new(vec!["slack:T0/S1".to_owned()]);
    Approval {
        approvers: vec![list],
        ..Approval::anybody(Span::from_secs(3_600), OnTimeout::Rollback)
    }
}

fn click(registry: &MemoryRegistry, approved: bool, user: &str) -> Click {
    Click {
        approved,
        path: link(registry).path(SIGNED),
        team: "T0".to_owned(),
        user: user.to_owned(),
        response_url: Some("https://hooks.slack.com/actions/x".to_owned()),
    }
}

async fn clicked(bed: &Bed<'_>, app: &App, click: Click) -> Taken {
    let signed = Signed { timestamp: String::new(), signature: String::new(), body: vec![7] };
    run(bed, app, &signed, |body| (body == [7]).then_some(click)).await
}

#[tokio::test]
async fn whoever_clicks_is_told_what_became_of_it() {
    for (approved, user, told) in [
        (true, "U0ADA", "You have approved stage 1."),
        (false, "U0ADA", "You have refused stage 1: all requests return to the version before."),
        (true, "U0EVE", "Slack has not said in time who is in slack:T0/S1: try again."),
    ] {
        let (registry, world) = (MemoryRegistry::default(), world());
        asking_for(&registry, &world, approval()).await;
        let (bed, app) = (Bed::new(&registry, &world), App::new(Trouble::None));
        let click = click(&registry, approved, user);
        assert_eq!(clicked(&bed, &app, click).await, Taken::Yes);
        assert!(app.told().ends_with(told), "{}", app.told());
    }
}

#[tokio::test]
async fn a_second_click_is_told_the_same_and_a_second_thought_counts_until_the_weight_may_move() {
    let minute = Span::from_secs(60);
    for (after, refused) in [(minute, true), (minute.times(10), false)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let not_before = Some(minute.times(10));
        asking_for(&registry, &world, Approval { not_before, ..approval() }).await;
        let (bed, app) = (Bed::new(&registry, &world), App::new(Trouble::None));
        let [approves, rejects] = [true, false].map(|approved| click(&registry, approved, "U0ADA"));
        for again in [approves.clone(), approves] {
            assert_eq!(clicked(&bed, &app, again).await, Taken::Yes);
        }
        assert_eq!(app.told(), "You have approved stage 1.|You have approved stage 1.");
        app.told.lock().unwrap().clear();
        world.pass(after);
        assert_eq!(clicked(&bed, &app, rejects).await, Taken::Yes);
        let told = app.told();
        assert_eq!(told.starts_with("You have refused stage 1"), refused, "{told}");
        assert_eq!(told.contains("stage 1 was approved by slack:T0/U0ADA"), !refused, "{told}");
    }
}

#[tokio::test]
async fn a_button_of_nothing_that_is_asked_decides_nothing() {
    let (registry, world) = (MemoryRegistry::default(), world());
    asking_for(&registry, &world, approval()).await;
    let (bed, app) = (Bed::new(&registry, &world), App::new(Trouble::None));
    let mut foreign = click(&registry, true, "U0ADA");
    foreign.path = link(&registry).path("forged");
    assert_eq!(clicked(&bed, &app, foreign).await, Taken::Yes);
    assert_eq!(app.told(), "This button belongs to no question of this stack.");
    assert_eq!(bed.take_operations(), ["is_own"]);
    // What is no decision is nobody's question.
    let signed = Signed { timestamp: String::new(), signature: String::new(), body: Vec::new() };
    assert_eq!(run(&bed, &app, &signed, |_| None).await, Taken::Yes);
    assert!(bed.take_operations().is_empty());
}

#[tokio::test]
async fn what_slack_has_not_signed_is_not_even_read() {
    for (trouble, taken) in [
        (Trouble::Foreign, Taken::NotSigned),
        (Trouble::Unreadable, Taken::NotKnown),
        (Trouble::SilentSignature, Taken::NotKnown),
    ] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let (bed, app) = (Bed::new(&registry, &world), App::new(trouble));
        let begun = world.now();
        let signed = Signed { timestamp: String::new(), signature: String::new(), body: vec![7] };
        let read = |_: &[u8]| panic!("it is not known to be Slack's");
        assert_eq!(run(&bed, &app, &signed, read).await, taken, "{trouble:?}");
        assert!(world.now().since(begun) <= WAITS, "{trouble:?}");
        assert!(bed.take_operations().is_empty(), "{trouble:?}");
        assert_eq!(app.told(), "", "{trouble:?}");
    }
}

/// Slack tells whoever has clicked that it did not work after three seconds.
#[tokio::test]
async fn slack_is_answered_in_time_whichever_call_is_not() {
    let mut seen = Vec::new();
    for number in 0.. {
        let (registry, world) = (MemoryRegistry::default(), world());
        asking_for(&registry, &world, approval()).await;
        let bed = Bed::with_fault(&registry, &world, Some((number, Fault::Silent)));
        let (app, begun) = (App::new(Trouble::None), world.now());
        let click = click(&registry, true, "U0ADA");
        let taken = clicked(&bed, &app, click).await;
        assert!(world.now().since(begun) <= WAITS, "{number}");
        seen = bed.take_operations();
        if seen.len() <= number {
            assert_eq!(taken, Taken::Yes);
            assert_eq!(app.told(), "You have approved stage 1.");
            break;
        }
        // So that it is counted: the function itself has not failed.
        assert_eq!(taken, Taken::Undecided(FailureCode::Transient), "{seen:?}");
        assert!(
            app.told().starts_with("AWS has not answered in time."),
            "{seen:?}: {}",
            app.told()
        );
    }
    assert_eq!(seen, ["is_own", "deployment", "stored_cells", "deployment", "commit", "open_gate"]);
}

#[tokio::test]
async fn slack_is_answered_in_time_whatever_slack_does() {
    for (trouble, taken) in [
        (Trouble::SilentGroups, Taken::Undecided(FailureCode::Transient)),
        (Trouble::SilentTelling, Taken::Yes),
        (Trouble::NotTold, Taken::Yes),
    ] {
        let (registry, world) = (MemoryRegistry::default(), world());
        asking_for(&registry, &world, approval()).await;
        let (bed, app, begun) = (Bed::new(&registry, &world), App::new(trouble), world.now());
        let click = click(&registry, true, "U0ADA");
        assert_eq!(clicked(&bed, &app, click).await, taken, "{trouble:?}");
        assert!(world.now().since(begun) <= WAITS, "{trouble:?}");
        // It is recorded, unless Slack has not said who they are.
        let step = registry.items().deployments.values().next().unwrap().progress.step.clone();
        let is_recorded = matches!(step, Step::Approving { decision: Some(_), .. });
        assert_eq!(is_recorded, trouble != Trouble::SilentGroups, "{trouble:?}");
    }
}
