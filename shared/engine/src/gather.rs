//! What a look gathers about a deployment.

use futures_util::future::{join, join_all, join3};
use glidepath_core::harm::RequestsPerMinute;
use glidepath_core::health::{
    AlarmReading, AlarmSignal, CheckReading, HookReading, Judgement, MeasuredMetrics, ProbeAttempt,
    ProbeReading, Reading, Readings, RouteTargets, ServiceDeployment, ServiceDeployments,
    ValidationReadings, Watched, hook_event, hooks_at, judge, probed,
};
use glidepath_core::plan::{Check, Hook, LifecycleStage, Probe, Validation};
use glidepath_core::record::{Deployment, Gap, HookRun, Progress, Shift, Step, Validating};
use glidepath_core::route::Role;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;

use crate::ports::{
    CheckAnswer, CheckQuery, Clock, Containers, Hooks, LoadBalancer, Metrics, MetricsQuery,
    Monitoring, PortError, PortResult, Ports, Probing, TargetHealth,
};
use crate::targets;

/// Time between two attempts of a probe.
const BETWEEN_PROBES: Span = Span::from_secs(1);

/// What one look found.
pub(crate) struct Gathered {
    /// What is judged; what cannot be read is said, never left out.
    pub(crate) readings: Readings,
    /// How much traffic the service has.
    pub(crate) traffic: Option<RequestsPerMinute>,
    /// How many tasks all of it needs; `None` if the services could not be read.
    pub(crate) needed: Option<u32>,
    /// The length of the periods in which requests were counted.
    pub(crate) period: Option<Span>,
}

/// Everything there is to know: what AWS knows at once, then what the user's own hooks and URLs say.
pub(crate) async fn gather<P>(ports: &P, deployment: &Deployment) -> Gathered
where
    P: Ports<
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Monitoring: Monitoring,
            Hooks: Hooks,
            Probing: Probing,
            Ambient: Clock,
        >,
{
    let (containers, monitoring) = (ports.containers(), ports.monitoring());
    let plan = &deployment.plan;
    let now = ports.ambient().now();
    let since = deployment.progress.shifted_at.unwrap_or(deployment.started_at);
    let query = metrics_query(deployment, now);
    let (alarms, targets, (services, stopped, metrics)) = join3(
        read_alarms(monitoring, deployment),
        read_targets(ports, deployment),
        join3(
            containers.services(&plan.cluster, &[&plan.stable.service, &plan.canary.service]),
            containers.stopped_tasks(
                &plan.cluster,
                &plan.canary.service,
                &plan.task_definition,
                since,
            ),
            monitoring.metrics(&query),
        ),
    )
    .await;
    let mut services = services.ok().map(Vec::into_iter);
    let mut next = || services.as_mut().map(|found| found.next().flatten());
    let (stable, canary) = (next(), next().flatten());
    let needed = stable.map(|stable| deployment.demand(stable.as_ref()));
    let targets = targets.map(|looks| in_pairs(looks, deployment.watched_tasks(canary.as_ref())));
    // With many rollbacks at once the traffic decides the order.
    let (traffic, period) = match &metrics {
        Ok(Some(Metrics { requests: Ok(periods), .. })) => {
            (periods.traffic(), Some(periods.length))
        }
        Ok(_) | Err(_) => (None, None),
    };
    let mut readings = Readings {
        at: now,
        alarms: reading(alarms),
        targets: reading(targets),
        stopped_tasks: reading(stopped),
        gaps: deployment.progress.gaps.clone(),
        metrics: match metrics {
            Ok(Some(metrics)) => {
                Reading::Read(measured(metrics, &query, &deployment.progress.gaps))
            }
            Ok(None) => Reading::Unreadable("no complete period since the shift yet".to_owned()),
            Err(error) => Reading::Unreadable(error.to_string()),
        },
        hooks: Vec::new(),
        probes: Vec::new(),
    };
    // A hook may think for 45 s and a probe be tried for 34 s: a verdict that stands without them
    // does not wait. Most deployments have neither, and are judged once.
    let asks = !plan.health.hooks.is_empty() || !plan.health.probes.is_empty();
    if asks && judge(plan, deployment.watched_stage(), &readings).judgement != Judgement::Fail {
        (readings.hooks, readings.probes) =
            join(ask_hooks(ports, deployment, now), probe_stage(ports, deployment)).await;
    }
    Gathered { readings, traffic, needed, period }
}

fn metrics_query(deployment: &Deployment, now: Timestamp) -> MetricsQuery {
    let plan = &deployment.plan;
    let shifts = &deployment.progress.shifts;
    let watched = deployment.watched_stage();
    let shift = shifts.iter().rev().find(|shift| shift.stage == watched);
    let gap = deployment.progress.gaps.last();
    MetricsQuery {
        routes: plan
            .routes
            .iter()
            .map(|route| {
                let load_balancer = route.load_balancer.clone();
                (load_balancer, route.pair.canary.clone(), route.pair.stable.clone())
            })
            .collect(),
        shifts: shifts.clone(),
        bad_are: plan.health.bad_requests_are,
        slower_than: plan.health.slower_than,
        checks: plan.health.checks.iter().map(check_query).collect(),
        // What was measured at another weight says nothing about this one.
        checks_since: shift
            .map_or(deployment.started_at, |shift| shift.at)
            .max(gap.map_or(deployment.started_at, |gap| gap.until.unwrap_or(now))),
        now,
    }
}

fn check_query(check: &Check) -> CheckQuery {
    let compared = !check.against_stable.is_empty();
    CheckQuery {
        canary: check.canary.clone(),
        stable: compared.then(|| check.stable.clone()),
        period: check.period,
    }
}

fn measured(metrics: Metrics, query: &MetricsQuery, gaps: &[Gap]) -> MeasuredMetrics {
    MeasuredMetrics {
        requests: reading(metrics.requests.map(|periods| periods.by_stage(&query.shifts, gaps))),
        connection_errors: reading(metrics.connection_errors),
        load_balancer_errors: reading(metrics.load_balancer_errors),
        checks: metrics
            .checks
            .into_iter()
            .map(|CheckAnswer { canary, stable, period, until }| CheckReading {
                canary: reading(canary),
                stable: stable.map(reading),
                period,
                until,
            })
            .collect(),
    }
}

async fn probe_stage(
    ports: &impl Ports<Probing: Probing, Ambient: Clock>,
    deployment: &Deployment,
) -> Vec<ProbeReading> {
    match deployment.progress.step {
        Step::Baking { .. } => probe(ports, &deployment.plan.health.probes).await,
        Step::Settling { .. } | Step::Approving { .. } => Vec::new(),
    }
}

/// Asks every URL until it answers as it must, or as often as the plan says.
async fn probe(
    ports: &impl Ports<Probing: Probing, Ambient: Clock>,
    probes: &[Probe],
) -> Vec<ProbeReading> {
    let readings = probes.iter().enumerate().map(|(place, probe)| async move {
        let mut attempts = Vec::new();
        for attempt in 0..probe.attempts {
            if attempt > 0 {
                ports.ambient().sleep(BETWEEN_PROBES).await;
            }
            let attempt = match ports.probing().get(&probe.url, probe.timeout).await {
                Ok(answer) => probed(probe, answer.status, &answer.body),
                Err(error) => ProbeAttempt::Unanswered(error.to_string()),
            };
            let good = attempt == ProbeAttempt::Good;
            attempts.push(attempt);
            if good {
                break;
            }
        }
        ProbeReading { probe: place, attempts }
    });
    join_all(readings).await
}

/// Asks the hooks that have a say at this stage and are due. Those that have answered are not asked
/// again.
async fn ask_hooks(
    ports: &impl Ports<Containers: Containers, Hooks: Hooks>,
    deployment: &Deployment,
    now: Timestamp,
) -> Vec<HookReading> {
    let plan = &deployment.plan;
    let Progress { stage, step, hooks: runs, .. } = &deployment.progress;
    let (Step::Baking { .. }, Some(stage)) = (step, plan.stage(*stage)) else { return Vec::new() };
    let calls = hooks_at(&plan.health.hooks, stage.weight, runs)
        .map(|(place, at, before)| HookCall { place, at, before })
        .collect();
    let (hooks, weight) = (plan.health.hooks.as_slice(), stage.weight);
    ask_each(ports, deployment, Moment { hooks, calls, weight, about: Role::Canary }, now).await
}

/// One hook, at one lifecycle stage.
struct HookCall<'a> {
    /// Which, by its place in the plan.
    place: usize,
    at: LifecycleStage,
    /// What it has answered before.
    before: Option<&'a HookRun>,
}

/// The hooks that are asked at one moment of a deployment.
struct Moment<'a> {
    /// All of the plan.
    hooks: &'a [Hook],
    calls: Vec<HookCall<'a>>,
    /// What the canary has.
    weight: Weight,
    /// The slot that is asked about.
    about: Role,
}

/// What every hook of a moment is told.
struct Told<'a> {
    deployment: &'a Deployment,
    weight: Weight,
    found: &'a ServiceDeployments,
}

async fn ask_each(
    ports: &impl Ports<Containers: Containers, Hooks: Hooks>,
    deployment: &Deployment,
    moment: Moment<'_>,
    now: Timestamp,
) -> Vec<HookReading> {
    let Moment { hooks, calls, weight, about } = moment;
    let due = calls.iter().any(|call| call.before.is_none_or(|run| run.is_due(now)));
    // Two calls that only deployments with hooks make, and only when one is asked.
    let found = if due {
        Some(service_deployments(ports.containers(), deployment, about).await)
    } else {
        None
    };
    let told = found.as_ref().map(|found| Told { deployment, weight, found });
    let told = told.as_ref();
    let readings = calls.into_iter().map(|call| async move {
        let kept = call.before.filter(|run| !run.is_due(now));
        let run = match (kept, told) {
            (Some(run), _) => Ok(run.clone()),
            (None, Some(told)) => match hooks.get(call.place) {
                Some(hook) => ask_hook(ports.hooks(), hook, &call, told, now).await,
                None => Err("it is not in the plan".to_owned()),
            },
            (None, None) => Err("the hook was not due".to_owned()),
        };
        let run = run.map_or_else(Reading::Unreadable, Reading::Read);
        HookReading { hook: call.place, at: call.at, run }
    });
    join_all(readings).await
}

async fn ask_hook(
    hooks: &impl Hooks,
    hook: &Hook,
    call: &HookCall<'_>,
    told: &Told<'_>,
    now: Timestamp,
) -> Result<HookRun, String> {
    let HookCall { place, at, before } = *call;
    let details = before.map_or(&hook.details, |run| &run.details).clone();
    let event = hook_event(told.deployment, place, at, told.weight, &details, told.found);
    let answer = hooks.ask(&hook.function, &event).await.map_err(|error| error.to_string())?;
    HookRun::answered(place, at, before, details, &answer, now)
}

/// What ECS says of both slots. What it does not say is left out: names are no reason to hold a
/// stage.
async fn service_deployments(
    containers: &impl Containers,
    deployment: &Deployment,
    about: Role,
) -> ServiceDeployments {
    let plan = &deployment.plan;
    let of = |role: Role| async move {
        let service = &plan.slot(role).service;
        let error = match containers.service_deployment(&plan.cluster, service).await {
            Ok(Some(found)) => return found,
            Ok(None) => "there is no such service".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            deployment.id = %deployment.id,
            service = service.as_str(),
            error,
            "hooks are not told which ECS deployments are compared"
        );
        ServiceDeployment::default()
    };
    let (canary, stable) = join(of(Role::Canary), of(Role::Stable)).await;
    match about {
        Role::Canary => ServiceDeployments { canary, stable },
        // The one that is asked about is the one that a hook knows as the new one.
        Role::Stable => ServiceDeployments { canary: stable, stable: canary },
    }
}

/// What is asked once everything is back on a slot.
pub(crate) async fn gather_ended<P>(
    ports: &P,
    deployment: &Deployment,
    (role, validation, validating): (Role, &Validation, &Validating),
) -> ValidationReadings
where
    P: Ports<
            Containers: Containers,
            Monitoring: Monitoring,
            Hooks: Hooks,
            Probing: Probing,
            Ambient: Clock,
        >,
{
    let now = ports.ambient().now();
    let slot = validation.of(role);
    let calls = (0..validation.hooks.len())
        .map(|place| {
            let before = validating.hooks.iter().find(|run| run.hook == place);
            HookCall { place, at: LifecycleStage::Rollback, before }
        })
        .collect();
    let weight = if role == Role::Canary { Weight::ALL } else { Weight::NONE };
    let moment = Moment { hooks: &validation.hooks, calls, weight, about: role };
    let (checks, hooks, probes) = join3(
        read_checks(ports.monitoring(), deployment, &slot.checks, validating.ended_at, now),
        ask_each(ports, deployment, moment, now),
        probe(ports, &slot.probes),
    )
    .await;
    ValidationReadings { checks, hooks, probes }
}

/// Checks alone, from the moment on at which everything was back.
async fn read_checks(
    monitoring: &impl Monitoring,
    deployment: &Deployment,
    checks: &[Check],
    ended_at: Timestamp,
    now: Timestamp,
) -> Vec<CheckReading> {
    if checks.is_empty() {
        return Vec::new();
    }
    let at = deployment.progress.restored_at.unwrap_or(ended_at);
    let query = MetricsQuery {
        routes: Vec::new(),
        shifts: vec![Shift { stage: deployment.progress.stage, at }],
        bad_are: deployment.plan.health.bad_requests_are,
        slower_than: None,
        checks: checks.iter().map(check_query).collect(),
        checks_since: at,
        now,
    };
    let nothing = match monitoring.metrics(&query).await {
        Ok(Some(metrics)) => return measured(metrics, &query, &[]).checks,
        Ok(None) => "no complete period since everything is back yet".to_owned(),
        Err(error) => error.to_string(),
    };
    let unread = |check: &Check| CheckReading {
        canary: Reading::Unreadable(nothing.clone()),
        stable: None,
        period: check.period.unwrap_or_default(),
        until: now,
    };
    checks.iter().map(unread).collect()
}

fn reading<Value>(result: PortResult<Value>) -> Reading<Value> {
    match result {
        Ok(value) => Reading::Read(value),
        Err(error) => Reading::Unreadable(error.to_string()),
    }
}

/// Alarms as they are now: an alarm that fired before it was bound, or whose event was lost, is
/// seen here.
async fn read_alarms(
    monitoring: &impl Monitoring,
    deployment: &Deployment,
) -> Result<Vec<AlarmReading>, PortError> {
    let alarms = &deployment.plan.health.alarms;
    let wanted: Vec<_> = [
        (Watched::Stable, &alarms.stable),
        (Watched::Canary, &alarms.canary),
        (Watched::Service, &alarms.service),
    ]
    .into_iter()
    .flat_map(|(watched, list)| list.iter().map(move |alarm| (watched, alarm)))
    .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = wanted.iter().map(|(_, alarm)| alarm.as_str().to_owned()).collect();
    let found = monitoring.alarms(&names).await?;
    Ok(wanted
        .into_iter()
        .zip(found)
        .map(|((watched, alarm), found)| {
            let since = found.as_ref().and_then(|found| found.since);
            AlarmReading {
                alarm: alarm.clone(),
                watched,
                signal: found.as_ref().map_or(AlarmSignal::Missing, |found| found.signal),
                reason: found.map_or_else(String::new, |found| found.reason),
                since_before: alarms.fires_since_before(alarm, since, deployment.started_at),
            }
        })
        .collect())
}

async fn read_targets(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    deployment: &Deployment,
) -> PortResult<Vec<TargetHealth>> {
    let plan = &deployment.plan;
    let roles = [Role::Canary, Role::Stable];
    let groups = plan.routes.iter().flat_map(|route| roles.map(|role| route.group(role)));
    let groups: Vec<_> = groups.collect();
    targets::health(ports, &groups).await.into_iter().collect()
}

/// Canary and stable of every route, as they were read one after the other.
fn in_pairs(looks: Vec<TargetHealth>, canary_needed: u32) -> Vec<RouteTargets> {
    let mut looks = looks.into_iter();
    let pair = || {
        let (canary, stable) = (looks.next()?, looks.next()?);
        Some(RouteTargets {
            canary_healthy: canary.healthy,
            canary_needed,
            stable_healthy: stable.healthy,
            canary_sick: canary.sick,
        })
    };
    std::iter::from_fn(pair).collect()
}
