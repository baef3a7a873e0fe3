//! What becomes of the old slot after a success: it keeps its tasks for the retention time, then loses
//! them, or the next deployment takes it over as its canary.

use super::refused::Refused;
use super::telling::{notice, tell_once};
use super::write::RegistryWrite;
use crate::ids::IntentId;
use crate::record::{Deployment, Event, Intent, Lock, Purpose, Retirement};
use crate::time::{Span, Timestamp};
use crate::world::FoundRoute;

impl Retirement {
    /// Consumes it: the next deployment takes the slot. Refused while its write may still land.
    pub fn consume(&self, now: Timestamp) -> Result<RegistryWrite, Refused> {
        if let Some((_, intent)) = self.intent.as_ref().filter(|(_, intent)| intent.lives(now)) {
            return Err(Refused::Busy { until: intent.dead_at() });
        }
        Ok(self.delete())
    }

    fn delete(&self) -> RegistryWrite {
        RegistryWrite::DeleteRetirement {
            service: self.service.clone(),
            key: self.key(),
            expected: self.revision,
        }
    }
}

impl Retirement {
    /// Whether one of its routes, in their order, still sends requests to the slot.
    pub fn carries(&self, found: &[FoundRoute]) -> bool {
        self.routes.iter().zip(found).any(|((_, group), found)| match found {
            FoundRoute::Found { actions, .. } => actions.forward().is_ok_and(|forward| {
                let mut groups = forward.groups().iter();
                groups.any(|entry| entry.group == *group && entry.weight.carries())
            }),
            // What cannot be read is not a reason to take tasks away.
            FoundRoute::Unsupported(_) => true,
            FoundRoute::DefaultRule | FoundRoute::Missing => false,
        })
    }
}

/// The retention is over for a person: the sweep takes the tasks away as if it had passed by itself, and the
/// deployment that left the slot behind tells who wanted it. `None`: it is doing so, or is about to.
pub fn hasten_retirement(
    retirement: &Retirement,
    deployment: &Deployment,
    by: &str,
    now: Timestamp,
) -> Option<Vec<RegistryWrite>> {
    if retirement.intent.as_ref().is_some_and(|(_, intent)| intent.lives(now)) {
        return None;
    }
    let was_due_at = retirement.due_at;
    if was_due_at <= now {
        return None;
    }
    let mut hastened = retirement.clone();
    hastened.revision = hastened.revision.next();
    hastened.due_at = now;
    let mut told = deployment.revised(now, deployment.next_due_at);
    let event = Event::RetirementHastened { by: by.to_owned(), was_due_at };
    let notice = notice(&mut told, now, event);
    let writes = [
        RegistryWrite::PutRetirement(Box::new(hastened)),
        RegistryWrite::PutDeployment(Box::new(told)),
        notice,
    ];
    Some(writes.into())
}

/// Claims the write that takes the tasks away, while nobody holds the slot.
pub fn claim_retirement(
    retirement: &Retirement,
    lock: &Lock,
    id: &IntentId,
    lifetime: Span,
    now: Timestamp,
) -> Result<(Retirement, Vec<RegistryWrite>), Refused> {
    if let Some((_, intent)) = retirement.intent.as_ref().filter(|(_, intent)| intent.lives(now)) {
        return Err(Refused::Busy { until: intent.dead_at() });
    }
    if lock.holder.is_some() {
        return Err(Refused::InUse(retirement.service.clone()));
    }
    let mut claimed = retirement.clone();
    claimed.revision = claimed.revision.next();
    let intent = Intent::new(Purpose::Retire, now, lifetime);
    // Until then another sweep has nothing to do here.
    claimed.due_at = intent.dead_at();
    claimed.intent = Some((id.clone(), intent));
    let writes = vec![
        RegistryWrite::PutRetirement(Box::new(claimed.clone())),
        RegistryWrite::RequireFree(lock.key.clone()),
    ];
    Ok((claimed, writes))
}

/// The tasks are gone; the deployment that left the slot behind tells of it.
pub fn finish_retirement(
    claimed: &Retirement,
    deployment: &Deployment,
    now: Timestamp,
) -> Vec<RegistryWrite> {
    let mut told = deployment.revised(now, deployment.next_due_at);
    let notice = notice(&mut told, now, Event::Retired);
    vec![claimed.delete(), RegistryWrite::PutDeployment(Box::new(told)), notice]
}

/// The slot has traffic although nobody deploys: it keeps its tasks, and somebody is told once.
pub fn postpone_retirement(
    retirement: &Retirement,
    deployment: &Deployment,
    why: Event,
    now: Timestamp,
    until: Timestamp,
) -> Vec<RegistryWrite> {
    let mut postponed = retirement.clone();
    postponed.revision = postponed.revision.next();
    postponed.due_at = until;
    let mut told = deployment.revised(now, deployment.next_due_at);
    let mut writes = vec![RegistryWrite::PutRetirement(Box::new(postponed))];
    if let Some(notice) = tell_once(&mut told, now, why) {
        writes.push(RegistryWrite::PutDeployment(Box::new(told)));
        writes.push(notice);
    }
    writes
}
