//! The state machine: routes by `next`, retries what may pass, and sends every other failure
//! through the rollback.

use glidepath_core::protocol::NextStep;

use crate::advance::Advance;
use crate::call::End;
use crate::complete::Complete;
use crate::example::Who;
use crate::gate::Gate;
use crate::plan::Planning;
use crate::process::{Origin, Process, Work};
use crate::rollback::{By, Rollback};
use crate::state::{At, State};
use crate::validate::Validate;

impl State {
    /// Starts an invocation and gives its number.
    pub(crate) fn start(&mut self, who: Who, origin: Origin, work: Work) -> u8 {
        let number = self.free_number();
        self.processes.push(Process { number, who, origin, work });
        self.processes.sort_unstable_by_key(|process| process.number);
        number
    }

    /// The invocation that an execution makes where it is.
    pub(crate) fn work(&self, who: Who) -> Option<Work> {
        let machine = self.machines[who.index()];
        Some(match machine.at {
            At::Plan => Work::Plan(Planning::Existing),
            At::Advance => Work::Advance(Advance::Load),
            At::Gate => Work::Gate(Gate::new(who, machine.tick())),
            At::Validate => Work::Validate(Validate::Load),
            At::Complete => Work::Complete(Complete::Load),
            At::Rollback => Work::Rollback(Rollback::new(By::StateMachine)),
            At::Paused | At::Ended => return None,
        })
    }

    /// Has an execution that lives invoke what it is at.
    pub(crate) fn invoke(&mut self, who: Who) {
        if !self.machines[who.index()].alive {
            return;
        }
        let Some(work) = self.work(who) else { return };
        let number = self.start(who, Origin::Machine, work);
        self.machines[who.index()].invocation = Some(number);
    }

    /// An execution goes on.
    pub(crate) fn go(&mut self, who: Who, at: At) {
        let machine = &mut self.machines[who.index()];
        machine.at = at;
        machine.alive &= at != At::Ended;
        if at == At::Gate {
            machine.entered += 1;
        }
        self.invoke(who);
    }

    /// An execution does not wait for its invocation any more.
    pub(crate) fn detach(&mut self, who: Who) {
        let Some(number) = self.machines[who.index()].invocation.take() else { return };
        // What has not begun is not begun any more, or it would be a copy that counts.
        self.processes.retain(|process| process.number != number || !process.work.fresh());
        for process in &mut self.processes {
            if process.number == number {
                process.origin = Origin::Nobody;
            }
        }
    }

    /// An invocation has ended.
    pub(crate) fn ended(&mut self, process: &Process, end: End) {
        self.processes.retain(|other| other.number != process.number);
        let machine = &mut self.machines[process.who.index()];
        if process.origin != Origin::Machine || machine.invocation != Some(process.number) {
            return;
        }
        machine.invocation = None;
        let at = machine.at;
        let next = match end {
            End::Transient => at,
            // The rollback failed for good: the execution ends, the sweep goes on.
            End::Failed if at == At::Rollback => At::Ended,
            End::Failed => At::Rollback,
            // Whatever the function of the gate says: the token is what is waited for.
            End::Reply(_) if at == At::Gate => At::Paused,
            End::Reply(NextStep::Advance) => At::Advance,
            End::Reply(NextStep::Gate) => At::Gate,
            End::Reply(NextStep::Validate) => At::Validate,
            End::Reply(NextStep::Complete) => At::Complete,
            End::Reply(NextStep::Rollback) => At::Rollback,
            End::Reply(NextStep::Succeeded | NextStep::Failed) => At::Ended,
        };
        self.go(process.who, next);
    }
}
