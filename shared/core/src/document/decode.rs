//! Reads a JSON document leniently: every mistake is found at once, each with its path and what to
//! write instead.
//!
//! A type says how it is read in one place:
//!
//! ```text
//! node.object(|fields| {
//!     let weight = fields.required("weight");
//!     let bake = fields.defaulted("bake", defaults::bake);
//!     Some(StageRequest { weight: weight?, bake: bake? })
//! })
//! ```
//!
//! All fields are asked for before the first `?`, so that a mistake in one hides none in another;
//! whatever was not asked for is unknown.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::finding::Findings;
use super::words::{nearest, nearest_or_all, one_of, shortened};
use crate::time::Span;

/// Entries of a list; as many as the smallest linear steps make. Every pair of them is compared.
const LONGEST_LIST: usize = 1_000;

/// How a type is read. `None` means that at least one error was found.
pub(crate) trait Decode: Sized {
    fn decode(node: Node<'_>) -> Option<Self>;
}

/// One value of the document and where it is.
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: String,
    findings: &'a mut Findings,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, findings: &'a mut Findings) -> Self {
        Self { value, path: "$".to_owned(), findings }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Adds an error about this value.
    pub(crate) fn error<T>(self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.findings.error(self.path, message, hint);
        None
    }

    /// Adds an error about the type of this value.
    pub(crate) fn wrong_type<T>(self, expected: &str, hint: impl Into<String>) -> Option<T> {
        let message = format!("expected {expected}, found {}", kind(self.value));
        self.error(message, hint)
    }

    /// Adds an error about something else where a text belongs. A number is not taken for one: what
    /// it looked like in the file (`1.10`) is lost.
    fn wrong_text<T>(self, expected: &str) -> Option<T> {
        match self.value {
            Value::Bool(_) | Value::Number(_) => {
                let hint = format!("write it in quotes, such as \"{}\"", self.value);
                self.wrong_type(expected, hint)
            }
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.wrong_type(expected, "write a text")
            }
        }
    }

    /// Reads a text that is not empty.
    pub(crate) fn text(self) -> Option<String> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => Some(text.to_owned()),
            Some(_) => self.error("empty text", "write something, or leave the field out"),
            None => self.wrong_text("a text"),
        }
    }

    /// Reads a text that passes a check; `expected` is what it should look like.
    pub(crate) fn text_like(self, expected: &str, check: impl Fn(&str) -> bool) -> Option<String> {
        match self.value.as_str() {
            Some(text) if check(text) => Some(text.to_owned()),
            Some(text) => {
                let message = format!("`{}` is not {expected}", shortened(text));
                self.error(message, format!("write {expected}"))
            }
            None => self.wrong_text(expected),
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn flag(self) -> Option<bool> {
        match self.value.as_bool() {
            Some(flag) => Some(flag),
            None => self.wrong_type("true or false", "write true, or leave it out"),
        }
    }

    /// Reads a whole number that is not smaller than `least`.
    pub(crate) fn whole_number(self, least: u64) -> Option<u64> {
        let hint = format!("write a number of at least {least}");
        match self.value {
            Value::Number(number) => match number.as_u64().filter(|number| *number >= least) {
                Some(number) => Some(number),
                None => {
                    let message = format!("{number} is not a whole number of at least {least}");
                    self.error(message, hint)
                }
            },
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => self.wrong_type("a whole number", hint),
        }
    }

    /// Reads a value that also passes a check; what is wrong with it and what to write otherwise.
    pub(crate) fn checked<T: Decode>(
        self,
        check: impl FnOnce(&T) -> Result<(), (String, &'static str)>,
    ) -> Option<T> {
        let Self { value, path, findings } = self;
        let decoded = T::decode(Node { value, path: path.clone(), findings: &mut *findings })?;
        if let Err((message, hint)) = check(&decoded) {
            findings.error(path, message, hint);
            return None;
        }
        Some(decoded)
    }

    /// Reads a length of time that is not zero.
    pub(crate) fn span_above_zero(self) -> Option<Span> {
        self.checked(|span| {
            if *span == Span::ZERO {
                return Err(("no time at all".to_owned(), "write a length of time such as 60s"));
            }
            Ok(())
        })
    }

    /// Reads one of a few words.
    pub(crate) fn word<T: Copy>(self, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let Some(text) = self.value.as_str() else {
            return self.wrong_type("a word", format!("write {}", one_of(names())));
        };
        match words.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Some(*value),
            None => {
                let hint = format!("write {}", nearest_or_all(text, names()));
                self.error(format!("unknown value `{}`", shortened(text)), hint)
            }
        }
    }

    /// Reads a list of at least one entry.
    pub(crate) fn list<T: Decode>(self) -> Option<Vec<T>> {
        let Some(entries) = self.value.as_array() else {
            return self.wrong_type("a list", "write [ ... ], even around a single entry");
        };
        if entries.is_empty() {
            return self.error("an empty list", "name at least one");
        }
        if entries.len() > LONGEST_LIST {
            let message = format!("a list of {} entries", entries.len());
            return self.error(message, format!("name at most {LONGEST_LIST}"));
        }
        self.entries(entries)
    }

    /// Reads a list of at least one entry, none of them twice.
    pub(crate) fn set<T: Decode>(mut self) -> Option<Vec<T>> {
        let distinct = self.refuse_repetition();
        self.list().filter(|_| distinct)
    }

    /// Reads a list without repetition that may be empty.
    pub(crate) fn set_or_empty<T: Decode>(self) -> Option<Vec<T>> {
        if self.value.as_array().is_some_and(Vec::is_empty) {
            return Some(Vec::new());
        }
        self.set()
    }

    fn entries<T: Decode>(self, entries: &[Value]) -> Option<Vec<T>> {
        let Self { path, findings, .. } = self;
        // Not lazily: a mistake in one entry must not hide those in the next.
        let decoded: Vec<_> = entries
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let path = format!("{path}[{index}]");
                T::decode(Node { value, path, findings: &mut *findings })
            })
            .collect();
        decoded.into_iter().collect()
    }

    fn refuse_repetition(&mut self) -> bool {
        let entries = self.value.as_array().map_or(&[][..], Vec::as_slice);
        let entries = &entries[..entries.len().min(LONGEST_LIST)];
        let mut distinct = true;
        for (index, entry) in entries.iter().enumerate() {
            if let Some(earlier) = entries[..index].iter().position(|other| other == entry) {
                let message = format!("the same as {}[{earlier}]", self.path);
                self.error_at(&format!("[{index}]"), message, "name each only once");
                distinct = false;
            }
        }
        distinct
    }

    /// Adds an error about something inside of this value, such as `[2].weight`.
    pub(crate) fn error_at(
        &mut self,
        inside: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.error(format!("{}{inside}", self.path), message, hint);
    }

    pub(crate) fn object<T>(self, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Option<T> {
        let Some(object) = self.value.as_object() else {
            return self.wrong_type("an object", "write { ... } with its fields");
        };
        let before = self.findings.len();
        let mut fields = Fields {
            object,
            path: self.path,
            findings: self.findings,
            known: Vec::new(),
            missing: Vec::new(),
        };
        let decoded = read(&mut fields);
        fields.finish();
        decoded.filter(|_| fields.findings.len() == before)
    }

    /// Reads an object whose fields are names of the user's, at most so many.
    pub(crate) fn map<T: Decode>(
        self,
        most: usize,
        check: impl Fn(&str) -> Result<(), (String, &'static str)>,
    ) -> Option<BTreeMap<String, T>> {
        let Some(object) = self.value.as_object() else {
            return self.wrong_type("an object", "write { name: ... }");
        };
        if object.len() > most {
            let message = format!("{} entries", object.len());
            return self.error(message, format!("name at most {most}"));
        }
        let Self { path, findings, .. } = self;
        let entries: Vec<_> = object
            .iter()
            .map(|(name, value)| {
                let path = member(&path, name);
                if let Err((message, hint)) = check(name) {
                    findings.error(path, message, hint);
                    return None;
                }
                let value = T::decode(Node { value, path, findings: &mut *findings })?;
                Some((name.clone(), value))
            })
            .collect();
        entries.into_iter().collect()
    }

    /// Reads an object that has exactly one of a few fields, such as `{rule: ...}`.
    pub(crate) fn variant<T>(self, variants: &[(&'static str, Variant<T>)]) -> Option<T> {
        let names = || variants.iter().map(|(name, _)| *name);
        let example = format!("write {{ {}: ... }}", one_of(names()));
        let Self { value, path, findings } = self;
        let Some(object) = value.as_object() else {
            return Node { value, path, findings }.wrong_type("an object with one field", example);
        };
        let mut decoded = None;
        for (name, value) in object {
            let path = member(&path, name);
            match variants.iter().find(|(variant, _)| variant == name) {
                Some((_, decode)) => {
                    let node = Node { value, path, findings: &mut *findings };
                    decoded = decode(node);
                }
                None => unknown_field(&path, name, names(), findings),
            }
        }
        if object.is_empty() {
            return Node { value, path, findings }.error("an empty object", example);
        }
        if object.len() > 1 {
            let message = format!("{} fields where exactly one is allowed", object.len());
            return Node { value, path, findings }.error(message, example);
        }
        decoded
    }
}

pub(crate) type Variant<T> = fn(Node<'_>) -> Option<T>;

/// The fields of an object, as far as they were asked for.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    findings: &'a mut Findings,
    known: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl Fields<'_> {
    /// A field that must be there.
    pub(crate) fn required<T: Decode>(&mut self, name: &'static str) -> Option<T> {
        self.required_with(name, T::decode)
    }

    /// A field that must be there and is read in its own way.
    pub(crate) fn required_with<T>(
        &mut self,
        name: &'static str,
        decode: impl FnOnce(Node<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.node(name) {
            Some(node) => decode(node),
            None => {
                self.missing.push(name);
                None
            }
        }
    }

    /// A field that has a default.
    pub(crate) fn defaulted<T: Decode>(
        &mut self,
        name: &'static str,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        self.defaulted_with(name, T::decode, default)
    }

    /// A field that has a default and is read in its own way.
    pub(crate) fn defaulted_with<T>(
        &mut self,
        name: &'static str,
        decode: impl FnOnce(Node<'_>) -> Option<T>,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        match self.node(name) {
            Some(node) => decode(node),
            None => Some(default()),
        }
    }

    /// A field that may be absent.
    pub(crate) fn optional<T: Decode>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.optional_with(name, T::decode)
    }

    /// A field that may be absent and is read in its own way.
    pub(crate) fn optional_with<T>(
        &mut self,
        name: &'static str,
        decode: impl FnOnce(Node<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.node(name) {
            Some(node) => decode(node).map(Some),
            None => Some(None),
        }
    }

    /// Adds an error about a field, for what only several fields together show.
    pub(crate) fn error(
        &mut self,
        field: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.error(member(&self.path, field), message, hint);
    }

    fn node(&mut self, name: &'static str) -> Option<Node<'_>> {
        self.known.push(name);
        let value = self.object.get(name)?;
        Some(Node { value, path: member(&self.path, name), findings: &mut *self.findings })
    }

    /// Refuses what was not asked for and what was not there. A misspelt field is one mistake,
    /// not two.
    fn finish(&mut self) {
        let known = self.known.as_slice();
        let unknown = self.object.keys().filter(|name| !known.contains(&name.as_str()));
        for name in unknown {
            let path = member(&self.path, name);
            unknown_field(&path, name, known.iter().copied(), self.findings);
            let meant = nearest(name, known.iter().copied());
            self.missing.retain(|missing| Some(*missing) != meant);
        }
        for name in &self.missing {
            let path = member(&self.path, name);
            let hint = format!("add `{name}`{}", example_of(name));
            self.findings.error(path, format!("`{name}` is missing"), hint);
        }
    }
}

/// What a field that must be there looks like.
fn example_of(name: &str) -> &'static str {
    match name {
        "apiVersion" => ": glidepath/v1",
        "service" => ", your name for what is deployed",
        "target" => {
            ": { cluster: ..., slots: { blue: ..., green: ... }, routes: [{ rule: arn:... }] }"
        }
        "slots" => ": { blue: ..., green: ... }, the names of the two ECS services",
        "routes" => ": [{ rule: arn:... }], the listener rules with both target groups",
        "release" => ": { taskDefinition: family:revision }",
        "taskDefinition" => ": family:revision",
        "stages" => ": [{ weight: 5, bake: 5m }, { weight: 100, bake: 30m }]",
        "weight" => ", percent from 1 to 100",
        "bake" => ", such as 5m",
        _ => "",
    }
}

fn unknown_field<'n>(
    path: &str,
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    findings: &mut Findings,
) {
    let hint = match nearest(name, known.clone()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("the fields here are {}", one_of(known)),
    };
    findings.error(path, format!("unknown field `{}`", shortened(name)), hint);
}

/// The path of a field.
pub fn member(path: &str, name: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if !name.is_empty() && name.chars().all(plain) {
        format!("{path}.{name}")
    } else {
        format!("{path}[{}]", Value::from(name))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
