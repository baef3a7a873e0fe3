//! The plan's limit: how many bad requests a stage may have, whatever stable has, where stable has
//! fewer; and no more than stable where it has as many.
//!
//! A limit is a line, and two versions that are equally bad are on the same side of it: which of
//! them is a hair higher is chance. So a canary over it is rolled back only where it is shown to be
//! worse than stable as well, beyond what the comparison allows. At 100 % it is held against what
//! stable had at the last stage at which both served: who goes back goes back to that.

use super::ceiling::{CEILING, FEWEST_REQUESTS};
use super::cells::{Cell, SlotRequests};
use super::judge::{Reason, fail, inconclusive, pass};
use super::sequential::Tally;
use crate::plan::{Permille, Plan, StageIndex};

/// How many standard errors the canary's share must be above the allowed one. It is looked at every
/// minute, and errors come in bursts: with 3 the limit would roll back several times as many good
/// releases (`docs/health-simulations.md`).
pub const DEVIATIONS: f64 = 4.0;

/// How many times stable's share is allowed where the plan compares nothing.
const RATIO: f64 = 1.25;

/// Whether the canary's share of bad requests is above so many times stable's by more than chance
/// explains: the difference is more than so many standard errors of it.
pub fn shown_worse(canary: &Tally, stable: &Tally, ratio: f64, deviations: f64) -> bool {
    let share = |tally: &Tally| {
        let requests = tally.requests as f64;
        (tally.events.min(tally.requests) as f64 / requests, requests)
    };
    if canary.requests == 0 || stable.requests == 0 {
        return false;
    }
    let ((canary, canary_all), (stable, stable_all)) = (share(canary), share(stable));
    let variance =
        canary * (1.0 - canary) / canary_all + ratio * ratio * stable * (1.0 - stable) / stable_all;
    canary - ratio * stable > deviations * variance.sqrt()
}

/// Of a stage, or of the last one before it at which stable had requests enough to be measured.
pub(super) struct Level {
    canary: SlotRequests,
    /// At this stage.
    stable: SlotRequests,
    /// What the canary is held against; `None` where stable was never measured.
    reference: Option<SlotRequests>,
    ratio: f64,
}

impl Level {
    pub(super) fn of(plan: &Plan, stage: StageIndex, cells: &[Cell]) -> Self {
        let at = |stage: StageIndex| {
            let here = cells.iter().filter(move |cell| cell.stage == stage);
            let none = (SlotRequests::default(), SlotRequests::default());
            here.fold(none, |(canary, stable), cell| {
                (canary.plus(cell.canary), stable.plus(cell.stable))
            })
        };
        let (canary, stable) = at(stage);
        let mut measured = (0..=stage.0).rev().map(|stage| at(StageIndex(stage)).1);
        let reference = measured.find(|stable| stable.all >= FEWEST_REQUESTS);
        let comparison = plan.health.comparison.as_ref();
        let ratio = comparison.map_or(RATIO, |comparison| comparison.terms().ratio);
        Self { canary, stable, reference, ratio }
    }

    /// How many requests the canary and stable have had at the stage.
    pub(super) const fn requests(&self) -> (u64, u64) {
        (self.canary.all, self.stable.all)
    }

    /// Whether stable is known to be no better, as far as chance lets anybody say.
    fn excused(&self, canary: SlotRequests) -> Option<SlotRequests> {
        self.reference.filter(|stable| {
            let (canary, stable) = (canary.bad_tally(), stable.bad_tally());
            !shown_worse(&canary, &stable, self.ratio, DEVIATIONS)
        })
    }

    /// A single period that needs no second one.
    pub(super) fn gross(&self, cell: &Cell) -> Option<Reason> {
        if !super::ceiling::breaks_ceiling(&cell.canary.bad_tally()) {
            return None;
        }
        let text = format!(
            "gross failure of the canary in the period from {}: {}",
            cell.from,
            Share::from(cell.canary)
        );
        Some(match self.excused(cell.canary) {
            Some(stable) => {
                pass(format!("{text}; but stable is no better: {}", Share::from(stable)))
            }
            None => fail(text),
        })
    }

    /// The level of the stage: enough requests, and not too many bad ones.
    pub(super) fn judge(&self, limit: Option<Permille>, minimum: u64) -> Reason {
        let (canary, stable) = (Share::from(self.canary), Share::from(self.stable));
        let enough = canary.all >= minimum;
        // Over the whole stage; it never undercuts the plan's own limit.
        let grossly = canary.all >= FEWEST_REQUESTS && canary.reaches(CEILING);
        let allowed = limit.map_or(String::new(), |limit| format!(", allowed are {limit}"));
        let text = format!("canary: {canary}{allowed}; stable: {stable}");
        match limit {
            Some(limit) if canary.exceeds(limit) && (enough || grossly) => {
                let Some(reference) = self.excused(self.canary) else { return fail(text) };
                let stable = Share::from(reference);
                let over = format!("the canary is over the limit of {limit} ({canary})");
                if stable.exceeds(limit) {
                    // Going back would help nobody. How much worse the canary may be is what the
                    // comparison says.
                    pass(format!(
                        "{over}, and so is stable ({stable}): not the canary's doing alone"
                    ))
                } else {
                    inconclusive(format!(
                        "{over}, and not shown to be worse than stable ({stable}): more requests \
                         will tell"
                    ))
                }
            }
            Some(_) | None if enough => pass(text),
            Some(_) | None => {
                let missing = minimum.saturating_sub(canary.all);
                inconclusive(format!(
                    "{missing} more canary requests are needed to judge: {} of {minimum} so far, \
                     {} bad",
                    canary.all, canary.bad
                ))
            }
        }
    }
}

/// Bad requests of one slot among all of its requests.
#[derive(Clone, Copy)]
struct Share {
    bad: u64,
    all: u64,
}

impl From<SlotRequests> for Share {
    fn from(requests: SlotRequests) -> Self {
        // A request that crosses a period can be counted as bad before it is counted at all.
        Self { bad: requests.bad.min(requests.all), all: requests.all }
    }
}

impl Share {
    fn exceeds(self, limit: Permille) -> bool {
        u128::from(self.bad) * 1000 > u128::from(self.all) * u128::from(limit.0)
    }

    fn reaches(self, limit: Permille) -> bool {
        u128::from(self.bad) * 1000 >= u128::from(self.all) * u128::from(limit.0)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Rounded to one decimal; at most 1000 permille, so it fits.
        let permille = (u128::from(self.bad) * 1000 + u128::from(self.all / 2))
            .checked_div(u128::from(self.all))
            .unwrap_or(0);
        let permille = Permille(u16::try_from(permille).unwrap_or(1000));
        write!(formatter, "{} of {} requests were bad ({permille})", self.bad, self.all)
    }
}
