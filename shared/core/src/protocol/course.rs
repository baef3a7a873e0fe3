//! Where a look at a deployment leads: what a bake, a question and a hold come to.

use super::forward::{MoveOn, Routes};
use super::reply::NextStep;
use crate::failure::{Failure, FailureCode};
use crate::health::{AlarmSignal, Judgement, Reading, Readings, Verdict, Watched};
use crate::pace::tick;
use crate::people::people;
use crate::plan::{Moves, OnInconclusive, OnTimeout, Plan, StageIndex, outside_windows};
use crate::record::{Decision, Deployment, Event, Phase, Promotion, RecordedHealth, Step};
use crate::said::quoted;
use crate::time::{Span, Timestamp};

/// The failure that the readings lead to, if they do.
pub fn failing(readings: &Readings, verdict: &Verdict) -> Option<Failure> {
    if verdict.judgement != Judgement::Fail {
        return None;
    }
    let firing = match &readings.alarms {
        Reading::Read(alarms) => alarms
            .iter()
            .any(|alarm| alarm.signal == AlarmSignal::Alarm && alarm.watched != Watched::Stable),
        Reading::Unreadable(_) => false,
    };
    let code = if firing { FailureCode::AlarmFired } else { FailureCode::VerdictFailed };
    let reasons = verdict.texts(|judgement| judgement == Judgement::Fail);
    Some(Failure::new(code, reasons.join("; ")))
}

/// Where a look leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// What it changes of the deployment.
    pub move_on: MoveOn,
    /// What the state machine does next.
    pub next: NextStep,
    pub wait: Span,
    /// Why, in one sentence.
    pub summary: String,
}

/// Where a look leads that ends nothing by itself: the stage goes on, or waits, or the time of a question is
/// over.
pub fn course(
    deployment: &Deployment,
    verdict: &Verdict,
    routes: &Routes,
    now: Timestamp,
) -> Course {
    Look { deployment, verdict, routes, now }.course()
}

/// A question.
#[derive(Clone, Copy)]
struct Asked {
    since: Timestamp,
    until: Timestamp,
    reminded: bool,
}

struct Look<'a> {
    deployment: &'a Deployment,
    verdict: &'a Verdict,
    routes: &'a Routes,
    now: Timestamp,
}

impl Look<'_> {
    /// Where it leads, unless that is forward and somebody has paused it. A stage that settles is held where its weight
    /// would move: until then its tasks start.
    fn course(&self) -> Course {
        let course = self.leads();
        let settles = matches!(self.deployment.progress.step, Step::Settling { .. });
        let forward = match course.next {
            NextStep::Advance | NextStep::Complete => !settles,
            NextStep::Gate
            | NextStep::Validate
            | NextStep::Rollback
            | NextStep::Succeeded
            | NextStep::Failed => false,
        };
        match &self.deployment.progress.paused {
            Some(pause) if forward => self.stay(
                tick(self.deployment, self.now),
                format!("{}: {}", pause.in_words(), course.summary),
            ),
            Some(_) | None => course,
        }
    }

    fn leads(&self) -> Course {
        if let Some(failure) = &self.deployment.progress.ended_by {
            return self.end(failure.clone());
        }
        match &self.deployment.progress.step {
            Step::Settling { .. } => Course {
                move_on: MoveOn::Stay,
                next: NextStep::Advance,
                wait: Span::ZERO,
                summary: "tasks start".to_owned(),
            },
            Step::Approving { since, until, decision, reminded } => self.approving(
                Asked { since: *since, until: *until, reminded: *reminded },
                decision.as_ref(),
            ),
            Step::Baking { since, promoted } => self.baking(*since, promoted.as_ref()),
        }
    }

    fn approving(&self, asked: Asked, decision: Option<&Decision>) -> Course {
        let Asked { since, until, reminded } = asked;
        let stage = self.deployment.progress.stage;
        let approval = self.deployment.plan.stage(stage).and_then(|stage| stage.approval.as_ref());
        let tick = tick(self.deployment, self.now);
        if let Some(decision) = decision {
            if !decision.approved {
                let reason = decision
                    .reason
                    .as_deref()
                    .map_or(String::new(), |reason| format!(": {}", quoted(reason)));
                return self.end(Failure::new(
                    FailureCode::ApprovalRejected,
                    format!("{} rejected stage {stage}{reason}", decision.by),
                ));
            }
            if let Some(never) = self.never_opens(stage) {
                return never;
            }
            let earliest = self.deployment.goes_on_at(self.now);
            if let Some(earliest) = earliest.filter(|earliest| self.now < *earliest) {
                let summary = format!("{} approved; it goes on at {earliest}", decision.by);
                return self.stay(tick.min(earliest.since(self.now)), summary);
            }
            return self.shift(format!("{} approved", decision.by));
        }
        if self.deployment.progress.step.awaits(self.now) {
            let reminder =
                approval.and_then(|approval| approval.remind_after).filter(|_| !reminded);
            let reminder = reminder.map(|after| since + after);
            let summary = format!("waits for a person until {until}");
            let next = reminder.filter(|at| *at > self.now).unwrap_or(until).min(until);
            let wait = tick.min(next.since(self.now));
            return if reminder.is_some_and(|at| at <= self.now) {
                Course { move_on: MoveOn::Remind, next: NextStep::Gate, wait, summary }
            } else {
                self.stay(wait, summary)
            };
        }
        match approval.map(|approval| approval.on_timeout) {
            // Until it may move whoever says no is in time.
            Some(OnTimeout::Continue) if self.outside_windows().is_some() => {
                let summary =
                    format!("nobody answered until {until}: it goes on with its next window");
                self.never_opens(stage).unwrap_or_else(|| self.stay(tick, summary))
            }
            Some(OnTimeout::Continue) => {
                self.shift(format!("nobody answered until {until}: it goes on, as planned"))
            }
            Some(OnTimeout::Rollback) | None => {
                let given: Vec<_> =
                    self.deployment.approvals(stage).map(|given| given.by.as_str()).collect();
                let lacking = people(self.deployment.approvals_lacking(stage));
                let cause = if given.is_empty() {
                    format!("nobody approved stage {stage} until {until}")
                } else {
                    format!(
                        "{} approved stage {stage}, and {lacking} more did not until {until}",
                        given.join(" and ")
                    )
                };
                self.end(Failure::new(FailureCode::ApprovalTimedOut, cause))
            }
        }
    }

    fn baking(&self, since: Timestamp, promoted: Option<&Promotion>) -> Course {
        let plan = &self.deployment.plan;
        let index = self.deployment.progress.stage;
        let bake = plan.stage(index).map_or(Span::ZERO, |stage| stage.bake);
        let baked = self.now.since(since);
        let tick = tick(self.deployment, self.now);
        if let Routes::Changed(found) = self.routes {
            let summary = format!("holds: {found}");
            return match promoted {
                Some(_) => self.decline(vec![found.clone()], tick, summary),
                None => self.stay(tick, summary),
            };
        }
        let skips = promoted.is_some_and(|promotion| promotion.skips_bake);
        if baked < bake && !skips {
            let until = since + bake;
            let summary = format!("{}: bakes until {until}", self.judged());
            return self.stay(tick.min(until.since(self.now)), summary);
        }
        let next = (!plan.is_last(index)).then(|| index.next());
        if let (Some(stage), Some(opens_at)) = (next, self.outside_windows()) {
            let (why, judged) = (outside_windows(opens_at), self.judged());
            // Whoever wanted to leave out the rest of the bake may have been too late for that.
            let wait = if baked < bake { tick.min((since + bake).since(self.now)) } else { tick };
            if promoted.is_some() {
                // It would count in the morning, for whatever is lacking then.
                return self.decline(vec![why], wait, judged);
            }
            // Whatever is lacking now, nobody has to be there for it: it is asked again when something can come of it.
            let event = Event::OutsideWindows { stage, opens_at };
            return self.tell(event, wait, format!("{why}: {judged}"));
        }
        let reasons = self.verdict.texts(|judgement| judgement == Judgement::Inconclusive);
        let against = self.verdict.texts(|judgement| judgement == Judgement::Suspect);
        let summary = [reasons.as_slice(), &against].concat().join("; ");
        if reasons.is_empty() && against.is_empty() {
            let judged = self.judged();
            return self.onward(match promoted.filter(|_| baked < bake) {
                Some(promotion) => format!("{} ends its bake early: {judged}", promotion.by),
                None => judged,
            });
        }
        if let Some(promotion) = promoted.filter(|_| baked < bake && against.is_empty()) {
            // It is the time that is left out. What is lacking may come before its end.
            let summary =
                format!("{} ends its bake as soon as nothing is lacking: {summary}", promotion.by);
            return self.stay(tick.min((since + bake).since(self.now)), summary);
        }
        match promoted {
            Some(promotion) if against.is_empty() => {
                return self.onward(format!("{} lets it go on: {summary}", promotion.by));
            }
            Some(_) => return self.decline(against, tick, format!("held: {summary}")),
            None => {}
        }
        if self.deployment.extended_for(since + bake, self.now) < plan.health.extend_up_to {
            let event = Event::Waiting { stage: index, reasons, against };
            return self.tell(event, tick, format!("extended: {summary}"));
        }
        match plan.health.on_inconclusive {
            OnInconclusive::Hold => {
                let event = Event::StageHeld { stage: index, reasons, against };
                self.tell(event, tick, format!("held: {summary}"))
            }
            OnInconclusive::Rollback => self.end(Failure::new(FailureCode::Inconclusive, summary)),
            OnInconclusive::Continue => self.onward(format!("goes on regardless: {summary}")),
        }
    }

    /// Whether it is outside its windows, and when the next opens.
    fn outside_windows(&self) -> Option<Option<Timestamp>> {
        match self.deployment.plan.moves(self.now) {
            Moves::NotBefore(opens_at) => Some(opens_at),
            Moves::AtAnyTime | Moves::Since(_) => None,
        }
    }

    /// What an answer comes to once no window is known to open again: somebody has to end it.
    fn never_opens(&self, stage: StageIndex) -> Option<Course> {
        let opens_at = self.outside_windows().filter(Option::is_none)?;
        let event = Event::OutsideWindows { stage, opens_at };
        Some(self.tell(event, tick(self.deployment, self.now), outside_windows(opens_at)))
    }

    fn judged(&self) -> String {
        let texts: Vec<_> =
            self.verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
        texts.join("; ")
    }

    fn onward(&self, summary: String) -> Course {
        let index = self.deployment.progress.stage;
        if self.deployment.plan.is_last(index) {
            let (move_on, next) = (MoveOn::Stay, NextStep::Complete);
            return Course { move_on, next, wait: Span::ZERO, summary };
        }
        let (move_on, next) = (MoveOn::Stage(index.next()), NextStep::Advance);
        Course { move_on, next, wait: Span::ZERO, summary }
    }

    fn stay(&self, wait: Span, summary: String) -> Course {
        Course { move_on: MoveOn::Stay, next: NextStep::Gate, wait, summary }
    }

    fn tell(&self, event: Event, wait: Span, summary: String) -> Course {
        Course { move_on: MoveOn::Tell(event), next: NextStep::Gate, wait, summary }
    }

    fn decline(&self, against: Vec<String>, wait: Span, summary: String) -> Course {
        Course { move_on: MoveOn::Decline(against), next: NextStep::Gate, wait, summary }
    }

    fn end(&self, failure: Failure) -> Course {
        let (summary, wait) = (failure.cause.clone(), Span::ZERO);
        Course { move_on: MoveOn::End(failure), next: NextStep::Rollback, wait, summary }
    }

    fn shift(&self, summary: String) -> Course {
        Course { move_on: MoveOn::Shift, next: NextStep::Advance, wait: Span::ZERO, summary }
    }
}

impl Deployment {
    /// For how long the present stage has been extended whose bake is over since then: a time outside its windows does
    /// not count, if nothing could have come of it.
    pub fn extended_for(&self, baked_at: Timestamp, now: Timestamp) -> Span {
        if self.plan.is_last(self.progress.stage) {
            now.since(baked_at)
        } else {
            self.plan.open_time(baked_at, now)
        }
    }
}

/// When a deployment that waits at its gate is looked at next, as [`course`] has it; `None` where it does not
/// wait there, and on the way back. An answer, an alarm or the end of its execution comes before.
pub fn next_look(deployment: &Deployment) -> Option<Timestamp> {
    let entered = deployment.gate.as_ref().filter(|_| deployment.phase == Phase::Open)?;
    let entered = entered.tick.entered_at;
    let progress = &deployment.progress;
    let stage = deployment.plan.stage(progress.stage);
    let sooner = match &progress.step {
        Step::Settling { .. } => None,
        Step::Approving { decision: Some(_), .. } => deployment.goes_on_at(entered),
        Step::Approving { since, until, decision: None, reminded } => {
            let approval = stage.and_then(|stage| stage.approval.as_ref());
            let reminder = approval.and_then(|approval| approval.remind_after);
            let reminder = reminder.filter(|_| !reminded).map(|after| *since + after);
            Some(reminder.map_or(*until, |reminder| reminder.min(*until)))
        }
        // Whose routes are somebody else's does not bake.
        Step::Baking { .. } if matches!(progress.told, Some(Event::ForeignChange { .. })) => None,
        Step::Baking { since, .. } => Some(*since + stage.map_or(Span::ZERO, |stage| stage.bake)),
    };
    let regular = entered + tick(deployment, entered);
    Some(sooner.filter(|sooner| *sooner > entered).map_or(regular, |sooner| regular.min(sooner)))
}

/// The health of stable as a rollback may rely on it; `None` if it could not be read.
pub fn stable_health(plan: &Plan, readings: &Readings) -> Option<RecordedHealth> {
    match &readings.targets {
        Reading::Read(targets) => {
            let healthy = targets.iter().map(|route| route.stable_healthy).min()?;
            Some(RecordedHealth { healthy, at: readings.at, fresh_for: plan.health.fresh_for() })
        }
        Reading::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            leads(&deployment, &[Judgement::Pass], minutes(89)),
            (MoveOn::Stay, NextStep::Gate)
        );
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
        assert!(
            matches!(move_on, MoveOn::Decline(why) if why[0].starts_with("outside its windows"))
        );
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
}
