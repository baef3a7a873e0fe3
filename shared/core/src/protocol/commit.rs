//! The end of a success. After the commit alarms change nothing, and a deployment that nobody
//! carries is completed forward, never rolled back onto a slot that is being retired.

use super::refused::Refused;
use super::release::{release_locks, unbind};
use super::telling::notice;
use super::write::RegistryWrite;
use crate::ids::IntentId;
use crate::record::{AlarmItem, Deployment, Event, Intent, Outcome, Phase, Purpose, Retirement};
use crate::time::{Span, Timestamp};

/// Commits: requires what a forward write requires, and that nothing of anybody may still land.
///
/// `alarms` are the deployment's bound alarms as they were read.
pub fn commit(
    deployment: &Deployment,
    alarms: &[AlarmItem],
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    deployment.require_idle(now)?;
    if let Some(alarm) = alarms.iter().find(|alarm| !alarm.quiet_since(deployment.started_at)) {
        return Err(Refused::Fired(alarm.arn.clone()));
    }
    if let Some(until) = alarms.iter().filter_map(|alarm| alarm.all_dead_at(now)).max() {
        return Err(Refused::Busy { until });
    }
    let mut committed = deployment.revised(now, next_due_at);
    committed.phase = Phase::Committed;
    committed.gate = None;
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(committed.clone()))];
    // The condition of each is the alarm's revision, which a firing would have changed.
    writes.extend(unbind(deployment, alarms, now));
    Ok((committed, writes))
}

/// Claims the write that removes the old slot's group from sticky routes.
pub fn claim_detach(
    deployment: &Deployment,
    id: &IntentId,
    lifetime: Span,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Intent, Vec<RegistryWrite>), Refused> {
    require_committed(deployment)?;
    deployment.require_idle(now)?;
    let intent = Intent::new(Purpose::Detach, now, lifetime);
    let mut claimed = deployment.revised(now, next_due_at);
    claimed.intents.insert(id.clone(), intent.clone());
    Ok((intent, vec![RegistryWrite::PutDeployment(Box::new(claimed))]))
}

fn require_committed(deployment: &Deployment) -> Result<(), Refused> {
    match deployment.phase {
        Phase::Committed => Ok(()),
        Phase::Open | Phase::RollingBack | Phase::Held | Phase::Closed(_) => {
            Err(Refused::NotOpen(deployment.phase))
        }
    }
}

/// Unlocks a committed deployment: the old slot's retirement becomes due, the one terminal notice
/// is written.
pub fn finish(
    deployment: &Deployment,
    retirement: Retirement,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    require_committed(deployment)?;
    deployment.require_idle(now)?;
    let mut finished = deployment.revised(now, now);
    finished.phase = Phase::Closed(Outcome::Succeeded);
    finished.begin_validation(Outcome::Succeeded, now);
    let told = notice(&mut finished, now, Event::Succeeded);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(finished.clone())), told];
    writes.push(RegistryWrite::CreateRetirement(Box::new(retirement)));
    writes.extend(release_locks(deployment, Outcome::Succeeded, now));
    Ok((finished, writes))
}
