//! How much less each bad request counts because they come in clusters.
//!
//! A retry storm makes ten bad requests of one failure, and binomial evidence would count all ten:
//! without tempering 34-52 % of good releases are rolled back where errors are bursty.

use std::collections::VecDeque;

use super::tally::Sums;

/// Whether uneven cells count less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tempering {
    /// By how uneven the cells before were.
    Adaptive,
    /// Not at all: exact only where every request fails on its own.
    Off,
}

/// How many earlier cells are looked at: four hours of minutes. The work per look would otherwise
/// grow with the square of a bake; forgetting keeps the test fair, since what is forgotten does not
/// depend on what comes.
const REMEMBERED: usize = 240;

/// How many cells' worth of "not uneven" is assumed at first.
const PRIOR: f64 = 3.0;

/// One cell says at most this: a single outlier is not dispersion.
const LARGEST: f64 = 16.0;

/// The earlier cells that had a baseline.
#[derive(Clone, Debug, Default)]
pub(super) struct Dispersion {
    cells: VecDeque<Sums>,
}

impl Dispersion {
    pub(super) fn add(&mut self, cell: &Sums) {
        if !cell.compares() {
            return;
        }
        if self.cells.len() == REMEMBERED {
            self.cells.pop_front();
        }
        self.cells.push_back(*cell);
    }

    /// `1/phi`, above 0 and at most 1; 1 before the first cell.
    pub(super) fn eta(&self) -> f64 {
        // Half an event keeps the ratio from 0.
        let Some(rho) = self.cells.iter().copied().sum::<Sums>().ratio(0.5) else { return 1.0 };
        let squares = self.cells.iter().filter_map(|cell| squared_deviation(cell, rho));
        let (sum, cells) =
            squares.fold((0.0, 0.0), |(sum, cells), square| (sum + square, cells + 1.0));
        // One degree of freedom goes into rho.
        let phi = (PRIOR + sum) / (PRIOR + (cells - 1.0_f64).max(0.0));
        1.0 / phi.max(1.0)
    }
}

/// How far the canary's part of a cell's bad requests is from the expected one, squared, in
/// binomial variances; `None` where there were none.
fn squared_deviation(cell: &Sums, rho: f64) -> Option<f64> {
    let all = cell.canary + cell.stable;
    if all == 0.0 {
        return None;
    }
    let share = cell.share();
    let expected = share * rho / (share * rho + 1.0 - share);
    let variance = (all * expected * (1.0 - expected)).max(0.25);
    Some(((cell.canary - all * expected).powi(2) / variance).min(LARGEST))
}
