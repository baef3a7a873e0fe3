//! What the readings say: the words of every check and of the judge.

use super::reading::Reading;

/// What the readings say. In order: the worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Nothing speaks against the canary.
    Pass,
    /// It cannot be said: no data is not health, and not sickness.
    Inconclusive,
    /// Something speaks against the canary, but not enough to end it. It holds as what is inconclusive
    /// does, and nobody can let it go on.
    Suspect,
    /// The canary is worse than the plan allows.
    Fail,
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Suspect => "suspect",
            Self::Fail => "fail",
        })
    }
}

/// One check and what it says, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub judgement: Judgement,
    /// For a person, with numbers.
    pub text: String,
}

/// What all checks say together.
#[must_use = "an unread verdict stops nothing"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of all reasons.
    pub judgement: Judgement,
    /// All of them, passes too, in the order of the checks.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Texts of the reasons that say this.
    pub fn texts(&self, says: impl Fn(Judgement) -> bool) -> Vec<String> {
        let matching = self.reasons.iter().filter(|reason| says(reason.judgement));
        matching.map(|reason| reason.text.clone()).collect()
    }

    pub(super) fn of(reasons: Vec<Reason>) -> Self {
        let worst = reasons.iter().map(|reason| reason.judgement).max();
        // Without a single check nothing is known.
        Self { judgement: worst.unwrap_or(Judgement::Inconclusive), reasons }
    }
}

pub(super) fn pass(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Pass, text: text.into() }
}

pub(super) fn inconclusive(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Inconclusive, text: text.into() }
}

pub(super) fn suspect(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Suspect, text: text.into() }
}

pub(super) fn fail(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Fail, text: text.into() }
}

/// The text of something that was read, or an inconclusive reason.
pub(super) fn read<'a, T>(
    what: &str,
    reading: &'a Reading<T>,
    reasons: &mut Vec<Reason>,
) -> Option<&'a T> {
    match reading {
        Reading::Read(value) => Some(value),
        Reading::Unreadable(why) => {
            reasons.push(inconclusive(format!("{what} could not be read: {why}")));
            None
        }
    }
}
