//! What an invocation can do in one step: read the clock, and make one call to the registry or to
//! the world.

use std::sync::Arc;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{AlarmArn, DeploymentId, IntentId};
use glidepath_core::plan::Slot;
use glidepath_core::protocol::{Fenced, NextStep, RegistryWrite};
use glidepath_core::record::{
    ATTEMPT_TIMEOUT, AlarmItem, Deployment, Event, Fence, FenceTrigger, Intent, LANDING_GRACE,
    Notice, Outcome, Phase,
};
use glidepath_core::route::RouteActions;
use glidepath_core::time::Timestamp;

use crate::bounds::{Bounds, Mistake};
use crate::example::{Who, actions, alarm, blue_only};
use crate::state::{At, Author, Effect, Flight, State, World};

/// What happens to a step that could end in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// As it should; a judgement passes.
    Go,
    /// The judgement needs more time.
    Wait,
    /// The judgement is bad.
    Veto,
    /// A write to the world gets no answer.
    Unanswered,
    /// A write of everything to stable is refused for now.
    Throttled,
}

/// How an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this answer to the state machine.
    Reply(NextStep),
    /// With an error that is worth another try.
    Transient,
    /// With any other error.
    Failed,
}

/// What a step leads to.
#[derive(Clone, Debug)]
pub(crate) enum Turn<Work> {
    On(Work),
    End(End),
}

/// One step of one invocation.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) bounds: &'a Bounds,
    /// The number of the invocation.
    pub(crate) number: u8,
    /// Whose invocation it is.
    pub(crate) who: Who,
    pub(crate) choice: Choice,
}

/// How an attempt to write to the world ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Unanswered: another one follows.
    Again,
    Done,
    /// The deadline has come.
    Expired,
}

/// Whether a rollback has begun and not ended.
const fn rolls_back(phase: Option<Phase>) -> bool {
    matches!(phase, Some(Phase::RollingBack | Phase::Held))
}

/// Whether a deployment is on its way forward, or there.
const fn goes_on(phase: Option<Phase>) -> bool {
    matches!(phase, Some(Phase::Open | Phase::Committed | Phase::Closed(Outcome::Succeeded)))
}

impl Call<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.state.now
    }

    pub(crate) fn mistaken(&self, mistake: Mistake) -> bool {
        self.bounds.mistake == Some(mistake)
    }

    /// The id of the claim for the routes or for tasks going up.
    pub(crate) fn own(&self) -> IntentId {
        IntentId::new(format!("{}.r", self.number))
    }

    /// The id of the claim for tasks going down.
    pub(crate) fn own_scale_in(&self) -> IntentId {
        IntentId::new(format!("{}.s", self.number))
    }

    pub(crate) fn load(&self, who: Who) -> Option<Arc<Deployment>> {
        self.state.deployment(who).cloned().map(Arc::new)
    }

    pub(crate) fn alarm(&self) -> AlarmItem {
        self.state.items.alarm(&alarm())
    }

    pub(crate) fn alarms(&self, arns: &[AlarmArn]) -> Arc<Vec<AlarmItem>> {
        Arc::new(arns.iter().map(|arn| self.state.items.alarm(arn)).collect())
    }

    /// One transaction; whether it happened.
    pub(crate) fn commit(&mut self, writes: Vec<RegistryWrite>) -> bool {
        let phase_before = Who::BOTH.map(|who| self.state.deployment(who).map(|item| item.phase));
        let Some(notices) = Arc::make_mut(&mut self.state.items).commit(writes) else {
            return false;
        };
        for notice in &notices {
            self.told(notice);
        }
        for (who, before) in Who::BOTH.into_iter().zip(phase_before) {
            let phase = self.state.deployment(who).map(|item| item.phase);
            if before.is_none() && phase.is_some() {
                self.state.seen.last = Some(who);
            }
            self.state.seen.went_on |= rolls_back(before) && goes_on(phase);
            if phase != before && phase == Some(Phase::Committed) {
                self.state.seen.committed_after_firing |= self.state.seen.fired[who.index()];
            }
        }
        true
    }

    fn told(&mut self, notice: &Notice) {
        let accuses = matches!(notice.event, Event::ForeignChange { .. });
        self.state.seen.accused |= accuses && !self.state.seen.meddled;
        let seen = &mut self.state.seen;
        if let Event::ApprovalNeeded { stage, .. } = notice.event {
            // Asked again, an answer that was there is gone.
            seen.answer_lost |= seen.approved[stage.0];
            seen.asked[stage.0] = true;
        }
        if let Event::Shifted { stage } = notice.event {
            seen.unseen_shift |= self.bounds.asks && !seen.approved[stage.0];
            seen.own_time = 0;
        }
        if notice.event.terminal() {
            let ends = &mut self.state.seen.ends[Who::of(&notice.deployment).index()];
            *ends = (*ends + 1).min(2);
        }
    }

    pub(crate) fn fence_alarm(&mut self, at: Timestamp, intent: &Intent) -> Fenced<AlarmItem> {
        let own = self.own();
        let items = Arc::make_mut(&mut self.state.items);
        let fenced = items.fence_alarm(&alarm(), at, &own, intent);
        if let Fenced::Closed(item) = &fenced {
            for (id, binding) in &item.bindings {
                self.state.seen.fired[Who::of(id).index()] |= binding.started_at <= at;
            }
        }
        fenced
    }

    pub(crate) fn join_alarm(&mut self, id: &DeploymentId, intent: &Intent) -> bool {
        let own = self.own();
        Arc::make_mut(&mut self.state.items).join_alarm(&alarm(), id, &own, intent)
    }

    /// `event` is the state's timestamp if an alarm closes the fence.
    pub(crate) fn fence_deployment(
        &mut self,
        who: Who,
        intent: &Intent,
        event: Option<Timestamp>,
    ) -> Fenced<Deployment> {
        let own = self.own();
        let fence = Fence {
            trigger: event.map_or(FenceTrigger::StateMachine, |_| FenceTrigger::Alarm(alarm())),
            failure: Failure::new(FailureCode::AlarmFired, ""),
            at: self.now(),
        };
        let items = Arc::make_mut(&mut self.state.items);
        let fenced = items.fence_deployment(&who.id(), &fence, &own, intent);
        if let (Fenced::Closed(deployment), Some(at)) = (&fenced, event) {
            self.state.seen.stopped_by_the_past |= at < deployment.started_at;
        }
        fenced
    }

    pub(crate) fn finish_deployment_intent(&mut self, who: Who, id: &IntentId) {
        Arc::make_mut(&mut self.state.items).finish_deployment_intent(&who.id(), id);
    }

    pub(crate) fn finish_alarm_intent(&mut self) {
        let own = self.own();
        Arc::make_mut(&mut self.state.items).finish_alarm_intent(&alarm(), &own);
    }

    pub(crate) fn read_route(&self) -> RouteActions {
        let World { green, attached, .. } = self.state.world;
        if attached { actions(green) } else { blue_only() }
    }

    pub(crate) fn healthy(&self, slot: Slot) -> u32 {
        self.state.world.healthy(slot)
    }

    /// Whether every attempt was answered, as far as the writer admits it.
    pub(crate) fn clean(&self, clean: bool) -> bool {
        clean || self.mistaken(Mistake::FinishUnanswered)
    }

    /// Whether the load balancer's API refuses an attempt to write everything to stable for now.
    pub(crate) fn throttled(&mut self, intent: &Intent) -> bool {
        let throttled = self.choice == Choice::Throttled && intent.may_attempt(self.now());
        if throttled {
            self.state.left.throttles -= 1;
            self.state.seen.throttled = true;
        }
        throttled
    }

    /// One attempt of a claimed write.
    pub(crate) fn attempt(&mut self, author: Author, intent: &Intent, effect: Effect) -> Attempt {
        if !intent.may_attempt(self.now()) && !self.mistaken(Mistake::NoDeadline) {
            // Too slow: not what the properties of a run without faults are about.
            self.state.seen.fault = true;
            self.state.seen.unanswered = true;
            return Attempt::Expired;
        }
        if self.choice == Choice::Unanswered {
            let until = self.now() + ATTEMPT_TIMEOUT + LANDING_GRACE;
            self.state.flights.push(Flight { author, effect, until });
            self.state.left.unanswered -= 1;
            self.state.seen.fault = true;
            self.state.seen.unanswered = true;
            return Attempt::Again;
        }
        self.state.land(author, effect);
        Attempt::Done
    }

    /// Ends the pause of an execution with a failure, if it waits for this token.
    pub(crate) fn wake(&mut self, deployment: &Deployment) {
        let (Some(gate), Some(_)) = (&deployment.gate, &deployment.fence) else { return };
        let who = Who::of(&deployment.id);
        let machine = self.state.machines[who.index()];
        let waits = machine.alive && matches!(machine.at, At::Gate | At::Paused);
        if waits && machine.tick() == gate.tick {
            self.state.detach(who);
            self.state.go(who, At::Rollback);
        } else if machine.alive && machine.at == At::Paused {
            self.state.seen.not_woken = true;
        }
    }
}
