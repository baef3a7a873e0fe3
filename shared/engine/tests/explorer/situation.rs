//! A state: the registry, the world, the executions, and the processes in flight. All of it is data.

use std::sync::Arc;

use glidepath_core::failure::Failure;
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::testing::{Items, State};

use crate::boundary::What;
use crate::bounds::Budget;
use crate::print::Printer;
use crate::process::Process;
use crate::record::{print_items, print_world};

/// Everything at one instant.
#[derive(Clone)]
pub(crate) struct Situation {
    pub(crate) now: Timestamp,
    pub(crate) items: Arc<Items>,
    pub(crate) world: Arc<State>,
    /// The prints of the two, renewed with every write.
    pub(crate) prints: (u64, u64),
    pub(crate) machines: Vec<Machine>,
    pub(crate) processes: Vec<Process>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) events: Vec<Event>,
    pub(crate) left: Budget,
    pub(crate) seen: Seen,
    /// How many processes were started so far, by who starts them.
    pub(crate) started: [u64; 5],
}

/// An unanswered write that may still land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) author: Option<DeploymentId>,
    pub(crate) effect: What,
    /// From then on it cannot land any more.
    pub(crate) until: Timestamp,
}

/// An alarm event that will be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) deliveries: u8,
}

/// An execution.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) deployment: DeploymentId,
    /// `None`: its plan is made.
    pub(crate) at: Option<NextStep>,
    pub(crate) alive: bool,
    /// Whether it has been asked for.
    pub(crate) asked: bool,
    /// Whether its request names a second route.
    pub(crate) both_routes: bool,
    /// When it goes on by itself.
    pub(crate) wakes_at: Option<Timestamp>,
    /// The process whose answer it waits for.
    pub(crate) invocation: Option<u64>,
    /// The token of the pause that it is in, and when that was entered.
    pub(crate) gate: Option<(String, Timestamp)>,
    /// How long the pause lasts.
    pub(crate) pause: Span,
    pub(crate) caught: Option<Failure>,
    pub(crate) woken: bool,
    pub(crate) redrives: u32,
    pub(crate) retries: u32,
}

/// What somebody who sees everything has seen. The engine knows nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// Something went wrong: a crash, a lost answer, a dead execution.
    pub(crate) fault: bool,
    /// A call got no answer, or its process died: a rollback may fail.
    pub(crate) unanswered: bool,
    /// Somebody else has changed a route.
    pub(crate) meddled: bool,
    /// Somebody else has set what bounds the tasks of the slot that served.
    pub(crate) rebound: bool,
    /// Since when the serving slot has nothing healthy.
    pub(crate) dead_since: Option<Timestamp>,
    /// Stages that somebody has approved, or let go on, and that was confirmed.
    pub(crate) approved: [bool; 2],
    pub(crate) promoted: [bool; 2],
    /// Questions that were asked once, and stages that held.
    pub(crate) asked: [bool; 2],
    pub(crate) held: [bool; 2],
    /// How long the present stage has had its own weight, where somebody may meddle.
    pub(crate) own_time: Span,
    /// What must never be seen, once it was.
    pub(crate) broken: Option<&'static str>,
}

impl Situation {
    pub(crate) fn deployment(&self, id: &DeploymentId) -> Option<&Deployment> {
        self.items.deployments.get(id)
    }

    pub(crate) fn closed(&self, id: &DeploymentId) -> Option<Outcome> {
        match self.deployment(id)?.phase {
            Phase::Closed(outcome) => Some(outcome),
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => None,
        }
    }

    /// Whether a process has made its first call and not its last.
    pub(crate) fn busy(&self) -> bool {
        self.processes.iter().any(|process| !process.fresh())
    }

    pub(crate) fn process(&self, number: u64) -> Option<&Process> {
        self.processes.iter().find(|process| process.number == number)
    }

    /// Has seen something that must never be.
    pub(crate) fn breaks(&mut self, property: &'static str) {
        self.seen.broken.get_or_insert(property);
    }

    pub(crate) fn renew(&mut self) {
        self.prints = (print_items(&self.items), print_world(&self.world));
    }

    /// Tells this state from every other one: states of the same print have the same future.
    pub(crate) fn print(&self) -> u64 {
        let mut printer = Printer::new();
        printer.word(self.prints.0);
        printer.word(self.prints.1);
        printer.word(self.now.as_millis().cast_unsigned());
        for machine in &self.machines {
            let Machine { at, alive, asked, wakes_at, gate, woken, redrives, .. } = machine;
            printer.debug((at, alive, asked, wakes_at, gate, woken, redrives));
            printer.debug(machine.caught.as_ref().map(|failure| failure.code));
        }
        let mut processes: Vec<_> = self.processes.iter().collect();
        processes.sort_unstable_by_key(|process| process.number);
        for process in processes {
            let fresh = process.fresh();
            printer.debug((process.origin, process.number, fresh));
            printer.word(process.mark);
            if !fresh {
                printer.word(process.began.as_millis().cast_unsigned());
            }
            printer.word(process.holds.as_ref().map_or(0, |held| held.made.mark | 1));
        }
        printer.debug((&self.flights, &self.events, &self.left, &self.seen));
        printer.finish()
    }
}
