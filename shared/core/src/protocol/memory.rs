//! The registry's items in memory, with the conditions that [`RegistryWrite`] states. The engine's
//! tests and explorations run on them.

use std::collections::BTreeMap;

use super::fence::fence;
use super::write::RegistryWrite;
use crate::ids::{AlarmArn, DeploymentId, IntentId};
use crate::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Retirement,
};

/// Items by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    /// Alarms that were ever bound.
    pub alarms: BTreeMap<AlarmArn, AlarmItem>,
    /// Locks that were ever taken.
    pub locks: BTreeMap<LockKey, Lock>,
    pub retirements: BTreeMap<LockKey, Retirement>,
    /// What people have frozen.
    pub freezes: Freezes,
    /// What was done about that, in order.
    pub freeze_entries: Vec<FreezeEntry>,
}

/// How a fence ended, with the item as it is afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fenced<Item> {
    Closed(Item),
    /// Its condition did not hold; nothing was written.
    NotWritten(Item),
    /// There is no such item; nothing was written.
    Unknown,
}

impl Items {
    /// The alarm; one that was never bound is empty.
    pub fn alarm(&self, arn: &AlarmArn) -> AlarmItem {
        self.alarms.get(arn).cloned().unwrap_or_else(|| AlarmItem::unknown(arn.clone()))
    }

    /// The lock; one that was never taken is free at epoch 0.
    pub fn lock(&self, key: &LockKey) -> Lock {
        self.locks.get(key).cloned().unwrap_or_else(|| Lock::untaken(key.clone()))
    }

    /// All of these writes, with the notices to deliver; or `None` and nothing is written.
    pub fn commit(&mut self, writes: Vec<RegistryWrite>) -> Option<Vec<Notice>> {
        if !writes.iter().all(|write| self.allows(write)) {
            return None;
        }
        Some(writes.into_iter().filter_map(|write| self.apply(write)).collect())
    }

    /// [`AlarmItem::fire`] as one update.
    pub fn fence_alarm(
        &mut self,
        alarm: &AlarmArn,
        at: crate::time::Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> Fenced<AlarmItem> {
        let Some(stored) = self.alarms.get_mut(alarm) else { return Fenced::Unknown };
        match stored.fire(at, id, intent) {
            Some(fired) => {
                stored.clone_from(&fired);
                Fenced::Closed(fired)
            }
            None => Fenced::NotWritten(stored.clone()),
        }
    }

    /// [`AlarmItem::join`] as one update; whether it was written.
    pub fn join_alarm(
        &mut self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> bool {
        let Some(joined) = self.alarm(alarm).join(deployment, id, intent) else { return false };
        self.alarms.insert(alarm.clone(), joined);
        true
    }

    /// [`fence`] as one update.
    pub fn fence_deployment(
        &mut self,
        deployment: &DeploymentId,
        closing: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> Fenced<Deployment> {
        let Some(stored) = self.deployments.get_mut(deployment) else { return Fenced::Unknown };
        match fence(stored, closing, id, intent) {
            Some(fenced) => {
                stored.clone_from(&fenced);
                Fenced::Closed(fenced)
            }
            None => Fenced::NotWritten(stored.clone()),
        }
    }

    pub fn finish_alarm_intent(&mut self, alarm: &AlarmArn, id: &IntentId) {
        self.change_alarm(alarm, |alarm| {
            alarm.intents.remove(id);
        });
    }

    pub fn finish_deployment_intent(&mut self, deployment: &DeploymentId, id: &IntentId) {
        if let Some(stored) = self.deployments.get_mut(deployment) {
            stored.intents.remove(id);
            stored.revision = stored.revision.next();
        }
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
                stored.binds(deployment) && stored.quiet_since(binding.started_at)
            }
            RegistryWrite::Unbind { alarm, expected, .. } => {
                self.alarm(alarm).revision == *expected
            }
            RegistryWrite::TakeLock { key, expected_epoch, .. } => {
                let lock = self.lock(key);
                lock.holder.is_none() && lock.epoch == *expected_epoch
            }
            RegistryWrite::ReleaseLock { key, deployment, .. } => {
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
        let unknown = || AlarmItem::unknown(arn.clone());
        let alarm = self.alarms.entry(arn.clone()).or_insert_with(unknown);
        change(alarm);
        alarm.revision = alarm.revision.next();
    }

    /// Makes a write whose condition holds; the notice, if it is one.
    fn apply(&mut self, write: RegistryWrite) -> Option<Notice> {
        match write {
            RegistryWrite::CreateDeployment(deployment)
            | RegistryWrite::PutDeployment(deployment) => {
                // What freezes it is no part of the record.
                let stored = Deployment { freeze: None, ..*deployment };
                self.deployments.insert(stored.id.clone(), stored);
            }
            RegistryWrite::RequireQuiet { .. } | RegistryWrite::RequireFree(_) => {}
            RegistryWrite::Bind { alarm, deployment, binding }
            | RegistryWrite::RefreshBinding { alarm, deployment, binding } => {
                self.change_alarm(&alarm, |alarm| {
                    alarm.unreadable.bindings.remove(&deployment);
                    alarm.bindings.insert(deployment, *binding);
                });
            }
            RegistryWrite::Unbind { alarm, deployment, dead, .. } => {
                self.change_alarm(&alarm, |alarm| {
                    alarm.bindings.remove(&deployment);
                    alarm.unreadable.bindings.remove(&deployment);
                    alarm.intents.retain(|id, _| !dead.contains(id));
                    alarm.unreadable.intents.retain(|id, _| !dead.contains(id));
                });
            }
            RegistryWrite::TakeLock { key, deployment, expected_epoch, forgotten } => {
                let mut lock = self.lock(&key);
                lock.holder = Some(deployment);
                lock.epoch = expected_epoch + 1;
                lock.quarantined.retain(|one| !forgotten.contains(&one.version));
                self.locks.insert(key, lock);
            }
            RegistryWrite::ReleaseLock { key, quarantine, .. } => {
                let mut lock = self.lock(&key);
                lock.holder = None;
                quarantine.apply(&mut lock.quarantined);
                self.locks.insert(key, lock);
            }
            RegistryWrite::CreateRetirement(retirement)
            | RegistryWrite::PutRetirement(retirement) => {
                self.retirements.insert(retirement.key(), *retirement);
            }
            RegistryWrite::DeleteRetirement { key, .. } => {
                self.retirements.remove(&key);
            }
            RegistryWrite::Notice(notice) => return Some(*notice),
        }
        None
    }
}
