//! Axes: where they begin and end, and which numbers stand beside them.

use glidepath_core::time::{Span, Timestamp};

use crate::counted::{Report, Times};
use crate::words::clock;

/// An axis with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Places and what stands there.
    pub(super) ticks: Vec<(f64, String)>,
}

/// Proportions from nothing to a round number above the highest.
pub(super) fn shares(highest: f64) -> Scale {
    // With nothing to show, one percent: an axis that ends at 0.001 % would look like a finding.
    let highest = if highest > 0.0 { highest.min(1.0) } else { 0.01 };
    let step = round_step(highest / 3.0);
    let count = (highest / step - 1e-9).ceil().max(1.0);
    let tick = |number: u32| {
        let at = step * f64::from(number);
        (at, share_label(at, step))
    };
    // At most five: the step is at least a fifth of the highest.
    let ticks: Vec<_> = (0..=count as u32).map(tick).collect();
    Scale { low: 0.0, high: step * count, ticks }
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below this.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(power * 10.0)
}

/// With as many decimals as the step has.
fn share_label(share: f64, step: f64) -> String {
    let decimals = (0..6).find(|decimals| {
        let shifted = step * 100.0 * 10_f64.powi(*decimals);
        (shifted - shifted.round()).abs() < 1e-6
    });
    let decimals = decimals.and_then(|decimals| usize::try_from(decimals).ok()).unwrap_or(6);
    format!("{:.decimals$} %", share * 100.0)
}

/// log10 of the evidence, with the bound in view. What is far from it on either side adds nothing to
/// know.
pub(super) fn evidence(lowest: f64, highest: f64, bound: f64) -> Scale {
    let low = lowest.clamp(-3.0, -0.5).floor();
    let high = (highest + 0.3).clamp(bound + 0.7, bound + 4.0);
    let decades = (high.floor() - low).max(1.0);
    let every = (decades / 5.0).ceil();
    let ticks = (0..=12_u32)
        .map(|number| f64::from(number) * every)
        .flat_map(|up| if up == 0.0 { vec![0.0] } else { vec![-up, up] })
        .filter(|at| (low..=high).contains(at));
    let mut ticks: Vec<_> = ticks.map(|at| (at, power_label(at))).collect();
    ticks.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Scale { low, high, ticks }
}

/// `0.01`, `1`, `1000`, `10⁶`
fn power_label(power: f64) -> String {
    if (-3.0..=4.0).contains(&power) {
        return format!("{}", 10_f64.powf(power));
    }
    let power = format!("{power:.0}");
    let raised = power.chars().map(|character| match character {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        other => other,
    });
    format!("10{}", raised.collect::<String>())
}

/// Seconds between two times of day at an axis.
const STEPS: [u64; 19] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400, 172_800,
];

/// Most numbers that stand beside each other at the axis of time.
const MOST: usize = 9;

/// Seconds since the beginning, by the clock or by the rows' own labels.
pub(super) fn time(report: &Report, from: Timestamp, until: Timestamp) -> Scale {
    let high = seconds(from, until);
    let ticks = match &report.times {
        Times::Clock => clock_ticks(from, until),
        Times::Labels(labels) => label_ticks(report, labels, from),
    };
    Scale { low: 0.0, high, ticks }
}

/// Seconds from one to the other.
pub(super) fn seconds(from: Timestamp, at: Timestamp) -> f64 {
    at.since(from).as_millis() as f64 / 1000.0
}

fn clock_ticks(from: Timestamp, until: Timestamp) -> Vec<(f64, String)> {
    let length = until.since(from).as_millis() / 1000;
    let fits = |step: &&u64| length / **step < MOST as u64;
    let longest = length.div_ceil(MOST as u64).max(1);
    let step = STEPS.iter().find(fits).copied().unwrap_or(longest);
    let millis = i64::try_from(step.saturating_mul(1000)).unwrap_or(i64::MAX);
    let first = from.as_millis().saturating_add(millis - 1).div_euclid(millis);
    let ticks = (0..=MOST).map(|number| {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        Timestamp::from_millis(first.saturating_add(number).saturating_mul(millis))
    });
    let shown = ticks.filter(|at| (from..=until).contains(at));
    shown.map(|at| (seconds(from, at), clock(at, step < 60))).collect()
}

fn label_ticks(report: &Report, labels: &[String], from: Timestamp) -> Vec<(f64, String)> {
    let every = [1, 2, 5, 10, 15, 20, 30, 60, 120].into_iter();
    let fits = |every: &usize| labels.len() / every <= 12;
    let every = every.clone().find(fits).unwrap_or(labels.len().div_ceil(12).max(1));
    // Long ones need more room each.
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).min(8);
    let every = if longest > 5 { every * 2 } else { every };
    let rows = report.rows.iter().zip(labels).step_by(every);
    rows.map(|(row, label)| {
        let half = Span::from_millis(row.length.as_millis() / 2);
        (seconds(from, row.cell.from + half), label.chars().take(8).collect())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn proportions_end_at_a_round_number() {
        assert_eq!(labels(&shares(0.098)), ["0 %", "5 %", "10 %"]);
        assert_eq!(labels(&shares(0.0)), ["0.0 %", "0.5 %", "1.0 %"]);
        assert_eq!(labels(&shares(1.0)), ["0 %", "50 %", "100 %"]);
        assert_eq!(labels(&shares(0.003)), ["0.0 %", "0.1 %", "0.2 %", "0.3 %"]);
        for highest in [1e-9, 1e-5, 0.011, 0.3, 0.99, 5.0] {
            let scale = shares(highest);
            assert!((2..=6).contains(&scale.ticks.len()), "{scale:?}");
            assert!(
                scale.high >= highest.min(1.0) * 0.999_999 && scale.high.is_finite(),
                "{scale:?}"
            );
        }
    }

    #[test]
    fn the_bound_is_always_in_view() {
        assert_eq!(labels(&evidence(-0.2, 0.0, 2.0)), ["0.1", "1", "10", "100"]);
        assert_eq!(labels(&evidence(-5.0, 900.0, 2.0)), ["0.01", "1", "100", "10000", "10⁶"]);
    }

    #[test]
    fn times_of_day_are_round() {
        let at = |seconds: i64| Timestamp::from_millis(1_800_000_000_000 + seconds * 1000);
        let ticks = clock_ticks(at(40), at(40 + 25 * 60));
        assert_eq!(ticks[0], (260.0, "08:05".to_owned()));
        assert_eq!(clock_ticks(at(0), at(5))[1], (1.0, "08:00:01".to_owned()));
        assert!(clock_ticks(at(0), at(8 * 3600)).len() <= MOST + 1);
    }
}
