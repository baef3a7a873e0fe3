//! A person ends the time in which an old slot keeps its tasks; the sweep then takes them away.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::hasten_retirement;
use glidepath_core::record::{LockKey, Retirement};

use crate::failed;
use crate::ports::{Clock, Committed, Ports, Registry};

/// How often it is read again because the sweep was faster.
const ATTEMPTS: u32 = 3;

/// Makes the retirement due that this deployment has left behind, for this person; as it was before, if there is one.
pub async fn run<P>(
    ports: &P,
    deployment: &DeploymentId,
    by: &str,
) -> Result<Option<Retirement>, Failure>
where
    P: Ports<Registry: Registry, Ambient: Clock>,
{
    let registry = ports.registry();
    for _ in 0..ATTEMPTS {
        let record = registry.deployment(deployment).await.map_err(|error| failed(&error))?;
        let record = record.ok_or_else(|| {
            let cause = format!("there is no deployment `{deployment}`; nothing was written");
            Failure::new(FailureCode::UnknownDeployment, cause)
        })?;
        let key = &LockKey::service(&record.plan.cluster, &record.plan.stable.service);
        let found = registry.retirement(key).await.map_err(|error| failed(&error))?;
        let Some(retirement) = found.filter(|found| found.deployment == *deployment) else {
            return Ok(None);
        };
        let Some(writes) = hasten_retirement(&retirement, &record, by, ports.ambient().now())
        else {
            return Ok(Some(retirement));
        };
        match registry.commit(writes).await.map_err(|error| failed(&error))? {
            Committed::Yes => return Ok(Some(retirement)),
            Committed::Conflict => {}
        }
    }
    Err(Failure::new(FailureCode::Transient, "others write the retirement all the time"))
}
