//! Time and randomness.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clock, Random};

/// The system's clock and randomness.
#[derive(Debug, Default)]
pub struct System {
    /// Keyed by the operating system.
    keys: RandomState,
    drawn: AtomicU64,
}

impl Clock for System {
    fn now(&self) -> Timestamp {
        // Before 1970 there is no AWS to talk to.
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(Duration::from_millis(span.as_millis())).await;
    }
}

impl Random for System {
    /// SipHash of a counter under keys that nobody else has: unique and evenly spread, which is
    /// all that ids and jitter need. Nothing secret is made of it.
    fn number(&self) -> u64 {
        self.keys.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_repeat_within_or_across_processes_in_practice() {
        let (first, second) = (System::default(), System::default());
        let mut numbers: Vec<_> =
            (0..1000).flat_map(|_| [first.number(), second.number()]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 2000);
    }
}
