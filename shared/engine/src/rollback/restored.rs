//! What both doors of a rollback do once routes are written.

use glidepath_core::failure::Failure;
use glidepath_core::ids::{DeploymentId, IntentId};
use glidepath_core::protocol::{Restored, restored};
use glidepath_core::record::Deployment;
use glidepath_core::time::Span;

use crate::attempt::Attempted;
use crate::pace::overdue;
use crate::ports::{Orchestration, Registry};
use crate::restore::Written;
use crate::transition::{Stop, transition};
use crate::{Ambient, failed};

/// Every attempt of the claimed write was answered.
pub(super) async fn finish(
    registry: &impl Registry,
    deployment: &DeploymentId,
    own: &IntentId,
) -> Result<(), Failure> {
    let finished = registry.finish_deployment_intent(deployment, own).await;
    finished.map_err(|error| failed(&error))
}

/// Records that traffic is back, and that nothing is due for so long; whether somebody must be told
/// now.
pub(super) async fn record_restored<R: Registry, A: Ambient>(
    registry: &R,
    ambient: &A,
    id: &DeploymentId,
    written: &Restored<'_>,
    wait: Span,
) -> Result<(Deployment, bool), Stop> {
    transition(registry, id, |deployment| {
        let now = ambient.now();
        let due = overdue(&deployment.plan, now, wait);
        let (restored, writes) = restored(deployment, written, now, due)?;
        let told = restored.notices > deployment.notices;
        Ok(((restored, told), writes))
    })
    .await
}

/// Everything is on stable already.
pub(super) fn nothing_to_write() -> Written {
    Written { attempted: Attempted { result: Ok(()), clean: true, put_off: None }, beside: None }
}

/// Ends the pause of the state machine, so that it takes over the rest of the rollback at once.
pub(super) async fn wake(
    orchestration: &impl Orchestration,
    deployment: &Deployment,
) -> Result<(), Failure> {
    let (Some(gate), Some(fence)) = (&deployment.gate, &deployment.fence) else {
        return Ok(());
    };
    // A gate that nobody waits at any more is as good as woken.
    orchestration
        .fail_gate(&gate.token, &fence.failure)
        .await
        .map(|_| ())
        .map_err(|error| failed(&error))
}
