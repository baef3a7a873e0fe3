//! One GetMetricData call with all its pages, and what it answered to each query.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{MetricDataQuery, MetricDataResult, StatusCode};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clock, PortError, PortResult};

use crate::clock::System;
use crate::error::port_error;

pub(super) const OPERATION: &str = "cloudwatch:GetMetricData";

/// How often the same is asked before partial data or an internal error counts as the answer.
const ATTEMPTS: u32 = 3;

/// How long after the first attempt the second is made; the third after twice as long.
const PAUSE: Span = Span::from_millis(200);

/// A half-open window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// What was answered, by the id of the query.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<String, Answer>);

#[derive(Debug, Default)]
struct Answer {
    points: Vec<(i64, f64)>,
    labels: BTreeSet<String>,
    /// A result that needs several pages is partial on all but the last.
    status: Option<StatusCode>,
    /// Not as many values as times.
    uneven: bool,
}

/// Asks, and asks again while an answer is incomplete.
pub(super) async fn ask(
    client: &Client,
    queries: &[MetricDataQuery],
    window: Window,
) -> PortResult<Answers> {
    let mut attempt = 1;
    loop {
        let answers = once(client, queries, window).await?;
        let ids = || queries.iter().filter_map(MetricDataQuery::id);
        if attempt == ATTEMPTS || !ids().any(|id| answers.is_incomplete(id)) {
            return Ok(answers);
        }
        System::default().sleep(PAUSE.times(u64::from(attempt))).await;
        attempt += 1;
    }
}

async fn once(client: &Client, queries: &[MetricDataQuery], window: Window) -> PortResult<Answers> {
    let mut answers = Answers::default();
    let mut page = None;
    loop {
        let call = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.to_vec()))
            .start_time(DateTime::from_millis(window.from.as_millis()))
            .end_time(DateTime::from_millis(window.until.as_millis()))
            .set_next_token(page);
        let answer = call.send().await.map_err(|error| port_error(OPERATION, error))?;
        for result in answer.metric_data_results() {
            answers.add(result);
        }
        page = answer.next_token;
        if page.is_none() {
            return Ok(answers);
        }
    }
}

impl Answers {
    fn add(&mut self, result: &MetricDataResult) {
        // What was not asked for is nobody's answer.
        let Some(id) = result.id() else { return };
        let answer = self.0.entry(id.to_owned()).or_default();
        let (times, values) = (result.timestamps(), result.values());
        answer.uneven |= times.len() != values.len();
        answer.points.extend(times.iter().map(DateTime::secs).zip(values.iter().copied()));
        answer.labels.extend(result.label().map(str::to_owned));
        answer.status = result.status_code().cloned();
    }

    fn status(&self, id: &str) -> Option<&StatusCode> {
        self.0.get(id).and_then(|answer| answer.status.as_ref())
    }

    /// Whether asking again may give more.
    fn is_incomplete(&self, id: &str) -> bool {
        !matches!(self.status(id), Some(StatusCode::Complete | StatusCode::Forbidden))
    }

    /// The one series of a query, by the second in which each period begins. A point that cannot be
    /// is an error and not a guess: with a wrong number the canary could be acquitted. Points before
    /// the window are left out: CloudWatch begins with the period that contains its start.
    pub(super) fn series(
        &self,
        id: &str,
        period: Span,
        window: Window,
    ) -> PortResult<BTreeMap<i64, f64>> {
        self.complete(id)?;
        let Some(answer) = self.0.get(id) else { return Ok(BTreeMap::new()) };
        let nonsense = |what: String| PortError::Refused { operation: OPERATION, detail: what };
        if answer.labels.len() > 1 {
            let labels: Vec<_> = answer.labels.iter().take(3).map(|of| format!("`{of}`")).collect();
            let more = if answer.labels.len() > 3 { " and more" } else { "" };
            return Err(nonsense(format!(
                "{} series instead of one ({}{more}); add them up or choose one",
                answer.labels.len(),
                labels.join(", ")
            )));
        }
        if answer.uneven {
            return Err(nonsense("not as many values as times".to_owned()));
        }
        let seconds = i64::try_from(period.as_millis() / 1000).unwrap_or(i64::MAX).max(1);
        let mut series = BTreeMap::new();
        for &(second, value) in &answer.points {
            let at = Timestamp::from_millis(second.saturating_mul(1000));
            if !value.is_finite() {
                return Err(nonsense(format!("the value {value} at {at}")));
            }
            if second % seconds != 0 || at >= window.until {
                let what = format!("a point at {at}, which is none of the periods asked for");
                return Err(nonsense(what));
            }
            if series.insert(second, value).is_some() {
                return Err(nonsense(format!("two points at {at}")));
            }
        }
        // Of the last period only a part may be there.
        series.retain(|&second, _| {
            let at = Timestamp::from_millis(second.saturating_mul(1000));
            at >= window.from && at + period <= window.until
        });
        Ok(series)
    }

    fn complete(&self, id: &str) -> PortResult<()> {
        match self.status(id) {
            Some(StatusCode::Complete) => Ok(()),
            Some(StatusCode::Forbidden) => Err(PortError::Refused {
                operation: OPERATION,
                detail: "no permission to read it".to_owned(),
            }),
            // Partial data, an internal error, no result at all: the numbers would be too small.
            status => Err(PortError::Unanswered {
                operation: OPERATION,
                detail: format!("the answer is {}", status.map_or("missing", StatusCode::as_str)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    const PERIOD: Span = Span::from_secs(60);

    fn window() -> Window {
        Window { from: at(60), until: at(300) }
    }

    fn result(points: &[(i64, f64)], status: Option<StatusCode>) -> MetricDataResult {
        let mut result = MetricDataResult::builder().id("a").set_status_code(status).label("one");
        for (seconds, value) in points {
            result = result.timestamps(DateTime::from_secs(*seconds)).values(*value);
        }
        result.build()
    }

    fn read(results: &[MetricDataResult]) -> PortResult<BTreeMap<i64, f64>> {
        let mut answers = Answers::default();
        results.iter().for_each(|result| answers.add(result));
        answers.series("a", PERIOD, window())
    }

    fn said(points: &[(i64, f64)]) -> String {
        read(&[result(points, Some(StatusCode::Complete))]).unwrap_err().to_string()
    }

    #[test]
    fn pages_are_put_together_and_parts_of_periods_left_out() {
        let pages = [
            result(&[(0, 1.0), (60, 2.0)], Some(StatusCode::PartialData)),
            result(&[(240, 3.0)], Some(StatusCode::Complete)),
        ];
        assert_eq!(read(&pages).unwrap(), BTreeMap::from([(60, 2.0), (240, 3.0)]));
        let mut answers = Answers::default();
        pages.iter().for_each(|page| answers.add(page));
        let short = Window { from: at(60), until: at(270) };
        let found = answers.series("a", PERIOD, short).unwrap();
        assert_eq!(found, BTreeMap::from([(60, 2.0)]));
    }

    #[test]
    fn only_complete_answers_are_evidence() {
        for status in [Some(StatusCode::PartialData), Some(StatusCode::InternalError), None] {
            let error = read(&[result(&[], status)]).unwrap_err();
            assert!(matches!(error, PortError::Unanswered { .. }), "{error}");
        }
        assert!(matches!(read(&[]), Err(PortError::Unanswered { .. })));
        let forbidden = read(&[result(&[], Some(StatusCode::Forbidden))]).unwrap_err();
        assert!(!forbidden.may_pass());
    }

    #[test]
    fn a_point_that_cannot_be_is_named_and_never_counted() {
        assert!(said(&[(60, f64::NAN)]).contains("the value NaN at 1970-01-01T00:01:00Z"));
        assert!(said(&[(60, f64::INFINITY)]).contains("the value inf"));
        assert!(said(&[(300, 1.0)]).contains("none of the periods asked for"));
        assert!(said(&[(90, 1.0)]).contains("none of the periods asked for"));
        assert!(said(&[(60, 1.0), (60, 2.0)]).contains("two points at"));
    }

    #[test]
    fn several_series_are_named() {
        let other = MetricDataResult::builder().id("a").label("two");
        let other = other.status_code(StatusCode::Complete).build();
        let both = [result(&[(60, 1.0)], Some(StatusCode::Complete)), other];
        let error = read(&both).unwrap_err().to_string();
        assert!(error.contains("2 series instead of one (`one`, `two`)"), "{error}");
    }
}
