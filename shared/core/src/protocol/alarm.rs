//! What the registry holds about an alarm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::intent::{Intent, all_dead_at};
use super::write::Revision;
use crate::ids::{AlarmArn, DeploymentId, IntentId};
use crate::plan::RoutePlan;
use crate::storm::Harm;
use crate::time::{Span, Timestamp};

/// One alarm: when it last fired, and which deployments it can stop. Everything that a rollback
/// needs comes back from the one update that closes the fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmItem {
    /// Which alarm.
    pub arn: AlarmArn,
    /// Goes up with every write.
    pub revision: Revision,
    /// The newest state timestamp with which it fired. Nobody ever clears it.
    pub fired_at: Option<Timestamp>,
    /// Deployments that it can stop.
    pub bindings: BTreeMap<DeploymentId, Binding>,
    /// Rollbacks that may be writing.
    pub intents: BTreeMap<IntentId, Intent>,
}

/// One deployment that an alarm can stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// An event is late, and changes nothing, if its state timestamp is before this.
    pub started_at: Timestamp,
    /// The routes with the complete actions that send everything to stable.
    pub routes: Vec<RoutePlan>,
    /// Healthy targets that stable needs to take everything.
    pub needed: u32,
    /// How stable was when somebody last looked.
    pub health: RecordedHealth,
    /// What the rollback would end, as of the last look: decides who goes first when many roll
    /// back at once. What was written before this was known must still be read.
    #[serde(default)]
    pub harm: Harm,
}

/// How stable was when somebody last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedHealth {
    /// The smallest number of healthy targets among stable's groups.
    pub healthy: u32,
    /// When.
    pub at: Timestamp,
    /// Older than this it is not fresh.
    pub fresh_for: Span,
}

impl RecordedHealth {
    /// Whether a rollback may write without looking first.
    pub fn vouches(&self, needed: u32, now: Timestamp) -> bool {
        self.healthy >= needed && now.since(self.at) <= self.fresh_for
    }
}

impl AlarmItem {
    /// An alarm that the registry does not know yet.
    pub fn unknown(arn: AlarmArn) -> Self {
        Self {
            arn,
            revision: Revision::default(),
            fired_at: None,
            bindings: BTreeMap::new(),
            intents: BTreeMap::new(),
        }
    }

    /// Whether it has not fired since a deployment started.
    pub fn quiet_since(&self, started_at: Timestamp) -> bool {
        self.fired_at.is_none_or(|fired_at| fired_at < started_at)
    }

    /// The fence: remembers that it fired and registers the rollback's intent, in one update.
    /// `None` if it is known to have fired at that time or later: then nothing is written.
    #[must_use]
    pub fn fire(&self, at: Timestamp, id: &IntentId, intent: &Intent) -> Option<Self> {
        if self.fired_at.is_some_and(|fired_at| fired_at >= at) {
            return None;
        }
        let mut fired = self.clone();
        fired.fired_at = Some(at);
        fired.intents.insert(id.clone(), intent.clone());
        fired.revision = fired.revision.next();
        Some(fired)
    }

    /// A duplicate of the event, or a second rollback: registers its own intent before it writes,
    /// and only while the binding exists. `None`: it is gone, nothing may be written.
    #[must_use]
    pub fn join(&self, deployment: &DeploymentId, id: &IntentId, intent: &Intent) -> Option<Self> {
        if !self.bindings.contains_key(deployment) {
            return None;
        }
        let mut joined = self.clone();
        joined.intents.insert(id.clone(), intent.clone());
        joined.revision = joined.revision.next();
        Some(joined)
    }

    /// The deployments that an event with this state timestamp stops.
    pub fn stopped_by(&self, at: Timestamp) -> impl Iterator<Item = (&DeploymentId, &Binding)> {
        self.bindings.iter().filter(move |(_, binding)| binding.started_at <= at)
    }

    /// From this instant on no rollback of it can write; `None` if that is now.
    pub fn all_dead_at(&self, now: Timestamp) -> Option<Timestamp> {
        all_dead_at(self.intents.values(), now)
    }
}
