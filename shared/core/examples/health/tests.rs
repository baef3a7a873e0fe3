//! The page's important rows, at a few hundred releases each, within the error that so few leave.

use crate::arrivals::Errors;
use crate::candidate::{Alternatives, Candidate};
use crate::rules::{self, Rule, parameters, sequential};
use crate::scenario::{DISPERSIONS, Scenario, grid};
use crate::simulation::{Effort, Outcome, simulate};
use crate::{gross, hastened, limit};

/// Releases behind the figures that are expected here.
const TABLE_RUNS: f64 = 600.0;

fn effort(runs: usize) -> Effort {
    Effort { runs, seed: 5, threads: 2 }
}

fn outcomes(runs: usize, scenarios: &[Scenario]) -> Vec<Vec<Outcome>> {
    simulate(&effort(runs), scenarios, &rules::all(), |_, _| {})
}

/// Three binomial standard errors of the difference of two simulations, in percentage points.
fn tolerance(percent: f64, runs: usize) -> f64 {
    let share = percent / 100.0;
    300.0 * (share * (1.0 - share) * (1.0 / runs as f64 + 1.0 / TABLE_RUNS)).sqrt()
}

fn by_name<'a>(outcomes: &'a [Outcome], name: &str) -> &'a Outcome {
    let column = rules::all().iter().position(|rule| rule.name == name).unwrap();
    &outcomes[column]
}

#[track_caller]
fn assert_close(outcomes: &[Outcome], rule: &str, percent: f64, runs: usize) {
    let found = by_name(outcomes, rule).percent();
    let tolerance = tolerance(percent, runs);
    assert!((found - percent).abs() <= tolerance, "{rule}: {found} % for {percent} +- {tolerance}");
}

#[test]
fn where_errors_are_independent_nothing_is_rolled_back_falsely() {
    for outcomes in outcomes(200, &grid(Errors::Independent, &[1.0])) {
        for rule in ["m = 3", "m = 2", "m = 4", "m = 3 and ceiling"] {
            assert_eq!(by_name(&outcomes, rule).percent(), 0.0, "{rule}");
        }
    }
}

/// At the services where each way of being uneven is worst.
#[test]
fn where_errors_are_uneven_false_rollbacks_stay_within_the_table() {
    let runs = 800;
    for (errors, baseline, requests, [three, two, four]) in [
        (Errors::Shock(1.0), 0.01, 5_000.0, [0.0, 0.0, 0.0]),
        (Errors::Clusters(4.0), 0.01, 500.0, [1.2, 3.7, 0.5]),
        (Errors::Uneven(0.2), 0.01, 5_000.0, [0.1, 1.0, 0.1]),
        (Errors::Uneven(1.0), 0.01, 5_000.0, [2.2, 7.5, 1.1]),
        (Errors::Bursts, 0.001, 500.0, [1.7, 7.7, 0.4]),
    ] {
        let outcomes = outcomes(runs, &[Scenario::new(errors, baseline, requests, 1.0)]);
        for (rule, most) in [("m = 3", three), ("m = 2", two), ("m = 4", four)] {
            let found = by_name(&outcomes[0], rule).percent();
            let most = most + tolerance(most, runs);
            assert!(found <= most, "{errors:?}, {rule}: {found} % for at most {most}");
        }
    }
}

#[test]
fn a_change_of_the_side_that_allows_it_is_no_regression() {
    let outcomes = outcomes(300, &[Scenario::CHANGE_OF_REGIME]);
    assert_eq!(by_name(&outcomes[0], "m = 3").percent(), 0.0);
    assert_eq!(by_name(&outcomes[0], "m = 2").percent(), 0.0);
}

/// Rollbacks, the median minute to a minute, and the cost to a tenth (or one request).
#[test]
fn regressions_are_found_when_the_table_says() {
    let runs = 300;
    for (baseline, requests, times, percent, minute, excess) in [
        (0.001, 500.0, 20.0, 100.0, 11, 13.0),
        (0.001, 5_000.0, 5.0, 98.5, 13, 42.0),
        (0.01, 50.0, 5.0, 13.0, 18, 17.0),
        (0.01, 500.0, 2.0, 6.5, 18, 46.0),
        (0.01, 500.0, 5.0, 100.0, 9, 21.0),
        (0.01, 5_000.0, 5.0, 100.0, 3, 42.0),
    ] {
        let scenario = Scenario::new(Errors::Independent, baseline, requests, times);
        let outcomes = outcomes(runs, &[scenario]);
        assert_close(&outcomes[0], "m = 3", percent, runs);
        let found = by_name(&outcomes[0], "m = 3");
        let name = scenario.name();
        assert!(found.median().unwrap().abs_diff(minute) <= 1, "{name}: {:?}", found.median());
        let off = (found.excess() - excess).abs();
        assert!(off <= (0.1 * excess).max(1.0), "{name}: {} for {excess}", found.excess());
    }
}

#[test]
fn the_other_rules_do_what_their_rows_say() {
    let runs = 400;
    let of = |baseline, requests, times| {
        let scenario = Scenario::new(Errors::Independent, baseline, requests, times);
        outcomes(runs, &[scenario]).remove(0)
    };
    let healthy = of(0.01, 500.0, 1.0);
    assert_close(&healthy, "z every minute", 30.5, runs);
    assert_close(&healthy, "> 5 % once", 26.9, runs);
    assert_close(&healthy, "Kayenta", 0.8, runs);
    let healthy = of(0.01, 50.0, 1.0);
    assert_close(&healthy, "> 5 % once", 72.5, runs);
    assert_close(&healthy, "z every minute", 27.2, runs);
    let bad = of(0.01, 500.0, 5.0);
    assert_close(&bad, "5 checks > 5 %", 99.8, runs);
    assert_close(&bad, "5 in a row", 22.6, runs);
    assert_close(&bad, "Kayenta", 93.2, runs);
    let bad = of(0.001, 5_000.0, 5.0);
    assert_eq!(by_name(&bad, "> 5 % once").percent(), 0.0);
    assert_close(&bad, "Kayenta", 90.8, runs);
}

#[test]
fn the_ceiling_adds_little_and_acts_at_once() {
    let [.., sixty] = gross::added(&effort(300), "bursts", Errors::Bursts)[..] else {
        panic!("no ceiling");
    };
    // 0.3 points is one release of 300.
    assert!(sixty <= 0.3 + 1e-9 + tolerance(0.3, 300), "{sixty} points");
    let caught = |failing| gross::caught(&effort(2_000), failing, 600);
    assert!((caught(0.6) - 51.0).abs() < 5.0, "{}", caught(0.6));
    assert!(caught(0.8) > 99.0 && caught(1.0) > 99.0);
}

/// Two versions that are equally bad are on the same side of the limit.
#[test]
fn the_limit_is_no_coin_flip_and_finds_what_is_worse() {
    let runs = 300;
    let of = |errors, bad, requests, times| {
        let scenario = Scenario::new(errors, bad, requests, times);
        let rules = limit::rules();
        let column = |name: &str| rules.iter().position(|rule| rule.name.contains(name)).unwrap();
        let (before, now) = (column("above stable"), column("as it is"));
        let outcomes = simulate(&effort(runs), &[scenario], &rules, |_, _| {}).remove(0);
        (outcomes[before].percent(), outcomes[now].percent())
    };
    let (before, now) = of(Errors::Independent, 0.1, 500.0, 1.0);
    assert!(before > 50.0 && now < 1.0, "{before} % before, {now} % now");
    let (before, now) = of(Errors::Independent, 0.3, 500.0, 1.0 / 3.0);
    assert!(before > 99.0 && now == 0.0, "{before} % before, {now} % now");
    let (_, now) = of(Errors::Independent, 0.01, 500.0, 6.0);
    assert!(now > 99.0, "{now} %");
}

/// One more writing of the test, from which the other shapes are made, decides like the product.
#[test]
fn the_candidate_with_every_default_is_the_product() {
    let parameters = parameters(3).unwrap();
    let mut acted = 0;
    for (_, errors) in DISPERSIONS {
        for seed in 0..60 {
            for times in [1.0, 5.0] {
                let release = Scenario::new(errors, 0.01, 1_000.0, times).release(seed);
                let product = sequential(&parameters, &release);
                assert_eq!(Candidate::default().acts(&release), product, "{errors:?} {seed}");
                acted += u32::from(product.is_some());
            }
        }
    }
    assert!(acted > 100, "{acted} say nothing");
}

/// What the smaller increment in every cell is for.
#[test]
fn two_separate_sums_are_not_fair_where_the_side_changes() {
    const GRID: [f64; 5] = [1.5, 2.5, 5.0, 15.0, 50.0];
    let sums = Candidate {
        alternatives: Alternatives::TwoSums(&GRID),
        // As good as no tempering.
        prior: 1e9,
        ..Candidate::default()
    };
    let rules = [Rule::new("two sums", move |release| sums.acts(release))];
    let found = simulate(&effort(200), &[Scenario::CHANGE_OF_REGIME], &rules, |_, _| {});
    // Nothing is wrong with these releases; the cap alone keeps it from half of them.
    assert!(found[0][0].percent() > 1.0, "{} %", found[0][0].percent());
}

#[test]
fn healthy_releases_with_traffic_are_promoted_early() {
    let minutes = |baseline, requests| {
        let scenario = [Scenario::new(Errors::Independent, baseline, requests, 1.0)];
        let [planned, all_cells, _] = hastened::outcomes(&effort(100), &scenario);
        assert_eq!(planned[0][0].median_full(), Some(20));
        all_cells[0][0].median_full().unwrap()
    };
    assert!(minutes(0.001, 5_000.0).abs_diff(8) <= 1);
    assert!(minutes(0.001, 500.0).abs_diff(14) <= 1);
    assert!(minutes(0.01, 5_000.0).abs_diff(11) <= 1);
    assert_eq!(minutes(0.01, 50.0), 20);
}

#[test]
fn the_result_does_not_depend_on_the_threads() {
    let scenarios = grid(Errors::Bursts, &[1.0]);
    let with = |threads| {
        let effort = Effort { runs: 250, seed: 9, threads };
        simulate(&effort, &scenarios[..2], &rules::all(), |_, _| {})
    };
    assert_eq!(with(1), with(3));
}
