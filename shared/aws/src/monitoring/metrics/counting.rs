//! Which metrics are asked of a target group, and what they add up to.

use glidepath_core::health::SlotRequests;
use glidepath_core::plan::BadRequestsAre;
use glidepath_core::time::Span;
use glidepath_engine::ports::{MetricsQuery, PortError, PortResult};

use super::answers::OPERATION;

/// Most metrics of a group.
const MOST: usize = 8;

/// What was measured in one period of one group, in the order asked; `None` where there is no point.
pub(super) type Values = [Option<f64>; MOST];

/// One metric of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) metric: &'static str,
    pub(super) statistic: String,
}

/// What is asked: requests, connection errors, what else bad requests are counted by, then what slow
/// ones are.
pub(super) fn asked(bad_are: BadRequestsAre, slower_than: Option<Span>) -> Vec<Asked> {
    let sum = |metric| Asked { metric, statistic: "Sum".to_owned() };
    let counts: &[&'static str] = match bad_are {
        BadRequestsAre::NotAnsweredWell => {
            &["HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count", "HTTPCode_Target_4XX_Count"]
        }
        BadRequestsAre::TargetErrors => &["HTTPCode_Target_5XX_Count"],
    };
    let mut asked: Vec<_> = ["RequestCount", "TargetConnectionErrorCount"]
        .iter()
        .chain(counts)
        .copied()
        .map(sum)
        .collect();
    if let Some(slower_than) = slower_than {
        let seconds = slower_than.as_millis() as f64 / 1000.0;
        // A trimmed count is what is wanted; the percentile rank says the same in percent of the
        // samples, for where CloudWatch has no trimmed count of this metric.
        let statistics =
            [format!("TC({seconds}:)"), format!("PR({seconds}:)"), "SampleCount".to_owned()];
        let time = |statistic| Asked { metric: "TargetResponseTime", statistic };
        asked.extend(statistics.map(time));
    }
    asked
}

/// What one period of a group says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) requests: SlotRequests,
    /// Answers that are more than the requests of the period: those of requests before it.
    late: u64,
}

/// Requests of a group's periods, the oldest first, once late answers are with their requests.
///
/// Whether the load balancer counts a request when it arrives or when it is answered is not known. If
/// it is when it arrives, answers on their way at the end of a period are missing in it and too many in
/// a later one; without this a slow service would have bad requests that nobody ever got. If not, no
/// answer is late.
pub(super) fn put_together(mut counted: Vec<(i64, Counted)>) -> Vec<(i64, SlotRequests)> {
    for place in 0..counted.len() {
        let (earlier, this) = counted.split_at_mut(place);
        let mut late = this.first().map_or(0, |(_, counted)| counted.late);
        for (_, Counted { requests, .. }) in earlier.iter_mut().rev() {
            if late == 0 {
                break;
            }
            let were_not_bad = late.min(requests.bad);
            requests.bad -= were_not_bad;
            late -= were_not_bad;
        }
    }
    counted.into_iter().map(|(second, counted)| (second, counted.requests)).collect()
}

/// What was measured, by the names of what [`asked`] asks for.
struct Measured {
    requests: Option<f64>,
    unconnected: Option<f64>,
    /// What else bad requests are counted by.
    counts: [Option<f64>; 3],
    slow: Slow,
}

/// Slow answers, by whichever statistic there is.
struct Slow {
    trimmed: Option<f64>,
    rank: Option<f64>,
    samples: Option<f64>,
}

impl Measured {
    /// In the order of [`asked`].
    fn of(bad_are: BadRequestsAre, values: &Values) -> Self {
        match bad_are {
            BadRequestsAre::NotAnsweredWell => {
                let [requests, unconnected, well, moved, refused, trimmed, rank, samples] = *values;
                let (counts, slow) = ([well, moved, refused], Slow { trimmed, rank, samples });
                Self { requests, unconnected, counts, slow }
            }
            BadRequestsAre::TargetErrors => {
                let [requests, unconnected, errors, trimmed, rank, samples, _, _] = *values;
                let (counts, slow) = ([errors, None, None], Slow { trimmed, rank, samples });
                Self { requests, unconnected, counts, slow }
            }
        }
    }
}

/// A sum of counts: whole and never negative. One that is absent is zero.
fn whole(value: Option<f64>) -> u64 {
    value.map_or(0, |value| value.round() as u64)
}

/// Requests of a period, with the bad and slow ones; `None` where the group had none. Counters that
/// are absent are zero only where there were requests; without them the period says nothing.
pub(super) fn count(query: &MetricsQuery, values: &Values) -> PortResult<Option<Counted>> {
    let Measured { requests, unconnected, counts, slow } = Measured::of(query.bad_are, values);
    if requests.is_none() {
        return Ok(None);
    }
    let all = whole(requests);
    let counted: u64 = counts.into_iter().map(whole).sum();
    let (bad, late) = match query.bad_are {
        BadRequestsAre::NotAnsweredWell => {
            (all.saturating_sub(counted), counted.saturating_sub(all))
        }
        // Answers may be counted in a later period than their requests: never more than there were.
        BadRequestsAre::TargetErrors => (counted.saturating_add(whole(unconnected)).min(all), 0),
    };
    let slow = match query.slower_than {
        Some(_) => Some(slow.count()?.min(all)),
        None => None,
    };
    Ok(Some(Counted { requests: SlotRequests { all, bad, slow }, late }))
}

/// Connections of a period that failed.
pub(super) fn connection_errors(values: &Values) -> u64 {
    let [_, unconnected, ..] = *values;
    whole(unconnected)
}

impl Slow {
    /// From the trimmed count, or from the percentile rank and the number of samples.
    fn count(&self) -> PortResult<u64> {
        match (self.trimmed, self.rank, self.samples) {
            (Some(trimmed), _, _) => Ok(trimmed.round() as u64),
            (None, Some(rank), Some(samples)) => Ok((rank / 100.0 * samples).round() as u64),
            // Nothing was answered in this period.
            (None, _, None) => Ok(0),
            (None, None, Some(_)) => Err(PortError::Refused {
                operation: OPERATION,
                detail: "TargetResponseTime has samples, but neither a trimmed count nor a \
                         percentile rank of them"
                    .to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::time::Timestamp;

    use super::*;

    fn query(bad_are: BadRequestsAre, slower_than: Option<Span>) -> MetricsQuery {
        let now = Timestamp::from_millis(0);
        let (routes, shifts, checks) = (vec![], vec![], vec![]);
        MetricsQuery { routes, shifts, bad_are, slower_than, checks, checks_since: now, now }
    }

    fn counted(query: &MetricsQuery, values: &[Option<f64>]) -> Option<SlotRequests> {
        let mut all = Values::default();
        all[..values.len()].copy_from_slice(values);
        count(query, &all).unwrap().map(|counted| counted.requests)
    }

    fn requests(all: u64, bad: u64, slow: Option<u64>) -> Option<SlotRequests> {
        Some(SlotRequests { all, bad, slow })
    }

    #[test]
    fn absent_counters_are_zero_only_where_there_were_requests() {
        let query = query(BadRequestsAre::NotAnsweredWell, None);
        let counted = |values: [Option<f64>; 5]| counted(&query, &values);
        assert_eq!(counted([Some(10.0), None, Some(7.0), None, Some(1.0)]), requests(10, 2, None));
        assert_eq!(counted([Some(10.0), None, None, None, None]), requests(10, 10, None));
        assert_eq!(counted([None, Some(1.0), Some(7.0), None, None]), None);
        assert_eq!(counted([Some(5.0), None, Some(6.0), None, None]), requests(5, 0, None));
        // Those that could not connect are among those that were not answered.
        assert_eq!(counted([Some(9.0), Some(2.0), Some(7.0), None, None]), requests(9, 2, None));
    }

    #[test]
    fn a_slow_service_has_no_bad_requests_whenever_the_load_balancer_counts_them() {
        let query = query(BadRequestsAre::NotAnsweredWell, None);
        let counted = |requests: f64, answered: f64| {
            let mut values = Values::default();
            values[0] = Some(requests);
            values[2] = Some(answered);
            count(&query, &values).unwrap().unwrap()
        };
        let bad = |periods: &[(f64, f64)]| -> Vec<u64> {
            let counts = periods.iter().map(|(requests, answered)| counted(*requests, *answered));
            let requests = put_together((0..).zip(counts).collect());
            requests.iter().map(|(_, requests)| requests.bad).collect()
        };
        // Counted as they arrive: 5 are on their way at the end of each period, 8 of a busier one.
        assert_eq!(bad(&[(100.0, 95.0), (160.0, 157.0), (100.0, 103.0), (0.0, 5.0)]), [0, 0, 0, 0]);
        // Really bad ones stay.
        assert_eq!(bad(&[(100.0, 85.0), (100.0, 90.0), (10.0, 15.0)]), [15, 5, 0]);
        // Counted as they are answered, no answer is late.
        assert_eq!(bad(&[(95.0, 95.0), (157.0, 150.0), (103.0, 103.0)]), [0, 7, 0]);
        // Whose requests came before the first period is nobody's bad request.
        assert_eq!(bad(&[(10.0, 20.0), (10.0, 7.0)]), [0, 3]);
    }

    #[test]
    fn bad_requests_can_be_what_targets_did() {
        let query = query(BadRequestsAre::TargetErrors, None);
        assert_eq!(asked(query.bad_are, None).len(), 3);
        assert_eq!(counted(&query, &[Some(10.0), Some(1.0), Some(2.0)]), requests(10, 3, None));
        assert_eq!(counted(&query, &[Some(10.0), None, None]), requests(10, 0, None));
        assert_eq!(counted(&query, &[Some(2.0), Some(9.0), None]), requests(2, 2, None));
    }

    #[test]
    fn slow_requests_are_counted_whichever_statistic_there_is() {
        let query = query(BadRequestsAre::TargetErrors, Some(Span::from_millis(1_500)));
        let statistics: Vec<_> = asked(query.bad_are, query.slower_than)
            .into_iter()
            .map(|asked| asked.statistic)
            .collect();
        assert_eq!(statistics, ["Sum", "Sum", "Sum", "TC(1.5:)", "PR(1.5:)", "SampleCount"]);
        let slow = |trimmed, rank, samples| {
            counted(&query, &[Some(50.0), None, None, trimmed, rank, samples])
        };
        assert_eq!(slow(Some(4.0), Some(90.0), Some(40.0)), requests(50, 0, Some(4)));
        assert_eq!(slow(None, Some(25.0), Some(40.0)), requests(50, 0, Some(10)));
        assert_eq!(slow(None, None, None), requests(50, 0, Some(0)));
        let mut values = Values::default();
        values[0] = Some(50.0);
        values[5] = Some(40.0);
        assert!(
            count(&query, &values).unwrap_err().to_string().contains("neither a trimmed count")
        );
    }
}
