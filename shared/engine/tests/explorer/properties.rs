//! What must hold in every state.

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Deployment, Event, Outcome, Phase, Step};
use glidepath_core::rollback::AfterHold;
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::storm::VOUCHED_FOR;
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;

use crate::boundary::claimant;
use crate::bounds::Bounds;
use crate::example::{REBOUND, SLOTS, bounded, canary_share, healthy, share, tasks};
use crate::process::{End, Kind, Origin, Process, Work};
use crate::situation::Situation;

/// A rollback that has ended leaves nothing on the canary, ever.
pub(crate) const NOTHING_ON_THE_CANARY: &str = "no weight on the canary once it was rolled back";
/// Not even until the last read-back, unless something failed.
pub(crate) const RESTORED_AT_ONCE: &str =
    "without faults traffic is on stable as soon as nobody is writing";
/// Nothing lands in the name of a deployment that has unlocked.
pub(crate) const NO_LATE_WRITE: &str = "no write of a deployment lands after its unlock";
/// Tasks are taken from an idle slot only.
pub(crate) const NO_SERVING_SLOT_RETIRED: &str = "no slot that carries weight loses its tasks";
/// Neither forward nor back.
pub(crate) const NEVER_ONTO_NOTHING: &str = "no weight on a slot without tasks";
/// A lock belongs to a deployment that the sweep will look at.
pub(crate) const LOCKS_ARE_OWNED: &str = "every lock is free or held by a deployment that goes on";
/// Wherever everybody dies.
pub(crate) const EVERY_RUN_ENDS: &str = "the sweep alone brings every run to its end";
/// One terminal record.
pub(crate) const ONE_END: &str = "exactly one terminal notice for each deployment that has ended";
/// The fence wins against the commit.
pub(crate) const NO_COMMIT_AFTER_FIRING: &str = "no commit after a bound alarm fired";
/// Rollback wins, however long it takes.
pub(crate) const NEVER_FORWARD_AGAIN: &str = "no deployment goes on once its rollback has begun";
/// A late event is about another deployment.
pub(crate) const NOT_STOPPED_BY_THE_PAST: &str = "no deployment is stopped by an older event";
/// An alarm that fires while a plan is being made is seen.
pub(crate) const NO_UNSEEN_FIRING: &str = "no alarm fires unseen while a deployment begins";
/// The rest of a rollback does not wait for the tick.
pub(crate) const THE_GATE_IS_WOKEN: &str = "a rollback wakes the gate that is open";
/// It never gives up because of another one.
pub(crate) const ROLLBACKS_DO_NOT_FAIL: &str = "no rollback fails unless a call did";
/// The roles are those under the lock.
pub(crate) const ROLES_ARE_CURRENT: &str = "no deployment changes the slot that serves";
/// Bindings end with what they stop.
pub(crate) const BINDINGS_END: &str = "no binding outlives its deployment";
/// However stable comes and goes.
pub(crate) const NOT_ONTO_THE_DEAD: &str =
    "no rollback writes onto nothing healthy unless it is forced";
/// An approval is of what was asked.
pub(crate) const NOTHING_UNSEEN: &str =
    "no stage that asks is shifted unless that stage was approved";
/// A promotion is of what holds.
pub(crate) const NOT_WITHOUT_EVIDENCE: &str =
    "no stage that lacks evidence is left unless somebody let that stage go on";
/// What was confirmed counts.
pub(crate) const NO_ANSWER_IS_LOST: &str = "no answer that was confirmed is lost";
/// Whoever has changed the route meanwhile.
pub(crate) const BAKED_AT_ITS_OWN_WEIGHT: &str =
    "no stage goes on before it has baked at its weight";
/// Nobody is accused of what a deployment did itself.
pub(crate) const NOBODY_IS_ACCUSED: &str = "nobody is told of a change that nobody else has made";
/// As long as the canary has traffic.
pub(crate) const STABLE_IS_HELD: &str =
    "nothing takes the tasks of a stable slot away whose traffic is elsewhere";
/// Every way out.
pub(crate) const BOUNDS_COME_BACK: &str =
    "whoever serves in the end is bounded as the slot that served was, and the idle slot is idle";
/// Whoever needs to know that nothing can land any more would wait for it.
pub(crate) const CLAIMS_END: &str =
    "no claim outlives its invocation unless the registry or a write of it did not answer";
/// Back is back.
pub(crate) const STEPS_GO_BACK: &str = "no step back gives the canary more than the one before";

/// What was claimed before may still come.
pub(crate) const NOTHING_MOVES_WHILE_PAUSED: &str =
    "no shift is claimed and nothing commits while it is paused";

/// No deployment of these explorations waits longer.
const LOOKED_AT: Span = Span::from_secs(600);

/// How long an attempt may come after the look on which it relies.
const ATTEMPTS: Span = Span::from_secs(90);

/// What a write has made of the state, by whom.
pub(crate) fn written(
    bounds: &Bounds,
    before: &Situation,
    after: &mut Situation,
    by: Option<&Process>,
) {
    let author = by.and_then(|process| before.author(process));
    let kind = by.map(|process| process.work.kind());
    changed(before, after, author.as_ref());
    for id in before.items.deployments.keys() {
        let (Some(was), Some(is)) = (before.deployment(id), after.deployment(id).cloned()) else {
            continue;
        };
        if was.revision == is.revision && was.phase == is.phase {
            continue;
        }
        moved(bounds, before, after, was, &is);
        let fenced = was.phase == Phase::Open && is.phase == Phase::RollingBack;
        if let (true, Some(Work::Alarm(event))) = (fenced, by.map(|process| &*process.work))
            && event.at < was.started_at
        {
            after.breaks(NOT_STOPPED_BY_THE_PAST);
        }
    }
    let rolls_back = matches!(kind, Some(Kind::Rollback | Kind::Alarm));
    for (route, actions) in &after.world.routes.clone() {
        let (was, is) = (&before.world.routes[route], actions);
        if was == is || !rolls_back {
            continue;
        }
        let Some(deployment) = author.as_ref().and_then(|id| before.deployment(id)) else {
            continue;
        };
        let pair = &deployment.plan.routes[0].pair;
        // A step that crosses the write of everything is taken back by the next turn, which reads back.
        let (was, gets) = (was.canary_share(pair).ok(), is.canary_share(pair).ok());
        if was > Some(Weight::NONE) && gets > was {
            after.breaks(STEPS_GO_BACK);
        }
        let whole = is.canary_share(pair) == Ok(Weight::NONE);
        if whole && onto_the_dead(bounds, before, deployment) {
            after.breaks(NOT_ONTO_THE_DEAD);
        }
    }
}

/// Whether stable has had nothing healthy for so long that nobody could rely on an older look.
fn onto_the_dead(bounds: &Bounds, before: &Situation, deployment: &Deployment) -> bool {
    let Some(since) = before.seen.dead_since else { return false };
    let forced = deployment.forced().is_some()
        || bounds.plan.as_ref().is_some_and(|plan| plan.rollback.then == AfterHold::Force)
            && deployment.waited(before.now) >= deployment.plan.rollback.hold_for;
    let fresh = deployment.plan.health.fresh_for();
    if let Some(throttled) = &deployment.progress.throttled {
        // Whoever puts it off looks; where no answer is lost, that look has seen it.
        let seen = throttled.looked_at.is_some_and(|at| at > since) && bounds.budget.lost == 0;
        return !forced && (seen || since + VOUCHED_FOR.max(fresh).plus(ATTEMPTS) < before.now);
    }
    !forced && since + fresh.plus(ATTEMPTS) < before.now
}

/// Something has landed in the world in this name, whether or not it changed anything.
pub(crate) fn landed(after: &mut Situation, author: Option<&DeploymentId>) {
    let late = match author {
        Some(id) => after.closed(id).is_some(),
        None => after.items.locks.values().any(|lock| lock.holder.is_some()),
    };
    if late {
        after.breaks(NO_LATE_WRITE);
    }
}

/// What has changed of the world in this name.
pub(crate) fn changed(before: &Situation, after: &mut Situation, author: Option<&DeploymentId>) {
    if before.prints.1 == after.prints.1 {
        return;
    }
    for slot in SLOTS {
        let carries = share(&before.world, slot) != Weight::NONE;
        if carries && tasks(&after.world, slot) == 0 && tasks(&before.world, slot) > 0 {
            after.breaks(NO_SERVING_SLOT_RETIRED);
        }
        let version = |situation: &Situation| {
            situation.world.services[&glidepath_engine::testing::example::service(slot)]
                .task_definition
                .clone()
        };
        let shifted = author
            .and_then(|id| before.deployment(id))
            .is_none_or(|deployment| deployment.progress.shifted_at.is_some());
        if carries && version(before) != version(after) && !shifted {
            after.breaks(ROLES_ARE_CURRENT);
        }
    }
}

/// A deployment was written.
fn moved(
    bounds: &Bounds,
    before: &Situation,
    after: &mut Situation,
    was: &Deployment,
    is: &Deployment,
) {
    let rolling = matches!(was.phase, Phase::RollingBack | Phase::Held);
    let forward = matches!(
        is.phase,
        Phase::Open | Phase::Committed | Phase::Closed(Outcome::Succeeded | Outcome::Abandoned)
    );
    if rolling && forward || matches!(was.phase, Phase::Closed(_)) && was.phase != is.phase {
        after.breaks(NEVER_FORWARD_AGAIN);
    }
    let commits = was.phase == Phase::Open && is.phase == Phase::Committed;
    let fired = was.alarms.iter().any(|arn| !before.items.alarm(arn).quiet_since(was.started_at));
    if commits && fired {
        after.breaks(NO_COMMIT_AFTER_FIRING);
    }
    let new = is.intents.iter().filter(|(id, _)| !was.intents.contains_key(id));
    // What was written and not recorded is finished.
    let begun = canary_share(before, was);
    let mut shifts = new.filter_map(|(_, intent)| intent.shift());
    let moves = shifts.any(|weight| weight != Weight::NONE && weight != begun);
    if was.progress.paused.is_some() && (commits || moves) {
        after.breaks(NOTHING_MOVES_WHILE_PAUSED);
    }
    let stage = was.progress.stage.0;
    let asks = was.plan.stages.get(stage).is_some_and(|stage| stage.approval.is_some());
    let bakes = |deployment: &Deployment| matches!(deployment.progress.step, Step::Baking { .. });
    if !bakes(was) && bakes(is) {
        after.seen.own_time = Span::ZERO;
        if asks && !before.seen.approved[stage.min(1)] {
            after.breaks(NOTHING_UNSEEN);
        }
    }
    let leaves = bakes(was) && (is.progress.stage > was.progress.stage || commits);
    if leaves && bounds.budget.promotions > 0 && !before.seen.promoted[stage.min(1)] {
        after.breaks(NOT_WITHOUT_EVIDENCE);
    }
    let bake = was.plan.stages.get(stage).map_or(Span::ZERO, |stage| stage.bake);
    let moves = bounds.budget.meddles > 0 || bounds.budget.copies > 0;
    if leaves && moves && before.seen.own_time < bake {
        after.breaks(BAKED_AT_ITS_OWN_WEIGHT);
    }
}

/// A process has ended.
pub(crate) fn ended(after: &mut Situation, process: &Process, end: &End) {
    let rolls_back = matches!(process.work.kind(), Kind::Rollback | Kind::Alarm);
    if rolls_back && end.is_err() && !after.seen.unanswered {
        after.breaks(ROLLBACKS_DO_NOT_FAIL);
    }
    let claims = after.items.deployments.values().flat_map(|item| &item.intents);
    let claims = claims.chain(after.items.alarms.values().flat_map(|item| &item.intents));
    let mut own = claims.filter(|(id, _)| claimant(id) == Some(process.number));
    if !process.unclean && own.any(|(_, intent)| intent.lives(after.now)) {
        after.breaks(CLAIMS_END);
    }
}

/// What must hold in every state: what does not.
pub(crate) fn broken(bounds: &Bounds, state: &Situation) -> Vec<&'static str> {
    let checks: [(&'static str, bool); 12] = [
        (NOTHING_ON_THE_CANARY, nothing_on_the_canary(state)),
        (RESTORED_AT_ONCE, restored_at_once(state)),
        (NEVER_ONTO_NOTHING, !SLOTS.into_iter().any(|slot| leads_nowhere(state, slot))),
        (LOCKS_ARE_OWNED, locks_are_owned(state)),
        (ONE_END, one_end(state)),
        (NO_UNSEEN_FIRING, no_unseen_firing(state)),
        (THE_GATE_IS_WOKEN, !sleeps_through(state)),
        (BINDINGS_END, bindings_end(state)),
        (NOBODY_IS_ACCUSED, state.seen.meddled || !accused(state)),
        (NO_ANSWER_IS_LOST, no_answer_is_lost(bounds, state)),
        (STABLE_IS_HELD, stable_is_held(state)),
        (state.seen.broken.unwrap_or_default(), state.seen.broken.is_none()),
    ];
    checks.into_iter().filter(|(_, holds)| !holds).map(|(property, _)| property).collect()
}

/// A write that nobody got an answer to may not have landed, and the next look finds that; so with what
/// somebody else has set.
fn stable_is_held(state: &Situation) -> bool {
    let Some(deployment) = last(state).filter(|_| !state.seen.fault && !state.seen.rebound) else {
        return true;
    };
    let away = canary_share(state, deployment) != Weight::NONE;
    let open = matches!(deployment.phase, Phase::Open | Phase::RollingBack | Phase::Held);
    match bounded(&state.world, deployment.plan.stable.slot) {
        Some(target) if away && open => {
            target.minimum >= deployment.needed() && target.suspended.scale_in
        }
        Some(_) | None => true,
    }
}

/// Whether the bounds of both slots are as they must be once a deployment has ended.
pub(crate) fn bounds_are_back(state: &Situation, deployment: &Deployment) -> bool {
    let plan = &deployment.plan;
    let (Some(stable), Some(canary)) = (plan.stable.scaling, plan.canary.scaling) else {
        return true;
    };
    let present = |slot| bounded(&state.world, slot);
    let serves = |target: Option<ScalableTarget>| {
        let minimum = if state.seen.rebound { REBOUND } else { stable.minimum };
        target == Some(ScalableTarget { minimum, ..stable })
    };
    match deployment.phase {
        // The old slot is held through its retention, and made idle by it.
        Phase::Closed(Outcome::Succeeded) => serves(present(plan.canary.slot)),
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
            serves(present(plan.stable.slot)) && present(plan.canary.slot) == Some(canary)
        }
        Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => true,
    }
}

fn leads_nowhere(state: &Situation, slot: glidepath_core::plan::Slot) -> bool {
    share(&state.world, slot) != Weight::NONE && tasks(&state.world, slot) == 0
}

/// The deployment that had the locks last.
pub(crate) fn last(state: &Situation) -> Option<&Deployment> {
    let deployments = state.items.deployments.values();
    deployments.max_by_key(|deployment| (deployment.started_at, deployment.epochs))
}

fn nothing_on_the_canary(state: &Situation) -> bool {
    let Some(deployment) = last(state) else { return true };
    match deployment.phase {
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
            canary_share(state, deployment) == Weight::NONE
        }
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Committed
        | Phase::Closed(Outcome::Succeeded) => true,
    }
}

fn restored_at_once(state: &Situation) -> bool {
    if state.seen.fault || state.busy() {
        return true;
    }
    state.items.deployments.values().all(|deployment| {
        deployment.phase != Phase::RollingBack
            || deployment.progress.restored_at.is_none()
            || canary_share(state, deployment) == Weight::NONE
    })
}

/// Whether an execution still waits for its gate while its rollback was put off, or waits for a weak stable,
/// and nobody else goes on with it.
fn sleeps_through(state: &Situation) -> bool {
    let sleeps = |machine: &crate::situation::Machine| {
        let put_off = |deployment: &&Deployment| match deployment.phase {
            Phase::RollingBack | Phase::Held => {
                deployment.progress.throttled.is_some() || deployment.progress.weak.is_some()
            }
            Phase::Open | Phase::Committed | Phase::Closed(_) => false,
        };
        let gate = state.deployment(&machine.deployment).filter(put_off);
        let stored = gate.and_then(|deployment| deployment.gate.as_ref());
        let own = machine.gate.as_ref().map(|(token, _)| token.as_str());
        machine.pauses() && stored.is_some_and(|stored| Some(stored.token.expose()) == own)
    };
    !state.seen.unanswered && !state.busy() && state.machines.iter().any(sleeps)
}

fn locks_are_owned(state: &Situation) -> bool {
    let mut holders = state.items.locks.values().filter_map(|lock| lock.holder.as_ref());
    holders.all(|holder| {
        let looked_at = |found: &Deployment| found.next_due_at <= state.now + LOOKED_AT;
        state.deployment(holder).is_some_and(looked_at) && state.closed(holder).is_none()
    })
}

fn one_end(state: &Situation) -> bool {
    state.items.deployments.keys().all(|id| {
        let terminal = state
            .items
            .notices
            .iter()
            .filter(|entry| entry.notice.deployment == *id && entry.notice.event.terminal());
        terminal.count() == usize::from(state.closed(id).is_some())
    })
}

fn no_unseen_firing(state: &Situation) -> bool {
    let delivering = state.processes.iter().any(|process| process.origin == Origin::Delivery);
    if !state.events.is_empty() || state.busy() || delivering || state.seen.fault {
        return true;
    }
    state.machines.iter().all(|machine| {
        let Some(deployment) = state.deployment(&machine.deployment) else { return true };
        let fires = |arn: &glidepath_core::ids::AlarmArn| {
            let alarm = state.world.alarms.values().find(|alarm| alarm.arn == *arn);
            alarm.is_some_and(|alarm| {
                alarm.signal == glidepath_core::health::AlarmSignal::Alarm
                    && alarm.since.is_some_and(|since| since >= deployment.started_at)
            }) && state.items.alarm(arn).quiet_since(deployment.started_at)
        };
        // Who has just been refused has seen it.
        matches!(machine.at, None | Some(NextStep::Rollback))
            || deployment.phase != Phase::Open
            || !deployment.alarms.iter().any(fires)
    })
}

fn bindings_end(state: &Situation) -> bool {
    let mut bound = state.items.alarms.values().flat_map(|alarm| alarm.bindings.keys());
    bound.all(|id| match state.deployment(id).map(|deployment| deployment.phase) {
        Some(Phase::Open | Phase::RollingBack | Phase::Held) => true,
        Some(Phase::Committed | Phase::Closed(_)) | None => false,
    })
}

fn accused(state: &Situation) -> bool {
    state.items.deployments.values().any(|deployment| {
        let fence = deployment.fence.as_ref().map(|fence| fence.failure.code);
        let told = match &deployment.progress.told {
            Some(Event::ForeignChange { .. }) => true,
            Some(Event::TrafficRestored { overwritten, .. }) => overwritten.is_some(),
            Some(_) | None => false,
        };
        told || !deployment.progress.gaps.is_empty() || fence == Some(FailureCode::RouteChanged)
    })
}

fn no_answer_is_lost(bounds: &Bounds, state: &Situation) -> bool {
    if bounds.budget.answers == 0 && bounds.budget.promotions == 0 {
        return true;
    }
    state.items.deployments.values().all(|deployment| {
        let stage = deployment.progress.stage.0.min(1);
        let code = |failure: &glidepath_core::failure::Failure| failure.code;
        let fence = deployment.fence.as_ref().map(|fence| code(&fence.failure));
        let timed_out = fence == Some(FailureCode::ApprovalTimedOut)
            || deployment.progress.ended_by.as_ref().map(code)
                == Some(FailureCode::ApprovalTimedOut);
        let forgotten = match &deployment.progress.step {
            Step::Approving { decision, .. } => decision.is_none(),
            Step::Baking { .. } | Step::Settling { .. } => false,
        };
        let declined = match &deployment.progress.step {
            Step::Baking { promoted, .. } => promoted.is_none() && deployment.phase == Phase::Open,
            Step::Settling { .. } | Step::Approving { .. } => false,
        };
        !(state.seen.approved[stage] && (timed_out || forgotten))
            && !(state.seen.promoted[stage] && declined)
    })
}

/// Whether the slot that serves has nothing healthy.
pub(crate) fn is_dead(state: &Situation) -> bool {
    let Some(deployment) = last(state) else { return false };
    healthy(&state.world, deployment.plan.stable.slot) == 0
}
