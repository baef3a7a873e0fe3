//! Attempts of a claimed write, each within the claim's deadline.

use std::future::Future;

use glidepath_core::harm::Harm;
use glidepath_core::record::{Deployment, Intent};
use glidepath_core::route::RouteRef;
use glidepath_core::storm;
use glidepath_core::time::{Span, Timestamp};

use crate::Ambient;
use crate::ports::{Clock, PortError, PortResult, Ports, Random};

/// What to do when AWS asks to come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Forward writes leave the load balancer's few calls per second to rollbacks.
    GiveWay,
    /// A rollback takes its turn, again and again.
    Insist(Urgency),
}

/// How a rollback takes its turn among others; see [`glidepath_core::storm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Urgency {
    /// What it ends.
    pub(crate) harm: Harm,
    /// When an earlier invocation of it was throttled first.
    pub(crate) throttled_since: Option<Timestamp>,
    /// How long this invocation itself waits for its turns. Longer waits are left to whoever can
    /// wait without holding a function.
    pub(crate) linger: Span,
}

impl Urgency {
    /// Of the rollback of a deployment.
    pub(crate) fn of(deployment: &Deployment, linger: Span) -> Self {
        let throttled_since = deployment.progress.throttled.as_ref().map(|earlier| earlier.since);
        Self { harm: deployment.harm(), throttled_since, linger }
    }

    /// Of a write that harms nobody by coming late, and that nobody else goes on with.
    pub(crate) const fn none(lifetime: Span) -> Self {
        Self { harm: Harm::NONE, throttled_since: None, linger: lifetime }
    }
}

/// How the attempts ended.
#[derive(Debug)]
pub(crate) struct Attempted {
    /// Of the last attempt.
    pub(crate) result: PortResult<()>,
    /// Every attempt got an answer: nothing can land any more, the intent is done.
    pub(crate) clean: bool,
    /// Nothing is wrong but that AWS wants it later: when, and what is left to write.
    pub(crate) put_off: Option<PutOff>,
}

/// What a throttled rollback leaves for later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PutOff {
    /// How long to stay away.
    pub(crate) wait: Span,
    /// Routes that are not written.
    pub(crate) left: Vec<RouteRef>,
}

/// First window of the full jitter after a write that got no answer, and the widest.
const FIRST_WINDOW: Span = Span::from_millis(200);
const WIDEST_WINDOW: Span = Span::from_secs(5);

/// Attempts a write until it succeeds, is refused for good, has to wait longer than this invocation
/// does, or could outlive its deadline.
pub(crate) async fn attempt<Attempt>(
    ports: &impl Ports<Ambient: Ambient>,
    intent: &Intent,
    patience: Patience,
    mut call: impl FnMut() -> Attempt,
) -> Attempted
where
    Attempt: Future<Output = PortResult<()>>,
{
    let ambient = ports.ambient();
    let began = ambient.now();
    let mut throttled_since = None;
    let mut clean = true;
    let mut window = FIRST_WINDOW;
    let mut last = PortError::Unanswered {
        operation: "write",
        detail: "the deadline had passed before the first attempt".to_owned(),
    };
    while intent.may_attempt(ambient.now()) {
        let error = match call().await {
            Ok(()) => return Attempted { result: Ok(()), clean, put_off: None },
            Err(error) => error,
        };
        clean &= error.answered();
        let wait = match (&error, patience) {
            (PortError::Throttled { .. }, Patience::Insist(urgency)) => {
                let now = ambient.now();
                let since = *throttled_since.get_or_insert(urgency.throttled_since.unwrap_or(now));
                let wait = storm::wait(urgency.harm, now.since(since), ambient.number());
                let too_long = now + wait > began + urgency.linger;
                if too_long || !intent.may_attempt(now + wait) {
                    let put_off = Some(PutOff { wait, left: Vec::new() });
                    return Attempted { result: Err(error), clean, put_off };
                }
                wait
            }
            (PortError::Throttled { .. }, Patience::GiveWay) | (PortError::Refused { .. }, _) => {
                return Attempted { result: Err(error), clean, put_off: None };
            }
            (PortError::Unanswered { .. }, _) => {
                let jitter = ambient.number() % window.as_millis().max(1);
                window = window.times(2).min(WIDEST_WINDOW);
                Span::from_millis(jitter)
            }
        };
        last = error;
        ambient.sleep(wait).await;
    }
    Attempted { result: Err(last), clean, put_off: None }
}
