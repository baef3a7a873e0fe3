//! Reading routes, and telling our own state of them from somebody else's.

use futures_util::future::join_all;
use glidepath_core::failure::Failure;
use glidepath_core::plan::RoutePlan;
use glidepath_core::record::Intent;
use glidepath_core::route::RouteActions;

use crate::attempt::{Attempted, Patience, PutOff, attempt};
use crate::ports::{FoundRoute, LoadBalancer, Ports};
use crate::{Ambient, failed};

/// The routes of a plan as they are now, in the plan's order; `None` for one that is not there or
/// not what it was.
pub(crate) async fn read(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    plan: &[RoutePlan],
) -> Result<Vec<Option<RouteActions>>, Failure> {
    let wanted: Vec<_> = plan.iter().map(|route| route.route.clone()).collect();
    let found = ports.load_balancer().routes(&wanted).await.map_err(|error| failed(&error))?;
    Ok(found
        .into_iter()
        .map(|route| match route {
            FoundRoute::Found { actions, .. } => Some(actions),
            FoundRoute::DefaultRule | FoundRoute::Missing | FoundRoute::Unsupported(_) => None,
        })
        .collect())
}

/// Writes one state of every route, all at once.
pub(crate) async fn write(
    ports: &impl Ports<LoadBalancer: LoadBalancer, Ambient: Ambient>,
    intent: &Intent,
    patience: Patience,
    routes: &[(&RoutePlan, RouteActions)],
) -> Attempted {
    let load_balancer = ports.load_balancer();
    let attempts = routes.iter().map(|(route, actions)| {
        attempt(ports, intent, patience, || load_balancer.write_route(&route.route, actions))
    });
    let mut clean = true;
    let mut failed = None;
    let mut throttled = None;
    let mut put_off: Option<PutOff> = None;
    for ((route, _), attempted) in routes.iter().zip(join_all(attempts).await) {
        clean &= attempted.clean;
        match (attempted.result, attempted.put_off) {
            (Ok(()), _) => {}
            (Err(error), None) => {
                failed.get_or_insert(error);
            }
            (Err(error), Some(this)) => {
                throttled.get_or_insert(error);
                let all = put_off.get_or_insert(PutOff { wait: this.wait, left: Vec::new() });
                all.wait = all.wait.min(this.wait);
                all.left.push(route.route.clone());
            }
        }
    }
    match failed {
        // Worse than waiting: everything is written again.
        Some(error) => Attempted { result: Err(error), clean, put_off: None },
        None => Attempted { result: throttled.map_or(Ok(()), Err), clean, put_off },
    }
}
