//! Reads. Consistent, but for the two indexes: what they name is read again where it matters.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures_util::future::try_join;
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::{Deployment, FreezeEntry, LockKey, Phase, Start};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{
    Due, OutboxEntry, Overdue, Page, Place, PortError, PortResult, Recent,
};

use super::items::{
    DEPLOYMENT, DUE, FREEZES, Item, Key, START, due_at, entry_sort, number, place_of,
    read_deployment, read_freeze_entry, read_freezes, read_notice, read_start, start_after,
    tell_unreadable, text,
};
use super::{DynamoRegistry, FIRST_WINDOW};
use crate::error::port_error;

/// Most keys that one BatchGetItem call takes.
const KEYS_PER_CALL: usize = 100;

impl<const KNOWS_FREEZES: bool> DynamoRegistry<KNOWS_FREEZES> {
    pub(super) async fn get(&self, key: Key) -> PortResult<Option<Item>> {
        let call = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = call.set_key(Some(key.attributes())).send().await;
        answer.map(|found| found.item).map_err(|error| port_error("dynamodb:GetItem", error))
    }

    /// The items of these keys that exist.
    pub(super) async fn batch(&self, mut keys: Vec<Key>) -> PortResult<HashMap<Key, Item>> {
        // The call refuses a key that is asked twice.
        keys.sort_unstable();
        keys.dedup();
        let mut found = HashMap::new();
        for some in keys.chunks(KEYS_PER_CALL) {
            let mut open: Vec<_> = some.iter().map(Key::attributes).collect();
            while !open.is_empty() {
                let before = open.len();
                let (items, left) = self.repeated(|| self.batch_once(open.clone())).await?;
                for item in items {
                    found.insert(Key::of(&item)?, item);
                }
                // What was not processed was throttled.
                if left.len() == before {
                    return Err(PortError::Throttled { operation: "dynamodb:BatchGetItem" });
                }
                open = left;
                if !open.is_empty() {
                    self.pause(FIRST_WINDOW).await;
                }
            }
        }
        Ok(found)
    }

    async fn batch_once(&self, keys: Vec<Item>) -> PortResult<(Vec<Item>, Vec<Item>)> {
        let operation = "dynamodb:BatchGetItem";
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let keys =
            keys.map_err(|error| PortError::Refused { operation, detail: error.to_string() })?;
        let call = self.client.batch_get_item().request_items(&self.table, keys);
        let answer = call.send().await.map_err(|error| port_error(operation, error))?;
        let items = answer.responses.into_iter().flatten().flat_map(|(_, items)| items).collect();
        let left = answer.unprocessed_keys.into_iter().flatten();
        Ok((items, left.flat_map(|(_, keys)| keys.keys).collect()))
    }

    /// Everything that a query finds, page by page.
    async fn all(&self, query: QueryFluentBuilder) -> PortResult<Vec<Item>> {
        let query = query.table_name(&self.table);
        let (mut items, mut page) = (Vec::new(), None);
        loop {
            let start: Option<Item> = page;
            let answer = self
                .repeated(async || {
                    let query = query.clone().set_exclusive_start_key(start.clone());
                    query.send().await.map_err(|error| port_error("dynamodb:Query", error))
                })
                .await?;
            items.extend(answer.items.unwrap_or_default());
            page = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if page.is_none() {
                return Ok(items);
            }
        }
    }

    pub(super) async fn read_due(&self, now: Timestamp) -> PortResult<Vec<Overdue>> {
        let query = self
            .client
            .query()
            .index_name("due")
            .key_condition_expression("due = :due AND nextDueAt <= :now")
            .expression_attribute_values(":due", text(DUE))
            .expression_attribute_values(":now", number(now.as_millis()));
        let mut due: Vec<Overdue> = Vec::new();
        for item in &self.all(query).await? {
            let key = Key::of(item)?;
            match due_of(&key) {
                // In order, so that the first of several notices is the oldest.
                Some(found) if due.iter().all(|known| known.due != found) => {
                    due.push(Overdue { due: found, since: due_at(item)? });
                }
                Some(_) => {}
                // The rest must be looked after nevertheless.
                None => tracing::error!(
                    item.partition = key.partition,
                    item.sort = key.sort,
                    "the registry has a due item of an unknown kind"
                ),
            }
        }
        Ok(due)
    }

    pub(super) async fn read_notices(&self, id: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        let items = self.of_deployment(id, "notice#").await?;
        let read = items.iter().filter_map(|item| match read_notice(item) {
            Ok(entry) => Some(entry),
            // An event that a newer version knows must not keep the others from anybody.
            Err(error) => {
                tracing::error!(
                    deployment.id = %id,
                    error = %error,
                    "an entry of the timeline cannot be read"
                );
                None
            }
        });
        Ok(read.collect())
    }

    pub(super) async fn read_starts(&self, id: &DeploymentId) -> PortResult<Vec<Start>> {
        let items = self.of_deployment(id, START).await?;
        let read = items.iter().filter_map(|item| match read_start(item) {
            Ok(start) => Some(start),
            // Written by a newer version, perhaps: it must not keep a deployment from anybody.
            Err(error) => {
                tracing::error!(deployment.id = %id, error = %error, "a start cannot be read");
                None
            }
        });
        Ok(read.collect())
    }

    /// A deployment with what freezes it, in one call.
    pub(super) async fn read_deployment(
        &self,
        id: &DeploymentId,
    ) -> PortResult<Option<Deployment>> {
        let (key, freezes) = (Key::deployment(id), Key::freezes());
        let found = self.batch(vec![key.clone(), freezes.clone()]).await?;
        let Some(item) = found.get(&key) else { return Ok(None) };
        let freezes = found.get(&freezes).map(read_freezes).unwrap_or_default();
        Ok(Some(freezes.onto(read_deployment(item)?)))
    }

    pub(super) async fn read_freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Vec<FreezeEntry>> {
        let query = self
            .client
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :partition AND sk BETWEEN :from AND :before")
            .expression_attribute_values(":partition", text(FREEZES))
            .expression_attribute_values(":from", text(entry_sort(from)))
            .expression_attribute_values(":before", text(entry_sort(before)));
        let items = self.all(query).await?;
        items.iter().map(read_freeze_entry).collect()
    }

    /// The items of a deployment whose sort key begins so, in its order.
    async fn of_deployment(&self, id: &DeploymentId, beginning: &str) -> PortResult<Vec<Item>> {
        let query = self
            .client
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :partition AND begins_with(sk, :beginning)")
            .expression_attribute_values(":partition", text(Key::deployment(id).partition))
            .expression_attribute_values(":beginning", text(beginning));
        self.all(query).await
    }

    pub(super) async fn read_recent(&self, limit: u32) -> PortResult<Recent> {
        let ever = Timestamp::from_millis(i64::MAX);
        let (newest, open) = try_join(self.newest(limit), self.read_due(ever)).await?;
        let open = open.into_iter().filter_map(|overdue| match overdue.due {
            Due::Deployment(id) => Some(Key::deployment(&id).partition),
            Due::Retirement(_) | Due::Notices(_) => None,
        });
        let Recent { mut deployments, unreadable, freezes } =
            self.deployments(newest.into_iter().chain(open).collect()).await?;
        let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
        deployments.retain(|deployment| {
            let shown = left > 0 || !matches!(deployment.phase, Phase::Closed(_));
            left = left.saturating_sub(1);
            shown
        });
        Ok(Recent { deployments, unreadable, freezes })
    }

    pub(super) async fn read_started(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Recent> {
        let query = self
            .client
            .query()
            .index_name("recent")
            .key_condition_expression("kind = :kind AND startedAt BETWEEN :from AND :last")
            .expression_attribute_values(":kind", text(DEPLOYMENT))
            .expression_attribute_values(":from", number(from.as_millis()))
            .expression_attribute_values(":last", number(before.as_millis() - 1));
        let found = self.all(query).await?;
        self.deployments(found.iter().filter_map(partition).collect()).await
    }

    /// The deployments of these partitions, newest first.
    async fn deployments(&self, partitions: BTreeSet<String>) -> PortResult<Recent> {
        let keys =
            partitions.into_iter().map(|partition| Key { partition, sort: DEPLOYMENT.to_owned() });
        let key = Key::freezes();
        let frozen = KNOWS_FREEZES.then(|| key.clone());
        let mut items = self.batch(keys.chain(frozen).collect()).await?;
        let freezes = items.remove(&key);
        let freezes = freezes.as_ref().map(read_freezes).unwrap_or_default();
        let (mut deployments, mut unreadable) = (Vec::new(), BTreeMap::new());
        for (key, item) in &items {
            match read_deployment(item) {
                Ok(deployment) => deployments.push(freezes.onto(deployment)),
                Err(error) => {
                    tell_unreadable(&error);
                    unreadable.insert(key.to_deployment(), error.to_string());
                }
            }
        }
        deployments.sort_by_key(|deployment: &Deployment| std::cmp::Reverse(deployment.started_at));
        Ok(Recent { deployments, unreadable, freezes })
    }

    /// Partitions of the newest deployments.
    async fn newest(&self, limit: u32) -> PortResult<Vec<String>> {
        let answer = self.listed(None, limit).await?;
        Ok(answer.items().iter().filter_map(partition).collect())
    }

    pub(super) async fn read_page(&self, after: Option<&Place>, limit: u32) -> PortResult<Page> {
        let answer = self.listed(after, limit).await?;
        let found = self.deployments(answer.items().iter().filter_map(partition).collect()).await?;
        let last = answer.last_evaluated_key().filter(|key| !key.is_empty());
        Ok(Page { found, last: last.map(place_of).transpose()? })
    }

    /// Keys of deployments, the newest first.
    async fn listed(&self, after: Option<&Place>, limit: u32) -> PortResult<QueryOutput> {
        let limit = i32::try_from(limit.max(1)).unwrap_or(i32::MAX);
        let start = after.map(start_after);
        self.repeated(async || {
            self.client
                .query()
                .table_name(&self.table)
                .index_name("recent")
                .key_condition_expression("kind = :kind")
                .expression_attribute_values(":kind", text(DEPLOYMENT))
                .scan_index_forward(false)
                .limit(limit)
                .set_exclusive_start_key(start.clone())
                .send()
                .await
                .map_err(|error| port_error("dynamodb:Query", error))
        })
        .await
    }
}

/// In which partition an item of an index is.
fn partition(item: &Item) -> Option<String> {
    match item.get("pk") {
        Some(AttributeValue::S(partition)) => Some(partition.clone()),
        Some(_) | None => None,
    }
}

/// What a due item stands for.
fn due_of(key: &Key) -> Option<Due> {
    let (kind, rest) = key.partition.split_once('#')?;
    match (kind, key.sort.as_str()) {
        ("deployment", DEPLOYMENT) => Some(Due::Deployment(DeploymentId::new(rest))),
        ("deployment", sort) if sort.starts_with("notice#") => {
            Some(Due::Notices(DeploymentId::new(rest)))
        }
        ("retirement", _) => Some(Due::Retirement(LockKey::from_text(rest))),
        _ => None,
    }
}
