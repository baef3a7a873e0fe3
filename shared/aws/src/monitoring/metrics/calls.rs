//! Which checks are asked for together, and from when on.
//!
//! CloudWatch counts the periods of a call from its start and not from midnight: a call must start
//! where a period of every one of its checks does. It keeps what is shorter than a minute for three
//! hours, gives so many points and no more where an expression is computed, and takes one query of
//! Metrics Insights a call.

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use glidepath_core::plan::{Measure, MetricStatistic};
use glidepath_core::time::{Span, Timestamp};

use super::answers::Window;

/// Most queries that one call takes.
pub(super) const QUERIES_PER_CALL: usize = 500;

/// Newest periods of a check that are asked for: twice the most points that it may look at. Even as
/// many checks as there may be, all of them with as many metrics as they may have, then fit into one
/// call, and what is shorter than a minute is never older than CloudWatch keeps it.
const MOST_PERIODS: u64 = 200;

/// Most points that one call gives. There is no next page where an expression is computed. Metrics
/// that are only computed with are counted too: nobody says that they are not.
const POINTS_PER_CALL: u64 = 100_800;

/// A call that starts earlier gets nothing of periods that are no whole minutes. A minute less than
/// the three hours, because clocks differ.
const SECONDS_KEPT: Span = Span::from_secs(3 * 3_600 - 60);

/// A call that starts earlier gets only periods of five minutes. Less a minute, too.
const MINUTES_KEPT: Span = Span::from_secs(15 * 86_400 - 60);

/// A minute.
pub(super) const MINUTE: Span = Span::from_secs(60);

/// One series that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'query> {
    /// Of its query.
    pub(super) id: String,
    pub(super) measure: &'query Measure,
    pub(super) period: Span,
}

/// One call of GetMetricData.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// The ids of the series that it answers.
    pub(super) ids: Vec<String>,
    pub(super) queries: Vec<MetricDataQuery>,
    /// From a multiple of every period on.
    pub(super) window: Window,
}

/// Where the first period begins that is asked for: one that lies within the window as a whole.
/// `None` while there is none.
pub(super) fn first_period(period: Span, window: Window) -> Option<Timestamp> {
    let oldest = window.until - period.times(MOST_PERIODS);
    let length = millis(period);
    let from = window.from.max(oldest).as_millis();
    let from = from.saturating_add(length - 1).div_euclid(length).saturating_mul(length);
    let from = Timestamp::from_millis(from);
    (from + period <= window.until).then_some(from)
}

/// As few calls as CloudWatch allows. A series without a complete period is in none.
pub(super) fn planned(wanted: &[Wanted<'_>], window: Window, now: Timestamp) -> Vec<Call> {
    let mut together: Vec<Group<'_>> = Vec::new();
    let mut alone = Vec::new();
    for series in wanted {
        let Some(from) = first_period(series.period, window) else { continue };
        let one = Group { series: vec![series], grid: millis(series.period), from };
        if series.measure.is_insights() {
            alone.push(one);
            continue;
        }
        let joined = together.iter_mut().find_map(|group| {
            let joined = group.with(&one);
            joined.may_be_asked(window.until, now).then_some((group, joined))
        });
        match joined {
            Some((group, joined)) => *group = joined,
            None => together.push(one),
        }
    }
    together.into_iter().chain(alone).map(|group| group.call(window.until)).collect()
}

/// Series that are asked for in one call.
#[derive(Clone, Debug)]
struct Group<'query> {
    series: Vec<&'query Wanted<'query>>,
    /// The least common multiple of their periods, in milliseconds.
    grid: i64,
    /// Where the earliest of their first periods begins.
    from: Timestamp,
}

impl Group<'_> {
    fn with(&self, other: &Self) -> Self {
        Self {
            series: self.series.iter().chain(&other.series).copied().collect(),
            grid: least_common_multiple(self.grid, other.grid),
            from: self.from.min(other.from),
        }
    }

    fn start(&self) -> Timestamp {
        Timestamp::from_millis(self.from.as_millis().div_euclid(self.grid) * self.grid)
    }

    fn may_be_asked(&self, until: Timestamp, now: Timestamp) -> bool {
        let start = self.start();
        let kept = if self.has_only_minutes() { MINUTES_KEPT } else { SECONDS_KEPT };
        let mut queries = 0_usize;
        let mut points = 0_u64;
        for series in &self.series {
            let periods = until.since(start).as_millis().div_ceil(series.period.as_millis().max(1));
            let of = series.measure.queries();
            queries += of;
            points = points.saturating_add(periods.saturating_mul(of as u64));
        }
        start >= now - kept && queries <= QUERIES_PER_CALL && points <= POINTS_PER_CALL
    }

    /// Whether every period is a number of whole minutes.
    fn has_only_minutes(&self) -> bool {
        let minute = MINUTE.as_millis();
        self.series.iter().all(|series| series.period.as_millis().is_multiple_of(minute))
    }

    fn call(self, until: Timestamp) -> Call {
        let mut queries = Vec::new();
        for series in &self.series {
            add(&mut queries, series);
        }
        let ids = self.series.iter().map(|series| series.id.clone()).collect();
        Call { ids, queries, window: Window { from: self.start(), until } }
    }
}

fn millis(period: Span) -> i64 {
    i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn least_common_multiple(one: i64, other: i64) -> i64 {
    let (mut divisor, mut rest) = (one, other);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (one / divisor).saturating_mul(other)
}

/// The queries of a series: of its metrics, then of its expression.
fn add(queries: &mut Vec<MetricDataQuery>, series: &Wanted<'_>) {
    let id = &series.id;
    let seconds = i32::try_from(series.period.as_millis() / 1000).unwrap_or(i32::MAX);
    let query = MetricDataQuery::builder();
    match series.measure.prefixed(&format!("{id}_")) {
        Measure::Metric(metric) => {
            queries.push(query.id(id).metric_stat(statistic(&metric, seconds)).build());
        }
        Measure::Expression { expression, metrics } => {
            for (id, metric) in &metrics {
                let query = MetricDataQuery::builder().id(id).return_data(false);
                queries.push(query.metric_stat(statistic(metric, seconds)).build());
            }
            queries.push(query.id(id).expression(expression).period(seconds).build());
        }
    }
}

fn statistic(metric: &MetricStatistic, seconds: i32) -> MetricStat {
    let dimension =
        |(name, value): (&String, &String)| Dimension::builder().name(name).value(value).build();
    let of = Metric::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(metric.dimensions.iter().map(dimension).collect()))
        .build();
    MetricStat::builder().metric(of).period(seconds).stat(&metric.statistic).build()
}

#[cfg(test)]
mod tests;
