//! Where a process meets the world: every call of a port stops here until the explorer grants it.
//!
//! A future cannot be cloned. So a process in flight is what it was started with and every answer that it
//! has got so far; its future is made anew from them for each step. That is sound because a use case knows
//! nothing but its input, its clock and its answers: all of them are ports.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use futures_util::FutureExt;
use glidepath_core::failure::Failure;
use glidepath_core::ids::{AlarmArn, EcsServiceName, IntentId};
use glidepath_core::record::{Deployment, Intent};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Alarm, Due, PortError, PortResult, ScaleTo};
use glidepath_engine::testing::{Items, MemoryRegistry, State, World};

use crate::mistake::Mistake;
use crate::print::print;
use crate::process::Kind;

/// An answer, whatever its type.
pub(crate) type Answer = Arc<dyn Any + Send + Sync>;

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A read whose answer nobody in flight changes between the call before and this one in a way that
    /// matters: see main.rs, what is left out.
    Quiet,
    /// A read that others may overtake.
    Read,
    /// A write to the registry.
    Write,
    /// A write of a route.
    Route(RouteRef, RouteActions),
    /// A change of an ECS service.
    Scale(EcsServiceName, ScaleTo),
    /// A change of what bounds its tasks.
    Bounds(EcsServiceName, ScalableTarget),
    /// Waiting.
    Sleep(Span),
}

impl What {
    /// Whether it changes the world: it may then land after its answer was lost.
    pub(crate) const fn of_the_world(&self) -> bool {
        match self {
            Self::Route(..) | Self::Scale(..) | Self::Bounds(..) => true,
            Self::Quiet | Self::Read | Self::Write | Self::Sleep(_) => false,
        }
    }
}

/// A call that was made and has no answer yet.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// Which call of its process, counted from 0.
    pub(crate) number: usize,
    pub(crate) operation: &'static str,
    pub(crate) what: What,
    /// When it was made.
    pub(crate) made_at: Timestamp,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Answered,
    /// It has its effect, and no answer.
    LostAfter,
    /// It has neither.
    LostBefore,
    /// It has no answer, and its effect comes later or never.
    Late,
    /// AWS asks to come back later.
    Throttled,
}

/// What the granted call came to.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) answer: Answer,
    /// Tells this answer from every other one to the same call.
    pub(crate) mark: u64,
}

/// What a process did to somebody else's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It ended a pause well.
    Open(String),
    /// It ended a pause with a failure.
    Fail(String, Failure),
    /// It started another function.
    Start(Due),
}

/// What a process remembers that makes a mistake.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) deployment: Option<Deployment>,
    pub(crate) alarms: Option<Vec<Option<Alarm>>>,
    pub(crate) fenced: Option<Box<Deployment>>,
    pub(crate) late_fence: Option<(AlarmArn, Timestamp, IntentId, Intent)>,
    pub(crate) weak: bool,
    pub(crate) throttled: bool,
    /// The claim of its own fence.
    pub(crate) own: Option<IntentId>,
    /// It has asked for the claims of alarms.
    pub(crate) asked: bool,
    /// It has seen a claim, its own or another one's.
    pub(crate) claimed: bool,
    /// Its own writes of routes.
    pub(crate) wrote: Vec<(RouteRef, RouteActions)>,
    /// A route does not read back as it has written it.
    pub(crate) halved: bool,
    /// A read of routes has failed.
    pub(crate) unread: bool,
}

pub(crate) struct Inner {
    clock: Timestamp,
    numbers: u64,
    answers: Vec<Option<Answer>>,
    pending: Vec<Pending>,
    granted: Option<(usize, Fate)>,
    /// Every call is granted at once.
    straight: bool,
    made: Option<Made>,
    pub(crate) signals: Vec<Signal>,
    /// The tokens of the pauses that are waited for.
    pub(crate) tokens: Vec<String>,
    pub(crate) memory: Memory,
}

/// A call that somebody waits for.
struct Registered<'a> {
    on: &'a Boundary,
    number: usize,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.on.inner().pending.retain(|pending| pending.number != self.number);
    }
}

/// All ports of one process. Registry and world are copied when something is done to them, and only then.
pub(crate) struct Boundary {
    pub(crate) items: Arc<Items>,
    registry: OnceLock<MemoryRegistry>,
    state: Arc<State>,
    world: OnceLock<World>,
    now: Timestamp,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) kind: Kind,
    began: Timestamp,
    /// The first number of the process; no two processes of a run share one.
    base: u64,
    inner: Mutex<Inner>,
}

/// Jitter of every window that the engine uses is nothing for multiples of this, so that time has few
/// values; it is no multiple of a storm's window, so that who is throttled stays away.
const NUMBERS: u64 = 160_000;

/// Whose claim it is, by its id.
pub(crate) fn claimant(id: &IntentId) -> Option<u64> {
    u64::from_str_radix(id.as_str(), 16).ok().map(|number| number / NUMBERS / OWN)
}

/// So many numbers belong to a process.
const OWN: u64 = 1_000;

impl Boundary {
    pub(crate) fn new(
        (items, state, now): (Arc<Items>, Arc<State>, Timestamp),
        (process, kind): (u64, Kind),
        clock: Timestamp,
        tokens: Vec<String>,
        mistake: Option<Mistake>,
    ) -> Self {
        let inner = Inner {
            clock,
            numbers: 0,
            answers: Vec::new(),
            pending: Vec::new(),
            granted: None,
            straight: false,
            made: None,
            signals: Vec::new(),
            tokens,
            memory: Memory::default(),
        };
        let (base, began) = (process * OWN, clock);
        Self {
            items,
            registry: OnceLock::new(),
            state,
            world: OnceLock::new(),
            now,
            mistake,
            kind,
            began,
            base,
            inner: Mutex::new(inner),
        }
    }

    /// The registry, to be written or read.
    pub(crate) fn registry(&self) -> &MemoryRegistry {
        self.registry.get_or_init(|| MemoryRegistry::holding((*self.items).clone()))
    }

    /// The registry, if it may have been written.
    pub(crate) fn touched(&self) -> Option<&MemoryRegistry> {
        self.registry.get()
    }

    /// The world, to be changed or looked at.
    pub(crate) fn world(&self) -> &World {
        self.world.get_or_init(|| World::holding((*self.state).clone(), self.now))
    }

    /// What was made of the two, where they may have been changed.
    pub(crate) fn into_parts(self) -> (Option<Items>, Option<State>) {
        let items = self.registry.into_inner().map(MemoryRegistry::into_items);
        (items, self.world.into_inner().map(World::into_state))
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    pub(crate) const fn began(&self) -> Timestamp {
        self.began
    }

    pub(crate) fn clock(&self) -> Timestamp {
        self.inner().clock
    }

    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.inner().clock = now;
    }

    /// Whether a process goes from its beginning to its end: it shows how a run ends.
    pub(crate) fn goes_straight(&self) -> bool {
        self.inner().straight
    }

    pub(crate) fn go_straight(&self) {
        self.inner().straight = true;
    }

    /// Lets an answer of earlier be found when its call is made again.
    pub(crate) fn answer(&self, number: usize, answer: Answer) {
        let mut inner = self.inner();
        inner.answers[number] = Some(answer);
        inner.pending.retain(|pending| pending.number != number);
    }

    pub(crate) fn grant(&self, number: usize, fate: Fate) {
        self.inner().granted = Some((number, fate));
    }

    pub(crate) fn take_made(&self) -> Option<Made> {
        self.inner().made.take()
    }

    pub(crate) fn take_pending(&self) -> Vec<Pending> {
        std::mem::take(&mut self.inner().pending)
    }

    pub(crate) fn next_number(&self) -> u64 {
        let mut inner = self.inner();
        inner.numbers += 1;
        (self.base + inner.numbers) * NUMBERS
    }

    /// One call: made when it is first polled, answered when the explorer says so.
    pub(crate) async fn call<Answered>(
        &self,
        operation: &'static str,
        what: What,
        effect: impl Future<Output = PortResult<Answered>> + Send,
    ) -> PortResult<Answered>
    where
        Answered: Clone + Debug + Send + Sync + 'static,
    {
        self.call_marked(operation, what, effect, |answer| print(answer)).await
    }

    /// The same, where a part of the answer tells it from every other one.
    pub(crate) async fn call_marked<Answered>(
        &self,
        operation: &'static str,
        what: What,
        effect: impl Future<Output = PortResult<Answered>> + Send,
        mark: impl Fn(&Answered) -> u64 + Send,
    ) -> PortResult<Answered>
    where
        Answered: Clone + Debug + Send + Sync + 'static,
    {
        let number = {
            let mut inner = self.inner();
            let number = inner.answers.len();
            inner.answers.push(None);
            if !inner.straight {
                let made_at = inner.clock;
                inner.pending.push(Pending { number, operation, what: what.clone(), made_at });
            }
            number
        };
        // Whoever is not waited for any more, the loser of a race say, is not granted.
        let _registered = Registered { on: self, number };
        let mut effect = Some(Box::pin(effect));
        std::future::poll_fn(move |_| {
            let fate = {
                let mut inner = self.inner();
                if let Some(answer) = &inner.answers[number] {
                    let answer = answer.downcast_ref::<PortResult<Answered>>();
                    return Poll::Ready(answer.expect("the calls of a process repeat").clone());
                }
                match inner.granted {
                    _ if inner.straight => Fate::Answered,
                    Some((granted, fate)) if granted == number => {
                        inner.granted = None;
                        inner.pending.retain(|pending| pending.number != number);
                        fate
                    }
                    Some(_) | None => return Poll::Pending,
                }
            };
            let effect = effect.take().expect("a call is answered once");
            let lost = Err(PortError::Unanswered { operation, detail: String::new() });
            let happens = || effect.now_or_never().expect("the world in memory never waits");
            let answer: PortResult<Answered> = match fate {
                Fate::Answered => happens(),
                Fate::LostAfter => happens().and(lost),
                Fate::LostBefore | Fate::Late => lost,
                Fate::Throttled => Err(PortError::Throttled { operation }),
            };
            let mut inner = self.inner();
            if !inner.straight {
                let mark = answer.as_ref().map_or_else(print, &mark);
                inner.made = Some(Made { answer: Arc::new(answer.clone()), mark });
            }
            Poll::Ready(answer)
        })
        .await
    }

    /// Waiting is a call whose answer comes when its time is over.
    pub(crate) async fn wait(&self, span: Span) {
        if self.inner().straight {
            let mut inner = self.inner();
            inner.clock = inner.clock + span;
            return;
        }
        let _over = self.call("sleep", What::Sleep(span), async { Ok(()) }).await;
    }
}
