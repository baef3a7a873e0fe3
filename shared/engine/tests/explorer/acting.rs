//! What comes of what happens.

use std::sync::Arc;

use futures_util::FutureExt;
use glidepath_core::failure::FailureCode;
use glidepath_core::health::AlarmSignal;
use glidepath_core::plan::{Slot, StageIndex};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{ATTEMPT_TIMEOUT, Deployment, FenceTrigger, Step};
use glidepath_core::route::RouteActions;
use glidepath_core::time::Span;
use glidepath_engine::ports::Due;
use glidepath_engine::rollback::{AlarmEvent, CaughtError, RollbackInput};
use glidepath_engine::testing::example::{actions, requests, route, service};
use glidepath_engine::{decide, sweep};

use crate::actions::{Action, FOREIGN};
use crate::boundary::{Fate, Signal};
use crate::bounds::Bounds;
use crate::example::{REBOUND, alarm, first};
use crate::machine::{Source, rollback};
use crate::mistake::Mistake;
use crate::process::{Kind, Origin, Process, Work};
use crate::properties;
use crate::situation::{Event, Situation};

impl Situation {
    /// What comes of an action.
    pub(crate) fn after(&self, bounds: &Bounds, action: &Action) -> Self {
        let mut next = self.clone();
        next.act(bounds, action);
        next.look();
        next
    }

    fn act(&mut self, bounds: &Bounds, action: &Action) {
        match action {
            Action::Tick => self.tick(bounds),
            Action::Grant { number, call, fate, holds } => {
                self.spend(*number, *call, *fate);
                self.grant(bounds, *number, *call, *fate, *holds);
            }
            Action::GoOn(number) => self.deliver(bounds, *number),
            Action::Crash(number) => {
                self.left.crashes -= 1;
                self.crash(*number);
            }
            Action::DieAfter { number, call } => {
                self.left.crashes -= 1;
                self.grant(bounds, *number, *call, Fate::Answered, true);
                self.crash(*number);
            }
            Action::Land(index) => self.land(bounds, *index),
            Action::Fire => {
                self.left.firings -= 1;
                self.set_alarm(AlarmSignal::Alarm);
                self.events.push(Event { at: self.now, deliveries: 1 + self.left.repeats });
                if !bounds.late {
                    self.act(bounds, &Action::Deliver(self.events.len() - 1));
                }
            }
            Action::Calm => self.set_alarm(AlarmSignal::Ok),
            Action::Deliver(index) => {
                let at = self.events[*index].at;
                self.events[*index].deliveries -= 1;
                self.events.retain(|event| event.deliveries > 0);
                let reason = "crossed".to_owned();
                let work = Work::Alarm(AlarmEvent { alarm: alarm(), at, reason });
                self.begin(bounds, Source::Delivery, Origin::Delivery, work);
            }
            Action::Operate { force } => self.operate(bounds, *force),
            Action::Sweep => self.sweep(bounds),
            Action::ExecutionEnded(place) => {
                self.left.sweeps -= 1;
                let id = self.machines[*place].deployment.clone();
                if let Some(work) = self.due_work(&Due::Deployment(id)) {
                    self.begin(bounds, Source::Sweep, Origin::Sweep, work);
                }
            }
            Action::Retire(key) => {
                self.begin(bounds, Source::Sweep, Origin::Sweep, Work::Retire(key.clone()));
            }
            Action::Ask => {
                let place = self.machines.len() - 1;
                self.machines[place].asked = true;
                self.invoke(place);
            }
            Action::Die(place) => {
                self.left.deaths -= 1;
                self.seen.fault = true;
                self.detach(*place);
                self.machines[*place].alive = false;
                self.machines[*place].wakes_at = None;
            }
            Action::Redrive(place) => {
                self.left.redrives -= 1;
                self.machines[*place].alive = true;
                self.machines[*place].redrives += 1;
                match self.machines[*place].at {
                    None => self.invoke(*place),
                    Some(at) => {
                        let wait = self.machines[*place].pause;
                        let wait = if at == NextStep::Gate { wait } else { Span::ZERO };
                        self.go(*place, at, wait);
                    }
                }
            }
            Action::Copy(place) => {
                self.left.copies -= 1;
                if let Some(work) = self.machines[*place].work() {
                    self.spawn(Source::Somebody, Origin::Nobody, work);
                }
            }
            Action::Sicken(healthy) => {
                self.left.sicknesses -= 1;
                self.seen.fault = true;
                self.set_health(bounds, Some(*healthy));
            }
            Action::Recover => {
                let healthy = self.world.weak[&bounds.sickens];
                self.set_health(bounds, Some(healthy + 1));
            }
            Action::Heal => self.set_health(bounds, None),
            Action::Approve(stage) => {
                self.left.answers -= 1;
                let word = decide::Word::Approve { reason: None };
                let named = Some(self.named(bounds, *stage));
                self.decide(bounds, named, word, *stage);
            }
            Action::Promote(stage) => {
                self.left.promotions -= 1;
                let word = decide::Word::Promote { reason: String::new(), skip_bake: false };
                let named = (bounds.mistake != Some(Mistake::PromoteWhatHolds))
                    .then_some(StageIndex(*stage));
                self.decide(bounds, named, word, *stage);
            }
            Action::Pause => {
                self.left.holds -= 1;
                self.decide(bounds, None, decide::Word::Pause { reason: None }, 0);
            }
            Action::Resume => self.decide(bounds, None, decide::Word::Resume { reason: None }, 0),
            Action::Veto => {
                self.left.vetoes -= 1;
                Arc::make_mut(&mut self.world).requests = Some(requests(1_000, 500));
                self.renew();
            }
            Action::Rebound => {
                self.left.rebounds -= 1;
                self.seen.rebound = true;
                self.rebound();
            }
            Action::Meddle => {
                self.left.meddles -= 1;
                self.seen.meddled = true;
                self.set_route(&actions(FOREIGN));
            }
            Action::PutBack => {
                let own = self.deployment(&first()).map(|item| item.progress.verified[0].clone());
                if let Some(own) = own {
                    self.set_route(&own);
                }
            }
        }
    }

    /// Sets a minimum of one, as a scheduled action does.
    fn rebound(&mut self) {
        let world = Arc::make_mut(&mut self.world);
        let found = world.scaling.get_mut(&service(Slot::Blue));
        if let Some(target) = found.and_then(|found| found.target.as_mut()) {
            target.minimum = REBOUND;
        }
        self.renew();
    }

    fn spend(&mut self, number: u64, call: usize, fate: Fate) {
        let Some(process) = self.process(number) else { return };
        let Some(pending) = process.pending.iter().find(|pending| pending.number == call) else {
            return;
        };
        let in_time = self.now <= pending.made_at + ATTEMPT_TIMEOUT;
        let throttled = process.throttled;
        match fate {
            Fate::Answered => {}
            Fate::Late if in_time && self.left.unanswered > 0 => self.left.unanswered -= 1,
            Fate::Late if !in_time => {}
            Fate::Throttled if throttled => {}
            Fate::Throttled => self.left.throttles -= 1,
            Fate::Late | Fate::LostAfter | Fate::LostBefore => self.left.lost -= 1,
        }
    }

    fn tick(&mut self, bounds: &Bounds) {
        let waits = |process: &Process| !process.fresh() || process.origin != Origin::Nobody;
        if self.processes.iter().any(waits) {
            self.left.pauses -= 1;
            // Too slow: not what the properties of a run without faults are about.
            self.seen.fault = true;
            self.seen.unanswered = true;
        }
        let Some(next) = self.next_instant(bounds) else { return };
        let bakes = |item: &&Deployment| matches!(item.progress.step, Step::Baking { .. });
        if let Some(item) = self.deployment(&first()).filter(bakes) {
            let own = item.plan.stage(item.progress.stage).map(|stage| stage.weight);
            let route_plan = &item.plan.routes[0];
            let own = own.map(|weight| route_plan.at(weight));
            if own.as_ref() == self.world.routes.get(&route_plan.route) {
                self.seen.own_time = self.seen.own_time.plus(next.since(self.now));
            }
        }
        self.now = next;
        self.flights.retain(|flight| next < flight.until);
        self.wake();
    }

    /// Starts a process whose first call is made at once.
    fn begin(&mut self, bounds: &Bounds, source: Source, origin: Origin, work: Work) {
        let number = self.spawn(source, origin, work);
        if self.left.lost > 0 || self.left.pauses > 0 {
            return;
        }
        let first = self.process(number).and_then(|process| process.pending.first());
        let Some(first) = first.map(|call| call.number) else { return };
        self.grant(bounds, number, first, Fate::Answered, false);
    }

    fn operate(&mut self, bounds: &Bounds, force: bool) {
        if force {
            self.left.forces -= 1;
        } else {
            self.left.operators -= 1;
        }
        let error = CaughtError {
            name: FailureCode::VerdictFailed.name().to_owned(),
            cause: Some("it is slow".to_owned()),
        };
        let by = Some(FenceTrigger::Operator("ada".to_owned()));
        let input = rollback(first(), Some(error), by, false);
        let input = RollbackInput { force, ..input };
        self.begin(bounds, Source::Somebody, Origin::Nobody, Work::Rollback(input));
    }

    /// The sweep only reads, and what it starts is started once: it takes no time.
    fn sweep(&mut self, bounds: &Bounds) {
        self.left.sweeps -= 1;
        let on = self.boundary(bounds, (0, Kind::Sweep), self.now);
        on.go_straight();
        let swept = sweep::run(&on).now_or_never();
        assert!(swept.is_some_and(|swept| swept.is_ok()), "the sweep goes straight");
        for signal in std::mem::take(&mut on.inner().signals) {
            if let Signal::Start(due) = signal {
                self.starts(&due);
            }
        }
    }

    fn named(&self, bounds: &Bounds, stage: usize) -> StageIndex {
        let asked = self.deployment(&first()).map(|item| item.progress.stage);
        let careless = bounds.mistake == Some(Mistake::ApproveWhatIsAsked);
        asked.filter(|_| careless).unwrap_or(StageIndex(stage))
    }

    /// A person decides: the record is one transaction, and wakes nobody who is not woken by the tick.
    fn decide(
        &mut self,
        bounds: &Bounds,
        stage: Option<StageIndex>,
        word: decide::Word,
        meant: usize,
    ) {
        let by = "ada".to_owned();
        let (approves, promotes) = (
            matches!(word, decide::Word::Approve { .. }),
            matches!(word, decide::Word::Promote { .. }),
        );
        let answer = decide::Answer { deployment: first(), stage, by, groups: Vec::new(), word };
        let on = self.boundary(bounds, (0, Kind::Decide), self.now);
        let decided = Work::Decide(answer).straight(&on).is_ok();
        let signals = std::mem::take(&mut on.inner().signals);
        if decided {
            let before = self.clone();
            self.adopt(on);
            self.seen.approved[meant] |= approves;
            self.seen.promoted[meant] |= promotes;
            properties::written(bounds, &before, self, None);
            signals.into_iter().for_each(|signal| self.signal(signal));
        }
    }

    fn set_alarm(&mut self, signal: AlarmSignal) {
        let now = self.now;
        let world = Arc::make_mut(&mut self.world);
        if let Some(alarm) = world.alarms.get_mut(alarm().name()) {
            (alarm.signal, alarm.since) = (signal, Some(now));
        }
        self.renew();
    }

    fn set_health(&mut self, bounds: &Bounds, healthy: Option<u32>) {
        let world = Arc::make_mut(&mut self.world);
        match healthy {
            Some(healthy) => world.weak.insert(bounds.sickens.clone(), healthy),
            None => world.weak.remove(&bounds.sickens),
        };
        self.renew();
    }

    fn set_route(&mut self, actions: &RouteActions) {
        let world = Arc::make_mut(&mut self.world);
        world.routes.insert(route(), actions.clone());
        self.renew();
    }

    /// What somebody who sees everything sees.
    fn look(&mut self) {
        let dead = properties::is_dead(self);
        self.seen.dead_since = dead.then(|| self.seen.dead_since.unwrap_or(self.now));
        let Some(deployment) = self.deployment(&first()) else { return };
        let stage = deployment.progress.stage.0.min(1);
        let asks = matches!(deployment.progress.step, Step::Approving { .. });
        let told = deployment.progress.told.as_ref();
        let holds = told.is_some_and(|event| event.name() == "stageHeld");
        self.seen.asked[stage] |= asks;
        self.seen.held[stage] |= holds;
    }
}
