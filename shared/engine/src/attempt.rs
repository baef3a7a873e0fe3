//! Attempts of a claimed write, each within the claim's deadline.

use std::future::Future;

use glidepath_core::protocol::Intent;
use glidepath_core::time::Span;

use crate::Ambient;
use crate::ports::{PortError, PortResult};

/// What to do when AWS asks to come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Forward writes leave the load balancer's few calls per second to rollbacks.
    GiveWay,
    /// A rollback goes on until its deadline.
    Insist,
}

/// How the attempts ended.
#[derive(Debug)]
pub(crate) struct Attempted {
    /// Of the last attempt.
    pub(crate) result: PortResult<()>,
    /// Every attempt got an answer: nothing can land any more, the intent is done.
    pub(crate) clean: bool,
}

/// First window of the full jitter, and the widest.
const FIRST_WINDOW: Span = Span::from_millis(200);
const WIDEST_WINDOW: Span = Span::from_secs(5);

/// Attempts a write until it succeeds, is refused for good, or could outlive its deadline.
pub(crate) async fn attempt<Attempt>(
    ambient: &impl Ambient,
    intent: &Intent,
    patience: Patience,
    mut call: impl FnMut() -> Attempt,
) -> Attempted
where
    Attempt: Future<Output = PortResult<()>>,
{
    let mut clean = true;
    let mut window = FIRST_WINDOW;
    let mut last = PortError::Unanswered {
        operation: "write",
        detail: "the deadline had passed before the first attempt".to_owned(),
    };
    while intent.may_attempt(ambient.now()) {
        let error = match call().await {
            Ok(()) => return Attempted { result: Ok(()), clean },
            Err(error) => error,
        };
        clean &= error.answered();
        let give_up = match &error {
            PortError::Throttled { .. } => patience == Patience::GiveWay,
            PortError::Unanswered { .. } => false,
            PortError::Refused { .. } => true,
        };
        last = error;
        if give_up {
            break;
        }
        let jitter = ambient.number() % window.as_millis().max(1);
        ambient.sleep(Span::from_millis(jitter)).await;
        window = window.times(2).min(WIDEST_WINDOW);
    }
    Attempted { result: Err(last), clean }
}
