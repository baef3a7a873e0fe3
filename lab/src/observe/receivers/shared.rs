//! What the receivers have in common: whom they tell of what they took, and what they remember.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep};

use crate::scenario::{Manner, Receiver};

/// Something that arrived and was taken.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) receiver: Receiver,
    /// What it is, where that is to be seen: `trigger`, `resolve`, the name of an event.
    pub(crate) name: Option<String>,
    pub(crate) body: String,
}

pub(super) struct Shared {
    arrived: broadcast::Sender<Arrived>,
    state: Mutex<State>,
}

/// What they remember.
#[derive(Default)]
pub(super) struct State {
    manners: BTreeMap<Receiver, Manner>,
    /// How often each was asked since it has its manner.
    asked: BTreeMap<Receiver, u32>,
    /// Alerts that are open, by their key, and whether somebody has acknowledged them.
    pub(super) alerts: BTreeMap<String, bool>,
    /// What the app has posted, by its `ts`, as it was last edited.
    pub(super) messages: BTreeMap<String, Value>,
    /// Ids that the webhook has seen.
    pub(super) seen: BTreeSet<String>,
    /// When Teams was asked.
    pub(super) teams: Vec<Instant>,
}

/// An answer: status, text, and how long to wait.
pub(super) struct Answer(
    pub(super) StatusCode,
    pub(super) Cow<'static, str>,
    pub(super) Option<u64>,
);

impl Answer {
    /// What they say with a status.
    pub(super) const fn with(status: StatusCode, text: &'static str) -> Self {
        Self(status, Cow::Borrowed(text), None)
    }

    /// 200 with a text.
    pub(super) fn saying(text: impl Into<Cow<'static, str>>) -> Self {
        Self(StatusCode::OK, text.into(), None)
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self { arrived: broadcast::Sender::new(1024), state: Mutex::default() }
    }
}

impl Shared {
    /// From now on they behave so, and remember nothing.
    pub(super) fn behave(&self, manners: BTreeMap<Receiver, Manner>) {
        *self.state() = State { manners, ..State::default() };
    }

    /// Everything that arrives from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arrived> {
        self.arrived.subscribe()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arrived(&self, receiver: Receiver, name: Option<String>, body: String) {
        // Nobody listens between two scenarios.
        let _ = self.arrived.send(Arrived { receiver, name, body });
    }

    /// What the scenario wants a receiver to do instead of what it does.
    pub(super) async fn misbehave(&self, receiver: Receiver) -> Misbehaved {
        let (manner, asked) = {
            let mut state = self.state();
            let asked = state.asked.entry(receiver).or_default();
            *asked += 1;
            let asked = *asked;
            (state.manners.get(&receiver).copied(), asked)
        };
        match manner {
            Some(Manner::Down { times }) if asked <= times => Misbehaved::Gone,
            Some(Manner::Limiting { times, retry_after }) if asked <= times => {
                let seconds = retry_after.duration().as_secs();
                Misbehaved::Answers(Answer(
                    StatusCode::TOO_MANY_REQUESTS,
                    "slow down".into(),
                    Some(seconds),
                ))
            }
            Some(Manner::Wrong {}) => {
                Misbehaved::Answers(Answer::with(StatusCode::NOT_FOUND, "no_service"))
            }
            Some(Manner::Slow { by }) => {
                sleep(by.duration()).await;
                Misbehaved::No
            }
            Some(Manner::Down { .. } | Manner::Limiting { .. }) | None => Misbehaved::No,
        }
    }
}

pub(super) enum Misbehaved {
    No,
    Answers(Answer),
    /// The connection ends without an answer.
    Gone,
}
