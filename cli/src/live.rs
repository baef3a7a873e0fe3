//! What AWS says of a deployment at this moment. The record says what Glidepath has written and
//! found; somebody who looks at night needs what is so now, and why it waits.

use glidepath_core::health::{Comparison, SlotRequests, StoredCells, evidence};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::plan::{Plan, SlotPlan, StageIndex};
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::route::Role;
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{
    Containers, FoundRoute, LoadBalancer, PortResult, Ports, Registry, TargetHealth,
};
use glidepath_report::total_of;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    /// The canary's share of every route in the plan's order, or why it could not be read.
    pub(crate) shares: Option<Result<Vec<Option<Weight>>, String>>,
    /// Tasks and targets of the new version, then of the old one.
    pub(crate) slots: Vec<String>,
    /// `None`: no look has counted anything yet.
    pub(crate) counted: Option<Counted>,
}

/// What looks have counted of the requests, as the registry keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counted {
    /// The end of the newest period.
    pub(crate) until: Timestamp,
    /// The stages that have periods, in order.
    pub(crate) stages: Vec<StageCounted>,
    /// `None` where the versions are not compared, or not yet.
    pub(crate) evidence: Option<Evidence>,
}

/// The requests of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StageCounted {
    pub(crate) stage: StageIndex,
    pub(crate) canary: SlotRequests,
    pub(crate) stable: SlotRequests,
}

/// How much speaks against the new version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// The natural logarithm of E.
    pub(crate) ln_e: f64,
    /// From which one on the deployment ends.
    pub(crate) bound: f64,
    /// Minutes that speak clearly against it.
    pub(crate) witnesses: u32,
    /// And how many of them are needed besides.
    pub(crate) needed: u32,
}

/// Reads what the registry keeps of the requests and, until the deployment has ended, what AWS says: after
/// that its slots are others' to use.
pub(crate) async fn live(
    ports: &impl Ports<Registry: Registry, LoadBalancer: LoadBalancer, Containers: Containers>,
    deployment: &Deployment,
) -> PortResult<Live> {
    let stored = ports.registry().stored_cells(&deployment.id).await?;
    let counted = stored.as_ref().and_then(|stored| Counted::of(deployment, stored));
    if matches!(deployment.phase, Phase::Closed(_)) {
        return Ok(Live { counted, ..Live::default() });
    }
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
    Ok(Live { shares: Some(shares.map_err(|error| error.to_string())), slots, counted })
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

impl Counted {
    fn of(deployment: &Deployment, stored: &StoredCells) -> Option<Self> {
        let last = stored.cells.last()?;
        let by_stage = stored.cells.chunk_by(|one, other| one.cell.stage == other.cell.stage);
        let stages = by_stage.filter_map(|cells| {
            Some(StageCounted {
                stage: cells.first()?.cell.stage,
                canary: total_of(cells.iter().map(|stored| stored.cell.canary)),
                stable: total_of(cells.iter().map(|stored| stored.cell.stable)),
            })
        });
        let cells: Vec<_> = stored.cells.iter().map(|stored| stored.cell).collect();
        let comparison = stored.comparison;
        let comparison =
            comparison.and_then(|terms| Comparison::planned(&deployment.plan, &terms, &cells).ok());
        let evidence = comparison.as_ref().and_then(|comparison| {
            let point = comparison.latest()?;
            Some(Evidence {
                ln_e: point.ln_e,
                bound: comparison.parameters.bound(),
                witnesses: point.witnesses,
                needed: comparison.parameters.witnesses(),
            })
        });
        Some(Self { until: last.cell.from + last.length, stages: stages.collect(), evidence })
    }

    /// The requests of a stage, where a look has counted some.
    pub(crate) fn at(&self, stage: StageIndex) -> Option<&StageCounted> {
        self.stages.iter().find(|counted| counted.stage == stage)
    }

    /// The requests of the stage that the deployment is at, in words.
    pub(crate) fn now(&self, deployment: &Deployment) -> Option<String> {
        match deployment.phase {
            Phase::Open | Phase::RollingBack | Phase::Held => {}
            Phase::Committed | Phase::Closed(_) => return None,
        }
        let plan = &deployment.plan;
        let StageCounted { stage, canary, stable } = self.at(deployment.progress.stage)?;
        let judged = self.evidence.map(|known| format!("; evidence {known}"));
        Some(format!(
            "stage {stage} until {}: {} requests to {}, {} bad; {} to {}, {} bad{}",
            self.until,
            canary.all,
            plan.task_definition.short(),
            canary.bad,
            stable.all,
            plan.stable.task_definition.short(),
            stable.bad,
            judged.unwrap_or_default()
        ))
    }
}

impl std::fmt::Display for Evidence {
    /// `4.21 of 20`
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", evidence(self.ln_e), evidence(self.bound))
    }
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
