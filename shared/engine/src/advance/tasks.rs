//! The canary's tasks: asked for, waited for, and, where they do not come, why, in AWS's own words.

use futures_util::future::{join, join3};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::StoppedTask;
use glidepath_core::protocol::{Goal, Readiness, Tasks, claim_forward, crashes, record_digests};
use glidepath_core::record::{Digests, Intent, LockKey, Purpose};
use glidepath_core::route::Role;

use super::Turn;
use crate::attempt::{Patience, attempt};
use crate::claim::Claim;
use crate::pace::{self, FORWARD_LIFETIME, overdue};
use crate::ports::{
    Clock, Containers, EcsService, LoadBalancer, PortResult, Ports, Registry, ScaleTo, Scaling,
};
use crate::transition::{Stop, transition};
use crate::{Ambient, scaling, targets};

impl<P> Turn<'_, P>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Ambient,
        >,
{
    /// Brings version and number of the canary's tasks to what the stage needs.
    pub(super) async fn bring_up(&self) -> Result<Readiness, Stop> {
        Ok(self.lacks().await?.map_or(Readiness::Ready, Readiness::Lacks))
    }

    /// What is still missing of them, after whatever could be done about it.
    async fn lacks(&self) -> Result<Option<String>, Stop> {
        let since = self.since;
        let plan = &self.deployment.plan;
        let canary = &plan.canary.service;
        let services = [canary, &plan.stable.service];
        let mut found =
            self.ports.containers().services(&plan.cluster, &services).await?.into_iter();
        let (service, stable) = (found.next().flatten(), found.next().flatten());
        let now = self.ports.ambient().now();
        if let Some(needed) = self.deployment.grows_to(stable.as_ref(), now) {
            self.grow(needed).await?;
            return Ok(Some(format!("all of the traffic needs {needed} tasks by now")));
        }
        let bounds = scaling::present(self.ports, plan).await;
        let bounds = scaling::unless_it_failed(&self.deployment, bounds.map_err(Stop::from))?;
        let all = Goal::Held(self.deployment.needed());
        if self.hold(bounds, Role::Stable, all).await? {
            return Ok(Some(format!("the bounds of `{}` are held", plan.stable.service)));
        }
        let wanted = self.deployment.canary_tasks(self.stage.weight);
        let tasks = self.deployment.tasks(self.stage.weight, service.as_ref());
        if matches!(tasks, Tasks::Starting(_) | Tasks::Running) {
            // Not before it has the version: a minimum starts tasks of whatever there is.
            if let Some(service) = &service {
                let present = bounds.and_then(|bounds| bounds.of(Role::Canary));
                let goal = self.deployment.hold_of_canary(self.stage.weight, present, service);
                self.hold(bounds, Role::Canary, goal).await?;
            }
        }
        let waiting = match tasks {
            Tasks::Ask(to) => {
                self.scale(&to).await?;
                return Ok(Some(format!(
                    "`{canary}` is asked for {} tasks of {}",
                    to.desired_count,
                    plan.task_definition.short()
                )));
            }
            Tasks::Starting(waiting) => waiting,
            Tasks::Running => match self.unhealthy(wanted).await? {
                Some(unhealthy) => unhealthy,
                None => return Ok(None),
            },
            Tasks::GivenUp(why) => {
                return Err(self.with_reason(why, service.as_ref()).await);
            }
            Tasks::Impossible(why) => return Err(failed_to_start(why)),
        };
        let running = service.as_ref().map_or(0, |service| service.running_count);
        if let Some(failure) = crashes(canary, &self.stopped_tasks().await?, running, wanted) {
            return Err(Stop::Failed(failure));
        }
        let obstacle = service.and_then(|service| service.obstacle(since));
        Ok(Some(match obstacle.filter(|_| running < wanted) {
            Some(obstacle) => format!("{waiting}: {obstacle}"),
            None => waiting,
        }))
    }

    /// Whether something was written. Where Application Auto Scaling cannot be asked, nothing waits for it: it
    /// takes minutes to scale in, and every look asks again.
    async fn hold(
        &self,
        bounds: Option<scaling::Present>,
        role: Role,
        goal: Goal,
    ) -> Result<bool, Stop> {
        let Some(bounds) = bounds else { return Ok(false) };
        let brought = scaling::bring(self.ports, &self.deployment, bounds, role, goal).await;
        Ok(scaling::unless_it_failed(&self.deployment, brought)?.unwrap_or(false))
    }

    async fn scale(&self, to: &ScaleTo) -> Result<(), Stop> {
        let plan = &self.deployment.plan;
        let read = &self.deployment;
        let claim = Claim::take(self.ports, &read.id, |deployment, own, now, due| {
            let asking = deployment.asking(to.desired_count);
            let intent = Intent::new(Purpose::Scale, now, FORWARD_LIFETIME);
            claim_forward(&asking, read, own, intent, now, due)
        })
        .await?;
        let attempted = attempt(self.ports, claim.intent(), Patience::GiveWay, || {
            self.ports.containers().scale(&plan.cluster, &plan.canary.service, to)
        })
        .await;
        Ok(claim.after(attempted).await?.result?)
    }

    /// What is missing on the first route that has too few healthy targets.
    async fn unhealthy(&self, wanted: u32) -> PortResult<Option<String>> {
        let routes = &self.deployment.plan.routes;
        let groups: Vec<_> = routes.iter().map(|route| route.group(Role::Canary)).collect();
        let looks = targets::health(self.ports, &groups).await;
        for (route, health) in routes.iter().zip(looks) {
            let health = health?;
            let lacks = route.lacks(health.healthy, wanted, health.sick.as_deref());
            if lacks.is_some() {
                return Ok(lacks);
            }
        }
        Ok(None)
    }

    /// What the tasks of both versions run, before the first request meets the new one; whether it is known. What
    /// ECS does not say, or lets nobody read, keeps nothing waiting.
    pub(super) async fn look_at_images(&self) -> Result<bool, Stop> {
        let (id, plan) = (&self.deployment.id, &self.deployment.plan);
        let containers = self.ports.containers();
        let keys = [Role::Canary, Role::Stable]
            .map(|role| LockKey::service(&plan.cluster, &plan.slot(role).service));
        let stable = &plan.stable;
        let looked = join3(
            containers.images(&plan.cluster, &plan.canary.service, &plan.task_definition),
            containers.images(&plan.cluster, &stable.service, &stable.task_definition),
            join(
                containers.service(&plan.cluster, &plan.canary.service),
                self.ports.registry().locks(&keys),
            ),
        );
        let (canary, stable, (service, locks)) = looked.await;
        let (canary, stable, service, locks) = match (canary, stable, service, locks) {
            (Ok(canary), Ok(stable), Ok(service), Ok(locks)) => (canary, stable, service, locks),
            (Err(error), _, _, _)
            | (_, Err(error), _, _)
            | (_, _, Err(error), _)
            | (_, _, _, Err(error)) => {
                tracing::warn!(deployment.id = %id, %error, "what the tasks run could not be read");
                return Ok(!error.may_pass());
            }
        };
        let found = Digests { canary, stable, retries: Vec::new() };
        let answers = service.iter().flat_map(|service| &service.target_groups);
        let answering = answers.filter_map(|group| Some(group.answers.as_ref()?.0.clone()));
        let quarantined: Vec<_> = locks.into_iter().flat_map(|lock| lock.quarantined).collect();
        let compared = self.deployment.compared(&found, &answering.collect(), &quarantined);
        let digests = compared.map_err(Stop::Failed)?;
        transition(self.ports, id, |deployment| {
            let now = self.ports.ambient().now();
            let due = overdue(&deployment.plan, now, pace::tick(deployment, now));
            record_digests(deployment, digests.clone(), now, due)
        })
        .await
        .map(|_| true)
    }

    /// Tasks of the new version that stopped by themselves, the newest last.
    async fn stopped_tasks(&self) -> PortResult<Vec<StoppedTask>> {
        let plan = &self.deployment.plan;
        let (service, version) = (&plan.canary.service, &plan.task_definition);
        self.ports.containers().stopped_tasks(&plan.cluster, service, version, self.since).await
    }

    /// A failure with why the newest task stopped, or why none could be placed: the circuit breaker's
    /// own words are always the same.
    async fn with_reason(&self, why: String, service: Option<&EcsService>) -> Stop {
        failed_to_start(match self.stopped_tasks().await.as_deref() {
            Ok([.., newest]) => format!("{why}; {}", newest.in_words()),
            Ok([]) => match service.and_then(|service| service.obstacle(self.since)) {
                Some(obstacle) if !why.contains(&obstacle) => format!("{why}; {obstacle}"),
                Some(_) | None => why,
            },
            Err(error) => format!("{why}; why its tasks stopped could not be read: {error}"),
        })
    }

    /// The failure of a canary whose time to settle is over. ECS says only that it waits for
    /// targets; the load balancer says why they are not healthy.
    pub(super) async fn not_ready(&self, waiting: &str) -> Stop {
        let plan = &self.deployment.plan;
        let cause = format!("the canary was not ready within {}: {waiting}", plan.settle_within);
        let cause = match self.unhealthy(self.deployment.canary_tasks(self.stage.weight)).await {
            Ok(Some(unhealthy)) if !waiting.contains(&unhealthy) => format!("{cause}; {unhealthy}"),
            Ok(Some(_) | None) => cause,
            Err(error) => format!("{cause}; the health of its targets could not be read: {error}"),
        };
        Stop::Failed(Failure::new(FailureCode::CanaryNotHealthy, cause))
    }
}

fn failed_to_start(cause: String) -> Stop {
    Stop::Failed(Failure::new(FailureCode::CanaryFailedToStart, cause))
}
