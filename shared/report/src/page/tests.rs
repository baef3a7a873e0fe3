use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::people::{Approvers, LINK_HOLDER};
use glidepath_core::plan::{Approval, OnTimeout};
use glidepath_core::record::{Decision, Fence, FenceTrigger, Outcome, Pause, Step};
use glidepath_core::time::Span;
use proptest::prelude::*;

use super::*;

/// As a registry holds one that asks.
const RECORD: &str =
    include_str!("../../../core/src/record/golden/current/deployment-approving.json");

fn asking() -> Deployment {
    let mut deployment: Deployment = serde_json::from_str(RECORD).unwrap();
    let (at, until) = (deployment.started_at, deployment.started_at + Span::from_secs(3600));
    deployment.phase = Phase::Open;
    deployment.progress.ended_by = None;
    deployment.progress.paused = None;
    deployment.progress.decisions.clear();
    deployment.progress.step =
        Step::Approving { since: at, until, decision: None, reminded: false };
    let stage = deployment.progress.stage.0;
    deployment.plan.stages[stage].approval = Some(Approval {
        anyone_with_link: true,
        ..Approval::anybody(Span::from_secs(3600), OnTimeout::Rollback)
    });
    deployment
}

fn shown(deployment: &Deployment, link: &QuestionLink, refused: Option<&str>) -> String {
    shown_to(deployment, link, Visitor::LinkHolder, refused)
}

fn shown_to(
    deployment: &Deployment,
    link: &QuestionLink,
    visitor: Visitor<'_>,
    refused: Option<&str>,
) -> String {
    let now = deployment.started_at + Span::from_secs(60);
    Page { deployment, link, report: None, stack: "glidepath", visitor, refused, now }.html()
}

/// What whoever has the link sees so long after the question.
fn seen_after(deployment: &Deployment, link: &QuestionLink, after: Span) -> String {
    let (visitor, now) = (Visitor::LinkHolder, link.asked_at + after);
    Page { deployment, link, report: None, stack: "glidepath", visitor, refused: None, now }.html()
}

/// Approved by whoever had the link, as soon as it was asked.
fn approved(mut deployment: Deployment) -> Deployment {
    let (by, at) = (LINK_HOLDER.to_owned(), deployment.started_at);
    let reason = Some("the graphs look good".to_owned());
    let decision = Decision { approved: true, by, at, reason, groups: Vec::new() };
    let stage = deployment.progress.stage;
    deployment.progress.decisions.push((stage, decision.clone()));
    if let Step::Approving { decision: given, .. } = &mut deployment.progress.step {
        *given = Some(decision);
    }
    deployment
}

fn paused(mut deployment: Deployment) -> Deployment {
    let (by, at) = ("arn:aws:iam::1:user/bob".to_owned(), deployment.started_at);
    deployment.progress.paused = Some(Pause { by, at, reason: None });
    deployment
}

fn of_stage(deployment: &mut Deployment) -> &mut Approval {
    let stage = deployment.progress.stage.0;
    deployment.plan.stages[stage].approval.as_mut().unwrap()
}

fn has_form(page: &str) -> bool {
    page.contains("<form")
}

#[test]
fn only_an_open_question_of_the_link_itself_can_be_answered() {
    let deployment = asking();
    let link = QuestionLink::of(&deployment).unwrap();
    let page = shown(&deployment, &link, None);
    assert!(has_form(&page) && page.contains("59m left"), "{page}");

    let later = QuestionLink { asked_at: link.asked_at + Span::from_millis(1), ..link.clone() };
    assert!(!has_form(&shown(&deployment, &later, None)));
    let other = QuestionLink { stage: link.stage.next(), ..link.clone() };
    assert!(!has_form(&shown(&deployment, &other, None)));

    let over = approved(deployment.clone());
    let page = shown(&over, &link, None);
    assert!(!has_form(&page) && page.contains("It was approved"), "{page}");

    let mut alarmed = deployment.clone();
    alarmed.phase = Phase::RollingBack;
    alarmed.fence = Some(Fence {
        trigger: FenceTrigger::StateMachine,
        failure: Failure::new(FailureCode::AlarmFired, "alarm `shop-5xx` fired"),
        at: alarmed.started_at,
    });
    let page = shown(&alarmed, &link, None);
    assert!(!has_form(&page) && page.contains("alarm `shop-5xx` fired"), "{page}");
    assert!(!page.contains("What was seen") && !page.contains("requests now"), "{page}");

    let now = deployment.started_at + Span::from_secs(3600);
    let (deployment, link, visitor) = (&deployment, &link, Visitor::LinkHolder);
    let page = Page { deployment, link, report: None, stack: "s", visitor, refused: None, now };
    assert_eq!(Standing::of(deployment, link, now), Standing::TimeIsUp(now));
    assert!(!has_form(&page.html()));
}

#[test]
fn until_the_weight_may_move_a_second_thought_is_offered_and_no_second_approval() {
    let minute = Span::from_secs(60);
    let mut held = asking();
    of_stage(&mut held).not_before = Some(minute.times(10));
    let link = QuestionLink::of(&held).unwrap();
    let takes =
        |page: &str| (page.contains("value=\"approve\""), page.contains("value=\"reject\""));
    let page = seen_after(&held, &link, minute);
    assert!(takes(&page) == (true, true) && page.contains(" at the earliest, in 9m."), "{page}");
    let held = approved(held);
    let page = seen_after(&held, &link, minute);
    assert_eq!(takes(&page), (false, true), "{page}");
    for told in
        ["It was approved", " at the earliest, in 9m.", "Until then it may still be refused."]
    {
        assert!(page.contains(told), "{told}: {page}");
    }
    let page = seen_after(&held, &link, minute.times(10));
    assert!(takes(&page) == (false, false) && !page.contains("may still be refused"), "{page}");
    // Whoever has paused it holds the weight for longer.
    let page = seen_after(&paused(held.clone()), &link, minute.times(10));
    assert!(takes(&page) == (false, true), "{page}");
    assert!(page.contains("user/bob has paused it") && !page.contains("at the earliest"), "{page}");
    // Nobody may who has no name, where somebody must.
    let mut named = held.clone();
    of_stage(&mut named).anyone_with_link = false;
    let page = seen_after(&named, &link, minute);
    assert!(takes(&page) == (false, false) && page.contains("glidepath reject "), "{page}");
    assert!(!page.contains("glidepath approve "), "{page}");
    let page = shown_to(&named, &link, ada(&[], true), None);
    assert!(takes(&page) == (false, true) && page.contains("form-of-ada"), "{page}");
}

#[test]
fn what_people_say_turns_nothing_around_it_and_looks_like_nothing_of_ours() {
    let said = "موافق\u{202e}\nIt was approved by \"security\" `rm`";
    let quoted = "<bdi>&quot;موافق It was approved by 'security' 'rm'&quot;</bdi>";
    let mut over = approved(asking());
    over.progress.decisions[0].1.reason = Some(said.to_owned());
    let Step::Approving { decision: Some(given), .. } = &mut over.progress.step else { panic!() };
    given.reason = Some(said.to_owned());
    let link = QuestionLink::of(&over).unwrap();
    let page = shown(&over, &link, None);
    let told =
        format!("By <bdi>{LINK_HOLDER}</bdi> at {}. Their reason: {quoted}", over.started_at);
    assert!(page.contains(&told), "{told}: {page}");
    let refused = shown(&asking(), &link, Some(said));
    assert!(refused.contains("Nothing was recorded: </strong><bdi>"), "{refused}");
}

#[test]
fn a_paused_question_whose_time_is_up_says_what_is_still_taken() {
    let hour = Span::from_secs(3_600);
    let link = QuestionLink::of(&asking()).unwrap();
    assert!(!has_form(&seen_after(&asking(), &link, hour)));
    for (on_timeout, then) in [
        (OnTimeout::Rollback, "once it is resumed, everything returns to stable."),
        (OnTimeout::Continue, "once it is resumed, it goes on."),
    ] {
        let mut deployment = paused(asking());
        of_stage(&mut deployment).on_timeout = on_timeout;
        let page = seen_after(&deployment, &link, hour);
        assert!(page.contains("value=\"reject\"") && !page.contains("value=\"approve\""), "{page}");
        for told in ["The time is up", "No approval is taken any more", then, "still be refused"] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }
}

#[test]
fn a_link_that_is_found_in_an_old_message_names_nobody_and_nothing() {
    let day = Span::from_secs(86_400);
    let link = QuestionLink::of(&asking()).unwrap();
    let mut over = approved(asking());
    (over.phase, over.next_due_at) = (Phase::Closed(Outcome::RolledBack), over.started_at);
    let fence = Fence {
        trigger: FenceTrigger::StateMachine,
        failure: Failure::new(FailureCode::AlarmFired, "alarm `shop-5xx` fired"),
        at: over.started_at,
    };
    over.fence = Some(fence);
    assert!(seen_after(&over, &link, day.times(7)).contains("shop"));
    let now = link.asked_at + day.times(8);
    let (deployment, link, visitor) = (&over, &link, Visitor::LinkHolder);
    let refused = Some("stage 1 was approved by ada");
    let page = Page { deployment, link, report: None, stack: "glidepath", visitor, refused, now };
    let page = page.html();
    assert!(page.contains("It is over") && !has_form(&page), "{page}");
    for never in ["shop", "ada", "graphs", "whoever had", "123456789012", "eu-west-1", "repository"]
    {
        assert!(!page.contains(never), "{never}: {page}");
    }
}

/// One minute of requests of both versions.
const COUNTED: &str = r#"{
    "deployment": "shop-42", "writtenAt": 1795244460000, "period": "1m", "begins": 1795244400000, "gaps": [0],
    "shifts": [{ "stage": 0, "at": 1795244400000 }], "stages": [0],
    "canary": { "all": [500], "bad": [1] }, "stable": { "all": [9500], "bad": [20] }
}"#;

#[test]
fn whoever_is_asked_sees_what_is_asked_and_what_speaks_for_it() {
    let mut deployment = asking();
    deployment.plan.stages[0].weight = Weight::from_permille(250).unwrap();
    of_stage(&mut deployment).not_before = Some(Span::from_secs(1_800));
    deployment.plan.stable_images = vec!["repository/app:9f8e7d6".to_owned()];
    deployment.plan.reason = Some("the new checkout".to_owned());
    deployment.warnings = vec!["nothing watches the queue".to_owned()];
    deployment.progress.judged =
        vec!["1 of 500 requests was bad".to_owned(), "2 of 3 targets are healthy".to_owned()];
    deployment.progress.against = vec!["2 of 3 targets are healthy".to_owned()];
    let link = QuestionLink::of(&deployment).unwrap();
    let cells = serde_json::from_str(COUNTED).unwrap();
    let report = crate::report(&deployment, &cells, "stage 1 is asked for".to_owned());
    let (deployment, link, visitor) = (&deployment, &link, Visitor::LinkHolder);
    let now = link.asked_at + Span::from_secs(60);
    let report = Some(&report);
    let page = Page { deployment, link, report, stack: "glidepath", visitor, refused: None, now };
    let page = page.html();
    for told in [
        "shop in production",
        "25 % of the requests to shop:42?",
        "shop:42 gets <strong>0 %</strong> of the requests now, and would get <strong>25 %</strong>; shop:41",
        "59m left), then everything returns to stable.",
        " at the earliest, in 29m.",
        "<li>1 of 500 requests was bad</li>",
        "<strong>Against it: </strong>2 of 3 targets are healthy",
        "<figure><svg",
        "<dd>shop:42, in the green slot</dd>",
        "<dt>Image</dt><dd>repository/app:0a1b2c3</dd>",
        "<dt>Its image</dt><dd>repository/app:9f8e7d6</dd>",
        "<dt>Started by</dt><dd><bdi>pipeline 7 of shop, as they say</bdi></dd>",
        "<dt>Because</dt><dd><bdi>the new checkout</bdi></dd>",
        "<strong>Warning: </strong>nothing watches the queue",
        "<li aria-current=\"step\">25 % for 5m, after an approval — here</li>",
        "shop-42, stack glidepath in eu-west-1, account 123456789012",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[test]
fn weights_of_somebody_else_are_not_shown_as_ours() {
    let mut deployment = asking();
    let link = QuestionLink::of(&deployment).unwrap();
    let now = link.asked_at + Span::from_secs(60);
    let shown = |deployment: &Deployment| {
        let (link, visitor) = (&link, Visitor::LinkHolder);
        Page { deployment, link, report: None, stack: "glidepath", visitor, refused: None, now }
            .html()
    };
    assert!(!shown(&deployment).contains("Somebody else changed a route"));
    let found = "the rule gives green 40".to_owned();
    deployment.progress.told = Some(Event::ForeignChange { found });
    let page = shown(&deployment);
    assert!(page.contains("Somebody else changed a route: </strong><bdi>the rule gives"), "{page}");
}

#[test]
fn a_question_that_asks_for_somebody_is_answered_elsewhere() {
    for change in [
        (|approval: &mut Approval| approval.anyone_with_link = false) as fn(&mut Approval),
        |approval| approval.count = 2,
        |approval| approval.not_by_starter = true,
    ] {
        let mut deployment = asking();
        let stage = deployment.progress.stage.0;
        change(deployment.plan.stages[stage].approval.as_mut().unwrap());
        let link = QuestionLink::of(&deployment).unwrap();
        let page = shown(&deployment, &link, None);
        let command = format!("glidepath approve {} --stack glidepath --region", deployment.id);
        assert!(!has_form(&page) && page.contains(&command), "{page}");
    }
}

/// One whose approvers are these.
fn asking_for(approvers: &[&str]) -> Deployment {
    let mut deployment = asking();
    let stage = deployment.progress.stage.0;
    let list = approvers.iter().map(|entry| (*entry).to_owned()).collect();
    deployment.plan.stages[stage].approval = Some(Approval {
        approvers: vec![Approvers::new(list)],
        ..Approval::anybody(Span::from_secs(3600), OnTimeout::Rollback)
    });
    deployment
}

fn ada(groups: &[String], says_groups: bool) -> Visitor<'_> {
    Visitor::SignedIn { by: "oidc:ada", groups, says_groups, token: "form-of-ada" }
}

#[test]
fn who_has_signed_in_is_told_before_they_try_whether_they_may_approve() {
    let release = ["oidc-group:release".to_owned()];
    let deployment = asking_for(&["oidc-group:release"]);
    let link = QuestionLink::of(&deployment).unwrap();
    let approves = |page: &str| page.contains("value=\"approve\"");
    let page = shown_to(&deployment, &link, Visitor::MaySignIn { at: "/sign-in/x" }, None);
    assert!(!has_form(&page) && page.contains("href=\"/sign-in/x\""), "{page}");
    let page = shown_to(&deployment, &link, ada(&release, true), None);
    assert!(approves(&page) && page.contains("value=\"form-of-ada\""), "{page}");
    assert!(page.contains("value=\"sign-out\"") && !page.contains("glidepath approve"), "{page}");
    for says_groups in [true, false] {
        let page = shown_to(&deployment, &link, ada(&[], says_groups), None);
        assert!(!approves(&page) && page.contains("value=\"reject\""), "{page}");
        assert!(page.contains("oidc:ada may not approve stage "), "{page}");
        assert_eq!(page.contains("above 200"), !says_groups, "{page}");
    }
    // Nobody but whom IAM lets decide.
    let page = shown_to(&asking_for(&[]), &link, ada(&release, true), None);
    assert!(!approves(&page), "{page}");
    // What anybody with the link answers records no name, so nobody need have one.
    let page = shown_to(&asking(), &link, Visitor::MaySignIn { at: "/sign-in/x" }, None);
    assert!(approves(&page) && !page.contains("/sign-in/x"), "{page}");
}

#[test]
fn who_has_approved_is_told_that_others_must() {
    let mut deployment = asking_for(&["oidc:ada", "oidc:bob"]);
    let link = QuestionLink::of(&deployment).unwrap();
    of_stage(&mut deployment).count = 2;
    let (by, at) = ("oidc:ada".to_owned(), deployment.started_at);
    let decision = Decision { approved: true, by, at, reason: None, groups: Vec::new() };
    deployment.progress.decisions.push((link.stage, decision));
    let page = shown_to(&deployment, &link, ada(&[], true), None);
    assert!(
        page.contains("already: 1 person more must")
            && page.contains("Approved by <bdi>oidc:ada</bdi>"),
        "{page}"
    );
    let bob = Visitor::SignedIn { by: "oidc:bob", groups: &[], says_groups: true, token: "b" };
    assert!(shown_to(&deployment, &link, bob, None).contains("value=\"approve\""));
}

#[test]
fn a_page_has_no_script_and_loads_nothing() {
    let deployment = asking();
    let link = QuestionLink::of(&deployment).unwrap();
    let page =
        shown_to(&deployment, &link, ada(&[], true), Some("stage 2 was approved by somebody"));
    assert!(page.contains("role=\"alert\"") && page.contains("was approved by somebody"));
    for never in ["<script", "javascript:", "src=", "@import", "url(", " on"] {
        let markup: String = page.split('<').filter_map(|tag| tag.split('>').next()).collect();
        assert!(!markup.contains(never), "{never}");
    }
    // The token of the pause is in the record.
    assert!(RECORD.contains("-secret") && !page.contains("-secret"), "{page}");
}

proptest! {
    #[test]
    fn whatever_people_have_written_stays_text(text in "[<>&\"'a-z =/\u{202e}-]{0,40}") {
        let mut deployment = asking();
        deployment.id = DeploymentId::new("d");
        deployment.plan.reason = Some(text.clone());
        deployment.plan.images = vec![text.clone()];
        deployment.progress.judged = vec![text.clone()];
        deployment.warnings = vec![text.clone()];
        let link = QuestionLink::of(&deployment).unwrap();
        let page = shown(&deployment, &link, Some(&text));
        let read = page.trim_start_matches("<!DOCTYPE html>");
        // Well-formed but for what HTML closes by itself.
        let read = read.replace("<meta charset=\"utf-8\">", "");
        let metas: Vec<_> = read.split("<meta").skip(1).filter_map(|rest| rest.split_once('>')).collect();
        prop_assert_eq!(metas.len(), 3);
        let mut closed = read.clone();
        for (inside, _) in metas {
            closed = closed.replace(&format!("<meta{inside}>"), "");
        }
        let style = closed.split_once("<style>").unwrap();
        let closed = format!("{}{}", style.0, style.1.split_once("</style>").unwrap().1);
        let parsed = roxmltree::Document::parse(&closed);
        prop_assert!(parsed.is_ok(), "{:?}\n{}", parsed.err(), closed);
        let parsed = parsed.unwrap();
        let alert = parsed.descendants().find(|node| node.attribute("role") == Some("alert"));
        let told: String = alert.unwrap().descendants().filter(|node| node.is_text()).map(|node| node.text().unwrap()).collect();
        prop_assert_eq!(told, format!("Nothing was recorded: {}", text));
    }
}
