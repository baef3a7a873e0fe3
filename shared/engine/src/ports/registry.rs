//! What is remembered, and how its transactions end.

use std::collections::BTreeMap;
use std::future::Future;

use glidepath_core::health::StoredCells;
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Retirement,
    Start,
};
use glidepath_core::time::Timestamp;

use super::PortResult;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it happened.
    Yes,
    /// A condition did not hold, or another transaction was faster: nothing happened. Read again
    /// and decide again.
    Conflict,
}

/// How the fence of an alarm ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmFence {
    /// It is closed now, with the rollback's intent. The alarm as it is after the update.
    Closed(AlarmItem),
    /// It was closed before, at this time or later. The alarm as it is; nothing was written.
    ClosedBefore(AlarmItem),
    /// Nobody ever bound this alarm; nothing was written.
    Unknown,
}

/// How the fence of a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentFence {
    /// The deployment rolls back now (or did before), with the rollback's intent.
    Closed(Box<Deployment>),
    /// It has committed or ended; nothing was written.
    TooLate(Box<Deployment>),
    /// There is none of this name; nothing was written.
    Unknown,
}

/// Something whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A deployment that has not ended.
    Deployment(DeploymentId),
    /// An old slot.
    Retirement(LockKey),
    /// Notices of this deployment that a channel has not taken yet.
    Notices(DeploymentId),
}

/// Something overdue, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    pub due: Due,
    pub since: Timestamp,
}

/// Locks, deployments, alarms, retirements and notices. Every read is consistent.
pub trait Registry: Sync {
    /// The deployment, if there is one of this name, with what freezes it.
    fn deployment(
        &self,
        id: &DeploymentId,
    ) -> impl Future<Output = PortResult<Option<Deployment>>> + Send;
    /// The alarms; one that the registry does not know is empty.
    fn alarms(&self, arns: &[AlarmArn]) -> impl Future<Output = PortResult<Vec<AlarmItem>>> + Send;
    /// The locks; one that was never taken is free at epoch 0.
    fn locks(&self, keys: &[LockKey]) -> impl Future<Output = PortResult<Vec<Lock>>> + Send;
    /// What is to be retired under this lock.
    fn retirement(
        &self,
        key: &LockKey,
    ) -> impl Future<Output = PortResult<Option<Retirement>>> + Send;
    /// Everything whose time has come, oldest first; possibly not the newest changes.
    fn due(&self, now: Timestamp) -> impl Future<Output = PortResult<Vec<Overdue>>> + Send;
    /// All of these writes, or none.
    fn commit(
        &self,
        writes: Vec<RegistryWrite>,
    ) -> impl Future<Output = PortResult<Committed>> + Send;
    /// [`AlarmItem::fire`] as one update.
    fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> impl Future<Output = PortResult<AlarmFence>> + Send;
    /// [`AlarmItem::join`] as one update; whether it was written.
    fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> impl Future<Output = PortResult<bool>> + Send;
    /// [`glidepath_core::protocol::fence`] as one update.
    fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> impl Future<Output = PortResult<DeploymentFence>> + Send;
    /// Removes the intent of an alarm; every attempt of it got an answer.
    fn finish_alarm_intent(
        &self,
        alarm: &AlarmArn,
        id: &IntentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Removes the intent of a deployment; every attempt of it got an answer.
    fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// The timeline, in order, with the channels that have taken each notice.
    fn notices(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<Vec<OutboxEntry>>> + Send;
    /// Remembers what a channel has made of a notice; with `last` no channel is missing any more.
    fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Has nobody else hand a notice to a channel until then, if nobody else does and the channel is not done
    /// with it.
    fn claim_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<DeliveryClaim>> + Send;
    /// Has nobody at all hand a notice to a channel until then.
    fn put_off_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Keeps the cells of a deployment for its report, in place of older ones. Called once and not
    /// repeated: nothing but a report depends on it, and the next look writes them again.
    fn store_cells(&self, cells: &StoredCells) -> impl Future<Output = PortResult<()>> + Send;
    /// The cells of the latest look that could be kept, if there was one.
    fn stored_cells(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<Option<StoredCells>>> + Send;
    /// Remembers who wants a deployment started.
    fn store_start(&self, start: &Start) -> impl Future<Output = PortResult<()>> + Send;
    /// Who has wanted a deployment of this name started.
    fn starts(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<Vec<Start>>> + Send;
    /// What people have frozen.
    fn freezes(&self) -> impl Future<Output = PortResult<Freezes>> + Send;
    /// What they have frozen from now on, if nobody has written it since it was read, with what was done.
    fn store_freezes(
        &self,
        freezes: &Freezes,
        entry: &FreezeEntry,
    ) -> impl Future<Output = PortResult<Committed>> + Send;
    /// What was done about freezes from the one instant on and before the other, in order.
    fn freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> impl Future<Output = PortResult<Vec<FreezeEntry>>> + Send;
    /// The deployments that have not ended, and the newest that have.
    fn recent(&self, limit: u32) -> impl Future<Output = PortResult<Recent>> + Send;
    /// The deployments that were started from the one instant on and before the other.
    fn started(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> impl Future<Output = PortResult<Recent>> + Send;
    /// So many of all deployments at most, the newest first: from the beginning on, or after this place.
    fn page(
        &self,
        after: Option<&Place>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page>> + Send;
}

/// Where a deployment is in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub started_at: Timestamp,
    pub deployment: DeploymentId,
}

/// Some of the list of all deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub found: Recent,
    /// After which the next page begins; `None`: it is the last one.
    pub last: Option<Place>,
}

/// Deployments as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// Newest first, each with what freezes it.
    pub deployments: Vec<Deployment>,
    /// Everything that is frozen.
    pub freezes: Freezes,
    /// Those whose records this version cannot read, and why.
    pub unreadable: BTreeMap<DeploymentId, String>,
}

/// A notice with the channels that have taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    pub notice: Notice,
    /// Who has it.
    pub delivered: Vec<ChannelName>,
    /// Who has refused it for good.
    pub refused: Vec<ChannelName>,
    /// Where those have their message of the deployment that edit it, if it was posted for this notice.
    pub posted: BTreeMap<ChannelName, PostedMessage>,
    /// Whether the sweep still looks after it.
    pub due: bool,
}

impl OutboxEntry {
    /// As what a channel has taken it, or not; `None`: it still has to be handed it.
    pub fn delivery(&self, channel: &ChannelName) -> Option<Delivery> {
        if self.refused.contains(channel) {
            return Some(Delivery::Refused);
        }
        let taken = || self.posted.get(channel).cloned().map_or(Delivery::Taken, Delivery::Posted);
        self.delivered.contains(channel).then(taken)
    }

    /// Whether a channel has taken it or never will.
    pub fn done_with(&self, channel: &ChannelName) -> bool {
        self.delivered.contains(channel) || self.refused.contains(channel)
    }
}

/// Where a channel has the message of a deployment that it edits, as the channel writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedMessage(pub String);

/// Whether a notice is one's own to hand over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryClaim {
    Claimed,
    /// Somebody else hands it over, or it was put off.
    Elsewhere,
    /// The channel is done with it.
    Done(Delivery),
}

/// What a channel has made of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Taken,
    /// Taken, and this is its message of the deployment from now on.
    Posted(PostedMessage),
    /// It will never take it.
    Refused,
}
