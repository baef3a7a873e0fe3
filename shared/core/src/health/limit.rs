//! The plan's limit: how many bad requests a stage may have, whatever stable has, where stable has
//! fewer; and no more than stable where it has as many.
//!
//! A limit is a line, and two versions that are equally bad are on the same side of it: which of
//! them is a hair higher is chance. So a canary over it is rolled back only where it is shown to be
//! worse than stable as well, beyond what the comparison allows. At 100 % it is held against what
//! stable had while both served: who goes back goes back to that.

use super::ceiling::{CEILING, FEWEST_REQUESTS};
use super::cells::Cell;
use super::sequential::Tally;
use super::verdict::{Judgement, Reason, fail, inconclusive, pass, suspect};
use crate::plan::{Permille, Plan, StageIndex};

/// How many standard errors the canary's share must be above the allowed one. It is looked at every
/// minute, and still adds less than a point to the false rollbacks (`docs/health-simulations.md`).
pub const DEVIATIONS: f64 = 3.0;

/// Periods of the canary below which nobody can tell how uneven they are: a burst in one of them would
/// roll back.
const FEWEST_PERIODS: usize = 3;

/// Bad requests that speak against a canary of which too little is known to judge: one may be chance.
const NO_ACCIDENT: u64 = 2;

/// How many times stable's share is allowed where the plan compares nothing.
const RATIO: f64 = 1.25;

/// Whether the canary's share of bad requests is above so many times stable's by more than chance
/// explains: by so many standard errors of the difference.
///
/// Errors that drag each other along, or come in bursts, make shares more uneven than chance does. By
/// how much is taken from the periods themselves, of either version, and widens the standard error.
/// `all` are stable's of the whole deployment, `stable` those that are compared.
pub fn shown_worse(
    canary: &[Tally],
    stable: &[Tally],
    all: &[Tally],
    ratio: f64,
    deviations: f64,
) -> bool {
    let uneven = dispersion(canary).max(dispersion(all)).max(1.0);
    canary.len() >= FEWEST_PERIODS
        && beyond_chance(&sum(canary), &sum(stable), ratio, deviations * uneven.sqrt())
}

/// The same, as if every request failed or not whatever the others do.
pub fn beyond_chance(canary: &Tally, stable: &Tally, ratio: f64, deviations: f64) -> bool {
    if canary.requests == 0 || stable.requests == 0 {
        return false;
    }
    let (canary_all, stable_all) = (canary.requests as f64, stable.requests as f64);
    let (canary, stable) = (share(canary), share(stable));
    let variance =
        canary * (1.0 - canary) / canary_all + ratio * ratio * stable * (1.0 - stable) / stable_all;
    canary - ratio * stable > deviations * variance.sqrt()
}

/// How much more uneven the periods are than chance makes them: Pearson's statistic over its degrees
/// of freedom.
fn dispersion(periods: &[Tally]) -> f64 {
    let all = sum(periods);
    let proportion = share(&all);
    let counted: Vec<_> = periods.iter().filter(|period| period.requests > 0).collect();
    if counted.len() < 2 || proportion <= 0.0 || proportion >= 1.0 {
        return 1.0;
    }
    let terms = counted.iter().map(|period| {
        let requests = period.requests as f64;
        let off = share(period) * requests - requests * proportion;
        off * off / (requests * proportion * (1.0 - proportion))
    });
    terms.sum::<f64>() / (counted.len() - 1) as f64
}

/// The proportion of bad requests, of some.
fn share(tally: &Tally) -> f64 {
    tally.events.min(tally.requests) as f64 / tally.requests as f64
}

fn sum(periods: &[Tally]) -> Tally {
    periods.iter().fold(Tally::default(), |sum, period| Tally {
        requests: sum.requests.saturating_add(period.requests),
        events: sum.events.saturating_add(period.events.min(period.requests)),
    })
}

/// Of a stage, period by period.
pub(super) struct Level {
    canary: Vec<Tally>,
    stable: Vec<Tally>,
    /// Of the whole deployment.
    all_stable: Vec<Tally>,
    ratio: f64,
}

impl Level {
    pub(super) fn of(plan: &Plan, stage: StageIndex, cells: &[Cell]) -> Self {
        let comparison = plan.health.comparison.as_ref();
        Self::new(comparison.map(|comparison| comparison.terms().ratio), stage, cells)
    }

    fn new(ratio: Option<f64>, stage: StageIndex, cells: &[Cell]) -> Self {
        let here = cells.iter().filter(|cell| cell.stage == stage);
        let (canary, stable) =
            here.map(|cell| (cell.canary.bad_tally(), cell.stable.bad_tally())).unzip();
        let all_stable = cells.iter().map(|cell| cell.stable.bad_tally()).collect();
        Self { canary, stable, all_stable, ratio: ratio.unwrap_or(RATIO) }
    }

    /// How many requests the canary and stable have had at the stage.
    pub(super) fn requests(&self) -> (u64, u64) {
        (sum(&self.canary).requests, sum(&self.stable).requests)
    }

    /// What the canary is held against: stable at this stage, or at 100 % during the deployment so
    /// far; `None` where it was never measured.
    fn reference(&self) -> Option<&[Tally]> {
        [self.stable.as_slice(), self.all_stable.as_slice()]
            .into_iter()
            .find(|periods| sum(periods).requests >= FEWEST_REQUESTS)
    }

    /// A single period that needs no second one.
    pub(super) fn gross(&self, cell: &Cell) -> Option<Reason> {
        if !super::ceiling::breaks_ceiling(&cell.canary.bad_tally()) {
            return None;
        }
        let text = format!(
            "gross failure of the canary in the period from {}: {}",
            cell.from,
            Share::from(cell.canary.bad_tally())
        );
        let excuse = self.reference().map(sum).filter(|stable| {
            !beyond_chance(&cell.canary.bad_tally(), stable, self.ratio, DEVIATIONS)
        });
        Some(match excuse {
            Some(stable) => {
                pass(format!("{text}; but stable is no better: {}", Share::from(stable)))
            }
            None => fail(text),
        })
    }

    /// The level of the stage: enough requests, and not too many bad ones.
    pub(super) fn judge(&self, limit: Option<Permille>, minimum: u64) -> Reason {
        let (canary, stable) = (Share::from(sum(&self.canary)), Share::from(sum(&self.stable)));
        let enough = canary.all >= minimum;
        // Over the whole stage; it never undercuts the plan's own limit.
        let grossly = canary.all >= FEWEST_REQUESTS && canary.reaches(CEILING);
        let allowed = limit.map_or(String::new(), |limit| format!(", allowed are {limit}"));
        let text = format!("canary: {canary}{allowed}; stable: {stable}");
        match limit {
            Some(limit) if canary.exceeds(limit) && (enough || grossly) => {
                let shown = |stable: &&[Tally]| {
                    let all = &self.all_stable;
                    shown_worse(&self.canary, stable, all, self.ratio, DEVIATIONS)
                };
                let Some(reference) = self.reference().filter(|stable| !shown(stable)) else {
                    return fail(text);
                };
                let stable = Share::from(sum(reference));
                let over = format!("the canary is over the limit of {limit} ({canary})");
                if enough && stable.exceeds(limit) {
                    // Going back would help nobody. How much worse the canary may be is what the
                    // comparison says.
                    pass(format!(
                        "{over}, and so is stable ({stable}): not the canary's doing alone"
                    ))
                } else {
                    suspect(format!(
                        "{over}, and not shown to be worse than stable ({stable}): more minutes \
                         will tell"
                    ))
                }
            }
            Some(_) | None if enough => pass(text),
            Some(_) | None => {
                let missing = minimum.saturating_sub(canary.all);
                let text = format!(
                    "{missing} more canary requests are needed to judge: {} of {minimum} so far, \
                     {} bad",
                    canary.all, canary.bad
                );
                let worse = || {
                    let (canary, stable) = (sum(&self.canary), sum(&self.stable));
                    beyond_chance(&canary, &stable, self.ratio, DEVIATIONS)
                };
                let over = |limit| canary.exceeds(limit) && (!stable.exceeds(limit) || worse());
                if canary.bad >= NO_ACCIDENT && limit.is_some_and(over) {
                    suspect(text)
                } else {
                    inconclusive(text)
                }
            }
        }
    }
}

/// How bad requests roll back without the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Most requests of one period were bad.
    GrossFailure,
    /// Over its stage so far, more than the plan's own limit.
    Limit,
}

/// What rolls back after the last of these cells, in its stage; for who judges a history again. `ratio`
/// is the comparison's, if there is one.
pub fn excess(
    limit: Option<Permille>,
    minimum_requests: u64,
    ratio: Option<f64>,
    cells: &[Cell],
) -> Option<Excess> {
    let level = Level::new(ratio, cells.last()?.stage, cells);
    let fails = |reason: &Reason| reason.judgement == Judgement::Fail;
    if cells.iter().filter_map(|cell| level.gross(cell)).any(|reason| fails(&reason)) {
        return Some(Excess::GrossFailure);
    }
    fails(&level.judge(limit, minimum_requests)).then_some(Excess::Limit)
}

/// Bad requests of one slot among all of its requests.
#[derive(Clone, Copy)]
pub struct Share {
    bad: u64,
    all: u64,
}

impl From<Tally> for Share {
    fn from(tally: Tally) -> Self {
        // A request that crosses a period can be counted as bad before it is counted at all.
        Self { bad: tally.events.min(tally.requests), all: tally.requests }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_lets_go_on_what_is_far_worse_than_a_stable_that_is_over_the_limit_too() {
        let level = |canary: u64, stable: u64| {
            let stable = vec![Tally { requests: 50, events: stable }];
            let canary = vec![Tally { requests: 20, events: canary }];
            let level = Level { canary, stable: stable.clone(), all_stable: stable, ratio: RATIO };
            level.judge(Some(Permille(10)), 200).judgement
        };
        assert_eq!(level(20, 0), Judgement::Suspect);
        assert_eq!(level(20, 1), Judgement::Suspect);
        assert_eq!(level(2, 5), Judgement::Inconclusive);
    }
}
