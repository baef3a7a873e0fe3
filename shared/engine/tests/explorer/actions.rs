//! What can happen next.

use glidepath_core::health::AlarmSignal;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{ATTEMPT_TIMEOUT, Event as Told, LockKey, Outcome, Phase, Step};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use glidepath_engine::testing::example::{START, actions, route};

use crate::boundary::{Fate, Pending, What};
use crate::bounds::{Bounds, Successor};
use crate::example::{alarm, first};
use crate::process::{Kind, Origin, Process};
use crate::situation::Situation;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes until something is different.
    Tick,
    /// A call of a process comes to this; or its answer arrives, and it stands still.
    Grant {
        number: u64,
        call: usize,
        fate: Fate,
        holds: bool,
    },
    /// A process that stood still goes on.
    GoOn(u64),
    /// An invocation dies before its next call, or after its last.
    Crash(u64),
    /// The last call of an invocation has its effect, and then it dies.
    DieAfter {
        number: u64,
        call: usize,
    },
    /// An unanswered write takes effect.
    Land(usize),
    /// The alarm goes to ALARM.
    Fire,
    /// The alarm goes back to OK.
    Calm,
    /// An event reaches the rollback.
    Deliver(usize),
    /// A person asks for a rollback, which waits for stable or does not.
    Operate {
        force: bool,
    },
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
    /// A person pauses it, or resumes it.
    Pause,
    Resume,
    /// A person lets this stage go on, as they were told once that it holds.
    Promote(usize),
    /// The canary fails half of its requests from now on.
    Veto,
    /// Somebody else, or a scheduled action, sets what bounds the tasks of the slot that serves.
    Rebound,
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
            self.of_process(bounds, process, &mut found);
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
        let open = self.deployment(&first()).is_some_and(|item| item.phase == Phase::Open);
        if self.left.vetoes > 0 && open {
            found.push(Action::Veto);
        }
        // Between a look and its write nobody can see it: AWS knows no write on a condition.
        if self.left.rebounds > 0 && open && !self.busy() {
            found.push(Action::Rebound);
        }
        found
    }

    fn of_process(&self, bounds: &Bounds, process: &Process, found: &mut Vec<Action>) {
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
        let grant =
            |call: &Pending, fate, holds| Action::Grant { number, call: call.number, fate, holds };
        if awake.is_empty() {
            found.extend(process.next_call().map(|call| grant(call, Fate::Answered, false)));
        }
        let stands = bounds.stands.is_none_or(|kind| kind == process.work.kind());
        for call in awake {
            for fate in self.fates(process, call) {
                found.push(grant(call, fate, false));
                if fate == Fate::Answered && self.left.pauses > 0 && stands {
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
        let of_the_world = call.what.of_the_world();
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
        let first = self.deployment(&first());
        let paused = first.is_some_and(|deployment| deployment.progress.paused.is_some());
        if paused {
            found.push(Action::Resume);
        } else if self.left.holds > 0 {
            found.push(Action::Pause);
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
        let told = matches!(deployment.progress.told, Some(Told::ForeignChange { .. }));
        let noticed = told || deployment.progress.gap().is_some();
        // Between the last read-back and the commit nobody can see it.
        let commits = self.machines[0].at == Some(NextStep::Complete);
        let over = deployment.phase == Phase::Closed(Outcome::Succeeded);
        if bounds.retirement && over && self.left.meddles > 0 {
            found.push(Action::Meddle);
        }
        if deployment.phase == Phase::Open && bakes && !commits {
            if self.left.meddles > 0 && is == own {
                found.push(Action::Meddle);
            } else if is == Some(&actions(FOREIGN)) && noticed {
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
        let calls = self.processes.iter().flat_map(|process| &process.pending);
        let calls = calls.filter(|call| call.what.of_the_world());
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
                instants.push(health.at + health.fresh_for);
                instants.push((health.at + health.fresh_for).just_after());
            }
        }
        if bounds.retirement {
            instants.extend(self.items.retirements.values().map(|item| item.due_at));
        }
        let next = instants.into_iter().filter(|instant| *instant > self.now).min()?;
        (next <= START + bounds.horizon).then_some(next)
    }
}
