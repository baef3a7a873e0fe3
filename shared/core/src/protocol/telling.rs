//! What is told of a deployment from outside its steps, whatever its phase: a transition that moves
//! nothing.

use super::deployment::Deployment;
use super::forward::notice;
use super::write::RegistryWrite;
use crate::notice::Event;
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
