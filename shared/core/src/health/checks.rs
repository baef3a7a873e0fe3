//! What the user's own measures say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reading::Reading;
use super::verdict::{Judgement, Reason, fail, inconclusive, pass, suspect};
use crate::plan::{Check, CheckMode, Number};
use crate::time::{Span, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReading {
    /// Of the canary, since its stage began; after the end, of what serves again, since then.
    pub canary: Reading<Series>,
    /// Of stable; `None` where the check does not compare.
    pub stable: Option<Reading<Series>>,
    pub period: Span,
    /// Where the newest complete period ends.
    pub until: Timestamp,
}

/// Values by the beginning of their period.
pub type Series = BTreeMap<Timestamp, Number>;

/// Adds a reason for every check.
pub(super) fn judge(checks: &[Check], readings: &[CheckReading], reasons: &mut Vec<Reason>) {
    for (index, check) in checks.iter().enumerate() {
        let found = match readings.get(index) {
            Some(reading) => one(check, reading),
            None => inconclusive(format!("check `{}` was not among those read", check.name)),
        };
        reasons.push(weighed(check, found));
    }
}

/// A check that only alerts, and is out of bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckAlert {
    /// The name of the check.
    pub check: String,
    /// What it has seen, in words with numbers.
    pub text: String,
}

/// Those that only alert, and are out of bounds.
pub fn alerts(checks: &[Check], readings: &[CheckReading]) -> Vec<CheckAlert> {
    let alerting = checks.iter().zip(readings).filter(|(check, _)| check.alerts);
    let judged = alerting.map(|(check, reading)| (check, one(check, reading)));
    let failed = judged.filter(|(_, reason)| reason.judgement == Judgement::Fail);
    failed
        .map(|(check, reason)| CheckAlert { check: check.name.clone(), text: reason.text })
        .collect()
}

/// A reason with the weight that its check has.
fn weighed(check: &Check, reason: Reason) -> Reason {
    match check.mode {
        CheckMode::Critical => reason,
        CheckMode::Informative if check.alerts && reason.judgement == Judgement::Fail => {
            pass(format!("alert: {}", reason.text))
        }
        CheckMode::Informative => pass(format!("for information: {}", reason.text)),
        CheckMode::DryRun => pass(match reason.judgement {
            Judgement::Pass => format!("dry run: {}", reason.text),
            Judgement::Inconclusive | Judgement::Suspect => {
                format!("dry run, would hold: {}", reason.text)
            }
            Judgement::Fail => format!("dry run, would roll back: {}", reason.text),
        }),
    }
}

/// A point at which everything that the check asks for is known.
struct Point {
    from: Timestamp,
    canary: Number,
    stable: Option<Number>,
}

impl Point {
    fn holds(&self, check: &Check) -> bool {
        check.limit.hold(self.canary, Number::ONE)
            && self.stable.is_none_or(|stable| check.against_stable.hold(self.canary, stable))
    }

    fn words(&self, check: &Check) -> String {
        let mut text = format!("check `{}`: {}", check.name, self.canary);
        if !check.limit.is_empty() {
            text.push_str(&format!(", allowed is {}", check.limit));
        }
        if let Some(stable) = self.stable {
            let times = check.against_stable;
            text.push_str(&format!("; stable has {stable}, allowed is {times} times that"));
        }
        text
    }
}

fn one(check: &Check, reading: &CheckReading) -> Reason {
    let name = &check.name;
    let unreadable =
        |of: &str, why: &str| inconclusive(format!("check `{name}` could not be read{of}: {why}"));
    let canary = match &reading.canary {
        Reading::Read(canary) => canary,
        Reading::Unreadable(why) => return unreadable("", why),
    };
    let stable = match &reading.stable {
        None => None,
        Some(Reading::Read(stable)) => Some(stable),
        Some(Reading::Unreadable(why)) => return unreadable(" of stable", why),
    };
    // Only where both are known the canary can be held against stable.
    let mut points = canary.iter().rev().filter_map(|(&from, &canary)| {
        let stable = match stable {
            Some(stable) => Some(*stable.get(&from)?),
            None => None,
        };
        Some(Point { from, canary, stable })
    });
    let Some(newest) = points.next() else {
        let of = match stable {
            Some(stable) if stable.is_empty() && !canary.is_empty() => " of stable",
            Some(_) | None => "",
        };
        return inconclusive(format!(
            "check `{name}` has no data{of} yet; a metric that is only published now and then can be \
             filled: FILL(id, 0)"
        ));
    };
    let wanted = u64::from(check.points.max(1));
    // Data that ended says nothing about now.
    let age = reading.until.since(newest.from);
    if age > reading.period.times(wanted.saturating_add(1)) {
        return inconclusive(format!(
            "check `{name}` has no data for {}: the newest is from {}",
            age, newest.from
        ));
    }
    let words = newest.words(check);
    let newest_holds = newest.holds(check);
    let before: Vec<_> = points.take(usize::try_from(wanted - 1).unwrap_or(usize::MAX)).collect();
    let known = before.len() as u64 + 1;
    let out =
        before.iter().filter(|point| !point.holds(check)).count() as u64 + u64::from(!newest_holds);
    if known < wanted {
        let text = format!("{words}; {known} of {wanted} points so far");
        return if out > 0 { suspect(text) } else { inconclusive(text) };
    }
    if out == wanted {
        let since = before.last().map_or(newest.from, |oldest| oldest.from);
        return fail(format!("{words}; out of bounds since {since} ({wanted} points in a row)"));
    }
    match out {
        0 => pass(words),
        _ => pass(format!("{words}; {out} of the newest {wanted} points are out of bounds")),
    }
}

#[cfg(test)]
mod tests;
