//! Transitions of a deployment on its way forward. Each requires the phase to be open AND every
//! bound alarm to be quiet, in the transaction itself: a fence that closes first wins.

use super::refused::Refused;
use super::telling::{notice, tell_once};
use super::write::RegistryWrite;
use crate::failure::Failure;
use crate::harm::RequestsPerMinute;
use crate::health::{CheckAlert, Judgement, Reading, Readings, Verdict, check_alerts};
use crate::ids::IntentId;
use crate::plan::{Approval, Plan, Stage, StageIndex};
use crate::record::{
    Binding, Demand, Deployment, Event, Gap, Gate, HookRun, Intent, Lock, LockKey, Pins, Progress,
    Promotion, Quarantined, RecordedHealth, Shift, Step,
};
use crate::route::{Role, RouteActions};
use crate::time::Timestamp;

/// The first transaction: locks, deployment and alarm bindings, all or nothing.
///
/// `locks` are as they were read before the resources were looked at. `retirements` of the same
/// ECS services are consumed by the caller with their own writes.
pub fn begin(deployment: &Deployment, locks: &[Lock]) -> Vec<RegistryWrite> {
    let mut deployment = deployment.clone();
    let taken = |role| {
        let key = LockKey::service(&deployment.plan.cluster, &deployment.plan.slot(role).service);
        locks.iter().find(|lock| lock.key == key).map(|lock| lock.epoch + 1)
    };
    deployment.epochs = taken(Role::Stable).zip(taken(Role::Canary));
    let started_at = deployment.started_at;
    let started = notice(&mut deployment, started_at, Event::Started);
    let mut writes = vec![RegistryWrite::CreateDeployment(Box::new(deployment.clone()))];
    writes.extend(locks.iter().map(|lock| RegistryWrite::TakeLock {
        key: lock.key.clone(),
        deployment: deployment.id.clone(),
        expected_epoch: lock.epoch,
        forgotten: Quarantined::forgotten(&lock.quarantined),
    }));
    writes.extend(deployment.alarms.iter().map(|alarm| RegistryWrite::Bind {
        alarm: alarm.clone(),
        deployment: deployment.id.clone(),
        binding: Box::new(binding(&deployment)),
    }));
    writes.push(started);
    writes
}

/// What an alarm needs to know to send everything back to stable.
fn binding(deployment: &Deployment) -> Binding {
    Binding {
        started_at: deployment.started_at,
        routes: deployment.plan.routes.clone(),
        needed: deployment.needed(),
        health: deployment.health,
        harm: deployment.harm(),
    }
}

/// Claims a write to the world. Refused while any other claimed write may still land, so that two
/// invocations of the same step never write across each other; and to an invocation whose step is
/// over since it has `read` the deployment, which would write what was right then.
pub fn claim_forward(
    deployment: &Deployment,
    read: &Deployment,
    id: &IntentId,
    intent: Intent,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Intent, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    if !deployment.is_where(read) {
        return Err(Refused::NotNewer);
    }
    // Since it was read. What was begun before is finished.
    if let Some(freeze) = deployment.frozen(now).filter(|_| read.frozen(now).is_none()) {
        return Err(Refused::Paused(freeze.in_words()));
    }
    deployment.require_idle(now)?;
    let mut claimed = deployment.revised(now, next_due_at);
    claimed.intents.insert(id.clone(), intent.clone());
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(claimed))];
    writes.extend(deployment.require_quiet());
    Ok((intent, writes))
}

impl Deployment {
    /// With the canary's service asked for so many tasks: what [`claim_forward`] then records.
    #[must_use]
    pub fn asking(&self, tasks: u32) -> Self {
        let mut asking = self.clone();
        asking.progress.demand.asked = Some(tasks);
        asking
    }
}

/// Records a shift that was read back: the bake begins. Refused without the claim: it has died, and
/// another invocation may have shifted, and gone on, since. Its transaction is also the second look
/// at the fence: where it fails because of a fence, the writer undoes its own write.
pub fn record_shift(
    deployment: &Deployment,
    id: &IntentId,
    verified: Vec<RouteActions>,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    deployment.require_claimed(id)?;
    let mut shifted = deployment.revised(now, next_due_at);
    shifted.intents.remove(id);
    shifted.progress.verified = verified;
    shifted.progress = shifted.progress.seeing(&Routes::InOrder, now);
    shifted.progress.step = Step::Baking { since: now, promoted: None };
    shifted.progress.shifted_at = Some(now);
    shifted.progress.told = None;
    shifted.progress.alerted.clear();
    let stage = shifted.progress.stage;
    shifted.progress.shifts.push(Shift { stage, at: now });
    let told = notice(&mut shifted, now, Event::Shifted { stage });
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(shifted.clone())), told];
    writes.extend(deployment.require_quiet());
    Ok((shifted, writes))
}

/// Records states of the routes that were written without beginning a bake: the canary's group
/// was attached at weight 0 so that its targets are health-checked.
pub fn release_forward(
    deployment: &Deployment,
    id: &IntentId,
    verified: Vec<RouteActions>,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    deployment.require_claimed(id)?;
    let mut released = deployment.revised(now, next_due_at);
    released.intents.remove(id);
    released.progress.verified = verified;
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(released.clone()))];
    writes.extend(deployment.require_quiet());
    Ok((released, writes))
}

/// Stores the token of this entry of the gate state.
pub fn store_gate(
    deployment: &Deployment,
    gate: Gate,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<Vec<RegistryWrite>, Refused> {
    deployment.require_open()?;
    if deployment.gate.as_ref().is_some_and(|stored| stored.tick > gate.tick) {
        return Err(Refused::NotNewer);
    }
    let mut stored = deployment.revised(now, next_due_at);
    stored.gate = Some(gate);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(stored))];
    writes.extend(deployment.require_quiet());
    Ok(writes)
}

/// What a look at the deployment leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveOn {
    Stay,
    /// Somebody should know why it does not move; told once for each event.
    Tell(Event),
    /// The tasks are healthy; a person is asked before the weight moves.
    Ask(Approval),
    /// They are asked once more.
    Remind,
    /// A person has let it go on, and this speaks against it: it holds as before.
    Decline(Vec<String>),
    /// It ends, for this reason; from here on nobody's decision is taken, so that none is confirmed
    /// and then lost.
    End(Failure),
    /// The wait for a person is over, the weight may move.
    Shift,
    Stage(StageIndex),
}

/// What a look found that is worth keeping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The health of stable; `None` if it was not read.
    pub health: Option<RecordedHealth>,
    /// The service's traffic; `None` if it was not measured.
    pub traffic: Option<RequestsPerMinute>,
    /// What the hooks of this stage have answered; `None` if they were not looked at.
    pub hooks: Option<Vec<HookRun>>,
    pub routes: Routes,
    /// How many tasks all of the traffic needs; `None` if the services were not read.
    pub needed: Option<u32>,
    /// What it says of the canary, in words; `None` if it did not judge.
    pub judged: Option<Judged>,
}

/// What a look says of the canary, one sentence for each check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub reasons: Vec<String>,
    /// Those that speak against it, without being enough to end it.
    pub against: Vec<String>,
    /// Checks that only alert, and are out of bounds.
    pub alerts: Vec<CheckAlert>,
}

impl Judged {
    pub fn of(plan: &Plan, readings: &Readings, verdict: &Verdict) -> Self {
        let alerts = match &readings.metrics {
            Reading::Read(metrics) => check_alerts(&plan.health.checks, &metrics.checks),
            Reading::Unreadable(_) => Vec::new(),
        };
        Self {
            alerts,
            reasons: verdict.texts(|_| true),
            against: verdict.texts(|judgement| judgement == Judgement::Suspect),
        }
    }
}

/// Whose the routes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Routes {
    #[default]
    Unseen,
    /// All of them are the deployment's own.
    InOrder,
    /// Somebody else has changed one; in words.
    Changed(String),
}

/// Records a look: where to go from here, and if stable was looked at, its health on every binding.
/// Traffic that could not be measured is taken to be what it was. Where the deployment is not any more
/// what was `read` when the look began, the look leads nowhere, and what it calls somebody else's change
/// may be the next step: a person may have decided since, or a copy of it has gone on.
pub fn observe(
    deployment: &Deployment,
    read: &Deployment,
    observed: Observed,
    move_on: MoveOn,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    let Observed { health, traffic, hooks, routes, needed, judged } = observed;
    // What is said of an earlier step is not said of this one.
    let (routes, move_on, judged) = if deployment.is_where(read) {
        (routes, move_on, judged)
    } else {
        (Routes::Unseen, MoveOn::Stay, None)
    };
    let mut seen = deployment.revised(now, next_due_at);
    let mut writes = Vec::new();
    seen.progress.hooks = hooks.unwrap_or(seen.progress.hooks);
    if let Some(Judged { reasons, against, alerts }) = judged {
        (seen.progress.judged, seen.progress.against) = (reasons, against);
        writes.extend(alert_once(&mut seen, now, alerts));
    }
    let gap = seen.progress.gap();
    seen.progress = seen.progress.seeing(&routes, now);
    seen.remember_freeze(now);
    let is_over = match &seen.progress.told {
        Some(Event::OutsideWindows { .. }) => seen.held_back(now).is_none(),
        Some(Event::Frozen { .. }) => seen.frozen(now).is_none(),
        Some(_) | None => false,
    };
    if is_over {
        seen.progress.told = None;
    }
    match (routes, gap) {
        (Routes::Changed(found), _) => {
            writes.extend(tell_once(&mut seen, now, Event::ForeignChange { found }));
        }
        (Routes::InOrder, Some(from)) => {
            // Another one would be told again.
            if seen.held_for().is_some() {
                seen.progress.told = None;
            }
            let lasted = now.since(from);
            writes.push(notice(&mut seen, now, Event::RouteInOrder { lasted }));
        }
        (Routes::InOrder, None) | (Routes::Unseen, _) => {}
    }
    match move_on {
        MoveOn::Stay => {}
        // It was thawed during the look.
        MoveOn::Tell(Event::Frozen { .. }) if seen.frozen(now).is_none() => {}
        MoveOn::Tell(event) => writes.extend(tell_once(&mut seen, now, event)),
        MoveOn::Ask(approval) => {
            let stage = seen.progress.stage;
            let until = now + approval.timeout;
            seen.progress.step =
                Step::Approving { since: now, until, decision: None, reminded: false };
            seen.progress.told = None;
            let judged = seen.progress.judged.clone();
            let event = Event::ApprovalNeeded { stage, judged, asked_at: None };
            writes.push(notice(&mut seen, now, event));
        }
        MoveOn::Remind => {
            let (stage, judged) = (seen.progress.stage, seen.progress.judged.clone());
            if let Step::Approving { since, reminded, .. } = &mut seen.progress.step {
                *reminded = true;
                let asked_at = Some(*since);
                let event = Event::ApprovalNeeded { stage, judged, asked_at };
                writes.push(notice(&mut seen, now, event));
            }
        }
        MoveOn::Decline(reasons) => {
            let stage = seen.progress.stage;
            if let Step::Baking { promoted, .. } = &mut seen.progress.step {
                *promoted = None;
            }
            writes.push(notice(&mut seen, now, Event::NotPromoted { stage, reasons }));
        }
        MoveOn::End(failure) => seen.progress.ended_by = Some(failure),
        MoveOn::Shift => {
            seen.progress.step = Step::Settling { since: now, approved: true };
            seen.progress.told = None;
        }
        MoveOn::Stage(stage) => {
            seen.progress.stage = stage;
            seen.progress.hooks.clear();
            seen.progress.step = first_step(seen.plan.stage(stage), now);
            seen.progress.told = None;
        }
    }
    seen.traffic = traffic.or(seen.traffic);
    let grown = needed.filter(|needed| *needed > deployment.needed());
    seen.progress.demand.needed = grown.or(seen.progress.demand.needed);
    seen.health = health.unwrap_or(seen.health);
    if health.is_some() || grown.is_some() {
        writes.extend(deployment.alarms.iter().map(|alarm| RegistryWrite::RefreshBinding {
            alarm: alarm.clone(),
            deployment: deployment.id.clone(),
            binding: Box::new(binding(&seen)),
        }));
    } else {
        writes.extend(deployment.require_quiet());
    }
    writes.insert(0, RegistryWrite::PutDeployment(Box::new(seen.clone())));
    Ok((seen, writes))
}

/// Tells of checks that are out of bounds, each once in a stage.
fn alert_once(
    deployment: &mut Deployment,
    now: Timestamp,
    alerts: Vec<CheckAlert>,
) -> Option<RegistryWrite> {
    let known = &deployment.progress.alerted;
    let fresh: Vec<_> = alerts.into_iter().filter(|alert| !known.contains(&alert.check)).collect();
    if fresh.is_empty() {
        return None;
    }
    // While the next one settles or waits for a person, it is the one before that is looked at.
    let stage = deployment.watched_stage();
    let (checks, reasons): (Vec<_>, Vec<_>) =
        fresh.into_iter().map(|CheckAlert { check, text }| (check, text)).unzip();
    deployment.progress.alerted.extend(checks);
    Some(notice(deployment, now, Event::CheckAlert { stage, reasons }))
}

impl Progress {
    pub fn at_start(plan: &Plan, now: Timestamp) -> Self {
        Self {
            stage: StageIndex::default(),
            step: first_step(plan.stage(StageIndex::default()), now),
            verified: plan.routes.iter().map(|route| route.original.clone()).collect(),
            shifted_at: None,
            shifts: Vec::new(),
            gaps: Vec::new(),
            in_order_at: None,
            judged: Vec::new(),
            against: Vec::new(),
            alerted: Vec::new(),
            decisions: Vec::new(),
            ended_by: None,
            paused: None,
            frozen_since: None,
            frozen_for: None,
            thawed_at: None,
            hooks: Vec::new(),
            digests: None,
            restored_at: None,
            weak: None,
            demand: Demand::default(),
            scaling: Pins::default(),
            forced: None,
            overwritten: None,
            throttled: None,
            told: None,
        }
    }

    /// Who lets the stage go on that waits, if somebody does.
    pub fn promotion(&self) -> Option<&Promotion> {
        match &self.step {
            Step::Baking { promoted, .. } => promoted.as_ref(),
            Step::Settling { .. } | Step::Approving { .. } => None,
        }
    }

    /// Since when somebody else's weights may have been on a route, if they still may be.
    pub fn gap(&self) -> Option<Timestamp> {
        self.gaps.last().filter(|gap| gap.until.is_none()).map(|gap| gap.from)
    }

    /// As it is after a look at the routes. While they are somebody else's, the bake's clock stands
    /// still, counted from the last look that found them in order: nobody knows when they were changed.
    #[must_use]
    pub fn seeing(&self, routes: &Routes, now: Timestamp) -> Self {
        let mut seen = self.clone();
        match routes {
            Routes::Unseen => {}
            Routes::Changed(_) => {
                if self.gap().is_none() {
                    let from = self.in_order_at.or(self.shifted_at).unwrap_or(now);
                    seen.gaps.push(Gap { from, until: None });
                }
            }
            Routes::InOrder => {
                if let Some(gap) = seen.gaps.last_mut().filter(|gap| gap.until.is_none()) {
                    gap.until = Some(now);
                    if let Step::Baking { since, .. } = &mut seen.step {
                        *since = *since + now.since(gap.from.max(*since));
                    }
                }
                seen.in_order_at = Some(now);
            }
        }
        seen
    }
}

fn first_step(stage: Option<&Stage>, now: Timestamp) -> Step {
    Step::Settling { since: now, approved: stage.is_none_or(|stage| stage.approval.is_none()) }
}
