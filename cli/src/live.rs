//! What AWS says of a deployment at this moment. The record says what Glidepath has written and
//! found; somebody who looks at night needs what is so now, and why it waits.

use glidepath_core::health::{Comparison, StoredCells, evidence};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::plan::{Plan, SlotPlan};
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::route::Role;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{
    Containers, FoundRoute, LoadBalancer, PortResult, Ports, TargetHealth,
};
use glidepath_report::total_of;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// The canary's share of every route in the plan's order, or why it could not be read.
    pub(crate) shares: Option<Result<Vec<Option<Weight>>, String>>,
    /// Tasks and targets of the new version, then of the old one.
    pub(crate) slots: Vec<String>,
    /// What the newest look has counted.
    pub(crate) counted: Option<String>,
}

/// Looks at the routes, and at what may keep the deployment waiting.
pub(crate) async fn live(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Containers: Containers>,
    deployment: &Deployment,
    stored: Option<&StoredCells>,
) -> Live {
    let plan = &deployment.plan;
    let shares = shares(ports.load_balancer(), plan).await;
    let mut slots = Vec::new();
    for (role, slot, version) in [
        (Role::Canary, &plan.canary, plan.task_definition.short()),
        (Role::Stable, &plan.stable, plan.stable.task_definition.short()),
    ] {
        let groups: Vec<_> = plan.routes.iter().map(|route| route.group(role)).collect();
        let told = slot_now(ports, deployment, slot, &groups).await;
        slots.push(match told {
            Ok(told) => format!("{version}: {told}"),
            Err(error) => format!("{version}: not known ({error})"),
        });
    }
    Live {
        shares: Some(shares.map_err(|error| error.to_string())),
        slots,
        counted: stored.and_then(|stored| counted(deployment, stored)),
    }
}

/// The canary's share of every route in the plan's order; `None` where it has none that can be told.
async fn shares(load_balancer: &impl LoadBalancer, plan: &Plan) -> PortResult<Vec<Option<Weight>>> {
    let routes: Vec<_> = plan.routes.iter().map(|route| route.route.clone()).collect();
    let found = load_balancer.routes(&routes).await?;
    let shares = plan.routes.iter().zip(&found).map(|(route, found)| match found {
        FoundRoute::Found { actions, .. } => actions.canary_share(&route.pair).ok(),
        FoundRoute::DefaultRule | FoundRoute::Missing | FoundRoute::Unsupported(_) => None,
    });
    Ok(shares.collect())
}

/// Whether everything goes to what a deployment has deployed.
pub(crate) async fn serves(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Containers: Containers>,
    deployment: &Deployment,
) -> PortResult<bool> {
    let plan = &deployment.plan;
    let shares = shares(ports.load_balancer(), plan).await?;
    let all = shares.iter().all(|share| *share == Some(Weight::ALL));
    let service = ports.containers().service(&plan.cluster, &plan.canary.service).await?;
    Ok(all && service.is_some_and(|service| service.task_definition == plan.task_definition))
}

async fn slot_now(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Containers: Containers>,
    deployment: &Deployment,
    slot: &SlotPlan,
    groups: &[&TargetGroupArn],
) -> PortResult<String> {
    let service = ports.containers().service(&deployment.plan.cluster, &slot.service).await?;
    let Some(service) = service else { return Ok(format!("there is no `{}`", slot.service)) };
    let mut told = format!("{} of {} tasks run", service.running_count, service.desired_count);
    // Groups of several routes have the same tasks; the one with the fewest healthy is what counts.
    let mut weakest: Option<TargetHealth> = None;
    let mut groups = groups.to_vec();
    groups.dedup();
    for group in groups {
        let health = ports.load_balancer().target_health(group).await?;
        if weakest.as_ref().is_none_or(|weakest| health.healthy < weakest.healthy) {
            weakest = Some(health);
        }
    }
    if let Some(TargetHealth { healthy, unused, other, sick }) = weakest {
        told.push_str(&format!(", {healthy} of {} targets healthy", healthy + unused + other));
        if let Some(reason) = sick {
            told.push_str(&format!(" ({reason})"));
        }
    }
    Ok(told)
}

/// The requests of the stage that the deployment is at, as far as looks have counted them.
fn counted(deployment: &Deployment, stored: &StoredCells) -> Option<String> {
    match deployment.phase {
        Phase::Open | Phase::RollingBack | Phase::Held => {}
        Phase::Committed | Phase::Closed(_) => return None,
    }
    let stage = deployment.progress.stage;
    let of_stage = || stored.cells.iter().filter(|stored| stored.cell.stage == stage);
    let last = of_stage().next_back()?;
    let canary = total_of(of_stage().map(|stored| stored.cell.canary));
    let stable = total_of(of_stage().map(|stored| stored.cell.stable));
    let plan = &deployment.plan;
    let cells: Vec<_> = stored.cells.iter().map(|stored| stored.cell).collect();
    let comparison =
        stored.comparison.and_then(|terms| Comparison::planned(plan, &terms, &cells).ok());
    let judged = comparison.as_ref().and_then(|comparison| {
        let point = comparison.latest()?;
        let needed = evidence(comparison.parameters.bound());
        Some(format!("; evidence {} of {needed}", evidence(point.ln_e)))
    });
    Some(format!(
        "stage {stage} until {}: {} requests to {}, {} bad; {} to {}, {} bad{}",
        last.cell.from + last.length,
        canary.all,
        plan.task_definition.short(),
        canary.bad,
        stable.all,
        plan.stable.task_definition.short(),
        stable.bad,
        judged.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use glidepath_core::plan::Slot;
    use glidepath_engine::ports::Clock;
    use glidepath_engine::testing::example::{
        actions, begun, plan, route, service, stage, version, world,
    };
    use glidepath_engine::testing::{Bed, MemoryRegistry};

    use super::*;
    use crate::fixtures::minutes;

    #[tokio::test]
    async fn a_version_serves_only_with_all_the_traffic_and_its_own_tasks() {
        let (registry, world) = (MemoryRegistry::default(), world());
        let plan = plan(vec![stage(1000, minutes(1))]);
        let deployment = begun(&registry, plan, "shop-2", world.now()).await;
        let serves = async || serves(&Bed::new(&registry, &world), &deployment).await.unwrap();
        let green = service(Slot::Green);
        let deployed = |task_definition| {
            world.state().services.get_mut(&green).unwrap().task_definition = task_definition;
        };
        let shifted = |share| world.state().routes.insert(route(), actions(share));

        deployed(version(2));
        assert!(!serves().await);
        shifted(Weight::from_permille(500).unwrap());
        assert!(!serves().await);
        shifted(Weight::ALL);
        assert!(serves().await);
        deployed(version(3));
        assert!(!serves().await);
        world.state().routes.clear();
        assert!(!serves().await);
    }
}
