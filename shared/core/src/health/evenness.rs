//! Whether a service's errors come alone, so that two periods against the canary are enough.

use super::sequential::Tally;

/// Fewest pairs of periods with bad requests by which evenness can be known: without errors there is
/// nothing to see it by.
const FEWEST_PAIRS: usize = 30;

/// Highest mean of the squared deviations that chance explains; it is about 1 where requests fail
/// independently.
const HIGHEST_MEAN: f64 = 1.4;

/// A single deviation from here on is a burst: four standard deviations.
const BURST: f64 = 16.0;

/// Whether the periods of the version that serves, in order, show neither unevenness nor a single
/// burst, and had enough bad requests to show it. Of every two periods the bad requests are split by
/// their requests: `(b1 - b n1 / n)^2 / (b (n1 / n) (n2 / n))`, at least a quarter below. What changes
/// slowly does not count as uneven. Simulated in docs/health-simulations.md.
pub fn is_even(periods: &[Tally]) -> bool {
    let squares: Vec<f64> = neighbours(periods).collect();
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    squares.len() >= FEWEST_PAIRS
        && mean < HIGHEST_MEAN
        && squares.iter().all(|square| *square < BURST)
}

/// The squared deviation of every two periods, in binomial variances; those without bad requests
/// say nothing.
fn neighbours(periods: &[Tally]) -> impl Iterator<Item = f64> {
    periods.chunks_exact(2).filter_map(|two| match two {
        [one, other] => squared_deviation(*one, *other),
        _ => None,
    })
}

fn squared_deviation(one: Tally, other: Tally) -> Option<f64> {
    let all = one.events as f64 + other.events as f64;
    let (requests, others) = (one.requests as f64, other.requests as f64);
    if all <= 0.0 || requests <= 0.0 || others <= 0.0 {
        return None;
    }
    let share = requests / (requests + others);
    let variance = (all * share * (1.0 - share)).max(0.25);
    Some((one.events as f64 - all * share).powi(2) / variance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Three hours of minutes with as many bad requests as given.
    fn hours(events: impl Fn(u64) -> u64) -> Vec<Tally> {
        (0..180).map(|minute| Tally { requests: 1_000, events: events(minute) }).collect()
    }

    #[test]
    fn errors_that_come_alone_are_even_and_those_in_bursts_are_not() {
        assert!(is_even(&hours(|minute| 8 + 4 * (minute % 2))));
        assert!(!is_even(&hours(|minute| 40 * (minute % 2))));
        // One burst in three hours is one.
        assert!(!is_even(&hours(|minute| if minute == 77 { 60 } else { 8 })));
        // A slow rise is none.
        assert!(is_even(&hours(|minute| minute)));
    }

    #[test]
    fn what_hardly_ever_fails_and_what_is_not_known_is_not_even() {
        assert!(!is_even(&[]));
        assert!(!is_even(&hours(|_| 0)));
        assert!(!is_even(&hours(|minute| u64::from(minute < 40))));
        assert!(!is_even(&hours(|_| 8)[..59]));
    }

    proptest! {
        #[test]
        fn any_counts_are_read_and_one_burst_among_them_is_never_even(
            counts in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..200),
        ) {
            let tallies = counts.into_iter().map(|(requests, events)| Tally { requests, events });
            let burst = [50, 0].map(|events| Tally { requests: 1_000, events });
            let with_burst: Vec<_> = burst.into_iter().chain(tallies).collect();
            prop_assert!(!is_even(&with_burst));
        }
    }
}
