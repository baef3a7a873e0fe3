//! Requests of both slots by period, from one GetMetricData call.
//!
//! Every look reads everything since the first shift again: what CloudWatch got late is counted then.

mod counting;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, StatusCode,
};
use glidepath_core::health::{Period, Periods, SlotRequests};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{PortError, PortResult, RequestQuery};

use super::Publication;
use crate::error::{incomplete, port_error};
use counting::{Asked, Values, asked, count};

pub(super) const OPERATION: &str = "cloudwatch:GetMetricData";

/// Most queries that one call takes.
const QUERIES_PER_CALL: usize = 500;

/// CloudWatch keeps periods of a minute for 15 days; a window that would reach further back begins
/// here instead.
const LONGEST_WINDOW: Span = Span::from_secs(14 * 86_400);

/// A group with its load balancer, asked once however many routes it is on.
type Group<'query> = (&'query str, &'query TargetGroupArn);

/// What was measured of every group (its place among the groups) in every period.
type Measured = BTreeMap<(i64, usize), Values>;

/// The requests since the first shift; `None` while there is no complete period.
pub(super) async fn read(
    client: &Client,
    publication: Publication,
    query: &RequestQuery,
) -> PortResult<Option<Periods>> {
    let Some(window) = window(publication, query) else { return Ok(None) };
    let groups = groups(query);
    let asked = asked(query.bad_are, query.slower_than);
    let measured = fetch(client, publication, &groups, &asked, window).await?;
    let canaries: BTreeSet<_> = query.routes.iter().map(|(_, canary, _)| canary).collect();
    let mut periods: BTreeMap<i64, Period> = BTreeMap::new();
    for ((seconds, group), values) in &measured {
        let Some(requests) = count(query, values)? else { continue };
        let from = Timestamp::from_millis(seconds.saturating_mul(1000));
        let none = SlotRequests::default();
        let period = periods.entry(*seconds).or_insert(Period { from, canary: none, stable: none });
        let canary = groups.get(*group).is_some_and(|(_, group)| canaries.contains(group));
        let slot = if canary { &mut period.canary } else { &mut period.stable };
        *slot = slot.plus(requests);
    }
    let mut counts: Vec<_> = periods.into_values().collect();
    if query.slower_than.is_some() {
        // No requests, so none was slow: not the same as not having measured.
        for slot in counts.iter_mut().flat_map(|period| [&mut period.canary, &mut period.stable]) {
            slot.slow.get_or_insert(0);
        }
    }
    let length = Span::from_secs(u64::from(publication.period_seconds.max(1)));
    Ok(Some(Periods { length, counts }))
}

/// From the first period that begins after the shift to the newest that is complete.
fn window(publication: Publication, query: &RequestQuery) -> Option<(Timestamp, Timestamp)> {
    let period = i64::from(publication.period_seconds.max(1)) * 1000;
    let oldest = query.now - LONGEST_WINDOW;
    let from = query.shifts.first()?.at.max(oldest).as_millis();
    let from = from.saturating_add(period - 1).div_euclid(period) * period;
    let until = (query.now - publication.lag).as_millis().div_euclid(period) * period;
    (from < until).then(|| (Timestamp::from_millis(from), Timestamp::from_millis(until)))
}

/// Every group once: two rules often forward to the same ones.
fn groups(query: &RequestQuery) -> Vec<Group<'_>> {
    let both = query.routes.iter().flat_map(|(load_balancer, canary, stable)| {
        [(load_balancer.as_str(), canary), (load_balancer.as_str(), stable)]
    });
    both.collect::<BTreeSet<_>>().into_iter().collect()
}

async fn fetch(
    client: &Client,
    publication: Publication,
    groups: &[Group<'_>],
    asked: &[Asked],
    window: (Timestamp, Timestamp),
) -> PortResult<Measured> {
    let queries = queries(publication, groups, asked);
    if queries.len() > QUERIES_PER_CALL {
        let detail = format!("{} target groups are too many for one look", groups.len());
        return Err(PortError::Refused { operation: OPERATION, detail });
    }
    let mut measured = BTreeMap::new();
    // A result that needs several pages is partial on all but the last.
    let mut last_status: HashMap<String, Option<StatusCode>> = HashMap::new();
    let mut page = None;
    loop {
        let call = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_millis(window.0.as_millis()))
            .end_time(DateTime::from_millis(window.1.as_millis()))
            .set_next_token(page);
        let answer = call.send().await.map_err(|error| port_error(OPERATION, error))?;
        for result in answer.metric_data_results() {
            let id = result.id().ok_or_else(|| incomplete(OPERATION, "Id"))?;
            add(&mut measured, id, result, publication, window)?;
            last_status.insert(id.to_owned(), result.status_code().cloned());
        }
        page = answer.next_token;
        if page.is_none() {
            break;
        }
    }
    for query in &queries {
        let id = query.id().unwrap_or_default();
        complete(id, last_status.get(id).and_then(Option::as_ref))?;
    }
    Ok(measured)
}

/// `g3m1`: metric 1 of group 3.
fn queries(
    publication: Publication,
    groups: &[Group<'_>],
    asked: &[Asked],
) -> Vec<MetricDataQuery> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let mut queries = Vec::with_capacity(groups.len() * asked.len());
    for (place, (load_balancer, group)) in groups.iter().enumerate() {
        for (kind, asked) in asked.iter().enumerate() {
            let metric = Metric::builder()
                .namespace("AWS/ApplicationELB")
                .metric_name(asked.metric)
                .dimensions(dimension("TargetGroup", group.dimension()))
                .dimensions(dimension("LoadBalancer", load_balancer))
                .build();
            let statistic = MetricStat::builder()
                .metric(metric)
                .period(i32::from(publication.period_seconds))
                .stat(&asked.statistic)
                .build();
            let id = format!("g{place}m{kind}");
            queries.push(MetricDataQuery::builder().id(id).metric_stat(statistic).build());
        }
    }
    queries
}

/// Adds the points of a result. One that cannot be is an error and not a guess: with a wrong number
/// the canary could be acquitted.
fn add(
    measured: &mut Measured,
    id: &str,
    result: &MetricDataResult,
    publication: Publication,
    (from, until): (Timestamp, Timestamp),
) -> PortResult<()> {
    let parsed = id.strip_prefix('g').and_then(|rest| rest.split_once('m'));
    let parsed = parsed.and_then(|(group, kind)| {
        Some((group.parse::<usize>().ok()?, kind.parse::<usize>().ok()?))
    });
    let (group, kind) = parsed.ok_or_else(|| incomplete(OPERATION, "Id"))?;
    let nonsense = |what: String| PortError::Refused {
        operation: OPERATION,
        detail: format!("metric `{id}` has {what}"),
    };
    if result.timestamps().len() != result.values().len() {
        return Err(nonsense("not as many values as times".to_owned()));
    }
    let period = i64::from(publication.period_seconds.max(1));
    for (timestamp, &value) in result.timestamps().iter().zip(result.values()) {
        let seconds = timestamp.secs();
        let at = Timestamp::from_millis(seconds.saturating_mul(1000));
        if !value.is_finite() || value < 0.0 {
            return Err(nonsense(format!("the value {value} at {at}")));
        }
        if at < from || at >= until || seconds % period != 0 {
            return Err(nonsense(format!(
                "a point at {at}, which is none of the periods asked for"
            )));
        }
        let values = measured.entry((seconds, group)).or_default();
        let place = values.get_mut(kind).ok_or_else(|| incomplete(OPERATION, "Id"))?;
        if place.replace(value).is_some() {
            return Err(nonsense(format!("two points at {at}")));
        }
    }
    Ok(())
}

fn complete(id: &str, status: Option<&StatusCode>) -> PortResult<()> {
    match status {
        Some(StatusCode::Complete) => Ok(()),
        Some(StatusCode::Forbidden) => Err(PortError::Refused {
            operation: OPERATION,
            detail: format!("no permission to read metric `{id}`"),
        }),
        // Partial data, an internal error, no result at all: the numbers would be too small.
        Some(_) | None => Err(PortError::Unanswered {
            operation: OPERATION,
            detail: format!("metric `{id}` is {}", status.map_or("missing", StatusCode::as_str)),
        }),
    }
}

#[cfg(test)]
mod tests;
