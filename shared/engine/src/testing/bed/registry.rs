//! The registry of a bed: the one in memory, with the bed's fault and what comes between.

use glidepath_core::health::StoredCells;
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Retirement,
    Start,
};
use glidepath_core::time::Timestamp;

use super::{Bed, Between};
use crate::ports::{
    AlarmFence, Committed, Delivery, DeliveryClaim, DeploymentFence, OutboxEntry, Overdue, Page,
    Place, PortResult, Recent, Registry,
};

impl<B: Between> Registry for Bed<'_, B> {
    async fn deployment(&self, id: &DeploymentId) -> PortResult<Option<Deployment>> {
        self.call("deployment", self.registry.deployment(id)).await
    }

    async fn alarms(&self, arns: &[AlarmArn]) -> PortResult<Vec<AlarmItem>> {
        self.call("alarms", self.registry.alarms(arns)).await
    }

    async fn locks(&self, keys: &[LockKey]) -> PortResult<Vec<Lock>> {
        self.call("locks", self.registry.locks(keys)).await
    }

    async fn retirement(&self, key: &LockKey) -> PortResult<Option<Retirement>> {
        self.call("retirement", self.registry.retirement(key)).await
    }

    async fn due(&self, now: Timestamp) -> PortResult<Vec<Overdue>> {
        self.call("due", self.registry.due(now)).await
    }

    async fn commit(&self, writes: Vec<RegistryWrite>) -> PortResult<Committed> {
        let committed = self.call("commit", self.registry.commit(writes)).await;
        self.between.written(self.registry);
        committed
    }

    async fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        let fenced =
            self.call("fence_alarm", self.registry.fence_alarm(alarm, at, id, intent)).await;
        self.between.written(self.registry);
        fenced
    }

    async fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        self.call("join_alarm", self.registry.join_alarm(alarm, deployment, id, intent)).await
    }

    async fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        let fenced = self.registry.fence_deployment(deployment, fence, id, intent);
        let fenced = self.call("fence_deployment", fenced).await;
        self.between.written(self.registry);
        fenced
    }

    async fn finish_alarm_intent(&self, alarm: &AlarmArn, id: &IntentId) -> PortResult<()> {
        self.call("finish_alarm_intent", self.registry.finish_alarm_intent(alarm, id)).await
    }

    async fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> PortResult<()> {
        let finished = self.registry.finish_deployment_intent(deployment, id);
        let finished = self.call("finish_deployment_intent", finished).await;
        self.between.written(self.registry);
        finished
    }

    async fn notices(&self, deployment: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        let read = self.call("notices", self.registry.notices(deployment)).await;
        self.between.timeline_read(self.registry, self.world).await;
        read
    }

    async fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> PortResult<()> {
        self.call("delivered", self.registry.delivered(notice, channel, delivery, last)).await
    }

    async fn claim_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<DeliveryClaim> {
        let claim = self.registry.claim_delivery(notice, channel, now, until);
        self.call("claim_delivery", claim).await
    }

    async fn put_off_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> PortResult<()> {
        let put_off = self.registry.put_off_delivery(notice, channel, until);
        self.call("put_off_delivery", put_off).await
    }

    async fn store_cells(&self, cells: &StoredCells) -> PortResult<()> {
        self.call("store_cells", self.registry.store_cells(cells)).await
    }

    async fn stored_cells(&self, deployment: &DeploymentId) -> PortResult<Option<StoredCells>> {
        self.call("stored_cells", self.registry.stored_cells(deployment)).await
    }

    async fn store_start(&self, start: &Start) -> PortResult<()> {
        self.call("store_start", self.registry.store_start(start)).await
    }

    async fn starts(&self, deployment: &DeploymentId) -> PortResult<Vec<Start>> {
        self.call("starts", self.registry.starts(deployment)).await
    }

    async fn freezes(&self) -> PortResult<Freezes> {
        self.call("freezes", self.registry.freezes()).await
    }

    async fn store_freezes(&self, freezes: &Freezes, entry: &FreezeEntry) -> PortResult<Committed> {
        let stored = self.registry.store_freezes(freezes, entry);
        let stored = self.call("store_freezes", stored).await;
        self.between.written(self.registry);
        stored
    }

    async fn freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Vec<FreezeEntry>> {
        self.call("freeze_entries", self.registry.freeze_entries(from, before)).await
    }

    async fn recent(&self, limit: u32) -> PortResult<Recent> {
        self.call("recent", self.registry.recent(limit)).await
    }

    async fn started(&self, from: Timestamp, before: Timestamp) -> PortResult<Recent> {
        self.call("started", self.registry.started(from, before)).await
    }

    async fn page(&self, after: Option<&Place>, limit: u32) -> PortResult<Page> {
        self.call("page", self.registry.page(after, limit)).await
    }
}
