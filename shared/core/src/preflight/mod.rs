//! Holds a request against the real resources, before anything is written: every finding at once,
//! or the plan.

mod alarms;
mod approval;
mod budget;
mod channels;
mod checks;
mod forecast;
mod found;
mod groups;
mod hooks;
mod images;
mod probes;
mod quarantine;
mod routes;
mod scaling;
mod slots;
mod suggest;
mod task_roles;
mod unlisted;
mod validation;
mod windows;

use crate::document::Findings;
use crate::failure::{Failure, FailureCode};
use crate::ids::TaskDefinition;
use crate::people::Naming;
use crate::plan::{HealthPlan, Permille, Plan, Slot, SlotPlan};
use crate::record::{LockKey, LockKind};
use crate::request::Request;
use crate::rollback::RollbackPlan;
use crate::route::Role;
use crate::world::{EcsService, RegisteredVersion, Rollout};
pub use approval::enough_besides_the_starter;
pub use forecast::{LastDay, forecast};
pub use found::{Before, Found, FoundAlarms, Holder, SlotsScaling, StackSettings};
pub use images::{takeable, wanted_images};
pub use suggest::{SuggestedStage, Suggestion, suggest};
pub use windows::resolve as openings;

/// A request that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub plan: Plan,
    /// What somebody should know; no errors among them.
    pub warnings: Findings,
}

/// A request that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has mistakes, or the resources are not as they must be.
    Invalid(Findings),
    /// Another deployment holds what it needs; the same request may be fine later. With everything
    /// that is wrong besides.
    Running(Findings),
}

impl Refusal {
    pub const fn findings(&self) -> &Findings {
        match self {
            Self::Invalid(findings) | Self::Running(findings) => findings,
        }
    }

    /// The failure of the execution.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Invalid(_) => FailureCode::InvalidRequest,
            Self::Running(_) => FailureCode::DeploymentRunning,
        };
        self.findings().failure(code)
    }
}

/// The locks whose holders can be looked up before the resources were looked at. The target
/// groups' are known only with the plan; the transaction that takes them all is what counts.
pub fn lock_keys(request: &Request) -> Vec<LockKey> {
    let target = &request.target;
    let services = [Slot::Blue, Slot::Green]
        .map(|slot| LockKey::service(&target.cluster, target.slots.of(slot)));
    services
        .into_iter()
        .chain(target.routes.iter().map(|route| LockKey::route(route.arn())))
        .collect()
}

/// The version that serves, if it is beyond doubt which one that is and nothing is under way: whatever the request
/// releases is not looked at.
pub fn serving(request: &Request, found: &Found) -> Result<TaskDefinition, Refusal> {
    let mut findings = Findings::default();
    holders(found, &mut findings);
    let services = slots::both(request, found, &mut findings);
    let routes = routes::check(request, found, services, &mut findings);
    let serving = routes.and_then(|routes| routes.serving);
    match slots::roles(request, services, serving, found, &mut findings) {
        Some((stable, _)) if !findings.has_errors() => Ok(stable.task_definition),
        Some(_) | None => Err(refusal(found, findings)),
    }
}

/// Checks a request against what was found, and resolves it.
pub fn preflight(request: &Request, found: &Found) -> Result<Resolved, Refusal> {
    let mut findings = Findings::default();
    holders(found, &mut findings);
    let services = slots::both(request, found, &mut findings);
    groups::check(request, found, services, &mut findings);
    let routes = routes::check(request, found, services, &mut findings);
    let serving = routes.as_ref().and_then(|routes| routes.serving);
    let unlisted = unlisted::check(request, found, services, serving, &mut findings);
    let roles = slots::roles(request, services, serving, found, &mut findings);
    let idle = roles.as_ref().map(|(_, canary)| canary);
    let task_definition = task_definition(request, found, idle, &mut findings);
    let serves = roles.as_ref().map(|(stable, _)| &stable.task_definition);
    let retries = quarantine::check(request, found, serves, &mut findings);
    images::check(found, services, serving, &mut findings);
    task_roles::check(found, services, serving, &mut findings);
    scaling::check(request, found, services, serving, &mut findings);
    let alarms = alarms::check(request, found, serving, &mut findings);
    channels::known(request, found, &mut findings);

    let stable_images = serves.and_then(|serves| found.images.get(serves)).cloned();
    let stable_images = stable_images.unwrap_or_default();
    let mut plan = match (routes.and_then(|routes| routes.plans(found)), roles, task_definition) {
        (Some(routes), Some((stable, canary)), Some(task_definition)) => Plan {
            service: request.service.clone(),
            cluster: request.target.cluster.clone(),
            stable,
            canary,
            routes,
            task_definition,
            stable_images,
            images: found.task_definition.as_ref().map_or(Vec::new(), RegisteredVersion::images),
            started_by: request.started_by.clone(),
            starter: None,
            naming: Naming::default(),
            reason: request.reason.clone(),
            way_back: found.way_back.clone(),
            retry: request.release.retry.clone(),
            ran: found.before.ran.clone(),
            retries,
            strategy: request.strategy.name(),
            stages: request.strategy.stages(),
            capacity: request.strategy.capacity(request.capacity.canary),
            settle_within: request.settle_within,
            scale_in_delay: request.capacity.scale_in_delay,
            retention: request.retention,
            health: health(request, alarms),
            rollback: rollback(request),
            validation: None,
            windows: request
                .windows
                .as_ref()
                .map(|windows| windows::resolve(windows, found.now, &mut findings)),
            notify: request.notify.channels(),
            notify_by: request.notify.by_urgency().cloned(),
            unlisted,
        },
        (_, _, _) => return Err(refusal(found, findings)),
    };
    let judged = (Role::Canary, Role::Stable);
    plan.health.checks = checks::resolve(&request.health.checks, &plan, judged);
    plan.health.probes = probes::resolve(&request.health.probes, &plan, Role::Canary);
    let asked = request.rollback.validate.as_ref();
    plan.validation = asked.map(|asked| validation::resolve(asked, &plan));
    if let Some(asked) = asked {
        validation::too_short(asked, &mut findings);
    }
    checks::short_bakes(request, &plan, &mut findings);
    unjudged_requests(&plan, &mut findings);
    hooks::never_asked(&plan, &mut findings);
    unchanged_version(&plan, &mut findings);
    approval::check(found, &mut plan, &mut findings);
    channels::unheard(&plan, found, &mut findings);
    budget::check(request, &plan, &mut findings);
    if findings.has_errors() {
        return Err(refusal(found, findings));
    }
    if found.way_back.is_some() {
        // That nothing judges it is what it is.
        findings.retain(|finding| !finding.path.starts_with("$.health"));
    }
    Ok(Resolved { plan, warnings: findings })
}

fn refusal(found: &Found, findings: Findings) -> Refusal {
    let findings = findings.errors_first();
    if found.holders.is_empty() { Refusal::Invalid(findings) } else { Refusal::Running(findings) }
}

fn holders(found: &Found, findings: &mut Findings) {
    for holder in &found.holders {
        let deployment = &holder.deployment;
        let service = holder.service.as_ref();
        let of = service.map_or(String::new(), |service| format!(" of service `{service}`"));
        let kinds: std::collections::BTreeSet<_> = holder.keys.iter().map(LockKey::kind).collect();
        let kinds: Vec<_> = kinds.into_iter().map(LockKind::words).collect();
        findings.error(
            "$.target",
            format!(
                "deployment `{deployment}`{of} is running and needs the same {}",
                kinds.join(" and ")
            ),
            format!(
                "wait until it has ended (`glidepath status {deployment}`), or end it with \
                 `glidepath rollback {deployment}`"
            ),
        );
    }
}

fn task_definition(
    request: &Request,
    found: &Found,
    idle: Option<&SlotPlan>,
    findings: &mut Findings,
) -> Option<TaskDefinition> {
    let Some(version) = &found.task_definition else {
        let wanted = &request.release.task_definition;
        let register = "register it first, in the same account and region";
        let hint = found.or_another(register);
        findings.error(
            "$.release.taskDefinition",
            format!("there is no task definition `{wanted}`"),
            hint,
        );
        return None;
    };
    // ECS starts tasks of a service that has it already, and gives it to none: the slot that kept it is
    // all that there is of it. One whose deployment failed would need another.
    let kept = |idle: &SlotPlan| {
        let service = match idle.slot {
            Slot::Blue => &found.blue,
            Slot::Green => &found.green,
        };
        let failed = |service: &EcsService| matches!(service.rollout, Rollout::Failed(_));
        idle.task_definition == version.arn && !service.as_ref().is_some_and(failed)
    };
    let kept = found.way_back.is_some() && idle.is_some_and(kept);
    if !version.active && !kept {
        let register =
            "register the same again, which makes another revision of it, and release that one";
        let hint = found.or_another(register);
        findings.error(
            "$.release.taskDefinition",
            format!("`{}` is deregistered: ECS gives it to no service", version.arn.short()),
            hint,
        );
    }
    Some(version.arn.clone())
}

/// Which both have to be asked for, and are perhaps not meant together.
fn unjudged_requests(plan: &Plan, findings: &mut Findings) {
    if plan.health.judges_requests() || plan.only_switches() {
        return;
    }
    findings.warning(
        "$.health",
        "nothing judges the requests, and none are waited for: the limit is 100 % and the comparison \
         with the old version is off",
        "set badRequests.limit below 100, or comparison.sensitivity to something else than none; \
         without either have alarms or checks of your own",
    );
}

fn health(request: &Request, alarms: crate::plan::AlarmPlan) -> HealthPlan {
    let health = &request.health;
    let limit = health.bad_requests.limit.permille();
    HealthPlan {
        interval: health.interval,
        alarms,
        bad_requests_limit: (limit < Permille(1000)).then_some(limit),
        bad_requests_are: health.bad_requests.are,
        slower_than: health.slow_requests.slower_than,
        comparison: health.comparison.plan(),
        // Measures name parts of the plan.
        checks: Vec::new(),
        hooks: hooks::resolve(request),
        probes: Vec::new(),
        minimum_requests: health.minimum_requests,
        extend_up_to: health.on_inconclusive.extend_up_to,
        on_inconclusive: health.on_inconclusive.then,
    }
}

fn rollback(request: &Request) -> RollbackPlan {
    let crate::request::Rollback { weak_stable, hold_for, then, validate: _ } = request.rollback;
    RollbackPlan { weak_stable, hold_for, then }
}

fn unchanged_version(plan: &Plan, findings: &mut Findings) {
    let SlotPlan { slot, task_definition, .. } = &plan.stable;
    if *task_definition != plan.task_definition {
        return;
    }
    let serves = format!("the {slot} slot already serves `{}`", task_definition.short());
    if plan.way_back.is_some() {
        findings.error(
            "$.release.rollbackTo",
            serves,
            "somebody has sent the traffic there by hand: release that version to make it the one that \
             the registry knows",
        );
    } else {
        findings.warning(
            "$.release.taskDefinition",
            serves,
            "name another revision, unless moving the same version is what you want",
        );
    }
}

#[cfg(test)]
mod tests;
