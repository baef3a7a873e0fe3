//! What the registry holds about an alarm.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::intent::{Intent, LANDING_GRACE, all_dead_at};
use super::revision::Revision;
use crate::harm::Harm;
use crate::ids::{AlarmArn, DeploymentId, IntentId};
use crate::plan::RoutePlan;
use crate::rollback::can_take;
use crate::time::{Span, Timestamp};

/// One alarm: when it last fired, and which deployments it can stop. Everything that a rollback
/// needs comes back from the one update that closes the fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmItem {
    pub arn: AlarmArn,
    /// Goes up with every write.
    pub revision: Revision,
    /// The newest state timestamp with which it fired. Nobody ever clears it.
    pub fired_at: Option<Timestamp>,
    /// Deployments that it can stop.
    pub bindings: BTreeMap<DeploymentId, Binding>,
    /// Rollbacks that may be writing.
    pub intents: BTreeMap<IntentId, Intent>,
    /// What is on the item besides.
    pub unreadable: Unreadable,
}

/// What of an alarm's item this version cannot read: a newer one has written it, or it is damaged.
/// Nothing beside it waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Deployments that the alarm can stop; how, only their own records say.
    pub bindings: BTreeSet<DeploymentId>,
    /// Rollbacks that may be writing, with the deadline of each. `None`: not even that can be read,
    /// so it may write for as long as it is there.
    pub intents: BTreeMap<IntentId, Option<Timestamp>>,
}

impl Unreadable {
    /// From this instant on none of these rollbacks can write; `None` if that is now.
    fn all_dead_at(&self, now: Timestamp) -> Option<Timestamp> {
        let dead_at = |deadline: &Option<Timestamp>| {
            deadline.map_or(now + LOOK_AGAIN, |deadline| deadline + LANDING_GRACE)
        };
        self.intents.values().map(dead_at).filter(|dead_at| now < *dead_at).max()
    }
}

/// Until somebody looks again at an item on which a claim stands that nobody can read.
const LOOK_AGAIN: Span = Span::from_secs(60);

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
    pub at: Timestamp,
    /// Older than this it is not fresh.
    pub fresh_for: Span,
}

impl RecordedHealth {
    /// Whether a rollback may write without looking first.
    pub fn vouches(&self, needed: u32, now: Timestamp) -> bool {
        can_take(self.healthy, needed) && self.is_fresh(now)
    }

    /// Whether nobody has to look anew, whatever was seen.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) <= self.fresh_for
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
            unreadable: Unreadable::default(),
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
        if !self.binds(deployment) {
            return None;
        }
        let mut joined = self.clone();
        joined.intents.insert(id.clone(), intent.clone());
        joined.revision = joined.revision.next();
        Some(joined)
    }

    pub(crate) fn binds(&self, deployment: &DeploymentId) -> bool {
        self.bindings.contains_key(deployment) || self.unreadable.bindings.contains(deployment)
    }

    /// The deployments that an event with this state timestamp stops.
    pub fn stopped_by(&self, at: Timestamp) -> impl Iterator<Item = (&DeploymentId, &Binding)> {
        self.bindings.iter().filter(move |(_, binding)| binding.started_at <= at)
    }

    /// From this instant on no rollback of it can write; `None` if that is now.
    pub fn all_dead_at(&self, now: Timestamp) -> Option<Timestamp> {
        all_dead_at(self.intents.values(), now).max(self.unreadable.all_dead_at(now))
    }

    /// Rollbacks of which nothing can land any more, and that nobody has finished.
    pub(crate) fn dead(&self, now: Timestamp) -> impl Iterator<Item = &IntentId> {
        let dead = self.intents.iter().filter(move |(_, intent)| !intent.lives(now));
        let unreadable = self.unreadable.intents.iter().filter(move |(_, deadline)| {
            deadline.is_some_and(|deadline| deadline + LANDING_GRACE <= now)
        });
        dead.map(|(id, _)| id).chain(unreadable.map(|(id, _)| id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Purpose;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn item(deadline: Option<Timestamp>) -> AlarmItem {
        let mut item = AlarmItem::unknown(AlarmArn::new("arn:alarm"));
        let intent = Intent::new(Purpose::Restore, NOW, Span::from_secs(20));
        item.intents.insert(IntentId::new("read"), intent);
        item.unreadable.intents.insert(IntentId::new("unreadable"), deadline);
        item
    }

    #[test]
    fn a_claim_that_cannot_be_read_may_land_until_its_deadline_or_for_ever() {
        let known = item(Some(NOW + Span::from_secs(60)));
        assert_eq!(known.all_dead_at(NOW), Some(NOW + Span::from_secs(75)));
        let later = NOW + Span::from_secs(75);
        assert_eq!(known.all_dead_at(later), None);
        let dead: Vec<_> = known.dead(later).map(IntentId::as_str).collect();
        assert_eq!(dead, ["read", "unreadable"]);

        let damaged = item(None);
        let much_later = NOW + Span::from_secs(86_400);
        assert!(damaged.all_dead_at(much_later).is_some());
        assert_eq!(damaged.dead(much_later).map(IntentId::as_str).collect::<Vec<_>>(), ["read"]);
    }

    #[test]
    fn a_binding_that_cannot_be_read_is_one() {
        let (id, intent) = (IntentId::new("i1"), Intent::new(Purpose::Restore, NOW, LOOK_AGAIN));
        let deployment = DeploymentId::new("d1");
        let mut item = AlarmItem::unknown(AlarmArn::new("arn:alarm"));
        assert_eq!(item.join(&deployment, &id, &intent), None);
        item.unreadable.bindings.insert(deployment.clone());
        assert!(item.join(&deployment, &id, &intent).is_some());
    }
}
