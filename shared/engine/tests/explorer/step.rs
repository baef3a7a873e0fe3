//! One step of a process: a call is granted, and the real future goes on to its next calls.

use std::sync::Arc;

use futures_util::FutureExt;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{ClusterName, DeploymentId};
use glidepath_core::record::{ATTEMPT_TIMEOUT, LANDING_GRACE};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Containers, LoadBalancer, Scaling};

use crate::boundary::{Boundary, Fate, Pending, What};
use crate::bounds::Bounds;
use crate::print::Printer;
use crate::process::{Heard, Held, Kind, Process, Stepped};
use crate::properties;
use crate::record::{print_items, print_world};
use crate::situation::{Flight, Situation};

impl Situation {
    /// The tokens that are waited for.
    fn tokens(&self) -> Vec<String> {
        let alive = self.machines.iter().filter(|machine| machine.alive);
        alive.filter_map(|machine| machine.gate.as_ref().map(|(token, _)| token.clone())).collect()
    }

    /// Ports on this world as it is.
    pub(crate) fn boundary(
        &self,
        bounds: &Bounds,
        process: (u64, Kind),
        began: Timestamp,
    ) -> Boundary {
        let parts = (Arc::clone(&self.items), Arc::clone(&self.world), self.now);
        Boundary::new(parts, process, began, self.tokens(), bounds.mistake)
    }

    /// Takes over what was made of the world at these ports.
    pub(crate) fn adopt(&mut self, on: Boundary) {
        let (items, world) = on.into_parts();
        if let Some(items) = items {
            self.items = Arc::new(items);
            self.prints.0 = print_items(&self.items);
        }
        if let Some(mut world) = world {
            world.calls.clear();
            self.world = Arc::new(world);
            self.prints.1 = print_world(&self.world);
        }
    }

    /// Lets a call of a process come to this. With `holds` the answer has arrived, and the process stands
    /// still for a while.
    pub(crate) fn grant(
        &mut self,
        bounds: &Bounds,
        number: u64,
        call: usize,
        fate: Fate,
        holds: bool,
    ) {
        let Some(place) = self.processes.iter().position(|process| process.number == number) else {
            return;
        };
        let mut process = self.processes[place].clone();
        let Some(pending) = process.pending.iter().find(|pending| pending.number == call).cloned()
        else {
            return;
        };
        if process.fresh() {
            process.began = self.now;
            process.stops = self.holder();
        }
        let now = match pending.what {
            What::Sleep(span) => self.now.max(whole_second(pending.made_at + span)),
            _ => self.now,
        };
        process.throttled |= fate == Fate::Throttled;
        let reads = matches!(pending.operation, "routes" | "reaching" | "scalable_targets");
        process.unclean |= !reads && !matches!(fate, Fate::Answered | Fate::Throttled);
        let on = self.boundary(bounds, (number, process.work.kind()), process.began);
        let stepped = process.resume(&on, Some((call, fate, now)));
        let Some(made) = on.take_made() else {
            // The loser of a race is still there, and nobody waits for it.
            self.processes[place].pending.retain(|pending| pending.number != call);
            let next = self.processes[place].next_call().map(|pending| pending.number);
            return next.map_or((), |next| self.grant(bounds, number, next, fate, holds));
        };
        self.now = now;
        let signals = std::mem::take(&mut on.inner().signals);
        let touches = match pending.what {
            What::Quiet | What::Read => bounds.mistake.is_some(),
            What::Sleep(_) => false,
            What::Write | What::Route(..) | What::Scale(..) | What::Bounds(..) => true,
        };
        if touches {
            let before = self.clone();
            self.adopt(on);
            properties::written(bounds, &before, self, Some(&process));
        }
        let effective = matches!(fate, Fate::Answered | Fate::LostAfter);
        if effective && pending.what.of_the_world() {
            let author = self.author(&process);
            properties::landed(self, author.as_ref());
        }
        if matches!(fate, Fate::Late) {
            let until = pending.made_at + ATTEMPT_TIMEOUT + LANDING_GRACE;
            let author = self.author(&process);
            self.flights.push(Flight { author, effect: pending.what.clone(), until });
        }
        if matches!(fate, Fate::Late | Fate::LostBefore | Fate::LostAfter) {
            self.seen.fault = true;
            self.seen.unanswered = true;
        }
        if holds {
            process.holds = Some(Held { call, made, since: self.now });
            self.processes[place] = process;
        } else {
            process.hears(call, made.answer, made.mark, self.now);
            self.went(place, process, stepped);
        }
        signals.into_iter().for_each(|signal| self.signal(signal));
        self.go_on(bounds, number, &pending);
    }

    /// A process that stood still goes on with the answer that it has.
    pub(crate) fn deliver(&mut self, bounds: &Bounds, number: u64) {
        let Some(place) = self.processes.iter().position(|process| process.number == number) else {
            return;
        };
        let mut process = self.processes[place].clone();
        let Some(Held { call, made, .. }) = process.holds.take() else { return };
        process.hears(call, made.answer, made.mark, self.now);
        // Nothing is granted: nothing has an effect.
        let on = self.boundary(bounds, (number, process.work.kind()), process.began);
        let stepped = process.resume(&on, None);
        self.went(place, process, stepped);
        let nothing = What::Sleep(Span::ZERO);
        let before = Pending { number: call, operation: "", what: nothing, made_at: self.now };
        self.go_on(bounds, number, &before);
    }

    fn went(&mut self, place: usize, mut process: Process, stepped: Stepped) {
        match stepped {
            Stepped::Waits(pending) => {
                // What was asked before is still asked since then.
                let earlier = std::mem::take(&mut process.pending);
                process.pending = pending;
                for pending in &mut process.pending {
                    if let Some(same) = earlier.iter().find(|same| same.number == pending.number) {
                        pending.made_at = same.made_at;
                    }
                }
                self.processes[place] = process;
            }
            Stepped::Ended(end) => {
                properties::ended(self, &process, &end);
                self.ended(&process, end);
            }
        }
    }

    /// Calls that nobody can come between are granted at once.
    fn go_on(&mut self, bounds: &Bounds, number: u64, before: &Pending) {
        let Some(process) = self.process(number) else { return };
        if process.holds.is_some() || process.heard.is_empty() {
            return;
        }
        let quiet = process.pending.iter().find(|pending| {
            // What is read beside a write of its own only says whose change was overwritten.
            let beside = pending.operation == "routes" && bounds.budget.meddles == 0;
            let writes = |other: &Pending| matches!(other.what, What::Route(..));
            pending.what == What::Quiet || beside && process.pending.iter().any(writes)
        });
        if let Some(quiet) = quiet {
            let call = quiet.number;
            return self.grant(bounds, number, call, Fate::Answered, false);
        }
        let decides = matches!(before.operation, "deployment" | "alarms");
        let mut awake = process.pending.iter().filter(|call| !matches!(call.what, What::Sleep(_)));
        let (Some(next), None) = (awake.next(), awake.next()) else { return };
        if bounds.fused && self.left.lost == 0 && decides && next.operation == "commit" {
            let call = next.number;
            self.grant(bounds, number, call, Fate::Answered, false);
        }
    }

    /// An invocation dies.
    pub(crate) fn crash(&mut self, number: u64) {
        let Some(process) = self.process(number).cloned() else { return };
        self.seen.fault = true;
        self.seen.unanswered = true;
        self.ended(&process, Err(Failure::new(FailureCode::Transient, "Runtime.ExitError")));
    }

    /// In whose name a process writes: its deployment's, or that of whoever has the locks.
    pub(crate) fn author(&self, process: &Process) -> Option<DeploymentId> {
        process.work.deployment().cloned().or_else(|| process.stops.clone())
    }

    /// The deployment that has the locks.
    fn holder(&self) -> Option<DeploymentId> {
        self.items.locks.values().find_map(|lock| lock.holder.clone())
    }

    /// An unanswered write lands.
    pub(crate) fn land(&mut self, bounds: &Bounds, index: usize) {
        let flight = self.flights.remove(index);
        let before = self.clone();
        let on = self.boundary(bounds, (0, Kind::Sweep), self.now);
        flight.lands(&on);
        self.adopt(on);
        properties::changed(&before, self, flight.author.as_ref());
        properties::landed(self, flight.author.as_ref());
    }
}

impl Flight {
    fn lands(&self, on: &Boundary) {
        let landed = match &self.effect {
            What::Route(route, actions) => on.world().write_route(route, actions).now_or_never(),
            What::Scale(service, to) => {
                on.world().scale(&ClusterName::new("production"), service, to).now_or_never()
            }
            What::Bounds(service, to) => {
                let world = on.world();
                let cluster = ClusterName::new("production");
                world.set_scalable_target(&cluster, service, to).now_or_never()
            }
            What::Quiet | What::Read | What::Write | What::Sleep(_) => None,
        };
        assert_eq!(landed, Some(Ok(())), "a write of the world lands");
    }
}

impl Process {
    fn hears(&mut self, call: usize, answer: crate::boundary::Answer, mark: u64, at: Timestamp) {
        let mut printer = Printer::new();
        for word in [self.mark, call as u64, mark, at.as_millis().cast_unsigned()] {
            printer.word(word);
        }
        self.mark = printer.finish();
        self.heard.push(Heard { call, answer, at });
    }
}

/// Time has few values, so that states meet.
fn whole_second(at: Timestamp) -> Timestamp {
    let millis = at.as_millis();
    Timestamp::from_millis(millis + (1000 - millis.rem_euclid(1000)) % 1000)
}
