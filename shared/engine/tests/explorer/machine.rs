//! The state machine: routes by `next`, waits, pauses at the gate, retries what may pass, and sends every
//! other failure through the rollback, as the real definition does.

use std::sync::Arc;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, ExecutionArn, TaskToken};
use glidepath_core::protocol::{self, NextStep, Reply};
use glidepath_core::record::FenceTrigger;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::gate::{GateInput, TickInput};
use glidepath_engine::plan::PlanInput;
use glidepath_engine::ports::Due;
use glidepath_engine::rollback::{CaughtError, RollbackInput};

use crate::boundary::{Boundary, Signal};
use crate::example;
use crate::print::print;
use crate::process::{End, Origin, Process, Stepped, Work};
use crate::properties::THE_GATE_IS_WOKEN;
use crate::situation::{Event, Machine, Situation};

/// Before an invocation that failed is repeated.
const RETRY: Span = Span::from_secs(5);

impl Machine {
    pub(crate) fn new(deployment: DeploymentId, asked: bool, both_routes: bool) -> Self {
        Self {
            deployment,
            at: None,
            alive: true,
            asked,
            both_routes,
            wakes_at: None,
            invocation: None,
            gate: None,
            pause: Span::ZERO,
            caught: None,
            woken: false,
            redrives: 0,
            retries: 0,
        }
    }

    pub(crate) fn ended(&self) -> bool {
        matches!(self.at, Some(NextStep::Succeeded | NextStep::Failed))
    }

    /// Whether it waits for its token.
    pub(crate) fn pauses(&self) -> bool {
        self.alive && self.gate.is_some() && self.invocation.is_none()
    }

    /// What it invokes where it is.
    pub(crate) fn work(&self) -> Option<Work> {
        let id = || self.deployment.clone();
        Some(match self.at {
            None => Work::Plan(PlanInput {
                deployment: id(),
                execution: ExecutionArn::new(format!("arn:{}", self.deployment)),
                execution_start: None,
                request: example::request(&self.deployment, self.both_routes),
            }),
            Some(NextStep::Advance) => Work::Advance(id()),
            Some(NextStep::Gate) => {
                let (token, entered_at) = self.gate.clone()?;
                Work::Gate(GateInput {
                    deployment: id(),
                    token: TaskToken::new(token),
                    tick: TickInput {
                        redrive_count: self.redrives,
                        entered_at: text(entered_at),
                        retry_count: self.retries,
                    },
                })
            }
            Some(NextStep::Validate) => Work::Validate(id()),
            Some(NextStep::Complete) => Work::Complete(id()),
            Some(NextStep::Rollback) => {
                let error = self.caught.as_ref().map(|failure| CaughtError {
                    name: failure.code.name().to_owned(),
                    cause: Some(failure.cause.clone()),
                });
                Work::Rollback(rollback(id(), error, None, self.woken))
            }
            Some(NextStep::Succeeded | NextStep::Failed) => return None,
        })
    }
}

/// A time with its milliseconds, as `State.EnteredTime` has them.
fn text(at: Timestamp) -> String {
    at.to_string().replace('Z', &format!(".{:03}Z", at.as_millis().rem_euclid(1000)))
}

pub(crate) fn rollback(
    deployment: DeploymentId,
    error: Option<CaughtError>,
    by: Option<FenceTrigger>,
    woken: bool,
) -> RollbackInput {
    RollbackInput { deployment, error, by, force: false, woken, execution_start: None }
}

/// Who starts processes, for their numbers.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Machine(usize),
    Delivery,
    Somebody,
    Sweep,
}

impl Situation {
    /// Starts a process and gives its number.
    pub(crate) fn spawn(&mut self, source: Source, origin: Origin, work: Work) -> u64 {
        let place = match source {
            Source::Machine(place) => place,
            Source::Delivery => 2,
            Source::Somebody => 3,
            Source::Sweep => 4,
        };
        self.started[place] += 1;
        let number = place as u64 * 1_000 + self.started[place];
        // What it was started with is the first thing that it knows.
        let mark = print(&work);
        let process = Process {
            number,
            origin,
            work: Arc::new(work),
            began: self.now,
            heard: Vec::new(),
            holds: None,
            pending: Vec::new(),
            mark,
            throttled: false,
            unclean: false,
            stops: None,
        };
        // No call has its effect before it is granted.
        let kind = process.work.kind();
        let parts = (Arc::clone(&self.items), Arc::clone(&self.world), self.now);
        let on = Boundary::new(parts, (number, kind), self.now, Vec::new(), None);
        let pending = match process.resume(&on, None) {
            Stepped::Waits(pending) => pending,
            Stepped::Ended(_) => unreachable!("a use case without a call"),
        };
        self.processes.push(Process { pending, ..process });
        number
    }

    /// Has an execution invoke what it is at.
    pub(crate) fn invoke(&mut self, place: usize) {
        self.machines[place].wakes_at = None;
        let Some(work) = self.machines[place].work() else { return };
        let number = self.spawn(Source::Machine(place), Origin::Machine(place), work);
        self.machines[place].invocation = Some(number);
    }

    /// Leaves the invocation of an execution to itself.
    pub(crate) fn detach(&mut self, place: usize) {
        let Some(number) = self.machines[place].invocation.take() else { return };
        for process in &mut self.processes {
            if process.number == number {
                process.origin = Origin::Nobody;
            }
        }
        // What has not begun never comes.
        self.processes.retain(|process| process.number != number || !process.fresh());
    }

    /// An execution goes on there after a wait.
    pub(crate) fn go(&mut self, place: usize, next: NextStep, wait: Span) {
        self.detach(place);
        let now = self.now;
        let entry = self.started[place];
        let machine = &mut self.machines[place];
        machine.at = Some(next);
        (machine.gate, machine.wakes_at, machine.retries) = (None, None, 0);
        match next {
            NextStep::Succeeded | NextStep::Failed => {}
            NextStep::Gate => {
                let token = format!("{}/{entry}", machine.deployment);
                (machine.gate, machine.pause) = (Some((token, now)), wait);
                self.invoke(place);
                self.machines[place].wakes_at = Some(now + wait.max(Span::from_secs(1)));
            }
            NextStep::Advance | NextStep::Validate | NextStep::Complete | NextStep::Rollback => {
                if wait == Span::ZERO {
                    self.invoke(place);
                } else {
                    self.machines[place].wakes_at = Some(now + wait);
                }
            }
        }
    }

    /// The invocation of an execution has ended.
    pub(crate) fn invoked(&mut self, place: usize, end: End) {
        self.machines[place].invocation = None;
        let at = self.machines[place].at;
        match end {
            Ok(Some(Reply { next, wait_seconds, .. })) => {
                self.machines[place].woken = false;
                self.go(place, next, Span::from_secs(wait_seconds));
            }
            // The token is stored: it is what is waited for.
            Ok(None) => {}
            Err(failure) if failure.code == FailureCode::Transient => {
                match &self.machines[place].gate {
                    Some((_, entered)) => {
                        let token =
                            format!("{}/{}", self.machines[place].deployment, self.started[place]);
                        let entered = *entered;
                        let wakes_at = self.machines[place].wakes_at;
                        self.machines[place].gate = Some((token, entered));
                        self.machines[place].retries += 1;
                        self.invoke(place);
                        self.machines[place].wakes_at = wakes_at;
                    }
                    None => self.machines[place].wakes_at = Some(self.now + RETRY),
                }
            }
            // The rollback failed for good: the execution ends, the sweep goes on.
            Err(_) if at == Some(NextStep::Rollback) => {
                self.go(place, NextStep::Failed, Span::ZERO)
            }
            Err(failure) => {
                self.machines[place].caught = Some(failure);
                self.go(place, NextStep::Rollback, Span::ZERO);
            }
        }
    }

    /// Whoever waits until now goes on.
    pub(crate) fn wake(&mut self) {
        for place in 0..self.machines.len() {
            let machine = &self.machines[place];
            if !machine.alive || machine.wakes_at.is_none_or(|at| at > self.now) {
                continue;
            }
            if machine.at == Some(NextStep::Gate) {
                self.go(place, NextStep::Validate, Span::ZERO);
            } else {
                self.invoke(place);
            }
        }
    }

    /// What a process did to others.
    pub(crate) fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Open(token) => {
                if let Some(place) = self.waiting(&token) {
                    self.go(place, NextStep::Validate, Span::ZERO);
                }
            }
            Signal::Fail(token, failure) => match self.waiting(&token) {
                Some(place) => {
                    self.machines[place].caught = Some(failure);
                    self.machines[place].woken = true;
                    self.go(place, NextStep::Rollback, Span::ZERO);
                }
                None => {
                    let id = token.split('/').next().unwrap_or_default();
                    let paused =
                        |machine: &Machine| machine.pauses() && machine.deployment.as_str() == id;
                    if self.machines.iter().any(paused) {
                        self.breaks(THE_GATE_IS_WOKEN);
                    }
                }
            },
            Signal::Start(due) => self.starts(&due),
        }
    }

    fn waiting(&self, token: &str) -> Option<usize> {
        let waits = |machine: &Machine| {
            machine.alive && machine.gate.as_ref().is_some_and(|(own, _)| own == token)
        };
        self.machines.iter().position(waits)
    }

    /// What the sweep has started.
    pub(crate) fn starts(&mut self, due: &Due) {
        let Some(work) = self.due_work(due) else { return };
        let same = |process: &Process| {
            process.origin == Origin::Sweep && process.work.deployment() == work.deployment()
        };
        if !self.processes.iter().any(same) {
            self.spawn(Source::Sweep, Origin::Sweep, work);
        }
    }

    /// What the sweep starts for something that is due.
    pub(crate) fn due_work(&self, due: &Due) -> Option<Work> {
        match due {
            Due::Retirement(key) => Some(Work::Retire(key.clone())),
            Due::Notices(_) => None,
            Due::Deployment(id) => match self.deployment(id)?.overdue_work()? {
                protocol::Work::Completion => Some(Work::Complete(id.clone())),
                protocol::Work::Rollback => {
                    let error = CaughtError {
                        name: FailureCode::OrchestrationLost.name().to_owned(),
                        cause: Some("nothing carried it on".to_owned()),
                    };
                    let by = Some(FenceTrigger::Sweep);
                    Some(Work::Rollback(rollback(id.clone(), Some(error), by, false)))
                }
                // Nothing here is asked once it has ended.
                protocol::Work::Validation => None,
            },
        }
    }

    /// A process has ended, well or not.
    pub(crate) fn ended(&mut self, process: &Process, end: End) {
        self.processes.retain(|other| other.number != process.number);
        match process.origin {
            Origin::Machine(place) => self.invoked(place, end),
            Origin::Delivery => {
                let repeats =
                    end.is_err_and(|failure: Failure| failure.code == FailureCode::Transient);
                if let (true, Work::Alarm(event)) = (repeats, &*process.work) {
                    self.events.push(Event { at: event.at, deliveries: 1 });
                }
            }
            Origin::Nobody | Origin::Sweep => {}
        }
    }
}
