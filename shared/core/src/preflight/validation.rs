//! What is asked once everything is back, as the plan holds it.

use super::{checks, probes};
use crate::document::Findings;
use crate::plan::{CheckMode, Hook, LifecycleStage, Plan, SlotValidation, Validation};
use crate::request::ValidationRequest;
use crate::route::Role;

/// Warns of checks that cannot have all their points in time: they would never be known.
pub(super) fn too_short(asked: &ValidationRequest, findings: &mut Findings) {
    for (index, check) in asked.checks.iter().enumerate() {
        let needed = checks::time_for(check.period, check.points);
        if check.mode.mode().0 == CheckMode::Critical && asked.within < needed {
            let hint = if needed > ValidationRequest::LONGEST {
                "ask for fewer points, or points of a shorter time".to_owned()
            } else {
                format!("write `within: {needed}` or more, or ask for fewer points")
            };
            findings.warning(
                format!("$.rollback.validate.checks[{index}]"),
                format!(
                    "`{}` needs up to {needed} for {} points, and is asked for {}: it will be told as not \
                     known",
                    check.name, check.points, asked.within
                ),
                hint,
            );
        }
    }
}

/// What a plan that is complete but for it asks then.
pub(super) fn resolve(asked: &ValidationRequest, plan: &Plan) -> Validation {
    let of = |role| SlotValidation {
        probes: probes::resolve(&asked.probes, plan, role),
        checks: checks::resolve(&asked.checks, plan, (role, role)),
    };
    let hooks = asked.hooks.iter().map(|hook| Hook {
        function: hook.function.clone(),
        stages: vec![LifecycleStage::Rollback],
        details: hook.details.clone(),
    });
    Validation {
        stable: of(Role::Stable),
        canary: of(Role::Canary),
        hooks: hooks.collect(),
        within: asked.within,
    }
}
