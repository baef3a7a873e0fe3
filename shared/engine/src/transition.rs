//! Reading a deployment, deciding, and writing the decision on the condition that nothing changed
//! in between.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::{Refused, RegistryWrite};
use glidepath_core::record::{Deployment, Phase};

use crate::failed;
use crate::ports::{Committed, PortError, Ports, Registry};

/// How often a decision is made again because somebody wrote in between.
pub(crate) const ATTEMPTS: u32 = 10;

/// Why a transition did not happen.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The protocol forbids it, for now or for good.
    Refused(Refused),
    /// It could not be tried, or nobody knows.
    Failed(Failure),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(failed(&error))
    }
}

impl From<Stop> for Failure {
    /// For callers that cannot do anything else about it.
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(failure) => failure,
            Stop::Refused(refused) => refusal(&refused),
        }
    }
}

/// A refusal as the failure of a function.
pub(crate) fn refusal(refused: &Refused) -> Failure {
    let code = match refused {
        Refused::NotOpen(_) => FailureCode::FenceClosed,
        Refused::Fired(_) => FailureCode::AlarmFired,
        Refused::Busy { .. } | Refused::InUse(_) | Refused::Paused(_) => FailureCode::Transient,
        Refused::NotTheirs(_) => FailureCode::NotAllowed,
        Refused::NotNewer | Refused::NothingToDecide(_) => FailureCode::Unexpected,
    };
    Failure::new(code, refused.to_string())
}

/// Reads a deployment that must exist; from then on the log has its stage.
pub(crate) async fn load(
    ports: &impl Ports<Registry: Registry>,
    id: &DeploymentId,
) -> Result<Deployment, Failure> {
    let found = ports.registry().deployment(id).await.map_err(|error| failed(&error))?;
    let deployment = found.ok_or_else(|| unknown(id))?;
    tracing::Span::current().record("stage", deployment.progress.stage.0.saturating_add(1));
    Ok(deployment)
}

pub(crate) fn unknown(id: &DeploymentId) -> Failure {
    Failure::new(FailureCode::UnknownDeployment, format!("there is no deployment `{id}`"))
}

/// Makes a transition, deciding again on the new state whenever somebody else was faster.
pub(crate) async fn transition<Value>(
    ports: &impl Ports<Registry: Registry>,
    id: &DeploymentId,
    mut decide: impl FnMut(&Deployment) -> Result<(Value, Vec<RegistryWrite>), Refused>,
) -> Result<Value, Stop> {
    for _ in 0..ATTEMPTS {
        let deployment = load(ports, id).await?;
        let (value, writes) = decide(&deployment)?;
        // It is as it shall be.
        if writes.is_empty() {
            return Ok(value);
        }
        match ports.registry().commit(writes).await? {
            Committed::Yes => return Ok(value),
            Committed::Conflict => require_quiet(ports, &deployment).await?,
        }
    }
    Err(Stop::Failed(too_busy(id)))
}

/// Makes one that asks nothing of the alarms, so that one which has fired keeps nobody from it: what is told.
pub(crate) async fn transition_even_if_fired<Value>(
    ports: &impl Ports<Registry: Registry>,
    id: &DeploymentId,
    mut decide: impl FnMut(&Deployment) -> (Value, Vec<RegistryWrite>),
) -> Result<Value, Failure> {
    for _ in 0..ATTEMPTS {
        let deployment = load(ports, id).await?;
        let (value, writes) = decide(&deployment);
        if writes.is_empty() {
            return Ok(value);
        }
        match ports.registry().commit(writes).await.map_err(|error| failed(&error))? {
            Committed::Yes => return Ok(value),
            Committed::Conflict => {}
        }
    }
    Err(too_busy(id))
}

pub(crate) fn too_busy(id: &DeploymentId) -> Failure {
    Failure::new(
        FailureCode::Transient,
        format!("deployment `{id}` was written by others {ATTEMPTS} times in a row"),
    )
}

/// What looks like somebody else's change of a route may be what a rollback has written since the deployment
/// was read. A rollback fences before it writes: whoever finds no fence has found somebody else's.
pub(crate) async fn require_unfenced(
    ports: &impl Ports<Registry: Registry>,
    id: &DeploymentId,
) -> Result<(), Stop> {
    let deployment = load(ports, id).await?;
    deployment.require_open()?;
    require_quiet(ports, &deployment).await
}

/// A forward transition conflicts for ever once a bound alarm has fired: finds out, and which.
async fn require_quiet(
    ports: &impl Ports<Registry: Registry>,
    deployment: &Deployment,
) -> Result<(), Stop> {
    if deployment.phase != Phase::Open {
        return Ok(());
    }
    let alarms = ports.registry().alarms(&deployment.alarms).await?;
    match alarms.into_iter().find(|alarm| !alarm.quiet_since(deployment.started_at)) {
        Some(alarm) => Err(Stop::Refused(Refused::Fired(alarm.arn))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::plan::Slot;
    use glidepath_core::protocol::tell;
    use glidepath_core::record::{Event, Intent, Purpose};
    use glidepath_core::time::Span;

    use super::*;
    use crate::ports::{AlarmFence, Clock};
    use crate::testing::example::{alarm, begun, plan, stage, world};
    use crate::testing::{Bed, MemoryRegistry};

    /// Whoever tells that a channel refuses what it is told meets a rollback's own writes.
    #[tokio::test]
    async fn an_alarm_that_has_fired_keeps_nobody_from_telling() {
        let (registry, world) = (MemoryRegistry::default(), world());
        let minute = Span::from_secs(60);
        let deployment = begun(&registry, plan(vec![stage(1000, minute)]), "d1", world.now()).await;
        let (now, id) = (world.now() + minute, glidepath_core::ids::IntentId::new("i1"));
        let intent = Intent::new(Purpose::Restore, now, minute);
        let fence = registry.fence_alarm(&alarm(Slot::Green), now, &id, &intent).await.unwrap();
        assert!(matches!(fence, AlarmFence::Closed(_)), "{fence:?}");
        let mut met = false;
        let bed = Bed::new(&registry, &world);
        let told = transition_even_if_fired(&bed, &deployment.id, |read| {
            if !met {
                met = true;
                let (_, faster) = tell(read, Event::Retired, now);
                assert!(registry.items().commit(faster).is_some());
            }
            tell(read, Event::Started, now)
        });
        assert_eq!(told.await.unwrap().notices, deployment.notices + 2);
    }
}
