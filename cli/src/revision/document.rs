//! The document of a task definition that differs from another one in images, and in nothing else.

use std::collections::BTreeMap;

use glidepath_aws::task_definitions::Described;
use glidepath_core::ids::TaskDefinition;
use glidepath_core::world::{ContainerImage, RegisteredVersion};
use serde_json::Value;

use super::differences::{Difference, Step, differences, is_empty};

/// What ECS writes into its answer and takes from nobody (API reference, `TaskDefinition` against the request of
/// `RegisterTaskDefinition`).
const ANSWERED: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// With which the keys of AWS's own tags begin, as CloudFormation's do: nobody may set them.
const RESERVED: &str = "aws:";

/// What would have to be registered for this one, tags and all.
pub(super) fn registrable(described: &Described) -> Value {
    let mut fields = described.document.as_object().cloned().unwrap_or_default();
    fields.retain(|name, _| !ANSWERED.contains(&name.as_str()));
    let own = |tag: &&Value| !tag["key"].as_str().is_some_and(|key| key.starts_with(RESERVED));
    let tags: Vec<_> = described.tags.iter().filter(own).cloned().collect();
    if !tags.is_empty() {
        fields.insert("tags".to_owned(), Value::Array(tags));
    }
    Value::Object(fields)
}

/// The same with these images, by their containers' names.
pub(super) fn with_images(described: &Described, images: &BTreeMap<String, String>) -> Value {
    let mut document = registrable(described);
    let containers = document.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let image = container["name"].as_str().and_then(|name| images.get(name)).cloned();
        if let (Value::Object(fields), Some(image)) = (container, image) {
            fields.insert("image".to_owned(), Value::String(image));
        }
    }
    document
}

/// Where the document has a number that would not be written as it was read: integers are, and ECS has no other
/// ones so far.
pub(super) fn inexact(document: &Value) -> Option<String> {
    fn find(at: String, value: &Value) -> Option<String> {
        match value {
            Value::Number(number) => number.is_f64().then_some(at),
            Value::Object(fields) => {
                fields.iter().find_map(|(name, value)| find(format!("{at}.{name}"), value))
            }
            Value::Array(entries) => {
                let mut entries = entries.iter().enumerate();
                entries.find_map(|(index, value)| find(format!("{at}[{index}]"), value))
            }
            Value::Null | Value::Bool(_) | Value::String(_) => None,
        }
    }
    find("$".to_owned(), document)
}

/// What a plan asks of a task definition.
pub(super) fn version(document: &Value, arn: TaskDefinition) -> RegisteredVersion {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let containers = document["containerDefinitions"].as_array().into_iter().flatten();
    let containers = containers.filter_map(|container| {
        Some(ContainerImage {
            container: text(&container["name"])?,
            image: text(&container["image"])?,
            optional: container["essential"] == false,
        })
    });
    RegisteredVersion {
        arn,
        active: true,
        task_role: text(&document["taskRoleArn"]),
        execution_role: text(&document["executionRoleArn"]),
        containers: containers.collect(),
    }
}

/// Where what was registered is not what was wanted, without what either says: it may be a secret.
pub(super) fn strayed(wanted: &Value, found: &Value) -> Vec<String> {
    let differ = differences(wanted, found).into_iter().filter(|differ| !is_default(differ));
    let told = differ.map(|Difference { at, was, is }| {
        let said = match (is_empty(was), is_empty(is)) {
            (_, true) => "lost",
            (true, false) => "new",
            (false, false) => "another",
        };
        let at = at.iter().fold("$".to_owned(), |at, step| match step {
            Step::Field(name) => format!("{at}.{name}"),
            Step::Entry(name) => format!("{at}[{name}]"),
        });
        format!("{at} is {said}")
    });
    told.collect()
}

/// What ECS may write where nobody has written anything.
fn is_default(Difference { at, was, is }: &Difference<'_>) -> bool {
    let consistency = at.last() == Some(&Step::Field("versionConsistency".to_owned()));
    is_empty(was) && (**is == Value::Bool(false) || (consistency && **is == "enabled"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// With every member that botocore's model of 20 November 2026 has, and three that nobody has invented yet.
    fn whole() -> Described {
        let answer: Value =
            serde_json::from_str(include_str!("../../tests/task-definitions/whole.json")).unwrap();
        let tags = answer["tags"].as_array().unwrap().clone();
        Described { document: answer["taskDefinition"].clone(), tags }
    }

    fn image(container: &str, image: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(container.to_owned(), image.to_owned())])
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_another_but_the_image() {
        let described = whole();
        let successor = with_images(&described, &image("web", "repository/web@sha256:new"));
        let mut expected = described.document.clone();
        let fields = expected.as_object_mut().unwrap();
        for answered in ANSWERED {
            assert!(fields.contains_key(answered), "the example lacks `{answered}`");
        }
        fields.retain(|name, _| !ANSWERED.contains(&name.as_str()));
        assert_eq!(fields["containerDefinitions"][0]["name"], "web");
        fields["containerDefinitions"][0]["image"] = json!("repository/web@sha256:new");
        // AWS's own tag is not one that anybody may set.
        fields.insert("tags".to_owned(), json!([{ "key": "team", "value": "payments" }]));
        assert_eq!(successor, expected);
        // In its order, too: what people see in a diff is what they have changed.
        assert_eq!(successor.to_string(), expected.to_string());
        for invented in [
            &successor["trustedExecutionConfiguration"]["attestationPolicy"],
            &successor["inventedTomorrow"]["deep"][0]["number"],
            &successor["containerDefinitions"][0]["inventedToo"],
        ] {
            assert!(!invented.is_null(), "{successor}");
        }
        assert_eq!(inexact(&successor), None);
        assert_eq!(
            successor["inventedTomorrow"]["deep"][0]["number"],
            json!(9_007_199_254_740_993_i64)
        );
    }

    #[test]
    fn the_example_has_every_member_of_the_request() {
        let successor = registrable(&whole());
        for member in [
            "containerDefinitions",
            "cpu",
            "enableFaultInjection",
            "ephemeralStorage",
            "executionRoleArn",
            "family",
            "inferenceAccelerators",
            "ipcMode",
            "memory",
            "networkMode",
            "pidMode",
            "placementConstraints",
            "proxyConfiguration",
            "requiresCompatibilities",
            "runtimePlatform",
            "tags",
            "taskRoleArn",
            "trustedExecutionConfiguration",
            "volumes",
        ] {
            assert!(!is_empty(&successor[member]), "{member}");
        }
    }

    #[test]
    fn a_number_that_cannot_be_written_as_it_was_is_found() {
        let document: Value =
            serde_json::from_str(r#"{"a": [1, {"b": 0.1}], "c": 18446744073709551615}"#).unwrap();
        assert_eq!(inexact(&document).as_deref(), Some("$.a[1].b"));
        let document: Value = serde_json::from_str(r#"{"c": 18446744073709551616}"#).unwrap();
        assert_eq!(inexact(&document).as_deref(), Some("$.c"));
    }

    #[test]
    fn what_ecs_adds_without_meaning_is_no_difference() {
        let wanted = json!({
            "containerDefinitions": [{
                "name": "web", "command": ["a", "b"], "healthCheck": { "command": ["x"] },
                "environment": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                "portMappings": [{ "containerPort": 1 }, { "containerPort": 2 }],
            }],
        });
        let mut found = wanted.clone();
        found["volumes"] = json!([]);
        found["proxyConfiguration"] = Value::Null;
        let container = &mut found["containerDefinitions"][0];
        container["mountPoints"] = json!([]);
        container["linuxParameters"] = json!({ "capabilities": {} });
        container["environment"] =
            json!([{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }]);
        container["portMappings"] = json!([{ "containerPort": 2 }, { "containerPort": 1 }]);
        assert_eq!(strayed(&wanted, &found), [""; 0]);
        assert_eq!(strayed(&found, &wanted), [""; 0]);
    }

    #[test]
    fn every_member_that_is_lost_new_or_another_is_found_by_its_place() {
        let wanted = registrable(&whole());
        for name in wanted.as_object().unwrap().keys() {
            let mut found = wanted.clone();
            found.as_object_mut().unwrap().remove(name);
            let lost = strayed(&wanted, &found);
            assert!(lost.iter().all(|lost| lost.starts_with(&format!("$.{name}"))), "{lost:?}");
            assert!(!lost.is_empty(), "{name}");
            assert!(!strayed(&found, &wanted).is_empty(), "{name}");
        }
        let changed = |pointer: &str, value: Value| {
            let mut found = wanted.clone();
            *found.pointer_mut(pointer).unwrap() = value;
            strayed(&wanted, &found)
        };
        let secret = changed("/containerDefinitions/0/environment/0/value", json!("secret"));
        assert_eq!(secret, ["$.containerDefinitions[web].environment[MODE].value is another"]);
        let command = changed("/containerDefinitions/0/command", json!(["--port", "serve"]));
        assert_eq!(command, ["$.containerDefinitions[web].command is another"]);
        let image = changed("/containerDefinitions/1/image", json!("other"));
        assert_eq!(image, ["$.containerDefinitions[envoy].image is another"]);
        let port = changed("/containerDefinitions/0/portMappings/0/containerPort", json!(9));
        assert_eq!(port.len(), 2, "{port:?}");
        let isolation = changed("/trustedExecutionConfiguration", Value::Null);
        assert_eq!(isolation, ["$.trustedExecutionConfiguration is lost"]);
    }

    #[test]
    fn a_plan_sees_what_it_would_see_of_one_that_is_registered() {
        let arn =
            TaskDefinition::new("arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:new");
        let version = version(&registrable(&whole()), arn);
        let named: Vec<_> = version.containers.iter().map(|one| one.container.as_str()).collect();
        assert_eq!(named, ["web", "envoy"]);
        assert!(version.containers[1].optional && !version.containers[0].optional);
        assert!(version.task_role.is_some() && version.execution_role.is_some());
    }
}
