//! Windows, counting and incomplete answers.

use glidepath_core::health::Shift;
use glidepath_core::plan::{BadRequestsAre, StageIndex};

use aws_smithy_cbor::Encoder;
use glidepath_core::plan::{Measure, MetricStatistic};
use glidepath_engine::ports::CheckQuery;

use super::*;
use crate::replay::{Answer, cbor, error_of, watched};

const PUBLICATION: Publication = Publication { period_seconds: 60, lag: Span::from_secs(60) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn between(from: i64, until: i64) -> Window {
    Window { from: at(from), until: at(until) }
}

fn query(since: i64, now: i64) -> MetricsQuery {
    let route = |rule: &str| {
        let group = |slot: &str| TargetGroupArn::new(format!("arn:1:targetgroup/{slot}/{rule}"));
        ("app/front/1".to_owned(), group("green"), group("blue"))
    };
    MetricsQuery {
        routes: vec![route("1"), route("1")],
        shifts: vec![Shift { stage: StageIndex(0), at: at(since) }],
        bad_are: BadRequestsAre::NotAnsweredWell,
        slower_than: None,
        checks: vec![],
        checks_since: at(since),
        now: at(now),
    }
}

#[test]
fn the_period_of_the_shift_and_the_newest_one_do_not_count() {
    assert_eq!(window(PUBLICATION, &query(610, 810)), Some(between(660, 720)));
    assert_eq!(window(PUBLICATION, &query(600, 780)), Some(between(600, 720)));
    assert_eq!(window(PUBLICATION, &query(601, 779)), None);
    assert_eq!(window(PUBLICATION, &query(601, 601)), None);
    let second = Publication { period_seconds: 1, lag: Span::ZERO };
    let mut shifted = query(0, 3);
    shifted.shifts[0].at = Timestamp::from_millis(1);
    assert_eq!(window(second, &shifted), Some(between(1, 3)));
}

#[test]
fn a_window_does_not_reach_further_back_than_the_metrics() {
    let now = 40 * 86_400;
    let window = window(PUBLICATION, &query(60, now)).unwrap();
    assert_eq!(window.from, at(26 * 86_400));
}

#[test]
fn a_group_on_several_routes_is_asked_once() {
    let query = query(0, 600);
    let groups = groups(&query);
    assert_eq!(groups.len(), 2);
    let queries = group_queries(PUBLICATION, &groups, &asked(query.bad_are, query.slower_than));
    assert_eq!(queries.len(), 10);
    let metric = queries[9].metric_stat().unwrap().metric().unwrap();
    assert_eq!(metric.metric_name(), Some("HTTPCode_Target_4XX_Count"));
    assert_eq!(metric.dimensions()[0].value(), Some("targetgroup/green/1"));
}

/// Id, status and points of a result.
type Answered = (String, &'static str, Vec<(i64, f64)>);

/// The answer of CloudWatch: each query's status and its points, all with the id as the label.
fn answered(results: &[Answered]) -> Answer {
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin_map().str("MetricDataResults").array(results.len());
    for (id, status, points) in results {
        encoder.begin_map().str("Id").str(id).str("Label").str(id).str("StatusCode").str(status);
        encoder.str("Timestamps").array(points.len());
        for (second, _) in points {
            encoder.timestamp(&aws_sdk_cloudwatch::primitives::DateTime::from_secs(*second));
        }
        encoder.str("Values").array(points.len());
        for (_, value) in points {
            encoder.double(*value);
        }
        encoder.end();
    }
    encoder.end();
    cbor(encoder.into_writer())
}

/// Every query of one route, complete: 10 requests in the period from 60, all answered with 2xx.
fn complete() -> Vec<Answered> {
    let groups = (0..2).flat_map(|group| (0..5).map(move |metric| (group, metric)));
    let of_groups = groups.map(|(group, metric)| {
        let points = if metric == 0 || metric == 2 { vec![(60, 10.0)] } else { vec![] };
        (group_id(group, metric), "Complete", points)
    });
    of_groups.chain([(load_balancer_id(0), "Complete", vec![])]).collect()
}

/// What comes of these answers, and how often was asked.
async fn read_from(answers: Vec<Answer>, query: &MetricsQuery) -> (PortResult<Metrics>, usize) {
    let (clients, replay) = watched(answers);
    let read = read(&Client::new(clients.reading()), PUBLICATION, query).await;
    let read = read.map(|metrics| metrics.expect("there is a complete period"));
    (read, replay.actual_requests().count())
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_only_in_part_is_asked_for_again_before_it_counts_as_unreadable() {
    let query = query(60, 200);
    for status in ["PartialData", "InternalError"] {
        let part = || {
            let mut results = complete();
            results[3].1 = status;
            answered(&results)
        };
        let (metrics, asked) = read_from(vec![part(), part(), answered(&complete())], &query).await;
        assert_eq!(asked, 3);
        assert_eq!(metrics.unwrap().requests.unwrap().counts[0].canary.all, 10);
        let (metrics, asked) = read_from(vec![part(), part(), part()], &query).await;
        assert_eq!(asked, 3);
        let error = metrics.unwrap().requests.unwrap_err();
        assert!(error.may_pass(), "{error}");
        assert!(error.to_string().contains(status), "{error}");
    }
}

#[tokio::test]
async fn an_expression_that_is_refused_leaves_the_requests() {
    let mut query = query(60, 200);
    let metric = MetricStatistic {
        namespace: "Shop".to_owned(),
        name: "Orders".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Sum".to_owned(),
    };
    query.checks = vec![CheckQuery { canary: Measure::Metric(metric), stable: None, period: None }];
    let refused = || error_of(400, "ValidationError", "Error in expression");
    let answers = vec![refused(), answered(&complete())];
    let (metrics, asked) = read_from(answers, &query).await;
    let metrics = metrics.unwrap();
    assert_eq!((asked, metrics.requests.unwrap().counts.len()), (2, 1));
    assert!(!metrics.checks[0].canary.as_ref().unwrap_err().may_pass());
    // Refused without them too: then it was not their fault.
    let (metrics, asked) = read_from(vec![refused(), refused()], &query).await;
    assert_eq!((metrics.is_err(), asked), (true, 2));
}
