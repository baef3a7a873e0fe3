//! Requests of both slots, from one GetMetricData call.
//!
//! A request is bad unless it was answered with 2xx, 3xx or 4xx: that also counts connections that
//! the target refused or dropped, which have no 5xx count of the target.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, StatusCode,
};
use glidepath_core::health::RequestCounts;
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{PortError, PortResult, RequestQuery};

use super::Publication;
use crate::error::{incomplete, port_error};

const OPERATION: &str = "cloudwatch:GetMetricData";

/// Most queries that one call takes.
const QUERIES_PER_CALL: usize = 500;

/// CloudWatch keeps periods of a minute for 15 days; a window that would reach further back begins
/// here instead, and says so.
const LONGEST_WINDOW: Span = Span::from_secs(14 * 86_400);

/// What is asked of every group, in this order.
const METRICS: [&str; 4] = [
    "RequestCount",
    "HTTPCode_Target_2XX_Count",
    "HTTPCode_Target_3XX_Count",
    "HTTPCode_Target_4XX_Count",
];

/// A group with its load balancer, asked once however many routes it is on.
type Group<'query> = (&'query str, &'query TargetGroupArn);

/// Sums by metric, of one group and period.
type Period = [Option<u64>; METRICS.len()];

/// The requests since the shift; `None` while there is no complete period.
pub(super) async fn count(
    client: &Client,
    publication: Publication,
    query: &RequestQuery,
) -> PortResult<Option<RequestCounts>> {
    let Some((from, until)) = window(publication, query) else { return Ok(None) };
    let groups = groups(query);
    let periods = fetch(client, publication, &groups, from, until).await?;
    let mut counts =
        RequestCounts { from, until, canary: 0, canary_bad: 0, stable: 0, stable_bad: 0 };
    let canaries: BTreeSet<_> = query.routes.iter().map(|(_, canary, _)| canary).collect();
    for ((group, _), period) in &periods {
        let (requests, bad) = judge(period);
        let canary = groups.get(*group).is_some_and(|(_, group)| canaries.contains(group));
        let (all, failed) = if canary {
            (&mut counts.canary, &mut counts.canary_bad)
        } else {
            (&mut counts.stable, &mut counts.stable_bad)
        };
        *all += requests;
        *failed += bad;
    }
    Ok(Some(counts))
}

/// From the first period that begins after the shift to the newest that is complete.
fn window(publication: Publication, query: &RequestQuery) -> Option<(Timestamp, Timestamp)> {
    let period = i64::from(publication.period_seconds.max(1)) * 1000;
    let oldest = query.now - LONGEST_WINDOW;
    let from = query.since.max(oldest).as_millis();
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

/// Sums by group (its place among the groups) and period.
async fn fetch(
    client: &Client,
    publication: Publication,
    groups: &[Group<'_>],
    from: Timestamp,
    until: Timestamp,
) -> PortResult<BTreeMap<(usize, i64), Period>> {
    let queries = queries(publication, groups);
    if queries.len() > QUERIES_PER_CALL {
        let detail = format!("{} target groups are too many for one look", groups.len());
        return Err(PortError::Refused { operation: OPERATION, detail });
    }
    let mut periods = BTreeMap::new();
    // A result that needs several pages is partial on all but the last.
    let mut last_status: HashMap<String, Option<StatusCode>> = HashMap::new();
    let mut page = None;
    loop {
        let call = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_millis(from.as_millis()))
            .end_time(DateTime::from_millis(until.as_millis()))
            .set_next_token(page);
        let answer = call.send().await.map_err(|error| port_error(OPERATION, error))?;
        for result in answer.metric_data_results() {
            let id = result.id().ok_or_else(|| incomplete(OPERATION, "Id"))?;
            add(&mut periods, id, result)?;
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
    Ok(periods)
}

/// `g3m1`: metric 1 of group 3.
fn queries(publication: Publication, groups: &[Group<'_>]) -> Vec<MetricDataQuery> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let mut queries = Vec::with_capacity(groups.len() * METRICS.len());
    for (place, (load_balancer, group)) in groups.iter().enumerate() {
        for (kind, name) in METRICS.iter().enumerate() {
            let metric = Metric::builder()
                .namespace("AWS/ApplicationELB")
                .metric_name(*name)
                .dimensions(dimension("TargetGroup", group.dimension()))
                .dimensions(dimension("LoadBalancer", load_balancer))
                .build();
            let statistic = MetricStat::builder()
                .metric(metric)
                .period(i32::from(publication.period_seconds))
                .stat("Sum")
                .build();
            let id = format!("g{place}m{kind}");
            queries.push(MetricDataQuery::builder().id(id).metric_stat(statistic).build());
        }
    }
    queries
}

fn add(
    periods: &mut BTreeMap<(usize, i64), Period>,
    id: &str,
    result: &MetricDataResult,
) -> PortResult<()> {
    let parsed = id.strip_prefix('g').and_then(|rest| rest.split_once('m'));
    let parsed = parsed.and_then(|(group, kind)| {
        Some((group.parse::<usize>().ok()?, kind.parse::<usize>().ok()?))
    });
    let (group, kind) = parsed.ok_or_else(|| incomplete(OPERATION, "Id"))?;
    for (timestamp, value) in result.timestamps().iter().zip(result.values()) {
        let sums = periods.entry((group, timestamp.secs())).or_default();
        let sum = sums.get_mut(kind).ok_or_else(|| incomplete(OPERATION, "Id"))?;
        // Sums of counts: whole and never negative.
        *sum = Some(value.round() as u64);
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

/// Requests and bad requests of a period. Counters that are absent are zero only where there were
/// requests; without them the period says nothing.
fn judge(period: &Period) -> (u64, u64) {
    let [Some(requests), answered @ ..] = period else { return (0, 0) };
    let answered: u64 = answered.iter().flatten().sum();
    // Answers may be counted in a later period than their requests.
    (*requests, requests.saturating_sub(answered))
}

#[cfg(test)]
mod tests;
