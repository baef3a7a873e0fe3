//! Early promotion: is the canary certainly not *bad*, so that a stage need not last as long as
//! planned?
//!
//! The question is the sequential test's turned round. Bad is `p_c >= r_bad p_b` *and*
//! `p_c >= a_bad`, in every cell. While that holds, both of two E are fair: one of the ratio and one
//! of the floor, each a mean over alternatives that are better than bad. So their mean is fair too,
//! and it reaches `1/beta` with a probability of at most `beta`, whenever one looks. Neither
//! tempering nor a cap is in it: being wrong here costs the rest of a stage, and the next stage is
//! judged again.

use glidepath_core::health::sequential::Pair;

use crate::evidence::{absolute, ln_sum, relative};

/// How much better than bad the canary may be, as a factor of the ratio.
const BETTER_RATIOS: [f64; 6] = [0.9, 0.75, 0.6, 0.45, 0.25, 0.1];

/// The same, of the floor.
const BETTER_FLOORS: [f64; 5] = [0.8, 0.5, 0.25, 0.1, 0.02];

/// What would be bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bad {
    /// `r_bad`: this many times stable's proportion.
    pub(crate) ratio: f64,
    /// `a_bad`: and at least this proportion.
    pub(crate) floor: f64,
}

impl Default for Bad {
    /// Twice stable's, and 1 %.
    fn default() -> Self {
        Self { ratio: 2.0, floor: 0.01 }
    }
}

/// `1/beta`: from here on the canary is not bad, wrong about a bad one at most 1 time in 20.
pub(crate) const ENOUGH: f64 = 20.0;

/// The natural logarithm of E against the canary being bad: promote from `ln ENOUGH` on. A pure
/// function of the counts; 0 without any.
pub(crate) fn ln_e(bad: &Bad, cells: &[Pair]) -> f64 {
    let by_ratio = BETTER_RATIOS.map(|better| {
        let sum: f64 = cells.iter().map(|pair| relative(pair, bad.ratio, better)).sum();
        (0.5 / BETTER_RATIOS.len() as f64, sum)
    });
    let by_floor = BETTER_FLOORS.map(|better| {
        let sum: f64 = cells.iter().map(|pair| absolute(pair, bad.floor, better)).sum();
        (0.5 / BETTER_FLOORS.len() as f64, sum)
    });
    ln_sum(by_ratio.into_iter().chain(by_floor))
}

#[cfg(test)]
mod tests {
    use glidepath_core::health::sequential::Tally;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use rand_distr::{Binomial, Distribution};

    use super::*;

    fn drawn(canary: (u64, f64), stable: (u64, f64), random: &mut SmallRng) -> Pair {
        let mut tally = |(requests, bad)| {
            let events = Binomial::new(requests, bad).unwrap().sample(random);
            Tally { requests, events }
        };
        Pair { canary: tally(canary), stable: tally(stable) }
    }

    #[test]
    fn without_cells_e_is_one() {
        assert!(ln_e(&Bad::default(), &[]).abs() < 1e-12);
    }

    /// The mean of E where it is looked at until it promotes, within four standard errors.
    #[test]
    fn a_canary_that_is_just_bad_is_promoted_at_most_one_time_in_twenty() {
        let mut random = SmallRng::seed_from_u64(3);
        let (runs, mut promoted) = (2_000, 0);
        for _ in 0..runs {
            let mut cells = Vec::new();
            promoted += u32::from((0..20).any(|_| {
                cells.push(drawn((200, 0.02), (800, 0.01), &mut random));
                ln_e(&Bad::default(), &cells) >= ENOUGH.ln()
            }));
        }
        assert!(promoted <= runs / 20, "{promoted} of {runs}");
    }

    #[test]
    fn a_healthy_canary_is_promoted_once_it_had_enough_requests() {
        let mut random = SmallRng::seed_from_u64(3);
        let cells: Vec<_> =
            (0..4).map(|_| drawn((250, 0.001), (4_750, 0.001), &mut random)).collect();
        assert!(ln_e(&Bad::default(), &cells[..1]) < ENOUGH.ln());
        assert!(ln_e(&Bad::default(), &cells) > ENOUGH.ln());
    }
}
