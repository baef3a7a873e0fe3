//! Each registry write as one item of a transaction, with exactly its condition.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};
use glidepath_core::ids::TaskDefinition;
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{FreezeEntry, Freezes, QuarantineChange, Revision};
use glidepath_engine::ports::{PortError, PortResult};

use super::items::{
    BINDING, INTENT, Item, Key, QUARANTINED, json, number, text, write_deployment,
    write_freeze_entry, write_freezes, write_notice, write_retirement,
};

/// Most items that one transaction takes.
pub(super) const LONGEST: usize = 100;

/// An alarm has not fired since a deployment's start.
const QUIET: &str = "(attribute_not_exists(firedAt) OR firedAt < :startedAt)";

/// The writes of one transaction.
pub(super) fn transaction(
    table: &str,
    writes: &[RegistryWrite],
) -> PortResult<Vec<TransactWriteItem>> {
    if writes.len() > LONGEST {
        return Err(PortError::Refused {
            operation: "dynamodb:TransactWriteItems",
            detail: format!(
                "{} writes at once, where {LONGEST} are possible: the deployment has too many \
                 alarms and routes together",
                writes.len()
            ),
        });
    }
    let table = Table(table);
    writes.iter().map(|write| table.item(write)).collect()
}

/// What is frozen from now on, if nobody has written it since it was read, with what was done.
pub(super) fn freezes(
    table: &str,
    freezes: &Freezes,
    entry: &FreezeEntry,
) -> PortResult<Vec<TransactWriteItem>> {
    let table = Table(table);
    let before = before(freezes.revision);
    let item = table.put(write_freezes(freezes)?, |put| {
        if before == Revision::default() {
            return put.condition_expression(ABSENT);
        }
        put.condition_expression("revision = :before")
            .expression_attribute_values(":before", number(before.0))
    })?;
    let entry = write_freeze_entry(entry, freezes.revision)?;
    Ok(vec![item, table.put(entry, |put| put.condition_expression(ABSENT))?])
}

struct Table<'name>(&'name str);

impl Table<'_> {
    fn item(&self, write: &RegistryWrite) -> PortResult<TransactWriteItem> {
        match write {
            RegistryWrite::CreateDeployment(deployment) => {
                self.put(write_deployment(deployment)?, |put| put.condition_expression(ABSENT))
            }
            RegistryWrite::PutDeployment(deployment) => {
                let before = before(deployment.revision);
                self.put(write_deployment(deployment)?, |put| {
                    put.condition_expression("revision = :before")
                        .expression_attribute_values(":before", number(before.0))
                })
            }
            RegistryWrite::RequireQuiet { alarm, started_at } => {
                let check = self.check(&Key::alarm(alarm)).condition_expression(QUIET);
                let started_at = number(started_at.as_millis());
                checked(check.expression_attribute_values(":startedAt", started_at).build())
            }
            RegistryWrite::Bind { alarm, deployment, binding } => {
                let key = Key::alarm(alarm);
                let update = self
                    .update(&key)
                    .update_expression(
                        "SET #binding = :binding, \
                         revision = if_not_exists(revision, :zero) + :one",
                    )
                    .condition_expression(QUIET)
                    .expression_attribute_names("#binding", format!("{BINDING}{deployment}"))
                    .expression_attribute_values(":binding", json(&key, binding)?)
                    .expression_attribute_values(":zero", number(0))
                    .expression_attribute_values(":one", number(1));
                let started_at = number(binding.started_at.as_millis());
                updated(update.expression_attribute_values(":startedAt", started_at).build())
            }
            RegistryWrite::RefreshBinding { alarm, deployment, binding } => {
                let key = Key::alarm(alarm);
                let update = self
                    .update(&key)
                    .update_expression("SET #binding = :binding, revision = revision + :one")
                    .condition_expression(format!("attribute_exists(#binding) AND {QUIET}"))
                    .expression_attribute_names("#binding", format!("{BINDING}{deployment}"))
                    .expression_attribute_values(":binding", json(&key, binding)?)
                    .expression_attribute_values(":one", number(1));
                let started_at = number(binding.started_at.as_millis());
                updated(update.expression_attribute_values(":startedAt", started_at).build())
            }
            RegistryWrite::Unbind { alarm, deployment, expected, dead } => {
                let names: Vec<_> =
                    (0..dead.len()).map(|index| format!(", #dead{index}")).collect();
                let update = self
                    .update(&Key::alarm(alarm))
                    .update_expression(format!(
                        "REMOVE #binding{} SET revision = revision + :one",
                        names.concat()
                    ))
                    .condition_expression("revision = :expected")
                    .expression_attribute_names("#binding", format!("{BINDING}{deployment}"))
                    .expression_attribute_values(":expected", number(expected.0))
                    .expression_attribute_values(":one", number(1));
                let update = dead.iter().enumerate().fold(update, |update, (index, id)| {
                    update.expression_attribute_names(
                        format!("#dead{index}"),
                        format!("{INTENT}{id}"),
                    )
                });
                updated(update.build())
            }
            RegistryWrite::TakeLock { key, deployment, expected_epoch, forgotten } => {
                let update = self.update(&Key::lock(key));
                let (update, removed) = without(update, forgotten);
                let remove =
                    if removed.is_empty() { String::new() } else { format!(" REMOVE {removed}") };
                let update = update
                    .update_expression(format!("SET holder = :holder, epoch = :next{remove}"))
                    .expression_attribute_values(":holder", text(deployment.as_str()))
                    .expression_attribute_values(":next", number(expected_epoch + 1));
                let update = if *expected_epoch == 0 {
                    update.condition_expression(
                        "attribute_not_exists(holder) AND attribute_not_exists(epoch)",
                    )
                } else {
                    update
                        .condition_expression("attribute_not_exists(holder) AND epoch = :expected")
                        .expression_attribute_values(":expected", number(expected_epoch))
                };
                updated(update.build())
            }
            RegistryWrite::ReleaseLock { key, deployment, quarantine } => {
                let QuarantineChange { added, lifted } = quarantine;
                let key = Key::lock(key);
                let (update, removed) = without(self.update(&key), lifted);
                let removed = if removed.is_empty() { removed } else { format!(", {removed}") };
                let update = update
                    .condition_expression("holder = :holder")
                    .expression_attribute_values(":holder", text(deployment.as_str()));
                let update = match added {
                    Some(added) => update
                        .update_expression(format!("REMOVE holder{removed} SET #added = :added"))
                        .expression_attribute_names("#added", quarantined(&added.version))
                        .expression_attribute_values(":added", json(&key, added)?),
                    None => update.update_expression(format!("REMOVE holder{removed}")),
                };
                updated(update.build())
            }
            RegistryWrite::RequireFree(key) => checked(
                self.check(&Key::lock(key))
                    .condition_expression("attribute_not_exists(holder)")
                    .build(),
            ),
            RegistryWrite::CreateRetirement(retirement) => {
                self.put(write_retirement(retirement)?, |put| put)
            }
            RegistryWrite::PutRetirement(retirement) => {
                let before = before(retirement.revision);
                self.put(write_retirement(retirement)?, |put| {
                    // Revisions begin again with every retirement of the same slot.
                    put.condition_expression("revision = :before AND deployment = :deployment")
                        .expression_attribute_values(":before", number(before.0))
                        .expression_attribute_values(
                            ":deployment",
                            text(retirement.deployment.as_str()),
                        )
                })
            }
            RegistryWrite::DeleteRetirement { service: _, key, expected } => built(
                Delete::builder()
                    .table_name(self.0)
                    .set_key(Some(Key::retirement(key).attributes()))
                    .condition_expression("revision = :expected")
                    .expression_attribute_values(":expected", number(expected.0))
                    .build(),
            )
            .map(|delete| TransactWriteItem::builder().delete(delete).build()),
            RegistryWrite::Notice(notice) => {
                self.put(write_notice(notice)?, |put| put.condition_expression(ABSENT))
            }
        }
    }

    fn put(
        &self,
        item: Item,
        condition: impl FnOnce(
            aws_sdk_dynamodb::types::builders::PutBuilder,
        ) -> aws_sdk_dynamodb::types::builders::PutBuilder,
    ) -> PortResult<TransactWriteItem> {
        let put = Put::builder().table_name(self.0).set_item(Some(item));
        built(condition(put).build()).map(|put| TransactWriteItem::builder().put(put).build())
    }

    fn update(&self, key: &Key) -> UpdateBuilder {
        Update::builder().table_name(self.0).set_key(Some(key.attributes()))
    }

    fn check(&self, key: &Key) -> aws_sdk_dynamodb::types::builders::ConditionCheckBuilder {
        ConditionCheck::builder().table_name(self.0).set_key(Some(key.attributes()))
    }
}

/// An update that removes versions from the quarantine, and what its expression removes.
fn without(update: UpdateBuilder, versions: &[TaskDefinition]) -> (UpdateBuilder, String) {
    let names: Vec<_> = (0..versions.len()).map(|index| format!("#removed{index}")).collect();
    let update = names.iter().zip(versions).fold(update, |update, (name, version)| {
        update.expression_attribute_names(name, quarantined(version))
    });
    (update, names.join(", "))
}

fn quarantined(version: &TaskDefinition) -> String {
    format!("{QUARANTINED}{version}")
}

/// There is no such item yet.
const ABSENT: &str = "attribute_not_exists(pk)";

/// The revision that a whole write replaces.
fn before(revision: Revision) -> Revision {
    Revision(revision.0.saturating_sub(1))
}

fn updated(update: Result<Update, BuildError>) -> PortResult<TransactWriteItem> {
    built(update).map(|update| TransactWriteItem::builder().update(update).build())
}

fn checked(check: Result<ConditionCheck, BuildError>) -> PortResult<TransactWriteItem> {
    built(check).map(|check| TransactWriteItem::builder().condition_check(check).build())
}

/// The SDK's builders fail only where a required field is not set.
fn built<Built>(build: Result<Built, BuildError>) -> PortResult<Built> {
    build.map_err(|error| PortError::Refused {
        operation: "dynamodb:TransactWriteItems",
        detail: error.to_string(),
    })
}
