//! The hard ceiling: gross failure needs no second minute.
//!
//! Beside the sequential test and with an error of its own: in a healthy version whose minutes have
//! bursts of errors it adds some tenths of a point to the false rollbacks (`docs/health-simulations.md`), and
//! none where errors are independent.

use super::sequential::Tally;
use crate::plan::Permille;

/// Share of bad requests in one complete period. At 50 % bursts of errors would roll back 2.7 points
/// more of the healthy releases, at 60 % 0.2; total failure is above either.
pub const CEILING: Permille = Permille(600);

/// Canary requests in a period below which its share is not looked at: three bad ones of four are
/// bad luck.
pub const FEWEST_REQUESTS: u64 = 30;

/// Whether a period of the canary is a gross failure.
pub fn breaks_ceiling(canary: &Tally) -> bool {
    canary.requests >= FEWEST_REQUESTS
        && u128::from(canary.events.min(canary.requests)) * 1000
            >= u128::from(canary.requests) * u128::from(CEILING.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gross_failure_is_sixty_percent_of_at_least_thirty() {
        let broken = |requests, events| breaks_ceiling(&Tally { requests, events });
        assert!(broken(30, 18) && broken(50, 40) && broken(u64::MAX, u64::MAX));
        assert!(!broken(30, 17) && !broken(29, 29) && !broken(0, 0));
    }
}
