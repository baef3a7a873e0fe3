//! When weights may move forward, as instants: nobody who carries a deployment out needs to know a time zone.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};

/// When weights may move forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Openings {
    /// In order; none touches another.
    pub open: Vec<Opening>,
    /// Up to when they are known: from then on nothing may move.
    pub known_until: Timestamp,
}

/// From the one instant on and before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Timestamp, Timestamp)", into = "(Timestamp, Timestamp)")]
pub struct Opening {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// In short, since it is written with every step of the deployment.
impl From<Opening> for (Timestamp, Timestamp) {
    fn from(Opening { from, until }: Opening) -> Self {
        (from, until)
    }
}

impl From<(Timestamp, Timestamp)> for Opening {
    fn from((from, until): (Timestamp, Timestamp)) -> Self {
        Self { from, until }
    }
}

impl Openings {
    /// The one that it is, or the next; `None`: none is known.
    pub fn at_or_after(&self, instant: Timestamp) -> Option<Opening> {
        self.open.iter().find(|opening| instant < opening.until).copied()
    }

    /// The times between openings that a deployment of this length passes, from the first opening on.
    pub fn closures(&self, length: Span) -> Vec<(Span, Span)> {
        let Some(first) = self.open.first() else { return Vec::new() };
        let (mut left, mut closures) = (length, Vec::new());
        for pair in self.open.windows(2) {
            left = left.minus(pair[0].until.since(pair[0].from));
            if left == Span::ZERO {
                break;
            }
            closures.push((pair[0].until.since(first.from), pair[1].from.since(first.from)));
        }
        closures
    }

    /// How much of this time they are open.
    pub(crate) fn within(&self, from: Timestamp, until: Timestamp) -> Span {
        let open = self.open.iter();
        let parts = open.map(|opening| opening.until.min(until).since(opening.from.max(from)));
        parts.fold(Span::ZERO, Span::plus)
    }
}

/// That no weight moves, and until when: for whoever asks why.
pub fn outside_windows(opens_at: Option<Timestamp>) -> String {
    match opens_at {
        Some(opens_at) => format!("outside its windows until {opens_at}"),
        None => "outside its windows, of which none is known to open again".to_owned(),
    }
}
