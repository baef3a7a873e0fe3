//! Transitions of a rollback. The fence itself is one update, so that the route can follow in the
//! second round trip; the registry's adapter writes it as such, with the condition of [`fence`].

use serde::{Deserialize, Serialize};

use super::alarm::AlarmItem;
use super::deployment::{Deployment, Outcome, Phase, Refused};
use super::forward::{notice, release_locks};
use super::intent::Intent;
use super::write::RegistryWrite;
use crate::failure::Failure;
use crate::ids::{AlarmArn, IntentId};
use crate::notice::Event;
use crate::time::Timestamp;

/// Why a rollback began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    /// Who closed it.
    pub trigger: FenceTrigger,
    /// How the deployment will fail.
    pub failure: Failure,
    /// When.
    pub at: Timestamp,
}

/// Who closes a fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FenceTrigger {
    /// An alarm that fired.
    Alarm(AlarmArn),
    /// The deployment's own state machine, after a failure.
    StateMachine,
    /// A person.
    Operator(String),
    /// The sweep, for a deployment that nobody carries any more.
    Sweep,
}

/// Closes the fence of a deployment and registers the rollback's intent. The first reason stays.
/// `None` if the deployment has committed or ended: then nothing is written.
#[must_use]
pub fn fence(
    deployment: &Deployment,
    fence: &Fence,
    id: &IntentId,
    intent: &Intent,
) -> Option<Deployment> {
    match deployment.phase {
        Phase::Open | Phase::RollingBack | Phase::Held => {}
        Phase::Committed | Phase::Closed(_) => return None,
    }
    let mut fenced = deployment.clone();
    fenced.revision = fenced.revision.next();
    fenced.phase = Phase::RollingBack;
    fenced.fence.get_or_insert_with(|| fence.clone());
    fenced.intents.insert(id.clone(), intent.clone());
    Some(fenced)
}

/// Whether a write towards stable is still this deployment's to make. Held: traffic must stay.
pub fn may_restore(deployment: &Deployment) -> bool {
    match deployment.phase {
        Phase::RollingBack => true,
        Phase::Open | Phase::Held | Phase::Committed | Phase::Closed(_) => false,
    }
}

/// Stable has no healthy target: weights and canary stay as they are, and somebody is paged, once.
pub fn hold(
    deployment: &Deployment,
    own: &IntentId,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    if !may_restore(deployment) {
        return Err(Refused::NotOpen(deployment.phase));
    }
    let mut held = deployment.revised(now, next_due_at);
    held.phase = Phase::Held;
    held.intents.remove(own);
    let text = "held".to_owned();
    let mut writes = Vec::new();
    if held.progress.told.as_ref() != Some(&text) {
        held.progress.told = Some(text);
        writes.push(notice(&mut held, now, Event::RollbackHeld));
    }
    writes.insert(0, RegistryWrite::PutDeployment(Box::new(held.clone())));
    Ok((held, writes))
}

/// Tells, once, that the routes are back on stable, and keeps the sweep away until `next_due_at`.
pub fn resume(
    deployment: &Deployment,
    own: Option<&IntentId>,
    event: Event,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    if !may_restore(deployment) {
        return Err(Refused::NotOpen(deployment.phase));
    }
    let mut resumed = deployment.revised(now, next_due_at);
    if let Some(own) = own {
        resumed.intents.remove(own);
    }
    let text = event.name().to_owned();
    let mut writes = Vec::new();
    if resumed.progress.told.as_ref() != Some(&text) {
        resumed.progress.told = Some(text);
        writes.push(notice(&mut resumed, now, event));
    }
    writes.insert(0, RegistryWrite::PutDeployment(Box::new(resumed.clone())));
    Ok((resumed, writes))
}

/// The end of a rollback: bindings gone, locks free, the one terminal notice written. Refused
/// while any write of the deployment, or of a rollback through one of its alarms, may still land.
///
/// `alarms` are the deployment's bound alarms as read after the routes were last read back.
pub fn close(
    deployment: &Deployment,
    alarms: &[AlarmItem],
    failure: Failure,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    let terminal = match (deployment.phase, outcome) {
        (Phase::RollingBack, Outcome::RolledBack) => Event::RolledBack { failure },
        // Nothing was written to the world, so nothing has to be restored.
        (Phase::Open, Outcome::Abandoned) => Event::Abandoned { failure },
        (
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_),
            Outcome::Succeeded | Outcome::RolledBack | Outcome::Abandoned,
        ) => return Err(Refused::NotOpen(deployment.phase)),
    };
    deployment.require_idle(now)?;
    if let Some(until) = alarms.iter().filter_map(|alarm| alarm.all_dead_at(now)).max() {
        return Err(Refused::Busy { until });
    }
    let mut closed = deployment.revised(now, now);
    closed.phase = Phase::Closed(outcome);
    closed.gate = None;
    let told = notice(&mut closed, now, terminal);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(closed.clone())), told];
    writes.extend(unbind(deployment, alarms));
    writes.extend(release_locks(deployment));
    Ok((closed, writes))
}

/// Removes every binding, on the condition that no rollback has touched the alarm since it was read.
pub(super) fn unbind(
    deployment: &Deployment,
    alarms: &[AlarmItem],
) -> impl Iterator<Item = RegistryWrite> {
    alarms.iter().map(|alarm| RegistryWrite::Unbind {
        alarm: alarm.arn.clone(),
        deployment: deployment.id.clone(),
        expected: alarm.revision,
    })
}
