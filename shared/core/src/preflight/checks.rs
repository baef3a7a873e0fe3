//! Measures of the user's own, as the plan holds them.

use crate::document::Findings;
use crate::plan::{Check, CheckMode, Plan};
use crate::request::{CheckRequest, Limits, Placeholder, Request};
use crate::route::Role;
use crate::time::Span;

/// How long after its end CloudWatch may still get a point: as for the load balancer's metrics.
const LAG: Span = Span::from_secs(60);

/// The checks of a plan that is complete but for them: what is judged, and what it is held against.
pub(super) fn resolve(
    checks: &[CheckRequest],
    plan: &Plan,
    (judged, against): (Role, Role),
) -> Vec<Check> {
    checks
        .iter()
        .filter_map(|check| {
            let (measure, (mode, alerts)) = (check.measure()?, check.mode.mode());
            Some(Check {
                name: check.name.clone(),
                canary: Placeholder::fill(&measure, plan, judged),
                stable: Placeholder::fill(&measure, plan, against),
                limit: Limits::bounds(check.limit),
                against_stable: Limits::bounds(check.against_stable),
                // The request takes at most 100.
                points: u32::try_from(check.points).unwrap_or(u32::MAX),
                period: check.period,
                mode,
                alerts,
            })
        })
        .collect()
}

/// How long it takes until so many points of this length are known; without a length a minute. What it begins
/// with is somewhere within a period, which does not count.
pub(super) fn time_for(period: Option<Span>, points: u64) -> Span {
    period.unwrap_or(MINUTE).times(points.saturating_add(1)).plus(LAG)
}

/// As load balancers publish theirs.
const MINUTE: Span = Span::from_secs(60);

/// Warns of bakes in which a check cannot have all its points: the stage would be extended for
/// nothing else.
pub(super) fn short_bakes(request: &Request, plan: &Plan, findings: &mut Findings) {
    for (index, check) in plan.health.checks.iter().enumerate() {
        let Some(period) = check.period else { continue };
        if check.mode != CheckMode::Critical {
            continue;
        }
        let needed = time_for(Some(period), u64::from(check.points));
        let shortest = plan.stages.iter().enumerate().min_by_key(|(_, stage)| stage.bake);
        let Some((stage, bake)) = shortest.map(|(stage, found)| (stage, found.bake)) else {
            continue;
        };
        if bake < needed {
            findings.warning(
                format!("$.health.checks[{index}]"),
                format!(
                    "`{}` needs up to {needed} for {} points of {period}, and stage {} bakes {bake}",
                    check.name,
                    check.points,
                    stage + 1
                ),
                format!(
                    "bake for {needed} (`{}`), or ask for fewer points",
                    request.strategy.bake_path(stage)
                ),
            );
        }
    }
}
