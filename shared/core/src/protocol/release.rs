//! What every end of a deployment lets go of.

use super::write::RegistryWrite;
use crate::record::{AlarmItem, Deployment, LockKey, LockKind, Outcome, QuarantineChange};
use crate::time::Timestamp;

/// The keys that a deployment must release when it ends, and what its end says of its versions.
pub(super) fn release_locks(
    deployment: &Deployment,
    outcome: Outcome,
    now: Timestamp,
) -> impl Iterator<Item = RegistryWrite> {
    let id = deployment.id.clone();
    let change = QuarantineChange::at_end(deployment, outcome, now);
    LockKey::of(&deployment.plan).into_iter().map(move |key| {
        let quarantine = match key.kind() {
            LockKind::Service => change.clone(),
            LockKind::Route | LockKind::Group => QuarantineChange::default(),
        };
        RegistryWrite::ReleaseLock { key, deployment: id.clone(), quarantine }
    })
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
