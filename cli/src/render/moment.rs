//! Instants as people read them: in UTC, so that two people on a call see the same, and how long ago.

use glidepath_core::time::{Span, Timestamp};

/// An instant and its distance from now: `2026-07-30T10:00:00Z (3 min ago)`.
pub(super) fn stamped(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", distance(at, now))
}

/// How far an instant is from now: `3 min ago`, `in 2 h 5 min`.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", length(at.since(now)))
    } else if now.since(at) < Span::from_secs(1) {
        "just now".to_owned()
    } else {
        format!("{} ago", length(now.since(at)))
    }
}

/// The time of day in UTC: `08:14`.
pub(super) fn clock(at: Timestamp) -> String {
    // RFC 3339: the time stands behind the `T`.
    at.to_string().chars().skip_while(|character| *character != 'T').skip(1).take(5).collect()
}

/// A length of time in its two largest units.
pub(super) fn length(span: Span) -> String {
    let seconds = span.as_millis() / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min")
    } else if days == 0 {
        two(hours, "h", minutes % 60, "min")
    } else {
        two(days, "d", hours % 24, "h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_exact_as_anybody_wants_them() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        for (seconds, expected) in [
            (0, "just now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (7_500, "2 h 5 min ago"),
            (90_000, "1 d 1 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(distance(now - Span::from_secs(seconds), now), expected);
        }
        assert_eq!(distance(now + Span::from_secs(7_500), now), "in 2 h 5 min");
        assert_eq!(stamped(now - Span::from_secs(90), now), "2027-01-15T07:58:30Z (1 min ago)");
    }
}
