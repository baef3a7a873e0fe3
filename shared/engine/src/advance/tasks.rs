//! The canary's tasks: asked for, waited for, and, where they do not come, why, in AWS's own words.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::{STOPPED_TASKS_LIMIT, StoppedTask, TaskEnd};
use glidepath_core::protocol::Purpose;
use glidepath_core::route::Role;
use glidepath_core::time::Timestamp;

use super::Turn;
use crate::attempt::{Patience, attempt};
use crate::ports::{
    Containers, Driver, EcsService, LoadBalancer, PortResult, Registry, Rollout, ScaleTo,
};
use crate::transition::Stop;
use crate::{Ambient, targets};

/// ECS gives up on a service by itself only with a circuit breaker; this many tasks that failed to
/// start, with none running, are enough for us. It is the lowest threshold that ECS itself allows.
const FAILED_TASKS: u32 = 3;

impl<R, L, C, A> Turn<'_, R, L, C, A>
where
    R: Registry,
    L: LoadBalancer,
    C: Containers,
    A: Ambient,
{
    /// Brings version and number of the canary's tasks to what the stage needs. What is still
    /// missing, or `None` if every task is healthy.
    pub(super) async fn bring_up(&self, since: Timestamp) -> Result<Option<String>, Stop> {
        let plan = &self.deployment.plan;
        let canary = &plan.canary.service;
        let wanted = plan.canary_tasks(self.stage.weight);
        let Some(service) = self.containers.service(&plan.cluster, canary).await? else {
            return Err(failed_to_start(format!(
                "the ECS service `{canary}` does not exist any more"
            )));
        };
        if service.driver != Driver::Rolling {
            // What it is asked for now would begin a deployment that shifts traffic itself.
            return Err(failed_to_start(format!(
                "somebody has made `{canary}` a service that is not deployed by rolling updates of \
                 ECS any more"
            )));
        }
        if let Some(reason) = service.gave_up_on(&plan.task_definition, self.deployment.started_at)
        {
            let back = service.task_definition.short();
            let why = format!("ECS gave up on `{canary}` and went back to {back}: {reason}");
            return Err(self.with_reason(why, &service, since).await);
        }
        if let Some(to) = self.missing(&service, wanted) {
            self.scale(&to).await?;
            return Ok(Some(format!(
                "`{canary}` is asked for {wanted} tasks of {}",
                plan.task_definition.short()
            )));
        }
        let running = service.running_count.min(wanted);
        let waiting = match &service.rollout {
            Rollout::Failed(reason) => {
                let why = format!("ECS gave up on `{canary}`: {reason}");
                return Err(self.with_reason(why, &service, since).await);
            }
            Rollout::InProgress { failed_tasks }
                if *failed_tasks >= FAILED_TASKS && service.running_count == 0 =>
            {
                let event = service.events.first().map_or("", |event| event.message.as_str());
                let why = format!("{failed_tasks} tasks of `{canary}` failed to start: {event}");
                return Err(self.with_reason(why, &service, since).await);
            }
            Rollout::InProgress { .. } => {
                let waiting = if running < wanted { "" } else { ", ECS waits for healthy targets" };
                format!("{running} of {wanted} tasks of `{canary}` run{waiting}")
            }
            Rollout::Completed if running < wanted || service.deployments > 1 => {
                format!("{running} of {wanted} tasks of `{canary}` run")
            }
            Rollout::Completed => match self.unhealthy(wanted).await? {
                Some(unhealthy) => unhealthy,
                None => return Ok(None),
            },
        };
        self.give_up_on_crashes(&service, since).await?;
        let obstacle = service.obstacle(since).filter(|_| running < wanted);
        Ok(Some(match obstacle {
            Some(obstacle) => format!("{waiting}: {obstacle}"),
            None => waiting,
        }))
    }

    /// What the service must be asked for, if it is not what it must be.
    fn missing(&self, service: &EcsService, wanted: u32) -> Option<ScaleTo> {
        let Self { deployment, .. } = self;
        let version = &deployment.plan.task_definition;
        let other = service.task_definition != *version;
        // One that failed before this deployment began: what was wrong with it may have been
        // repaired, but it never starts another task. The one of this deployment is newer.
        let failed_before = matches!(service.rollout, Rollout::Failed(_))
            && service.deployed_at.is_some_and(|at| at < deployment.started_at);
        (other || failed_before || service.desired_count != wanted).then(|| ScaleTo {
            desired_count: wanted,
            // Named only where it changes: naming one needs `iam:PassRole`, and begins an ECS
            // deployment if somebody else has changed it meanwhile.
            task_definition: other.then(|| version.clone()),
            force_new_deployment: failed_before && !other,
        })
    }

    async fn scale(&self, to: &ScaleTo) -> Result<(), Stop> {
        let plan = &self.deployment.plan;
        let (own, intent) = self.claim(Purpose::Scale).await?;
        let attempted = attempt(self.ambient, &intent, Patience::GiveWay, || {
            self.containers.scale(&plan.cluster, &plan.canary.service, to)
        })
        .await;
        if attempted.clean {
            self.registry.finish_deployment_intent(&self.deployment.id, &own).await?;
        }
        Ok(attempted.result?)
    }

    /// What is missing on the first route that has too few healthy targets.
    async fn unhealthy(&self, wanted: u32) -> PortResult<Option<String>> {
        let routes = &self.deployment.plan.routes;
        let groups: Vec<_> = routes.iter().map(|route| route.group(Role::Canary)).collect();
        let looks = targets::health(self.load_balancer, &groups).await;
        for ((route, group), health) in routes.iter().zip(groups).zip(looks) {
            let health = health?;
            if health.healthy < wanted {
                let text = format!(
                    "{} of {wanted} targets of `{}` are healthy",
                    health.healthy,
                    group.short()
                );
                return Ok(Some(match &health.sick {
                    Some(reason) => format!("{text}: {}", route.sick(reason)),
                    None => text,
                }));
            }
        }
        Ok(None)
    }

    /// Fails if tasks come and go: ECS counts none that has run, and a service would go on like that
    /// for as long as it may settle.
    async fn give_up_on_crashes(&self, service: &EcsService, since: Timestamp) -> Result<(), Stop> {
        let stopped = self.stopped_tasks(since).await?;
        let ran = stopped.iter().filter(|task| task.end != TaskEnd::NeverRan).count();
        let none_starts = stopped.len() >= FAILED_TASKS as usize && service.running_count == 0;
        let Some(newest) = stopped.last().filter(|_| ran >= STOPPED_TASKS_LIMIT || none_starts)
        else {
            return Ok(());
        };
        let code = match newest.end {
            TaskEnd::NeverRan | TaskEnd::Exited => FailureCode::CanaryFailedToStart,
            TaskEnd::Unhealthy => FailureCode::CanaryNotHealthy,
        };
        let canary = &self.deployment.plan.canary.service;
        let count = stopped.len();
        let cause =
            format!("{count} tasks of `{canary}` stopped by themselves; {}", in_words(newest));
        Err(Stop::Failed(Failure::new(code, cause)))
    }

    /// Tasks of the new version that stopped by themselves, the newest last.
    async fn stopped_tasks(&self, since: Timestamp) -> PortResult<Vec<StoppedTask>> {
        let plan = &self.deployment.plan;
        let (service, version) = (&plan.canary.service, &plan.task_definition);
        self.containers.stopped_tasks(&plan.cluster, service, version, since).await
    }

    /// A failure with why the newest task stopped, or why none could be placed: the circuit breaker's
    /// own words are always the same.
    async fn with_reason(&self, why: String, service: &EcsService, since: Timestamp) -> Stop {
        failed_to_start(match self.stopped_tasks(since).await.as_deref() {
            Ok([.., newest]) => format!("{why}; {}", in_words(newest)),
            Ok([]) => match service.obstacle(since) {
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
        let cause = match self.unhealthy(plan.canary_tasks(self.stage.weight)).await {
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

fn in_words(task: &StoppedTask) -> String {
    format!("the newest, `{}`: {}", task.task, task.reason)
}
