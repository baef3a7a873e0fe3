//! The reference of a request as Markdown, made from its schema: a table for each object.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::schema::schema;
use crate::fixtures::same_as_file;

const INTRODUCTION: &str = "\
# The request

A deployment begins with one JSON document, the input of the state machine's execution; `glidepath`
also takes it as YAML with the same fields. Everything but the required fields has a default. A
request with mistakes is refused before anything is written, with all of them at once:
`glidepath plan FILE --offline` shows those that can be seen without looking at AWS, and what is
left is a timetable.

This page is generated from the types in `shared/core/src/request` and `shared/core/src/strategy`
(`UPDATE=1 cargo test -p glidepath-core`); editors can use [the schema](request.schema.json).
";

const WAY_BACK: &str = "\
## The way back as a request

After a success `glidepath rollback SERVICE --to previous` brings back what served before. A pipeline
without the command line starts an execution with this instead (the ARN is the stack's output
`StateMachineArn`, the name is one that was not used before):

    aws stepfunctions start-execution --state-machine-arn ARN --name shop-back-1 --input file://way-back.json

That returns at once, with the execution's ARN. What became of it, `aws stepfunctions describe-execution
--execution-arn ARN --query '[status,error,cause]'` says: SUCCEEDED once the version serves and, where
`rollback.validate` of the plan that is left asks for something, that is answered, up to its `within` later;
FAILED with a name and a cause if it was refused (`InvalidRequest`: no request has met it) or rolled back. Run
again under another name it is refused, because somebody has gone back already; with the name of the bad
deployment in place of the service's it can mean nothing else. Starting needs the stack's `DeployerPolicy`,
watching besides `states:DescribeExecution`, which is in the `ViewerPolicy`. With the command line, `glidepath start
way-back.json --name NAME` does the same and sees under the same name that it is done:
";

/// Definitions in the order in which they are first named.
struct Reference<'s> {
    schema: &'s Value,
    waiting: std::collections::VecDeque<&'s str>,
    seen: Vec<&'s str>,
    text: String,
}

impl<'s> Reference<'s> {
    fn of(schema: &'s Value) -> String {
        let mut reference = Reference {
            schema,
            waiting: std::collections::VecDeque::new(),
            seen: vec![],
            text: INTRODUCTION.to_owned(),
        };
        reference.line(&format!("\n```json\n{}```", super::schema::EXAMPLE));
        reference.all_of("Request");
        reference.line(&format!("\n{WAY_BACK}\n```json\n{}```", super::schema::WAY_BACK));
        reference.all_of("WayBackRequest");
        reference.text
    }

    /// A definition and everything that it refers to.
    fn all_of(&mut self, name: &'s str) {
        self.waiting.push_back(name);
        while let Some(name) = self.waiting.pop_front() {
            self.section(name, &self.schema["$defs"][name]);
        }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a text takes everything");
    }

    fn section(&mut self, name: &str, schema: &'s Value) {
        self.line(&format!("\n## {name}\n\n{}", text(schema, "description")));
        if let Some(properties) = schema["properties"].as_object() {
            self.fields(schema, properties);
        }
        let alternatives = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
        if alternatives.is_empty() {
            return;
        }
        self.line("\n| one of | meaning |\n|---|---|");
        for alternative in alternatives {
            let meaning = text(alternative, "description");
            let written = match alternative["properties"].as_object() {
                Some(fields) => {
                    let written = fields
                        .iter()
                        .map(|(name, schema)| format!("`{name}`: {}", self.type_of(schema)));
                    written.collect::<Vec<_>>().join(", ")
                }
                None => format!("`{}`", text(alternative, "const")),
            };
            self.line(&format!("| {written} | {meaning} |"));
        }
    }

    fn fields(&mut self, schema: &'s Value, properties: &'s Map<String, Value>) {
        self.line("\n| field | type | default | meaning |\n|---|---|---|---|");
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for (name, property) in properties {
            let default = match property.get("default") {
                Some(default) if default.is_object() && self.has_fields(property) => {
                    "see there".to_owned()
                }
                Some(default) => format!("`{}`", default.to_string().trim_matches('"')),
                None if required.iter().any(|required| required == name) => "required".to_owned(),
                None => "none".to_owned(),
            };
            let kind = self.type_of(property);
            let meaning = text(property, "description");
            self.line(&format!("| `{name}` | {kind} | {default} | {meaning} |"));
        }
    }

    /// Whether the defaults are in a table of their own.
    fn has_fields(&self, schema: &Value) -> bool {
        let definition = schema["$ref"].as_str().and_then(|path| self.schema.pointer(&path[1..]));
        definition.is_some_and(|definition| definition.get("properties").is_some())
    }

    fn type_of(&mut self, schema: &'s Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let definition = &self.schema["$defs"][name];
            // A name of something is a text; only what has a form of its own has a section.
            if definition["type"] == "string" && definition.get("pattern").is_none() {
                return "text".to_owned();
            }
            if !self.seen.contains(&name) {
                self.seen.push(name);
                self.waiting.push_back(name);
            }
            return format!("[{name}](#{})", name.to_lowercase());
        }
        // What may be absent is also null in the schema.
        let alternatives = schema["anyOf"].as_array().map_or(&[][..], Vec::as_slice);
        let present = alternatives.iter().filter(|found| found["type"] != "null");
        let present: Vec<_> = present.map(|found| self.type_of(found)).collect();
        if !present.is_empty() {
            return present.join(" or ");
        }
        let kinds = schema["type"].as_array().map_or(&[][..], Vec::as_slice);
        let kind = kinds.iter().find(|kind| *kind != "null").unwrap_or(&schema["type"]);
        match kind.as_str() {
            Some("object") => {
                let values = &schema["additionalProperties"];
                if values.is_boolean() {
                    return "anything by name".to_owned();
                }
                format!("{} by name", self.type_of(values))
            }
            Some("array") => format!("list of {}", self.type_of(&schema["items"])),
            Some("integer") => "whole number".to_owned(),
            Some("string") => "text".to_owned(),
            Some(other) => other.to_owned(),
            None => panic!("a field without a type: {schema}"),
        }
    }
}

fn text<'s>(schema: &'s Value, field: &str) -> &'s str {
    let text = schema[field].as_str();
    text.unwrap_or_else(|| panic!("no {field}: {schema}"))
}

#[test]
fn the_published_reference_is_the_generated_one() {
    same_as_file("../../docs/request.md", &Reference::of(&schema()));
}
