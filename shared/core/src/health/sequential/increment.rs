//! What one cell adds.

use super::grid::{GRID, PAIRS};
use super::parameters::Parameters;
use super::tally::Sums;

/// Highest proportion that is an alternative: 1 would rule out a single good request.
const HIGHEST: f64 = 0.99;

/// `l_jk = min(rel_j, abs_k, cap)` of one cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Increments([f64; PAIRS]);

impl Increments {
    /// Of a cell, tempered by `eta`.
    pub(super) fn of(parameters: &Parameters, cell: &Sums, eta: f64) -> Self {
        let cap = parameters.cap();
        let relative = GRID.map(|worse| eta * relative(cell, parameters.ratio(), worse));
        let absolute = GRID.map(|worse| eta * absolute(cell, parameters.floor(), worse));
        let mut values = [0.0; PAIRS];
        let pairs = relative.iter().flat_map(|rel| absolute.iter().map(move |abs| rel.min(*abs)));
        for (value, smaller) in values.iter_mut().zip(pairs) {
            *value = smaller.min(cap);
        }
        Self(values)
    }

    /// By pair.
    pub(super) fn values(&self) -> &[f64; PAIRS] {
        &self.0
    }

    /// The one that speaks loudest against the canary.
    pub(super) fn largest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// ln of how much likelier the split of the bad requests is if the canary has `worse` times the
/// allowed ratio:
/// `x_c ln G - (x_c + x_b) ln((1 - w + w r G) / (1 - w + w r))`, 0 without a baseline.
pub(super) fn relative(cell: &Sums, ratio: f64, worse: f64) -> f64 {
    if !cell.compares() {
        return 0.0;
    }
    let share = cell.share();
    let among = |times: f64| 1.0 - share + share * times;
    let all = cell.canary + cell.stable;
    cell.canary * worse.ln() - all * (among(ratio * worse) / among(ratio)).ln()
}

/// ln of how much likelier the canary's own bad requests are at `worse` times the floor:
/// `x_c ln(q/a) + (n_c - x_c) ln((1-q)/(1-a))` with `q = min(a G, 0.99)`.
fn absolute(cell: &Sums, floor: f64, worse: f64) -> f64 {
    let good = cell.canary_requests - cell.canary;
    let alternative = (floor * worse).min(HIGHEST);
    cell.canary * (alternative / floor).ln() + good * ((1.0 - alternative) / (1.0 - floor)).ln()
}
