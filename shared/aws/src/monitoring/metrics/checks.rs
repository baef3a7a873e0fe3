//! The user's own measures: asked in calls of their own, because each has periods, a beginning and
//! limits of its own, and because one that CloudWatch does not understand refuses its whole call.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use futures_util::future::join_all;
use glidepath_core::health::Series;
use glidepath_core::plan::Number;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{CheckAnswer, CheckQuery, PortError, PortResult};

use super::answers::{Answers, OPERATION, Window, ask};
use super::calls::{Call, MINUTE, Wanted, first_period, planned};
use crate::monitoring::publication::Publication;

/// What CloudWatch answers to each check about this window.
pub(super) async fn read(
    client: &Client,
    publication: Publication,
    checks: &[CheckQuery],
    window: Window,
    now: Timestamp,
) -> Vec<CheckAnswer> {
    let calls = planned(&wanted(publication, checks), window, now);
    let asked = calls.iter().map(|call| ask(client, &call.queries, call.window));
    let answers = join_all(asked).await;
    let answered: Vec<_> = calls.iter().zip(answers).collect();
    let checks = checks.iter().enumerate();
    checks
        .map(|(place, check)| {
            let period = period(publication, check);
            let series = |id: String| found(&answered, &id, period, window);
            CheckAnswer {
                canary: series(canary_id(place)),
                stable: check.stable.as_ref().map(|_| series(stable_id(place))),
                period,
                until: window.until,
            }
        })
        .collect()
}

/// Every series. Ids: `c3s`, and `c3s_name` for the metrics of its expression.
fn wanted(publication: Publication, checks: &[CheckQuery]) -> Vec<Wanted<'_>> {
    let mut wanted = Vec::new();
    for (place, check) in checks.iter().enumerate() {
        let period = period(publication, check);
        wanted.push(Wanted { id: canary_id(place), measure: &check.canary, period });
        if let Some(measure) = &check.stable {
            wanted.push(Wanted { id: stable_id(place), measure, period });
        }
    }
    wanted
}

fn canary_id(place: usize) -> String {
    format!("c{place}c")
}

fn stable_id(place: usize) -> String {
    format!("c{place}s")
}

/// Metrics Insights knows no periods below a minute: it answers such a query by minutes.
fn period(publication: Publication, check: &CheckQuery) -> Span {
    let period = check.period.unwrap_or(publication.period());
    if check.canary.is_insights() { period.max(MINUTE) } else { period }
}

fn found(
    answered: &[(&Call, PortResult<Answers>)],
    id: &str,
    period: Span,
    window: Window,
) -> PortResult<Series> {
    let call = answered.iter().find(|(call, _)| call.ids.iter().any(|asked| asked == id));
    // Nothing is asked while no period has ended since the beginning.
    let (Some((_, answers)), Some(from)) = (call, first_period(period, window)) else {
        return Ok(Series::new());
    };
    let answers = answers.as_ref().map_err(Clone::clone)?;
    numbers(answers.series(id, period, Window { from, ..window })?)
}

fn numbers(series: BTreeMap<i64, f64>) -> PortResult<Series> {
    let number = |(second, value): (i64, f64)| {
        let at = Timestamp::from_millis(second.saturating_mul(1000));
        let number = Number::new(value).ok_or_else(|| PortError::Refused {
            operation: OPERATION,
            detail: format!("the value {value} at {at}"),
        })?;
        Ok((at, number))
    };
    series.into_iter().map(number).collect()
}
