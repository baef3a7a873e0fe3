//! A rollback that waits for stable asks ECS for the tasks that stable lacks: an autoscaler that saw no traffic
//! there has taken them away, and gives none back while each of the rest has no more than its own share.

use glidepath_core::protocol::{Refused, claim_reinforcement};
use glidepath_core::record::Deployment;

use crate::attempt::{Patience, Urgency, attempt};
use crate::claim::Claim;
use crate::pace::FORWARD_LIFETIME;
use crate::ports::{Containers, Ports, Registry, Scaling};
use crate::transition::Stop;
use crate::{Ambient, scaling};

/// What ECS was asked for, in words; `None` if it has been asked for enough. Whatever goes wrong here keeps
/// nothing of the traffic waiting: it is said, and the next turn asks again.
pub(super) async fn reinforce<P>(ports: &P, deployment: &Deployment) -> Option<String>
where
    P: Ports<Registry: Registry, Containers: Containers, Scaling: Scaling, Ambient: Ambient>,
{
    let service = &deployment.plan.stable.service;
    let asked = ask(ports, deployment).await;
    // A policy computes from the tasks that run, and would ask for fewer again.
    scaling::hold_stable(ports, deployment).await;
    match asked {
        Ok(None) => None,
        Ok(Some(tasks)) => Some(format!("`{service}` is asked for {tasks} tasks")),
        // Another rollback is further.
        Err(Stop::Refused(Refused::NotOpen(_))) => None,
        Err(stop) => {
            let why = glidepath_core::failure::Failure::from(stop).cause;
            Some(format!("`{service}` could not be asked for more tasks: {why}"))
        }
    }
}

async fn ask<P>(ports: &P, deployment: &Deployment) -> Result<Option<u32>, Stop>
where
    P: Ports<Registry: Registry, Containers: Containers, Ambient: Ambient>,
{
    let containers = ports.containers();
    let (cluster, service) = (&deployment.plan.cluster, &deployment.plan.stable.service);
    let found = containers.service(cluster, service).await?;
    let Some(to) = found.and_then(|found| deployment.reinforcement(&found)) else {
        return Ok(None);
    };
    let claim = Claim::take(ports, &deployment.id, |deployment, own, now, due| {
        claim_reinforcement(deployment, own, FORWARD_LIFETIME, now, due)
    })
    .await?;
    let patience = Patience::Insist(Urgency::none(FORWARD_LIFETIME));
    let scale = || containers.scale(cluster, service, &to);
    claim.after(attempt(ports, claim.intent(), patience, scale).await).await?.result?;
    Ok(Some(to.desired_count))
}
