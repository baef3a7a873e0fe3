//! An invocation of a use case, as a program counter with what it has read so far. One step is one
//! call to the registry or to the world, in the order of the engine's code.

use glidepath_core::time::Timestamp;

use crate::advance::Advance;
use crate::alarm::ByAlarm;
use crate::call::{Call, End, Turn};
use crate::complete::Complete;
use crate::example::Who;
use crate::gate::Gate;
use crate::marks::{Mark, Marks};
use crate::plan::Planning;
use crate::retire::Retire;
use crate::rollback::Rollback;
use crate::validate::Validate;

/// An invocation.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) number: u8,
    pub(crate) who: Who,
    pub(crate) origin: Origin,
    pub(crate) work: Work,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The execution.
    Machine,
    /// Nobody: a copy, or the execution has gone on without it.
    Nobody,
    /// The delivery of an event, which is repeated after a failure.
    Delivery,
    /// The sweep, which comes by again.
    Sweep,
}

/// What it does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Plan(Planning),
    Advance(Advance),
    Gate(Gate),
    Validate(Validate),
    Complete(Complete),
    Rollback(Rollback),
    ByAlarm(ByAlarm),
    Retire(Retire),
}

impl Work {
    /// Whether it has not made its first call.
    pub(crate) const fn fresh(&self) -> bool {
        match self {
            Self::Plan(work) => work.fresh(),
            Self::Advance(work) => work.fresh(),
            Self::Gate(work) => work.fresh(),
            Self::Validate(work) => work.fresh(),
            Self::Complete(work) => work.fresh(),
            Self::Rollback(work) => work.fresh(),
            Self::ByAlarm(work) => work.fresh(),
            Self::Retire(work) => work.fresh(),
        }
    }

    /// Whether the next call is an attempt to write to the world, which may get no answer.
    pub(crate) const fn attempts(&self) -> bool {
        match self {
            Self::Advance(work) => work.attempts(),
            Self::Rollback(work) => work.attempts(),
            Self::ByAlarm(work) => work.attempts(),
            Self::Retire(work) => work.attempts(),
            Self::Plan(_) | Self::Gate(_) | Self::Validate(_) | Self::Complete(_) => false,
        }
    }

    /// Whether the next call may write everything to stable, and be refused for now.
    pub(crate) const fn restores(&self) -> bool {
        match self {
            Self::Rollback(work) => work.restores(),
            Self::ByAlarm(work) => work.restores(),
            Self::Advance(work) => work.restores(),
            Self::Plan(_)
            | Self::Gate(_)
            | Self::Validate(_)
            | Self::Complete(_)
            | Self::Retire(_) => false,
        }
    }

    /// Whether the next step judges the canary.
    pub(crate) const fn judges(&self) -> bool {
        match self {
            Self::Validate(work) => work.judges(),
            Self::Plan(_)
            | Self::Advance(_)
            | Self::Gate(_)
            | Self::Complete(_)
            | Self::Rollback(_)
            | Self::ByAlarm(_)
            | Self::Retire(_) => false,
        }
    }

    /// A time whose order among the starts and firings matters.
    pub(crate) fn orders(&self) -> Option<Timestamp> {
        match self {
            Self::ByAlarm(work) => Some(work.at),
            Self::Plan(work) => work.started_at(),
            Self::Advance(_)
            | Self::Gate(_)
            | Self::Validate(_)
            | Self::Complete(_)
            | Self::Rollback(_)
            | Self::Retire(_) => None,
        }
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Result<Self, End> {
        match self {
            Self::Plan(work) => on(work.step(call), Self::Plan),
            Self::Advance(work) => on(work.step(call), Self::Advance),
            Self::Gate(work) => on(work.step(call), Self::Gate),
            Self::Validate(work) => on(work.step(call), Self::Validate),
            Self::Complete(work) => on(work.step(call), Self::Complete),
            Self::Rollback(work) => on(work.step(call), Self::Rollback),
            Self::ByAlarm(work) => on(work.step(call), Self::ByAlarm),
            Self::Retire(work) => on(work.step(call), Self::Retire),
        }
    }
}

fn on<One>(turn: Turn<One>, wrap: impl FnOnce(One) -> Work) -> Result<Work, End> {
    match turn {
        Turn::On(work) => Ok(wrap(work)),
        Turn::End(end) => Err(end),
    }
}

impl Mark for Work {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::Plan(work) => work.mark(marks),
            Self::Advance(work) => work.mark(marks),
            Self::Gate(work) => work.mark(marks),
            Self::Validate(work) => work.mark(marks),
            Self::Complete(work) => work.mark(marks),
            Self::Rollback(work) => work.mark(marks),
            Self::ByAlarm(work) => work.mark(marks),
            Self::Retire(work) => work.mark(marks),
        }
    }
}
