//! When CloudWatch shows what it has measured.

use glidepath_core::time::Span;

/// How the load balancer publishes its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Length of a period, in seconds, 1 to 60. Application Load Balancers publish every 60 s.
    pub period_seconds: u8,
    /// How long after its end a period may still be incomplete.
    pub lag: Span,
}

impl Publication {
    pub fn period(self) -> Span {
        Span::from_secs(u64::from(self.period_seconds.max(1)))
    }
}

impl Default for Publication {
    /// As Application Load Balancers do it.
    fn default() -> Self {
        Self { period_seconds: 60, lag: Span::from_secs(60) }
    }
}
