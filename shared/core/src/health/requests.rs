//! What the requests say: gross failure, the comparison with stable, the plan's limit.

use super::ceiling::{CEILING, FEWEST_REQUESTS};
use super::cells::{Cell, SlotRequests};
use super::comparison::{Comparison, evidence};
use super::evidence::Reading;
use super::judge::{Judgement, Reason, fail, inconclusive, pass, read};
use super::sequential::{Pair, Tally};
use crate::plan::{ComparisonPlan, Permille, Plan, StageIndex};
use crate::weight::Weight;

/// Adds a reason for everything that the plan asks of requests.
pub(super) fn judge(
    plan: &Plan,
    stage: StageIndex,
    reading: &Reading<Vec<Cell>>,
    reasons: &mut Vec<Reason>,
) {
    let health = &plan.health;
    let Some(cells) = read("requests", reading, reasons) else { return };
    if let Some(comparison) = &health.comparison {
        compare(plan, comparison, cells, reasons);
    }
    let here = cells.iter().filter(|cell| cell.stage == stage);
    let (canary, stable) = here
        .fold((SlotRequests::default(), SlotRequests::default()), |(canary, stable), cell| {
            (canary.plus(cell.canary), stable.plus(cell.stable))
        });
    let limit = health.bad_requests_limit;
    reasons.push(level(limit, health.minimum_requests, canary.into(), stable.into()));
    reasons.extend(cells.iter().find_map(gross));
    let weight = plan.stage(stage).map(|stage| stage.weight);
    reasons.extend(weight.and_then(|weight| share_reached(weight, canary.all, stable.all)));
}

/// Fewest requests of either slot that a share is measured by: by chance it is then off by no more
/// than a third.
const FEWEST_OF_SHARE: u64 = 100;

/// Tells when the share of requests is far from the weight: by sticky sessions, by rules that are no
/// routes of the deployment, by a test listener. It is not the canary's fault, and holding would not
/// mend it; but whoever counts on the weight should know.
fn share_reached(weight: Weight, canary: u64, stable: u64) -> Option<Reason> {
    let all = u128::from(canary) + u128::from(stable);
    let expected = all * u128::from(weight.permille()) / 1000;
    let enough = u128::from(FEWEST_OF_SHARE);
    if expected < enough || (weight < Weight::ALL && all - expected < enough) {
        return None;
    }
    let found = u128::from(canary);
    if (expected / 2..=expected * 2).contains(&found) {
        return None;
    }
    let permille = u16::try_from(found * 1000 / all).unwrap_or(1000);
    Some(pass(format!(
        "the canary gets {} of the requests at a weight of {weight}: sticky sessions, or rules that \
         are no routes of this deployment",
        Permille(permille)
    )))
}

fn compare(plan: &Plan, comparison: &ComparisonPlan, cells: &[Cell], reasons: &mut Vec<Reason>) {
    let compared = match Comparison::planned(plan, comparison, cells) {
        Ok(compared) => compared,
        Err(error) => {
            reasons.push(inconclusive(format!("the versions cannot be compared: {error}")));
            return;
        }
    };
    // At 100 % and before the first complete period there is nothing to compare.
    let Some(latest) = compared.latest() else { return };
    let bad = counted(compared.cells.iter().map(|cell| Some(cell.bad())));
    let mut found = format!("bad requests: {bad}; {}", compared.bad);
    if let Some(ratio) = &compared.slow {
        let slow = counted(compared.cells.iter().map(Cell::slow));
        found.push_str(&format!("; slow requests: {slow}; {ratio}"));
    }
    let needed = evidence(compared.parameters.bound());
    let sum = format!(
        "evidence against the canary is {} of {needed}, from {} of {} periods",
        evidence(latest.ln_e),
        latest.witnesses,
        compared.cells.len(),
    );
    // Once is enough: a later cell must not acquit what Ville's bound has convicted.
    reasons.push(match compared.fails_at().and_then(|at| compared.cells.get(at)) {
        Some(cell) => fail(format!(
            "the canary is worse than stable beyond what is allowed since {}; {found}; {sum}",
            cell.from
        )),
        None => pass(format!("the canary is not shown to be worse than stable; {found}; {sum}")),
    });
}

/// `14 of 300 of the canary, 1 of 320 of stable`
fn counted(pairs: impl Iterator<Item = Option<Pair>>) -> String {
    let sum = |one: Tally, other: Tally| Tally {
        events: one.events.saturating_add(other.events),
        requests: one.requests.saturating_add(other.requests),
    };
    let none = Tally::default();
    let (canary, stable) = pairs.flatten().fold((none, none), |(canary, stable), pair| {
        (sum(canary, pair.canary), sum(stable, pair.stable))
    });
    format!(
        "{} of {} of the canary, {} of {} of stable",
        canary.events, canary.requests, stable.events, stable.requests
    )
}

/// A single period that needs no second one.
fn gross(cell: &Cell) -> Option<Reason> {
    let share = Share::from(cell.canary);
    super::ceiling::breaks_ceiling(&cell.canary.bad_tally()).then(|| {
        fail(format!("gross failure of the canary in the period from {}: {share}", cell.from))
    })
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

    fn worse_than(self, other: Self) -> bool {
        u128::from(self.bad) * u128::from(other.all) > u128::from(other.bad) * u128::from(self.all)
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

/// The level of the stage: enough requests, and not too many bad ones.
/// Whether the plan's limit rolls back at these requests of a stage, for who judges a history again.
pub fn breaks_limit(
    limit: Option<Permille>,
    minimum: u64,
    canary: SlotRequests,
    stable: SlotRequests,
) -> bool {
    level(limit, minimum, canary.into(), stable.into()).judgement == Judgement::Fail
}

fn level(limit: Option<Permille>, minimum: u64, canary: Share, stable: Share) -> Reason {
    let enough = canary.all >= minimum;
    // Over the whole stage; it never undercuts the plan's own limit.
    let grossly = canary.all >= FEWEST_REQUESTS && canary.reaches(CEILING);
    let allowed = limit.map_or(String::new(), |limit| format!(", allowed are {limit}"));
    let text = format!("canary: {canary}{allowed}; stable: {stable}");
    match limit {
        Some(limit) if canary.exceeds(limit) && (enough || grossly) => {
            if stable.all >= FEWEST_REQUESTS && !canary.worse_than(stable) {
                inconclusive(format!(
                    "the canary is over the limit of {limit} ({canary}), and stable is no better \
                     ({stable}): not the canary's doing alone"
                ))
            } else {
                fail(text)
            }
        }
        Some(_) | None if enough => pass(text),
        Some(_) | None => {
            let missing = minimum.saturating_sub(canary.all);
            inconclusive(format!(
                "{missing} more canary requests are needed to judge: {} of {minimum} so far, {} bad",
                canary.all, canary.bad
            ))
        }
    }
}
