//! The services that a storm hits: a few carry most of the traffic, as everywhere.

use std::sync::atomic::{AtomicU64, Ordering};

use glidepath_core::harm::{Harm, RequestsPerMinute};
use glidepath_core::weight::Weight;

/// Reproducible randomness (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Any number.
    pub(super) fn number(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut number = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// From 0 up to, and without, 1.
    fn share(&self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: mean 0, deviation 1.
    fn normal(&self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// From 0 up to, and with, `most`.
    pub(super) fn up_to(&self, most: u64) -> u64 {
        self.number() % most.saturating_add(1)
    }
}

/// The harm that a storm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Weights from 5 to 100 %, traffic log-normal around 10 requests a second: one service in ten
    /// has seven times as much, or a seventh.
    Mixed,
    /// The same, but nobody has measured the traffic: only the weights are known.
    Unmeasured,
    /// All do the same little harm.
    AllSmall,
    /// All do the same great harm.
    AllLarge,
}

/// One service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    pub(super) weight: Weight,
    pub(super) traffic: RequestsPerMinute,
    /// Whether somebody has measured it.
    pub(super) measured: bool,
}

impl Service {
    pub(super) fn harm(self) -> Harm {
        Harm::of(self.weight, Some(self.traffic))
    }

    /// As far as anybody knows.
    pub(super) fn known_traffic(self) -> Option<RequestsPerMinute> {
        self.measured.then_some(self.traffic)
    }
}

impl Traffic {
    pub(super) fn services(self, count: usize, dice: &Dice) -> Vec<Service> {
        (0..count).map(|_| self.service(dice)).collect()
    }

    fn service(self, dice: &Dice) -> Service {
        let equal = |permille, requests| Service {
            weight: Weight::from_permille(permille).unwrap_or(Weight::ALL),
            traffic: RequestsPerMinute(requests),
            measured: true,
        };
        match self {
            Self::AllSmall => equal(100, 600),
            Self::AllLarge => equal(500, 60_000),
            Self::Mixed | Self::Unmeasured => {
                let permille = match dice.up_to(4) {
                    0 => 50,
                    1 => 100,
                    2 => 250,
                    3 => 500,
                    _ => 1000,
                };
                let requests = (600.0 * (1.5 * dice.normal()).exp()).round();
                // Positive and far below the largest number.
                let requests = (requests as u64).max(1);
                Service { measured: self == Self::Mixed, ..equal(permille, requests) }
            }
        }
    }
}
