//! Looks at a deployment that waits, gathers readings and judges. Every turn also refreshes the
//! recorded health of stable, on which a rollback relies to write without looking. Once a rollback has ended,
//! it asks what serves again.

mod ended;

use std::pin::pin;

use futures_util::future::{Either, select};
use glidepath_core::failure::Failure;
use glidepath_core::health::{
    CountedCells, MeasuredMetrics, Reading, Readings, StoredCells, hook_runs, judge,
};
use glidepath_core::protocol::{
    Judged, MoveOn, NextStep, Observed, Reply, Routes, course, failing, observe, stable_health,
};
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::telemetry::Measurement;
use glidepath_core::time::Span;

use crate::gather::{Gathered, gather};
use crate::pace::overdue;
use crate::ports::{
    Clock, Containers, Hooks, LoadBalancer, Monitoring, Ports, Probing, Registry, Scaling,
    Telemetry,
};
use crate::scaling::is_let_go;
use crate::transition::{load, refusal, transition};
use crate::{StepInput, routes};

/// One look at a stage: gathers readings, judges it, and records where that leads.
///
/// # Errors
///
/// A verdict that fails, or a time that is over, is the failure of the deployment, which the state
/// machine catches and rolls back; so is what could not be read or recorded, once retries are over.
pub async fn run<P>(ports: &P, input: &StepInput) -> Result<Reply, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Monitoring: Monitoring,
            Hooks: Hooks,
            Probing: Probing,
            Telemetry: Telemetry,
            Ambient: Clock,
        >,
{
    let clock = ports.ambient();
    let deployment = load(ports, &input.deployment).await?;
    if let Phase::Closed(outcome) = deployment.phase {
        return ended::run(ports, &deployment, outcome).await;
    }
    deployment.require_open().map_err(|refused| refusal(&refused))?;
    // First, because what is measured while they are somebody else's counts for nothing.
    let observed = routes::read(ports, &deployment.plan.routes).await?;
    let routes = deployment.foreign(&observed).map_or(Routes::InOrder, Routes::Changed);
    let read = deployment;
    let progress = read.progress.seeing(&routes, clock.now());
    let deployment = Deployment { progress, ..read.clone() };
    let gathered = gather(ports, &deployment).await;
    let Gathered { readings, traffic, needed, period } = gathered;
    let verdict = judge(&deployment.plan, deployment.watched_stage(), &readings);
    // Of every look, that which ends it too. It writes a line and waits for nothing.
    ports.telemetry().tell(&Measurement::of_look(&deployment, &readings, &verdict));
    // Before the verdict can end the look: the report must have these cells.
    keep(ports, &deployment, &readings, period).await;
    if let Some(failure) = failing(&readings, &verdict) {
        return Err(failure);
    }
    let now = clock.now();
    let course = course(&deployment, &verdict, &routes, now);
    let health = stable_health(&deployment.plan, &readings);
    let judged = Judged::of(&deployment.plan, &readings, &verdict);
    let (seen, here, told) = transition(ports, &deployment.id, |current| {
        let now = clock.now();
        let due = overdue(&current.plan, now, course.wait);
        // Answers of hooks belong to the stage at which they were asked.
        let same_stage = current.progress.stage == deployment.progress.stage;
        let asked = same_stage && !readings.hooks.is_empty();
        let hooks = asked.then(|| hook_runs(&readings.hooks, &deployment.progress.hooks));
        let (routes, judged) = (routes.clone(), Some(judged.clone()));
        let observed = Observed { health, traffic, hooks, routes, needed, judged };
        let move_on = course.move_on.clone();
        let (seen, writes) = observe(current, &read, observed, move_on, now, due)?;
        let told = seen.notices > current.notices;
        Ok(((seen, current.is_where(&read), told), writes))
    })
    .await?;
    if !here {
        // A person has decided since the look began, or a copy of it was faster.
        let summary = "something was decided meanwhile: it is looked at again";
        return Ok(Reply::new(&seen.id, NextStep::Validate, summary).telling(told));
    }
    if let MoveOn::End(failure) = course.move_on {
        return Err(failure);
    }
    if course.next == NextStep::Gate && is_let_go(ports, &seen).await {
        let summary = "somebody else has changed the bounds that are held: they are held anew";
        return Ok(Reply::new(&seen.id, NextStep::Advance, summary).telling(told));
    }
    Ok(Reply::new(&seen.id, course.next, course.summary).after(course.wait).telling(told))
}

/// How long a look waits for its cells to be kept: what follows it may be a rollback.
const KEPT_WITHIN: Span = Span::from_millis(500);

/// Keeps what was counted, for the report. Whatever becomes of it, the verdict stands.
async fn keep(
    ports: &impl Ports<Registry: Registry, Ambient: Clock>,
    deployment: &Deployment,
    readings: &Readings,
    period: Option<Span>,
) {
    let cells = match &readings.metrics {
        Reading::Read(MeasuredMetrics { requests: Reading::Read(cells), .. }) => cells,
        Reading::Read(_) | Reading::Unreadable(_) => return,
    };
    let Some(period) = period.filter(|_| !cells.is_empty()) else { return };
    let (id, shifts) = (&deployment.id, &deployment.progress.shifts);
    let counted = CountedCells { period, cells };
    let cells = StoredCells::of(id, &deployment.plan, shifts, counted, readings.at);
    let written = pin!(ports.registry().store_cells(&cells));
    let late = pin!(ports.ambient().sleep(KEPT_WITHIN));
    let error = match select(written, late).await {
        Either::Left((Ok(()), _)) => return,
        Either::Left((Err(error), _)) => error.to_string(),
        Either::Right(((), _)) => format!("no answer within {KEPT_WITHIN}"),
    };
    tracing::warn!(
        deployment.id = %id,
        error,
        "the cells were not kept; the report is as of the look before"
    );
}
