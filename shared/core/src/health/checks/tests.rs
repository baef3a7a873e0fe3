use proptest::prelude::*;

use super::*;
use crate::fixtures::NOW;
use crate::plan::{Bounds, Measure, MetricStatistic};

const PERIOD: Span = Span::from_secs(60);

fn number(value: f64) -> Number {
    Number::new(value).unwrap()
}

/// At most 80, and at most 1.5 times stable's.
fn check(mode: CheckMode) -> Check {
    let measure = Measure::Metric(MetricStatistic {
        namespace: "AWS/ECS".to_owned(),
        name: "CPUUtilization".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Average".to_owned(),
    });
    Check {
        name: "cpu".to_owned(),
        canary: measure.clone(),
        stable: measure,
        limit: Bounds { above: Some(number(80.0)), below: None },
        against_stable: Bounds { above: Some(number(1.5)), below: None },
        points: 3,
        period: None,
        alerts: false,
        mode,
    }
}

/// The newest values, oldest first; `None` is a gap. The last one ends now.
fn series(values: &[Option<f64>]) -> Reading<Series> {
    let newest_first = values.iter().rev().zip(1_u64..);
    let points = newest_first
        .filter_map(|(value, age)| value.map(|value| (NOW - PERIOD.times(age), number(value))));
    Reading::Read(points.collect())
}

fn all(values: &[f64]) -> Reading<Series> {
    series(&values.iter().copied().map(Some).collect::<Vec<_>>())
}

fn reading(canary: Reading<Series>, stable: Reading<Series>) -> CheckReading {
    CheckReading { canary, stable: Some(stable), period: PERIOD, until: NOW }
}

fn judged(check: &Check, canary: Reading<Series>, stable: Reading<Series>) -> Reason {
    let mut reasons = Vec::new();
    judge(std::slice::from_ref(check), &[reading(canary, stable)], &mut reasons);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0)
}

#[track_caller]
fn says(reason: &Reason, judgement: Judgement, text: &str) {
    assert_eq!(reason.judgement, judgement, "{}", reason.text);
    assert!(reason.text.contains(text), "no {text:?} in {:?}", reason.text);
}

#[test]
fn the_newest_points_count_and_all_of_them_must_be_out_of_bounds() {
    let critical = check(CheckMode::Critical);
    let stable = || all(&[70.0; 5]);
    let within = judged(&critical, all(&[99.0, 99.0, 79.0, 80.0, 78.5]), stable());
    says(&within, Judgement::Pass, "check `cpu`: 78.5, allowed is at most 80; stable has 70");
    let two = judged(&critical, all(&[70.0, 70.0, 80.0, 81.0, 82.0]), stable());
    says(&two, Judgement::Pass, "2 of the newest 3 points are out of bounds");
    let three = judged(&critical, all(&[70.0, 70.0, 80.5, 81.0, 82.0]), stable());
    says(&three, Judgement::Fail, "82, allowed is at most 80");
    says(&three, Judgement::Fail, "out of bounds since 2026-11-21T06:57:00Z (3 points in a row)");
}

#[test]
fn the_canary_is_held_against_stable_at_the_same_time() {
    let critical = check(CheckMode::Critical);
    let worse = judged(&critical, all(&[31.0; 3]), all(&[20.0; 3]));
    says(&worse, Judgement::Fail, "stable has 20, allowed is at most 1.5 times that");
    assert_eq!(judged(&critical, all(&[30.0; 3]), all(&[20.0; 3])).judgement, Judgement::Pass);
    // Where stable has no point, the canary's is not counted.
    let gap = series(&[Some(20.0), Some(20.0), None, Some(20.0)]);
    let skipped = judged(&critical, all(&[30.0, 30.0, 79.0, 30.0]), gap);
    says(&skipped, Judgement::Pass, "30");
}

#[test]
fn no_data_and_too_little_and_too_old_is_neither_health_nor_sickness() {
    let critical = check(CheckMode::Critical);
    let none = judged(&critical, all(&[]), all(&[1.0; 3]));
    says(&none, Judgement::Inconclusive, "has no data yet");
    let none = judged(&critical, all(&[1.0; 3]), all(&[]));
    says(&none, Judgement::Inconclusive, "has no data of stable yet");
    let few = judged(&critical, all(&[30.0; 2]), all(&[30.0; 2]));
    says(&few, Judgement::Inconclusive, "2 of 3 points so far");
    let few = judged(&critical, all(&[30.0, 99.0]), all(&[99.0; 2]));
    says(&few, Judgement::Suspect, "2 of 3 points so far");
    let gap = [Some(1.0), Some(1.0), Some(1.0), None, None, None, None];
    let old = judged(&critical, series(&gap), all(&[1.0; 7]));
    says(&old, Judgement::Inconclusive, "has no data for 5m");
    let recent = judged(&critical, series(&gap[..6]), all(&[1.0; 6]));
    assert_eq!(recent.judgement, Judgement::Pass);
    let error = Reading::Unreadable("2 series instead of one".to_owned());
    let several = judged(&critical, error.clone(), all(&[1.0; 3]));
    says(&several, Judgement::Inconclusive, "check `cpu` could not be read: 2 series");
    let several = judged(&critical, all(&[1.0; 3]), error);
    says(&several, Judgement::Inconclusive, "could not be read of stable: 2 series");
}

#[test]
fn a_check_that_was_not_answered_is_named() {
    let mut reasons = Vec::new();
    judge(&[check(CheckMode::Critical)], &[], &mut reasons);
    says(&reasons[0], Judgement::Inconclusive, "`cpu` was not among those read");
}

proptest! {
    #[test]
    fn only_critical_checks_change_a_verdict(
        canary in proptest::collection::vec(proptest::option::of(0.0..200.0_f64), 0..8),
        stable in proptest::collection::vec(proptest::option::of(0.0..200.0_f64), 0..8),
    ) {
        for mode in [CheckMode::Informative, CheckMode::DryRun] {
            let reason = judged(&check(mode), series(&canary), series(&stable));
            prop_assert_eq!(reason.judgement, Judgement::Pass);
        }
        let critical = judged(&check(CheckMode::Critical), series(&canary), series(&stable));
        let dry = judged(&check(CheckMode::DryRun), series(&canary), series(&stable));
        prop_assert!(dry.text.ends_with(&critical.text));
        prop_assert_eq!(
            critical.judgement == Judgement::Fail,
            dry.text.starts_with("dry run, would roll back: ")
        );
        for mode in [CheckMode::Critical, CheckMode::Informative, CheckMode::DryRun] {
            for alerting in [false, true] {
                let check = Check { alerts: alerting, ..check(mode) };
                let alerted = alerts(std::slice::from_ref(&check), &[reading(series(&canary), series(&stable))]);
                let alert = CheckAlert { check: "cpu".to_owned(), text: critical.text.clone() };
                let expected = alerting && critical.judgement == Judgement::Fail;
                prop_assert_eq!(alerted, if expected { vec![alert] } else { Vec::new() });
            }
        }
    }

    #[test]
    fn a_higher_canary_never_looks_better_under_upper_bounds(
        canary in proptest::collection::vec(0.0..200.0_f64, 3..8),
        stable in proptest::collection::vec(0.0..200.0_f64, 3..8),
        more in 0.0..100.0_f64,
    ) {
        let critical = check(CheckMode::Critical);
        let higher: Vec<_> = canary.iter().map(|value| value + more).collect();
        let before = judged(&critical, all(&canary), all(&stable)).judgement;
        prop_assert!(judged(&critical, all(&higher), all(&stable)).judgement >= before);
    }

    #[test]
    fn gaps_alone_never_fail_a_release(
        values in proptest::collection::vec(proptest::option::of(0.0..80.0_f64), 0..8),
    ) {
        let mut critical = check(CheckMode::Critical);
        critical.against_stable = Bounds::default();
        let reading = CheckReading { canary: series(&values), stable: None, period: PERIOD, until: NOW };
        let mut reasons = Vec::new();
        judge(&[critical], &[reading], &mut reasons);
        prop_assert!(reasons[0].judgement != Judgement::Fail);
    }
}
