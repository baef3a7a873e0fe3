//! A service as it is now, held against what its last deployment has left. Reads only.

use futures_util::future::try_join3;
use glidepath_core::drift::{Difference, Seen, differences};
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::{Deployment, LockKey};
use glidepath_core::world::FoundScaling;

use crate::ports::{Containers, LoadBalancer, PortResult, Ports, Registry, Scaling};

/// What was found of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// What is otherwise than its last deployment has left it.
    Ended(Vec<Difference>),
    /// It is being deployed, by this one.
    Runs(DeploymentId),
}

/// Holds the service of what the registry knows as its newest deployment against that.
pub async fn run<P>(ports: &P, deployment: &Deployment) -> PortResult<Looked>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
        >,
{
    let Some((_, slot, _)) = deployment.left_serving() else {
        return Ok(Looked::Runs(deployment.id.clone()));
    };
    let plan = &deployment.plan;
    let routes: Vec<_> = plan.routes.iter().map(|route| route.route.clone()).collect();
    let services = [&slot.service];
    let (routes, serving, scaling) = try_join3(
        ports.load_balancer().routes(&routes),
        ports.containers().service(&plan.cluster, &slot.service),
        ports.scaling().scaling(&plan.cluster, &services),
    )
    .await?;
    let scaling = scaling.into_iter().next().unwrap_or_else(FoundScaling::default);
    let differences = differences(deployment, &Seen { routes, serving, scaling });
    if !differences.is_empty() {
        // The list of deployments may be older than what was read since.
        let keys =
            [&plan.stable, &plan.canary].map(|slot| LockKey::service(&plan.cluster, &slot.service));
        let locks = ports.registry().locks(&keys).await?;
        if let Some(holder) = locks.into_iter().find_map(|lock| lock.holder) {
            return Ok(Looked::Runs(holder));
        }
    }
    Ok(Looked::Ended(differences))
}
