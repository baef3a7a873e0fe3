//! Instants and lengths of time. Both are plain numbers that come in from outside: nothing in this
//! crate reads a clock.

use std::fmt;
use std::ops::{Add, Sub};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An instant, in milliseconds since 1970-01-01 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01 UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Span {
        Span::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// One millisecond later: the first instant that counts as after this one.
    pub fn just_after(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Reads an RFC 3339 instant, or one whose offset has no colon (`+0000`), as CloudWatch writes
    /// in alarm events.
    pub fn parse(text: &str) -> Option<Self> {
        let rfc3339 = text.parse::<jiff::Timestamp>();
        rfc3339
            .or_else(|_| jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text))
            .ok()
            .map(|instant| Self(instant.as_millisecond()))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the second.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(formatter, "{}", instant.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(formatter, "{} ms after 1970", self.0),
        }
    }
}

/// A length of time, in milliseconds. In requests and messages: one number and one unit (`90s`,
/// `5m`, `24h`, `2d`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// Why a text is not a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// A number without a unit.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// Anything else.
    #[error("`{0}` is not one number and one unit")]
    NotASpan(String),
}

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds, rounded up: a wait of this many seconds is never too short.
    pub const fn as_secs_up(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// Reads `90s`, `5m`, `24h` or `2d`.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let unit = &text[digits.len()..];
        // `u64` would take a sign, too.
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(SpanError::NotASpan(text.to_owned()));
        }
        let number: u64 = digits.parse().map_err(|_| SpanError::NotASpan(text.to_owned()))?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "" => return Err(SpanError::NoUnit(text.to_owned())),
            _ => return Err(SpanError::NotASpan(text.to_owned())),
        };
        let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= 366 * 86_400);
        seconds.map(Self::from_secs).ok_or_else(|| SpanError::NotASpan(text.to_owned()))
    }

    /// This many times as long.
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// What is left after `other`; zero if nothing is.
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both after one another.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Span {
    /// For people, without what nobody reads: `12m 34s`, `3h 5m`.
    pub fn in_words(self) -> String {
        let seconds = self.0 / 1000;
        let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        match (hours, minutes, rest) {
            (0, 0, rest) => format!("{rest}s"),
            (0, minutes, 0) => format!("{minutes}m"),
            (0, minutes, rest) => format!("{minutes}m {rest}s"),
            (hours, 0, _) => format!("{hours}h"),
            (hours, minutes, _) => format!("{hours}h {minutes}m"),
        }
    }
}

impl fmt::Display for Span {
    /// The shortest exact form: `90s`, `5m`, `24h`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        if !self.0.is_multiple_of(1000) {
            write!(formatter, "{}ms", self.0)
        } else if seconds != 0 && seconds.is_multiple_of(3_600) {
            write!(formatter, "{}h", seconds / 3_600)
        } else if seconds != 0 && seconds.is_multiple_of(60) {
            write!(formatter, "{}m", seconds / 60)
        } else {
            write!(formatter, "{seconds}s")
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Milliseconds are written by `Display` and never taken from a request.
        if let Some(millis) = text.strip_suffix("ms").and_then(|number| number.parse().ok()) {
            return Ok(Self::from_millis(millis));
        }
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(s|m|h|d)$",
            "description": "One number and one unit: s, m, h or d.",
            "examples": ["90s", "5m", "24h"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarm_events_write_their_offset_without_a_colon() {
        let without_colon = Timestamp::parse("2023-08-04T12:36:15.490+0000");
        assert_eq!(without_colon, Timestamp::parse("2023-08-04T12:36:15.490Z"));
        assert_eq!(without_colon.map(Timestamp::as_millis), Some(1_691_152_575_490));
        assert_eq!(Timestamp::parse("2023-08-04T14:36:15.490+0200"), without_colon);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!(Span::parse("90s"), Ok(Span::from_secs(90)));
        assert_eq!(Span::parse("24h"), Ok(Span::from_secs(86_400)));
        assert_eq!(Span::parse("5"), Err(SpanError::NoUnit("5".into())));
        for bad in ["", "m", "5 m", "-5m", "+5m", "1.5h", "5m3s", "99999999999999999999d", "400d"] {
            assert!(matches!(Span::parse(bad), Err(SpanError::NotASpan(_))), "{bad}");
        }
    }

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["0s", "90s", "5m", "24h", "61m"] {
            assert_eq!(Span::parse(text).map(|span| span.to_string()).as_deref(), Ok(text));
        }
        let milliseconds: Span = serde_json::from_str("\"1500ms\"").unwrap();
        assert_eq!(milliseconds, Span::from_millis(1500));
    }
}
