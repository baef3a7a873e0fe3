//! The alternatives against which the test looks for evidence.

/// How much worse than allowed the canary may be; E is the mean over all of them.
pub const GRID: [f64; 5] = [1.5, 2.5, 5.0, 15.0, 50.0];

/// Pairs (j, k): how much worse than stable, how much worse than the floor.
pub(super) const PAIRS: usize = GRID.len() * GRID.len();

/// ln of the mean of `exp(value)`, finite where the values are: E itself is beyond any number after
/// some hundred bad cells.
pub(super) fn ln_mean(values: impl Iterator<Item = f64> + Clone, count: usize) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        // Nothing measured says nothing: E is 1.
        return 0.0;
    }
    let sum: f64 = values.map(|value| (value - largest).exp()).sum();
    largest + (sum / count as f64).ln()
}
