//! What a canary that is being rolled back does: the requests that reach it. It is recorded with the deployment
//! and on its alarms; [`crate::storm`] says who goes first by it.

use serde::{Deserialize, Serialize};

use crate::time::Span;
use crate::weight::Weight;

/// What a service is taken to have while nobody has measured it: its weight alone then decides.
pub const ASSUMED_TRAFFIC: RequestsPerMinute = RequestsPerMinute(600);

/// Requests of both slots of a service.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RequestsPerMinute(pub u64);

impl RequestsPerMinute {
    /// From a count over some time; `None` over no time.
    pub fn measured(requests: u64, over: Span) -> Option<Self> {
        requests.saturating_mul(60_000).checked_div(over.as_millis()).map(Self)
    }
}

/// Requests a minute that reach the canary: what a rollback ends.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Harm(u64);

impl Harm {
    /// Nobody is harmed, or nobody knows.
    pub const NONE: Self = Self(0);

    /// Of a share of the traffic.
    pub fn of(weight: Weight, traffic: Option<RequestsPerMinute>) -> Self {
        let RequestsPerMinute(all) = traffic.unwrap_or(ASSUMED_TRAFFIC);
        Self(all.saturating_mul(u64::from(weight.permille())) / 1000)
    }

    pub const fn requests_per_minute(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn half_of_the_traffic_does_half_of_the_harm(requests in 0u64..=1_000_000_000) {
            let half = Weight::from_permille(500).unwrap();
            let of_half = Harm::of(half, Some(RequestsPerMinute(requests)));
            prop_assert_eq!(of_half.requests_per_minute(), requests / 2);
        }
    }

    #[test]
    fn unknown_traffic_leaves_the_weight_to_decide() {
        let tenth = Weight::from_permille(100).unwrap();
        assert_eq!(Harm::of(tenth, None).requests_per_minute(), 60);
        assert_eq!(Harm::of(Weight::ALL, None).requests_per_minute(), 600);
    }

    #[test]
    fn traffic_is_measured_over_time() {
        let minute = Span::from_secs(60);
        assert_eq!(RequestsPerMinute::measured(90, minute), Some(RequestsPerMinute(90)));
        assert_eq!(RequestsPerMinute::measured(90, minute.times(3)), Some(RequestsPerMinute(30)));
        assert_eq!(RequestsPerMinute::measured(90, Span::ZERO), None);
    }
}
