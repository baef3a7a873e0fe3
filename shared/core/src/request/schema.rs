//! The JSON Schema of a request, for editors and for documentation. It is generated from the types
//! that [`super::decode`] fills; what it cannot say (weights that increase, the form of ARNs),
//! only `decode` checks.

use serde_json::{Value, json};

use super::{Request, WayBackRequest};

pub(super) const EXAMPLE: &str = include_str!("example.json");

pub(super) const WAY_BACK: &str = include_str!("way_back.json");

/// A complete request, to begin with.
pub fn example() -> &'static str {
    EXAMPLE
}

pub fn schema() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let release = generator.subschema_for::<Request>();
    let way_back = generator.subschema_for::<WayBackRequest>();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Glidepath request",
        "description": "A deployment, or the way back to a version that has served before.",
        // As `asked` decides, so that a mistake is told of what somebody writes: with `anyOf` an editor
        // takes a way back with one field too many for a deployment that lacks most.
        "if": {
            "type": "object",
            "required": ["release"],
            "properties": { "release": {
                "type": "object",
                "required": ["rollbackTo"],
                "properties": { "rollbackTo": {} },
            } },
        },
        "then": way_back,
        "else": release,
        "$defs": generator.take_definitions(true),
    });
    tidy(&mut schema);
    let examples: Vec<_> = [EXAMPLE, WAY_BACK].into_iter().flat_map(str::parse::<Value>).collect();
    schema["examples"] = json!(examples);
    schema
}

/// Descriptions lose the line breaks of the source, and optional fields the null that the decoder
/// does not take: a field that says nothing is left out. Widths of Rust's numbers are no formats,
/// and a pattern stands beside its type: validators that are strict (Ajv) refuse the whole schema
/// otherwise.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            let width = fields.get("format").and_then(Value::as_str);
            if width.is_some_and(|width| matches!(width, "uint64" | "uint32" | "double")) {
                fields.remove("format");
            }
            if fields.get("pattern").is_some_and(Value::is_string) {
                fields.insert("type".to_owned(), json!("string"));
            }
            let types = fields.get("type").and_then(Value::as_array);
            let written = types.and_then(|types| types.iter().find(|name| *name != "null"));
            if let Some(written) = written.cloned() {
                fields.insert("type".to_owned(), written);
            }
            let alternatives = fields.get("anyOf").and_then(Value::as_array);
            let written = alternatives.and_then(|alternatives| match alternatives.as_slice() {
                [Value::Object(written), null] if null["type"] == "null" => Some(written.clone()),
                [..] => None,
            });
            if let Some(written) = written {
                fields.remove("anyOf");
                fields.extend(written);
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(entries) => entries.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{decoded, document, same_as_file};
    use crate::request::{Asked, asked};

    /// The objects of a document with the schema that each has to follow.
    fn objects<'s>(root: &'s Value, schema: &'s Value, document: &Value, path: &str) {
        let schema = follow(root, schema);
        match document {
            Value::Object(fields) => {
                let properties = properties(root, schema);
                for (name, value) in fields {
                    let property = properties.iter().find(|(known, _)| known == name);
                    let Some((_, property)) = property else {
                        panic!("{path}.{name} is read, but is not in the schema");
                    };
                    objects(root, property, value, &format!("{path}.{name}"));
                }
            }
            Value::Array(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    objects(root, &schema["items"], entry, &format!("{path}[{index}]"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn follow<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
        let reference = schema["$ref"].as_str();
        let definition = reference.and_then(|reference| root.pointer(&reference[1..]));
        definition.unwrap_or(schema)
    }

    fn properties<'s>(root: &'s Value, schema: &'s Value) -> Vec<(String, &'s Value)> {
        let alternatives = schema["oneOf"].as_array().into_iter().flatten();
        std::iter::once(schema)
            .chain(alternatives.map(|alternative| follow(root, alternative)))
            .filter_map(|schema| schema["properties"].as_object())
            .flatten()
            .map(|(name, property)| (name.clone(), property))
            .collect()
    }

    #[test]
    fn the_published_schema_is_the_generated_one() {
        let schema = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
        same_as_file("../../docs/request.schema.json", &schema);
    }

    /// As Ajv's strict mode wants them, which refuses the whole schema otherwise.
    fn strict(schema: &Value, path: &str) {
        if let Value::Object(fields) = schema {
            let is_schema = !path.ends_with("/properties") && !path.ends_with("/$defs");
            if is_schema && fields.contains_key("pattern") {
                assert_eq!(fields.get("type"), Some(&json!("string")), "{path}");
            }
            if is_schema {
                assert!(!fields.get("type").is_some_and(Value::is_array), "{path}");
                assert_eq!(fields.get("format"), None, "{path}");
            }
            fields.iter().for_each(|(name, inner)| strict(inner, &format!("{path}/{name}")));
        }
        if let Value::Array(entries) = schema {
            entries.iter().for_each(|inner| strict(inner, path));
        }
    }

    #[test]
    fn a_strict_validator_takes_the_schema() {
        strict(&schema(), "");
    }

    #[test]
    fn the_examples_of_the_schema_are_requests() {
        decoded(&EXAMPLE.parse().expect("the example is JSON"));
        let way_back = asked(&WAY_BACK.parse().expect("the example is JSON"));
        assert!(matches!(way_back, Ok(Asked::WayBack(_))), "{way_back:?}");
    }

    #[test]
    fn every_field_that_is_read_is_in_the_schema() {
        let schema = schema();
        let request = &schema["$defs"]["Request"];
        objects(&schema, request, &document(), "$");
        for strategy in [
            json!({ "linear": { "step": 10, "bake": "5m", "finalBake": "5m", "approval": {} } }),
            json!({ "blueGreen": { "idleBake": "5m", "bake": "5m", "approval": {} } }),
            json!({ "allAtOnce": { "bake": "5m" } }),
        ] {
            let mut document = document();
            document["strategy"] = strategy;
            objects(&schema, request, &serde_json::to_value(decoded(&document)).unwrap(), "$");
        }
        objects(&schema, &schema["$defs"]["WayBackRequest"], &WAY_BACK.parse().unwrap(), "$");
    }
}
