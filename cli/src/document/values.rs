//! What the scalars of a file stand for.
//!
//! A text without quotes is a number only where it says all of it in the way of JSON: `12e3456` (the
//! beginning of a commit), `012345678901` (an account), `1_000` and `1.10` (a version) would all be
//! other texts after a way through a number. Where the field is a number by the schema, `1.10` and
//! `1e3` are numbers too. So a request means the same as YAML, as JSON, here and for the function.

use std::collections::BTreeMap;

use glidepath_core::document::{Findings, Place, member};
use serde_json::{Map, Number, Value};

use super::tree::{Node, Spot};
use super::variables::{Lookup, Unfilled, filled};

/// The value of a document with its variables, the place of everything in it by its path, and what could not
/// be filled in.
pub(super) fn of(
    spot: &Spot,
    schema: &Value,
    variables: Lookup<'_>,
) -> (Value, BTreeMap<String, Place>, Findings) {
    let (places, unfilled) = (BTreeMap::new(), Findings::default());
    let mut reading = Reading { root: schema, variables, places, unfilled };
    reading.places.insert("$".to_owned(), spot.place);
    let value = reading.value(spot, "$", &alternatives(schema, schema));
    (value, reading.places, reading.unfilled)
}

/// The value that something given on a command line has at a path: JSON where a text cannot stand, such
/// as `{"allAtOnce": {}}`.
pub(super) fn given(text: &str, path: &str, schema: &Value) -> Value {
    let mut found = alternatives(schema, schema);
    // Names of fields with other characters are those of the user's own, such as of metrics.
    let path = path.trim_start_matches('$').replace('[', ".").replace(']', "");
    for name in path.split('.').filter(|name| !name.is_empty()) {
        found = match name.parse::<usize>() {
            Ok(_) => entries(schema, &found),
            Err(_) => field(schema, &found, name.trim_matches('"')),
        };
    }
    let types: Vec<_> = found.iter().filter_map(|found| found["type"].as_str()).collect();
    if !types.is_empty() && types.iter().all(|kind| *kind == "string") {
        return Value::from(text);
    }
    let json = text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten();
    json.unwrap_or_else(|| plain(text, is_number(&found)))
}

struct Reading<'s> {
    root: &'s Value,
    variables: Lookup<'s>,
    places: BTreeMap<String, Place>,
    unfilled: Findings,
}

impl<'s> Reading<'s> {
    /// A text with its variables; `None` if there is none in it, or one that cannot be filled in.
    fn filled(&mut self, text: &str, path: &str) -> Option<String> {
        let mistakes = match filled(text, self.variables) {
            Ok(filled) => return filled,
            Err(mistakes) => mistakes,
        };
        for Unfilled { message, hint } in mistakes {
            self.unfilled.error(path, message, hint);
        }
        None
    }

    fn value(&mut self, spot: &Spot, path: &str, found: &[&'s Value]) -> Value {
        match &spot.node {
            Node::Text(text) => Value::from(self.filled(text, path).as_deref().unwrap_or(text)),
            Node::Plain(text) => match self.filled(text, path) {
                Some(filled) => of_variable(&filled, found),
                None => plain(text, is_number(found)),
            },
            Node::List(list) => {
                let inner = entries(self.root, found);
                let list = list.iter().enumerate().map(|(index, entry)| {
                    let path = format!("{path}[{index}]");
                    self.places.insert(path.clone(), entry.place);
                    self.value(entry, &path, &inner)
                });
                Value::Array(list.collect())
            }
            Node::Object(fields) => {
                let fields = fields.iter().map(|(name, place, spot)| {
                    let path = member(path, name);
                    self.places.insert(path.clone(), *place);
                    let inner = field(self.root, found, name);
                    (name.clone(), self.value(spot, &path, &inner))
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

fn plain(text: &str, is_number: bool) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let number = serde_json::from_str::<Number>(text).ok();
    let number = number.filter(|number| is_number || number.to_string() == text);
    number.map_or_else(|| Value::from(text), Value::Number)
}

/// What a variable holds is a text, but where the field is a number or a yes or no: never nothing, and no part
/// of a document.
fn of_variable(text: &str, found: &[&Value]) -> Value {
    let number = is_number(found).then(|| serde_json::from_str::<Number>(text).ok()).flatten();
    match (number, text) {
        (Some(number), _) => Value::Number(number),
        (None, "true") if is_boolean(found) => Value::Bool(true),
        (None, "false") if is_boolean(found) => Value::Bool(false),
        (None, text) => Value::from(text),
    }
}

/// A schema and everything that it refers to as one of several possibilities.
fn alternatives<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let referred = schema["$ref"].as_str().and_then(|path| root.pointer(path.trim_matches('#')));
    let several = ["oneOf", "anyOf"].into_iter().filter_map(|name| schema[name].as_array());
    let inner = referred.into_iter().chain(several.flatten());
    let cases = ["then", "else"].into_iter().filter_map(|name| schema.get(name));
    let inner = inner.chain(cases).flat_map(|schema| alternatives(root, schema));
    std::iter::once(schema).chain(inner).collect()
}

fn field<'s>(root: &'s Value, found: &[&'s Value], name: &str) -> Vec<&'s Value> {
    let inner = found.iter().filter_map(|schema| {
        let named = schema["properties"].get(name);
        named.or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()))
    });
    inner.flat_map(|schema| alternatives(root, schema)).collect()
}

fn entries<'s>(root: &'s Value, found: &[&'s Value]) -> Vec<&'s Value> {
    let inner = found.iter().filter_map(|schema| schema.get("items"));
    inner.flat_map(|schema| alternatives(root, schema)).collect()
}

fn is_number(found: &[&Value]) -> bool {
    found.iter().any(|schema| matches!(schema["type"].as_str(), Some("number" | "integer")))
}

fn is_boolean(found: &[&Value]) -> bool {
    found.iter().any(|schema| schema["type"].as_str() == Some("boolean"))
}
