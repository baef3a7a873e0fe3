//! The end of a success: commit, hand over, unlock; and later the retirement of the old slot.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::RoutePlan;
use glidepath_core::protocol::{
    Goal, NextStep, Refused, Reply, Unfitting, claim_detach, claim_retirement, commit, finish,
    finish_retirement, postpone_retirement, tell_of_scaling,
};
use glidepath_core::record::{Deployment, Event, Intent, LockKey, Outcome, Phase, Retirement};
use glidepath_core::route::{Role, RouteActions};
use glidepath_core::time::Span;
use serde::Deserialize;

use crate::attempt::{Patience, Urgency, attempt};
use crate::claim::Claim;
use crate::pace::{self, FORWARD_LIFETIME, RESTORE_LIFETIME, overdue};
use crate::ports::{
    Clock, Committed, Containers, LoadBalancer, Ports, Registry, ScaleTo, Scaling, TargetGroups,
};
use crate::transition::{Stop, load, refusal, require_unfenced, transition};
use crate::{Ambient, failed, routes, scaling};

/// What is to be completed.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Named")]
pub enum CompleteInput {
    /// A deployment whose last bake is over, or that has committed.
    Deployment(DeploymentId),
    /// An old slot whose retention is over, by the key of its lock.
    Retirement(LockKey),
}

/// The input as it is handed over: one of these, and whatever a newer definition says besides.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    deployment: Option<DeploymentId>,
    #[serde(default)]
    retirement: Option<LockKey>,
}

impl TryFrom<Named> for CompleteInput {
    type Error = &'static str;

    fn try_from(named: Named) -> Result<Self, Self::Error> {
        match (named.deployment, named.retirement) {
            (Some(deployment), None) => Ok(Self::Deployment(deployment)),
            (None, Some(key)) => Ok(Self::Retirement(key)),
            (Some(_), Some(_)) | (None, None) => Err("either `deployment` or `retirement`"),
        }
    }
}

/// How often the commit is tried while others write.
const COMMITS: u32 = 5;

/// A retirement whose slot carries weight is looked at again after this.
const POSTPONED: Span = Span::from_secs(3600);

/// Commits, hands over and unlocks, as far as it can without waiting.
pub async fn run<P>(ports: &P, id: &DeploymentId) -> Result<Reply, Failure>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Scaling: Scaling, Ambient: Ambient>,
{
    let completion = Completion { ports, id };
    match completion.go().await {
        Ok(reply) => Ok(reply),
        Err(Stop::Refused(Refused::Busy { until })) => {
            let wait = until.since(ports.ambient().now()).max(Span::from_secs(1));
            Ok(Reply::new(id, NextStep::Complete, "another write may still land").after(wait))
        }
        // A look holds it from then on.
        Err(Stop::Refused(Refused::Paused(summary))) => {
            Ok(Reply::new(id, NextStep::Gate, summary).after(Span::from_secs(1)))
        }
        Err(stop) => Err(stop.into()),
    }
}

struct Completion<'a, P> {
    ports: &'a P,
    id: &'a DeploymentId,
}

impl<P> Completion<'_, P>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Scaling: Scaling, Ambient: Ambient>,
{
    async fn go(&self) -> Result<Reply, Stop> {
        let deployment = load(self.ports, self.id).await?;
        let committed = match deployment.phase {
            Phase::Open => match deployment.catches_up(self.ports.ambient().now()) {
                Some(wait) => {
                    let summary = "alarms of the new version still speak of the time before it had the \
                                   traffic";
                    return Ok(Reply::new(self.id, NextStep::Gate, summary).after(wait));
                }
                None => self.commit().await?,
            },
            Phase::Committed => deployment,
            Phase::Closed(Outcome::Succeeded) => {
                let asks = deployment.validates().is_some();
                let next = if asks { NextStep::Validate } else { NextStep::Succeeded };
                return Ok(Reply::new(self.id, next, "already succeeded"));
            }
            Phase::RollingBack
            | Phase::Held
            | Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
                return Err(Stop::Refused(Refused::NotOpen(deployment.phase)));
            }
        };
        if committed.detaches() {
            self.detach(&committed).await?;
        }
        if committed.plan.is_scaled() {
            let roles = [Role::Stable, Role::Canary];
            if let Some(present) = scaling::readable(self.ports, &committed, &roles).await? {
                // What somebody has set on the old slot since the last look goes over to the new one.
                let held = Goal::Held(committed.needed());
                scaling::bring(self.ports, &committed, present, Role::Stable, held).await?;
                let committed = load(self.ports, self.id).await?;
                scaling::bring(self.ports, &committed, present, Role::Canary, Goal::Serving)
                    .await?;
            }
        }
        let finished = transition(self.ports, self.id, |deployment| {
            let now = self.ports.ambient().now();
            finish(deployment, Retirement::after(deployment, now), now)
        })
        .await?;
        let summary = format!("the canary on {} is stable now", committed.plan.canary.slot);
        if finished.validates().is_some() {
            let reply = Reply::new(self.id, NextStep::Validate, summary).telling(true);
            return Ok(reply.after(finished.spreads(Outcome::Succeeded)));
        }
        Ok(Reply::new(self.id, NextStep::Succeeded, summary).telling(true))
    }

    /// The last read-back comes after nothing of anybody can land any more, and the commit requires
    /// that nobody wrote since.
    async fn commit(&self) -> Result<Deployment, Stop> {
        for _ in 0..COMMITS {
            let deployment = load(self.ports, self.id).await?;
            let alarms = self.ports.registry().alarms(&deployment.alarms).await?;
            let now = self.ports.ambient().now();
            let due = overdue(&deployment.plan, now, Span::ZERO);
            let (committed, writes) = commit(&deployment, &alarms, now, due)?;
            let observed = routes::read(self.ports, &deployment.plan.routes).await?;
            match deployment.fits(&observed) {
                Ok(()) => {}
                Err(Unfitting::Foreign(failure)) => {
                    require_unfenced(self.ports, self.id).await?;
                    return Err(Stop::Failed(failure));
                }
                Err(Unfitting::Shared(failure)) => return Err(Stop::Failed(failure)),
            }
            match self.ports.registry().commit(writes).await? {
                Committed::Yes => return Ok(committed),
                Committed::Conflict => {}
            }
        }
        Err(Stop::Failed(Failure::new(FailureCode::Transient, "others write all the time")))
    }

    /// Cookies outrank weights: the old slot's group leaves every sticky route before its tasks go.
    async fn detach(&self, committed: &Deployment) -> Result<(), Stop> {
        let observed = routes::read(self.ports, &committed.plan.routes).await?;
        let wanted: Vec<(&RoutePlan, RouteActions)> = committed
            .plan
            .routes
            .iter()
            .zip(observed)
            .filter_map(|(route, observed)| {
                let observed = observed?;
                let detached = route.handed_over(&observed);
                (detached != observed).then_some((route, detached))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let claim = Claim::take(self.ports, self.id, |deployment, own, now, due| {
            claim_detach(deployment, own, RESTORE_LIFETIME, now, due)
        })
        .await?;
        let attempted = routes::write(self.ports, claim.intent(), Patience::GiveWay, &wanted).await;
        Ok(claim.after(attempted).await?.result?)
    }
}

/// What became of an old slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// Its tasks are gone.
    Yes,
    /// There is nothing to retire under this key, or a deployment has taken the slot.
    NotDue,
    /// It carries weight; it is looked at again later.
    Postponed,
}

/// Takes the tasks of an old slot away, if its time has come and nothing is routed to it.
pub async fn retire<P>(ports: &P, key: &LockKey) -> Result<Retired, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer + TargetGroups,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Ambient,
        >,
{
    let (registry, ambient) = (ports.registry(), ports.ambient());
    let retirement = registry.retirement(key).await.map_err(|error| failed(&error))?;
    let Some(retirement) = retirement.filter(|due| due.due_at <= ambient.now()) else {
        return Ok(Retired::NotDue);
    };
    let now = ambient.now();
    let deployment = load(ports, &retirement.deployment).await?;
    if let Some(why) = in_use(ports, &retirement).await? {
        let writes = postpone_retirement(&retirement, &deployment, why, now, now + POSTPONED);
        registry.commit(writes).await.map_err(|error| failed(&error))?;
        return Ok(Retired::Postponed);
    }
    let locks = registry.locks(std::slice::from_ref(key)).await.map_err(|error| failed(&error))?;
    let Some(lock) = locks.into_iter().next() else { return Ok(Retired::NotDue) };
    let own = pace::intent_id(ambient);
    let (claimed, writes) = match claim_retirement(&retirement, &lock, &own, FORWARD_LIFETIME, now)
    {
        Ok(claimed) => claimed,
        // A deployment will consume it, or another sweep is at it.
        Err(Refused::InUse(_) | Refused::Busy { .. }) => return Ok(Retired::NotDue),
        Err(refused) => return Err(refusal(&refused)),
    };
    match registry.commit(writes).await.map_err(|error| failed(&error))? {
        Committed::Yes => {}
        Committed::Conflict => return Ok(Retired::NotDue),
    }
    let Some((_, intent)) = &claimed.intent else { return Ok(Retired::NotDue) };
    if !lie_idle(ports, &claimed, intent).await? {
        return Ok(Retired::NotDue);
    }
    let to = ScaleTo { desired_count: 0, task_definition: None, force_new_deployment: false };
    let patience = Patience::Insist(Urgency::none(FORWARD_LIFETIME));
    let attempted = attempt(ports, intent, patience, || {
        ports.containers().scale(&claimed.cluster, &claimed.service, &to)
    })
    .await;
    attempted.result.map_err(|error| failed(&error))?;
    if !attempted.clean {
        // An unanswered attempt may still land: the entry stays until it cannot any more.
        return Ok(Retired::NotDue);
    }
    for _ in 0..COMMITS {
        let deployment = load(ports, &claimed.deployment).await?;
        let writes = finish_retirement(&claimed, &deployment, ambient.now());
        match registry.commit(writes).await.map_err(|error| failed(&error))? {
            Committed::Yes => return Ok(Retired::Yes),
            Committed::Conflict => {}
        }
    }
    Err(Failure::new(FailureCode::Transient, "the retirement could not be recorded yet"))
}

/// Lets nothing wake the slot any more, before its tasks go: a minimum would bring them back. `false` if a write
/// may still land. What AWS refuses is told, and the tasks go all the same.
async fn lie_idle<P>(ports: &P, retirement: &Retirement, intent: &Intent) -> Result<bool, Failure>
where
    P: Ports<Registry: Registry, Scaling: Scaling, Ambient: Ambient>,
{
    if !retirement.scaled {
        return Ok(true);
    }
    let (cluster, service) = (&retirement.cluster, &retirement.service);
    let found = ports.scaling().scalable_targets(cluster, &[service]).await;
    let error = match found.map(|found| found.into_iter().next().flatten()) {
        Ok(None) => return Ok(true),
        Ok(Some(present)) if present == present.idle() => return Ok(true),
        Ok(Some(present)) => {
            let idle = present.idle();
            let patience = Patience::Insist(Urgency::none(FORWARD_LIFETIME));
            let set = || ports.scaling().set_scalable_target(cluster, service, &idle);
            let attempted = attempt(ports, intent, patience, set).await;
            match attempted.result {
                Ok(()) => return Ok(attempted.clean),
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    if error.may_pass() {
        return Err(failed(&error));
    }
    transition(ports, &retirement.deployment, |deployment| {
        let Some(found) = deployment.plan.stable.scaling else { return Ok(((), Vec::new())) };
        let (why, now) = (error.to_string(), ports.ambient().now());
        let slot = (Role::Stable, Goal::Idle);
        let (_, writes) = tell_of_scaling(deployment, slot, found.idle(), why, now);
        Ok(((), writes))
    })
    .await?;
    Ok(true)
}

/// What still sends requests to the slot: its own routes, or rules that nobody has listed. Whoever has
/// no tasks answers nobody.
async fn in_use(
    ports: &impl Ports<LoadBalancer: LoadBalancer + TargetGroups, Containers: Containers>,
    retirement: &Retirement,
) -> Result<Option<Event>, Failure> {
    let load_balancer = ports.load_balancer();
    let wanted: Vec<_> = retirement.routes.iter().map(|(route, _)| route.clone()).collect();
    let found = load_balancer.routes(&wanted).await.map_err(|error| failed(&error))?;
    if retirement.carries(&found) {
        return Ok(Some(Event::RetirementPostponed));
    }
    // A rule that nobody has listed may have groups of its own for the same tasks.
    let service = ports.containers().service(&retirement.cluster, &retirement.service).await;
    let service = service.map_err(|error| failed(&error))?;
    let mut groups: Vec<_> = retirement.routes.iter().map(|(_, group)| group.clone()).collect();
    groups.extend(service.iter().flat_map(|service| service.groups().cloned()));
    groups.sort_unstable();
    groups.dedup();
    let reaching =
        load_balancer.reaching(&wanted, &groups).await.map_err(|error| failed(&error))?;
    let by: Vec<_> = reaching.into_iter().map(|reaching| reaching.route).collect();
    Ok((!by.is_empty()).then_some(Event::StillReached { by }))
}
