//! From the request of a scenario to one that Glidepath takes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::map::Entry;
use serde_json::{Map, Value, json};

use super::service::{AlarmName, Slot};
use crate::stack::ServiceResources;

/// A request or a command speaks of something that the lab did not create.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is the placeholder `${{{name}}}`, which does not exist\nhint: there are {known}")]
pub struct UnknownPlaceholder {
    name: String,
    known: String,
}

/// Fills in what the scenario left to the lab. Everything that is there stays as it is, so that a
/// scenario can be wrong on purpose.
pub fn complete_request(
    request: &Map<String, Value>,
    services: &BTreeMap<String, ServiceResources>,
    channels: &[&str],
) -> Result<Value, UnknownPlaceholder> {
    let mut request = request.clone();
    let only = services.values().next().filter(|_| services.len() == 1);
    let named = request.get("service").and_then(Value::as_str).and_then(|name| services.get(name));
    request.entry("apiVersion").or_insert_with(|| json!("glidepath/v1"));
    let soon = soon(SystemTime::now());
    let mut placeholders: BTreeMap<String, &str> =
        services.values().flat_map(ServiceResources::placeholders).collect();
    placeholders.insert("clock.soon".to_owned(), &soon);
    let release = request.get("release");
    if release.is_some_and(|release| release.get("rollbackTo").is_some()) {
        // It says nothing else: all of that is what it was.
        if let Some(only) = only {
            request.entry("service").or_insert_with(|| json!(only.name));
        }
        let mut request = Value::Object(request);
        substitute(&mut request, &placeholders)?;
        return Ok(request);
    }
    if let Some(resources) = named.or(only) {
        request.entry("service").or_insert_with(|| json!(resources.name));
        request.entry("target").or_insert_with(|| target(resources));
        fill_release(&mut request, resources);
        fill_health(&mut request, resources);
    }
    request.entry("notify").or_insert_with(|| json!(channels));
    request.entry("retention").or_insert_with(|| json!("3s"));
    request.entry("settleWithin").or_insert_with(|| json!("60s"));
    fill(request.entry("capacity"), &[("scaleInDelay", json!("1s"))]);
    let mut request = Value::Object(request);
    substitute(&mut request, &placeholders)?;
    Ok(request)
}

/// The first full minute that is far enough away for a deployment to have begun by then, as a window writes it in UTC.
fn soon(now: SystemTime) -> String {
    const BEGINS_WITHIN: u64 = 25;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let minute = i64::try_from((now + BEGINS_WITHIN).div_ceil(60) * 60).unwrap_or_default();
    let minute = jiff::Timestamp::from_second(minute).unwrap_or_default();
    minute.strftime("%Y-%m-%dT%H:%M").to_string()
}

fn target(resources: &ServiceResources) -> Value {
    json!({
        "cluster": resources.cluster,
        "slots": {
            "blue": resources.ecs_service(Slot::Blue),
            "green": resources.ecs_service(Slot::Green),
        },
        "routes": resources.routes.iter().map(|route| route.reference()).collect::<Vec<_>>(),
    })
}

fn fill_release(request: &mut Map<String, Value>, resources: &ServiceResources) {
    let Some(release) = request.get_mut("release").and_then(Value::as_object_mut) else { return };
    let version = release.get("version").and_then(Value::as_str);
    let definition = version.and_then(|version| resources.task_definitions.get(version));
    if let Some(definition) = definition.cloned() {
        release.remove("version");
        release.insert("taskDefinition".to_owned(), Value::String(definition));
    }
}

fn fill_health(request: &mut Map<String, Value>, resources: &ServiceResources) {
    let alarms: Map<_, _> = AlarmName::ALL
        .into_iter()
        .map(|alarm| (alarm.name().to_owned(), json!([resources.alarm(alarm)])))
        .collect();
    let filled = [
        ("interval", json!("1s")),
        ("minimumRequests", json!(10)),
        ("alarms", Value::Object(alarms)),
    ];
    if let Some(health) = fill(request.entry("health"), &filled) {
        fill(health.entry("onInconclusive"), &[("extendUpTo", json!("20s"))]);
    }
}

/// Gives an object the members that it lacks. Anything but an object is a mistake, which Glidepath
/// shall see as it is.
fn fill<'a>(entry: Entry<'a>, members: &[(&str, Value)]) -> Option<&'a mut Map<String, Value>> {
    let object = entry.or_insert_with(|| json!({})).as_object_mut()?;
    for (name, value) in members {
        object.entry(*name).or_insert_with(|| value.clone());
    }
    Some(object)
}

/// Replaces `${...}` in every text of the document.
fn substitute(
    value: &mut Value,
    placeholders: &BTreeMap<String, &str>,
) -> Result<(), UnknownPlaceholder> {
    match value {
        Value::String(text) => *text = substituted(text, placeholders)?,
        Value::Array(items) => {
            for item in items {
                substitute(item, placeholders)?;
            }
        }
        Value::Object(members) => {
            for member in members.values_mut() {
                substitute(member, placeholders)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// A text with every `${...}` replaced.
pub(crate) fn substituted(
    text: &str,
    placeholders: &BTreeMap<String, &str>,
) -> Result<String, UnknownPlaceholder> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        if !name.contains('.') {
            // One of Glidepath's own, such as ${service} in a check.
            result.push_str(&format!("{before}${{{name}}}"));
            rest = after;
            continue;
        }
        let found = placeholders.get(name).ok_or_else(|| UnknownPlaceholder {
            name: name.to_owned(),
            known: placeholders.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })?;
        result.push_str(before);
        result.push_str(found);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests;
