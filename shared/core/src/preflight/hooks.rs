//! Functions of the user's own, as the plan holds them.

use crate::document::Findings;
use crate::plan::{Hook, LifecycleStage, Plan};
use crate::request::Request;

pub(super) fn resolve(request: &Request) -> Vec<Hook> {
    let hooks = request.health.hooks.iter();
    hooks
        .map(|hook| Hook {
            function: hook.function.clone(),
            stages: hook.stages.clone(),
            details: hook.details.clone(),
        })
        .collect()
}

/// Refuses a hook that no stage would ask: it would seem to have agreed.
pub(super) fn never_asked(plan: &Plan, findings: &mut Findings) {
    for (index, hook) in plan.health.hooks.iter().enumerate() {
        for (place, at) in hook.stages.iter().enumerate() {
            if plan.stages.iter().any(|stage| at.is_at(stage.weight)) {
                continue;
            }
            let hint = match at {
                LifecycleStage::PostScaleUp => "begin with a stage of weight 0, or name another",
                LifecycleStage::ProductionTrafficShift
                | LifecycleStage::PostProductionTrafficShift => "end with a stage of weight 100",
                LifecycleStage::Rollback => "name it in $.rollback.validate.hooks",
            };
            findings.error(
                format!("$.health.hooks[{index}].stages[{place}]"),
                format!("no stage of this deployment is {}", at.name()),
                hint,
            );
        }
    }
}
