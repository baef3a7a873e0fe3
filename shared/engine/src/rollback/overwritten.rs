//! What a rollback has overwritten. Nothing may stand between the fence and the route, so the routes
//! are read beside the write, not before it, and what was seen is judged afterwards.

use glidepath_core::protocol::{Overwritten, reads_back};
use glidepath_core::record::Deployment;
use glidepath_core::route::RouteActions;

use crate::ports::{LoadBalancer, Ports};
use crate::routes;

/// What was seen of the routes, in the plan's order.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// Before the write began.
    Before(Vec<Option<RouteActions>>),
    /// Beside the write: before or after it, nobody knows.
    Beside(Vec<Option<RouteActions>>),
    /// Nothing was seen in time.
    Nothing,
}

/// What was overwritten, if that can be said truly. A change that was seen beside the write may have
/// come after it, so it counts only once the routes read back as written; if they do not, the next
/// turn finds it, overwrites it and says so.
pub(super) async fn overwritten(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    deployment: &Deployment,
    seen: &Seen,
) -> Overwritten {
    let (observed, before) = match seen {
        Seen::Before(observed) => (observed, true),
        Seen::Beside(observed) => (observed, false),
        Seen::Nothing => return Overwritten::Unknown,
    };
    let routes = || deployment.plan.routes.iter();
    match deployment.foreign(observed) {
        Some(found) if before => Overwritten::Change(found),
        Some(found) => {
            let after = routes::read(ports, &deployment.plan.routes).await;
            let stable: Vec<_> = routes().map(|route| route.stable_only()).collect();
            let written = after.is_ok_and(|after| reads_back(&after, &stable));
            if written { Overwritten::Change(found) } else { Overwritten::Unknown }
        }
        None => {
            // What reads as written may have been read after the write, and says nothing.
            let old = |(route, seen): (&glidepath_core::plan::RoutePlan, &Option<RouteActions>)| {
                seen.as_ref().is_some_and(|seen| *seen != route.stable_only())
            };
            let seen_before = before || routes().zip(observed).all(old);
            if seen_before { Overwritten::Nothing } else { Overwritten::Unknown }
        }
    }
}
