//! Items of the table, there and back.
//!
//! | partition key | sort key | attributes |
//! |---|---|---|
//! | `deployment#ID` | `deployment` | `revision`, `phase`, `fence`, `intent:ID`..., `document` (the rest, JSON), `execution`, `startedAt`, `nextDueAt`, `kind`, `due` while it has not ended, `expiresAt` once it has |
//! | `deployment#ID` | `notice#NNNNNN` | `document`, `delivered` and `refused` (channels), `posted#CHANNEL` (where a channel has the message that it edits), `sending#CHANNEL` (until when somebody hands it over), `nextDueAt`, `due` until every channel has it, `expiresAt` |
//! | `deployment#ID` | `start#TIME#ARN` | `document` (who wants it started, and with which request), `expiresAt` |
//! | `deployment#ID` | `cells` | `document` (what its report shows), `expiresAt` |
//! | `alarm#ARN` | `alarm` | `revision`, `firedAt`, `binding:DEPLOYMENT`..., `intent:ID`... |
//! | `lock#KEY` | `lock` | `holder`, `epoch`, `quarantined:VERSION`... |
//! | `freezes` | `freezes` | `revision`, `documents` (a list of JSON, one for each freeze) |
//! | `freezes` | `entry#TIME#NN` | `document` (what was done about freezes), `expiresAt` |
//! | `retirement#KEY` | `retirement` | `revision`, `deployment`, `document`, `nextDueAt`, `due` |
//!
//! What several writers touch is an attribute of its own, so that an update needs no map to exist.
//! Index `due`: `due` and `nextDueAt`. Index `recent`: `kind` and `startedAt`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use glidepath_core::health::StoredCells;
use glidepath_core::ids::{AlarmArn, ChannelName, DeploymentId, IntentId};
use glidepath_core::record::{
    AlarmItem, Deployment, EVERY_SERVICE, Freeze, FreezeEntry, Freezes, Lock, LockKey, Notice,
    Phase, Retirement, Revision, Start,
};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{OutboxEntry, Place, PortError, PortResult, PostedMessage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Attributes by name.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The value of `due` of everything that has a due time.
pub(super) const DUE: &str = "due";

/// The value of `kind` of deployments.
pub(super) const DEPLOYMENT: &str = "deployment";

/// Before the identifier of a claimed write.
pub(super) const INTENT: &str = "intent:";

/// Before the deployment of a binding.
pub(super) const BINDING: &str = "binding:";

/// Before the version that was rolled back.
pub(super) const QUARANTINED: &str = "quarantined:";

/// The partition of what people have frozen.
pub(super) const FREEZES: &str = "freezes";

/// The sort key of what was done about freezes at this instant, in the order of time.
pub(super) fn entry_sort(at: Timestamp) -> String {
    format!("entry#{:015}", at.as_millis())
}

/// How long closed deployments and notices are kept: longer than an execution can last or a
/// retirement can be due, so that nothing that is still referred to goes.
const KEPT: Span = Span::from_secs(400 * 86_400);

/// How long after it was written a notice is left to the invocation that the state machine makes
/// for it; afterwards it is the sweep's, as are notices of what happens without a state machine.
const DELIVERED_WITHIN: Span = Span::from_secs(3);

/// Before the person who wants a deployment started.
pub(super) const START: &str = "start#";

/// How long it is known who wanted a deployment started: its plan reads it within seconds, or when somebody
/// redrives the execution, for which there are 14 days.
const STARTS_WITHIN: Span = Span::from_secs(15 * 86_400);

/// The channels that have taken a notice.
pub(super) const DELIVERED: &str = "delivered";

/// The channels that will never take it.
pub(super) const REFUSED: &str = "refused";

/// Before the channel that has posted its message of the deployment with a notice.
pub(super) const POSTED: &str = "posted#";

/// Before the channel that a notice is being handed to: until when nobody else does.
pub(super) const SENDING: &str = "sending#";

/// Attributes of a deployment's document that are attributes of their own.
const OWN: [&str; 5] = ["revision", "phase", "fence", "intents", "nextDueAt"];

/// Partition and sort key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) partition: String,
    pub(super) sort: String,
}

impl Key {
    pub(super) fn deployment(id: &DeploymentId) -> Self {
        Self { partition: format!("deployment#{id}"), sort: DEPLOYMENT.to_owned() }
    }

    pub(super) fn notice(deployment: &DeploymentId, sequence: u32) -> Self {
        Self {
            partition: format!("deployment#{deployment}"),
            sort: format!("notice#{sequence:06}"),
        }
    }

    pub(super) fn cells(deployment: &DeploymentId) -> Self {
        Self { partition: format!("deployment#{deployment}"), sort: "cells".to_owned() }
    }

    fn start(start: &Start) -> Self {
        let Start { deployment, by, at, .. } = start;
        let sort = format!("{START}{:015}#{by}", at.as_millis());
        Self { partition: format!("deployment#{deployment}"), sort }
    }

    pub(super) fn alarm(arn: &AlarmArn) -> Self {
        Self { partition: format!("alarm#{arn}"), sort: "alarm".to_owned() }
    }

    pub(super) fn lock(key: &LockKey) -> Self {
        Self { partition: format!("lock#{}", key.as_str()), sort: "lock".to_owned() }
    }

    pub(super) fn retirement(key: &LockKey) -> Self {
        Self { partition: format!("retirement#{}", key.as_str()), sort: "retirement".to_owned() }
    }

    pub(super) fn freezes() -> Self {
        Self { partition: FREEZES.to_owned(), sort: FREEZES.to_owned() }
    }

    fn freeze_entry(entry: &FreezeEntry, revision: Revision) -> Self {
        // Two may be made in a millisecond.
        let sort = format!("{}#{}", entry_sort(entry.at), revision.0);
        Self { partition: FREEZES.to_owned(), sort }
    }

    /// Whose partition it is, if it is a deployment's.
    pub(super) fn to_deployment(&self) -> DeploymentId {
        let id = self.partition.strip_prefix("deployment#").unwrap_or(&self.partition);
        DeploymentId::new(id)
    }

    /// As the API takes it.
    pub(super) fn attributes(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), text(&self.partition)),
            ("sk".to_owned(), text(&self.sort)),
        ])
    }

    pub(super) fn of(item: &Item) -> PortResult<Self> {
        let part = |name: &str| match item.get(name) {
            Some(AttributeValue::S(part)) => Ok(part.clone()),
            Some(_) | None => Err(PortError::Refused {
                operation: "registry",
                detail: "an item without its key".to_owned(),
            }),
        };
        Ok(Self { partition: part("pk")?, sort: part("sk")? })
    }

    /// Something is not as it must be.
    pub(super) fn corrupt(&self, what: impl std::fmt::Display) -> PortError {
        PortError::Refused {
            operation: "registry",
            detail: format!("item `{}` / `{}` is corrupt: {what}", self.partition, self.sort),
        }
    }
}

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// By way of a [`Value`], there and back: each type is compiled for one format only, of which every
/// function would otherwise carry two.
pub(super) fn json(key: &Key, value: &impl Serialize) -> PortResult<AttributeValue> {
    let value = serde_json::to_value(value).map_err(|error| key.corrupt(error))?;
    Ok(AttributeValue::S(value.to_string()))
}

pub(super) fn write_deployment(deployment: &Deployment) -> PortResult<Item> {
    let key = Key::deployment(&deployment.id);
    let whole = serde_json::to_value(deployment).map_err(|error| key.corrupt(error))?;
    let Value::Object(mut document) = whole else { return Err(key.corrupt("not an object")) };
    document.retain(|name, _| !OWN.contains(&name.as_str()));
    let mut item = key.attributes();
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set("revision", number(deployment.revision.0));
    set("phase", text(deployment.phase.name()));
    set("document", json(&key, &document)?);
    set("execution", text(deployment.execution.as_str()));
    set("kind", text(DEPLOYMENT));
    set("startedAt", number(deployment.started_at.as_millis()));
    set("nextDueAt", number(deployment.next_due_at.as_millis()));
    if let Some(ended_at) = deployment.ended_at() {
        set("expiresAt", expiry(ended_at));
    }
    if deployment.is_due_some_day() {
        set("due", text(DUE));
    }
    if let Some(fence) = &deployment.fence {
        set("fence", json(&key, fence)?);
    }
    for (id, intent) in &deployment.intents {
        set(&format!("{INTENT}{id}"), json(&key, intent)?);
    }
    Ok(item)
}

pub(super) fn read_deployment(item: &Item) -> PortResult<Deployment> {
    let key = Key::of(item)?;
    let read = Reader { key: &key, item };
    let mut document: Map<String, Value> = read.json("document")?;
    let phase = read.text("phase")?;
    let phase = Phase::from_name(phase)
        .ok_or_else(|| key.corrupt(format_args!("there is no phase `{phase}`")))?;
    let phase = serde_json::to_value(phase).map_err(|error| key.corrupt(error))?;
    let fence = if item.contains_key("fence") { read.json("fence")? } else { Value::Null };
    document.insert("revision".to_owned(), read.whole("revision")?.into());
    document.insert("phase".to_owned(), phase);
    document.insert("fence".to_owned(), fence);
    document.insert("intents".to_owned(), Value::Object(read.prefixed(INTENT)?.collect()));
    document.insert("nextDueAt".to_owned(), read.instant("nextDueAt")?.as_millis().into());
    serde_json::from_value(Value::Object(document)).map_err(|error| key.corrupt(error))
}

pub(super) fn read_alarm(arn: &AlarmArn, item: &Item) -> PortResult<AlarmItem> {
    let key = Key::of(item)?;
    let read = Reader { key: &key, item };
    let mut alarm = AlarmItem {
        revision: Revision(read.whole("revision")?),
        fired_at: item.contains_key("firedAt").then(|| read.instant("firedAt")).transpose()?,
        ..AlarmItem::unknown(arn.clone())
    };
    for name in item.keys() {
        if let Some(deployment) = name.strip_prefix(BINDING) {
            let deployment = DeploymentId::new(deployment);
            match read.json(name) {
                Ok(binding) => drop(alarm.bindings.insert(deployment, binding)),
                Err(error) => {
                    tell_unreadable(&error);
                    alarm.unreadable.bindings.insert(deployment);
                }
            }
        } else if let Some(id) = name.strip_prefix(INTENT) {
            let id = IntentId::new(id);
            match read.json(name) {
                Ok(intent) => drop(alarm.intents.insert(id, intent)),
                Err(error) => {
                    tell_unreadable(&error);
                    alarm.unreadable.intents.insert(id, read.deadline(name));
                }
            }
        }
    }
    Ok(alarm)
}

/// A newer version may have written it: what is beside it must not wait until somebody can read it.
pub(super) fn tell_unreadable(error: &PortError) {
    tracing::error!(error = %error, "the registry has something that this version cannot read");
}

pub(super) fn read_lock(lock: &LockKey, item: &Item) -> PortResult<Lock> {
    let key = Key::of(item)?;
    let read = Reader { key: &key, item };
    let holder = item.contains_key("holder").then(|| read.text("holder")).transpose()?;
    let mut quarantined = Vec::new();
    for name in item.keys().filter(|name| name.starts_with(QUARANTINED)) {
        match read.json(name) {
            Ok(one) => quarantined.push(one),
            Err(error) => tell_unreadable(&error),
        }
    }
    Ok(Lock {
        key: lock.clone(),
        holder: holder.map(DeploymentId::new),
        epoch: read.whole("epoch")?,
        quarantined,
    })
}

pub(super) fn write_freezes(freezes: &Freezes) -> PortResult<Item> {
    let key = Key::freezes();
    let mut item = key.attributes();
    let documents = freezes.all.iter().map(|freeze| json(&key, freeze));
    item.insert("revision".to_owned(), number(freezes.revision.0));
    item.insert("documents".to_owned(), AttributeValue::L(documents.collect::<Result<_, _>>()?));
    Ok(item)
}

/// What could not be read freezes everything: a newer version has written it, and which services it means nobody here can
/// tell.
pub(super) fn read_freezes(item: &Item) -> Freezes {
    let key = Key::freezes();
    let read = Reader { key: &key, item };
    let found: Vec<_> = match item.get("documents") {
        Some(AttributeValue::L(documents)) => {
            documents.iter().map(|document| read_freeze(&key, document)).collect()
        }
        Some(_) | None => vec![Err(key.corrupt("it has no list of freezes"))],
    };
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for freeze in found {
        match freeze {
            Ok(freeze) => all.push(freeze),
            Err(error) => unread.push(error),
        }
    }
    let revision = read.whole("revision");
    unread.iter().chain(revision.as_ref().err()).for_each(tell_unreadable);
    let unreadable = !unread.is_empty() || revision.is_err();
    all.extend(unreadable.then(unknown_freeze));
    Freezes { revision: Revision(revision.unwrap_or_default()), all, unreadable }
}

fn read_freeze(key: &Key, document: &AttributeValue) -> PortResult<Freeze> {
    let text = document.as_s().map_err(|_| key.corrupt("a freeze is no text"))?;
    let value: serde_json::Result<Value> = serde_json::from_str(text);
    value.and_then(serde_json::from_value).map_err(|error| key.corrupt(error))
}

fn unknown_freeze() -> Freeze {
    let (at, by) = (Timestamp::from_millis(0), "somebody".to_owned());
    let reason = "this version cannot read what was frozen: deploy the newer one".to_owned();
    Freeze { services: EVERY_SERVICE.to_owned(), by, at, since: at, reason, until: None }
}

pub(super) fn write_freeze_entry(entry: &FreezeEntry, revision: Revision) -> PortResult<Item> {
    let key = Key::freeze_entry(entry, revision);
    let mut item = key.attributes();
    item.insert("document".to_owned(), json(&key, entry)?);
    item.insert("expiresAt".to_owned(), expiry(entry.at));
    Ok(item)
}

pub(super) fn read_freeze_entry(item: &Item) -> PortResult<FreezeEntry> {
    let key = Key::of(item)?;
    Reader { key: &key, item }.json("document")
}

pub(super) fn write_retirement(retirement: &Retirement) -> PortResult<Item> {
    let key = Key::retirement(&retirement.key());
    let mut item = key.attributes();
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set("revision", number(retirement.revision.0));
    set("deployment", text(retirement.deployment.as_str()));
    set("document", json(&key, retirement)?);
    set("due", text(DUE));
    set("nextDueAt", number(retirement.due_at.as_millis()));
    Ok(item)
}

pub(super) fn read_retirement(item: &Item) -> PortResult<Retirement> {
    let key = Key::of(item)?;
    Reader { key: &key, item }.json("document")
}

pub(super) fn write_notice(notice: &Notice) -> PortResult<Item> {
    let key = Key::notice(&notice.deployment, notice.sequence);
    let mut item = key.attributes();
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set("document", json(&key, notice)?);
    set("due", text(DUE));
    set("nextDueAt", number((notice.at + DELIVERED_WITHIN).as_millis()));
    set("expiresAt", expiry(notice.at));
    Ok(item)
}

pub(super) fn read_notice(item: &Item) -> PortResult<OutboxEntry> {
    let key = Key::of(item)?;
    let notice = Reader { key: &key, item }.json("document")?;
    let channels = |name: &str| match item.get(name) {
        None => Ok(Vec::new()),
        Some(AttributeValue::Ss(channels)) => Ok(channels.iter().map(ChannelName::new).collect()),
        Some(_) => Err(key.corrupt(format_args!("`{name}` is no set of texts"))),
    };
    let (delivered, refused) = (channels(DELIVERED)?, channels(REFUSED)?);
    let posted = item.iter().filter_map(|(name, value)| {
        let channel = name.strip_prefix(POSTED)?;
        let AttributeValue::S(at) = value else {
            return Some(Err(key.corrupt(format_args!("`{name}` is no text"))));
        };
        Some(Ok((ChannelName::new(channel), PostedMessage(at.clone()))))
    });
    let posted = posted.collect::<PortResult<_>>()?;
    Ok(OutboxEntry { notice, delivered, refused, posted, due: item.contains_key("due") })
}

/// When an item of the index is due.
pub(super) fn due_at(item: &Item) -> PortResult<Timestamp> {
    let key = Key::of(item)?;
    Reader { key: &key, item }.instant("nextDueAt")
}

/// Where an item of the index of deployments is in it.
pub(super) fn place_of(item: &Item) -> PortResult<Place> {
    let key = Key::of(item)?;
    let started_at = Reader { key: &key, item }.instant("startedAt")?;
    Ok(Place { started_at, deployment: key.to_deployment() })
}

/// The key of that item, after which a query goes on.
pub(super) fn start_after(place: &Place) -> Item {
    let mut item = Key::deployment(&place.deployment).attributes();
    item.insert("kind".to_owned(), text(DEPLOYMENT));
    item.insert("startedAt".to_owned(), number(place.started_at.as_millis()));
    item
}

pub(super) fn write_cells(cells: &StoredCells) -> PortResult<Item> {
    let key = Key::cells(&cells.deployment);
    let mut item = key.attributes();
    item.insert("document".to_owned(), json(&key, cells)?);
    item.insert("expiresAt".to_owned(), expiry(cells.written_at));
    Ok(item)
}

pub(super) fn read_cells(item: &Item) -> PortResult<StoredCells> {
    let key = Key::of(item)?;
    Reader { key: &key, item }.json("document")
}

pub(super) fn write_start(start: &Start) -> PortResult<Item> {
    let key = Key::start(start);
    let mut item = key.attributes();
    item.insert("document".to_owned(), json(&key, start)?);
    item.insert("expiresAt".to_owned(), number((start.at + STARTS_WITHIN).as_millis() / 1000));
    Ok(item)
}

pub(super) fn read_start(item: &Item) -> PortResult<Start> {
    let key = Key::of(item)?;
    Reader { key: &key, item }.json("document")
}

/// Seconds since 1970, as the table's time to live wants them.
fn expiry(from: Timestamp) -> AttributeValue {
    number((from + KEPT).as_millis() / 1000)
}

struct Reader<'item> {
    key: &'item Key,
    item: &'item Item,
}

impl<'item> Reader<'item> {
    fn text(&self, name: &str) -> PortResult<&'item str> {
        match self.item.get(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            Some(_) | None => Err(self.key.corrupt(format_args!("`{name}` is no text"))),
        }
    }

    fn parsed<Number: std::str::FromStr>(&self, name: &str) -> PortResult<Number> {
        let parsed = match self.item.get(name) {
            Some(AttributeValue::N(digits)) => digits.parse().ok(),
            Some(_) | None => None,
        };
        parsed.ok_or_else(|| self.key.corrupt(format_args!("`{name}` is no whole number")))
    }

    fn whole(&self, name: &str) -> PortResult<u64> {
        self.parsed(name)
    }

    fn instant(&self, name: &str) -> PortResult<Timestamp> {
        self.parsed(name).map(Timestamp::from_millis)
    }

    fn json<Document: DeserializeOwned>(&self, name: &str) -> PortResult<Document> {
        serde_json::from_str::<Value>(self.text(name)?)
            .and_then(serde_json::from_value)
            .map_err(|error| self.key.corrupt(format_args!("`{name}`: {error}")))
    }

    /// Until when a claim may be attempted of which nothing else can be read.
    fn deadline(&self, name: &str) -> Option<Timestamp> {
        let claim: Map<String, Value> = self.json(name).ok()?;
        serde_json::from_value(claim.get("deadline")?.clone()).ok()
    }

    /// The documents of every attribute with this beginning, by the rest of its name.
    fn prefixed(&self, prefix: &str) -> PortResult<impl Iterator<Item = (String, Value)> + use<>> {
        let names = self.item.keys().filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
        let documents = names.map(|(name, rest)| Ok((rest.to_owned(), self.json(name)?)));
        documents.collect::<PortResult<Vec<_>>>().map(Vec::into_iter)
    }
}

#[cfg(test)]
pub(super) mod tests;
