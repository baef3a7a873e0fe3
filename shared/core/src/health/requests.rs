//! What the requests say: gross failure, the comparison with stable, the plan's limit.

use super::cells::Cell;
use super::comparison::{Comparison, evidence};
use super::limit::Level;
use super::reading::Reading;
use super::sequential::{Pair, Tally};
use super::verdict::{Judgement, Reason, fail, inconclusive, pass, read, suspect};
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
    let comparison = health.comparison.as_ref();
    let ln_e = comparison.and_then(|comparison| compare(plan, comparison, cells, reasons));
    let level = Level::of(plan, stage, cells);
    let so_far = level.judge(health.bad_requests_limit, health.minimum_requests);
    let doubted = ln_e.is_some_and(|ln_e| ln_e >= SUSPICION.ln());
    reasons.push(match so_far.judgement {
        // What is lacking is no reason to overlook what is there.
        Judgement::Inconclusive if doubted => suspect(so_far.text),
        Judgement::Pass | Judgement::Inconclusive | Judgement::Suspect | Judgement::Fail => so_far,
    });
    // The first one that counts, or else the first.
    let gross: Vec<_> = cells.iter().filter_map(|cell| level.gross(cell)).collect();
    let counts = gross.iter().position(|reason| reason.judgement == Judgement::Fail);
    reasons.extend(gross.into_iter().nth(counts.unwrap_or(0)));
    let (canary, stable) = level.requests();
    let weight = plan.stage(stage).map(|stage| stage.weight);
    reasons.extend(weight.and_then(|weight| share_reached(weight, canary, stable)));
}

/// Evidence with which too few requests speak against the canary: by chance, one deployment in ten ever
/// gets there.
const SUSPICION: f64 = 10.0;

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

/// Adds what the comparison says. The logarithm of its evidence; `None` where there is none.
fn compare(
    plan: &Plan,
    comparison: &ComparisonPlan,
    cells: &[Cell],
    reasons: &mut Vec<Reason>,
) -> Option<f64> {
    let compared = match Comparison::planned(plan, comparison, cells) {
        Ok(compared) => compared,
        Err(error) => {
            reasons.push(inconclusive(format!("the versions cannot be compared: {error}")));
            return None;
        }
    };
    // At 100 % and before the first complete period there is nothing to compare.
    let latest = compared.latest()?;
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
    Some(latest.ln_e)
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
