//! Kayenta's judge (Spinnaker): a Mann-Whitney test of the minutes' proportions, every minute having
//! the same weight however many requests it had.

/// How far beyond 0 the interval has to be, as a share of the estimated difference.
const TOLERANCE: f64 = 0.25;

/// The normal quantile of a two-sided confidence of 98 %.
const QUANTILE: f64 = 2.326_347_874;

/// Whether it calls the canary's proportions `High`: the confidence interval of the difference (by
/// inversion of the rank test, normal approximation, corrected for continuity and ties) lies above
/// a quarter of the Hodges-Lehmann estimate, and the mean is not smaller.
pub(crate) fn is_high(canary: &[f64], stable: &[f64]) -> bool {
    let pairs = canary.len() * stable.len();
    let all: Vec<f64> = canary.iter().chain(stable).copied().collect();
    let constant = all.windows(2).all(|two| matches!(two, [one, other] if one == other));
    if pairs == 0 || constant || mean(canary) < mean(stable) {
        return false;
    }
    let mut differences: Vec<f64> =
        canary.iter().flat_map(|one| stable.iter().map(move |other| one - other)).collect();
    differences.sort_by(f64::total_cmp);
    let middle = |index: usize| differences.get(index).copied().unwrap_or_default();
    let estimate = f64::midpoint(middle((pairs - 1) / 2), middle(pairs / 2));

    // The canary is shifted down until the test no longer rejects. Its statistic is the number of
    // differences above the shift, so the shift is one of them. Ties between the slots exist only
    // right at a difference; what is left are those within a slot.
    let count = all.len() as f64;
    let ties = (tied(canary) + tied(stable)) / (count * (count - 1.0));
    let deviation = (pairs as f64 / 12.0 * (count + 1.0 - ties)).max(0.0).sqrt();
    let needed = (pairs as f64 / 2.0 + 0.5 + QUANTILE * deviation).ceil() as usize;
    let lower = middle(pairs - needed.clamp(1, pairs));
    lower > TOLERANCE * estimate.abs()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sum of `t^3 - t` over the groups of equal values.
fn tied(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
        .chunk_by(|one, other| one == other)
        .map(|group| (group.len() as f64).powi(3) - group.len() as f64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five against five: only when all five are above all of stable's is the test significant, and
    /// then the smallest difference is the end of the interval.
    #[test]
    fn five_minutes_have_to_be_apart() {
        let stable = [0.010, 0.011, 0.012, 0.009, 0.010];
        assert!(is_high(&[0.050, 0.060, 0.055, 0.052, 0.058], &stable));
        assert!(!is_high(&[0.050, 0.060, 0.055, 0.052, 0.0115], &stable), "one within");
        assert!(!is_high(&[0.050, 0.060, 0.055, 0.052, 0.013], &stable), "one hardly above");
        assert!(!is_high(&stable, &[0.050, 0.060, 0.055, 0.052, 0.058]), "better");
    }

    #[test]
    fn minutes_without_an_error_say_nothing() {
        assert!(!is_high(&[0.0; 5], &[0.0; 5]));
        assert!(!is_high(&[], &[0.1]));
    }
}
