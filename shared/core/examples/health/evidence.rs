//! What one cell says for an alternative: the two likelihood ratios that the test is made of,
//! written once more to be combined in other ways.

use glidepath_core::health::sequential::Pair;

/// Highest proportion that is an alternative: 1 would rule out a single good request.
const HIGHEST: f64 = 0.99;

/// ln of how much likelier the split of the bad requests is if the canary has `worse * ratio` times
/// stable's proportion than if it has `ratio` times; 0 without a baseline.
pub(crate) fn relative(pair: &Pair, ratio: f64, worse: f64) -> f64 {
    let (canary, stable) = (pair.canary.requests as f64, pair.stable.requests as f64);
    if canary <= 0.0 || stable <= 0.0 {
        return 0.0;
    }
    let share = canary / (canary + stable);
    let among = |times: f64| 1.0 - share + share * times;
    let all = (pair.canary.events + pair.stable.events) as f64;
    pair.canary.events as f64 * worse.ln() - all * (among(ratio * worse) / among(ratio)).ln()
}

/// ln of how much likelier the canary's bad requests are at `worse` times a proportion than at the
/// proportion itself.
pub(crate) fn absolute(pair: &Pair, proportion: f64, worse: f64) -> f64 {
    let bad = pair.canary.events as f64;
    let good = pair.canary.requests as f64 - bad;
    let alternative = (proportion * worse).min(HIGHEST);
    bad * (alternative / proportion).ln() + good * ((1.0 - alternative) / (1.0 - proportion)).ln()
}

/// ln of the sum of weighted `exp(value)`, finite where the values are.
pub(crate) fn ln_sum(values: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let largest = values.clone().map(|(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.map(|(weight, value)| weight * (value - largest).exp()).sum();
    largest + sum.ln()
}
