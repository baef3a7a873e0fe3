use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Binomial, Distribution};

use super::*;

fn parameters(terms: Terms, stages: usize, metrics: usize) -> Parameters {
    Parameters::new(terms, stages, metrics).unwrap()
}

fn pair(canary: u64, canary_bad: u64, stable: u64, stable_bad: u64) -> Pair {
    Pair {
        canary: Tally { requests: canary, events: canary_bad },
        stable: Tally { requests: stable, events: stable_bad },
    }
}

/// One metric, each cell with its stage.
fn judged(parameters: &Parameters, tempering: Tempering, cells: &[(usize, Pair)]) -> Vec<Point> {
    let metrics: Vec<[Option<Pair>; 1]> = cells.iter().map(|(_, pair)| [Some(*pair)]).collect();
    let observations: Vec<_> = cells
        .iter()
        .zip(&metrics)
        .map(|((stage, _), metrics)| Observation { stage: *stage, metrics })
        .collect();
    assess(parameters, tempering, &observations)
}

/// The example worked by hand for two stages, with everything at its default.
#[test]
fn the_worked_example_is_reproduced_to_four_decimals() {
    let cells = [
        (0, pair(25, 0, 475, 2)),
        (0, pair(27, 0, 480, 1)),
        (0, pair(22, 1, 490, 0)),
        (0, pair(26, 0, 470, 3)),
        (0, pair(25, 0, 481, 1)),
        (1, pair(52, 1, 455, 1)),
        (1, pair(49, 3, 448, 2)),
        (1, pair(55, 4, 460, 0)),
        (1, pair(47, 3, 452, 1)),
        (1, pair(51, 5, 449, 2)),
    ];
    let points = judged(&parameters(Terms::default(), 2, 1), Tempering::Adaptive, &cells);
    let log10: Vec<String> = points.iter().map(|point| format!("{:.4}", point.log10_e())).collect();
    assert_eq!(
        log10,
        [
            "-0.1507", "-0.1842", "-0.0747", "-0.1431", "-0.1648", "-0.0222", "0.9277", "2.1233",
            "3.2177", "4.4488"
        ]
    );
    let witnesses: Vec<u32> = points.iter().map(|point| point.witnesses).collect();
    assert_eq!(witnesses, [0, 0, 1, 1, 1, 2, 3, 4, 5, 6]);
    assert_eq!(points.iter().position(|point| point.fails), Some(7));
}

/// Any cell, extremes included.
fn any_pair(most: u64) -> impl Strategy<Value = Pair> {
    let requests = || prop_oneof![Just(0), Just(1), 0..50_u64, 0..=most];
    let tally = requests().prop_flat_map(|requests| {
        let events = prop_oneof![Just(0), Just(requests), 0..=requests];
        events.prop_map(move |events| Tally { requests, events })
    });
    let tally = tally.boxed();
    (tally.clone(), tally).prop_map(|(canary, stable)| Pair { canary, stable })
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (1.0..20.0_f64, 1e-6..0.5_f64, 1e-6..0.5_f64, 1_u32..10)
        .prop_map(|(ratio, floor, alpha, witnesses)| Terms { ratio, floor, alpha, witnesses })
}

proptest! {
    #[test]
    fn e_is_finite_whatever_the_counts(
        terms in any_terms(),
        stages in 1_usize..5,
        pairs in prop::collection::vec((any_pair(1_000_000_000), any_pair(1_000_000_000)), 0..40),
        absent: u64,
    ) {
        let metrics: Vec<[Option<Pair>; 2]> = pairs
            .iter()
            .enumerate()
            .map(|(index, (bad, slow))| {
                [Some(*bad), (absent & (1 << index) == 0).then_some(*slow)]
            })
            .collect();
        let cells: Vec<_> = metrics
            .iter()
            .enumerate()
            .map(|(index, metrics)| Observation { stage: index / 7, metrics })
            .collect();
        let parameters = parameters(terms, stages, 2);
        let points = assess(&parameters, Tempering::Adaptive, &cells);
        prop_assert_eq!(points.len(), cells.len());
        for point in &points {
            prop_assert!(point.ln_e.is_finite());
            // Not below what the stages and metrics that say nothing leave, not above all caps.
            prop_assert!(point.ln_e <= parameters.cap() * cells.len() as f64 + 1e-9);
        }
        let pairs: Vec<_> = metrics.iter().filter_map(|[bad, _]| *bad).collect();
        let ratio = rate_ratio(&parameters, Tempering::Adaptive, &pairs);
        prop_assert!(ratio.lower.is_finite() && ratio.lower >= 0.0);
        prop_assert!(ratio.upper.is_none_or(f64::is_finite));
        prop_assert!(ratio.estimate.is_none_or(f64::is_finite));
    }

    /// Nor do any two, with the default of three witnesses.
    #[test]
    fn one_cell_alone_never_fails_a_release(
        terms in any_terms(),
        before in 0_usize..10,
        loud in prop::collection::vec(any_pair(1_000_000_000), 1..9),
        after in 0_usize..10,
    ) {
        let quiet = (0, pair(100, 0, 900, 0));
        let silent = (0, pair(0, 0, 0, 0));
        let few = loud.iter().take(terms.witnesses.saturating_sub(1) as usize);
        let cells: Vec<_> = std::iter::repeat_n(quiet, before)
            .chain(few.map(|pair| (0, *pair)))
            .chain(std::iter::repeat_n(silent, after))
            .collect();
        let points = judged(&parameters(terms, 1, 1), Tempering::Adaptive, &cells);
        prop_assert!(points.iter().all(|point| !point.fails));
    }

    #[test]
    fn without_tempering_each_added_bad_canary_request_is_evidence(
        cells in prop::collection::vec(any_pair(10_000), 1..15),
        which: prop::sample::Index,
    ) {
        let which = which.index(cells.len());
        let mut worse = cells.clone();
        let canary = &mut worse[which].canary;
        prop_assume!(canary.events < canary.requests);
        canary.events += 1;
        let parameters = parameters(Terms::default(), 2, 1);
        let e = |cells: &[Pair]| {
            let cells: Vec<_> = cells.iter().enumerate().map(|(i, pair)| (i / 8, *pair)).collect();
            judged(&parameters, Tempering::Off, &cells).last().map(|point| point.ln_e)
        };
        prop_assert!(e(&worse) >= e(&cells));
    }

    #[test]
    fn without_tempering_the_order_within_a_stage_does_not_matter(
        cells in prop::collection::vec(any_pair(10_000), 1..10).prop_flat_map(|cells| {
            (Just(cells.clone()), Just(cells).prop_shuffle())
        }),
        later in prop::collection::vec(any_pair(10_000), 0..5),
    ) {
        let parameters = parameters(Terms::default(), 2, 1);
        let e = |cells: &[Pair]| {
            let first = cells.iter().map(|pair| (0, *pair));
            let cells: Vec<_> = first.chain(later.iter().map(|pair| (1, *pair))).collect();
            judged(&parameters, Tempering::Off, &cells).last().unwrap().ln_e
        };
        let (one, other) = (e(&cells.0), e(&cells.1));
        prop_assert!((one - other).abs() < 1e-6 * one.abs().max(1.0), "{one} {other}");
    }

    /// Late data are read again and judged anew: nothing is left from an earlier look.
    #[test]
    fn a_look_says_what_the_last_of_many_looks_says(
        cells in prop::collection::vec(any_pair(100_000), 1..30),
    ) {
        let cells: Vec<_> = cells.iter().enumerate().map(|(i, pair)| (i / 10, *pair)).collect();
        let parameters = parameters(Terms::default(), 3, 1);
        let all = judged(&parameters, Tempering::Adaptive, &cells);
        for until in 1..=cells.len() {
            let look = judged(&parameters, Tempering::Adaptive, &cells[..until]);
            prop_assert_eq!(look.last(), all.get(until - 1));
        }
    }
}

/// The expectation of what one cell multiplies E by, over every outcome, by pair.
fn expected_factors(parameters: &Parameters, canary: (u64, f64), stable: (u64, f64)) -> Vec<f64> {
    let outcomes = |(requests, bad): (u64, f64)| {
        let mut chance = (1.0 - bad).powi(i32::try_from(requests).unwrap());
        (0..=requests).map(move |events| {
            let outcome = (events, chance);
            chance *= (requests - events) as f64 / (events + 1) as f64 * bad / (1.0 - bad);
            outcome
        })
    };
    let mut factors = vec![0.0; PAIRS];
    for (canary_bad, canary_chance) in outcomes(canary) {
        for (stable_bad, stable_chance) in outcomes(stable) {
            let cell = pair(canary.0, canary_bad, stable.0, stable_bad);
            let increments = Increments::of(parameters, &Sums::from(&cell), 1.0);
            for (factor, increment) in factors.iter_mut().zip(increments.values()) {
                *factor += canary_chance * stable_chance * increment.exp();
            }
        }
    }
    factors
}

/// Not by simulation: no cell of a release within its bounds raises E in expectation, whatever
/// allows it, and E is as sharp as it may be (the factors of the likeliest pairs are nearly 1).
#[test]
fn the_expected_factor_of_a_cell_is_at_most_one() {
    let one_witness = Terms { witnesses: 1, ..Terms::default() };
    for requests in [(5, 5), (10, 90), (40, 20), (100, 100)] {
        for bad in [0.002, 0.02, 0.2] {
            let exact = parameters(Terms { ratio: 1.0, floor: 1e-9, ..one_witness }, 1, 1);
            let factors = expected_factors(&exact, (requests.0, bad), (requests.1, bad));
            let largest = factors.iter().copied().fold(0.0, f64::max);
            assert!(largest <= 1.0 + 1e-9, "{requests:?} {bad}: {factors:?}");
            assert!(largest > 0.85, "{requests:?} {bad}: {factors:?}");

            let floor = parameters(Terms { floor: bad, ..one_witness }, 1, 1);
            let factors = expected_factors(&floor, (requests.0, bad), (requests.1, bad / 100.0));
            let largest = factors.iter().copied().fold(0.0, f64::max);
            assert!(largest <= 1.0 + 1e-9, "{requests:?} {bad}: {factors:?}");
        }
    }
}

/// How a canary and stable are at one minute: requests and proportions.
type Minute = fn(u64, &mut SmallRng) -> ((u64, f64), (u64, f64));

/// The mean of E where a run stops, with its standard error, over many runs of 20 minutes.
fn mean_when_stopped(terms: Terms, runs: u32, minute: Minute) -> (f64, f64) {
    let parameters = parameters(terms, 2, 1);
    let mut random = SmallRng::seed_from_u64(7);
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..runs {
        let cells: Vec<_> = (0..20)
            .map(|index| {
                let ((canary, canary_bad), (stable, stable_bad)) = minute(index, &mut random);
                let draw = |requests, bad, random: &mut SmallRng| {
                    Binomial::new(requests, bad).unwrap().sample(random)
                };
                let canary_bad = draw(canary, canary_bad, &mut random);
                let stable_bad = draw(stable, stable_bad, &mut random);
                (index as usize / 10, pair(canary, canary_bad, stable, stable_bad))
            })
            .collect();
        let points = judged(&parameters, Tempering::Adaptive, &cells);
        // The worst stopping rule there is: at the first E that would roll back.
        let stopped = points.iter().find(|point| point.ln_e >= parameters.bound());
        let e = stopped.or(points.last()).unwrap().ln_e.exp();
        sum += e;
        squares += e * e;
    }
    let mean = sum / f64::from(runs);
    let variance = squares / f64::from(runs) - mean * mean;
    (mean, (variance / f64::from(runs)).sqrt())
}

/// By simulation, within four standard errors: E is fair where the canary is exactly as bad as is
/// allowed. `1.0` would be passed by a test that peeks, compares with the nominal weight, or adds up
/// both sides.
#[test]
fn the_mean_of_e_is_at_most_one_at_any_stopping_time() {
    let exact = Terms { ratio: 1.0, floor: 1e-9, ..Terms::default() };
    let (mean, error) = mean_when_stopped(exact, 20_000, |_, _| ((200, 0.02), (800, 0.02)));
    assert!(mean <= 1.0 + 4.0 * error, "as good as stable: {mean} +- {error}");

    let by_ratio = Terms { floor: 1e-9, ..Terms::default() };
    let (mean, error) = mean_when_stopped(by_ratio, 20_000, |_, _| ((100, 0.0125), (900, 0.01)));
    assert!(mean <= 1.0 + 4.0 * error, "a quarter worse: {mean} +- {error}");

    let by_floor = Terms::default();
    let (mean, error) = mean_when_stopped(by_floor, 20_000, |_, _| ((500, 0.002), (4_500, 1e-5)));
    assert!(mean <= 1.0 + 4.0 * error, "at the floor: {mean} +- {error}");

    // The side that allows it changes in the middle: two separate sums are wrong 53 % of the time.
    let (mean, error) = mean_when_stopped(Terms::default(), 20_000, |minute, _| {
        let (canary, stable) = if minute < 15 { (0.0018, 0.0001) } else { (0.006, 0.006) };
        ((2_500, canary), (2_500, stable))
    });
    assert!(mean <= 1.0 + 4.0 * error, "a change of regime: {mean} +- {error}");

    // Weights and rates that wander, the same for both slots.
    let (mean, error) = mean_when_stopped(exact, 20_000, |_, random| {
        let (canary, rate) = (random.random_range(1..1_000), random.random_range(0.0..0.05));
        ((canary, rate), (1_000 - canary, rate))
    });
    assert!(mean <= 1.0 + 4.0 * error, "wandering: {mean} +- {error}");
}

/// The interval holds at every look of 400 runs, as often as `alpha` says.
#[test]
fn the_ratio_lies_in_its_interval_at_every_look() {
    let parameters = parameters(Terms { alpha: 0.05, ..Terms::default() }, 1, 1);
    let mut random = SmallRng::seed_from_u64(11);
    let mut missed = 0;
    for _ in 0..400 {
        let mut cells = Vec::new();
        let mut missed_here = false;
        for _ in 0..20 {
            let bad = |requests, proportion, random: &mut SmallRng| {
                Binomial::new(requests, proportion).unwrap().sample(random)
            };
            let (canary, stable) = (bad(500, 0.03, &mut random), bad(1_500, 0.01, &mut random));
            cells.push(pair(500, canary, 1_500, stable));
            let interval = rate_ratio(&parameters, Tempering::Adaptive, &cells);
            missed_here |= interval.lower > 3.0 || interval.upper.is_some_and(|upper| upper < 3.0);
        }
        missed += u32::from(missed_here);
        let last = rate_ratio(&parameters, Tempering::Adaptive, &cells);
        // Narrow enough to be read: something is ruled out on both sides.
        assert!(last.lower > 1.2 && last.upper.is_some_and(|upper| upper < 8.0), "{last:?}");
    }
    assert!(missed <= 20, "missed in {missed} of 400");
}

#[test]
fn without_evidence_nothing_is_ruled_out() {
    let parameters = parameters(Terms::default(), 1, 1);
    let ratio = rate_ratio(&parameters, Tempering::Adaptive, &[pair(0, 0, 100, 3)]);
    assert_eq!(ratio, RateRatio { estimate: None, lower: 0.0, upper: None });
}

#[test]
fn terms_that_make_no_test_are_refused() {
    let refused = |terms| Parameters::new(terms, 1, 1).unwrap_err().to_string();
    let terms = Terms::default();
    assert!(refused(Terms { ratio: 0.9, ..terms }).contains("ratio 0.9"));
    assert!(refused(Terms { ratio: f64::NAN, ..terms }).contains("ratio"));
    assert!(refused(Terms { floor: 0.0, ..terms }).contains("floor 0"));
    assert!(refused(Terms { alpha: f64::NAN, ..terms }).contains("alpha"));
    assert!(refused(Terms { witnesses: 0, ..terms }).contains("0 witnesses"));
}

#[test]
fn a_bake_of_days_is_judged_in_little_work() {
    let cells: Vec<_> = (0..20_000).map(|index| (0, pair(100, index % 3, 900, 9))).collect();
    let points = judged(&parameters(Terms::default(), 1, 1), Tempering::Adaptive, &cells);
    assert_eq!(points.len(), 20_000);
}
