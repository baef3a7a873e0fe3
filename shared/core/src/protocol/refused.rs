//! Why a transition is not possible, and the conditions that every transition asks for.

use super::write::RegistryWrite;
use crate::ids::{AlarmArn, EcsServiceName, IntentId};
use crate::record::{Deployment, Phase, all_dead_at};
use crate::time::Timestamp;

/// Why a transition is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A rollback has begun or the deployment has ended.
    #[error("the deployment is {}", .0.name())]
    NotOpen(Phase),
    /// A bound alarm has fired; the rollback is on its way.
    #[error("alarm `{}` has fired", .0.name())]
    Fired(AlarmArn),
    /// Somebody else's write may still land.
    #[error("another write may still land until {until}")]
    Busy {
        /// From then on none can.
        until: Timestamp,
    },
    /// Another invocation has gone on meanwhile: a newer entry of the gate state has stored its token,
    /// or the step is over.
    #[error("another invocation has gone on meanwhile")]
    NotNewer,
    /// A deployment holds the slot.
    #[error("`{0}` is in use by a deployment")]
    InUse(EcsServiceName),
    /// Nobody is asked that, or it was answered, or its time is up; or a stage does not wait, or not for
    /// a person to let it go on.
    #[error("{0}")]
    NothingToDecide(String),
    /// Somebody has paused or frozen it; in words.
    #[error("{0}")]
    Paused(String),
    /// Somebody else may decide it.
    #[error("{0}")]
    NotTheirs(String),
}

impl Deployment {
    /// Refuses unless forward writes are allowed.
    pub fn require_open(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_) => {
                Err(Refused::NotOpen(self.phase))
            }
        }
    }

    /// Refuses while a claimed write of anybody may still land.
    pub(super) fn require_idle(&self, now: Timestamp) -> Result<(), Refused> {
        all_dead_at(self.intents.values(), now).map_or(Ok(()), |until| Err(Refused::Busy { until }))
    }

    /// Refuses to record a write whose claim is gone.
    pub(super) fn require_claimed(&self, id: &IntentId) -> Result<(), Refused> {
        if self.intents.contains_key(id) { Ok(()) } else { Err(Refused::NotNewer) }
    }

    /// The condition that no bound alarm has fired since the start.
    pub(super) fn require_quiet(&self) -> impl Iterator<Item = RegistryWrite> + '_ {
        self.alarms.iter().map(|alarm| RegistryWrite::RequireQuiet {
            alarm: alarm.clone(),
            started_at: self.started_at,
        })
    }
}
