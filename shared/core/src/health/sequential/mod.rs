//! The sequential test: is the canary's proportion of bad (or slow) requests above what is allowed?
//!
//! Looked at after every cell, as often as one likes, and still wrong about a good release at most
//! `alpha` of the time: E is a mean of products whose expectation is at most 1 while the canary
//! keeps within what is allowed, so by Ville's inequality it reaches `1/alpha` with a probability
//! of at most `alpha`, whatever the weights and whenever one stops. After Lindon & Malek
//! (arXiv 2011.03567): given that a request was bad, which slot was it for?
//!
//! Allowed is `p_c <= max(r p_b, a)` in every cell. Each cell adds, for every pair (j, k) of a grid,
//! the *smaller* of the evidence against `r p_b` and that against `a`: in each cell at least one of
//! the two is fair, so the smaller one always is, even where the side that allows it changes. Two
//! things blunt it further: it is tempered by how uneven earlier cells were, and cut at a cap so
//! that less than [`Parameters::witnesses`] cells can never fail a release.
//!
//! E is a pure function of the counts, computed anew at every look, late data included.

mod confidence;
mod grid;
mod increment;
mod parameters;
mod planner;
mod tally;
mod tempering;

pub use confidence::{RateRatio, rate_ratio};
pub use grid::GRID;
use grid::{PAIRS, ln_mean};
use increment::Increments;
pub use parameters::{ParameterError, Parameters, Terms};
pub use planner::{Expected, ExpectedStage, found_after};
use tally::Sums;
pub use tally::{Pair, Tally};
use tempering::Dispersion;
pub use tempering::Tempering;

/// A cell as the test sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation<'a> {
    /// Which compared stage; stages come in order.
    pub stage: usize,
    /// Every metric, in the same order in every cell; `None` where it was not measured.
    pub metrics: &'a [Option<Pair>],
}

/// What is known after a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The natural logarithm of E, over all metrics. Fails from `ln(1/alpha)` on.
    pub ln_e: f64,
    /// The same for each metric on its own.
    pub metrics: Vec<f64>,
    /// Cells so far that spoke clearly against the canary.
    pub witnesses: u32,
    /// Whether E and the witnesses are enough for a rollback.
    pub fails: bool,
}

impl Point {
    /// log10 of E, as people read it.
    pub fn log10_e(&self) -> f64 {
        self.ln_e / std::f64::consts::LN_10
    }
}

/// An increment above this is a witness: the cell is at least 1.6 times likelier if the canary is
/// worse than allowed.
const WITNESS: f64 = 0.5;

/// Looks at all cells in order; one point for each.
pub fn assess(
    parameters: &Parameters,
    tempering: Tempering,
    cells: &[Observation<'_>],
) -> Vec<Point> {
    let mut metrics = vec![Metric::default(); parameters.metrics()];
    let mut witnesses = 0;
    let mut stages = Stages { latest: None, started: 0 };
    let mut points = Vec::with_capacity(cells.len());
    for cell in cells {
        let starts = stages.enter(cell.stage, parameters.stages());
        let mut witnessed = false;
        for (metric, pair) in metrics.iter_mut().zip(cell.metrics) {
            if starts {
                metric.starts.push([0.0; PAIRS]);
            }
            let Some(pair) = pair else { continue };
            witnessed |= metric.add(parameters, tempering, &Sums::from(pair)) > WITNESS;
        }
        witnesses += u32::from(witnessed);
        let each: Vec<f64> = metrics.iter().map(|metric| metric.ln_e(parameters)).collect();
        let ln_e = ln_mean(each.iter().copied(), each.len());
        let fails = ln_e >= parameters.bound() && witnesses >= parameters.witnesses();
        points.push(Point { ln_e, metrics: each, witnesses, fails });
    }
    points
}

/// Which compared stages have begun.
struct Stages {
    latest: Option<usize>,
    started: usize,
}

impl Stages {
    /// Whether the cell is the first of a stage that the plan counted. More stages than it counted
    /// get no start of their own: the mean over them was fixed when the plan was made.
    fn enter(&mut self, stage: usize, planned: usize) -> bool {
        if self.latest == Some(stage) || self.started >= planned {
            return false;
        }
        self.latest = Some(stage);
        self.started += 1;
        true
    }
}

/// The running sums of one metric.
#[derive(Clone, Debug, Default)]
struct Metric {
    /// By stage that has started: the sum of the increments since, by pair.
    starts: Vec<[f64; PAIRS]>,
    dispersion: Dispersion,
}

impl Metric {
    /// Adds a cell; its largest increment.
    fn add(&mut self, parameters: &Parameters, tempering: Tempering, cell: &Sums) -> f64 {
        // From the cells before this one: an exponent that knew this cell would not be fair.
        let eta = match tempering {
            Tempering::Adaptive => self.dispersion.eta(),
            Tempering::Off => 1.0,
        };
        let increments = Increments::of(parameters, cell, eta);
        for sums in &mut self.starts {
            for (sum, increment) in sums.iter_mut().zip(increments.values()) {
                *sum += increment;
            }
        }
        self.dispersion.add(cell);
        increments.largest()
    }

    /// ln of the mean over stages and pairs; a stage that has not started counts as 1.
    fn ln_e(&self, parameters: &Parameters) -> f64 {
        let waiting = parameters.stages().saturating_sub(self.starts.len());
        let started = self.starts.iter().map(|sums| ln_mean(sums.iter().copied(), PAIRS));
        ln_mean(started.chain(std::iter::repeat_n(0.0, waiting)), parameters.stages())
    }
}

#[cfg(test)]
mod tests;
