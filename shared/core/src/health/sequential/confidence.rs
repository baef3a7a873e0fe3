//! How many times stable's proportion the canary has, with an interval that holds at every look.

use super::grid::{GRID, ln_mean};
use super::increment::relative;
use super::parameters::Parameters;
use super::tally::{Pair, Sums};
use super::tempering::{Dispersion, Tempering};

/// The canary's proportion over stable's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRatio {
    /// The best guess; `None` while stable has not had a single one.
    pub estimate: Option<f64>,
    /// Smaller ratios are ruled out; 0 where none is.
    pub lower: f64,
    /// Larger ratios are ruled out; `None` where none is.
    pub upper: Option<f64>,
}

/// Ratios beyond these are not told apart from "none is ruled out".
const NARROWEST: f64 = 1e-6;
const WIDEST: f64 = 1e6;

/// Halvings of the search, on the logarithm of the ratio: to a relative error below a millionth.
const HALVINGS: u32 = 46;

/// The ratio with its confidence sequence: all `rho` that the test would not reject, from below and
/// from above with `alpha/2` each. True at every look with probability `1 - alpha`, as far as bad
/// requests are rare; tempered and capped like the test.
pub fn rate_ratio(parameters: &Parameters, tempering: Tempering, cells: &[Pair]) -> RateRatio {
    let mut dispersion = Dispersion::default();
    let tempered: Vec<(Sums, f64)> = cells
        .iter()
        .map(Sums::from)
        .filter(Sums::compares)
        .map(|cell| {
            let eta = match tempering {
                Tempering::Adaptive => dispersion.eta(),
                Tempering::Off => 1.0,
            };
            dispersion.add(&cell);
            (cell, eta)
        })
        .collect();
    let bound = parameters.bound() + std::f64::consts::LN_2;
    let rejects = |rho: f64, grid: &[f64]| {
        ln_mean(
            grid.iter().map(|worse| {
                let increment = |(cell, eta): &(Sums, f64)| {
                    (eta * relative(cell, rho, *worse)).min(parameters.cap())
                };
                tempered.iter().map(increment).sum()
            }),
            grid.len(),
        ) >= bound
    };
    let better = GRID.map(f64::recip);
    RateRatio {
        estimate: tempered.iter().map(|(cell, _)| *cell).sum::<Sums>().ratio(0.0),
        lower: edge(|rho| rejects(rho, &GRID), NARROWEST, WIDEST).unwrap_or(0.0),
        upper: edge(|rho| rejects(rho, &better), WIDEST, NARROWEST),
    }
}

/// The last ratio that is rejected on the way from one end, at which all are, to the other; `None`
/// where not even the end is.
fn edge(rejects: impl Fn(f64) -> bool, from: f64, to: f64) -> Option<f64> {
    if !rejects(from) {
        return None;
    }
    let (mut rejected, mut kept) = (from.ln(), to.ln());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(rejected, kept);
        if rejects(middle.exp()) {
            rejected = middle;
        } else {
            kept = middle;
        }
    }
    Some(rejected.exp())
}
