//! Looks at a deployment that waits, gathers evidence and judges. Every turn also refreshes the
//! recorded health of stable, on which a rollback relies to write without looking.

use std::pin::pin;

use futures_util::future::{Either, select};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::{
    AlarmSignal, Evidence, Judgement, MeasuredMetrics, Reading, StoredCells, Verdict, Watched,
    judge,
};
use glidepath_core::notice::Event;
use glidepath_core::plan::{OnInconclusive, OnTimeout};
use glidepath_core::protocol::{
    Decision, Deployment, Judged, MoveOn, NextStep, Observed, Promotion, RecordedHealth, Reply,
    Routes, Step, observe,
};
use glidepath_core::time::{Span, Timestamp};

pub use crate::evidence::Sources;
use crate::evidence::{Gathered, gather, hook_runs, watched_stage};
use crate::pace::{self, overdue};
use crate::ports::{Clock, Containers, Hooks, LoadBalancer, Monitoring, Probing, Registry};
use crate::restore::fresh_for;
use crate::transition::{load, refusal, transition};
use crate::{StepInput, routes};

/// One look.
pub async fn run<R, L, C, M, H, P, K>(
    registry: &R,
    sources: &Sources<'_, L, C, M, H, P>,
    clock: &K,
    input: &StepInput,
) -> Result<Reply, Failure>
where
    R: Registry,
    L: LoadBalancer,
    C: Containers,
    M: Monitoring,
    H: Hooks,
    P: Probing,
    K: Clock,
{
    let deployment = load(registry, &input.deployment).await?;
    deployment.require_open().map_err(|refused| refusal(&refused))?;
    // First, because what is measured while they are somebody else's counts for nothing.
    let observed = routes::read(sources.load_balancer, &deployment.plan.routes).await?;
    let routes = routes::foreign(&deployment, &observed).map_or(Routes::InOrder, Routes::Changed);
    let read = deployment;
    let progress = read.progress.seeing(&routes, clock.now());
    let deployment = Deployment { progress, ..read.clone() };
    let gathered = gather(sources, clock, &deployment).await;
    let Gathered { evidence, traffic, period } = gathered;
    let verdict = judge(&deployment.plan, watched_stage(&deployment), &evidence);
    // The look that fails is the one that a report must not miss.
    keep(registry, clock, &deployment, &evidence, period).await;
    if let Some(failure) = failing(&evidence, &verdict) {
        return Err(failure);
    }
    let now = clock.now();
    let look = Look { deployment: &deployment, verdict: &verdict, routes: &routes, now };
    let course = look.course();
    let health = recorded(&deployment, &evidence);
    let judged = Judged {
        reasons: verdict.texts(|_| true),
        against: verdict.texts(|judgement| judgement == Judgement::Suspect),
    };
    let (seen, here, told) = transition(registry, &deployment.id, |current| {
        let now = clock.now();
        let due = overdue(&current.plan, now, course.wait);
        // Answers of hooks belong to the stage at which they were asked.
        let same_stage = current.progress.stage == deployment.progress.stage;
        let asked = same_stage && !evidence.hooks.is_empty();
        let hooks = asked.then(|| hook_runs(&evidence, &deployment.progress.hooks));
        let (routes, judged) = (routes.clone(), Some(judged.clone()));
        let observed = Observed { health, traffic, hooks, routes, judged };
        let move_on = course.move_on.clone();
        let (seen, writes) = observe(current, &read, observed, move_on, now, due)?;
        let told = seen.notices > current.notices;
        Ok(((seen, current.is_where(&read), told), writes))
    })
    .await?;
    if !here {
        // A person has decided since the look began, or a copy of it was faster.
        let summary = "something was decided meanwhile: it is looked at again";
        return Ok(Reply::new(&seen.id, NextStep::Validate, summary).telling(told));
    }
    if let MoveOn::End(failure) = course.move_on {
        return Err(failure);
    }
    Ok(Reply::new(&seen.id, course.next, course.summary).after(course.wait).telling(told))
}

/// How long a look waits for its cells to be kept: what follows it may be a rollback.
const KEPT_WITHIN: Span = Span::from_millis(500);

/// Keeps what was counted, for the report. Whatever becomes of it, the verdict stands.
async fn keep(
    registry: &impl Registry,
    clock: &impl Clock,
    deployment: &Deployment,
    evidence: &Evidence,
    period: Option<Span>,
) {
    let cells = match &evidence.metrics {
        Reading::Read(MeasuredMetrics { requests: Reading::Read(cells), .. }) => cells,
        Reading::Read(_) | Reading::Unreadable(_) => return,
    };
    let Some(period) = period.filter(|_| !cells.is_empty()) else { return };
    let (id, shifts) = (&deployment.id, &deployment.progress.shifts);
    let cells = StoredCells::of(id, &deployment.plan, shifts, (period, cells), evidence.at);
    let written = pin!(registry.store_cells(&cells));
    let late = pin!(clock.sleep(KEPT_WITHIN));
    let error = match select(written, late).await {
        Either::Left((Ok(()), _)) => return,
        Either::Left((Err(error), _)) => error.to_string(),
        Either::Right(((), _)) => format!("no answer within {KEPT_WITHIN}"),
    };
    tracing::warn!(
        deployment.id = %id,
        error,
        "the cells were not kept; the report is as of the look before"
    );
}

/// The failure that the evidence leads to, if it does.
fn failing(evidence: &Evidence, verdict: &Verdict) -> Option<Failure> {
    if verdict.judgement != Judgement::Fail {
        return None;
    }
    let firing = match &evidence.alarms {
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
struct Course {
    move_on: MoveOn,
    next: NextStep,
    wait: Span,
    summary: String,
}

struct Look<'a> {
    deployment: &'a Deployment,
    verdict: &'a Verdict,
    routes: &'a Routes,
    now: Timestamp,
}

impl Look<'_> {
    fn course(&self) -> Course {
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
            Step::Approving { until, decision, .. } => self.approving(*until, decision.as_ref()),
            Step::Baking { since, promoted } => self.baking(*since, promoted.as_ref()),
        }
    }

    fn approving(&self, until: Timestamp, decision: Option<&Decision>) -> Course {
        let stage = self.deployment.progress.stage;
        match decision {
            Some(decision) if !decision.approved => {
                let reason = decision
                    .reason
                    .as_deref()
                    .map_or(String::new(), |reason| format!(": {reason}"));
                return self.end(Failure::new(
                    FailureCode::ApprovalRejected,
                    format!("{} rejected stage {stage}{reason}", decision.by),
                ));
            }
            Some(decision) => return self.shift(format!("{} approved", decision.by)),
            None => {}
        }
        if self.now < until {
            let tick = pace::tick(self.deployment, self.now).min(until.since(self.now));
            return self.stay(tick, format!("waits for a person until {until}"));
        }
        let approval = self.deployment.plan.stage(stage).and_then(|stage| stage.approval);
        match approval.map(|approval| approval.on_timeout) {
            Some(OnTimeout::Continue) => {
                self.shift(format!("nobody answered until {until}: it goes on, as planned"))
            }
            Some(OnTimeout::Rollback) | None => self.end(Failure::new(
                FailureCode::ApprovalTimedOut,
                format!("nobody approved stage {stage} until {until}"),
            )),
        }
    }

    fn baking(&self, since: Timestamp, promoted: Option<&Promotion>) -> Course {
        let plan = &self.deployment.plan;
        let index = self.deployment.progress.stage;
        let bake = plan.stage(index).map_or(Span::ZERO, |stage| stage.bake);
        let baked = self.now.since(since);
        let tick = pace::tick(self.deployment, self.now);
        if let Routes::Changed(found) = self.routes {
            let summary = format!("holds: {found}");
            return match promoted {
                Some(_) => self.decline(vec![found.clone()], tick, summary),
                None => self.stay(tick, summary),
            };
        }
        if baked < bake {
            let until = since + bake;
            let summary = format!("{}: bakes until {until}", self.judged());
            return self.stay(tick.min(until.since(self.now)), summary);
        }
        let reasons = self.verdict.texts(|judgement| judgement == Judgement::Inconclusive);
        let against = self.verdict.texts(|judgement| judgement == Judgement::Suspect);
        let summary = [reasons.as_slice(), &against].concat().join("; ");
        if reasons.is_empty() && against.is_empty() {
            return self.onward(self.judged());
        }
        match promoted {
            Some(promotion) if against.is_empty() => {
                return self.onward(format!("{} lets it go on: {summary}", promotion.by));
            }
            Some(_) => return self.decline(against, tick, format!("held: {summary}")),
            None => {}
        }
        if baked < bake.plus(plan.health.extend_up_to) {
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

/// The health of stable as a rollback may rely on it; `None` if it could not be read.
fn recorded(deployment: &Deployment, evidence: &Evidence) -> Option<RecordedHealth> {
    match &evidence.targets {
        Reading::Read(targets) => {
            let healthy = targets.iter().map(|route| route.stable_healthy).min()?;
            let fresh_for = fresh_for(&deployment.plan);
            Some(RecordedHealth { healthy, at: evidence.at, fresh_for })
        }
        Reading::Unreadable(_) => None,
    }
}
