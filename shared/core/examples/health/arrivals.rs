//! Requests of one minute, and which of them go wrong.

use glidepath_core::health::sequential::{Pair, Tally};
use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::{Binomial, Distribution, Gamma, Geometric, Poisson};

/// Chance that an arm has a burst in a minute.
const BURST: f64 = 0.03;

/// How bad requests come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Errors {
    /// Each request fails or not, whatever the others do.
    Independent,
    /// Every failure drags others of its slot and minute along (retries), in number geometric with
    /// the mean given; as many bad requests in all.
    Clusters(f64),
    /// Each slot's proportion is another one every minute, gamma with this squared coefficient of
    /// variation.
    Uneven(f64),
    /// The same of both slots at once: a dependency that they share.
    Shock(f64),
    /// In 3 % of its minutes, 10 to 50 % of a slot's requests fail.
    Bursts,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Requests of both slots, on average.
    pub(crate) requests: f64,
    /// The canary's share of them.
    pub(crate) share: f64,
    /// The canary's proportion of bad requests.
    pub(crate) canary: f64,
    /// Stable's.
    pub(crate) stable: f64,
}

impl Errors {
    pub(crate) fn minute(self, load: &Load, random: &mut SmallRng) -> Pair {
        let shared = match self {
            Self::Shock(variation) => unevenness(variation, random),
            Self::Independent | Self::Clusters(_) | Self::Uneven(_) | Self::Bursts => 1.0,
        };
        Pair {
            canary: self.slot(load.requests * load.share, load.canary * shared, random),
            stable: self.slot(load.requests * (1.0 - load.share), load.stable * shared, random),
        }
    }

    fn slot(self, expected: f64, proportion: f64, random: &mut SmallRng) -> Tally {
        // No distribution has a mean of 0, and none is needed: the slot has no traffic.
        let requests = Poisson::new(expected).map_or(0, |count| count.sample(random) as u64);
        let events = match self {
            Self::Independent | Self::Shock(_) => failures(requests, proportion, random),
            Self::Uneven(variation) => {
                failures(requests, proportion * unevenness(variation, random), random)
            }
            Self::Clusters(mean) => {
                let first = failures(requests, proportion / mean, random);
                let dragged = Geometric::new(1.0 / mean)
                    .map_or(0, |more| (0..first).map(|_| more.sample(random)).sum());
                (first + dragged).min(requests)
            }
            Self::Bursts if random.random::<f64>() < BURST => {
                failures(requests, random.random_range(0.1..0.5), random)
            }
            Self::Bursts => failures(requests, proportion, random),
        };
        Tally { requests, events }
    }
}

fn failures(requests: u64, proportion: f64, random: &mut SmallRng) -> u64 {
    Binomial::new(requests, proportion.min(1.0)).map_or(0, |count| count.sample(random))
}

/// A factor of mean 1.
fn unevenness(variation: f64, random: &mut SmallRng) -> f64 {
    Gamma::new(1.0 / variation, variation).map_or(1.0, |factor| factor.sample(random))
}
