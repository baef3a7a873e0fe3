//! Where a look at a deployment leads: what a bake, a question and a hold come to.

use super::forward::{MoveOn, Routes};
use super::reply::NextStep;
use crate::failure::{Failure, FailureCode};
use crate::health::{AlarmSignal, Judgement, Reading, Readings, Verdict, Watched};
use crate::pace::tick;
use crate::people::people;
use crate::plan::{OnInconclusive, OnTimeout, Plan, StageIndex};
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
            if let Some(held) = self.held_for_good(stage) {
                return held;
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
            Some(OnTimeout::Continue) if self.deployment.held_back(self.now).is_some() => {
                let summary = format!("nobody answered until {until}: it goes on once it may");
                self.held_for_good(stage).unwrap_or_else(|| self.stay(tick, summary))
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
        if let (Some(stage), Some(held)) = (next, self.deployment.held_back(self.now)) {
            let (why, judged) = (held.in_words(), self.judged());
            // Whoever wanted to leave out the rest of the bake may have been too late for that.
            let wait = if baked < bake { tick.min((since + bake).since(self.now)) } else { tick };
            if promoted.is_some() {
                // It would count in the morning, for whatever is lacking then.
                return self.decline(vec![why], wait, judged);
            }
            // Whatever is lacking now, nobody has to be there for it: it is asked again when something can come of it.
            return self.tell(held.event(stage), wait, format!("{why}: {judged}"));
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

    /// What an answer comes to if nobody knows when a weight may move again: somebody has to end it, or to thaw it.
    fn held_for_good(&self, stage: StageIndex) -> Option<Course> {
        let held = self.deployment.held_back(self.now).filter(|held| held.until().is_none())?;
        let tick = tick(self.deployment, self.now);
        Some(self.tell(held.event(stage), tick, held.in_words()))
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
    /// For how long the present stage has been extended whose bake is over since then: a time outside its windows, or frozen,
    /// does not count, if nothing could have come of it.
    pub fn extended_for(&self, baked_at: Timestamp, now: Timestamp) -> Span {
        if self.plan.is_last(self.progress.stage) {
            now.since(baked_at)
        } else {
            self.open_time(baked_at, now)
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
mod tests;
