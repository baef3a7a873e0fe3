//! Where two documents of task definitions say something else. ECS writes empty lists where nobody has written
//! anything, and the entries of some lists in an order of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One step from a value to what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Field(String),
    /// By what tells it from the others of its list.
    Entry(String),
}

/// One place at which the two are not the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference<'a> {
    pub(super) at: Vec<Step>,
    /// `null`: there is nothing.
    pub(super) was: &'a Value,
    pub(super) is: &'a Value,
}

/// Every place, once.
pub(super) fn differences<'a>(was: &'a Value, is: &'a Value) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), was, is, &mut found);
    found
}

/// What ECS does not tell from nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn compare<'a>(at: &mut Vec<Step>, was: &'a Value, is: &'a Value, found: &mut Vec<Difference<'a>>) {
    if was == is || (is_empty(was) && is_empty(is)) {
        return;
    }
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => fields(at, was, is, found),
        // Each entry of a list that was not there before is told by itself.
        (Value::Array(_), Value::Array(_) | Value::Null) | (Value::Null, Value::Array(_)) => {
            entries(at, was, is, found);
        }
        (_, _) => found.push(Difference { at: at.clone(), was, is }),
    }
}

fn below<'a>(
    at: &mut Vec<Step>,
    step: Step,
    was: &'a Value,
    is: &'a Value,
    found: &mut Vec<Difference<'a>>,
) {
    at.push(step);
    compare(at, was, is, found);
    at.pop();
}

fn fields<'a>(
    at: &mut Vec<Step>,
    was: &'a Map<String, Value>,
    is: &'a Map<String, Value>,
    found: &mut Vec<Difference<'a>>,
) {
    let new = is.keys().filter(|name| !was.contains_key(*name));
    for name in was.keys().chain(new) {
        let [was, is] = [was, is].map(|fields| fields.get(name).unwrap_or(&Value::Null));
        below(at, Step::Field(name.clone()), was, is, found);
    }
}

fn entries<'a>(at: &mut Vec<Step>, was: &'a Value, is: &'a Value, found: &mut Vec<Difference<'a>>) {
    let [before, after] = [was, is].map(|list| list.as_array().map_or(&[][..], Vec::as_slice));
    let list = match at.last() {
        Some(Step::Field(name)) => name.as_str(),
        Some(Step::Entry(_)) | None => "",
    };
    if let (Some(before), Some(after)) = (by_identity(list, before), by_identity(list, after)) {
        for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
            let [was, is] =
                [&before, &after].map(|named| named.get(name).copied().unwrap_or(&Value::Null));
            below(at, Step::Entry(name.clone()), was, is, found);
        }
        return;
    }
    if !before.iter().chain(after).all(Value::is_object) {
        // The words of a command have an order.
        let same = |(was, is): (&Value, &Value)| differences(was, is).is_empty();
        if before.len() != after.len() || !before.iter().zip(after).all(same) {
            found.push(Difference { at: at.clone(), was, is });
        }
        return;
    }
    // Nothing tells them apart but what they say: what is in both is the same, the rest is held against each other.
    let mut new: Vec<&Value> = after.iter().collect();
    let mut gone = Vec::new();
    for (index, entry) in before.iter().enumerate() {
        match new.iter().position(|other| differences(entry, other).is_empty()) {
            Some(position) => drop(new.remove(position)),
            None => gone.push((index, entry)),
        }
    }
    for position in 0..gone.len().max(new.len()) {
        let was = gone.get(position).copied();
        let (index, was) = was.unwrap_or((before.len() + position, &Value::Null));
        let is = new.get(position).copied().unwrap_or(&Value::Null);
        below(at, Step::Entry(index.to_string()), was, is, found);
    }
}

/// The entries of a list by what tells them apart, if that is something else for each.
fn by_identity<'a>(list: &str, entries: &'a [Value]) -> Option<BTreeMap<String, &'a Value>> {
    let named = |entry: &'a Value| Some((identity(list, entry)?, entry));
    let found: BTreeMap<_, _> = entries.iter().map(named).collect::<Option<_>>()?;
    (found.len() == entries.len()).then_some(found)
}

/// What tells an entry from the others of its list: never its value.
fn identity(list: &str, entry: &Value) -> Option<String> {
    let text = |member: &str| entry.get(member)?.as_str().map(str::to_owned);
    match list {
        "portMappings" => {
            let port = entry.get("containerPort").filter(|port| port.is_number());
            let port = port.map(Value::to_string).or_else(|| text("containerPortRange"))?;
            let protocol = text("protocol").unwrap_or_else(|| "tcp".to_owned());
            Some(format!("{port}/{protocol}"))
        }
        "mountPoints" | "tmpfs" => text("containerPath"),
        "volumesFrom" => text("sourceContainer"),
        "dependsOn" => text("containerName"),
        "extraHosts" => text("hostname"),
        "environmentFiles" => text("value"),
        "resourceRequirements" => text("type"),
        "systemControls" => text("namespace"),
        "devices" => text("hostPath"),
        "placementConstraints" => text("expression"),
        "inferenceAccelerators" => text("deviceName"),
        // Sets, whose entries are all that they say.
        "requiresCompatibilities" | "add" | "drop" => entry.as_str().map(str::to_owned),
        _ => text("name").or_else(|| text("key")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (0..9_u8).prop_map(|number| json!(number)),
            "[a-c]{0,2}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            let name = prop_oneof![
                Just("name"),
                Just("key"),
                Just("portMappings"),
                Just("containerPort"),
                Just("drop"),
                Just("x"),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map(name, inner, 0..4).prop_map(|fields| {
                    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                    Value::Object(fields.collect())
                }),
            ]
        })
    }

    /// What is left if empty things are nothing, in lists as well.
    fn filled(value: &Value) -> Value {
        let left = match value {
            Value::Array(entries) => {
                entries.iter().map(filled).filter(|entry| !entry.is_null()).collect()
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), filled(value)));
                Value::Object(fields.filter(|(_, value)| !value.is_null()).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        };
        if is_empty(&left) { Value::Null } else { left }
    }

    proptest! {
        /// Nothing is told of what is the same, whichever way it is looked at, and no place is told twice.
        #[test]
        fn both_ways_tell_the_same_places(was in any_json(), is in any_json()) {
            prop_assert_eq!(differences(&was, &was), vec![]);
            let there = differences(&was, &is);
            let back = differences(&is, &was);
            prop_assert_eq!(there.is_empty(), back.is_empty());
            for (index, one) in there.iter().enumerate() {
                prop_assert!(there.iter().skip(index + 1).all(|other| other.at != one.at), "{:?}", one.at);
                prop_assert!(one.was != one.is);
            }
        }

        /// What differs as text, and not only in what is empty or in the order of a list, is told.
        #[test]
        fn nothing_is_left_out(was in any_json(), is in any_json()) {
            fn sorted(value: &Value) -> Value {
                match value {
                    Value::Array(entries) => {
                        let mut entries: Vec<_> = entries.iter().map(sorted).collect();
                        entries.sort_by_key(Value::to_string);
                        Value::Array(entries)
                    }
                    Value::Object(fields) => {
                        fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                        value.clone()
                    }
                }
            }
            if sorted(&filled(&was)) != sorted(&filled(&is)) {
                prop_assert!(!differences(&was, &is).is_empty());
            }
        }
    }

    #[test]
    fn the_order_of_a_set_is_nothing_and_that_of_a_command_is() {
        let was = json!({
            "command": ["a", "b"], "requiresCompatibilities": ["EC2", "FARGATE"],
            "mountPoints": [{ "containerPath": "/a" }, { "containerPath": "/b" }],
            "unknown": [{ "x": 1 }, { "x": 2 }],
        });
        let is = json!({
            "command": ["a", "b"], "requiresCompatibilities": ["FARGATE", "EC2"],
            "mountPoints": [{ "containerPath": "/b" }, { "containerPath": "/a" }],
            "unknown": [{ "x": 2 }, { "x": 1 }], "volumes": [],
        });
        assert_eq!(differences(&was, &is), []);
        let mut other = was.clone();
        other["command"] = json!(["b", "a"]);
        let at = vec![Step::Field("command".to_owned())];
        assert_eq!(differences(&was, &other).first().map(|found| &found.at), Some(&at));
    }
}
