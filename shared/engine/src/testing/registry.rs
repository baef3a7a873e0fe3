//! The registry in memory, with the conditions that [`RegistryWrite`] states.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::notice::Notice;
use glidepath_core::protocol::{
    AlarmItem, Deployment, Fence, Intent, Lock, LockKey, Phase, RegistryWrite, Retirement,
    Revision, fence,
};
use glidepath_core::time::Timestamp;

use crate::ports::{
    AlarmFence, Committed, DeploymentFence, Due, OutboxEntry, PortResult, Registry,
};

/// Items by key.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// Deployments.
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    /// Alarms that were ever bound.
    pub alarms: BTreeMap<AlarmArn, AlarmItem>,
    /// Locks that were ever taken.
    pub locks: BTreeMap<LockKey, Lock>,
    /// Old slots.
    pub retirements: BTreeMap<LockKey, Retirement>,
    /// The timeline of every deployment.
    pub notices: Vec<OutboxEntry>,
    /// Notices that every channel has taken.
    pub settled: Vec<String>,
}

/// A registry in memory.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    items: Mutex<Items>,
}

impl MemoryRegistry {
    /// What it holds now.
    pub fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Items {
    fn alarm(&self, arn: &AlarmArn) -> AlarmItem {
        self.alarms.get(arn).cloned().unwrap_or_else(|| AlarmItem::unknown(arn.clone()))
    }

    fn lock(&self, key: &LockKey) -> Lock {
        let free = || Lock { key: key.clone(), holder: None, epoch: 0 };
        self.locks.get(key).cloned().unwrap_or_else(free)
    }

    /// Whether the condition of a write holds.
    fn allows(&self, write: &RegistryWrite) -> bool {
        match write {
            RegistryWrite::CreateDeployment(deployment) => {
                !self.deployments.contains_key(&deployment.id)
            }
            RegistryWrite::PutDeployment(deployment) => self
                .deployments
                .get(&deployment.id)
                .is_some_and(|stored| stored.revision.next() == deployment.revision),
            RegistryWrite::RequireQuiet { alarm, started_at } => {
                self.alarm(alarm).quiet_since(*started_at)
            }
            RegistryWrite::Bind { alarm, binding, .. } => {
                self.alarm(alarm).quiet_since(binding.started_at)
            }
            RegistryWrite::RefreshBinding { alarm, deployment, binding } => {
                let stored = self.alarm(alarm);
                stored.bindings.contains_key(deployment) && stored.quiet_since(binding.started_at)
            }
            RegistryWrite::Unbind { alarm, expected, .. } => {
                self.alarm(alarm).revision == *expected
            }
            RegistryWrite::TakeLock { key, expected_epoch, .. } => {
                let lock = self.lock(key);
                lock.holder.is_none() && lock.epoch == *expected_epoch
            }
            RegistryWrite::ReleaseLock { key, deployment } => {
                self.lock(key).holder.as_ref() == Some(deployment)
            }
            RegistryWrite::RequireFree(key) => self.lock(key).holder.is_none(),
            RegistryWrite::PutRetirement(retirement) => self
                .retirements
                .get(&retirement.key())
                .is_some_and(|stored| stored.revision.next() == retirement.revision),
            RegistryWrite::DeleteRetirement { key, expected, .. } => {
                self.retirements.get(key).is_some_and(|stored| stored.revision == *expected)
            }
            RegistryWrite::CreateRetirement(_) | RegistryWrite::Notice(_) => true,
        }
    }

    fn change_alarm(&mut self, arn: &AlarmArn, change: impl FnOnce(&mut AlarmItem)) {
        let mut alarm = self.alarm(arn);
        change(&mut alarm);
        alarm.revision = alarm.revision.next();
        self.alarms.insert(arn.clone(), alarm);
    }

    fn apply(&mut self, write: RegistryWrite) {
        match write {
            RegistryWrite::CreateDeployment(deployment)
            | RegistryWrite::PutDeployment(deployment) => {
                self.deployments.insert(deployment.id.clone(), *deployment);
            }
            RegistryWrite::RequireQuiet { .. } | RegistryWrite::RequireFree(_) => {}
            RegistryWrite::Bind { alarm, deployment, binding }
            | RegistryWrite::RefreshBinding { alarm, deployment, binding } => {
                self.change_alarm(&alarm, |alarm| {
                    alarm.bindings.insert(deployment, *binding);
                });
            }
            RegistryWrite::Unbind { alarm, deployment, .. } => self.change_alarm(&alarm, |alarm| {
                alarm.bindings.remove(&deployment);
            }),
            RegistryWrite::TakeLock { key, deployment, expected_epoch } => {
                let lock =
                    Lock { key: key.clone(), holder: Some(deployment), epoch: expected_epoch + 1 };
                self.locks.insert(key, lock);
            }
            RegistryWrite::ReleaseLock { key, .. } => {
                let mut lock = self.lock(&key);
                lock.holder = None;
                self.locks.insert(key, lock);
            }
            RegistryWrite::CreateRetirement(retirement)
            | RegistryWrite::PutRetirement(retirement) => {
                self.retirements.insert(retirement.key(), *retirement);
            }
            RegistryWrite::DeleteRetirement { key, .. } => {
                self.retirements.remove(&key);
            }
            RegistryWrite::Notice(notice) => {
                self.notices.push(OutboxEntry { notice: *notice, delivered: Vec::new() });
            }
        }
    }
}

impl Registry for MemoryRegistry {
    async fn deployment(&self, id: &DeploymentId) -> PortResult<Option<Deployment>> {
        Ok(self.items().deployments.get(id).cloned())
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

    async fn due(&self, now: Timestamp) -> PortResult<Vec<Due>> {
        let items = self.items();
        let deployments = items.deployments.values().filter(|deployment| {
            !matches!(deployment.phase, Phase::Closed(_)) && deployment.next_due_at <= now
        });
        let mut due: Vec<_> =
            deployments.map(|deployment| Due::Deployment(deployment.id.clone())).collect();
        let retirements = items.retirements.iter().filter(|(_, due)| due.due_at <= now);
        due.extend(retirements.map(|(key, _)| Due::Retirement(key.clone())));
        let mut untold: Vec<_> = items
            .notices
            .iter()
            .filter(|entry| !items.settled.contains(&entry.notice.id()))
            .map(|entry| entry.notice.deployment.clone())
            .collect();
        untold.dedup();
        due.extend(untold.into_iter().map(Due::Notices));
        Ok(due)
    }

    async fn commit(&self, writes: Vec<RegistryWrite>) -> PortResult<Committed> {
        let mut items = self.items();
        if !writes.iter().all(|write| items.allows(write)) {
            return Ok(Committed::Conflict);
        }
        for write in writes {
            items.apply(write);
        }
        Ok(Committed::Yes)
    }

    async fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        let mut items = self.items();
        let Some(stored) = items.alarms.get(alarm).cloned() else { return Ok(AlarmFence::Unknown) };
        Ok(match stored.fire(at, id, intent) {
            Some(fired) => {
                items.alarms.insert(alarm.clone(), fired.clone());
                AlarmFence::Closed(fired)
            }
            None => AlarmFence::ClosedBefore(stored),
        })
    }

    async fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        let mut items = self.items();
        let Some(joined) = items.alarm(alarm).join(deployment, id, intent) else {
            return Ok(false);
        };
        items.alarms.insert(alarm.clone(), joined);
        Ok(true)
    }

    async fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        closing: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        let mut items = self.items();
        let Some(stored) = items.deployments.get(deployment).cloned() else {
            return Ok(DeploymentFence::Unknown);
        };
        Ok(match fence(&stored, closing, id, intent) {
            Some(fenced) => {
                items.deployments.insert(deployment.clone(), fenced.clone());
                DeploymentFence::Closed(Box::new(fenced))
            }
            None => DeploymentFence::TooLate(Box::new(stored)),
        })
    }

    async fn finish_alarm_intent(&self, alarm: &AlarmArn, id: &IntentId) -> PortResult<()> {
        self.items().change_alarm(alarm, |alarm| {
            alarm.intents.remove(id);
        });
        Ok(())
    }

    async fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> PortResult<()> {
        if let Some(stored) = self.items().deployments.get_mut(deployment) {
            stored.intents.remove(id);
            stored.revision = Revision(stored.revision.0 + 1);
        }
        Ok(())
    }

    async fn notices(&self, deployment: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        let items = self.items();
        let own = items.notices.iter().filter(|entry| entry.notice.deployment == *deployment);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by_key(|entry| entry.notice.sequence);
        Ok(own)
    }

    async fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        last: bool,
    ) -> PortResult<()> {
        let mut items = self.items();
        if let Some(entry) = items.notices.iter_mut().find(|entry| entry.notice == *notice) {
            entry.delivered.push(channel.clone());
        }
        if last {
            items.settled.push(notice.id());
        }
        Ok(())
    }

    async fn recent(&self, limit: u32) -> PortResult<Vec<Deployment>> {
        let items = self.items();
        let mut all: Vec<_> = items.deployments.values().cloned().collect();
        all.sort_by_key(|deployment| std::cmp::Reverse(deployment.started_at));
        all.truncate(limit as usize);
        Ok(all)
    }
}
