//! A person freezes services, so that no weight moves forward there, or thaws them.

use futures_util::{StreamExt, stream};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::{Refused, Thaw, freeze, thaw};
use glidepath_core::record::{EVERY_SERVICE, Freeze, FreezeEntry, Freezes, Phase};
use glidepath_core::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::decide::{Posted, require_said};
use crate::failed;
use crate::ports::{Clock, Committed, Due, Orchestration, Overdue, PortResult, Ports, Registry};

/// How often it is decided again because somebody else was faster.
const ATTEMPTS: u32 = 10;

/// How many deployments are woken at a time: all of them within the function's time.
const AT_A_TIME: usize = 16;

/// What is posted to the function `decide`: `{"freeze": {"reason": "the sale"}}`. It refuses what it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum PostedFreeze {
    Freeze {
        /// A pattern of `CLUSTER/SERVICE`, by the names of ECS services; without it, every service.
        #[serde(default = "every_service")]
        services: String,
        reason: String,
        /// When it ends by itself, in milliseconds of Unix time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    Thaw {
        /// As it was frozen; without it whatever is, if that is one thing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        services: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// Everything that may be posted to the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostedBody {
    /// About a deployment.
    Decision(Posted),
    /// About services, whatever is deployed.
    Freeze(PostedFreeze),
}

impl<'de> Deserialize<'de> for PostedBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not untagged: that would say of a mistake only that nothing fits.
        let body = Value::deserialize(deserializer)?;
        if body.get("freeze").is_some() || body.get("thaw").is_some() {
            PostedFreeze::deserialize(body).map(Self::Freeze).map_err(D::Error::custom)
        } else {
            Posted::deserialize(body).map(Self::Decision).map_err(D::Error::custom)
        }
    }
}

fn every_service() -> String {
    EVERY_SERVICE.to_owned()
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FreezeDone {
    Frozen(Freeze),
    /// What was frozen until now.
    Thawed(Freeze),
}

/// Records it, for this person; what waits for a thaw looks again at once.
pub async fn run<P>(ports: &P, posted: &PostedFreeze, by: &str) -> Result<FreezeDone, Failure>
where
    P: Ports<Registry: Registry, Orchestration: Orchestration, Ambient: Clock>,
{
    let reason = match posted {
        PostedFreeze::Freeze { reason, .. } => Some(reason),
        PostedFreeze::Thaw { reason, .. } => reason.as_ref(),
    };
    reason.map_or(Ok(()), |reason| require_said(reason))?;
    let registry = ports.registry();
    for _ in 0..ATTEMPTS {
        let freezes = registry.freezes().await.map_err(|error| failed(&error))?;
        let (after, entry, done) = decided(posted, by, &freezes, ports.ambient().now())?;
        let stored = registry.store_freezes(&after, &entry).await;
        match stored.map_err(|error| failed(&error))? {
            Committed::Yes => {
                match &done {
                    // It may end sooner than the one before it.
                    FreezeDone::Frozen(freeze) if freeze.since < freeze.at => {
                        wake(ports, freeze).await
                    }
                    FreezeDone::Frozen(_) => {}
                    FreezeDone::Thawed(thawed) => wake(ports, thawed).await,
                }
                return Ok(done);
            }
            Committed::Conflict => {}
        }
    }
    Err(Failure::new(FailureCode::Transient, "others write the freezes all the time"))
}

fn decided(
    posted: &PostedFreeze,
    by: &str,
    freezes: &Freezes,
    now: Timestamp,
) -> Result<(Freezes, FreezeEntry, FreezeDone), Failure> {
    let refused = |refused: Refused| Failure::new(FailureCode::InvalidRequest, refused.to_string());
    let by = by.to_owned();
    match posted.clone() {
        PostedFreeze::Freeze { services, reason, until } => {
            let wanted = Freeze { services, by, at: now, since: now, reason, until };
            let (after, frozen, entry) = freeze(freezes, wanted, now).map_err(refused)?;
            Ok((after, entry, FreezeDone::Frozen(frozen)))
        }
        PostedFreeze::Thaw { services, reason } => {
            let wanted = Thaw { services, by, reason };
            let (after, thawed, entry) = thaw(freezes, &wanted, now).map_err(refused)?;
            Ok((after, entry, FreezeDone::Thawed(thawed)))
        }
    }
}

/// Ends the pauses of what waits there. Whoever is not woken finds at its next look what is frozen.
async fn wake<P>(ports: &P, frozen: &Freeze)
where
    P: Ports<Registry: Registry, Orchestration: Orchestration>,
{
    let ever = Timestamp::from_millis(i64::MAX);
    let open = match ports.registry().due(ever).await {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(error = %error, "nobody is woken: what waits goes on with its next look");
            return;
        }
    };
    let open = open.into_iter().filter_map(|Overdue { due, .. }| match due {
        Due::Deployment(id) => Some(id),
        Due::Retirement(_) | Due::Notices(_) => None,
    });
    let woken = stream::iter(open).for_each_concurrent(AT_A_TIME, async |id| {
        if let Err(error) = wake_one(ports, &id, frozen).await {
            tracing::warn!(deployment.id = %id, error = %error, "it goes on with its next look");
        }
    });
    woken.await;
}

async fn wake_one<P>(ports: &P, id: &DeploymentId, frozen: &Freeze) -> PortResult<()>
where
    P: Ports<Registry: Registry, Orchestration: Orchestration>,
{
    let found = ports.registry().deployment(id).await?;
    let held = found.filter(|found| found.phase == Phase::Open && frozen.holds(&found.plan));
    if let Some(gate) = held.and_then(|deployment| deployment.gate) {
        ports.orchestration().open_gate(&gate.token).await?;
    }
    Ok(())
}
