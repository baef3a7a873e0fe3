use super::*;
use crate::failure::{Failure, FailureCode};
use crate::fixtures::{self, NOW, deployment, freeze};
use crate::health::{Cell, CountedCells, SlotRequests, StoredCells};
use crate::ids::{ChannelName, DeploymentId, ExecutionArn};
use crate::plan::{StageIndex, WayBack};
use crate::record::{
    Decision, Deployment, Event, Fence, FenceTrigger, Freeze, Notice, Outcome, Pause, Phase,
    Promotion, Shift, Step, Undelivered,
};
use crate::rollback::Forced;
use crate::time::Span;
use crate::urgency::Urgency;
use crate::weight::Weight;

fn promotion() -> Promotion {
    Promotion {
        by: "arn:aws:iam::123456789012:user/ada".to_owned(),
        at: NOW,
        reason: "a night's traffic never gets there".to_owned(),
        skips_bake: false,
    }
}

fn pause(reason: Option<&str>) -> Pause {
    let by = "arn:aws:iam::123456789012:user/ada".to_owned();
    Pause { by, at: NOW, reason: reason.map(str::to_owned) }
}

/// Every kind of event, so that none is without words.
pub(super) fn events() -> Vec<Event> {
    let decision = |approved| Decision {
        approved,
        by: "arn:aws:iam::123456789012:user/ada".to_owned(),
        at: NOW,
        reason: (!approved).then(|| "the graphs look <odd> & I am tired".to_owned()),
        groups: Vec::new(),
    };
    let failure = Failure::new(
        FailureCode::AlarmFired,
        "alarm `shop-green-5xx` fired: 1 datapoint [31.0] was > 5",
    );
    vec![
        Event::Started,
        Event::ApprovalNeeded {
            stage: StageIndex(2),
            judged: vec![
                "canary: 3 of 2000 requests were bad (0.15 %), allowed are 5 %".to_owned(),
            ],
            asked_at: None,
        },
        Event::ApprovalNeeded {
            stage: StageIndex(2),
            judged: Vec::new(),
            asked_at: Some(NOW - Span::from_secs(3600)),
        },
        Event::Decided { stage: StageIndex(2), decision: decision(true), lacking: 0 },
        Event::Decided { stage: StageIndex(2), decision: decision(true), lacking: 1 },
        Event::Decided { stage: StageIndex(2), decision: decision(false), lacking: 0 },
        Event::Shifted { stage: StageIndex(1) },
        Event::Shifted { stage: StageIndex(3) },
        Event::Waiting {
            stage: StageIndex(1),
            reasons: vec!["57 more canary requests are needed to judge".to_owned()],
            against: Vec::new(),
        },
        Event::OutsideWindows {
            stage: StageIndex(0),
            opens_at: Some(NOW + Span::from_secs(54_000)),
        },
        Event::OutsideWindows {
            stage: StageIndex(1),
            opens_at: Some(NOW + Span::from_secs(54_000)),
        },
        Event::OutsideWindows { stage: StageIndex(1), opens_at: None },
        Event::Frozen { stage: StageIndex(1), freeze: freeze("*"), goes_on_at: None },
        Event::Frozen {
            stage: StageIndex(0),
            freeze: freeze("production/shop-*"),
            goes_on_at: Some(NOW + Span::from_secs(54_000)),
        },
        Event::StageHeld {
            stage: StageIndex(1),
            reasons: vec!["57 more canary requests are needed to judge".to_owned()],
            against: Vec::new(),
        },
        Event::StageHeld {
            stage: StageIndex(3),
            reasons: Vec::new(),
            against: vec!["1 of 3 canary targets are healthy in `green`".to_owned()],
        },
        Event::CheckAlert {
            stage: StageIndex(1),
            reasons: vec![
                "check `slow orders`: 1.4, allowed is at most 1; out of bounds since ten"
                    .to_owned(),
            ],
        },
        Event::CheckAlert {
            stage: StageIndex(1),
            reasons: vec!["check `slow orders`: 1.4".to_owned(), "check `memory`: 93".to_owned()],
        },
        Event::Promoted { stage: StageIndex(1), promotion: promotion() },
        Event::Promoted { stage: StageIndex(3), promotion: promotion() },
        Event::Promoted {
            stage: StageIndex(1),
            promotion: Promotion { skips_bake: true, ..promotion() },
        },
        Event::NotPromoted {
            stage: StageIndex(1),
            reasons: vec!["1 of 3 canary targets are healthy in `green`".to_owned()],
        },
        Event::Paused { stage: StageIndex(1), pause: pause(Some("the support desk is on fire")) },
        Event::Paused { stage: StageIndex(1), pause: pause(None) },
        Event::Resumed {
            stage: StageIndex(1),
            by: "arn:aws:iam::123456789012:user/grace".to_owned(),
            reason: Some("it was something else".to_owned()),
            lasted: Span::from_secs(720),
        },
        Event::ForeignChange { found: "blue 700, green 300 instead of 875 and 125".to_owned() },
        Event::RouteInOrder { lasted: Span::from_secs(720) },
        Event::TrafficRestored { failure: failure.clone(), overwritten: None, forced: None },
        Event::TrafficRestored {
            failure: failure.clone(),
            overwritten: Some("blue 700, green 300".to_owned()),
            forced: None,
        },
        Event::TrafficRestored {
            failure: failure.clone(),
            overwritten: None,
            forced: Some(Forced::Operator("arn:aws:iam::123456789012:user/ada".to_owned())),
        },
        Event::TrafficRestored {
            failure: failure.clone(),
            overwritten: None,
            forced: Some(Forced::Plan),
        },
        Event::RollbackHeld,
        Event::SteppingBack { healthy: 2, needed: 3, keeps: Weight::from_permille(334).unwrap() },
        Event::RollbackOverdue { healthy: 0, needed: 3, waited: Span::from_secs(1800) },
        fixtures::scaling_changed(),
        fixtures::scaling_not_set(),
        Event::Succeeded,
        Event::RolledBack { failure: failure.clone() },
        Event::Abandoned { failure },
        Event::Validated {
            good: vec!["probe https://blue.example.com/ answers as it must".to_owned()],
            bad: vec!["hook `smoke` at ROLLBACK failed".to_owned()],
            unknown: vec!["check `orders` has no data yet".to_owned()],
        },
        Event::RetirementHastened {
            by: "arn:aws:iam::123456789012:user/ada".to_owned(),
            was_due_at: NOW + Span::from_secs(600),
        },
        Event::Retired,
        Event::RetirementPostponed,
        Event::StillReached {
            by: deployment().plan.routes.into_iter().map(|own| own.route).collect(),
        },
        Event::Undelivered {
            channel: ChannelName::new("team-shop"),
            sequence: 4,
            reason: "slack webhook: status 404".to_owned(),
            how: Undelivered::Refused,
            lost: Urgency::Page,
        },
        Event::Undelivered {
            channel: ChannelName::new("team-shop"),
            sequence: 4,
            reason: "sns:Publish: throttled".to_owned(),
            how: Undelivered::Waits,
            lost: Urgency::Attention,
        },
        fixtures::drifted(),
    ]
}

pub(super) fn notices() -> Vec<Notice> {
    let numbered = (1..).zip(events());
    numbered
        .map(|(sequence, event)| Notice { deployment: deployment().id, sequence, at: NOW, event })
        .collect()
}

/// The link to the page, in what asks something.
const PAGE: &str = "https://page.example/approve/shop-42/3/1795244400000/0a1b";

/// As it leaves the stack.
pub(super) fn told(notice: &Notice, deployment: &Deployment) -> Message {
    let told = message(notice, deployment).from_stack("glidepath", deployment);
    let asks = matches!(notice.event, Event::ApprovalNeeded { .. });
    if asks { told.with_page(PAGE.to_owned()) } else { told }
}

#[test]
fn every_event_says_what_happened_why_and_what_now() {
    let shown: Vec<_> = notices()
        .iter()
        .map(|notice| format!("--- {}\n{}\n", notice.event.name(), told(notice, &deployment())))
        .collect();
    fixtures::same_as_file("src/message/expected/text.txt", &shown.join("\n"));
}

/// Whoever reads it must not look for a channel of that name, nor be woken by it.
#[test]
fn a_bucket_that_takes_nothing_is_told_of_as_what_it_is() {
    let event = Event::Undelivered {
        channel: ChannelName::audit_bucket(),
        sequence: 7,
        reason: "s3:PutObject: NoSuchBucket: it does not exist".to_owned(),
        how: Undelivered::Waits,
        lost: Urgency::Attention,
    };
    let told = message(&Notice { event, ..notices().remove(0) }, &deployment());
    assert!(told.headline.ends_with(": the audit bucket does not take what happened"));
    let texts: Vec<_> = told.texts().collect();
    for part in ["NoSuchBucket", "entry 7", "`AuditBucket`"] {
        assert!(texts.iter().any(|text| text.contains(part)), "{part}: {texts:?}");
    }
    assert!(!texts.iter().any(|text| text.contains("`Channels`")), "{texts:?}");
}

#[test]
fn every_event_is_a_message_that_slack_takes() {
    let deployment = deployment();
    let bodies: Vec<_> =
        notices().iter().map(|notice| slack::body(notice, &told(notice, &deployment))).collect();
    let shown = serde_json::to_string_pretty(&bodies).unwrap();
    fixtures::same_as_file("src/message/expected/slack.json", &shown);
}

#[test]
fn the_one_message_of_a_deployment_shows_how_far_it_has_come() {
    let mut deployment = deployment();
    deployment.progress.shifts = vec![Shift { stage: StageIndex(1), at: NOW }];
    deployment.progress.stage = StageIndex(2);
    let path = "/approve/shop-42/3/1795244400000/0a1b";
    let by = "slack:T0LAB/U0ADA".to_owned();
    let decision = Decision { approved: true, by, at: NOW, reason: None, groups: Vec::new() };
    let mut shown = Vec::new();
    for (phase, event) in [
        (Phase::Open, Event::Shifted { stage: StageIndex(1) }),
        (
            Phase::Open,
            Event::ApprovalNeeded { stage: StageIndex(2), judged: Vec::new(), asked_at: None },
        ),
        // Until its weight may move, somebody may think again.
        (Phase::Open, Event::Decided { stage: StageIndex(2), decision, lacking: 0 }),
        (Phase::Closed(Outcome::Succeeded), Event::Succeeded),
        (Phase::Closed(Outcome::RolledBack), Event::Retired),
    ] {
        deployment.phase = phase;
        let takes_approval = matches!(event, Event::ApprovalNeeded { .. });
        let is_asked = takes_approval || matches!(event, Event::Decided { .. });
        let asks = is_asked.then_some(slack::Question { path, takes_approval });
        let notice = Notice { event, ..notices().remove(0) };
        let told = told(&notice, &deployment);
        shown.push(slack::state(&notice, &deployment, &told, None, asks));
    }
    let shown = serde_json::to_string_pretty(&shown).unwrap();
    fixtures::same_as_file("src/message/expected/slack-state.json", &shown);
}

/// Whoever sees the buttons must see for what they are, whatever else has happened since it was asked.
#[test]
fn whoever_is_asked_hears_when_the_window_ends_and_what_an_answer_after_that_comes_to() {
    use crate::plan::{Opening, Openings};
    let hour = Span::from_secs(3_600);
    let opening =
        |hours| Opening { from: NOW + hour.times(hours), until: NOW + hour.times(hours + 7) };
    let line = |openings: &[Opening], at| {
        let mut deployment = deployment();
        let known_until = NOW + hour.times(24 * 60);
        deployment.plan.windows = Some(Openings { open: openings.to_vec(), known_until });
        let event = Event::ApprovalNeeded { stage: StageIndex(2), judged: vec![], asked_at: None };
        let notice = Notice { deployment: deployment.id.clone(), sequence: 3, at, event };
        let mut lines = message(&notice, &deployment).lines.into_iter().map(|line| line.text);
        lines.find(|line| line.contains("window"))
    };
    let (today, tomorrow) = (opening(0), opening(24));
    assert_eq!(
        line(&[today, tomorrow], NOW).unwrap(),
        format!(
            "Its window ends at {}; approved after that, the weight moves at {}.",
            today.until, tomorrow.from
        )
    );
    let alone = line(&[today], NOW).unwrap();
    assert!(
        alone.ends_with("none is known after it: approved then, the weight does not move."),
        "{alone}"
    );
    let night = line(&[today, tomorrow], NOW + hour.times(8)).unwrap();
    assert_eq!(
        night,
        format!("It is outside its windows: approved now, the weight moves at {}.", tomorrow.from)
    );
}

#[test]
fn whoever_is_asked_hears_that_it_is_frozen() {
    let asked = Event::ApprovalNeeded { stage: StageIndex(2), judged: Vec::new(), asked_at: None };
    let until = NOW + Span::from_secs(3_600);
    for (ends_at, expected) in [
        (None, "approved now, the weight moves once it is thawed.".to_owned()),
        (Some(until), format!("approved now, the weight moves at {until}.")),
    ] {
        let frozen = Freeze { until: ends_at, ..freeze("*") };
        let deployment = Deployment { freeze: Some(frozen), ..deployment() };
        let id = deployment.id.clone();
        let notice = Notice { deployment: id, sequence: 7, at: NOW, event: asked.clone() };
        let text = message(&notice, &deployment).text(4_000);
        let said = format!("It is frozen by arn:aws:iam::123456789012:user/ada at {NOW}");
        assert!(text.contains(&said) && text.contains(&expected), "{text}");
    }
}

#[test]
fn while_something_is_asked_the_one_message_of_a_deployment_says_what() {
    let mut asking = deployment();
    asking.progress.stage = StageIndex(2);
    let until = NOW + Span::from_secs(4 * 3_600);
    asking.progress.step = Step::Approving { since: NOW, until, decision: None, reminded: false };
    let path = "/approve/shop-42/3/1795244400000/0a1b";
    let question = Some(slack::Question { path, takes_approval: true });
    for notice in notices() {
        let told = told(&notice, &asking);
        let asks = asked(&notice, &asking);
        let state = slack::state(&notice, &asking, &told, asks.as_ref(), question);
        let blocks = state["blocks"].as_array().unwrap();
        let texts: Vec<_> =
            blocks.iter().filter_map(|block| block["text"]["text"].as_str()).collect();
        for said in [
            "approve 50 % for shop:42?",
            "To approve: `glidepath approve shop-42 --stage 3",
            "To refuse, so that everything returns to stable: `glidepath reject shop-42 --stage 3",
            // A reminder of an hour ago has its own.
            "Without an answer by 2026-11-21T1",
        ] {
            let times = texts.iter().filter(|text| text.contains(said)).count();
            assert!(times == 1, "{said}: {times}: {texts:?}");
        }
        assert!(blocks.iter().any(|block| block["type"] == "actions"), "{state}");
    }
    // What was told before it was asked knows nothing of it, and after the end nothing is asked.
    let before = Notice { at: NOW - Span::from_secs(1), ..notices().remove(0) };
    assert_eq!(asked(&before, &asking), None);
    assert_eq!(asked(&notices().remove(0), &deployment()), None);
}

#[test]
fn a_new_version_without_traffic_is_not_said_to_have_some() {
    let mut deployment = deployment();
    deployment.plan.stages[0].weight = crate::weight::Weight::NONE;
    let event = Event::Shifted { stage: StageIndex(0) };
    let notice = Notice { event, ..notices().remove(0) };
    assert_eq!(message(&notice, &deployment).headline, "shop: shop:42 runs, without traffic");
}

#[test]
fn no_message_contains_the_task_token() {
    let deployment = deployment();
    let token = deployment.gate.as_ref().unwrap().token.expose().to_owned();
    for notice in notices() {
        assert!(!message(&notice, &deployment).to_string().contains(&token));
        assert!(!slack::body(&notice, &message(&notice, &deployment)).to_string().contains(&token));
    }
}

#[test]
fn reasons_longer_than_a_slack_section_are_cut() {
    let reasons = vec!["a < b & c".to_owned(); 2_000];
    let event = Event::Waiting { stage: StageIndex(0), reasons, against: Vec::new() };
    let notice = Notice { event, ..notices().remove(0) };
    let body = slack::body(&notice, &message(&notice, &deployment()));
    let section = body["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(section.chars().count() <= 3_000);
    let (what, to_do) = section.split_once("more lines are in the timeline.)").unwrap();
    assert!(what.starts_with("Why: a &lt; b &amp; c\n"), "{what}");
    assert!(to_do.ends_with("To end it: `glidepath rollback shop-42`"), "{to_do}");
}

/// Whatever a channel takes of a message, nobody is asked without being told what to type and until when.
#[test]
fn however_long_a_plan_is_every_channel_says_what_to_type_and_until_when() {
    let mut deployment = deployment();
    deployment.plan.images =
        (0..60).map(|image| format!("repository-{image}/{}", "é<".repeat(150))).collect();
    deployment.plan.reason = Some("because & \" ".repeat(180));
    let judged = (0..400).map(|at| format!("check `{at}`: {}", "is good & ".repeat(30))).collect();
    let event = Event::ApprovalNeeded { stage: StageIndex(2), judged, asked_at: None };
    let notice = Notice { event, ..notices().remove(0) };
    let told = told(&notice, &deployment);
    let to_do = [
        "shop:42 is healthy and gets 12.5 % of the requests now.",
        "To approve: `glidepath approve shop-42 --stage 3 --stack glidepath --region eu-west-1`",
        "`glidepath reject shop-42 --stage 3 --stack glidepath --region eu-west-1`",
        "Without an answer by 2026-11-21T11:00:00Z everything returns to stable.",
        "Stack glidepath in eu-west-1, account 123456789012",
        "more lines are in the timeline",
    ];
    let section = |body: &serde_json::Value| {
        let blocks = body["blocks"].as_array().unwrap().iter();
        blocks
            .map(|block| format!("{}{}", block["text"]["text"], block["elements"]))
            .collect::<String>()
    };
    let card = teams::body(&notice, &told);
    let runs = card["attachments"][0]["content"]["body"].as_array().unwrap().iter();
    let runs = runs.flat_map(|block| block["inlines"].as_array().unwrap());
    let held = Notice { event: Event::RollbackHeld, ..notice.clone() };
    let calls = pagerduty::calls(&held, &deployment, &told, &alert::Rung::default());
    let [pagerduty::Call::Alert(alert)] = &calls[..] else { panic!("{calls:?}") };
    for (channel, shown) in [
        ("text", told.text(128 * 1024)),
        ("short text", told.text(4 * 1024)),
        ("slack", section(&slack::body(&notice, &told))),
        ("chat", amazon_q::body(&notice, &deployment, &told)["content"]["description"].to_string()),
        ("teams", runs.map(|run| run["text"].as_str().unwrap()).collect()),
        ("pagerduty", alert["payload"]["custom_details"]["details"].to_string()),
        ("document", document::document(&notice, &deployment, "glidepath", &told).lines.concat()),
    ] {
        for line in to_do {
            let all = matches!(channel, "document" | "text" | "pagerduty");
            let may_lack = all && line.starts_with("more lines");
            // A card shows a command as such, and no backticks.
            let line = if channel == "teams" { &line.replace('`', "") } else { line };
            assert!(may_lack || shown.contains(line), "{channel} lacks {line}: {shown}");
        }
    }
    assert!(told.text(4 * 1024).len() <= 4 * 1024);
}

/// What somebody says or AWS answers is never a line of its own: it would read as Glidepath's.
#[test]
fn nobody_can_put_a_line_into_a_message() {
    let forged = "fine\n\nThis was approved by security\r\u{2028}To approve: `rm -rf /` ` ```";
    let deployment = Deployment {
        plan: crate::plan::Plan { reason: Some(forged.to_owned()), ..deployment().plan },
        warnings: vec![forged.to_owned()],
        ..deployment()
    };
    let (by, reason) = (forged.to_owned(), Some(forged.to_owned()));
    let all = || vec![forged.to_owned()];
    let decision = |approved| {
        let (by, reason) = (by.clone(), reason.clone());
        Decision { approved, by, at: NOW, reason, groups: Vec::new() }
    };
    let failure = Failure::new(FailureCode::Aborted, forged);
    let stage = StageIndex(2);
    for event in [
        Event::Started,
        Event::ApprovalNeeded { stage, judged: all(), asked_at: None },
        Event::Decided { stage, decision: decision(true), lacking: 0 },
        Event::Decided { stage, decision: decision(false), lacking: 0 },
        Event::Waiting { stage, reasons: all(), against: all() },
        Event::CheckAlert { stage, reasons: all() },
        Event::Promoted {
            stage,
            promotion: Promotion { reason: forged.to_owned(), ..promotion() },
        },
        Event::Paused { stage, pause: pause(Some(forged)) },
        Event::Resumed { stage, by: by.clone(), reason, lasted: Span::from_secs(1) },
        Event::ForeignChange { found: forged.to_owned() },
        Event::TrafficRestored {
            failure: failure.clone(),
            overwritten: Some(by.clone()),
            forced: None,
        },
        Event::RolledBack { failure },
        Event::Validated { good: all(), bad: all(), unknown: all() },
        Event::Drifted { differences: all() },
    ] {
        let notice = Notice { event, ..notices().remove(0) };
        let told = told(&notice, &deployment);
        let slack = slack::body(&notice, &told);
        let chat = amazon_q::body(&notice, &deployment, &told);
        for text in [
            told.to_string(),
            slack["blocks"][1]["text"]["text"].as_str().unwrap().to_owned(),
            chat["content"]["description"].as_str().unwrap().to_owned(),
        ] {
            for line in text.lines().filter(|line| line.contains("approved by security")) {
                assert!(!line.starts_with("This was"), "{line}");
            }
            assert!(!text.lines().any(|line| line.starts_with("To approve: `rm")), "{text}");
            // Code of theirs begins and ends within their line, or is none.
            assert!(text.lines().all(|line| line.matches('`').count().is_multiple_of(2)), "{text}");
        }
    }
}

#[test]
fn a_message_that_leaves_the_account_says_where_it_comes_from() {
    let mut deployment = deployment();
    deployment.execution =
        ExecutionArn::new("arn:aws:states:eu-west-1:123456789012:execution:machine:shop-42");
    for notice in notices() {
        let told = message(&notice, &deployment).from_stack("blue", &deployment);
        let lines = told.lines.iter().map(|line| &line.text);
        for line in lines.filter(|line| line.contains("`glidepath ")) {
            assert!(line.contains(" --stack blue --region eu-west-1`"), "{line}");
        }
        assert_eq!(told.from.as_deref(), Some("Stack blue in eu-west-1, account 123456789012."));
        assert!(told.to_string().contains("\nStack blue in eu-west-1, account 123456789012.\n"));
        assert_eq!(
            told.links[0].url,
            "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/\
             details/arn:aws:states:eu-west-1:123456789012:execution:machine:shop-42"
        );
    }
}

#[test]
fn whoever_reads_of_the_end_knows_what_is_refused_from_then_on() {
    let told = |event: Event, deployment: &Deployment| {
        let (id, at) = (deployment.id.clone(), NOW);
        message(&Notice { deployment: id, sequence: 9, at, event }, deployment).to_string()
    };
    let refused = "is refused from now on, until a request has `release.retry: shop-42`.";
    let mut ended = deployment();
    let failure = Failure::new(FailureCode::VerdictFailed, "5xx");
    let rolled_back = Event::RolledBack { failure: failure.clone() };
    assert!(!told(rolled_back.clone(), &ended).contains(refused));
    ended.fence = Some(Fence { trigger: FenceTrigger::StateMachine, failure, at: NOW });
    let text = told(rolled_back, &ended);
    assert!(text.contains(&format!("shop:42 {refused}")), "{text}");
    assert!(!told(Event::Succeeded, &ended).contains(refused));
    let version = ended.plan.stable.task_definition.clone();
    ended.plan.way_back =
        Some(WayBack { from: DeploymentId::new("shop-41"), version, skips_validation: false });
    let text = told(Event::Succeeded, &ended);
    assert!(text.contains(&format!("shop:41 {refused}")), "{text}");
}

#[test]
fn the_last_notice_has_the_numbers() {
    let mut ended = deployment();
    let at = ended.started_at + Span::from_millis(2_521_345);
    ended.progress.shifts =
        [0, 1].map(|stage| Shift { stage: StageIndex(stage), at: NOW }).to_vec();
    let decision = Decision {
        approved: true,
        by: "oidc:ada".to_owned(),
        at: NOW,
        reason: None,
        groups: Vec::new(),
    };
    ended.progress.decisions = vec![
        (StageIndex(1), decision.clone()),
        (StageIndex(2), Decision { approved: false, ..decision }),
    ];
    let slot = |all, bad| SlotRequests { all, bad, slow: Some(1) };
    let cell = Cell { from: NOW, stage: StageIndex(0), canary: slot(100, 3), stable: slot(900, 0) };
    let (period, shifts) = (Span::from_secs(60), ended.progress.shifts.clone());
    let later = Cell { from: NOW + period, ..cell };
    let counted = CountedCells { period, cells: &[cell, later] };
    let cells = StoredCells::of(&ended.id, &ended.plan, &shifts, counted, NOW);
    let event = Event::Succeeded;
    let notice = Notice { deployment: ended.id.clone(), sequence: 9, at, event };
    let told = message(&notice, &ended).with_requests(&ended, &cells).to_string();
    for line in [
        "2 of 4 stages had traffic (5 %, 12.5 %), and it took 42m 1s from its start.",
        "Approved: stage 2 by oidc:ada.",
        "shop:42, counted until 2026-11-21T07:00:00Z: 6 of 200 requests were bad (3 %).",
        "shop:41, counted until 2026-11-21T07:00:00Z: 0 of 1800 requests were bad (0 %).",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    let none = Cell { canary: slot(0, 0), stable: slot(0, 0), ..cell };
    let none = CountedCells { period, cells: &[none] };
    let none = StoredCells::of(&ended.id, &ended.plan, &shifts, none, NOW);
    let told = message(&notice, &ended).with_requests(&ended, &none).to_string();
    assert!(!told.contains("were bad"), "{told}");
    let told = message(&notice, &ended).without_requests().to_string();
    assert!(told.ends_with("\nWhat was counted of the requests could not be read."), "{told}");
}
