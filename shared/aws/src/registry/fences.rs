//! Single updates: fences, and what removes or marks something on one item. Each may be repeated.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::record::{Fence, Intent, Notice, Phase};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{
    AlarmFence, Delivery, DeliveryClaim, DeploymentFence, PortResult, PostedMessage,
};

use super::DynamoRegistry;
use super::items::{
    BINDING, DELIVERED, INTENT, Item, Key, POSTED, REFUSED, SENDING, json, number, read_alarm,
    read_deployment, read_notice, text,
};
use crate::error::{incomplete, port_error};

const OPERATION: &str = "dynamodb:UpdateItem";

/// How a conditional update ended.
enum Updated {
    /// The item after it.
    Yes(Item),
    /// The condition did not hold; the item as it is, if there is one.
    No(Option<Item>),
}

impl<const KNOWS_FREEZES: bool> DynamoRegistry<KNOWS_FREEZES> {
    /// [`glidepath_core::record::AlarmItem::fire`]. The item comes back either way, so that a
    /// repetition after a lost answer still learns the routes.
    pub(super) async fn close_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        let key = Key::alarm(alarm);
        let call = self
            .update(&key)
            .update_expression("SET firedAt = :at, #intent = :intent, revision = revision + :one")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(firedAt) OR firedAt < :at)",
            )
            .expression_attribute_names("#intent", format!("{INTENT}{id}"))
            .expression_attribute_values(":intent", json(&key, intent)?)
            .expression_attribute_values(":at", number(at.as_millis()))
            .expression_attribute_values(":one", number(1));
        Ok(match conditional(call).await? {
            Updated::Yes(item) => AlarmFence::Closed(read_alarm(alarm, &item)?),
            Updated::No(Some(item)) => AlarmFence::ClosedBefore(read_alarm(alarm, &item)?),
            Updated::No(None) => AlarmFence::Unknown,
        })
    }

    /// [`glidepath_core::record::AlarmItem::join`].
    pub(super) async fn add_to_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        let key = Key::alarm(alarm);
        let call = self
            .update(&key)
            .update_expression("SET #intent = :intent, revision = revision + :one")
            .condition_expression("attribute_exists(#binding)")
            .expression_attribute_names("#intent", format!("{INTENT}{id}"))
            .expression_attribute_names("#binding", format!("{BINDING}{deployment}"))
            .expression_attribute_values(":intent", json(&key, intent)?)
            .expression_attribute_values(":one", number(1));
        Ok(match conditional(call).await? {
            Updated::Yes(_) => true,
            Updated::No(_) => false,
        })
    }

    /// [`glidepath_core::protocol::fence`]. The new revision makes every transaction fail that was
    /// decided before.
    pub(super) async fn close_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        let key = Key::deployment(deployment);
        let call = self
            .update(&key)
            .update_expression(
                "SET phase = :rollingBack, fence = if_not_exists(fence, :fence), \
                 #intent = :intent, revision = revision + :one",
            )
            .condition_expression("phase IN (:open, :rollingBack, :held)")
            .expression_attribute_names("#intent", format!("{INTENT}{id}"))
            .expression_attribute_values(":intent", json(&key, intent)?)
            .expression_attribute_values(":fence", json(&key, fence)?)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":open", text(Phase::Open.name()))
            .expression_attribute_values(":rollingBack", text(Phase::RollingBack.name()))
            .expression_attribute_values(":held", text(Phase::Held.name()));
        Ok(match conditional(call).await? {
            Updated::Yes(item) => DeploymentFence::Closed(Box::new(read_deployment(&item)?)),
            Updated::No(Some(item)) => DeploymentFence::TooLate(Box::new(read_deployment(&item)?)),
            Updated::No(None) => DeploymentFence::Unknown,
        })
    }

    /// Removes an intent; one that is gone already is as good.
    pub(super) async fn remove_intent(&self, key: Key, id: &IntentId) -> PortResult<()> {
        let call = self
            .update(&key)
            .update_expression("REMOVE #intent SET revision = revision + :one")
            .condition_expression("attribute_exists(#intent)")
            .expression_attribute_names("#intent", format!("{INTENT}{id}"))
            .expression_attribute_values(":one", number(1));
        conditional(call).await.map(|_| ())
    }

    /// Remembers what a channel has made of a notice.
    pub(super) async fn mark_delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> PortResult<()> {
        let key = Key::notice(&notice.deployment, notice.sequence);
        let channels = AttributeValue::Ss(vec![channel.as_str().to_owned()]);
        let (set, posted) = match delivery {
            Delivery::Taken => (DELIVERED, None),
            Delivery::Posted(PostedMessage(at)) => (DELIVERED, Some(at)),
            Delivery::Refused => (REFUSED, None),
        };
        let done = if last { ", due" } else { "" };
        let keep = if posted.is_some() { "SET #posted = :posted " } else { "" };
        let call = self
            .update(&key)
            .update_expression(format!("{keep}ADD {set} :channels REMOVE #sending{done}"))
            .expression_attribute_names("#sending", format!("{SENDING}{channel}"))
            // A notice that has expired meanwhile must not come back half.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":channels", channels);
        let call = match posted {
            Some(at) => call
                .expression_attribute_names("#posted", format!("{POSTED}{channel}"))
                .expression_attribute_values(":posted", text(&at)),
            None => call,
        };
        conditional(call).await.map(|_| ())
    }

    /// Claims a notice for a channel. A repetition of one's own claim is one.
    pub(super) async fn claim_notice(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<DeliveryClaim> {
        let key = Key::notice(&notice.deployment, notice.sequence);
        let (sending, until) = (format!("{SENDING}{channel}"), number(until.as_millis()));
        let call = self
            .update(&key)
            .update_expression("SET #sending = :until")
            .condition_expression(format!(
                "attribute_exists(pk) AND (attribute_not_exists(#sending) OR #sending <= :now) \
                 AND NOT contains({DELIVERED}, :channel) AND NOT contains({REFUSED}, :channel)"
            ))
            .expression_attribute_names("#sending", sending.clone())
            .expression_attribute_values(":until", until.clone())
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":channel", text(channel.as_str()));
        let item = match conditional(call).await? {
            Updated::Yes(_) => return Ok(DeliveryClaim::Claimed),
            // It has expired: nobody is told of it any more.
            Updated::No(None) => return Ok(DeliveryClaim::Done(Delivery::Refused)),
            Updated::No(Some(item)) => item,
        };
        let entry = read_notice(&item)?;
        Ok(if let Some(delivery) = entry.delivery(channel) {
            DeliveryClaim::Done(delivery)
        } else if item.get(&sending) == Some(&until) {
            DeliveryClaim::Claimed
        } else {
            DeliveryClaim::Elsewhere
        })
    }

    /// Has nobody hand a notice to a channel until then.
    pub(super) async fn put_off_notice(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> PortResult<()> {
        let key = Key::notice(&notice.deployment, notice.sequence);
        let call = self
            .update(&key)
            .update_expression("SET #sending = :until")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#sending", format!("{SENDING}{channel}"))
            .expression_attribute_values(":until", number(until.as_millis()));
        conditional(call).await.map(|_| ())
    }

    /// Deletes the item of an alarm that no deployment has ever named: one of `glidepath doctor`.
    #[cfg(feature = "stack")]
    pub async fn forget_alarm(&self, alarm: &AlarmArn) -> PortResult<()> {
        let call = self.client.delete_item().table_name(&self.table);
        let deleted = call.set_key(Some(Key::alarm(alarm).attributes())).send().await;
        deleted.map(|_| ()).map_err(|error| port_error("dynamodb:DeleteItem", error))
    }

    fn update(&self, key: &Key) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

async fn conditional(call: UpdateItemFluentBuilder) -> PortResult<Updated> {
    match call.send().await {
        Ok(updated) => {
            updated.attributes.map(Updated::Yes).ok_or_else(|| incomplete(OPERATION, "Attributes"))
        }
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Updated::No(failed.item.clone().filter(|item| !item.is_empty())))
            }
            Some(_) | None => Err(port_error(OPERATION, error)),
        },
    }
}
