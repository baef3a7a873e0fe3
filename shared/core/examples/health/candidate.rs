//! Other shapes of the test, to see whether one is better. All are e-processes for the same
//! question: the increment of a cell is the smaller of two fair ones, and nothing that shapes it
//! knows the cell itself.

use glidepath_core::health::is_even;
use glidepath_core::health::sequential::{Pair, Tally, Terms};

use crate::evidence::{absolute, ln_sum, relative};
use crate::scenario::{COMPARED, Release, SHARES};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// What is allowed, and how sure one has to be; `witnesses` are those needed.
    pub(crate) terms: Terms,
    /// Over what E is the mean.
    pub(crate) alternatives: Alternatives,
    /// When evidence may begin.
    pub(crate) starts: Starts,
    /// Into how many parts the whole is cut for the cap of a cell.
    pub(crate) parts: f64,
    /// How many cells' worth of "not uneven" tempering assumes at first.
    pub(crate) prior: f64,
    /// What one cell can at most say about unevenness.
    pub(crate) largest: f64,
    /// What the hours before are used for.
    pub(crate) history: History,
}

/// Over what E is the mean.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alternatives {
    /// Every pair of how much worse than stable and how much worse than the floor.
    Pairs(&'static [f64]),
    /// One of each, so much worse than both.
    Diagonal(&'static [f64]),
    /// So much worse than what is allowed, given stable's proportion up to the cell before: what
    /// that is relative to stable follows from it, so there is nothing to pair.
    Matched(&'static [f64]),
    /// Not the smaller increment in every cell, but the smaller of two E: not fair where the side
    /// that allows the canary changes.
    TwoSums(&'static [f64]),
}

/// When evidence may begin, and its weight.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Starts {
    /// With each stage, all alike.
    Stages,
    /// With each stage; the first has this weight, the others share the rest.
    First(f64),
    /// With each minute, all alike.
    Minutes,
}

/// What the hours before are used for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum History {
    Unread,
    /// Stable's unevenness from minute to minute tempers from the first cell on.
    Tempers,
    /// So many witnesses (and parts) instead where it was even.
    Witnesses(u32),
}

impl Default for Candidate {
    /// The product's.
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            alternatives: Alternatives::Pairs(&[1.5, 2.5, 5.0, 15.0, 50.0]),
            starts: Starts::Stages,
            parts: 3.0,
            prior: 3.0,
            largest: 16.0,
            history: History::Unread,
        }
    }
}

/// A cell is a witness from here on.
const WITNESS: f64 = 0.5;

impl Candidate {
    /// The minute after which it rolls back.
    pub(crate) fn acts(&self, release: &Release) -> Option<usize> {
        let mut shape = *self;
        let mut unevenness = Unevenness::default();
        match self.history {
            History::Unread => {}
            History::Tempers => unevenness.read(&release.before(), self.largest),
            History::Witnesses(witnesses) => {
                if is_even(&release.before()) {
                    shape.terms.witnesses = witnesses;
                    shape.parts = f64::from(witnesses);
                }
            }
        }
        shape.acts_after(unevenness, release)
    }

    fn acts_after(&self, mut unevenness: Unevenness, release: &Release) -> Option<usize> {
        let bound = -self.terms.alpha.ln();
        let cap = (bound + self.count().ln() - self.weight(0).ln()) / self.parts;
        let mut sums: Vec<(f64, Vec<f64>)> = Vec::new();
        let (mut witnesses, mut stage) = (0, None);
        for (index, minute) in release.minutes.iter().enumerate() {
            minute.stage?;
            if stage != minute.stage || matches!(self.starts, Starts::Minutes) {
                stage = minute.stage;
                sums.push((self.weight(sums.len()), Vec::new()));
            }
            let eta = unevenness.eta(self.prior, self.largest);
            let increments = self.increments(&unevenness, &minute.pair, eta, cap);
            witnesses += u32::from(increments.iter().any(|increment| *increment > WITNESS));
            for (_, sums) in &mut sums {
                sums.resize(increments.len(), 0.0);
                for (sum, increment) in sums.iter_mut().zip(&increments) {
                    *sum += increment;
                }
            }
            unevenness.cells.push(minute.pair);
            if witnesses >= self.terms.witnesses && self.ln_e(&sums) >= bound {
                return Some(index + 1);
            }
        }
        None
    }

    /// How many alternatives one E is the mean of.
    fn count(&self) -> f64 {
        match self.alternatives {
            Alternatives::Pairs(grid) => (grid.len() * grid.len()) as f64,
            Alternatives::Diagonal(grid)
            | Alternatives::Matched(grid)
            | Alternatives::TwoSums(grid) => grid.len() as f64,
        }
    }

    /// Of the evidence that begins with the n-th stage or minute; all add up to 1.
    fn weight(&self, start: usize) -> f64 {
        let stages = SHARES.len() as f64;
        match self.starts {
            Starts::Stages => 1.0 / stages,
            Starts::First(first) if start == 0 => first,
            Starts::First(first) => (1.0 - first) / (stages - 1.0),
            Starts::Minutes => 1.0 / COMPARED as f64,
        }
    }

    fn increments(&self, before: &Unevenness, pair: &Pair, eta: f64, cap: f64) -> Vec<f64> {
        let Terms { ratio, floor, .. } = self.terms;
        let by_ratio = |worse: f64| eta * relative(pair, ratio, worse);
        let by_floor = |worse: f64| eta * absolute(pair, floor, worse);
        let smaller = |one: f64, other: f64| one.min(other).min(cap);
        match self.alternatives {
            Alternatives::Pairs(grid) => {
                let floors: Vec<f64> = grid.iter().map(|worse| by_floor(*worse)).collect();
                let ratios = grid.iter().map(|worse| by_ratio(*worse));
                ratios.flat_map(|one| floors.iter().map(move |two| smaller(one, *two))).collect()
            }
            Alternatives::Diagonal(grid) => {
                grid.iter().map(|worse| smaller(by_ratio(*worse), by_floor(*worse))).collect()
            }
            Alternatives::Matched(grid) => {
                let allowed = ratio * before.stable(floor);
                let most = allowed.max(floor);
                let matched = grid.iter().map(|worse| {
                    let by_ratio = by_ratio((worse * most / allowed).min(1000.0));
                    smaller(by_ratio, by_floor(worse * most / floor))
                });
                matched.collect()
            }
            Alternatives::TwoSums(grid) => {
                let ratios = grid.iter().map(|worse| by_ratio(*worse).min(cap));
                ratios.chain(grid.iter().map(|worse| by_floor(*worse).min(cap))).collect()
            }
        }
    }

    /// ln of the mean over starts and alternatives; what has not started counts as 1.
    fn ln_e(&self, sums: &[(f64, Vec<f64>)]) -> f64 {
        let each = 1.0 / self.count();
        let started: f64 = sums.iter().map(|(weight, _)| weight).sum();
        let waiting = ((1.0 - started).max(0.0), 0.0);
        let over = |part: fn(&[f64], usize) -> &[f64]| {
            let all = sums.iter().flat_map(|(weight, sums)| {
                part(sums, sums.len() / 2).iter().map(move |sum| (weight * each, *sum))
            });
            ln_sum(all.chain(std::iter::once(waiting)))
        };
        match self.alternatives {
            Alternatives::TwoSums(_) => {
                let ratios = over(|sums, half| sums.get(..half).unwrap_or_default());
                ratios.min(over(|sums, half| sums.get(half..).unwrap_or_default()))
            }
            Alternatives::Pairs(_) | Alternatives::Diagonal(_) | Alternatives::Matched(_) => {
                over(|sums, _| sums)
            }
        }
    }
}

/// How uneven earlier cells were.
#[derive(Clone, Debug, Default)]
struct Unevenness {
    cells: Vec<Pair>,
    /// Squared deviations of stable's minutes before, and how many.
    before: (f64, f64),
}

impl Unevenness {
    fn read(&mut self, before: &[Tally], largest: f64) {
        let squares: Vec<f64> = neighbours(before).map(|square| square.min(largest)).collect();
        self.before = (squares.iter().sum(), squares.len() as f64);
    }

    /// `1/phi`.
    fn eta(&self, prior: f64, largest: f64) -> f64 {
        let sum = |count: fn(&Pair) -> u64| self.cells.iter().map(count).sum::<u64>() as f64;
        let canary = (sum(|cell| cell.canary.events) + 0.5) / sum(|cell| cell.canary.requests);
        let stable = (sum(|cell| cell.stable.events) + 0.5) / sum(|cell| cell.stable.requests);
        let rho = if self.cells.is_empty() { 1.0 } else { canary / stable };
        let squares = self.cells.iter().filter_map(|cell| squared_deviation(cell, rho));
        let (sum, cells) = squares
            .fold((0.0, 0.0), |(sum, cells), square| (sum + square.min(largest), cells + 1.0));
        let (sum_before, before) = self.before;
        let phi = (prior + sum_before + sum) / (prior + before + (cells - 1.0_f64).max(0.0));
        1.0 / phi.max(1.0)
    }

    /// Stable's proportion up to the cell before; the floor at first.
    fn stable(&self, floor: f64) -> f64 {
        let sum = |count: fn(&Pair) -> u64| self.cells.iter().map(count).sum::<u64>() as f64;
        (sum(|cell| cell.stable.events) + 0.5) / (sum(|cell| cell.stable.requests) + 0.5 / floor)
    }
}

/// How far the canary's part of a cell's bad requests is from the expected one, squared, in
/// binomial variances; `None` where there were none.
fn squared_deviation(cell: &Pair, rho: f64) -> Option<f64> {
    let all = (cell.canary.events + cell.stable.events) as f64;
    let (canary, stable) = (cell.canary.requests as f64, cell.stable.requests as f64);
    if all <= 0.0 || canary <= 0.0 || stable <= 0.0 {
        return None;
    }
    let expected = canary * rho / (canary * rho + stable);
    let variance = (all * expected * (1.0 - expected)).max(0.25);
    Some((cell.canary.events as f64 - all * expected).powi(2) / variance)
}

/// Of every two minutes of stable, as though one were the canary's: what changes slowly does not
/// count as uneven.
fn neighbours(before: &[Tally]) -> impl Iterator<Item = f64> {
    before.chunks_exact(2).filter_map(|two| match two {
        [canary, stable] => squared_deviation(&Pair { canary: *canary, stable: *stable }, 1.0),
        _ => None,
    })
}
