//! Windows, counting and incomplete answers.

use super::*;

const PUBLICATION: Publication = Publication { period_seconds: 60, lag: Span::from_secs(60) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn query(since: i64, now: i64) -> RequestQuery {
    let route = |rule: &str| {
        let group = |slot: &str| TargetGroupArn::new(format!("arn:1:targetgroup/{slot}/{rule}"));
        ("app/front/1".to_owned(), group("green"), group("blue"))
    };
    RequestQuery { routes: vec![route("1"), route("1")], since: at(since), now: at(now) }
}

#[test]
fn the_period_of_the_shift_and_the_newest_one_do_not_count() {
    assert_eq!(window(PUBLICATION, &query(610, 810)), Some((at(660), at(720))));
    assert_eq!(window(PUBLICATION, &query(600, 780)), Some((at(600), at(720))));
    assert_eq!(window(PUBLICATION, &query(601, 779)), None);
    assert_eq!(window(PUBLICATION, &query(601, 601)), None);
    let second = Publication { period_seconds: 1, lag: Span::ZERO };
    let shifted = RequestQuery { since: Timestamp::from_millis(1), ..query(0, 3) };
    assert_eq!(window(second, &shifted), Some((at(1), at(3))));
}

#[test]
fn a_window_does_not_reach_further_back_than_the_metrics() {
    let now = 40 * 86_400;
    let (from, _) = window(PUBLICATION, &query(60, now)).unwrap();
    assert_eq!(from, at(26 * 86_400));
}

#[test]
fn a_group_on_several_routes_is_asked_once() {
    let query = query(0, 600);
    let groups = groups(&query);
    assert_eq!(groups.len(), 2);
    let queries = queries(PUBLICATION, &groups);
    assert_eq!(queries.len(), 8);
    let metric = queries[7].metric_stat().unwrap().metric().unwrap();
    assert_eq!(metric.metric_name(), Some("HTTPCode_Target_4XX_Count"));
    assert_eq!(metric.dimensions()[0].value(), Some("targetgroup/green/1"));
}

#[test]
fn absent_counters_are_zero_only_where_there_were_requests() {
    assert_eq!(judge(&[Some(10), Some(7), None, Some(1)]), (10, 2));
    assert_eq!(judge(&[Some(10), None, None, None]), (10, 10));
    assert_eq!(judge(&[None, Some(7), None, None]), (0, 0));
    assert_eq!(judge(&[Some(5), Some(6), None, None]), (5, 0));
}

#[test]
fn only_complete_answers_are_evidence() {
    assert_eq!(complete("g0m0", Some(&StatusCode::Complete)), Ok(()));
    for status in [Some(StatusCode::PartialData), Some(StatusCode::InternalError), None] {
        let error = complete("g0m0", status.as_ref()).unwrap_err();
        assert!(matches!(error, PortError::Unanswered { .. }), "{error}");
    }
    let forbidden = complete("g0m0", Some(&StatusCode::Forbidden)).unwrap_err();
    assert!(!forbidden.may_pass());
}

#[test]
fn values_are_kept_by_group_metric_and_period() {
    let result = MetricDataResult::builder()
        .id("g1m2")
        .timestamps(DateTime::from_secs(60))
        .timestamps(DateTime::from_secs(120))
        .values(3.0)
        .values(4.0)
        .build();
    let mut periods = BTreeMap::new();
    add(&mut periods, "g1m2", &result).unwrap();
    assert_eq!(periods[&(1, 60)], [None, None, Some(3), None]);
    assert_eq!(periods[&(1, 120)], [None, None, Some(4), None]);
    assert!(add(&mut periods, "other", &result).is_err());
}
