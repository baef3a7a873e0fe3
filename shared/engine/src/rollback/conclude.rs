//! The rest of a rollback, once traffic is safe: wait until nothing can land any more, read back
//! for the last time, take the canary's tasks away, record the end and unlock.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::protocol::{Goal, NextStep, Refused, Reply, claim_scale_in, close};
use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_core::route::{Role, RouteActions};
use glidepath_core::time::{Span, Timestamp};

use crate::attempt::{Patience, Urgency, attempt};
use crate::claim::Claim;
use crate::pace::FORWARD_LIFETIME;
use crate::ports::{Clock, Committed, Containers, LoadBalancer, Ports, Registry, ScaleTo, Scaling};
use crate::transition::{Stop, load};
use crate::{Ambient, failed, routes, scaling};

/// Goes on as far as it can without waiting.
pub(super) async fn conclude<P>(ports: &P, deployment: &Deployment) -> Result<Reply, Stop>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Ambient,
        >,
{
    let (registry, ambient) = (ports.registry(), ports.ambient());
    let id = &deployment.id;
    let again = |wait: Span, summary: &str| {
        Reply::new(id, NextStep::Rollback, summary).after(wait.max(Span::from_secs(1)))
    };
    let now = ambient.now();

    // Everybody else's writes must be dead before the last read-back means anything.
    let deployment = load(ports, id).await?;
    let alarms = registry.alarms(&deployment.alarms).await.map_err(|error| failed(&error))?;
    if let Some(until) = deployment.may_land_until(&alarms, now) {
        return Ok(again(until.since(now), "traffic is on stable; a late write may still land"));
    }

    if astray(ports, &deployment).await?.is_some() {
        // The next turn fences anew, which claims the write, and writes again.
        return Ok(again(Span::from_secs(1), "a route was changed again; it is written again"));
    }

    if let Some(drained_at) = deployment.drains_until(now) {
        return Ok(again(drained_at.since(now), "traffic is on stable; canary tasks drain"));
    }
    let written = match hand_back(ports, &deployment).await {
        Ok(Stable::LeftWith { written }) => written,
        Ok(Stable::HeldUntil(from)) => {
            let wait = from.since(ambient.now());
            return Ok(again(
                wait,
                "traffic is on stable; its alarms still speak of the time before",
            ));
        }
        Err(Stop::Refused(Refused::Busy { until })) => {
            return Ok(again(until.since(ambient.now()), "another write may still land"));
        }
        Err(stop) => return Err(stop),
    };

    match end(ports, &deployment, written).await {
        // Its answer is the end.
        Ok(ended) if ended.validates().is_some() => {
            let summary = "everything is on stable, which is asked whether it is as good as it was";
            Ok(Reply::new(id, NextStep::Validate, summary).telling(true))
        }
        Ok(ended) => Ok(Reply::new(id, NextStep::Failed, "everything is on stable")
            .telling(true)
            .failing(ended.reason())),
        Err(Stop::Refused(Refused::Busy { until })) => {
            Ok(again(until.since(ambient.now()), "another write may still land"))
        }
        Err(Stop::Refused(Refused::NotOpen(Phase::Closed(_)))) => {
            Ok(Reply::new(id, NextStep::Failed, "already ended").failing(deployment.reason()))
        }
        Err(stop) => Err(stop),
    }
}

/// The routes, if one is not as the rollback wrote it.
pub(super) async fn astray(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    deployment: &Deployment,
) -> Result<Option<Vec<Option<RouteActions>>>, Failure> {
    let observed = routes::read(ports, &deployment.plan.routes).await?;
    Ok(deployment.is_astray(&observed).then_some(observed))
}

/// The settings of stable.
enum Stable {
    /// It has those that it is left with, and whether they were written for it.
    LeftWith { written: bool },
    /// It has them back from this instant on.
    HeldUntil(Timestamp),
}

/// The canary becomes idle and loses its tasks, then stable has the settings back that it had.
async fn hand_back<P>(ports: &P, deployment: &Deployment) -> Result<Stable, Stop>
where
    P: Ports<Registry: Registry, Containers: Containers, Scaling: Scaling, Ambient: Ambient>,
{
    let roles = [Role::Canary, Role::Stable];
    let Some(present) = scaling::readable(ports, deployment, &roles).await? else {
        scale_in(ports, deployment).await?;
        return Ok(Stable::LeftWith { written: false });
    };
    // Before its tasks: a minimum would bring them back.
    scaling::bring(ports, deployment, present, Role::Canary, deployment.leaves_canary()).await?;
    scale_in(ports, deployment).await?;
    if deployment.progress.scaling.stable.pin.is_none() {
        return Ok(Stable::LeftWith { written: false });
    }
    if let Some(from) = deployment.scales_in_from(ports.ambient().now()) {
        return Ok(Stable::HeldUntil(from));
    }
    // Read anew: a schedule may have come since.
    if let Some(present) = scaling::readable(ports, deployment, &roles).await? {
        let written =
            scaling::bring(ports, deployment, present, Role::Stable, Goal::Serving).await?;
        return Ok(Stable::LeftWith { written });
    }
    Ok(Stable::LeftWith { written: false })
}

/// Takes the canary's tasks away, if there are any.
async fn scale_in<P>(ports: &P, deployment: &Deployment) -> Result<(), Stop>
where
    P: Ports<Registry: Registry, Containers: Containers, Ambient: Ambient>,
{
    let containers = ports.containers();
    let plan = &deployment.plan;
    let canary = &plan.canary.service;
    let Some(service) = containers.service(&plan.cluster, canary).await? else {
        return Ok(());
    };
    if !deployment.scales_in(&service) {
        return Ok(());
    }
    let claim = Claim::take(ports, &deployment.id, |deployment, own, now, due| {
        claim_scale_in(deployment, own, FORWARD_LIFETIME, now, due)
    })
    .await?;
    let to = ScaleTo { desired_count: 0, task_definition: None, force_new_deployment: false };
    let patience = Patience::Insist(Urgency::none(FORWARD_LIFETIME));
    let scale = || containers.scale(&plan.cluster, canary, &to);
    Ok(claim.after(attempt(ports, claim.intent(), patience, scale).await).await?.result?)
}

/// The one terminal record, the bindings and the locks, in one transaction, if stable has what it is left with.
async fn end<P>(ports: &P, deployment: &Deployment, written: bool) -> Result<Deployment, Stop>
where
    P: Ports<Registry: Registry, Ambient: Clock>,
{
    let registry = ports.registry();
    for _ in 0..ENDINGS {
        let alarms = registry.alarms(&deployment.alarms).await?;
        let current = load(ports, &deployment.id).await?;
        let (failure, now) = (current.reason(), ports.ambient().now());
        if !current.leaves_stable_as(deployment, written) {
            return Err(Stop::Refused(Refused::Busy { until: now }));
        }
        let (ended, writes) = close(&current, &alarms, failure, Outcome::RolledBack, now)?;
        match registry.commit(writes).await? {
            Committed::Yes => return Ok(ended),
            // An alarm or the deployment was written meanwhile: look again.
            Committed::Conflict => {}
        }
    }
    Err(Stop::Failed(Failure::new(FailureCode::Transient, "the end could not be recorded yet")))
}

/// How often the end is tried before the state machine's retry takes over.
const ENDINGS: u32 = 5;
