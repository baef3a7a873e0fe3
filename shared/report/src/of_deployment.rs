//! The report of a deployment, from its record and what was kept of its requests.

use glidepath_core::health::{Comparison, StoredCells};
use glidepath_core::record::{Deployment, Phase};

use crate::counted::{End, Report, StageName, Times, rows};

/// The report of a deployment; `outcome` says what it does now, in a few words.
pub fn report(deployment: &Deployment, stored: &StoredCells, outcome: String) -> Report {
    let plan = &deployment.plan;
    let (new, old) = (plan.task_definition.short(), plan.stable.task_definition.short());
    let cells: Vec<_> = stored.cells.iter().map(|stored| stored.cell).collect();
    // The plan's terms were tested when it was made.
    let comparison =
        stored.comparison.and_then(|terms| Comparison::planned(plan, &terms, &cells).ok());
    let lengths = stored.cells.iter().map(|stored| (stored.cell, stored.length));
    let rows = rows(lengths.collect(), comparison.as_ref());
    let shifts = stored.shifts.chunk_by(|one, other| one.stage == other.stage);
    let stages = shifts.filter_map(|shifts| shifts.first()).map(|shift| StageName {
        name: shift.stage.to_string(),
        weight: plan.stage(shift.stage).map(|stage| stage.weight.to_string()),
        from: shift.at,
    });
    let mut report = Report {
        subject: format!("{}: {new} replaces {old} of {}", deployment.id, plan.service),
        outcome,
        stages: stages.collect(),
        rows,
        times: Times::Clock,
        period: stored.period,
        comparison,
        limit: plan.health.bad_requests_limit,
        minimum_requests: plan.health.minimum_requests,
        slower_than: stored.slower_than,
        end: None,
    };
    if let Some(fence) = &deployment.fence {
        let at = report.when(fence.at);
        let begun = match deployment.phase {
            Phase::Closed(_) => "rolled back",
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => "rolls back since",
        };
        report.outcome = format!("{begun} at {at}, {}", fence.failure.code);
        report.end = Some(End { at: fence.at, words: format!("{begun}, {}", fence.failure.code) });
    }
    report
}
