//! What is asked once everything is back, as the plan holds it.

use super::{checks, probes};
use crate::plan::{Hook, LifecycleStage, Plan, SlotValidation, Validation};
use crate::request::ValidationRequest;
use crate::route::Role;

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
