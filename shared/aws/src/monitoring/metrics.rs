//! Everything that CloudWatch measures for a look: the requests in one GetMetricData call, which has
//! as many pages as it needs, and the user's own checks in calls of theirs.
//!
//! Every look reads everything since the first shift again: what CloudWatch got late is counted then.

mod answers;
mod calls;
mod checks;
mod counting;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use futures_util::future::join;
use glidepath_core::health::{
    ConnectionErrors, Errors, LoadBalancerErrors, Period, Periods, SlotRequests,
};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Metrics, MetricsQuery, PortError, PortResult};

use self::answers::{Answers, OPERATION, Window, ask};
use self::calls::QUERIES_PER_CALL;
use self::counting::{Asked, Values, asked, connection_errors, count, put_together};
use super::publication::Publication;

/// CloudWatch keeps periods of a minute for 15 days; a window that would reach further back begins
/// here instead.
const LONGEST_WINDOW: Span = Span::from_secs(14 * 86_400);

/// Periods before the first shift that the load balancer's own errors are held against.
const PERIODS_BEFORE: u32 = 30;

/// Newest periods in which the load balancer's own errors are looked at.
const NEWEST_PERIODS: u32 = 3;

/// A group with its load balancer, asked once however many routes it is on.
type Group<'query> = (&'query str, &'query TargetGroupArn);

/// Everything since the first shift; `None` while there is no complete period.
pub(super) async fn read(
    client: &Client,
    publication: Publication,
    query: &MetricsQuery,
) -> Option<Metrics> {
    let window = window(publication, query)?;
    let groups = groups(query);
    let load_balancers: Vec<_> =
        groups.iter().map(|(of, _)| *of).collect::<BTreeSet<_>>().into_iter().collect();
    let asked = asked(query.bad_are, query.slower_than);
    let mut queries = group_queries(publication, &groups, &asked);
    queries.extend(load_balancer_queries(publication, &load_balancers));
    let since = Window { from: query.checks_since.max(window.from), ..window };
    let (answers, checks) = join(
        counts(client, &queries, reach(publication, window)),
        checks::read(client, publication, &query.checks, since, query.now),
    )
    .await;
    let counted = answers
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|answers| requests(publication, query, &groups, &asked, window, answers));
    let (requests, connection_errors) = match counted {
        Ok((requests, errors)) => (Ok(requests), Ok(errors)),
        Err(error) => (Err(error.clone()), Err(error)),
    };
    let load_balancer_errors = answers.and_then(|answers| {
        let each = load_balancers.iter().enumerate();
        each.map(|(place, name)| load_balancer_errors(publication, place, name, window, &answers))
            .collect()
    });
    Some(Metrics { requests, connection_errors, load_balancer_errors, checks })
}

/// What is counted of groups and load balancers. No expression is among it, so CloudWatch gives as
/// many pages as it needs.
async fn counts(
    client: &Client,
    queries: &[MetricDataQuery],
    window: Window,
) -> PortResult<Answers> {
    match queries.len() {
        // Only checks are wanted.
        0 => Ok(Answers::default()),
        1..=QUERIES_PER_CALL => ask(client, queries, window).await,
        many => Err(PortError::Refused {
            operation: OPERATION,
            detail: format!("{many} metrics of target groups are too many for one look"),
        }),
    }
}

/// From the first period that begins after the shift to the newest that is complete.
fn window(publication: Publication, query: &MetricsQuery) -> Option<Window> {
    let period = i64::from(publication.period_seconds.max(1)) * 1000;
    let oldest = query.now - LONGEST_WINDOW;
    let from = query.shifts.first()?.at.max(oldest).as_millis();
    let from = from.saturating_add(period - 1).div_euclid(period) * period;
    let until = (query.now - publication.lag).as_millis().div_euclid(period) * period;
    let (from, until) = (Timestamp::from_millis(from), Timestamp::from_millis(until));
    (from < until).then_some(Window { from, until })
}

/// The window with what is looked at before the shift; the period of the shift lies between.
fn reach(publication: Publication, window: Window) -> Window {
    let before = publication.period().times(u64::from(PERIODS_BEFORE) + 1);
    Window { from: window.from - before, ..window }
}

/// Every group once: two rules often forward to the same ones.
fn groups(query: &MetricsQuery) -> Vec<Group<'_>> {
    let both = query.routes.iter().flat_map(|(load_balancer, canary, stable)| {
        [(load_balancer.as_str(), canary), (load_balancer.as_str(), stable)]
    });
    both.collect::<BTreeSet<_>>().into_iter().collect()
}

/// `g3m1`: metric 1 of group 3.
fn group_id(group: usize, metric: usize) -> String {
    format!("g{group}m{metric}")
}

/// `l1`: load balancer 1.
fn load_balancer_id(place: usize) -> String {
    format!("l{place}")
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn metric_query(
    publication: Publication,
    id: String,
    (metric, statistic): (&str, &str),
    dimensions: Vec<Dimension>,
) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace("AWS/ApplicationELB")
        .metric_name(metric)
        .set_dimensions(Some(dimensions))
        .build();
    let statistic = MetricStat::builder()
        .metric(metric)
        .period(i32::from(publication.period_seconds))
        .stat(statistic)
        .build();
    MetricDataQuery::builder().id(id).metric_stat(statistic).build()
}

fn group_queries(
    publication: Publication,
    groups: &[Group<'_>],
    asked: &[Asked],
) -> Vec<MetricDataQuery> {
    let mut queries = Vec::with_capacity(groups.len() * asked.len());
    for (place, (load_balancer, group)) in groups.iter().enumerate() {
        for (kind, asked) in asked.iter().enumerate() {
            let dimensions = vec![
                dimension("TargetGroup", group.dimension()),
                dimension("LoadBalancer", load_balancer),
            ];
            let metric = (asked.metric, asked.statistic.as_str());
            queries.push(metric_query(publication, group_id(place, kind), metric, dimensions));
        }
    }
    queries
}

fn load_balancer_queries(
    publication: Publication,
    load_balancers: &[&str],
) -> impl Iterator<Item = MetricDataQuery> {
    load_balancers.iter().enumerate().map(move |(place, name)| {
        let metric = ("HTTPCode_ELB_5XX_Count", "Sum");
        let dimensions = vec![dimension("LoadBalancer", name)];
        metric_query(publication, load_balancer_id(place), metric, dimensions)
    })
}

fn requests(
    publication: Publication,
    query: &MetricsQuery,
    groups: &[Group<'_>],
    asked: &[Asked],
    window: Window,
    answers: &Answers,
) -> PortResult<(Periods, ConnectionErrors)> {
    let canaries: BTreeSet<_> = query.routes.iter().map(|(_, canary, _)| canary).collect();
    let mut periods: BTreeMap<i64, Period> = BTreeMap::new();
    let mut errors = ConnectionErrors::default();
    for (group, (_, arn)) in groups.iter().enumerate() {
        let mut measured: BTreeMap<i64, Values> = BTreeMap::new();
        for (kind, asked) in asked.iter().enumerate() {
            let id = group_id(group, kind);
            let series = answers.series(&id, publication.period(), window);
            let series = series.map_err(|error| named(error, asked.metric, arn))?;
            for (second, value) in series {
                if value < 0.0 {
                    let detail = format!("the value {value}");
                    let error = PortError::Refused { operation: OPERATION, detail };
                    return Err(named(error, asked.metric, arn));
                }
                measured.entry(second).or_default()[kind] = Some(value);
            }
        }
        let canary = canaries.contains(arn);
        let failed = if canary { &mut errors.canary } else { &mut errors.stable };
        let mut counted = Vec::with_capacity(measured.len());
        for (second, values) in &measured {
            *failed = failed.saturating_add(connection_errors(values));
            counted.extend(count(query, values)?.map(|counted| (*second, counted)));
        }
        for (second, requests) in put_together(counted) {
            let from = Timestamp::from_millis(second.saturating_mul(1000));
            let none = SlotRequests::default();
            let period =
                periods.entry(second).or_insert(Period { from, canary: none, stable: none });
            let slot = if canary { &mut period.canary } else { &mut period.stable };
            *slot = slot.plus(requests);
        }
    }
    let mut counts: Vec<_> = periods.into_values().collect();
    if query.slower_than.is_some() {
        // No requests, so none was slow: not the same as not having measured.
        for slot in counts.iter_mut().flat_map(|period| [&mut period.canary, &mut period.stable]) {
            slot.slow.get_or_insert(0);
        }
    }
    Ok((Periods { length: publication.period(), counts }, errors))
}

/// An error that says what was asked.
fn named(error: PortError, metric: &str, group: &TargetGroupArn) -> PortError {
    let said = |detail: String| format!("{metric} of `{}`: {detail}", group.short());
    match error {
        PortError::Throttled { operation } => PortError::Throttled { operation },
        PortError::Unanswered { operation, detail } => {
            PortError::Unanswered { operation, detail: said(detail) }
        }
        PortError::Refused { operation, detail } => {
            PortError::Refused { operation, detail: said(detail) }
        }
    }
}

fn load_balancer_errors(
    publication: Publication,
    place: usize,
    name: &str,
    window: Window,
    answers: &Answers,
) -> PortResult<LoadBalancerErrors> {
    let period = publication.period();
    let reach = reach(publication, window);
    let series = answers.series(&load_balancer_id(place), period, reach)?;
    let length = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
    let errors = |from: Timestamp, until: Timestamp| {
        let within = series.iter().filter(|(second, _)| {
            let at = Timestamp::from_millis(second.saturating_mul(1000));
            (from..until).contains(&at)
        });
        // The load balancer publishes nothing where it counted nothing.
        let count = within.map(|(_, value)| value.max(0.0).round() as u64).sum();
        let periods = until.since(from).as_millis() as i64 / length;
        Errors { count, periods: u32::try_from(periods).unwrap_or(u32::MAX) }
    };
    let newest = window.until - period.times(u64::from(NEWEST_PERIODS));
    Ok(LoadBalancerErrors {
        load_balancer: name.to_owned(),
        before: errors(reach.from, window.from - period),
        newest: errors(newest.max(window.from), window.until),
    })
}

#[cfg(test)]
mod tests;
