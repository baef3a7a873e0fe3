//! The two ECS services, and which role each of them plays.

use super::Found;
use crate::document::Findings;
use crate::plan::{Slot, SlotPlan};
use crate::request::Request;
use crate::world::{Driver, EcsService, Rollout};

#[derive(Clone, Copy)]
pub(super) struct Services<'a> {
    pub(super) blue: &'a EcsService,
    pub(super) green: &'a EcsService,
}

impl<'a> Services<'a> {
    pub(super) const fn of(self, slot: Slot) -> &'a EcsService {
        match slot {
            Slot::Blue => self.blue,
            Slot::Green => self.green,
        }
    }
}

/// Both ECS services, if they are there and can be told apart.
pub(super) fn both<'a>(
    request: &Request,
    found: &'a Found,
    findings: &mut Findings,
) -> Option<Services<'a>> {
    let (cluster, slots) = (&request.target.cluster, &request.target.slots);
    if found.blue.is_none() && found.green.is_none() {
        // ECS answers the same for a cluster that there is not.
        findings.error(
            "$.target.cluster",
            format!(
                "`{cluster}` has neither `{}` nor `{}`, or there is no such cluster",
                slots.of(Slot::Blue),
                slots.of(Slot::Green)
            ),
            "check the name of the cluster, the account and the Region; or create the services \
             with 0 tasks",
        );
        return None;
    }
    for (slot, service) in [(Slot::Blue, &found.blue), (Slot::Green, &found.green)] {
        let name = slots.of(slot);
        match service {
            None => findings.error(
                path(slot),
                format!("there is no active ECS service `{name}` in `{cluster}`"),
                "check the name and the cluster; or create the service with 0 tasks, after its target \
                 group is in the rule at weight 0",
            ),
            Some(service) if service.driver != Driver::Rolling => {
                if let Some((message, hint)) = not_ours(name.as_str(), &service.driver) {
                    findings.error(path(slot), message, hint);
                }
            }
            Some(service) if service.target_groups.is_empty() => findings.error(
                path(slot),
                format!("the tasks of `{name}` register with no target group"),
                "give the ECS service a load balancer with a target group for each route",
            ),
            Some(_) => {}
        }
    }
    let services = Services { blue: found.blue.as_ref()?, green: found.green.as_ref()? };
    if [services.blue, services.green].iter().any(|service| service.driver != Driver::Rolling) {
        return None;
    }
    let shared: Vec<_> = services
        .blue
        .groups()
        .filter(|group| services.green.registers_with(group))
        .map(|group| format!("`{}`", group.short()))
        .collect();
    if shared.is_empty() {
        return Some(services);
    }
    findings.error(
        "$.target.slots",
        format!("both ECS services register with {}", shared.join(", ")),
        "give each slot target groups of its own, or nothing can be shifted between them",
    );
    None
}

/// Why a service that something else brings to its versions cannot be a slot, and the way out.
fn not_ours(name: &str, driver: &Driver) -> Option<(String, &'static str)> {
    const ROLLING: &str = "set `strategy` in its deploymentConfiguration to ROLLING, and let \
                           Glidepath shift; or leave it to ECS and do not deploy it with Glidepath";
    const ANOTHER: &str = "make the slot an ECS service with the deployment controller ECS, the \
                           strategy ROLLING and the scheduling strategy REPLICA";
    Some(match driver {
        Driver::Rolling => return None,
        Driver::Shifting(strategy) => {
            (format!("ECS itself shifts the traffic of `{name}` (strategy {strategy})"), ROLLING)
        }
        Driver::Daemon => (
            format!("`{name}` runs one task on every instance (DAEMON) and cannot be scaled"),
            ANOTHER,
        ),
        Driver::Express => (
            format!("`{name}` is an Express service: its load balancer is managed by ECS"),
            ANOTHER,
        ),
        Driver::Controller(controller) => {
            (format!("`{name}` is deployed by {controller}, not by ECS"), ANOTHER)
        }
    })
}

/// The slots in their roles, stable first, if the serving one can bear a deployment.
pub(super) fn roles(
    request: &Request,
    services: Option<Services<'_>>,
    serving: Option<Slot>,
    found: &Found,
    findings: &mut Findings,
) -> Option<(SlotPlan, SlotPlan)> {
    let (services, serving) = (services?, serving?);
    // While another deployment runs the slots are as they are because of it.
    if found.holders.is_empty() {
        check_stable(request, serving, services.of(serving), findings);
    }
    let slot_plan = |slot| {
        let service = services.of(slot);
        SlotPlan {
            slot,
            service: request.target.slots.of(slot).clone(),
            desired_count: service.desired_count,
            task_definition: service.task_definition.clone(),
            scaling: found.scaling.of(slot).target,
        }
    };
    Some((slot_plan(serving), slot_plan(serving.other())))
}

fn check_stable(request: &Request, slot: Slot, service: &EcsService, findings: &mut Findings) {
    let name = request.target.slots.of(slot);
    if service.desired_count == 0 {
        findings.error(
            path(slot),
            format!("`{name}` carries the traffic and is asked to run 0 tasks"),
            "scale it up first: without a healthy stable slot there is nothing to return to",
        );
    }
    let progressing = format!("`{name}` carries the traffic and is being changed by ECS");
    let wait = "wait until its own ECS deployment is complete";
    match &service.rollout {
        Rollout::InProgress { failed_tasks: 0 } => findings.error(path(slot), progressing, wait),
        Rollout::InProgress { failed_tasks } => findings.error(
            path(slot),
            format!("{progressing}; {failed_tasks} tasks failed to start"),
            wait,
        ),
        Rollout::Failed(reason) => findings.error(
            path(slot),
            format!(
                "the last ECS deployment of `{name}`, which carries the traffic, failed: {reason}"
            ),
            "repair it first: without a healthy stable slot there is nothing to return to",
        ),
        Rollout::Completed if service.deployments > 1 => {
            findings.error(path(slot), progressing, wait);
        }
        Rollout::Completed => {}
    }
}

/// Where the request names the ECS service of a slot.
pub(super) fn path(slot: Slot) -> String {
    format!("$.target.slots.{slot}")
}
