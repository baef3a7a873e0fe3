//! Registered targets by state.

use aws_sdk_elasticloadbalancingv2::types::{
    TargetHealth as Described, TargetHealthDescription, TargetHealthReasonEnum,
    TargetHealthStateEnum,
};
use glidepath_engine::ports::TargetHealth;

pub(super) fn count(described: &[TargetHealthDescription]) -> TargetHealth {
    let mut health = TargetHealth::default();
    // Of a target that only starts, unless another one is sick.
    let mut starting = None;
    for target in described.iter().filter_map(TargetHealthDescription::target_health) {
        let not_in_use = target.reason() == Some(&TargetHealthReasonEnum::NotInUse);
        match target.state() {
            Some(TargetHealthStateEnum::Healthy) => health.healthy += 1,
            Some(TargetHealthStateEnum::Unused) if not_in_use => health.unused += 1,
            Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining) => {}
            Some(TargetHealthStateEnum::Unhealthy) => {
                health.other += 1;
                health.sick = health.sick.or_else(|| reason(target));
            }
            // Initial, unavailable, unused for another reason, and states of the future.
            Some(_) | None => {
                health.other += 1;
                starting = starting.or_else(|| reason(target));
            }
        }
    }
    health.sick = health.sick.or(starting);
    health
}

/// `Target.ResponseCodeMismatch: Health checks failed with these codes: [502]`.
fn reason(target: &Described) -> Option<String> {
    let code = target.reason().map(TargetHealthReasonEnum::as_str);
    match (code, target.description()) {
        (Some(code), Some(description)) => Some(format!("{code}: {description}")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}
