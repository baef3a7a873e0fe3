//! Plans a deployment: decodes and checks the request, then takes locks, deployment and alarm
//! bindings in ONE transaction, and only then looks at the alarms, so that none fires unseen in
//! between.

use std::collections::BTreeMap;

use futures_util::future::join;
use glidepath_core::document::Finding;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::AlarmSignal;
use glidepath_core::ids::{AlarmArn, DeploymentId, ExecutionArn, ExecutionStart};
use glidepath_core::plan::Plan;
use glidepath_core::preflight::{Resolved, StackSettings, enough_besides_the_starter};
use glidepath_core::protocol::{NextStep, RegistryWrite, Reply, begin, close};
use glidepath_core::record::{Deployment, LockKey, Outcome, Phase, Progress, Revision, starter};
use glidepath_core::route::Role;
use glidepath_core::time::{Span, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tracing::warn;

use crate::forecast::try_checks;
use crate::pace::overdue;
use crate::ports::{
    Clock, Committed, Containers, LoadBalancer, Monitoring, Ports, Registry, Repositories, Scaling,
    TargetGroups,
};
use crate::restore::look_at_stable;
use crate::survey::{Survey, survey};
use crate::transition::{Stop, load, refusal, transition};
use crate::{failed, routes};

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanInput {
    pub deployment: DeploymentId,
    pub execution: ExecutionArn,
    #[serde(default)]
    pub execution_start: Option<ExecutionStart>,
    pub request: Value,
}

/// How often everything is looked at again because somebody was faster.
const ATTEMPTS: u32 = 3;

/// Clocks disagree: an alarm that fired this shortly before our clock's start still counts for the
/// deployment. If it had fired before, the look at the alarms refuses the deployment anyway.
const CLOCK_DISAGREEMENT: Span = Span::from_secs(5);

/// Plans, locks and begins.
pub async fn run<P>(ports: &P, stack: &StackSettings, input: &PlanInput) -> Result<Reply, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer + TargetGroups,
            Containers: Containers,
            Scaling: Scaling,
            Repositories: Repositories,
            Monitoring: Monitoring,
            Ambient: Clock,
        >,
{
    let (registry, monitoring, clock) = (ports.registry(), ports.monitoring(), ports.ambient());
    let (existing, starts) =
        join(registry.deployment(&input.deployment), registry.starts(&input.deployment)).await;
    let existing = existing.map_err(|error| failed(&error))?;
    let deployment = match existing {
        // A repeated invocation, or one whose answer was lost after its transaction.
        Some(deployment)
            if deployment.is_carried_by(&input.execution, input.execution_start.as_ref()) =>
        {
            deployment
        }
        // An answer, and no error: what catches errors ends the deployment of that name.
        Some(earlier) => return Ok(earlier.name_used()),
        None => {
            let starts = match starts {
                Ok(starts) => starts,
                // Nobody is known then to have started it, and four eyes are two people's.
                Err(error) if !error.may_pass() => {
                    warn!(deployment.id = %input.deployment, error = %error, "nobody knows who starts it");
                    Vec::new()
                }
                Err(error) => return Err(failed(&error)),
            };
            let starter = starter(&starts, &input.request, input.execution_start.as_ref());
            let mut begun = None;
            for _ in 0..ATTEMPTS {
                let surveyed = survey(ports, stack, clock.now(), &input.request).await;
                let mut surveyed = surveyed.map_err(|unfit| unfit.failure())?;
                let plan = &mut surveyed.resolved.plan;
                plan.starter = starter.map(str::to_owned);
                let unfit = enough_besides_the_starter(plan);
                if unfit.has_errors() {
                    return Err(unfit.failure(FailureCode::InvalidRequest));
                }
                // A way back has the checks of the plan that it leaves, and none of them may hold it up.
                if plan.way_back.is_none() {
                    let tried = try_checks(monitoring, clock.now(), plan).await;
                    if tried.has_errors() {
                        return Err(tried.failure(FailureCode::InvalidRequest));
                    }
                    surveyed.resolved.warnings.extend(tried);
                }
                begun = try_begin(ports, input, surveyed).await?;
                if begun.is_some() {
                    break;
                }
            }
            begun.ok_or_else(|| {
                let cause = "others take and release the same locks all the time";
                Failure::new(FailureCode::Transient, cause)
            })?
        }
    };
    deployment.require_open().map_err(|refused| refusal(&refused))?;
    look_at_alarms(monitoring, &deployment).await?;
    look_at_routes(ports, &deployment).await?;
    let summary = format!(
        "{} to {} in {} stages, {} is stable",
        deployment.plan.service,
        deployment.plan.task_definition.short(),
        deployment.plan.stages.len(),
        deployment.plan.stable.slot
    );
    Ok(Reply::new(&deployment.id, NextStep::Advance, summary).telling(true))
}

/// The first transaction; `None` if somebody was faster and everything must be looked at again.
async fn try_begin<P>(
    ports: &P,
    input: &PlanInput,
    surveyed: Survey,
) -> Result<Option<Deployment>, Failure>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Ambient: Clock>,
{
    let registry = ports.registry();
    let Survey { resolved, locks } = surveyed;
    let Resolved { plan, warnings } = resolved;
    let alarms: Vec<AlarmArn> = plan.health.alarms.binding().cloned().collect();
    let known = registry.alarms(&alarms).await.map_err(|error| failed(&error))?;
    let now = ports.ambient().now();
    // Never a bare clock reading: every alarm that has fired must have fired before the start.
    let started_at = known
        .iter()
        .filter_map(|alarm| alarm.fired_at)
        .map(Timestamp::just_after)
        .chain([now - CLOCK_DISAGREEMENT])
        .max()
        .unwrap_or(now);
    let health = look_at_stable(ports, &plan.routes, plan.health.fresh_for()).await;
    let health = health.map_err(|error| failed(&error))?;
    let deployment = Deployment {
        id: input.deployment.clone(),
        execution: input.execution.clone(),
        execution_start: input.execution_start.clone(),
        revision: Revision::default(),
        phase: Phase::Open,
        fence: None,
        intents: BTreeMap::new(),
        started_at,
        progress: Progress::at_start(&plan, now),
        health,
        traffic: None,
        gate: None,
        alarms,
        warnings: warnings.iter().map(Finding::sentence).collect(),
        notices: 0,
        next_due_at: overdue(&plan, now, Span::ZERO),
        epochs: None,
        validating: None,
        freeze: None,
        drift: Vec::new(),
        plan,
    };
    let mut writes = begin(&deployment, &locks);
    match consume_retirements(registry, &deployment.plan, now).await {
        Ok(consumed) => writes.extend(consumed),
        Err(stop) => return Err(stop.into()),
    }
    match registry.commit(writes).await.map_err(|error| failed(&error))? {
        Committed::Yes => load(ports, &deployment.id).await.map(Some),
        Committed::Conflict => Ok(None),
    }
}

/// An old slot that still keeps its tasks is taken over; its retirement is this deployment's now.
async fn consume_retirements(
    registry: &impl Registry,
    plan: &Plan,
    now: Timestamp,
) -> Result<Vec<RegistryWrite>, Stop> {
    let mut writes = Vec::new();
    for role in [Role::Stable, Role::Canary] {
        let key = LockKey::service(&plan.cluster, &plan.slot(role).service);
        if let Some(retirement) = registry.retirement(&key).await? {
            writes.push(retirement.consume(now)?);
        }
    }
    Ok(writes)
}

/// An alarm that fires from now on is bound; one that fires already sends no event any more. One that
/// was firing before, in a slot without traffic, sends one when it fires anew.
async fn look_at_alarms(
    monitoring: &impl Monitoring,
    deployment: &Deployment,
) -> Result<(), Failure> {
    let names: Vec<_> = deployment.alarms.iter().map(|alarm| alarm.as_str().to_owned()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let alarms = monitoring.alarms(&names).await.map_err(|error| failed(&error))?;
    let alarms: Vec<_> = alarms.into_iter().flatten().collect();
    if let Some(unread) = alarms.iter().find(|alarm| alarm.signal == AlarmSignal::Unreadable) {
        return Err(Failure::new(
            FailureCode::Unexpected,
            format!(
                "the alarm `{}` could not be read while the deployment was being set up: {}",
                unread.arn.name(),
                unread.reason
            ),
        ));
    }
    let known = &deployment.plan.health.alarms;
    let firing: Vec<_> = alarms
        .into_iter()
        .filter(|alarm| alarm.signal == AlarmSignal::Alarm)
        .filter(|alarm| !known.fires_since_before(&alarm.arn, alarm.since, deployment.started_at))
        .map(|alarm| format!("`{}` ({})", alarm.arn.name(), alarm.reason))
        .collect();
    if firing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::AlarmAlreadyFiring,
        format!("fired while the deployment was being set up: {}", firing.join(", ")),
    ))
}

/// The weights once more, under the lock: if somebody changed them meanwhile, the roles may be
/// wrong, and the deployment ends without having touched anything.
async fn look_at_routes<P>(ports: &P, deployment: &Deployment) -> Result<(), Failure>
where
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Ambient: Clock>,
{
    let registry = ports.registry();
    if deployment.progress.shifted_at.is_some() || deployment.revision > Revision::default() {
        // A repeated invocation after the deployment has moved on.
        return Ok(());
    }
    let observed = routes::read(ports, &deployment.plan.routes).await?;
    let Some(found) = deployment.foreign(&observed) else { return Ok(()) };
    let failure = Failure::new(
        FailureCode::RouteChanged,
        format!(
            "a route changed while the deployment was being set up, nothing was written: {found}"
        ),
    );
    let alarms = registry.alarms(&deployment.alarms).await.map_err(|error| failed(&error))?;
    transition(ports, &deployment.id, |deployment| {
        close(deployment, &alarms, failure.clone(), Outcome::Abandoned, ports.ambient().now())
    })
    .await?;
    Err(failure)
}
