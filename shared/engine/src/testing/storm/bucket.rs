//! The throttling of the load balancer's API, as AWS documents it: a bucket of tokens for each kind
//! of call and one for all, refilled steadily. A call takes a token of both; a refused one nothing.

use glidepath_core::time::Timestamp;

/// How many calls AWS takes at once, and a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At once.
    pub burst: u64,
    /// A second.
    pub per_second: u64,
}

/// ModifyRule, ModifyListener and everything else that changes something.
pub const MUTATING: Limit = Limit { burst: 20, per_second: 3 };

/// `Describe*`.
pub const READING: Limit = Limit { burst: 40, per_second: 10 };

/// Everything together.
pub const ACCOUNT: Limit = Limit { burst: 40, per_second: 10 };

/// A bucket of tokens, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    limit: Limit,
    tokens: u64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn full(limit: Limit, at: Timestamp) -> Self {
        Self { limit, tokens: limit.burst * 1000, at }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let taken = self.has(now);
        if taken {
            self.tokens -= 1000;
        }
        taken
    }

    /// Whether there is a token.
    pub(super) fn has(&mut self, now: Timestamp) -> bool {
        let refilled = now.since(self.at).as_millis() * self.limit.per_second;
        self.tokens = (self.tokens + refilled).min(self.limit.burst * 1000);
        self.at = now;
        self.tokens >= 1000
    }
}
