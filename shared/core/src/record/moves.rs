//! Whether the weight of a deployment may move forward: what its plan's windows and people's freezes make of an instant.

use super::deployment::Deployment;
use super::event::Event;
use super::freeze::{Freeze, Freezes};
use crate::plan::{StageIndex, outside_windows};
use crate::time::{Span, Timestamp};

/// Whether a weight may move forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves<'a> {
    AtAnyTime,
    /// It is in a window that opened then.
    Since(Timestamp),
    /// Not now.
    Held(Held<'a>),
}

/// Why no weight moves forward, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held<'a> {
    /// It is in none of its windows; when the next opens, if one is known to.
    OutsideWindows { opens_at: Option<Timestamp> },
    /// Somebody has frozen it; when that ends by itself and a window is open, if that is known.
    Frozen { freeze: &'a Freeze, goes_on_at: Option<Timestamp> },
}

impl Held<'_> {
    /// From when on a weight may move again, as far as it is known.
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::OutsideWindows { opens_at: until } | Self::Frozen { goes_on_at: until, .. } => {
                until
            }
        }
    }

    /// For whoever asks why.
    pub fn in_words(self) -> String {
        match self {
            Self::OutsideWindows { opens_at } => outside_windows(opens_at),
            Self::Frozen { freeze, .. } => freeze.in_words(),
        }
    }

    /// What somebody is told about a stage that would begin.
    pub fn event(self, stage: StageIndex) -> Event {
        match self {
            Self::OutsideWindows { opens_at } => Event::OutsideWindows { stage, opens_at },
            Self::Frozen { freeze, goes_on_at } => {
                Event::Frozen { stage, freeze: freeze.clone(), goes_on_at }
            }
        }
    }
}

impl Freezes {
    /// A deployment as it was read, with what freezes it.
    pub fn onto(&self, deployment: Deployment) -> Deployment {
        Deployment { freeze: self.of(&deployment.plan).cloned(), ..deployment }
    }
}

impl Deployment {
    /// What freezes it now.
    pub fn frozen(&self, now: Timestamp) -> Option<&Freeze> {
        self.freeze.as_ref().filter(|freeze| freeze.in_force(now))
    }

    /// Whether a weight may move forward now. What goes back never asks.
    pub fn moves(&self, now: Timestamp) -> Moves<'_> {
        if let Some(freeze) = self.frozen(now) {
            let goes_on_at = self.may_move_at(now);
            return Moves::Held(Held::Frozen { freeze, goes_on_at });
        }
        let Some(openings) = &self.plan.windows else { return Moves::AtAnyTime };
        match openings.at_or_after(now) {
            Some(opening) if opening.from <= now => Moves::Since(opening.from),
            next => Moves::Held(Held::OutsideWindows { opens_at: next.map(|next| next.from) }),
        }
    }

    /// Why it may not, if it may not.
    pub fn held_back(&self, now: Timestamp) -> Option<Held<'_>> {
        match self.moves(now) {
            Moves::Held(held) => Some(held),
            Moves::AtAnyTime | Moves::Since(_) => None,
        }
    }

    /// The first instant from this one on at which a weight may move; `None`: none is known.
    pub fn may_move_at(&self, instant: Timestamp) -> Option<Timestamp> {
        let thawed = match self.frozen(instant) {
            Some(freeze) => freeze.until?,
            None => instant,
        };
        match &self.plan.windows {
            Some(openings) => Some(openings.at_or_after(thawed)?.from.max(thawed)),
            None => Some(thawed),
        }
    }

    /// How much of this time a weight might have moved.
    pub fn open_time(&self, from: Timestamp, until: Timestamp) -> Span {
        let from = self.progress.thawed_at.map_or(from, |thawed_at| from.max(thawed_at));
        let open = |from: Timestamp, until: Timestamp| match &self.plan.windows {
            Some(openings) => openings.within(from, until),
            None => until.since(from),
        };
        // One that was thawed since the last look is known only by what was told of it, and not until when it lasted.
        let told = match &self.progress.told {
            Some(Event::Frozen { freeze, .. }) => Some((freeze.since, None)),
            Some(_) | None => None,
        };
        let here = self.freeze.as_ref();
        match here.map(|freeze| (freeze.since, freeze.until)).or(told) {
            Some((since, ends_at)) => {
                let before = open(from, until.min(since));
                let after = ends_at.map_or(Span::ZERO, |ends_at| open(from.max(ends_at), until));
                before.plus(after)
            }
            None => open(from, until),
        }
    }
}
