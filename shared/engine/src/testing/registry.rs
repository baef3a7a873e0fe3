//! The registry in memory, with the conditions that [`RegistryWrite`] states.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use glidepath_core::health::StoredCells;
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::protocol::{self, Fenced, RegistryWrite};
use glidepath_core::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Retirement,
    Start,
};
use glidepath_core::time::Timestamp;

use crate::ports::{
    AlarmFence, Committed, Delivery, DeliveryClaim, DeploymentFence, Due, OutboxEntry, Overdue,
    Page, Place, PortError, PortResult, Recent, Registry,
};

/// Everything that the registry holds.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// What the protocol's transitions write.
    kept: protocol::Items,
    /// The timeline of every deployment.
    pub notices: Vec<OutboxEntry>,
    /// The cells of the latest look.
    pub cells: BTreeMap<DeploymentId, StoredCells>,
    /// Who has wanted what started.
    pub starts: Vec<Start>,
    /// Notices that every channel has taken.
    pub done_with: Vec<String>,
    /// Until when somebody hands a notice to a channel, by the notice's id.
    pub sending: BTreeMap<(String, ChannelName), Timestamp>,
    /// Deployments whose records cannot be read.
    pub unreadable: BTreeSet<DeploymentId>,
}

impl Deref for Items {
    type Target = protocol::Items;
    fn deref(&self) -> &Self::Target {
        &self.kept
    }
}

impl DerefMut for Items {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.kept
    }
}

/// A registry in memory.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    items: Mutex<Items>,
}

impl MemoryRegistry {
    /// One that holds these.
    pub fn holding(items: Items) -> Self {
        Self { items: Mutex::new(items) }
    }

    /// What it holds in the end.
    pub fn into_items(self) -> Items {
        self.items.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds now.
    pub fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a reader of such a record is told.
fn unread(id: &DeploymentId) -> PortError {
    PortError::Refused { operation: "registry", detail: format!("`{id}` is corrupt") }
}

impl Items {
    fn require_readable(&self, id: &DeploymentId) -> PortResult<()> {
        if self.unreadable.contains(id) { Err(unread(id)) } else { Ok(()) }
    }
}

impl Registry for MemoryRegistry {
    async fn deployment(&self, id: &DeploymentId) -> PortResult<Option<Deployment>> {
        self.items().require_readable(id)?;
        let items = self.items();
        Ok(items.deployments.get(id).cloned().map(|found| items.freezes.onto(found)))
    }

    async fn alarms(&self, arns: &[AlarmArn]) -> PortResult<Vec<AlarmItem>> {
        let items = self.items();
        Ok(arns.iter().map(|arn| items.alarm(arn)).collect())
    }

    async fn locks(&self, keys: &[LockKey]) -> PortResult<Vec<Lock>> {
        let items = self.items();
        Ok(keys.iter().map(|key| items.lock(key)).collect())
    }

    async fn retirement(&self, key: &LockKey) -> PortResult<Option<Retirement>> {
        Ok(self.items().retirements.get(key).cloned())
    }

    async fn due(&self, now: Timestamp) -> PortResult<Vec<Overdue>> {
        let items = self.items();
        let deployments = items
            .deployments
            .values()
            .filter(|deployment| deployment.is_due_some_day() && deployment.next_due_at <= now);
        let overdue = |due, since| Overdue { due, since };
        let mut due: Vec<_> = deployments
            .map(|found| overdue(Due::Deployment(found.id.clone()), found.next_due_at))
            .collect();
        let retirements = items.retirements.iter().filter(|(_, due)| due.due_at <= now);
        due.extend(
            retirements.map(|(key, found)| overdue(Due::Retirement(key.clone()), found.due_at)),
        );
        let mut untold: Vec<_> = items
            .notices
            .iter()
            .filter(|entry| !items.done_with.contains(&entry.notice.id()))
            .map(|entry| (entry.notice.deployment.clone(), entry.notice.at))
            .collect();
        untold.dedup_by(|(one, _), (other, _)| one == other);
        due.extend(untold.into_iter().map(|(id, at)| overdue(Due::Notices(id), at)));
        Ok(due)
    }

    async fn commit(&self, writes: Vec<RegistryWrite>) -> PortResult<Committed> {
        let mut items = self.items();
        let Some(notices) = items.kept.commit(writes) else { return Ok(Committed::Conflict) };
        let entry = |notice| OutboxEntry {
            notice,
            delivered: Vec::new(),
            refused: Vec::new(),
            posted: BTreeMap::new(),
            due: true,
        };
        items.notices.extend(notices.into_iter().map(entry));
        Ok(Committed::Yes)
    }

    async fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        Ok(match self.items().fence_alarm(alarm, at, id, intent) {
            Fenced::Closed(fired) => AlarmFence::Closed(fired),
            Fenced::NotWritten(stored) => AlarmFence::ClosedBefore(stored),
            Fenced::Unknown => AlarmFence::Unknown,
        })
    }

    async fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        Ok(self.items().join_alarm(alarm, deployment, id, intent))
    }

    async fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        closing: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        let fenced = self.items().fence_deployment(deployment, closing, id, intent);
        // The update is made, and its answer says nothing.
        self.items().require_readable(deployment)?;
        Ok(match fenced {
            Fenced::Closed(fenced) => DeploymentFence::Closed(Box::new(fenced)),
            Fenced::NotWritten(stored) => DeploymentFence::TooLate(Box::new(stored)),
            Fenced::Unknown => DeploymentFence::Unknown,
        })
    }

    async fn finish_alarm_intent(&self, alarm: &AlarmArn, id: &IntentId) -> PortResult<()> {
        self.items().finish_alarm_intent(alarm, id);
        Ok(())
    }

    async fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> PortResult<()> {
        self.items().finish_deployment_intent(deployment, id);
        Ok(())
    }

    async fn notices(&self, deployment: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        let items = self.items();
        let own = items.notices.iter().filter(|entry| entry.notice.deployment == *deployment);
        let mut own: Vec<_> = own.cloned().collect();
        for entry in &mut own {
            entry.due = !items.done_with.contains(&entry.notice.id());
        }
        own.sort_by_key(|entry| entry.notice.sequence);
        Ok(own)
    }

    async fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> PortResult<()> {
        let mut items = self.items();
        if let Some(entry) = items.notices.iter_mut().find(|entry| entry.notice == *notice) {
            match delivery {
                Delivery::Taken => entry.delivered.push(channel.clone()),
                Delivery::Posted(posted) => {
                    entry.delivered.push(channel.clone());
                    entry.posted.insert(channel.clone(), posted);
                }
                Delivery::Refused => entry.refused.push(channel.clone()),
            }
        }
        if last {
            items.done_with.push(notice.id());
        }
        items.sending.remove(&(notice.id(), channel.clone()));
        Ok(())
    }

    async fn claim_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<DeliveryClaim> {
        let mut items = self.items();
        let entry = items.notices.iter().find(|entry| entry.notice == *notice);
        let done = entry.map_or(Some(Delivery::Refused), |entry| entry.delivery(channel));
        if let Some(delivery) = done {
            return Ok(DeliveryClaim::Done(delivery));
        }
        let key = (notice.id(), channel.clone());
        if items.sending.get(&key).is_some_and(|until| *until > now) {
            return Ok(DeliveryClaim::Elsewhere);
        }
        items.sending.insert(key, until);
        Ok(DeliveryClaim::Claimed)
    }

    async fn put_off_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> PortResult<()> {
        self.items().sending.insert((notice.id(), channel.clone()), until);
        Ok(())
    }

    async fn store_cells(&self, cells: &StoredCells) -> PortResult<()> {
        self.items().cells.insert(cells.deployment.clone(), cells.clone());
        Ok(())
    }

    async fn stored_cells(&self, deployment: &DeploymentId) -> PortResult<Option<StoredCells>> {
        Ok(self.items().cells.get(deployment).cloned())
    }

    async fn store_start(&self, start: &Start) -> PortResult<()> {
        self.items().starts.push(start.clone());
        Ok(())
    }

    async fn starts(&self, deployment: &DeploymentId) -> PortResult<Vec<Start>> {
        let items = self.items();
        Ok(items.starts.iter().filter(|start| start.deployment == *deployment).cloned().collect())
    }

    async fn freezes(&self) -> PortResult<Freezes> {
        Ok(self.items().freezes.clone())
    }

    async fn store_freezes(&self, freezes: &Freezes, entry: &FreezeEntry) -> PortResult<Committed> {
        let mut items = self.items();
        if items.freezes.revision.next() != freezes.revision {
            return Ok(Committed::Conflict);
        }
        items.freezes = freezes.clone();
        items.freeze_entries.push(entry.clone());
        Ok(Committed::Yes)
    }

    async fn freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Vec<FreezeEntry>> {
        let items = self.items();
        let entries = items.freeze_entries.iter();
        Ok(entries.filter(|entry| entry.at >= from && entry.at < before).cloned().collect())
    }

    async fn recent(&self, limit: u32) -> PortResult<Recent> {
        let items = self.items();
        let read = items.deployments.values().filter(|found| !items.unreadable.contains(&found.id));
        let read = read.cloned().map(|deployment| items.freezes.onto(deployment));
        let mut deployments: Vec<_> = read.collect();
        deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.started_at));
        deployments.truncate(limit as usize);
        let unreadable = items.unreadable.iter();
        let unreadable = unreadable.map(|id| (id.clone(), unread(id).to_string())).collect();
        Ok(Recent { deployments, unreadable, freezes: items.freezes.clone() })
    }

    async fn started(&self, from: Timestamp, before: Timestamp) -> PortResult<Recent> {
        let mut found = self.recent(u32::MAX).await?;
        found
            .deployments
            .retain(|deployment| deployment.started_at >= from && deployment.started_at < before);
        Ok(found)
    }

    async fn page(&self, after: Option<&Place>, limit: u32) -> PortResult<Page> {
        let order =
            |started_at: Timestamp, id: &DeploymentId| (std::cmp::Reverse(started_at), id.clone());
        let items = self.items();
        let mut listed: Vec<_> = items.deployments.values().collect();
        listed.sort_by_key(|found| order(found.started_at, &found.id));
        if let Some(Place { started_at, deployment }) = after {
            let after = order(*started_at, deployment);
            listed.retain(|found| order(found.started_at, &found.id) > after);
        }
        let whole = listed.len();
        listed.truncate(limit as usize);
        let last = listed.last().filter(|_| listed.len() < whole);
        let last = last.map(|last| {
            let (started_at, deployment) = (last.started_at, last.id.clone());
            Place { started_at, deployment }
        });
        let mut found = Recent::default();
        for listed in listed {
            match items.require_readable(&listed.id) {
                Ok(()) => found.deployments.push(listed.clone()),
                Err(error) => drop(found.unreadable.insert(listed.id.clone(), error.to_string())),
            }
        }
        Ok(Page { found, last })
    }
}
