//! Many releases of many scenarios, each judged by every rule: the rules see the same releases.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rules::Rule;
use crate::scenario::{ALL, Release, Scenario};

/// Releases of one piece of work. Sums are added piece by piece, so that they are the same whichever
/// thread made them.
const PIECE: usize = 100;

/// Minutes between the end of a minute and a rollback because of it: metrics arrive late.
const LAG: usize = 1;

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Releases of each scenario.
    pub(crate) runs: usize,
    /// Where chance begins.
    pub(crate) seed: u64,
    /// At once; the result does not depend on it.
    pub(crate) threads: usize,
}

/// What a rule did to all releases of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    runs: usize,
    /// Rollbacks by minute.
    acted: [usize; ALL + 1],
    /// Releases that were not rolled back before, by the last minute below 100 %.
    full: [usize; ALL + 1],
    excess: f64,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { runs: 0, acted: [0; ALL + 1], full: [0; ALL + 1], excess: 0.0 }
    }
}

impl Outcome {
    fn add(&mut self, release: &Release, acted: Option<usize>) {
        self.runs += 1;
        if let Some(count) = acted.and_then(|minute| self.acted.get_mut(minute)) {
            *count += 1;
        }
        let below = release.minutes.iter().position(|minute| minute.stage.is_none());
        let reached = below.filter(|below| acted.is_none_or(|minute| minute > *below));
        if let Some(count) = reached.and_then(|minute| self.full.get_mut(minute)) {
            *count += 1;
        }
        let seen = acted.map_or(ALL, |minute| minute + LAG);
        self.excess += release.minutes.iter().take(seen).map(|minute| minute.excess).sum::<f64>();
    }

    fn join(&mut self, other: &Self) {
        self.runs += other.runs;
        self.excess += other.excess;
        for (sum, count) in self.acted.iter_mut().zip(other.acted) {
            *sum += count;
        }
        for (sum, count) in self.full.iter_mut().zip(other.full) {
            *sum += count;
        }
    }

    fn rollbacks(&self) -> usize {
        self.acted.iter().sum()
    }

    /// Releases that were rolled back, in per cent.
    pub(crate) fn percent(&self) -> f64 {
        100.0 * self.rollbacks() as f64 / self.runs as f64
    }

    /// The minute of the middle rollback.
    pub(crate) fn median(&self) -> Option<usize> {
        middle(&self.acted)
    }

    /// How many minutes the middle release took to 100 %, of those that got there.
    pub(crate) fn median_full(&self) -> Option<usize> {
        middle(&self.full)
    }

    /// Canary requests that failed until the rollback (or the end) and would not have on stable, on
    /// average.
    pub(crate) fn excess(&self) -> f64 {
        self.excess / self.runs as f64
    }
}

/// The minute of the middle one; `None` of none.
fn middle(counts: &[usize]) -> Option<usize> {
    let middle = counts.iter().sum::<usize>().div_ceil(2);
    let mut until = 0;
    let minute = counts.iter().position(|count| {
        until += count;
        until >= middle
    });
    minute.filter(|_| middle > 0)
}

/// Outcomes by scenario and rule.
pub(crate) fn simulate(
    effort: &Effort,
    scenarios: &[Scenario],
    rules: &[Rule],
    progress: impl Fn(usize, usize) + Sync,
) -> Vec<Vec<Outcome>> {
    simulate_releases(effort, scenarios, rules, Scenario::release, progress)
}

/// The same, of releases that go another way than by the plan.
pub(crate) fn simulate_releases(
    effort: &Effort,
    scenarios: &[Scenario],
    rules: &[Rule],
    release: impl Fn(&Scenario, u64) -> Release + Sync,
    progress: impl Fn(usize, usize) + Sync,
) -> Vec<Vec<Outcome>> {
    let pieces = effort.runs.div_ceil(PIECE);
    let all = pieces * scenarios.len();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut results = Vec::new();
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            let Some(scenario) = scenarios.get(piece / pieces.max(1)) else { return results };
            let from = piece % pieces * PIECE;
            let runs = from..effort.runs.min(from + PIECE);
            let releases = runs.map(|run| release(scenario, release_seed(effort.seed, run)));
            results.push((piece, outcomes(rules, releases)));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
        }
    };
    let mut results: Vec<(usize, Vec<Outcome>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..effort.threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    results.sort_by_key(|(piece, _)| *piece);
    let mut sums = vec![vec![Outcome::default(); rules.len()]; scenarios.len()];
    for (piece, outcomes) in results {
        let Some(scenario) = sums.get_mut(piece / pieces.max(1)) else { continue };
        for (sum, outcome) in scenario.iter_mut().zip(&outcomes) {
            sum.join(outcome);
        }
    }
    sums
}

/// Of some releases, by rule.
fn outcomes(rules: &[Rule], releases: impl Iterator<Item = Release>) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::default(); rules.len()];
    for release in releases {
        for (outcome, rule) in outcomes.iter_mut().zip(rules) {
            outcome.add(&release, (rule.acts)(&release));
        }
    }
    outcomes
}

/// Of the run-th release. Scenarios may share it: what they draw from it differs with their rates.
fn release_seed(seed: u64, run: usize) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(run as u64)
}
