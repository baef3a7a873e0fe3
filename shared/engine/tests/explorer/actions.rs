//! What can happen next, and what comes of it.

use std::sync::Arc;

use futures_util::FutureExt;
use glidepath_core::failure::FailureCode;
use glidepath_core::health::AlarmSignal;
use glidepath_core::plan::StageIndex;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{ATTEMPT_TIMEOUT, FenceTrigger, LockKey, Phase, Step};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::decide;
use glidepath_engine::rollback::{AlarmEvent, CaughtError};
use glidepath_engine::sweep;
use glidepath_engine::testing::example::{START, actions, route};

use crate::boundary::{Fate, Pending, Signal, What};
use crate::bounds::{Bounds, Successor};
use crate::example::{self, alarm, first};
use crate::machine::{Source, rollback};
use crate::mistake::Mistake;
use crate::process::{Kind, Origin, Process, Work};
use crate::properties;
use crate::situation::{Event, Situation};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes until something is different.
    Tick,
    /// A call of a process comes to this; or its answer arrives, and it stands still.
    Grant { number: u64, call: usize, fate: Fate, holds: bool },
    /// A process that stood still goes on.
    GoOn(u64),
    /// An invocation dies before its next call, or after its last.
    Crash(u64),
    /// The last call of an invocation has its effect, and then it dies.
    DieAfter { number: u64, call: usize },
    /// An unanswered write takes effect.
    Land(usize),
    /// The alarm goes to ALARM.
    Fire,
    /// The alarm goes back to OK.
    Calm,
    /// An event reaches the rollback.
    Deliver(usize),
    /// A person asks for a rollback, which waits for stable or does not.
    Operate { force: bool },
    /// The sweep comes by.
    Sweep,
    /// EventBridge tells that an execution has ended.
    ExecutionEnded(usize),
    /// The sweep looks at an old slot.
    Retire(LockKey),
    /// The second deployment is asked for.
    Ask,
    /// An execution ends without finishing.
    Die(usize),
    /// A dead execution goes on where it was.
    Redrive(usize),
    /// An invocation of an execution is made twice.
    Copy(usize),
    /// The serving slot's targets become sick, all but so many.
    Sicken(u32),
    /// One more of them becomes healthy, but not the last.
    Recover,
    /// They become healthy.
    Heal,
    /// A person approves this stage, as they were asked once.
    Approve(usize),
    /// A person lets this stage go on, as they were told once that it holds.
    Promote(usize),
    /// Somebody else changes the route.
    Meddle,
    /// And puts it back.
    PutBack,
}

/// What somebody else sets: no weight of a stage.
pub(crate) const FOREIGN: Weight = match Weight::from_permille(700) {
    Ok(weight) => weight,
    Err(_) => Weight::ALL,
};

impl Situation {
    /// Everything that can happen.
    pub(crate) fn actions(&self, bounds: &Bounds) -> Vec<Action> {
        let mut found = Vec::new();
        let busy = self.processes.iter().filter(|process| !process.fresh()).count();
        for process in &self.processes {
            let machine = matches!(process.origin, Origin::Machine(_));
            if process.fresh() && !machine && busy >= bounds.concurrent {
                continue;
            }
            self.of_process(process, &mut found);
        }
        let waits = |process: &Process| !process.fresh() || process.origin != Origin::Nobody;
        let rests = !self.processes.iter().any(waits);
        if (rests || self.left.pauses > 0) && self.next_instant(bounds).is_some() {
            found.push(Action::Tick);
        }
        found.extend((0..self.flights.len()).map(Action::Land));
        for place in 0..self.machines.len() {
            self.of_machine(bounds, place, &mut found);
        }
        if busy < bounds.concurrent {
            found.extend((0..self.events.len()).map(Action::Deliver));
            self.of_people(&mut found);
        }
        self.of_the_sweep(bounds, busy, &mut found);
        let fires = self.world.alarms[alarm().name()].signal == AlarmSignal::Alarm;
        if fires {
            // Only a plan or another firing would notice.
            if bounds.plan.is_none() || self.left.firings > 0 {
                found.push(Action::Calm);
            }
        } else if self.left.firings > 0 {
            found.push(Action::Fire);
        }
        self.of_health(bounds, &mut found);
        found
    }

    fn of_process(&self, process: &Process, found: &mut Vec<Action>) {
        let number = process.number;
        if let Some(held) = &process.holds {
            if self.now > held.since || self.left.pauses == 0 {
                found.push(Action::GoOn(number));
            }
            return;
        }
        if self.left.crashes > 0 && !process.fresh() {
            found.push(Action::Crash(number));
        }
        let awake = process.pending.iter().filter(|call| !matches!(call.what, What::Sleep(_)));
        let awake: Vec<_> = awake.collect();
        let sleeps = process.pending.iter().min_by_key(|call| match call.what {
            What::Sleep(span) => call.made_at + span,
            _ => call.made_at,
        });
        let grant =
            |call: &Pending, fate, holds| Action::Grant { number, call: call.number, fate, holds };
        if awake.is_empty() {
            found.extend(sleeps.map(|call| grant(call, Fate::Answered, false)));
        }
        for call in awake {
            for fate in self.fates(process, call) {
                found.push(grant(call, fate, false));
                if fate == Fate::Answered && self.left.pauses > 0 {
                    found.push(grant(call, fate, true));
                }
            }
            if self.left.crashes > 0 && self.left.lost == 0 {
                found.push(Action::DieAfter { number, call: call.number });
            }
        }
    }

    /// What can come of a call.
    fn fates(&self, process: &Process, call: &Pending) -> Vec<Fate> {
        let of_the_world = matches!(call.what, What::Route(..) | What::Scale(..));
        let route = matches!(call.what, What::Route(..));
        if of_the_world && self.now > call.made_at + ATTEMPT_TIMEOUT {
            // Nobody waits for it any more; it may be on its way.
            return vec![Fate::Late];
        }
        if route && process.throttled {
            return vec![Fate::Throttled];
        }
        let mut fates = vec![Fate::Answered];
        if of_the_world && (self.left.unanswered > 0 || self.left.lost > 0) {
            fates.push(Fate::Late);
        }
        let restores = matches!(process.work.kind(), Kind::Rollback | Kind::Alarm);
        if route && restores && self.left.throttles > 0 {
            fates.push(Fate::Throttled);
        }
        if self.left.lost > 0 && !of_the_world {
            fates.push(Fate::LostBefore);
            if call.what == What::Write {
                fates.push(Fate::LostAfter);
            }
        }
        fates
    }

    fn of_machine(&self, bounds: &Bounds, place: usize, found: &mut Vec<Action>) {
        let machine = &self.machines[place];
        let begun = self.deployment(&machine.deployment).is_some();
        if !machine.asked {
            let first_is_over = self.closed(&first()).is_some();
            if bounds.successor == Successor::AtAnyTime || first_is_over {
                found.push(Action::Ask);
            }
            return;
        }
        if machine.alive && !machine.ended() && self.left.deaths > 0 {
            found.push(Action::Die(place));
        }
        if !machine.alive && begun && self.left.redrives > 0 {
            found.push(Action::Redrive(place));
        }
        let kind = machine.work().map(|work| work.kind());
        let copied = bounds.copied.is_none_or(|kind_| Some(kind_) == kind);
        if self.left.copies > 0 && machine.alive && kind.is_some() && copied {
            found.push(Action::Copy(place));
        }
    }

    fn of_people(&self, found: &mut Vec<Action>) {
        if self.deployment(&first()).is_none() {
            return;
        }
        if self.left.operators > 0 {
            found.push(Action::Operate { force: false });
        }
        if self.left.forces > 0 {
            found.push(Action::Operate { force: true });
        }
        let stages = |of: [bool; 2]| (0..2).filter(move |stage| of[*stage]);
        if self.left.answers > 0 {
            found.extend(stages(self.seen.asked).map(Action::Approve));
        }
        if self.left.promotions > 0 {
            found.extend(stages(self.seen.held).map(Action::Promote));
        }
    }

    fn of_the_sweep(&self, bounds: &Bounds, busy: usize, found: &mut Vec<Action>) {
        let swept = self.processes.iter().any(|process| process.origin == Origin::Sweep);
        if swept || busy >= bounds.concurrent {
            return;
        }
        if self.left.sweeps > 0 {
            let open = self.items.deployments.values();
            let mut open = open.filter(|item| !matches!(item.phase, Phase::Closed(_)));
            if open.any(|item| item.next_due_at <= self.now) {
                found.push(Action::Sweep);
            }
            for (place, machine) in self.machines.iter().enumerate() {
                let over = self.closed(&machine.deployment).is_some();
                if machine.asked && !machine.alive && !over {
                    found.push(Action::ExecutionEnded(place));
                }
            }
        }
        if bounds.retirement {
            let due = self.items.retirements.iter().filter(|(_, due)| due.due_at <= self.now);
            found.extend(due.map(|(key, _)| Action::Retire(key.clone())));
        }
    }

    fn of_health(&self, bounds: &Bounds, found: &mut Vec<Action>) {
        if let Some(healthy) = self.world.weak.get(&bounds.sickens) {
            if healthy + 1 < 3 {
                found.push(Action::Recover);
            }
            found.push(Action::Heal);
        } else if self.left.sicknesses > 0 {
            found.extend([0, 1].map(Action::Sicken));
        }
        let Some(deployment) = self.deployment(&first()) else { return };
        let bakes = matches!(deployment.progress.step, Step::Baking { .. });
        let own = deployment.progress.verified.first();
        let is = self.world.routes.get(&route());
        // Between the last read-back and the commit nobody can see it.
        let commits = self.machines[0].at == Some(NextStep::Complete);
        if deployment.phase == Phase::Open && bakes && !commits {
            if self.left.meddles > 0 && is == own {
                found.push(Action::Meddle);
            } else if is == Some(&actions(FOREIGN)) && deployment.progress.gap().is_some() {
                found.push(Action::PutBack);
            }
        }
    }

    /// The next instant at which something is different.
    pub(crate) fn next_instant(&self, bounds: &Bounds) -> Option<Timestamp> {
        let mut instants: Vec<Timestamp> = Vec::new();
        let alive = self.machines.iter().filter(|machine| machine.alive);
        instants.extend(alive.filter_map(|machine| machine.wakes_at));
        let claims = self.items.deployments.values().flat_map(|item| item.intents.values());
        let claims =
            claims.chain(self.items.alarms.values().flat_map(|item| item.intents.values()));
        let retirements = self.items.retirements.values();
        let claims = claims.chain(retirements.filter_map(|item| Some(&item.intent.as_ref()?.1)));
        instants.extend(claims.map(glidepath_core::record::Intent::dead_at));
        instants.extend(self.flights.iter().map(|flight| flight.until));
        let flying = |call: &Pending| matches!(call.what, What::Route(..) | What::Scale(..));
        let calls =
            self.processes.iter().flat_map(|process| &process.pending).filter(|call| flying(call));
        instants.extend(calls.map(|call| (call.made_at + ATTEMPT_TIMEOUT).just_after()));
        for deployment in self.items.deployments.values() {
            if matches!(deployment.phase, Phase::Closed(_)) {
                continue;
            }
            if self.left.sweeps > 0 {
                instants.push(deployment.next_due_at);
            }
            if self.left.sicknesses > 0 || !self.world.weak.is_empty() {
                let health = deployment.health;
                instants.push((health.at + health.fresh_for).just_after());
            }
        }
        if bounds.retirement {
            instants.extend(self.items.retirements.values().map(|item| item.due_at));
        }
        let next = instants.into_iter().filter(|instant| *instant > self.now).min()?;
        (next <= START + bounds.horizon).then_some(next)
    }

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
                if let Some(work) = self.due_work(&glidepath_engine::ports::Due::Deployment(id)) {
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
                let word = decide::Word::Promote { reason: String::new() };
                let named = (bounds.mistake != Some(Mistake::PromoteWhatHolds))
                    .then_some(StageIndex(*stage));
                self.decide(bounds, named, word, *stage);
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
            self.seen.fault = true;
        }
        let Some(next) = self.next_instant(bounds) else { return };
        if bounds.budget.meddles > 0 {
            let own = self.deployment(&first()).and_then(|item| item.progress.verified.first());
            if own == self.world.routes.get(&route()) {
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
        let input = glidepath_engine::rollback::RollbackInput { force, ..input };
        self.begin(bounds, Source::Somebody, Origin::Nobody, Work::Rollback(input));
    }

    /// The sweep only reads, and what it starts is started once: it takes no time.
    fn sweep(&mut self, bounds: &Bounds) {
        self.left.sweeps -= 1;
        let on = self.boundary(bounds, (0, Kind::Sweep), self.now);
        on.go_straight();
        let swept = sweep::run(&on, &on, &on).now_or_never();
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
        let approves = matches!(word, decide::Word::Approve { .. });
        let answer = decide::Answer { deployment: first(), stage, by, word };
        let on = self.boundary(bounds, (0, Kind::Decide), self.now);
        let decided = Work::Decide(answer).straight(&on).is_ok();
        let signals = std::mem::take(&mut on.inner().signals);
        if decided {
            let before = self.clone();
            self.adopt(on);
            if approves {
                self.seen.approved[meant] = true;
            } else {
                self.seen.promoted[meant] = true;
            }
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

    fn set_route(&mut self, actions: &glidepath_core::route::RouteActions) {
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

/// The plan of the first deployment of these bounds, in the world that it begins in.
pub(crate) fn beginning(bounds: &Bounds) -> Situation {
    let second = (bounds.successor != Successor::Never).then(example::successor);
    let machines = std::iter::once(crate::situation::Machine::new(first(), true))
        .chain(second.map(|id| crate::situation::Machine::new(id, false)))
        .collect();
    let items = bounds.plan.clone().map(example::begun).unwrap_or_default();
    let mut state = Situation {
        now: START,
        items: Arc::new(items),
        world: Arc::new(example::world(bounds.plan.as_ref())),
        prints: (0, 0),
        machines,
        processes: Vec::new(),
        flights: Vec::new(),
        events: Vec::new(),
        left: bounds.budget,
        seen: crate::situation::Seen::default(),
        started: [0; 5],
    };
    state.renew();
    match bounds.plan {
        Some(_) => state.go(0, NextStep::Advance, Span::ZERO),
        None => state.invoke(0),
    }
    state
}
