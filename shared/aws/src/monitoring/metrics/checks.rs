//! The user's own measures: their queries and their series.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use glidepath_core::health::Series;
use glidepath_core::plan::{Measure, MetricStatistic, Number};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{CheckAnswer, CheckQuery, PortError, PortResult};

use super::answers::{Answers, Window};
use super::{OPERATION, Publication};

/// The queries of every check. Ids: `c3s`, and `c3s_name` for the metrics of its expression.
pub(super) fn queries(publication: Publication, checks: &[CheckQuery]) -> Vec<MetricDataQuery> {
    let mut queries = Vec::new();
    for (place, check) in checks.iter().enumerate() {
        let period = period(publication, check);
        add(&mut queries, &canary_id(place), &check.canary, period);
        if let Some(stable) = &check.stable {
            add(&mut queries, &stable_id(place), stable, period);
        }
    }
    queries
}

fn canary_id(place: usize) -> String {
    format!("c{place}c")
}

fn stable_id(place: usize) -> String {
    format!("c{place}s")
}

fn period(publication: Publication, check: &CheckQuery) -> Span {
    check.period.unwrap_or(publication.period())
}

fn add(queries: &mut Vec<MetricDataQuery>, id: &str, measure: &Measure, period: Span) {
    let seconds = i32::try_from(period.as_millis() / 1000).unwrap_or(i32::MAX);
    let query = MetricDataQuery::builder();
    match measure.prefixed(&format!("{id}_")) {
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

/// What was answered to each check, from its beginning on.
pub(super) fn found(
    publication: Publication,
    checks: &[CheckQuery],
    window: Window,
    answers: &PortResult<Answers>,
) -> Vec<CheckAnswer> {
    let checks = checks.iter().enumerate();
    checks
        .map(|(place, check)| {
            let period = period(publication, check);
            let series = |id: String| match answers {
                Ok(answers) => numbers(answers.series(&id, period, window)?),
                Err(error) => Err(error.clone()),
            };
            CheckAnswer {
                canary: series(canary_id(place)),
                stable: check.stable.as_ref().map(|_| series(stable_id(place))),
                period,
                until: window.until,
            }
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_ids_of_its_own() {
        let metric = MetricStatistic {
            namespace: "Shop".to_owned(),
            name: "Orders".to_owned(),
            dimensions: BTreeMap::from([("Slot".to_owned(), "green".to_owned())]),
            statistic: "Sum".to_owned(),
        };
        let math = Measure::Expression {
            expression: "100 * m / m".to_owned(),
            metrics: BTreeMap::from([("m".to_owned(), metric.clone())]),
        };
        let metric = Measure::Metric(metric);
        let checks = [
            CheckQuery { canary: metric.clone(), stable: Some(metric), period: None },
            CheckQuery { canary: math, stable: None, period: Some(Span::from_secs(300)) },
        ];
        let queries = queries(Publication::default(), &checks);
        let ids: Vec<_> = queries.iter().filter_map(MetricDataQuery::id).collect();
        assert_eq!(ids, ["c0c", "c0s", "c1c_m", "c1c"]);
        assert_eq!(queries[3].expression(), Some("100 * c1c_m / c1c_m"));
        assert_eq!(queries[3].period(), Some(300));
        assert_eq!(queries[2].return_data(), Some(false));
        let statistic = queries[1].metric_stat().unwrap();
        assert_eq!((statistic.period(), statistic.stat()), (Some(60), Some("Sum")));
        assert_eq!(statistic.metric().unwrap().dimensions()[0].value(), Some("green"));
    }
}
