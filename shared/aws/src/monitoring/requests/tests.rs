//! Windows, counting and incomplete answers.

use glidepath_core::health::Shift;
use glidepath_core::plan::{BadRequestsAre, StageIndex};

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
    RequestQuery {
        routes: vec![route("1"), route("1")],
        shifts: vec![Shift { stage: StageIndex(0), at: at(since) }],
        bad_are: BadRequestsAre::NotAnsweredWell,
        slower_than: None,
        now: at(now),
    }
}

#[test]
fn the_period_of_the_shift_and_the_newest_one_do_not_count() {
    assert_eq!(window(PUBLICATION, &query(610, 810)), Some((at(660), at(720))));
    assert_eq!(window(PUBLICATION, &query(600, 780)), Some((at(600), at(720))));
    assert_eq!(window(PUBLICATION, &query(601, 779)), None);
    assert_eq!(window(PUBLICATION, &query(601, 601)), None);
    let second = Publication { period_seconds: 1, lag: Span::ZERO };
    let mut shifted = query(0, 3);
    shifted.shifts[0].at = Timestamp::from_millis(1);
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
    let queries = queries(PUBLICATION, &groups, &asked(query.bad_are, query.slower_than));
    assert_eq!(queries.len(), 8);
    let metric = queries[7].metric_stat().unwrap().metric().unwrap();
    assert_eq!(metric.metric_name(), Some("HTTPCode_Target_4XX_Count"));
    assert_eq!(metric.dimensions()[0].value(), Some("targetgroup/green/1"));
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
    let mut measured = BTreeMap::new();
    let window = (at(60), at(180));
    add(&mut measured, "g1m2", &result, PUBLICATION, window).unwrap();
    assert_eq!(measured[&(60, 1)][..4], [None, None, Some(3.0), None]);
    assert_eq!(measured[&(120, 1)][..4], [None, None, Some(4.0), None]);
    assert!(add(&mut measured, "other", &result, PUBLICATION, window).is_err());
}

#[test]
fn a_point_that_cannot_be_is_named_and_never_counted() {
    let said = |points: &[(i64, f64)]| {
        let mut result = MetricDataResult::builder().id("g0m0");
        for (seconds, value) in points {
            result = result.timestamps(DateTime::from_secs(*seconds)).values(*value);
        }
        let window = (at(60), at(300));
        let error = add(&mut BTreeMap::new(), "g0m0", &result.build(), PUBLICATION, window);
        error.unwrap_err().to_string()
    };
    assert!(said(&[(60, -1.0)]).contains("`g0m0` has the value -1 at 1970-01-01T00:01:00Z"));
    assert!(said(&[(60, f64::NAN)]).contains("the value NaN"));
    assert!(said(&[(60, f64::INFINITY)]).contains("the value inf"));
    assert!(said(&[(300, 1.0)]).contains("none of the periods asked for"));
    assert!(said(&[(0, 1.0)]).contains("none of the periods asked for"));
    assert!(said(&[(90, 1.0)]).contains("none of the periods asked for"));
    assert!(said(&[(60, 1.0), (60, 2.0)]).contains("two points at"));
}
