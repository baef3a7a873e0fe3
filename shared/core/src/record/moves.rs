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

    /// How much of this time a weight might have moved. Until a look has found that nothing freezes it any more, all that
    /// has passed since is taken for frozen: nobody knows when it was thawed.
    pub fn open_time(&self, from: Timestamp, until: Timestamp) -> Span {
        let progress = &self.progress;
        let from = progress.thawed_at.map_or(from, |thawed_at| from.max(thawed_at));
        let here = self.freeze.as_ref();
        let since = here.map(|freeze| freeze.since).into_iter().chain(progress.frozen_since).min();
        let Some(since) = since else { return self.within_windows(from, until) };
        // One that has come and gone between two looks has held nothing.
        let ended =
            here.and_then(|freeze| freeze.until).filter(|_| progress.frozen_since.is_none());
        let after = ended.map_or(Span::ZERO, |ended| self.within_windows(from.max(ended), until));
        self.within_windows(from, until.min(since)).plus(after)
    }

    /// How long it has run until then: without the time outside its windows, and without what it was frozen.
    pub fn age(&self, until: Timestamp) -> Span {
        self.within_windows(self.started_at, until)
            .minus(self.progress.frozen_for.unwrap_or_default())
    }

    /// How much of this time is within its windows.
    fn within_windows(&self, from: Timestamp, until: Timestamp) -> Span {
        match &self.plan.windows {
            Some(openings) => openings.within(from, until),
            None => until.since(from),
        }
    }

    /// What a look remembers of freezes. What was told is no memory of them: it is of one, and another event takes its
    /// place.
    pub(crate) fn remember_freeze(&mut self, now: Timestamp) {
        let known = self.progress.frozen_since;
        match (self.frozen(now).map(|freeze| freeze.since), known) {
            (Some(since), known) => {
                self.progress.frozen_since = Some(known.map_or(since, |known| known.min(since)));
            }
            (None, Some(since)) => {
                let frozen = self.within_windows(since.max(self.started_at), now);
                let progress = &mut self.progress;
                progress.frozen_for = Some(progress.frozen_for.unwrap_or_default().plus(frozen));
                progress.thawed_at = Some(now);
                progress.frozen_since = None;
            }
            (None, None) => {}
        }
    }
}
