//! The model: what can happen next, and what comes of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use glidepath_core::plan::{Slot, StageIndex};
use glidepath_core::protocol;
use glidepath_core::record::{Decision, Phase, Promotion};
use glidepath_core::weight::Weight;
use stateright::{Model, Property};

use crate::alarm::ByAlarm;
use crate::bounds::{Bounds, From, Mistake, Successor};
use crate::call::{Call, Choice, End};
use crate::complete::Complete;
use crate::example::{SLOTS, Who, key};
use crate::process::{Origin, Work};
use crate::properties;
use crate::retire::Retire;
use crate::rollback::{By, Rollback};
use crate::state::{At, Event, Sick, State};

/// An exploration to certain bounds.
#[derive(Debug)]
pub(crate) struct Exploration {
    pub(crate) bounds: Bounds,
    /// Quiet states that are known to end.
    pub(crate) known: Arc<Mutex<HashSet<u64>>>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes.
    Tick,
    /// An invocation makes its next call.
    Step(u8, Choice),
    /// An invocation dies before its next call.
    Crash(u8),
    /// An unanswered write takes effect.
    Land(usize),
    /// The pause of an execution is over.
    TimeOut(Who),
    /// The alarm goes to ALARM.
    Fire,
    /// The alarm goes back to OK.
    Calm,
    /// An event reaches the rollback.
    Deliver(usize),
    /// A person asks for a rollback.
    Operate(Who),
    /// The sweep looks at an overdue deployment.
    Sweep(Who),
    /// The sweep looks at an old slot.
    Retire(Slot),
    /// The second deployment is asked for.
    Ask,
    /// An execution ends without finishing.
    Die(Who),
    /// A dead execution goes on where it was.
    Redrive(Who),
    /// An invocation of an execution is made twice.
    Repeat(Who),
    /// A person asks for a rollback that does not wait for stable.
    Force(Who),
    /// The serving slot's targets become sick, all but so many.
    Sicken(Slot, u8),
    /// One more of them becomes healthy, but not the last.
    Recover,
    /// They become healthy.
    Heal,
    /// A person approves this stage of the first deployment, as they were asked once.
    Approve(usize),
    /// A person lets this stage of the first deployment go on, as they were told once that it holds.
    Promote(usize),
    /// Somebody else changes the route.
    Meddle,
    /// And puts it back.
    PutBack,
}

impl Model for Exploration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::first(&self.bounds);
        while !self.begins(&state) {
            let number = state.machines[0].invocation.expect("it has not come to a pause");
            self.step(&mut state, number, Choice::Go).expect("nothing hinders it");
        }
        if self.bounds.from == From::Weak {
            state.detach(Who::First);
            state.processes.clear();
            state.machines[0].alive = false;
            state.seen.fault = true;
            state.world.sick = Some(Sick { slot: Slot::Blue, healthy: 1, since: state.now });
            state.now = state.now + self.bounds.tick.times(3);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for process in &state.processes {
            actions.push(Action::Step(process.number, Choice::Go));
            if process.work.attempts() && state.left.unanswered > 0 {
                actions.push(Action::Step(process.number, Choice::Unanswered));
            }
            if process.work.restores() && state.left.throttles > 0 {
                actions.push(Action::Step(process.number, Choice::Throttled));
            }
            if process.work.judges() {
                if self.bounds.gates || self.bounds.budget.promotions > 0 {
                    actions.push(Action::Step(process.number, Choice::Wait));
                }
                if state.left.vetoes > 0 {
                    actions.push(Action::Step(process.number, Choice::Veto));
                }
            }
            if state.left.crashes > 0 && !process.work.fresh() {
                actions.push(Action::Crash(process.number));
            }
        }
        if !state.busy() || state.left.pauses > 0 {
            actions.push(Action::Tick);
        }
        actions.extend((0..state.flights.len()).map(Action::Land));
        let asked = state.machines[Who::Successor.index()];
        let first_is_over = state.closed(&Who::First.id()).is_some();
        let waits = !asked.alive && asked.at == At::Plan && asked.redrives == 0;
        if self.bounds.successor == Successor::Afterwards && waits && first_is_over {
            actions.push(Action::Ask);
        }
        if state.left.answers > 0 {
            let asked = |stage: &usize| state.seen.asked[*stage];
            actions.extend((0..2).filter(asked).map(Action::Approve));
        }
        if state.left.promotions > 0 {
            let held = |stage: &usize| state.seen.held[*stage];
            actions.extend((0..2).filter(held).map(Action::Promote));
        }
        if let Some(own) = state.bakes_at() {
            let gap = || state.deployment(Who::First).and_then(|item| item.progress.gap());
            // Between the last read-back and the commit nobody can see it.
            let commits = state.machines[0].at == At::Complete;
            if state.world.green == own && state.left.meddles > 0 && !commits {
                actions.push(Action::Meddle);
            } else if state.world.green == FOREIGN && gap().is_some() {
                actions.push(Action::PutBack);
            }
        }
        for who in Who::BOTH {
            of_one(state, who, actions);
        }
        if state.processes.iter().filter(|process| !process.work.fresh()).count()
            < self.bounds.concurrent
        {
            actions.extend((0..state.events.len()).map(Action::Deliver));
            for who in Who::BOTH {
                self.starts(state, who, actions);
            }
            if self.bounds.retirement {
                actions
                    .extend(SLOTS.into_iter().filter(|slot| due(state, *slot)).map(Action::Retire));
            }
        }
        if state.world.firing_since.is_some() {
            // Only a plan or another firing would notice.
            if self.bounds.successor != Successor::Never || state.left.firings > 0 {
                actions.push(Action::Calm);
            }
        } else if state.left.firings > 0 {
            actions.push(Action::Fire);
        }
        if let Some(sick) = state.world.sick {
            if sick.healthy + 1 < state.world.tasks[crate::example::slot_index(sick.slot)] {
                actions.push(Action::Recover);
            }
            actions.push(Action::Heal);
        } else if state.left.sicknesses > 0 {
            let serving = |slot: &Slot| state.world.tasks[crate::example::slot_index(*slot)] > 0;
            let tasks = |slot: Slot| state.world.tasks[crate::example::slot_index(slot)];
            let sick = |slot| (0..tasks(slot)).map(move |healthy| Action::Sicken(slot, healthy));
            actions.extend(SLOTS.into_iter().filter(serving).flat_map(sick));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Tick => {
                next.left.pauses -= u8::from(state.busy());
                let meddles = self.bounds.budget.meddles > 0;
                if meddles && state.bakes_at() == Some(state.world.green) {
                    next.seen.own_time = (state.seen.own_time + 1).min(2);
                }
                next.now = next.now + self.bounds.tick;
                let now = next.now;
                next.flights.retain(|flight| now < flight.until);
            }
            Action::Step(number, choice) => self.step(&mut next, number, choice)?,
            Action::Crash(number) => crash(&mut next, number)?,
            Action::Land(index) => {
                let flight = next.flights.remove(index);
                next.land(flight.author, flight.effect);
            }
            Action::TimeOut(who) => {
                next.detach(who);
                next.go(who, At::Validate);
            }
            Action::Fire => {
                next.left.firings -= 1;
                next.world.firing_since = Some(next.now);
                next.events.push(Event { at: next.now, deliveries: 1 + next.left.repeats });
            }
            Action::Calm => next.world.firing_since = None,
            Action::Deliver(index) => {
                let event = &mut next.events[index];
                event.deliveries -= 1;
                let at = event.at;
                next.events.retain(|event| event.deliveries > 0);
                next.start(Who::First, Origin::Delivery, Work::ByAlarm(ByAlarm::new(at)));
            }
            Action::Operate(who) => {
                next.left.operators -= 1;
                next.start(who, Origin::Nobody, Work::Rollback(Rollback::new(By::Somebody)));
            }
            Action::Force(who) => {
                next.left.forces -= 1;
                next.start(who, Origin::Nobody, Work::Rollback(Rollback::new(By::Forcing)));
            }
            Action::Sweep(who) => {
                next.left.sweeps -= 1;
                let work = next.sweeps(who)?;
                next.start(who, Origin::Sweep, work);
            }
            Action::Retire(slot) => {
                next.start(Who::First, Origin::Sweep, Work::Retire(Retire::new(slot)));
            }
            Action::Ask => {
                next.machines[Who::Successor.index()].alive = true;
                next.go(Who::Successor, At::Plan);
            }
            Action::Die(who) => {
                next.left.deaths -= 1;
                next.seen.fault = true;
                next.detach(who);
                next.machines[who.index()].alive = false;
            }
            Action::Redrive(who) => {
                next.left.redrives -= 1;
                let machine = &mut next.machines[who.index()];
                machine.alive = true;
                machine.redrives += 1;
                let at = if machine.at == At::Paused { At::Gate } else { machine.at };
                next.go(who, at);
            }
            Action::Repeat(who) => {
                next.left.duplicates -= 1;
                let work = next.work(who)?;
                next.start(who, Origin::Nobody, work);
            }
            Action::Sicken(slot, healthy) => {
                next.left.sicknesses -= 1;
                next.seen.fault = true;
                next.world.sick = Some(Sick { slot, healthy, since: next.now });
            }
            Action::Recover => {
                if let Some(sick) = &mut next.world.sick {
                    sick.healthy += 1;
                }
            }
            Action::Heal => next.world.sick = None,
            Action::Approve(stage) => approve(&mut next, &self.bounds, StageIndex(stage))?,
            Action::Promote(stage) => promote(&mut next, &self.bounds, StageIndex(stage))?,
            Action::Meddle => {
                next.left.meddles -= 1;
                next.seen.meddled = true;
                next.world.green = FOREIGN;
            }
            Action::PutBack => next.world.green = next.bakes_at()?,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Exploration {
    pub(crate) fn of(bounds: Bounds) -> Self {
        Self { bounds, known: Arc::default() }
    }

    /// Whether the first deployment has come as far as the exploration begins.
    fn begins(&self, state: &State) -> bool {
        let machine = state.machines[0];
        let fresh = state.processes.iter().all(|process| process.work.fresh());
        fresh
            && match self.bounds.from {
                From::Plan => true,
                From::Tasks => machine.at == At::Advance,
                From::Shift => {
                    machine.at == At::Advance && state.world.tasks == [self.bounds.tasks; 2]
                }
                From::Bake | From::Weak => matches!(machine.at, At::Gate | At::Validate),
                From::Commit => machine.at == At::Complete,
            }
    }

    /// What starts an invocation.
    fn starts(&self, state: &State, who: Who, actions: &mut Vec<Action>) {
        let Some(deployment) = state.deployment(who) else { return };
        if state.left.operators > 0 {
            actions.push(Action::Operate(who));
        }
        if state.left.forces > 0 {
            actions.push(Action::Force(who));
        }
        let swept = state
            .processes
            .iter()
            .any(|process| process.origin == Origin::Sweep && process.who == who);
        let machine = state.machines[who.index()];
        // The event of its death does not wait until the deployment is overdue.
        let overdue = deployment.next_due_at <= state.now || !machine.alive;
        let forgotten = deployment.phase == Phase::Held
            && self.bounds.mistake == Some(Mistake::HeldIsForgotten);
        let comes = state.left.sweeps > 0 && overdue && !forgotten && !swept;
        if comes && state.sweeps(who).is_some() {
            actions.push(Action::Sweep(who));
        }
        let repeats = self.bounds.repeated.is_none_or(|at| at == machine.at);
        if state.left.duplicates > 0 && repeats && machine.alive && state.work(who).is_some() {
            actions.push(Action::Repeat(who));
        }
    }

    /// One step of an invocation.
    pub(crate) fn step(&self, state: &mut State, number: u8, choice: Choice) -> Option<()> {
        let index = state.processes.iter().position(|process| process.number == number)?;
        let process = state.processes[index].clone();
        if choice == Choice::Veto {
            state.left.vetoes -= 1;
        }
        let mut call = Call { state, bounds: &self.bounds, number, who: process.who, choice };
        match process.work.clone().step(&mut call) {
            Ok(work) => {
                let process =
                    state.processes.iter_mut().find(|process| process.number == number)?;
                process.work = work;
            }
            Err(end) => {
                let rolls_back = matches!(process.work, Work::Rollback(_) | Work::ByAlarm(_));
                let failed = rolls_back && matches!(end, End::Failed | End::Transient);
                state.seen.rollback_failed |= failed && !state.seen.unanswered;
                let repeats = end == End::Transient && process.origin == Origin::Delivery;
                if let (true, Work::ByAlarm(work)) = (repeats, &process.work) {
                    state.events.push(Event { at: work.at, deliveries: 1 });
                }
                state.ended(&process, end);
            }
        }
        Some(())
    }
}

/// What somebody else sets: no weight of a stage.
const FOREIGN: Weight = match Weight::from_permille(700) {
    Ok(weight) => weight,
    Err(_) => Weight::ALL,
};

/// A person approves from wherever they are; what they are told is what was recorded.
fn approve(state: &mut State, bounds: &Bounds, stage: StageIndex) -> Option<()> {
    state.left.answers -= 1;
    let deployment = state.deployment(Who::First)?;
    let decision = Decision { approved: true, by: String::new(), at: state.now, reason: None };
    let named = if bounds.mistake == Some(Mistake::ApproveWhatIsAsked) {
        deployment.progress.stage
    } else {
        stage
    };
    let (_, writes) = protocol::approve(deployment, named, decision, state.now).ok()?;
    Arc::make_mut(&mut state.items).commit(writes)?;
    state.seen.approved[stage.0] = true;
    Some(())
}

/// A person lets a stage go on, from wherever they are.
fn promote(state: &mut State, bounds: &Bounds, stage: StageIndex) -> Option<()> {
    state.left.promotions -= 1;
    let deployment = state.deployment(Who::First)?;
    let promotion = Promotion { by: String::new(), at: state.now, reason: String::new() };
    let named = (bounds.mistake != Some(Mistake::PromoteWhatHolds)).then_some(stage);
    let (_, writes) = protocol::promote(deployment, named, promotion, state.now).ok()?;
    Arc::make_mut(&mut state.items).commit(writes)?;
    state.seen.promoted[stage.0] = true;
    Some(())
}

fn crash(state: &mut State, number: u8) -> Option<()> {
    let process = state.processes.iter().find(|process| process.number == number)?.clone();
    state.left.crashes -= 1;
    state.seen.fault = true;
    state.seen.unanswered = true;
    if let (Origin::Delivery, Work::ByAlarm(work)) = (process.origin, &process.work) {
        state.events.push(Event { at: work.at, deliveries: 1 });
    }
    state.ended(&process, End::Transient);
    Some(())
}

impl State {
    /// What the sweep starts for a deployment, if it has not ended.
    pub(crate) fn sweeps(&self, who: Who) -> Option<Work> {
        match self.deployment(who)?.phase {
            Phase::Open | Phase::RollingBack | Phase::Held => {
                Some(Work::Rollback(Rollback::new(By::Somebody)))
            }
            Phase::Committed => Some(Work::Complete(Complete::Load)),
            Phase::Closed(_) => None,
        }
    }
}

fn of_one(state: &State, who: Who, actions: &mut Vec<Action>) {
    let machine = state.machines[who.index()];
    let waits = matches!(machine.at, At::Gate | At::Paused);
    if machine.alive && waits {
        let stores = state
            .processes
            .iter()
            .any(|process| Some(process.number) == machine.invocation && !process.work.fresh());
        // Going on without an invocation that is under way leaves a late one behind.
        if !stores || state.left.duplicates > 0 {
            actions.push(Action::TimeOut(who));
        }
    }
    if machine.alive && state.left.deaths > 0 {
        actions.push(Action::Die(who));
    }
    let died = !machine.alive && machine.at != At::Ended && state.deployment(who).is_some();
    if died && state.left.redrives > 0 {
        actions.push(Action::Redrive(who));
    }
}

/// Whether an old slot's time has come and no sweep is at it.
fn due(state: &State, slot: Slot) -> bool {
    let found = state.items.retirements.get(&key(slot));
    let busy = state.processes.iter().any(|process| matches!(process.work, Work::Retire(_)));
    found.is_some_and(|found| found.due_at <= state.now) && !busy
}
