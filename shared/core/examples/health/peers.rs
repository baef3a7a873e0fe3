//! Rules of other tools.

use crate::kayenta;
use crate::scenario::{Minute, Release};

/// Above this proportion of bad requests a check fails (Flagger, Argo Rollouts, an alarm).
const THRESHOLD: f64 = 0.05;

/// The one-sided 5 % quantile of the normal distribution.
const SIGNIFICANT: f64 = 1.644_853_627;

fn check_fails(minute: &Minute) -> bool {
    let canary = minute.pair.canary;
    canary.requests > 0 && canary.events as f64 / canary.requests as f64 > THRESHOLD
}

/// Acts with the `failures`-th failed check, wherever the others were.
pub(crate) fn failed_checks(release: &Release, failures: usize) -> Option<usize> {
    let mut failing = release.minutes.iter().enumerate().filter(|(_, minute)| check_fails(minute));
    failing.nth(failures.saturating_sub(1)).map(|(minute, _)| minute + 1)
}

/// Acts when so many checks in a row fail.
pub(crate) fn failed_in_a_row(release: &Release, failures: usize) -> Option<usize> {
    let all_fail = |minutes: &[Minute]| minutes.iter().all(check_fails);
    release.minutes.windows(failures).position(all_fail).map(|start| start + failures)
}

/// Judges at the end of every stage, by its minutes.
pub(crate) fn kayenta(release: &Release) -> Option<usize> {
    let mut until = 0;
    for stage in release.minutes.chunk_by(|one, other| one.stage == other.stage) {
        until += stage.len();
        let proportions = |arm: fn(&Minute) -> (u64, u64)| -> Vec<f64> {
            let counts = stage.iter().map(arm).filter(|(requests, _)| *requests > 0);
            counts.map(|(requests, events)| events as f64 / requests as f64).collect()
        };
        let canary = proportions(|minute| (minute.pair.canary.requests, minute.pair.canary.events));
        let stable = proportions(|minute| (minute.pair.stable.requests, minute.pair.stable.events));
        if kayenta::is_high(&canary, &stable) {
            return Some(until);
        }
    }
    None
}

/// A test made for one look, looked at every minute: the difference of both proportions so far over
/// its standard error.
pub(crate) fn repeated_z_test(release: &Release) -> Option<usize> {
    let (mut canary, mut canary_all, mut stable, mut stable_all) = (0.0, 0.0, 0.0, 0.0);
    for (index, minute) in release.minutes.iter().enumerate() {
        minute.stage?;
        canary += minute.pair.canary.events as f64;
        canary_all += minute.pair.canary.requests as f64;
        stable += minute.pair.stable.events as f64;
        stable_all += minute.pair.stable.requests as f64;
        let pooled = (canary + stable) / (canary_all + stable_all);
        let error = (pooled * (1.0 - pooled) * (1.0 / canary_all + 1.0 / stable_all)).sqrt();
        if (canary / canary_all - stable / stable_all) / error > SIGNIFICANT {
            return Some(index + 1);
        }
    }
    None
}
