//! Releases that are simulated: a service, its new version, and how its errors come.

use glidepath_core::health::sequential::{Pair, Tally};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::arrivals::{Errors, Load};

/// The canary's share, stage by stage.
pub(crate) const SHARES: [f64; 4] = [0.05, 0.1, 0.25, 0.5];

/// Minutes of each stage, and at 100 % before the old version is gone.
pub(crate) const STAGE_MINUTES: usize = 5;

/// Minutes with a baseline to compare with.
pub(crate) const COMPARED: usize = SHARES.len() * STAGE_MINUTES;

/// Minutes until the old version is gone: what is bad later is nobody's to roll back.
pub(crate) const ALL: usize = COMPARED + STAGE_MINUTES;

/// Minutes of stable alone that precede each release, for rules that look at them.
const BEFORE: usize = 180;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) errors: Errors,
    /// Requests a minute, of both slots together.
    pub(crate) requests: f64,
    pub(crate) course: Course,
}

/// How bad both versions are, over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Course {
    /// The canary has so many times stable's proportion, from a minute (the first is 0) on.
    Regression {
        /// Stable's proportion of bad requests.
        baseline: f64,
        /// The canary's over stable's.
        times: f64,
        /// The first bad minute.
        onset: usize,
    },
    /// Always allowed, but not always by the same side: 15 minutes at 0.18 % against 0.01 % (below
    /// the floor), then both at 0.6 % (within the ratio).
    ChangeOfRegime,
}

/// One minute as a rule sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Minute {
    /// The compared stage; `None` at 100 %, where nothing is left to compare with.
    pub(crate) stage: Option<usize>,
    pub(crate) pair: Pair,
    /// Canary requests that failed and would not have on stable, in expectation.
    pub(crate) excess: f64,
}

/// One release as it went, were nobody to stop it.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    scenario: Scenario,
    seed: u64,
    /// From the first minute at the first weight on.
    pub(crate) minutes: Vec<Minute>,
}

impl Scenario {
    pub(crate) const fn new(errors: Errors, baseline: f64, requests: f64, times: f64) -> Self {
        Self { errors, requests, course: Course::Regression { baseline, times, onset: 0 } }
    }

    pub(crate) const fn late(baseline: f64, requests: f64, times: f64) -> Self {
        let course = Course::Regression { baseline, times, onset: 10 };
        Self { errors: Errors::Independent, requests, course }
    }

    pub(crate) const CHANGE_OF_REGIME: Self =
        Self { errors: Errors::Independent, requests: 5_000.0, course: Course::ChangeOfRegime };

    /// Proportions of the canary and of stable.
    fn proportions(&self, minute: usize) -> (f64, f64) {
        match self.course {
            Course::Regression { baseline, times, onset } if minute >= onset => {
                (baseline * times, baseline)
            }
            Course::Regression { baseline, .. } => (baseline, baseline),
            Course::ChangeOfRegime if minute < 15 => (0.0018, 0.0001),
            Course::ChangeOfRegime => (0.006, 0.006),
        }
    }

    /// One minute at a stage.
    pub(crate) fn minute(
        &self,
        minute: usize,
        stage: Option<usize>,
        random: &mut SmallRng,
    ) -> Minute {
        let (canary, stable) = self.proportions(minute);
        let share = stage.and_then(|stage| SHARES.get(stage)).copied().unwrap_or(1.0);
        let load = Load { requests: self.requests, share, canary, stable };
        let pair = self.errors.minute(&load, random);
        let excess = pair.canary.events as f64 - pair.canary.requests as f64 * stable;
        Minute { stage, pair, excess }
    }

    /// A whole release, the same for the same seed.
    pub(crate) fn release(&self, seed: u64) -> Release {
        let mut random = SmallRng::seed_from_u64(seed);
        let minutes = (0..ALL)
            .map(|minute| {
                let stage = minute / STAGE_MINUTES;
                self.minute(minute, (stage < SHARES.len()).then_some(stage), &mut random)
            })
            .collect();
        Release { scenario: *self, seed, minutes }
    }

    /// The same, but a stage ends as soon as `may_end` says so of the minutes so far.
    pub(crate) fn hastened(&self, seed: u64, may_end: impl Fn(&[Minute]) -> bool) -> Release {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut minutes: Vec<Minute> = Vec::with_capacity(ALL);
        let (mut stage, mut in_stage) = (0, 0);
        for minute in 0..ALL {
            let compared = stage < SHARES.len();
            minutes.push(self.minute(minute, compared.then_some(stage), &mut random));
            in_stage += 1;
            if compared && (in_stage == STAGE_MINUTES || may_end(&minutes)) {
                (stage, in_stage) = (stage + 1, 0);
            }
        }
        Release { scenario: *self, seed, minutes }
    }

    /// As in the first column of the tables: `1 % / 500 / x5`.
    pub(crate) fn name(&self) -> String {
        match self.course {
            Course::Regression { baseline, times, .. } => {
                format!("{} % / {} / x{times}", baseline * 100.0, thousands(self.requests))
            }
            Course::ChangeOfRegime => format!("change of regime / {}", thousands(self.requests)),
        }
    }
}

impl Release {
    /// Stable alone in the hours before. From other random numbers, so that a release is the same
    /// whether or not somebody asks.
    pub(crate) fn before(&self) -> Vec<Tally> {
        let mut random = SmallRng::seed_from_u64(!self.seed);
        let Scenario { errors, requests, .. } = self.scenario;
        let stable = self.scenario.proportions(0).1;
        let load = Load { requests, share: 0.0, canary: stable, stable };
        (0..BEFORE).map(|_| errors.minute(&load, &mut random).stable).collect()
    }
}

/// `5,000`
pub(crate) fn thousands(number: f64) -> String {
    let whole = number.round() as u64;
    match whole / 1000 {
        0 => whole.to_string(),
        thousand => format!("{thousand},{:03}", whole % 1000),
    }
}

/// Stable's proportions of the grid.
const BASELINES: [f64; 2] = [0.001, 0.01];

/// Requests a minute of the grid.
const REQUESTS: [f64; 3] = [50.0, 500.0, 5_000.0];

/// Every baseline and load, at each of the regressions.
pub(crate) fn grid(errors: Errors, times: &[f64]) -> Vec<Scenario> {
    let loads = BASELINES.iter().flat_map(|baseline| REQUESTS.map(|requests| (baseline, requests)));
    loads
        .flat_map(|(baseline, requests)| {
            times.iter().map(move |times| Scenario::new(errors, *baseline, requests, *times))
        })
        .collect()
}

/// The regression begins in the third stage.
pub(crate) fn late_onsets() -> Vec<Scenario> {
    let loads = [(0.001, 500.0), (0.001, 5_000.0), (0.01, 500.0), (0.01, 5_000.0)];
    loads
        .iter()
        .flat_map(|(baseline, requests)| {
            [5.0, 20.0].map(|times| Scenario::late(*baseline, *requests, times))
        })
        .collect()
}

/// How errors come where they do not come independently, by name.
pub(crate) const DISPERSIONS: [(&str, Errors); 5] = [
    ("shared shock, CV 100 %", Errors::Shock(1.0)),
    ("clusters of retries, mean 4", Errors::Clusters(4.0)),
    ("one slot uneven, CV 45 %", Errors::Uneven(0.2)),
    ("one slot uneven, CV 100 %", Errors::Uneven(1.0)),
    ("one slot's bursts", Errors::Bursts),
];
