//! What every end of a deployment lets go of.

use super::write::RegistryWrite;
use crate::record::{AlarmItem, Deployment, LockKey};
use crate::time::Timestamp;

/// The keys that a deployment must release when it ends.
pub(super) fn release_locks(deployment: &Deployment) -> impl Iterator<Item = RegistryWrite> {
    let id = deployment.id.clone();
    LockKey::of(&deployment.plan)
        .into_iter()
        .map(move |key| RegistryWrite::ReleaseLock { key, deployment: id.clone() })
}

/// How many dead intents one write removes; an item never has many, and an expression has its limit.
const SWEPT: usize = 50;

/// Removes every binding, on the condition that no rollback has touched the alarm since it was read.
/// So nobody can have claimed anything since, and what was dead then may go as well.
pub(super) fn unbind(
    deployment: &Deployment,
    alarms: &[AlarmItem],
    now: Timestamp,
) -> impl Iterator<Item = RegistryWrite> {
    alarms.iter().map(move |alarm| RegistryWrite::Unbind {
        alarm: alarm.arn.clone(),
        deployment: deployment.id.clone(),
        expected: alarm.revision,
        dead: alarm.dead(now).take(SWEPT).cloned().collect(),
    })
}
