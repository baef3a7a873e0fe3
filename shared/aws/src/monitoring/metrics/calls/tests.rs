//! Where calls start, and what is asked together.

use std::collections::BTreeMap;

use super::*;

const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);

/// A stage of this age, as it is looked at 13 s after 2026-11-28T10:43:00Z.
fn stage(age: Span) -> (Window, Timestamp) {
    let now = Timestamp::parse("2026-11-28T10:43:13Z").unwrap();
    let until = Timestamp::parse("2026-11-28T10:42:00Z").unwrap();
    (Window { from: until - age, until }, now)
}

fn metric(name: &str) -> MetricStatistic {
    MetricStatistic {
        namespace: "Shop".to_owned(),
        name: name.to_owned(),
        dimensions: BTreeMap::from([("Slot".to_owned(), "green".to_owned())]),
        statistic: "Sum".to_owned(),
    }
}

fn math(metrics: usize) -> Measure {
    let metrics = (0..metrics).map(|number| (format!("m{number}"), metric("Orders")));
    Measure::Expression { expression: "100 * m0 / m0".to_owned(), metrics: metrics.collect() }
}

fn select() -> Measure {
    let expression = "select MAX(Depth) FROM Shop".to_owned();
    Measure::Expression { expression, metrics: BTreeMap::new() }
}

fn wanted<'a>(measures: &[(&'a Measure, Span)]) -> Vec<Wanted<'a>> {
    let of = |(place, (measure, period)): (usize, &(&'a Measure, Span))| Wanted {
        id: format!("c{place}c"),
        measure,
        period: *period,
    };
    measures.iter().enumerate().map(of).collect()
}

/// The calls for these periods of one plain metric each, at a stage of this age.
fn calls(age: Span, periods: &[Span]) -> Vec<Call> {
    let orders = Measure::Metric(metric("Orders"));
    let measures: Vec<_> = periods.iter().map(|period| (&orders, *period)).collect();
    let (window, now) = stage(age);
    planned(&wanted(&measures), window, now)
}

fn seconds(at: Timestamp) -> i64 {
    at.as_millis() / 1000
}

#[test]
fn a_call_starts_where_a_period_of_each_of_its_checks_does() {
    for period in [60, 120, 300, 900, 3_600, 86_400, 7 * 60, 10, 30].map(Span::from_secs) {
        let calls = calls(DAY.times(5), &[period]);
        let length = (period.as_millis() / 1000) as i64;
        assert_eq!(calls.len(), 1, "{period}");
        assert_eq!(seconds(calls[0].window.from) % length, 0, "{period}");
    }
    let together = calls(HOUR.times(2), &[10, 60, 300, 900].map(Span::from_secs));
    assert_eq!(together.len(), 1);
    // The first full period of five minutes since 08:42 begins at 08:45, of a quarter of an hour
    // too; those of 10 s are asked for a while only, those of a minute since 08:42.
    assert_eq!(together[0].window.from, Timestamp::parse("2026-11-28T08:30:00Z").unwrap());
    assert_eq!(together[0].ids, ["c0c", "c1c", "c2c", "c3c"]);
}

#[test]
fn only_whole_periods_since_the_beginning_are_asked_for() {
    let (window, _) = stage(HOUR);
    let at = |text: &str| Timestamp::parse(text);
    assert_eq!(first_period(Span::from_secs(300), window), at("2026-11-28T09:45:00Z"));
    assert_eq!(first_period(MINUTE, window), at("2026-11-28T09:42:00Z"));
    assert_eq!(first_period(Span::from_secs(10), window), at("2026-11-28T10:08:40Z"));
    assert_eq!(first_period(HOUR, window), None);
    assert!(calls(HOUR, &[HOUR]).is_empty());
}

#[test]
fn a_query_of_metrics_insights_is_the_only_one_of_its_call() {
    let (orders, select, math) = (Measure::Metric(metric("Orders")), select(), math(2));
    let of = [&select, &orders, &select, &math].map(|measure| (measure, MINUTE));
    let (window, now) = stage(HOUR);
    let calls = planned(&wanted(&of), window, now);
    let ids: Vec<_> = calls.iter().map(|call| call.ids.join(" ")).collect();
    assert_eq!(ids, ["c1c c3c", "c0c", "c2c"]);
}

#[test]
fn what_is_shorter_than_a_minute_is_asked_from_at_most_three_hours_back() {
    let minute_and_ten_seconds = [MINUTE, Span::from_secs(10)];
    assert_eq!(calls(HOUR.times(2), &minute_and_ten_seconds).len(), 1);
    let (_, now) = stage(Span::ZERO);
    let later = calls(DAY.times(7), &minute_and_ten_seconds);
    assert_eq!(later.len(), 2);
    assert!(now.since(later[1].window.from) < HOUR.times(3));
    // 200 minutes are more than three hours: they would take the ten seconds with them.
    assert!(now.since(later[0].window.from) > HOUR.times(3));
    for period in [1, 5, 10, 20, 30].map(Span::from_secs) {
        let alone = calls(DAY.times(7), &[period]);
        assert!(now.since(alone[0].window.from) < HOUR.times(3), "{period}");
    }
}

#[test]
fn a_week_of_every_check_there_may_be_is_one_page() {
    let largest = math(10);
    let all: Vec<_> = (0..40).map(|_| (&largest, MINUTE)).collect();
    let (window, now) = stage(DAY.times(7));
    let calls = planned(&wanted(&all), window, now);
    assert_eq!(calls.len(), 1);
    let minutes = calls[0].window.until.since(calls[0].window.from).as_millis() / 60_000;
    assert!(calls[0].queries.len() <= QUERIES_PER_CALL);
    assert!(calls[0].queries.len() as u64 * minutes <= POINTS_PER_CALL);
}

#[test]
fn periods_that_would_make_a_call_too_long_are_asked_for_apart() {
    // All four have a period that begins together every five months, and 15 days are kept.
    let primes = [17, 19, 23, 29].map(|minutes| MINUTE.times(minutes));
    let apart = calls(DAY.times(10), &primes);
    let (_, now) = stage(Span::ZERO);
    assert!(apart.len() > 1);
    for call in &apart {
        assert!(now.since(call.window.from) < DAY.times(15), "{:?}", call.window);
    }
    // A week of minutes for forty expressions does not fit beside a day.
    let largest = math(10);
    let mut all: Vec<_> = (0..39).map(|_| (&largest, MINUTE)).collect();
    all.push((&largest, DAY));
    let (window, now) = stage(DAY.times(7));
    assert_eq!(planned(&wanted(&all), window, now).len(), 2);
}

#[test]
fn every_series_has_ids_of_its_own() {
    let (plain, math) = (Measure::Metric(metric("Orders")), math(1));
    let of = [(&plain, MINUTE), (&math, Span::from_secs(300))];
    let (window, now) = stage(HOUR);
    let calls = planned(&wanted(&of), window, now);
    let queries = &calls[0].queries;
    let ids: Vec<_> = queries.iter().filter_map(MetricDataQuery::id).collect();
    assert_eq!(ids, ["c0c", "c1c_m0", "c1c"]);
    assert_eq!(queries[2].expression(), Some("100 * c1c_m0 / c1c_m0"));
    assert_eq!(queries[2].period(), Some(300));
    assert_eq!(queries[1].return_data(), Some(false));
    let statistic = queries[0].metric_stat().unwrap();
    assert_eq!((statistic.period(), statistic.stat()), (Some(60), Some("Sum")));
    assert_eq!(statistic.metric().unwrap().dimensions()[0].value(), Some("green"));
}
