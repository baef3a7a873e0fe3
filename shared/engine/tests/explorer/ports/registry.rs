//! The registry as the exploration's boundary has it.

use glidepath_core::health::StoredCells;
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Phase,
    Retirement, Start,
};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{
    AlarmFence, Committed, Delivery, DeliveryClaim, DeploymentFence, Due, OutboxEntry, Overdue,
    Page, Place, PortError, PortResult, Recent, Registry,
};
use glidepath_engine::testing::MemoryRegistry;

use crate::boundary::{Boundary, What};
use crate::mistake::Mistake;
use crate::print::Printer;
use crate::process::Kind;
use crate::record::{print_alarm, print_deployment};

#[allow(clippy::ptr_arg)]
fn alarms_print(alarms: &Vec<AlarmItem>) -> u64 {
    let mut printer = Printer::new();
    alarms.iter().for_each(|alarm| print_alarm(&mut printer, alarm));
    printer.finish()
}

fn alarm_fence_print(fenced: &AlarmFence) -> u64 {
    let mut printer = Printer::new();
    match fenced {
        AlarmFence::Closed(alarm) => print_alarm(&mut printer, alarm),
        AlarmFence::ClosedBefore(alarm) => {
            printer.word(1);
            print_alarm(&mut printer, alarm);
        }
        AlarmFence::Unknown => printer.word(2),
    }
    printer.finish()
}

fn fence_print(fenced: &DeploymentFence) -> u64 {
    let mut printer = Printer::new();
    match fenced {
        DeploymentFence::Closed(deployment) => print_deployment(&mut printer, deployment),
        DeploymentFence::TooLate(deployment) => {
            printer.word(1);
            print_deployment(&mut printer, deployment);
        }
        DeploymentFence::Unknown => printer.word(2),
    }
    printer.finish()
}

fn deployment_print(found: &Option<Deployment>) -> u64 {
    let mut printer = Printer::new();
    match found {
        Some(deployment) => print_deployment(&mut printer, deployment),
        None => printer.word(1),
    }
    printer.finish()
}

impl Registry for Boundary {
    async fn deployment(&self, id: &DeploymentId) -> PortResult<Option<Deployment>> {
        let first = self.inner().memory.deployment.is_none();
        let read = async {
            if self.has(Mistake::RetireBeforeCommit) && self.kind == Kind::Complete && first {
                self.retire_stable(id);
            }
            match self.touched() {
                Some(registry) => registry.deployment(id).await,
                None => {
                    let found = self.items.deployments.get(id).cloned();
                    Ok(found.map(|found| self.items.freezes.onto(found)))
                }
            }
        };
        let found = self.call_marked("deployment", What::Read, read, deployment_print).await?;
        let overtaken = found.as_ref().is_some_and(|found| matches!(found.phase, Phase::Closed(_)));
        if self.has(Mistake::OvertakenFails) && overtaken && self.inner().memory.own.is_some() {
            let operation = "deployment";
            return Err(PortError::Refused { operation, detail: "it has ended".to_owned() });
        }
        Ok(self.told(found))
    }

    async fn alarms(&self, arns: &[AlarmArn]) -> PortResult<Vec<AlarmItem>> {
        let read = async {
            match self.touched() {
                Some(registry) => registry.alarms(arns).await,
                None => Ok(arns.iter().map(|arn| self.items.alarm(arn)).collect()),
            }
        };
        let found = self.call_marked("alarms", What::Read, read, alarms_print).await?;
        Ok(self.told_of(found))
    }

    async fn locks(&self, keys: &[LockKey]) -> PortResult<Vec<Lock>> {
        let read = async { self.registry().locks(keys).await };
        let mut locks = self.call("locks", What::Read, read).await?;
        if self.has(Mistake::RolesReadOnce) {
            locks.iter_mut().for_each(|lock| lock.holder = None);
        }
        Ok(locks)
    }

    async fn retirement(&self, key: &LockKey) -> PortResult<Option<Retirement>> {
        self.call("retirement", What::Read, async { self.registry().retirement(key).await }).await
    }

    async fn due(&self, now: Timestamp) -> PortResult<Vec<Overdue>> {
        let mut due =
            self.call("due", What::Quiet, async { self.registry().due(now).await }).await?;
        if self.has(Mistake::HeldIsForgotten) {
            let items = self.registry().items();
            due.retain(|overdue| match &overdue.due {
                Due::Deployment(id) => items.deployments[id].phase != Phase::Held,
                Due::Retirement(_) | Due::Notices(_) => true,
            });
        }
        Ok(due)
    }

    async fn commit(&self, writes: Vec<RegistryWrite>) -> PortResult<Committed> {
        let write = async {
            if self.swallows(&writes) {
                return Ok(Committed::Yes);
            }
            let blind = self.refreshed(&writes);
            let writes = self.mistaken(writes, &self.registry().items());
            let committed = self.registry().commit(writes).await;
            for (alarm, deployment, binding) in blind {
                let mut items = self.registry().items();
                if let Some(stored) = items.alarms.get_mut(&alarm) {
                    stored.bindings.insert(deployment, binding);
                }
            }
            committed
        };
        self.call("commit", What::Write, write).await
    }

    async fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        let late = self.has(Mistake::WriteBeforeFence);
        let write = async {
            if late {
                let copy = MemoryRegistry::holding(self.registry().items().clone());
                return copy.fence_alarm(alarm, at, id, intent).await;
            }
            self.registry().fence_alarm(alarm, at, id, intent).await
        };
        let fenced = self.call_marked("fence_alarm", What::Write, write, alarm_fence_print).await?;
        if late {
            self.inner().memory.late_fence = Some((alarm.clone(), at, id.clone(), intent.clone()));
        }
        Ok(self.told_by(fenced))
    }

    async fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        let write = async {
            if self.has(Mistake::RepeatWithoutIntent) {
                return Ok(true);
            }
            self.registry().join_alarm(alarm, deployment, id, intent).await
        };
        self.call("join_alarm", What::Write, write).await
    }

    async fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        self.inner().memory.own = Some(id.clone());
        let write = async {
            let late = self.inner().memory.late_fence.clone();
            if let Some((alarm, at, id, intent)) = late {
                self.registry().fence_alarm(&alarm, at, &id, &intent).await?;
            }
            let fenced = self.registry().fence_deployment(deployment, fence, id, intent).await;
            if self.has(Mistake::FenceUnclaimed)
                && let Some(stored) = self.registry().items().deployments.get_mut(deployment)
            {
                stored.intents.remove(id);
            }
            fenced
        };
        let fenced = self.call_marked("fence_deployment", What::Write, write, fence_print).await?;
        Ok(self.told_by_its_own(fenced))
    }

    async fn finish_alarm_intent(&self, alarm: &AlarmArn, id: &IntentId) -> PortResult<()> {
        let write = async { self.registry().finish_alarm_intent(alarm, id).await };
        self.call("finish_alarm_intent", What::Write, write).await
    }

    async fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> PortResult<()> {
        let left = self.has(Mistake::ClaimLeftByAFailedRead) && self.inner().memory.unread;
        let write = async {
            if left {
                return Ok(());
            }
            self.registry().finish_deployment_intent(deployment, id).await
        };
        self.call("finish_deployment_intent", What::Write, write).await
    }

    async fn notices(&self, deployment: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        self.call("notices", What::Read, async { self.registry().notices(deployment).await }).await
    }

    async fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> PortResult<()> {
        let write = async { self.registry().delivered(notice, channel, delivery, last).await };
        self.call("delivered", What::Write, write).await
    }

    async fn claim_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<DeliveryClaim> {
        let write = async { self.registry().claim_delivery(notice, channel, now, until).await };
        self.call("claim_delivery", What::Write, write).await
    }

    async fn put_off_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> PortResult<()> {
        let write = async { self.registry().put_off_delivery(notice, channel, until).await };
        self.call("put_off_delivery", What::Write, write).await
    }

    async fn store_cells(&self, _: &StoredCells) -> PortResult<()> {
        // Nothing but a report reads them.
        self.call("store_cells", What::Quiet, async { Ok(()) }).await
    }

    async fn stored_cells(&self, deployment: &DeploymentId) -> PortResult<Option<StoredCells>> {
        self.call("stored_cells", What::Read, async {
            self.registry().stored_cells(deployment).await
        })
        .await
    }

    async fn store_start(&self, start: &Start) -> PortResult<()> {
        // Nothing but a plan reads them.
        self.call("store_start", What::Quiet, async { self.registry().store_start(start).await })
            .await
    }

    async fn starts(&self, deployment: &DeploymentId) -> PortResult<Vec<Start>> {
        self.call("starts", What::Quiet, async { self.registry().starts(deployment).await }).await
    }

    async fn freezes(&self) -> PortResult<Freezes> {
        self.call("freezes", What::Read, async { self.registry().freezes().await }).await
    }

    async fn store_freezes(&self, freezes: &Freezes, entry: &FreezeEntry) -> PortResult<Committed> {
        let stored = async { self.registry().store_freezes(freezes, entry).await };
        self.call("store_freezes", What::Write, stored).await
    }

    async fn freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Vec<FreezeEntry>> {
        let read = async { self.registry().freeze_entries(from, before).await };
        self.call("freeze_entries", What::Quiet, read).await
    }

    async fn recent(&self, limit: u32) -> PortResult<Recent> {
        self.call("recent", What::Read, async { self.registry().recent(limit).await }).await
    }

    async fn started(&self, from: Timestamp, before: Timestamp) -> PortResult<Recent> {
        self.call("started", What::Read, async { self.registry().started(from, before).await })
            .await
    }

    async fn page(&self, after: Option<&Place>, limit: u32) -> PortResult<Page> {
        self.call("page", What::Read, async { self.registry().page(after, limit).await }).await
    }
}
