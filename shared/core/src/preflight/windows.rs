//! When weights may move forward: the windows of a request as instants.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::document::Findings;
use crate::plan::{Opening, Openings};
use crate::request::{Clock, Once, Weekly, Window, Windows};
use crate::time::{Span, Timestamp};

/// For how long from its start a deployment knows its windows. Longer than anybody lets one wait, and short enough for
/// a record that is written with every step.
const KNOWN_FOR: Span = Span::from_secs(60 * 86_400);

/// How many openings it knows at most.
const MOST: usize = 400;

/// The windows as instants; whether they let a weight move at all, and whether the first has to wait.
pub fn resolve(windows: &Windows, now: Timestamp, findings: &mut Findings) -> Openings {
    let openings = openings(windows, now);
    let zone = windows.time_zone.rules();
    match openings.at_or_after(now) {
        None => {
            let message = format!(
                "no weight may move within the sixty days to {}: none of the windows opens",
                openings.known_until
            );
            findings.error("$.windows", message, "allow some time, or leave `windows` out");
        }
        Some(next) if now < next.from => {
            let message = format!(
                "it is outside its windows: nothing begins before {} ({})",
                next.from,
                shown(next.from, &zone, windows.time_zone.as_str())
            );
            findings.warning(
                "$.windows",
                message,
                "start it then, or let it hold its resources until then",
            );
        }
        Some(_) => {}
    }
    if openings.open.len() == MOST {
        let message =
            format!("only the first {MOST} openings are known, up to {}", openings.known_until);
        findings.warning(
            "$.windows",
            message,
            "name fewer and longer ones, or have it done by then",
        );
    }
    openings
}

/// What the clocks of a zone show: `Mon 09:00 Europe/Berlin`.
fn shown(instant: Timestamp, zone: &TimeZone, name: &str) -> String {
    let instant = jiff::Timestamp::from_millisecond(instant.as_millis()).unwrap_or_default();
    let shown = instant.to_zoned(zone.clone());
    format!("{} {name}", shown.strftime("%a %Y-%m-%d %H:%M"))
}

fn openings(windows: &Windows, now: Timestamp) -> Openings {
    let mut known_until = now + KNOWN_FOR;
    let zone = windows.time_zone.rules();
    let all = |windows: &[Window], kind: Kind| -> Vec<Opening> {
        let instants =
            windows.iter().flat_map(|window| instants(window, &zone, now, known_until, kind));
        joined(instants.collect())
    };
    let whole = [Opening { from: now, until: known_until }];
    let allowed =
        if windows.allow.is_empty() { whole.to_vec() } else { all(&windows.allow, Kind::Allow) };
    let mut open = without(&allowed, &all(&windows.deny, Kind::Deny));
    open.retain(|opening| now < opening.until && opening.from < known_until);
    for opening in &mut open {
        (opening.from, opening.until) = (opening.from.max(now), opening.until.min(known_until));
    }
    if open.len() > MOST {
        open.truncate(MOST);
        known_until = open.last().map_or(known_until, |last| last.until);
    }
    Openings { open, known_until }
}

/// What a window does.
#[derive(Clone, Copy)]
enum Kind {
    Allow,
    Deny,
}

/// Every time that a window comes, as far as it reaches into this stretch.
fn instants(
    window: &Window,
    zone: &TimeZone,
    from: Timestamp,
    until: Timestamp,
    kind: Kind,
) -> Vec<Opening> {
    let spans: Vec<(DateTime, DateTime)> = match window {
        Window::Once(Once { from, until }) => vec![(from.shown(), until.shown())],
        Window::Weekly(weekly) => {
            let date = |instant: Timestamp| {
                let instant = jiff::Timestamp::from_millisecond(instant.as_millis());
                instant.unwrap_or_default().to_zoned(zone.clone()).date()
            };
            // From the day before: a window of then may reach into the next.
            let first = date(from).saturating_sub(1.day());
            let last = date(until);
            let days = first.series(1.day()).take_while(|day| *day <= last);
            days.filter_map(|day| on(weekly, day)).collect()
        }
    };
    let spans = spans.into_iter().map(|(shown_from, shown_until)| {
        // RFC 5545, 3.3.5: a time that the clock leaves out counts by the offset before the gap, and of one that it shows
        // twice the first counts. What is denied begins rather too early than too late, and ends rather too late.
        let (begins, ends) =
            (zone.to_ambiguous_timestamp(shown_from), zone.to_ambiguous_timestamp(shown_until));
        let (begins, ends) = match kind {
            Kind::Allow => (begins.compatible(), ends.compatible()),
            Kind::Deny => (begins.earlier(), ends.later()),
        };
        // The end of the calendar is later than what any deployment knows.
        let instant = |instant: Result<jiff::Timestamp, jiff::Error>| {
            Timestamp::from_millis(instant.unwrap_or(jiff::Timestamp::MAX).as_millisecond())
        };
        let (from, until) = (instant(begins), instant(ends));
        // Where the gap is at its end or behind it, it has its length after the gap: it is never dropped.
        let length = shown_until.duration_since(shown_from).as_secs();
        let length = Span::from_secs(u64::try_from(length).unwrap_or_default());
        Opening { from, until: if until <= from { from + length } else { until } }
    });
    spans.filter(|span| from < span.until && span.from < until).collect()
}

/// What the clock shows at both ends of a window that begins on this day, if it does.
fn on(weekly: &Weekly, day: Date) -> Option<(DateTime, DateTime)> {
    let is_its = |day: Date| {
        weekly.days.is_empty() || weekly.days.iter().any(|its| its.weekday() == day.weekday())
    };
    if !is_its(day) {
        return None;
    }
    let next = day.tomorrow().ok()?;
    let at = |day: Date, clock: Clock| {
        let (hours, minutes) = (clock.minutes() / 60, clock.minutes() % 60);
        let number = |number: u16| i8::try_from(number).unwrap_or_default();
        day.at(number(hours), number(minutes), 0, 0)
    };
    let until = match weekly.until {
        until if until.minutes() == Clock::DAY => next.at(0, 0, 0, 0),
        until if until <= weekly.from => at(next, until),
        until => at(day, until),
    };
    Some((at(day, weekly.from), until))
}

/// The same stretches in order, each as long as can be.
fn joined(mut spans: Vec<Opening>) -> Vec<Opening> {
    spans.sort_unstable_by_key(|span| span.from);
    let mut joined: Vec<Opening> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.from <= last.until => last.until = last.until.max(span.until),
            Some(_) | None => joined.push(span),
        }
    }
    joined
}

/// What is left of the one without the other; both in order.
fn without(allowed: &[Opening], denied: &[Opening]) -> Vec<Opening> {
    let mut left = Vec::new();
    for allowed in allowed {
        let mut from = allowed.from;
        for denied in denied {
            if denied.from < allowed.until && from < denied.until {
                if from < denied.from {
                    left.push(Opening { from, until: denied.from });
                }
                from = denied.until;
            }
        }
        if from < allowed.until {
            left.push(Opening { from, until: allowed.until });
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::{Day, Minute, Zone};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn weekly(days: &[Day], from: &str, until: &str) -> Window {
        let clock = |text| Clock::parse(text).unwrap();
        Window::Weekly(Weekly { days: days.to_vec(), from: clock(from), until: clock(until) })
    }

    fn once(from: &str, until: &str) -> Window {
        let minute = |text| Minute::parse(text).unwrap();
        Window::Once(Once { from: minute(from), until: minute(until) })
    }

    /// The first openings, as UTC.
    fn first(windows: &Windows, now: &str, count: usize) -> Vec<(String, String)> {
        let open = openings(windows, at(now)).open.into_iter().take(count);
        open.map(|opening| (opening.from.to_string(), opening.until.to_string())).collect()
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.into_iter().map(|(from, until)| (from.to_owned(), until.to_owned())).collect()
    }

    #[test]
    fn working_hours_follow_the_clock_through_both_changes() {
        let allow = vec![weekly(&[Day::Friday, Day::Monday], "09:00", "16:00")];
        let windows =
            |name| Windows { time_zone: zone(name), allow: allow.clone(), deny: Vec::new() };
        // Spring and autumn of 2026: Friday before, Monday after.
        let spring = first(&windows("Europe/Berlin"), "2026-03-27T00:00:00Z", 2);
        assert_eq!(
            spring,
            pairs([
                ("2026-03-27T08:00:00Z", "2026-03-27T15:00:00Z"),
                ("2026-03-30T07:00:00Z", "2026-03-30T14:00:00Z"),
            ])
        );
        let autumn = first(&windows("America/New_York"), "2026-10-30T00:00:00Z", 2);
        assert_eq!(
            autumn,
            pairs([
                ("2026-10-30T13:00:00Z", "2026-10-30T20:00:00Z"),
                ("2026-11-02T14:00:00Z", "2026-11-02T21:00:00Z"),
            ])
        );
        // Half an hour, and the seasons the other way round.
        let half = first(&windows("Australia/Lord_Howe"), "2026-10-02T00:00:00+10:30", 2);
        assert_eq!(
            half,
            pairs([
                ("2026-10-01T22:30:00Z", "2026-10-02T05:30:00Z"),
                ("2026-10-04T22:00:00Z", "2026-10-05T05:00:00Z"),
            ])
        );
    }

    /// A time that does not exist moves past the gap; of one that comes twice the first counts, and for the end of a
    /// `deny` the second.
    #[test]
    fn an_end_in_the_hour_of_a_change_is_never_dropped() {
        const NEW_YORK: &str = "America/New_York";
        const BERLIN: &str = "Europe/Berlin";
        const SANTIAGO: &str = "America/Santiago";
        const LORD_HOWE: &str = "Australia/Lord_Howe";
        const SPRING: &str = "2026-03-08T00:00:00-05:00";
        const AUTUMN: &str = "2026-11-01T00:00:00-04:00";
        const MIDNIGHT: &str = "2026-09-05T12:00:00-04:00";
        // A zone, a time soon before the change, a window of a Sunday, and when that is.
        type Change = (&'static str, &'static str, [&'static str; 2], [&'static str; 2]);
        let allowed: [Change; 7] = [
            (
                NEW_YORK,
                SPRING,
                ["02:30", "05:00"],
                ["2026-03-08T07:30:00Z", "2026-03-08T09:00:00Z"],
            ),
            // Its end is behind the gap, and would come before its beginning, or with it.
            (
                NEW_YORK,
                SPRING,
                ["02:30", "03:15"],
                ["2026-03-08T07:30:00Z", "2026-03-08T08:15:00Z"],
            ),
            (
                SANTIAGO,
                MIDNIGHT,
                ["00:00", "01:00"],
                ["2026-09-06T04:00:00Z", "2026-09-06T05:00:00Z"],
            ),
            (
                NEW_YORK,
                AUTUMN,
                ["01:30", "05:00"],
                ["2026-11-01T05:30:00Z", "2026-11-01T10:00:00Z"],
            ),
            (
                NEW_YORK,
                AUTUMN,
                ["00:30", "01:30"],
                ["2026-11-01T04:30:00Z", "2026-11-01T05:30:00Z"],
            ),
            (
                BERLIN,
                "2026-03-29T00:00:00+01:00",
                ["02:30", "05:00"],
                ["2026-03-29T01:30:00Z", "2026-03-29T03:00:00Z"],
            ),
            (
                LORD_HOWE,
                "2026-10-04T00:00:00+10:30",
                ["02:15", "05:00"],
                ["2026-10-03T15:45:00Z", "2026-10-03T18:00:00Z"],
            ),
        ];
        // Rather an hour too much: it begins by the clock before the gap, and ends by the one after, or the second time.
        let denied: [Change; 7] = [
            (
                NEW_YORK,
                SPRING,
                ["02:15", "02:45"],
                ["2026-03-08T06:15:00Z", "2026-03-08T07:45:00Z"],
            ),
            (
                NEW_YORK,
                SPRING,
                ["02:30", "05:00"],
                ["2026-03-08T06:30:00Z", "2026-03-08T09:00:00Z"],
            ),
            (
                NEW_YORK,
                SPRING,
                ["02:30", "03:15"],
                ["2026-03-08T06:30:00Z", "2026-03-08T07:15:00Z"],
            ),
            (
                SANTIAGO,
                MIDNIGHT,
                ["00:00", "01:00"],
                ["2026-09-06T03:00:00Z", "2026-09-06T04:00:00Z"],
            ),
            (
                NEW_YORK,
                AUTUMN,
                ["00:30", "01:30"],
                ["2026-11-01T04:30:00Z", "2026-11-01T06:30:00Z"],
            ),
            (
                BERLIN,
                "2026-10-25T00:00:00+02:00",
                ["01:00", "02:30"],
                ["2026-10-24T23:00:00Z", "2026-10-25T01:30:00Z"],
            ),
            (
                LORD_HOWE,
                "2026-04-05T00:00:00+11:00",
                ["01:00", "01:45"],
                ["2026-04-04T14:00:00Z", "2026-04-04T15:15:00Z"],
            ),
        ];
        for (name, now, [from, until], wanted) in allowed {
            let allow = vec![weekly(&[Day::Sunday], from, until)];
            let windows = Windows { time_zone: zone(name), allow, deny: vec![] };
            let open = openings(&windows, at(now)).open[0];
            assert_eq!([open.from, open.until].map(|end| end.to_string()), wanted, "{name} {from}");
        }
        for (name, now, [from, until], wanted) in denied {
            let deny = vec![weekly(&[Day::Sunday], from, until)];
            let windows = Windows { time_zone: zone(name), allow: vec![], deny };
            let open = openings(&windows, at(now)).open;
            let found = [open[0].until, open[1].from].map(|end| end.to_string());
            assert_eq!(found, wanted, "{name} {from}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let allow = vec![weekly(&[Day::Saturday], "22:00", "02:00")];
        let windows = Windows { time_zone: zone("UTC"), allow, deny: Vec::new() };
        // In the middle of it, a Sunday.
        assert_eq!(
            first(&windows, "2026-11-29T01:00:00Z", 2),
            pairs([
                ("2026-11-29T01:00:00Z", "2026-11-29T02:00:00Z"),
                ("2026-12-05T22:00:00Z", "2026-12-06T02:00:00Z"),
            ])
        );
    }

    #[test]
    fn what_is_denied_is_denied_whatever_is_allowed() {
        let allow = vec![weekly(&[], "09:00", "16:00")];
        let deny = vec![
            once("2026-12-02T12:00", "2026-12-03T10:00"),
            weekly(&[Day::Friday], "00:00", "24:00"),
        ];
        let windows = Windows { time_zone: zone("UTC"), allow, deny };
        assert_eq!(
            first(&windows, "2026-12-02T00:00:00Z", 3),
            pairs([
                ("2026-12-02T09:00:00Z", "2026-12-02T12:00:00Z"),
                ("2026-12-03T10:00:00Z", "2026-12-03T16:00:00Z"),
                ("2026-12-05T09:00:00Z", "2026-12-05T16:00:00Z"),
            ])
        );
    }

    #[test]
    fn what_never_opens_is_refused_and_what_opens_later_is_told() {
        let told = |windows: &Windows, now: &str| {
            let mut findings = Findings::default();
            resolve(windows, at(now), &mut findings);
            findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>()
        };
        let mut windows = Windows {
            time_zone: zone("Europe/Berlin"),
            allow: Vec::new(),
            deny: vec![weekly(&[], "00:00", "24:00")],
        };
        assert_eq!(
            told(&windows, "2026-11-30T12:00:00Z"),
            [
                "no weight may move within the sixty days to 2027-01-29T12:00:00Z: none of the windows opens"
            ]
        );
        windows.allow = vec![once("2020-01-01T00:00", "2020-01-02T00:00")];
        windows.deny.clear();
        assert_eq!(told(&windows, "2026-11-30T12:00:00Z").len(), 1);
        windows.allow = vec![weekly(&[Day::Monday], "09:00", "16:00")];
        assert_eq!(told(&windows, "2026-11-30T12:00:00Z"), [] as [&str; 0]);
        assert_eq!(
            told(&windows, "2026-11-30T16:00:00Z"),
            [
                "it is outside its windows: nothing begins before 2026-12-07T08:00:00Z (Mon 2026-12-07 09:00 Europe/Berlin)"
            ]
        );
    }

    #[test]
    fn what_has_no_end_is_denied_and_nothing_is_known_beyond() {
        let time_zone = zone("Pacific/Auckland");
        let deny = vec![once("2026-12-20T17:00", "9999-12-31T23:59")];
        let mut windows = Windows { time_zone, allow: Vec::new(), deny };
        let only = first(&windows, "2026-12-01T00:00:00Z", 2);
        assert_eq!(only, pairs([("2026-12-01T00:00:00Z", "2026-12-20T04:00:00Z")]));
        windows.allow = vec![once("0001-01-01T00:00", "9999-12-31T23:59")];
        windows.deny = vec![weekly(&[Day::Saturday, Day::Sunday], "00:00", "24:00")];
        let openings = openings(&windows, at("2026-12-01T00:00:00Z"));
        assert!(openings.open.iter().all(|opening| opening.until <= openings.known_until));
        assert_eq!(openings.at_or_after(openings.known_until), None);
    }

    #[test]
    fn a_deployment_knows_so_many_and_no_more() {
        let hours =
            (0..24).map(|hour| weekly(&[], &format!("{hour:02}:00"), &format!("{hour:02}:30")));
        let windows = Windows { time_zone: zone("UTC"), allow: hours.collect(), deny: Vec::new() };
        let openings = openings(&windows, at("2026-12-01T00:00:00Z"));
        assert_eq!(openings.open.len(), MOST);
        assert_eq!(openings.at_or_after(openings.known_until), None);
        assert!(serde_json::to_string(&openings).unwrap().len() < 15_000);
        let mut findings = Findings::default();
        resolve(&windows, at("2026-12-01T00:00:00Z"), &mut findings);
        assert!(
            findings
                .iter()
                .any(|finding| finding.message.starts_with("only the first 400 openings"))
        );
    }

    const DAYS: [Day; 7] = [
        Day::Monday,
        Day::Tuesday,
        Day::Wednesday,
        Day::Thursday,
        Day::Friday,
        Day::Saturday,
        Day::Sunday,
    ];

    fn any_window() -> impl Strategy<Value = Window> {
        let quarters = || 0u16..96;
        let days = proptest::sample::subsequence(DAYS.to_vec(), 0..=7);
        (days, quarters(), quarters(), any::<bool>(), 0i64..10, 1i64..10_000).prop_map(
            |(days, from, until, is_once, start, minutes)| {
                let clock = |quarter: u16| {
                    Clock::parse(&format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)).unwrap()
                };
                let from_day = jiff::civil::date(2026, 6, 1).saturating_add(start.days());
                let minute =
                    |shown: DateTime| Minute::parse(&shown.strftime("%Y-%m-%dT%H:%M").to_string());
                if is_once {
                    let from = from_day.at(5, 0, 0, 0);
                    let until = from.saturating_add(minutes.minutes());
                    return Window::Once(Once {
                        from: minute(from).unwrap(),
                        until: minute(until).unwrap(),
                    });
                }
                let until = if until == from { 96 } else { until };
                Window::Weekly(Weekly { days, from: clock(from), until: clock(until) })
            },
        )
    }

    /// Whether the clock is in the window, asked of the clock alone.
    fn is_in(window: &Window, shown: DateTime) -> bool {
        match window {
            Window::Once(Once { from, until }) => from.shown() <= shown && shown < until.shown(),
            Window::Weekly(Weekly { days, from, until }) => {
                let minutes = i64::from(shown.hour()) * 60 + i64::from(shown.minute());
                let (from, until) = (i64::from(from.minutes()), i64::from(until.minutes()));
                let on = |day: Date| {
                    days.is_empty() || days.iter().any(|its| its.weekday() == day.weekday())
                };
                let (today, yesterday) = (shown.date(), shown.date().yesterday().unwrap());
                if from < until {
                    on(today) && from <= minutes && minutes < until
                } else {
                    on(today) && from <= minutes || on(yesterday) && minutes < until
                }
            }
        }
    }

    proptest! {
        /// Far from any change of the clock: there the ends have their own rule.
        #[test]
        fn it_is_open_when_the_clock_is_in_a_window_and_in_none_that_denies(
            allow in proptest::collection::vec(any_window(), 0..4),
            deny in proptest::collection::vec(any_window(), 0..4),
            name in proptest::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]),
            quarter in 0u64..=6_500,
        ) {
            let time_zone = zone(name);
            let rules = time_zone.rules();
            let windows = Windows { time_zone, allow, deny };
            let now = at("2026-06-01T00:00:00Z");
            let found = openings(&windows, now);
            let instant = now + Span::from_secs(quarter * 900);
            let shown = jiff::Timestamp::from_millisecond(instant.as_millis()).unwrap();
            let shown = shown.to_zoned(rules).datetime();
            let allowed = windows.allow.is_empty() || windows.allow.iter().any(|window| is_in(window, shown));
            let denied = windows.deny.iter().any(|window| is_in(window, shown));
            let is_open = found.at_or_after(instant).is_some_and(|opening| opening.from <= instant);
            prop_assert_eq!(is_open, allowed && !denied && instant < found.known_until);
            for pair in found.open.windows(2) {
                prop_assert!(pair[0].from < pair[0].until && pair[0].until < pair[1].from);
            }
        }
    }
}
