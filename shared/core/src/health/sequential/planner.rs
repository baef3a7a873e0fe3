//! How long a regression stays unseen, by formula instead of by simulation: each minute adds what
//! it adds on average.

use super::grid::PAIRS;
use super::increment::Increments;
use super::parameters::Parameters;
use super::tally::Sums;

/// A stage as it is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedStage {
    /// The canary's share of the requests, 0 to 1.
    pub share: f64,
    /// How many complete minutes it will have.
    pub minutes: u32,
}

/// The service as it was, and how much worse the new version is supposed to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Requests a minute, of both slots together.
    pub requests_per_minute: f64,
    /// Proportion of bad requests of the version that serves today, 0 to 1.
    pub proportion: f64,
    /// The new version has this many times as many.
    pub times: f64,
}

/// The minute, from 1 over all stages, at which a regression is found on average; `None` if the
/// stages are too short for it. Agrees with simulation to a minute wherever it is found nearly
/// always.
pub fn found_after(
    parameters: &Parameters,
    expected: &Expected,
    stages: &[ExpectedStage],
) -> Option<u32> {
    let mut best = [0.0_f64; PAIRS];
    let mut minute = 0;
    for stage in stages {
        let growth = growth(parameters, expected, stage.share);
        // Evidence may begin with any stage: what an earlier one speaks against is left behind.
        best = best.map(|sum| sum.max(0.0));
        for _ in 0..stage.minutes {
            minute += 1;
            for (sum, growth) in best.iter_mut().zip(&growth) {
                *sum += growth;
            }
            if best.iter().any(|sum| *sum >= parameters.whole()) {
                return Some(minute);
            }
        }
    }
    None
}

/// What a minute adds on average, by pair.
fn growth(parameters: &Parameters, expected: &Expected, share: f64) -> [f64; PAIRS] {
    let canary_requests = expected.requests_per_minute * share;
    let stable_requests = expected.requests_per_minute - canary_requests;
    let minute = Sums {
        canary: canary_requests * (expected.proportion * expected.times).min(1.0),
        canary_requests,
        stable: stable_requests * expected.proportion,
        stable_requests,
    };
    *Increments::of(parameters, &minute, 1.0).values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::sequential::Terms;

    /// 5, 10, 25 and 50 % for 5 minutes each.
    fn found(requests_per_minute: f64, proportion: f64, times: f64) -> Option<u32> {
        let parameters = Parameters::new(Terms::default(), 4, 1).unwrap();
        let expected = Expected { requests_per_minute, proportion, times };
        let stages = [0.05, 0.1, 0.25, 0.5].map(|share| ExpectedStage { share, minutes: 5 });
        found_after(&parameters, &expected, &stages)
    }

    /// Against the simulated medians (`docs/health-simulations.md`), where the regression is found nearly always.
    #[test]
    fn it_agrees_with_simulation_to_a_minute() {
        let simulated = [
            ((500.0, 0.001, 20.0), 11),
            ((5_000.0, 0.001, 5.0), 13),
            ((5_000.0, 0.001, 20.0), 3),
            ((50.0, 0.01, 20.0), 10),
            ((500.0, 0.01, 5.0), 9),
            ((500.0, 0.01, 20.0), 3),
            ((5_000.0, 0.01, 2.0), 12),
            ((5_000.0, 0.01, 5.0), 3),
        ];
        for ((requests, proportion, times), minute) in simulated {
            let found = found(requests, proportion, times).unwrap();
            let case = format!("{requests} a minute, {proportion} x{times}: {found} for {minute}");
            assert!(found.abs_diff(minute) <= 1, "{case}");
        }
    }

    #[test]
    fn what_is_allowed_or_too_rare_is_never_found() {
        assert_eq!(found(5_000.0, 0.001, 1.0), None);
        assert_eq!(found(1e9, 0.01, 1.2), None);
        assert_eq!(found(50.0, 0.001, 5.0), None);
        assert_eq!(found(0.0, 0.01, 20.0), None);
    }
}
