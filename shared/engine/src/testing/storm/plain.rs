//! What plain retries would make of the same storm: the write alone, without anything around it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use glidepath_core::harm::Harm;
use glidepath_core::storm;
use glidepath_core::time::{Span, Timestamp};

use super::bucket::Bucket;
use super::services::Dice;
use super::{Settings, Tally};
use crate::testing::example::START;

/// Retries that need nothing but a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainPolicy {
    /// The SDK's standard mode with so many attempts: full jitter from 1 s, doubling up to 20 s.
    Sdk {
        /// All of them.
        attempts: u32,
    },
    /// Step Functions: full jitter from 1 s, doubling up to 30 s.
    StepFunctions {
        /// All of them.
        attempts: u32,
    },
    /// Full jitter over windows that double up to 5 s, for ever: what a rollback did before it
    /// looked at the harm.
    Impatient,
    /// The rollback's own waits without anything around them.
    ByHarm,
}

/// How long a call takes.
const CALL: Span = Span::from_millis(50);

/// Runs the storm with a plain policy.
pub fn plain(settings: &Settings, policy: PlainPolicy, seed: u64) -> Tally {
    let dice = Dice::of(seed);
    let services = settings.traffic.services(settings.rollbacks, &dice);
    let mut bucket = Bucket::full(settings.limit, START);
    let mut tally = Tally::new(settings, &services);
    let mut queue = BinaryHeap::new();
    for index in 0..services.len() {
        let at = START + Span::from_millis(dice.up_to(settings.spread.as_millis()));
        queue.push(Reverse((at, index, 1_u32, None::<Timestamp>)));
    }
    while let Some(Reverse((now, index, attempt, throttled_since))) = queue.pop() {
        tally.calls += 1;
        if bucket.take(now) {
            tally.written(index, now);
            continue;
        }
        let since = throttled_since.unwrap_or(now);
        let harm = Harm::of(services[index].weight, services[index].known_traffic());
        let doubled = |first: u64, widest: u64| {
            let window = first.saturating_mul(1 << (attempt - 1).min(20)).min(widest);
            Span::from_millis(dice.up_to(window))
        };
        let wait = match policy {
            PlainPolicy::Sdk { attempts } => (attempt < attempts).then(|| doubled(1_000, 20_000)),
            PlainPolicy::StepFunctions { attempts } => {
                (attempt < attempts).then(|| doubled(1_000, 30_000))
            }
            PlainPolicy::Impatient => Some(doubled(200, 5_000)),
            PlainPolicy::ByHarm => Some(storm::wait(harm, now.since(since), dice.number())),
        };
        if let Some(wait) = wait {
            queue.push(Reverse((now + wait + CALL, index, attempt + 1, Some(since))));
        }
    }
    tally
}
