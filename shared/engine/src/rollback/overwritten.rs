//! What a rollback has overwritten.

use glidepath_core::protocol::{Overwrites, Overwritten, SeenRoutes};
use glidepath_core::record::Deployment;

use crate::ports::{LoadBalancer, Ports};
use crate::routes;

/// What was overwritten, if that can be said truly. A change that was seen beside the write may have
/// come after it, so it counts only once the routes read back as written; if they do not, the next
/// turn finds it, overwrites it and says so.
pub(super) async fn overwritten(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    deployment: &Deployment,
    seen: &SeenRoutes,
) -> Overwritten {
    match deployment.overwrites(seen) {
        Overwrites::Known(overwritten) => overwritten,
        Overwrites::IfWritten(found) => {
            let after = routes::read(ports, &deployment.plan.routes).await;
            let written = after.is_ok_and(|after| deployment.is_written_back(&after));
            if written { Overwritten::Change(found) } else { Overwritten::Unknown }
        }
    }
}
