//! Windows, counting and incomplete answers.

use aws_smithy_cbor::Encoder;
use glidepath_core::plan::{BadRequestsAre, Measure, MetricStatistic, StageIndex};
use glidepath_core::record::Shift;
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
async fn read_from(answers: Vec<Answer>, query: &MetricsQuery) -> (Metrics, usize) {
    let (clients, replay) = watched(answers);
    let read = read(&Client::new(clients.reading()), PUBLICATION, query).await;
    (read.expect("there is a complete period"), replay.actual_requests().count())
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
        assert_eq!(metrics.requests.unwrap().counts[0].canary.all, 10);
        let (metrics, asked) = read_from(vec![part(), part(), part()], &query).await;
        assert_eq!(asked, 3);
        let error = metrics.requests.unwrap_err();
        assert!(error.may_pass(), "{error}");
        assert!(error.to_string().contains(status), "{error}");
    }
}

fn orders() -> Measure {
    Measure::Metric(MetricStatistic {
        namespace: "Shop".to_owned(),
        name: "Orders".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Sum".to_owned(),
    })
}

fn expression(text: &str) -> Measure {
    Measure::Expression { expression: text.to_owned(), metrics: BTreeMap::new() }
}

fn check(canary: Measure, compared: bool, period: Option<u64>) -> CheckQuery {
    let stable = compared.then(|| canary.clone());
    CheckQuery { canary, stable, period: period.map(Span::from_secs) }
}

#[tokio::test]
async fn an_expression_that_is_refused_leaves_the_requests() {
    let mut query = query(60, 200);
    query.checks = vec![check(orders(), false, None)];
    let refused = || error_of(400, "ValidationError", "Error in expression");
    let (metrics, asked) = read_from(vec![answered(&complete()), refused()], &query).await;
    assert_eq!((asked, metrics.requests.unwrap().counts.len()), (2, 1));
    assert!(!metrics.checks[0].canary.as_ref().unwrap_err().may_pass());
    // And requests that cannot be read leave the checks.
    let orders = answered(&[("c0c".to_owned(), "Complete", vec![(60, 4.0)])]);
    let (metrics, asked) = read_from(vec![refused(), orders], &query).await;
    assert!(metrics.requests.is_err() && metrics.load_balancer_errors.is_err());
    assert_eq!((asked, metrics.checks[0].canary.as_ref().unwrap().len()), (2, 1));
}

#[tokio::test]
async fn a_check_of_five_minutes_is_read_at_every_minute() {
    // A stage since 00:59:30, looked at each minute of five.
    for minute in 0..5 {
        let mut query = query(59 * 60 + 30, 75 * 60 + 10 + minute * 60);
        query.checks = vec![check(orders(), false, Some(300))];
        let points = vec![(3_600, 1.0), (3_900, 2.0), (4_200, 3.0)];
        let answers =
            vec![answered(&complete()), answered(&[("c0c".to_owned(), "Complete", points)])];
        let (metrics, asked) = read_from(answers, &query).await;
        assert_eq!(asked, 2);
        let series = metrics.checks[0].canary.as_ref().unwrap();
        assert!(series.len() >= 2, "{minute}: {series:?}");
    }
}

/// How many calls a look makes, by what the request has: the table of `docs/budgets.md`.
#[tokio::test]
async fn a_look_makes_no_more_calls_than_is_written() {
    let select = || expression("SELECT MAX(Depth) FROM Shop");
    let math = || check(expression("TIME_SERIES(1)"), true, Some(300));
    let minutes = || vec![check(orders(), true, None), math()];
    let seconds = || check(orders(), false, Some(10));
    let mixed = |more| -> Vec<CheckQuery> { minutes().into_iter().chain([more]).collect() };
    let looks = [
        ("requests", 1, vec![]),
        ("requests, and checks of metrics and metric math", 26, minutes()),
        ("these and a Metrics Insights query", 1, mixed(check(select(), false, None))),
        (
            "these and a Metrics Insights query held against stable",
            1,
            mixed(check(select(), true, None)),
        ),
        ("these and a check of less than a minute", 1, mixed(seconds())),
        ("these and a check of less than a minute, from the third hour on", 26, mixed(seconds())),
    ];
    let document = include_str!("../../../../../docs/budgets.md");
    for (name, hours, checks) in looks {
        let mut query = query(0, hours * 3_600);
        query.checks = checks;
        // More than any look needs; each answers everything.
        let ids = query.checks.iter().enumerate().flat_map(|(place, _)| {
            [format!("c{place}c"), format!("c{place}s")].map(|id| (id, "Complete", vec![]))
        });
        let all: Vec<_> = complete().into_iter().chain(ids).collect();
        let (_, asked) = read_from((0..9).map(|_| answered(&all)).collect(), &query).await;
        let row = format!("| {name} | {asked} |");
        assert!(document.contains(&row), "docs/budgets.md does not say: {row}");
    }
}
