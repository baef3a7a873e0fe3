//! What is told of a deployment from outside its steps, whatever its phase: a transition that moves
//! nothing.

use super::write::RegistryWrite;
use crate::record::{Deployment, Event, Notice};
use crate::time::Timestamp;

/// Adds an entry to the timeline. It revises the deployment, since its entries are numbered there.
pub fn tell(
    deployment: &Deployment,
    event: Event,
    now: Timestamp,
) -> (Deployment, Vec<RegistryWrite>) {
    let mut told = deployment.revised(now, deployment.next_due_at);
    let notice = notice(&mut told, now, event);
    let writes = vec![RegistryWrite::PutDeployment(Box::new(told.clone())), notice];
    (told, writes)
}

/// The next entry of the deployment's timeline.
pub(super) fn notice(deployment: &mut Deployment, at: Timestamp, event: Event) -> RegistryWrite {
    deployment.notices += 1;
    RegistryWrite::Notice(Box::new(Notice {
        deployment: deployment.id.clone(),
        sequence: deployment.notices,
        at,
        event,
    }))
}

/// The same, unless the last thing that was told is of the same kind: its numbers change with every
/// look, and nobody wants to hear each.
pub(super) fn tell_once(
    deployment: &mut Deployment,
    at: Timestamp,
    event: Event,
) -> Option<RegistryWrite> {
    let before = deployment.progress.told.replace(event.clone());
    if before.is_some_and(|told| told.name() == event.name()) {
        return None;
    }
    Some(notice(deployment, at, event))
}
