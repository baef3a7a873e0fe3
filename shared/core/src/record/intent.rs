//! Writes to the world, claimed before they are made.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Timestamp};
use crate::weight::Weight;

/// Longest time one attempt of a write may take before it counts as unanswered.
pub const ATTEMPT_TIMEOUT: Span = Span::from_secs(5);

/// How long after its deadline a write may still land: an unanswered call can be on its way, and
/// the load balancer gathers changes for about 10 s (aws-load-balancer-controller#4039).
pub const LANDING_GRACE: Span = Span::from_secs(15);

/// A claimed write. It is removed when every attempt of it got an answer; otherwise it lives until
/// its deadline plus [`LANDING_GRACE`], and nobody unlocks, commits or takes over before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    pub purpose: Purpose,
    /// No attempt starts unless it can time out before this instant.
    pub deadline: Timestamp,
    /// The person who has everything sent to stable whatever its health. Part of the claim, so that
    /// it is recorded before anything is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced_by: Option<String>,
}

/// What an intent writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// This share of every route to the canary.
    Shift(Weight),
    /// Task definition and number of tasks of the canary; on the way back, more tasks of stable. The bounds
    /// within which either slot may be scaled.
    Scale,
    /// Everything back to stable.
    Restore,
    /// No more than this share of every route to the canary, on the way back.
    StepBack(Weight),
    /// No more tasks on the canary after a rollback.
    ScaleIn,
    /// After commit: the old slot leaves a sticky route.
    Detach,
    /// No more tasks on the old slot.
    Retire,
}

impl Intent {
    /// An intent that may be attempted for `lifetime` from `now`.
    pub fn new(purpose: Purpose, now: Timestamp, lifetime: Span) -> Self {
        Self { purpose, deadline: now + lifetime, forced_by: None }
    }

    /// The same, forced by a person.
    #[must_use]
    pub fn forced_by(mut self, person: Option<String>) -> Self {
        self.forced_by = person;
        self
    }

    /// The share that it gives the canary going forward; `None`: it is no shift.
    pub const fn shift(&self) -> Option<Weight> {
        match self.purpose {
            Purpose::Shift(weight) => Some(weight),
            Purpose::Scale
            | Purpose::Restore
            | Purpose::StepBack(_)
            | Purpose::ScaleIn
            | Purpose::Detach
            | Purpose::Retire => None,
        }
    }

    /// Whether an attempt that starts now is over before the deadline.
    pub fn may_attempt(&self, now: Timestamp) -> bool {
        now + ATTEMPT_TIMEOUT <= self.deadline
    }

    /// From this instant on nothing of it can land any more.
    pub fn dead_at(&self) -> Timestamp {
        self.deadline + LANDING_GRACE
    }

    /// Whether something of it may still land.
    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.dead_at()
    }
}

/// The instant from which on none of these can land any more, or `None` if that is now.
pub(crate) fn all_dead_at<'a>(
    intents: impl IntoIterator<Item = &'a Intent>,
    now: Timestamp,
) -> Option<Timestamp> {
    intents.into_iter().filter(|intent| intent.lives(now)).map(Intent::dead_at).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attempt_outlives_its_deadline() {
        let start = Timestamp::from_millis(0);
        let intent = Intent::new(Purpose::Restore, start, Span::from_secs(20));
        assert!(intent.may_attempt(start + Span::from_secs(15)));
        assert!(!intent.may_attempt(start + Span::from_millis(15_001)));
        assert!(intent.lives(start + Span::from_millis(34_999)));
        assert!(!intent.lives(start + Span::from_secs(35)));
    }
}
