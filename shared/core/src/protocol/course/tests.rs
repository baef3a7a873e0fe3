use proptest::prelude::*;

use super::*;
use crate::fixtures::{NOW, deployment};
use crate::health::Reason;
use crate::plan::{Approval, Opening, Openings};
use crate::protocol::{Takes, approve};
use crate::record::Pause;

fn verdict(says: &[Judgement]) -> Verdict {
    let reason = |judgement: &Judgement| Reason {
        judgement: *judgement,
        text: format!("something is {judgement}"),
    };
    let worst = says.iter().max().copied().unwrap_or(Judgement::Inconclusive);
    Verdict { judgement: worst, reasons: says.iter().map(reason).collect() }
}

fn baking(promoted: bool) -> Deployment {
    let mut deployment = deployment();
    let (by, reason) = ("ada".to_owned(), "quiet".to_owned());
    let promotion = Promotion { by, at: NOW, reason, skips_bake: false };
    let promoted = promoted.then_some(promotion);
    deployment.progress.step = Step::Baking { since: NOW, promoted };
    deployment.progress.shifted_at = Some(NOW);
    deployment
}

/// One window, of an hour.
fn from(from: Timestamp) -> Openings {
    let until = from + Span::from_secs(3_600);
    Openings { open: vec![Opening { from, until }], known_until: until }
}

/// Where a look leads that comes so long after the bake began.
fn leads(deployment: &Deployment, says: &[Judgement], after: Span) -> (MoveOn, NextStep) {
    let found = course(deployment, &verdict(says), &Routes::InOrder, NOW + after);
    (found.move_on, found.next)
}

fn bake(deployment: &Deployment) -> Span {
    deployment.plan.stages[0].bake
}

proptest! {
    #[test]
    fn the_word_of_a_person_counts_until_the_look_that_ends_the_wait(offset in -3_000i64..3_000) {
        let mut deployment = deployment();
        let until = NOW + Span::from_secs(60);
        deployment.progress.step =
            Step::Approving { since: NOW, until, decision: None, reminded: false };
        let now = Timestamp::from_millis(until.as_millis() + offset);
        let by = "ada".to_owned();
        let decision = Decision { approved: true, by, at: now, reason: None, groups: Vec::new() };
        let taken = approve(&deployment, deployment.progress.stage, decision, now).is_ok();
        let look = course(&deployment, &verdict(&[Judgement::Pass]), &Routes::InOrder, now);
        prop_assert_eq!(taken, look.move_on == MoveOn::Stay);
    }

    /// Whoever watches is told when the state machine comes back, and not when it might.
    #[test]
    fn the_next_look_is_the_one_that_the_course_waits_for(
        step in 0usize..4, elapsed in 1u64..20_000, remind: Option<u16>, reminded: bool, foreign: bool,
        paused: bool, opens: Option<u16>,
    ) {
        let mut deployment = deployment();
        let minutes = |minutes: u64| Span::from_secs(minutes * 60);
        let mut asked = Approval::anybody(minutes(200), OnTimeout::Rollback);
        asked.remind_after = remind.map(|after| Span::from_secs(after.into()));
        asked.not_before = Some(minutes(10));
        deployment.plan.stages[0].approval = Some(asked);
        let (now, until) = (NOW + Span::from_secs(elapsed), NOW + minutes(200));
        let by = || "ada".to_owned();
        let approved = Decision { approved: true, by: by(), at: NOW, reason: None, groups: Vec::new() };
        let pause = Pause { by: by(), at: NOW, reason: None };
        deployment.progress.paused = paused.then_some(pause);
        deployment.plan.windows = opens.map(|after| from(NOW + Span::from_secs(u64::from(after) + 1)));
        let skips = Promotion { by: by(), at: NOW, reason: by(), skips_bake: true };
        deployment.progress.step = match step {
            0 => Step::Baking { since: NOW, promoted: None },
            1 => Step::Baking { since: NOW, promoted: Some(skips) },
            2 => Step::Approving { since: NOW, until, decision: None, reminded },
            _ => Step::Approving { since: NOW, until, decision: Some(approved), reminded },
        };
        let routes = if foreign { Routes::Changed("40 %".to_owned()) } else { Routes::InOrder };
        let says = verdict(&[Judgement::Inconclusive]);
        let found = course(&deployment, &says, &routes, now);
        prop_assume!(found.next == NextStep::Gate);
        if foreign && step < 2 {
            deployment.progress.told = Some(Event::ForeignChange { found: "40 %".to_owned() });
        }
        if found.move_on == MoveOn::Remind {
            let Step::Approving { reminded, .. } = &mut deployment.progress.step else { panic!() };
            *reminded = true;
        }
        deployment.gate.as_mut().unwrap().tick.entered_at = now;
        prop_assert_eq!(next_look(&deployment), Some(now + found.wait));
    }

    #[test]
    fn nothing_moves_before_the_bake_is_over(
        says in proptest::collection::vec(
            prop_oneof![
                Just(Judgement::Pass),
                Just(Judgement::Inconclusive),
                Just(Judgement::Suspect),
            ],
            0..4,
        ),
        promoted: bool,
    ) {
        let deployment = baking(promoted);
        let before = Span::from_millis(bake(&deployment).as_millis() - 1);
        prop_assert_eq!(leads(&deployment, &says, before), (MoveOn::Stay, NextStep::Gate));
    }
}

#[test]
fn a_bake_without_a_word_against_it_goes_on_and_the_last_one_commits() {
    let mut deployment = baking(false);
    let bake = bake(&deployment);
    let next = (MoveOn::Stage(StageIndex(1)), NextStep::Advance);
    assert_eq!(leads(&deployment, &[Judgement::Pass], bake), next);
    deployment.progress.stage = StageIndex(deployment.plan.stages.len() - 1);
    let year = Span::from_secs(365 * 86_400);
    let done = (MoveOn::Stay, NextStep::Complete);
    assert_eq!(leads(&deployment, &[Judgement::Pass], year), done);
}

#[test]
fn outside_its_windows_no_stage_begins_and_whatever_else_may_come_comes() {
    let mut deployment = baking(false);
    let bake = bake(&deployment);
    let opens_at = NOW + bake.times(3);
    deployment.plan.windows = Some(from(opens_at));
    let look = course(&deployment, &verdict(&[Judgement::Pass]), &Routes::InOrder, NOW + bake);
    let event = Event::OutsideWindows { stage: StageIndex(1), opens_at: Some(opens_at) };
    assert_eq!((look.move_on, look.next), (MoveOn::Tell(event), NextStep::Gate));
    assert!(look.summary.starts_with("outside its windows until "), "{}", look.summary);
    let open = leads(&deployment, &[Judgement::Pass], bake.times(3));
    assert_eq!(open, (MoveOn::Stage(StageIndex(1)), NextStep::Advance));
    // Nobody is rung at night for what can come to nothing before the morning, and then there is time for it.
    for says in [Judgement::Inconclusive, Judgement::Suspect] {
        for then in [OnInconclusive::Hold, OnInconclusive::Rollback, OnInconclusive::Continue] {
            deployment.plan.health.on_inconclusive = then;
            let waits = leads(&deployment, &[says], bake.times(2));
            let told =
                matches!(waits, (MoveOn::Tell(Event::OutsideWindows { .. }), NextStep::Gate));
            assert!(told, "{waits:?}");
            let opened = leads(&deployment, &[says], bake.times(3));
            assert!(matches!(opened, (MoveOn::Tell(Event::Waiting { .. }), NextStep::Gate)));
        }
    }
    // Nothing moves by a commit, and the old version stays a while.
    deployment.progress.stage = StageIndex(deployment.plan.stages.len() - 1);
    let year = Span::from_secs(365 * 86_400);
    deployment.plan.windows = Some(from(NOW + year.times(2)));
    let done = (MoveOn::Stay, NextStep::Complete);
    assert_eq!(leads(&deployment, &[Judgement::Pass], year), done);
}

#[test]
fn whoever_approves_outside_the_windows_is_told_when_it_goes_on_and_may_think_again() {
    let mut deployment = deployment();
    let minutes = |minutes: u64| Span::from_secs(minutes * 60);
    let opens_at = NOW + minutes(90);
    deployment.plan.windows = Some(from(opens_at));
    let by = "ada".to_owned();
    let at = NOW + minutes(5);
    let given = Decision { approved: true, by, at, reason: None, groups: Vec::new() };
    let asks = |decision| Step::Approving {
        since: NOW,
        until: NOW + minutes(60),
        decision,
        reminded: false,
    };
    let approval = Approval::anybody(minutes(60), OnTimeout::Rollback);
    deployment.plan.stages[0].approval = Some(approval);
    deployment.progress.step = asks(Some(given.clone()));
    assert_eq!(deployment.goes_on_at(at), Some(opens_at));
    assert_eq!(deployment.takes(NOW + minutes(89)), Takes::Rejection);
    assert_eq!(leads(&deployment, &[Judgement::Pass], minutes(89)), (MoveOn::Stay, NextStep::Gate));
    assert_eq!(
        leads(&deployment, &[Judgement::Pass], minutes(90)),
        (MoveOn::Shift, NextStep::Advance)
    );
    assert_eq!(deployment.takes(opens_at), Takes::Nothing);
    // Within a window it is the answer, or what it must wait for.
    deployment.plan.windows = Some(from(NOW));
    assert_eq!(deployment.goes_on_at(NOW + minutes(6)), Some(NOW + minutes(6)));
    deployment.plan.stages[0].approval.as_mut().unwrap().not_before = Some(minutes(20));
    assert_eq!(deployment.goes_on_at(at), Some(NOW + minutes(20)));
    deployment.plan.stages[0].approval.as_mut().unwrap().not_before = Some(minutes(70));
    deployment.plan.windows.as_mut().unwrap().open.push(from(NOW + minutes(600)).open[0]);
    assert_eq!(deployment.goes_on_at(at), Some(NOW + minutes(600)));
    // Whoever has not answered yet hears of the time from now on.
    deployment.plan.stages[0].approval.as_mut().unwrap().not_before = None;
    deployment.progress.step = asks(None);
    assert_eq!(deployment.goes_on_at(NOW + minutes(59)), Some(NOW + minutes(59)));
    assert_eq!(deployment.goes_on_at(NOW + minutes(61)), Some(NOW + minutes(600)));
    // Of an answer of the day whose look comes in the night there is time for a second thought, too.
    deployment.progress.step = asks(Some(given));
    assert_eq!(deployment.takes(NOW + minutes(61)), Takes::Rejection);
    // Where none opens any more somebody is told, whoever has answered or not.
    deployment.plan.windows = Some(from(NOW));
    let never = |deployment: &Deployment| {
        let event = Event::OutsideWindows { stage: StageIndex(0), opens_at: None };
        leads(deployment, &[Judgement::Pass], minutes(70)).0 == MoveOn::Tell(event)
    };
    assert!(never(&deployment));
    deployment.progress.step = asks(None);
    deployment.plan.stages[0].approval.as_mut().unwrap().on_timeout = OnTimeout::Continue;
    assert!(never(&deployment));
}

#[test]
fn what_somebody_has_let_go_on_does_not_count_in_the_morning() {
    let mut deployment = baking(true);
    let bake = bake(&deployment);
    deployment.plan.windows = Some(from(NOW + bake.times(3)));
    let (move_on, next) = leads(&deployment, &[Judgement::Pass], bake.times(2));
    assert!(matches!(move_on, MoveOn::Decline(why) if why[0].starts_with("outside its windows")));
    assert_eq!(next, NextStep::Gate);
}

#[test]
fn a_stage_is_extended_by_so_much_of_its_windows_and_the_last_one_by_the_clock() {
    let mut deployment = baking(false);
    let hour = Span::from_secs(3_600);
    let day = |days: u64| from(NOW + hour.times(24 * days)).open[0];
    deployment.plan.windows =
        Some(Openings { open: (0..4).map(day).collect(), known_until: NOW + hour.times(96) });
    let baked_at = NOW + hour.times(24);
    assert_eq!(deployment.extended_for(baked_at, baked_at + hour.times(23)), hour);
    assert_eq!(deployment.extended_for(baked_at, baked_at + hour.times(47)), hour.times(2));
    deployment.progress.stage = StageIndex(deployment.plan.stages.len() - 1);
    assert_eq!(deployment.extended_for(baked_at, baked_at + hour.times(47)), hour.times(47));
}

#[test]
fn nobodys_answer_that_goes_on_waits_for_the_window_and_may_still_be_refused() {
    let mut deployment = deployment();
    let minutes = |minutes: u64| Span::from_secs(minutes * 60);
    deployment.plan.windows = Some(from(NOW + minutes(90)));
    let approval = Approval::anybody(minutes(60), OnTimeout::Continue);
    deployment.plan.stages[0].approval = Some(approval);
    let until = NOW + minutes(60);
    deployment.progress.step =
        Step::Approving { since: NOW, until, decision: None, reminded: false };
    let after = |after| leads(&deployment, &[Judgement::Pass], minutes(after));
    assert_eq!(after(61), (MoveOn::Stay, NextStep::Gate));
    assert_eq!(deployment.takes(NOW + minutes(61)), Takes::Rejection);
    assert_eq!(after(90), (MoveOn::Shift, NextStep::Advance));
    assert_eq!(deployment.takes(NOW + minutes(90)), Takes::Nothing);
}

#[test]
fn what_lacks_is_waited_for_and_then_is_as_the_plan_says() {
    let mut deployment = baking(false);
    let over = bake(&deployment).plus(deployment.plan.health.extend_up_to);
    let lacks = [Judgement::Pass, Judgement::Inconclusive];
    let waiting = leads(&deployment, &lacks, bake(&deployment));
    assert!(matches!(waiting, (MoveOn::Tell(Event::Waiting { .. }), NextStep::Gate)));
    deployment.plan.health.on_inconclusive = OnInconclusive::Hold;
    let held = leads(&deployment, &lacks, over);
    assert!(matches!(held, (MoveOn::Tell(Event::StageHeld { .. }), NextStep::Gate)));
    deployment.plan.health.on_inconclusive = OnInconclusive::Continue;
    assert_eq!(leads(&deployment, &lacks, over).1, NextStep::Advance);
    deployment.plan.health.on_inconclusive = OnInconclusive::Rollback;
    let (ended, next) = leads(&deployment, &lacks, over);
    assert!(matches!(ended, MoveOn::End(failure) if failure.code == FailureCode::Inconclusive));
    assert_eq!(next, NextStep::Rollback);
}

#[test]
fn a_promotion_lets_go_on_what_only_lacks_and_nothing_that_something_speaks_against() {
    let deployment = baking(true);
    let bake = bake(&deployment);
    assert_eq!(leads(&deployment, &[Judgement::Inconclusive], bake).1, NextStep::Advance);
    let (declined, next) = leads(&deployment, &[Judgement::Suspect], bake);
    assert!(matches!(declined, MoveOn::Decline(against) if against.len() == 1));
    assert_eq!(next, NextStep::Gate);
    let changed = Routes::Changed("rule: canary at 7 %".to_owned());
    let look = course(&deployment, &verdict(&[Judgement::Pass]), &changed, NOW + bake);
    assert!(matches!(look.move_on, MoveOn::Decline(_)));
}

#[test]
fn why_somebody_has_refused_begins_and_ends_with_a_quotation_mark_of_ours() {
    let mut deployment = deployment();
    let reason = Some("odd\n\"all is `well`\"\u{202e}".to_owned());
    let by = "ada".to_owned();
    let refused = Decision { approved: false, by, at: NOW, reason, groups: Vec::new() };
    let (until, decision) = (NOW + Span::from_secs(60), Some(refused));
    deployment.progress.step = Step::Approving { since: NOW, until, decision, reminded: false };
    let (move_on, _) = leads(&deployment, &[], Span::ZERO);
    let cause = "ada rejected stage 1: \"odd 'all is 'well''\"";
    assert_eq!(move_on, MoveOn::End(Failure::new(FailureCode::ApprovalRejected, cause)));
}

#[test]
fn a_look_that_has_ended_it_once_leads_back_whatever_a_later_one_sees() {
    let mut deployment = baking(false);
    let failure = Failure::new(FailureCode::ApprovalRejected, "ada rejected stage 1");
    deployment.progress.ended_by = Some(failure.clone());
    let back = (MoveOn::End(failure), NextStep::Rollback);
    assert_eq!(leads(&deployment, &[Judgement::Pass], Span::ZERO), back);
}

#[test]
fn whoever_skips_a_bake_skips_no_verdict() {
    let mut deployment = baking(true);
    let Step::Baking { promoted: Some(promotion), .. } = &mut deployment.progress.step else {
        panic!("it bakes")
    };
    promotion.skips_bake = true;
    let early = Span::from_secs(1);
    let next = MoveOn::Stage(StageIndex(1));
    assert_eq!(leads(&deployment, &[Judgement::Pass], early), (next, NextStep::Advance));
    let lacking = leads(&deployment, &[Judgement::Inconclusive], early);
    assert_eq!(lacking, (MoveOn::Stay, NextStep::Gate));
    let (move_on, step) = leads(&deployment, &[Judgement::Suspect], early);
    assert!(matches!(move_on, MoveOn::Decline(_)) && step == NextStep::Gate);
    // Somebody who only lets it go on waits for the end of the bake.
    let (move_on, step) = leads(&baking(true), &[Judgement::Pass], early);
    assert_eq!((move_on, step), (MoveOn::Stay, NextStep::Gate));
}
