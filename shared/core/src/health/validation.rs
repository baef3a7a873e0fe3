//! Judges the version that serves once everything is back, by what the user has asked of it.

use super::checks::CheckReading;
use super::hooks::HookReading;
use super::probes::ProbeReading;
use super::verdict::Verdict;
use super::{checks, hooks, probes};
use crate::plan::Validation;
use crate::route::Role;

/// What one look after the end found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationReadings {
    pub checks: Vec<CheckReading>,
    pub hooks: Vec<HookReading>,
    pub probes: Vec<ProbeReading>,
}

/// Everything that was asked has a reason in it.
pub fn judge_validation(
    validation: &Validation,
    role: Role,
    readings: &ValidationReadings,
) -> Verdict {
    let slot = validation.of(role);
    let mut reasons = Vec::new();
    checks::judge(&slot.checks, &readings.checks, &mut reasons);
    hooks::judge(&validation.hooks, &readings.hooks, &mut reasons);
    probes::judge(&slot.probes, &readings.probes, &mut reasons);
    Verdict::of(reasons)
}
