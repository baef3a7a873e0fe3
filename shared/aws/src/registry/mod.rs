//! The registry in one DynamoDB table; `items` shows its layout.
//!
//! Every call may be repeated: transactions carry a token under which DynamoDB executes them once,
//! and the single updates are written so that a repetition changes nothing but the revision.

mod fences;
mod items;
mod reads;
mod writes;

use std::future::Future;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use glidepath_core::health::StoredCells;
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Retirement,
    Start,
};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{
    AlarmFence, Clock, Committed, Delivery, DeliveryClaim, DeploymentFence, OutboxEntry, Overdue,
    Page, Place, PortError, PortResult, Random, Recent, Registry,
};

#[cfg(test)]
pub(crate) use self::items::tests::deployment as tests_deployment;
use crate::clients::Clients;
use crate::clock::System;
use crate::error::port_error;

/// How often a call is made before its error is handed on.
const ATTEMPTS: u32 = 4;

/// First window of the full jitter between attempts.
const FIRST_WINDOW: Span = Span::from_millis(50);

/// How often a transaction that met another one is tried again.
const CONTENDED: u32 = 5;

/// [`Registry`] in a DynamoDB table. What is read of a deployment says what freezes it, if that is to be known: nobody
/// else is linked with how it is read.
#[derive(Debug)]
pub struct DynamoRegistry<const KNOWS_FREEZES: bool = true> {
    client: Client,
    table: String,
    system: System,
}

/// How one attempt of a transaction ended.
enum Transacted {
    Done,
    ConditionFailed,
    MetAnother,
}

impl DynamoRegistry {
    pub fn new(clients: &Clients, table: impl Into<String>) -> Self {
        Self {
            client: Client::new(clients.registry()),
            table: table.into(),
            system: System::default(),
        }
    }

    /// For whoever leads nothing forward: no freeze holds what they do, and one that cannot be read must not either.
    #[must_use]
    pub fn without_freezes(self) -> DynamoRegistry<false> {
        let Self { client, table, system } = self;
        DynamoRegistry { client, table, system }
    }
}

impl<const KNOWS_FREEZES: bool> DynamoRegistry<KNOWS_FREEZES> {
    /// Opens the connection over which the first call will go. Only the connection counts, and
    /// whoever needs it will tell if there is none.
    pub async fn warm_up(&self) {
        let _ = self.get(items::Key::lock(&LockKey::from_text("warm-up"))).await;
    }

    /// Makes a call again while it may pass.
    async fn repeated<Value, Answer>(&self, mut call: impl FnMut() -> Answer) -> PortResult<Value>
    where
        Answer: Future<Output = PortResult<Value>>,
    {
        let mut window = FIRST_WINDOW;
        for _ in 1..ATTEMPTS {
            match call().await {
                Err(error) if error.may_pass() => {
                    tracing::warn!(error = %error, "the registry is asked again");
                }
                answer => return answer,
            }
            self.pause(window).await;
            window = window.times(2);
        }
        call().await
    }

    async fn pause(&self, window: Span) {
        let jitter = self.system.number() % window.as_millis().max(1);
        self.system.sleep(Span::from_millis(jitter)).await;
    }

    /// Writes a whole item, whatever is there.
    async fn put(&self, item: items::Item) -> PortResult<()> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let answer = call.send().await;
        answer.map(|_| ()).map_err(|error| port_error("dynamodb:PutItem", error))
    }

    /// All of these writes, or none.
    async fn committed(&self, items: Vec<TransactWriteItem>) -> PortResult<Committed> {
        // Two decisions may want the same writes: the token stands for this call, not for them.
        let token = format!("{:016x}{:016x}", self.system.number(), self.system.number());
        for _ in 0..CONTENDED {
            match self.repeated(|| self.transact(&token, items.clone())).await? {
                Transacted::Done => return Ok(Committed::Yes),
                Transacted::ConditionFailed => return Ok(Committed::Conflict),
                Transacted::MetAnother => self.pause(FIRST_WINDOW).await,
            }
        }
        Ok(Committed::Conflict)
    }

    async fn transact(&self, token: &str, items: Vec<TransactWriteItem>) -> PortResult<Transacted> {
        let call = self.client.transact_write_items().client_request_token(token);
        let error = match call.set_transact_items(Some(items)).send().await {
            Ok(_) => return Ok(Transacted::Done),
            Err(error) => error,
        };
        let operation = "dynamodb:TransactWriteItems";
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                canceled_because(operation, canceled.cancellation_reasons())
            }
            Some(_) | None => Err(port_error(operation, error)),
        }
    }
}

/// What a cancelled transaction means: a condition that failed outranks everything else.
fn canceled_because(
    operation: &'static str,
    reasons: &[CancellationReason],
) -> PortResult<Transacted> {
    let codes: Vec<_> = reasons.iter().filter_map(CancellationReason::code).collect();
    if codes.contains(&"ConditionalCheckFailed") {
        return Ok(Transacted::ConditionFailed);
    }
    if codes.contains(&"TransactionConflict") {
        return Ok(Transacted::MetAnother);
    }
    if codes.iter().any(|code| matches!(*code, "ThrottlingError" | "ProvisionedThroughputExceeded"))
    {
        return Err(PortError::Throttled { operation });
    }
    let told = reasons.iter().enumerate().filter_map(|(place, reason)| {
        let code = reason.code().filter(|code| *code != "None")?;
        Some(format!("write {place}: {code}: {}", reason.message().unwrap_or("no message")))
    });
    let told: Vec<_> = told.collect();
    Err(PortError::Refused { operation, detail: format!("cancelled ({})", told.join("; ")) })
}

impl<const KNOWS_FREEZES: bool> Registry for DynamoRegistry<KNOWS_FREEZES> {
    async fn deployment(&self, id: &DeploymentId) -> PortResult<Option<Deployment>> {
        if KNOWS_FREEZES {
            return self.read_deployment(id).await;
        }
        let item = self.repeated(|| self.get(items::Key::deployment(id))).await?;
        item.as_ref().map(items::read_deployment).transpose()
    }

    async fn alarms(&self, arns: &[AlarmArn]) -> PortResult<Vec<AlarmItem>> {
        let found = self.batch(arns.iter().map(items::Key::alarm).collect()).await?;
        let read = arns.iter().map(|arn| match found.get(&items::Key::alarm(arn)) {
            Some(item) => items::read_alarm(arn, item),
            None => Ok(AlarmItem::unknown(arn.clone())),
        });
        read.collect()
    }

    async fn locks(&self, keys: &[LockKey]) -> PortResult<Vec<Lock>> {
        let found = self.batch(keys.iter().map(items::Key::lock).collect()).await?;
        let read = keys.iter().map(|key| match found.get(&items::Key::lock(key)) {
            Some(item) => items::read_lock(key, item),
            None => Ok(Lock::untaken(key.clone())),
        });
        read.collect()
    }

    async fn retirement(&self, key: &LockKey) -> PortResult<Option<Retirement>> {
        let item = self.repeated(|| self.get(items::Key::retirement(key))).await?;
        item.as_ref().map(items::read_retirement).transpose()
    }

    async fn due(&self, now: Timestamp) -> PortResult<Vec<Overdue>> {
        self.read_due(now).await
    }

    async fn commit(&self, writes: Vec<RegistryWrite>) -> PortResult<Committed> {
        self.committed(writes::transaction(&self.table, &writes)?).await
    }

    async fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        self.repeated(|| self.close_alarm(alarm, at, id, intent)).await
    }

    async fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        self.repeated(|| self.add_to_alarm(alarm, deployment, id, intent)).await
    }

    async fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        self.repeated(|| self.close_deployment(deployment, fence, id, intent)).await
    }

    async fn finish_alarm_intent(&self, alarm: &AlarmArn, id: &IntentId) -> PortResult<()> {
        self.repeated(|| self.remove_intent(items::Key::alarm(alarm), id)).await
    }

    async fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> PortResult<()> {
        self.repeated(|| self.remove_intent(items::Key::deployment(deployment), id)).await
    }

    async fn notices(&self, deployment: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        self.read_notices(deployment).await
    }

    async fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> PortResult<()> {
        self.repeated(|| self.mark_delivered(notice, channel, delivery.clone(), last)).await
    }

    async fn claim_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<DeliveryClaim> {
        self.repeated(|| self.claim_notice(notice, channel, now, until)).await
    }

    async fn put_off_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> PortResult<()> {
        self.repeated(|| self.put_off_notice(notice, channel, until)).await
    }

    async fn store_cells(&self, cells: &StoredCells) -> PortResult<()> {
        self.put(items::write_cells(cells)?).await
    }

    async fn stored_cells(&self, deployment: &DeploymentId) -> PortResult<Option<StoredCells>> {
        let item = self.repeated(|| self.get(items::Key::cells(deployment))).await?;
        item.as_ref().map(items::read_cells).transpose()
    }

    async fn store_start(&self, start: &Start) -> PortResult<()> {
        self.repeated(async || self.put(items::write_start(start)?).await).await
    }

    async fn starts(&self, deployment: &DeploymentId) -> PortResult<Vec<Start>> {
        self.read_starts(deployment).await
    }

    async fn freezes(&self) -> PortResult<Freezes> {
        let item = self.repeated(|| self.get(items::Key::freezes())).await?;
        Ok(item.as_ref().map(items::read_freezes).unwrap_or_default())
    }

    async fn store_freezes(&self, freezes: &Freezes, entry: &FreezeEntry) -> PortResult<Committed> {
        self.committed(writes::freezes(&self.table, freezes, entry)?).await
    }

    async fn freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Vec<FreezeEntry>> {
        self.read_freeze_entries(from, before).await
    }

    async fn recent(&self, limit: u32) -> PortResult<Recent> {
        self.read_recent(limit).await
    }

    async fn started(&self, from: Timestamp, before: Timestamp) -> PortResult<Recent> {
        self.read_started(from, before).await
    }

    async fn page(&self, after: Option<&Place>, limit: u32) -> PortResult<Page> {
        self.read_page(after, limit).await
    }
}

#[cfg(test)]
mod tests;
