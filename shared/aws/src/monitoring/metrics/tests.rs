//! Windows, counting and incomplete answers.

use glidepath_core::health::Shift;
use glidepath_core::plan::{BadRequestsAre, StageIndex};

use super::*;

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
