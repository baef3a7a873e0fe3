//! A process in flight: what it was started with, and every answer that it has got so far.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use glidepath_core::failure::Failure;
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::Reply;
use glidepath_core::record::LockKey;
use glidepath_core::time::Timestamp;
use glidepath_engine::gate::GateInput;
use glidepath_engine::plan::PlanInput;
use glidepath_engine::rollback::{AlarmEvent, RollbackInput};
use glidepath_engine::testing::example;
use glidepath_engine::{StepInput, advance, complete, decide, gate, plan, rollback, validate};

use crate::boundary::{Answer, Boundary, Fate, Made, Pending, What};

/// A use case with its input.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Plan(PlanInput),
    Advance(DeploymentId),
    Gate(GateInput),
    Validate(DeploymentId),
    Complete(DeploymentId),
    Rollback(RollbackInput),
    Alarm(AlarmEvent),
    Retire(LockKey),
    Decide(decide::Answer),
}

/// Which use case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Plan,
    Advance,
    Gate,
    Validate,
    Complete,
    Rollback,
    Alarm,
    Retire,
    Decide,
    Sweep,
}

/// How it ended: with what it says to the state machine, if it says anything.
pub(crate) type End = Result<Option<Reply>, Failure>;

impl Work {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Plan(_) => Kind::Plan,
            Self::Advance(_) => Kind::Advance,
            Self::Gate(_) => Kind::Gate,
            Self::Validate(_) => Kind::Validate,
            Self::Complete(_) => Kind::Complete,
            Self::Rollback(_) => Kind::Rollback,
            Self::Alarm(_) => Kind::Alarm,
            Self::Retire(_) => Kind::Retire,
            Self::Decide(_) => Kind::Decide,
        }
    }

    /// Whose it is, if it is one deployment's.
    pub(crate) const fn deployment(&self) -> Option<&DeploymentId> {
        match self {
            Self::Plan(input) => Some(&input.deployment),
            Self::Advance(id) | Self::Validate(id) | Self::Complete(id) => Some(id),
            Self::Gate(input) => Some(&input.deployment),
            Self::Rollback(input) => Some(&input.deployment),
            Self::Decide(answer) => Some(&answer.deployment),
            Self::Alarm(_) | Self::Retire(_) => None,
        }
    }

    /// The real use case on these ports.
    fn run<'a>(&'a self, on: &'a Boundary) -> Pin<Box<dyn Future<Output = End> + 'a>> {
        Box::pin(async move {
            let step = |id: &DeploymentId| StepInput { deployment: id.clone() };
            match self {
                Self::Plan(input) => plan::run(on, &example::stack(), input).await.map(Some),
                Self::Advance(id) => advance::run(on, &step(id)).await.map(Some),
                Self::Gate(input) => gate::run(on, input).await.map(|()| None),
                Self::Validate(id) => validate::run(on, &step(id)).await.map(Some),
                Self::Complete(id) => complete::run(on, id).await.map(Some),
                Self::Rollback(input) => rollback::run(on, input).await.map(Some),
                Self::Alarm(event) => rollback::on_alarm(on, event).await.map(|_| None),
                Self::Retire(key) => complete::retire(on, key).await.map(|_| None),
                Self::Decide(answer) => decide::run(on, answer).await.map(|_| None),
            }
        })
    }

    /// From its beginning to its end, with nothing in between.
    pub(crate) fn straight(&self, on: &Boundary) -> End {
        on.go_straight();
        let mut future = self.run(on);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(end) => end,
            Poll::Pending => unreachable!("every call is answered at once"),
        }
    }
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The execution of this place.
    Machine(usize),
    /// Nobody: a copy, or the execution has gone on without it, or a person who has gone.
    Nobody,
    /// The delivery of an event, which is repeated after a failure.
    Delivery,
    /// The sweep, which comes by again.
    Sweep,
}

/// An answer that it got.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) call: usize,
    pub(crate) answer: Answer,
    /// When it went on with it.
    pub(crate) at: Timestamp,
}

/// A process in flight.
#[derive(Clone)]
pub(crate) struct Process {
    /// No two processes of a run share one.
    pub(crate) number: u64,
    pub(crate) origin: Origin,
    pub(crate) work: Arc<Work>,
    pub(crate) began: Timestamp,
    pub(crate) heard: Vec<Heard>,
    /// An answer that it has not gone on with yet.
    pub(crate) holds: Option<Held>,
    /// The calls that it waits for.
    pub(crate) pending: Vec<Pending>,
    /// Tells what it knows from what others know.
    pub(crate) mark: u64,
    /// Whether a write of it was refused for now: so is every further one.
    pub(crate) throttled: bool,
    /// Whether a call of it got no answer that was no read of the world.
    pub(crate) unclean: bool,
    /// The deployment that an alarm's rollback stops: the one that had the locks when it fenced.
    pub(crate) stops: Option<DeploymentId>,
}

/// An answer that has arrived at a process which stands still.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) call: usize,
    pub(crate) made: Made,
    pub(crate) since: Timestamp,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}{}", self.work.kind(), self.number)
    }
}

/// What a step of a process came to.
pub(crate) enum Stepped {
    /// It waits for these calls.
    Waits(Vec<Pending>),
    Ended(End),
}

impl Process {
    /// Whether it has made no call yet: as good as not begun.
    pub(crate) fn fresh(&self) -> bool {
        self.heard.is_empty() && self.holds.is_none()
    }

    /// The call that is answered next where the order is left to it: none that waits, or the shortest wait.
    pub(crate) fn next_call(&self) -> Option<&Pending> {
        self.pending.iter().min_by_key(|call| match call.what {
            What::Sleep(span) => (true, call.made_at + span),
            _ => (false, call.made_at),
        })
    }

    /// Brings it to where it is on fresh ports, and lets a call come to this if one is given.
    pub(crate) fn resume(
        &self,
        on: &Boundary,
        granted: Option<(usize, Fate, Timestamp)>,
    ) -> Stepped {
        let mut context = Context::from_waker(Waker::noop());
        let mut future = self.work.run(on);
        on.set_clock(self.began);
        let mut poll = || future.as_mut().poll(&mut context);
        let mut state = poll();
        for heard in &self.heard {
            debug_assert!(state.is_pending(), "a process does what it did before");
            on.set_clock(heard.at);
            on.answer(heard.call, heard.answer.clone());
            state = poll();
        }
        if let Some((call, fate, at)) = granted {
            on.set_clock(at);
            on.grant(call, fate);
            state = poll();
        }
        match state {
            Poll::Pending => Stepped::Waits(on.take_pending()),
            Poll::Ready(end) => Stepped::Ended(end),
        }
    }
}
