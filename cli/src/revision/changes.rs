//! What a version changes of the one that serves, for people and for programs. What a member says is shown only where
//! it is known to hold no secret: environments, commands, options of logs and labels may.

use std::fmt;

use glidepath_core::said::is_unseen;
use serde::Serialize;
use serde_json::Value;

use super::differences::{Difference, Step, differences, is_empty};

/// One place at which the version says something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// In which container; without one it is of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    /// Without one it is the container itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    change: How,
    /// What it said, where that may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum How {
    New,
    Gone,
    Another,
}

const CONTAINERS: &str = "containerDefinitions";

/// Members of a container whose values may be shown, by their names on the way.
const SHOWN_OF_CONTAINER: [&str; 32] = [
    "cpu",
    "dependsOn.condition",
    "disableNetworking",
    "essential",
    "healthCheck.interval",
    "healthCheck.retries",
    "healthCheck.startPeriod",
    "healthCheck.timeout",
    "image",
    "interactive",
    "logConfiguration.logDriver",
    "memory",
    "memoryReservation",
    "mountPoints.readOnly",
    "mountPoints.sourceVolume",
    "portMappings.appProtocol",
    "portMappings.hostPort",
    "portMappings.name",
    "privileged",
    "pseudoTerminal",
    "readonlyRootFilesystem",
    "resourceRequirements.value",
    "restartPolicy.enabled",
    "restartPolicy.restartAttemptPeriod",
    "startTimeout",
    "stopTimeout",
    "ulimits.hardLimit",
    "ulimits.softLimit",
    "user",
    "versionConsistency",
    "volumesFrom.readOnly",
    "workingDirectory",
];

/// The same of the task.
const SHOWN_OF_TASK: [&str; 13] = [
    "cpu",
    "enableFaultInjection",
    "ephemeralStorage.sizeInGiB",
    "executionRoleArn",
    "family",
    "ipcMode",
    "memory",
    "networkMode",
    "pidMode",
    "runtimePlatform.cpuArchitecture",
    "runtimePlatform.operatingSystemFamily",
    "taskRoleArn",
    "trustedExecutionConfiguration.isolationMode",
];

/// Every change, each once, in the order of the documents.
pub(super) fn changes(was: &Value, is: &Value) -> Vec<Change> {
    differences(was, is).iter().map(Change::of).collect()
}

impl Change {
    fn of(Difference { at, was, is }: &Difference<'_>) -> Self {
        let (container, rest) = match at.as_slice() {
            [Step::Field(list), Step::Entry(container), rest @ ..] if list == CONTAINERS => {
                (Some(plain(container)), rest)
            }
            all => (None, all),
        };
        let shown = |value: &Value| match (&container, rest) {
            (Some(_), []) => text(&value["image"]),
            (Some(_), rest) => text(value).filter(|_| is_shown(&SHOWN_OF_CONTAINER, rest)),
            (None, rest) => text(value).filter(|_| is_shown(&SHOWN_OF_TASK, rest)),
        };
        let change = match (is_empty(was), is_empty(is)) {
            (_, true) => How::Gone,
            (true, false) => How::New,
            (false, false) => How::Another,
        };
        let (was, is, field) = (shown(was), shown(is), field(rest));
        Self { container, field, change, was, is }
    }
}

fn is_shown(known: &[&str], rest: &[Step]) -> bool {
    let names = rest.iter().filter_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        Step::Entry(_) => None,
    });
    known.contains(&names.collect::<Vec<_>>().join(".").as_str())
}

/// The way to a place: `environment[MODE]` is enough for the value of a variable.
fn field(rest: &[Step]) -> Option<String> {
    let rest = match rest {
        [way @ .., Step::Entry(named), Step::Field(member)]
            if member == "value" || member == "valueFrom" =>
        {
            [way, &[Step::Entry(named.clone())]].concat()
        }
        rest => rest.to_vec(),
    };
    let mut field = String::new();
    for step in rest {
        match step {
            Step::Field(name) if field.is_empty() => field.push_str(&plain(&name)),
            Step::Field(name) => field.push_str(&format!(".{}", plain(&name))),
            Step::Entry(name) => field.push_str(&format!("[{}]", plain(&name))),
        }
    }
    (!field.is_empty()).then_some(field)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(plain(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// For a terminal: what somebody has registered is not what it does.
fn plain(text: &str) -> String {
    text.chars().map(|one| if is_unseen(one) { '\u{FFFD}' } else { one }).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { container, field, change, was, is } = self;
        match (container, field) {
            (Some(container), Some(field)) => write!(formatter, "container {container}: {field}")?,
            (Some(container), None) => write!(formatter, "container {container}")?,
            (None, Some(field)) => write!(formatter, "task: {field}")?,
            (None, None) => formatter.write_str("task")?,
        }
        let shown = |value: &Option<String>| {
            value.as_ref().map_or_else(String::new, |value| format!(" {value}"))
        };
        match (change, was, is) {
            (How::Another, Some(was), Some(is)) => write!(formatter, " {was} → {is}"),
            (How::Another, _, _) => formatter.write_str(" is another"),
            (How::New, _, is) => write!(formatter, "{} is new", shown(is)),
            (How::Gone, was, _) => write!(formatter, "{} is gone", shown(was)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        let answer: Value =
            serde_json::from_str(include_str!("../../tests/task-definitions/whole.json")).unwrap();
        answer["taskDefinition"].clone()
    }

    /// Pointers to everything in it that is no list and no object.
    fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    leaves(value, &format!("{at}/{name}"), found);
                }
            }
            Value::Array(entries) => {
                for (index, value) in entries.iter().enumerate() {
                    leaves(value, &format!("{at}/{index}"), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                found.push(at.to_owned());
            }
        }
    }

    fn other(value: &Value) -> Value {
        match value {
            Value::Bool(is) => json!(!is),
            Value::Number(number) => json!(number.as_i64().unwrap_or_default() / 2 + 77_777),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                json!("hunter2-hunter2")
            }
        }
    }

    /// Wherever one thing is another, one line says so; where that is what an entry is known by, one says what is gone
    /// and one what is new.
    #[test]
    fn whatever_is_another_is_one_line_that_names_it() {
        let was = whole();
        let mut all = Vec::new();
        leaves(&was, "", &mut all);
        assert!(all.len() > 100, "{}", all.len());
        for pointer in all {
            let mut is = was.clone();
            let leaf = is.pointer_mut(&pointer).unwrap();
            *leaf = other(leaf);
            let found = changes(&was, &is);
            let known_by_it = found.len() == 2
                && [How::Gone, How::New]
                    .iter()
                    .all(|how| found.iter().any(|one| one.change == *how));
            assert!(found.len() == 1 || known_by_it, "{pointer}: {found:?}");
            let names = pointer.split('/').skip(1).filter(|part| part.parse::<u32>().is_err());
            let names: Vec<_> = names.collect();
            let member = match names.as_slice() {
                ["containerDefinitions", "name"] => "container ",
                ["containerDefinitions", member, ..] | [member, ..] => member,
                [] => panic!("{pointer}"),
            };
            for line in &found {
                let line = line.to_string();
                assert!(line.contains(member), "{pointer}: {line}");
            }
        }
    }

    #[test]
    fn a_plan_is_read_container_by_container() {
        let was = json!({
            "family": "shop", "cpu": "256", "memory": "512", "taskRoleArn": "arn:aws:iam::1:role/shop",
            "containerDefinitions": [
                {
                    "name": "web", "image": "shop/web:1", "cpu": 128, "command": ["serve", "--token=hunter2"],
                    "environment": [{ "name": "MODE", "value": "hunter2" }, { "name": "OLD", "value": "hunter2" }],
                    "secrets": [{ "name": "KEY", "valueFrom": "arn:hunter2" }],
                    "portMappings": [{ "containerPort": 80, "hostPort": 80, "protocol": "tcp" }],
                    "healthCheck": { "command": ["CMD", "curl", "hunter2"], "interval": 30 },
                    "logConfiguration": { "logDriver": "splunk", "options": { "splunk-token": "hunter2" } },
                },
                { "name": "envoy", "image": "envoy:v1", "dockerLabels": { "hunter": "hunter2" } },
            ],
            "volumes": [{ "name": "data", "host": { "sourcePath": "/data" } }],
        });
        let mut is = was.clone();
        is["memory"] = json!("1024");
        is["volumes"] = json!([]);
        is["inventedTomorrow"] = json!({ "deep": "hunter3" });
        is["taskRoleArn"] = json!("arn:aws:iam::1:role/other");
        let web = &mut is["containerDefinitions"][0];
        web["image"] = json!("shop/web:2");
        web["cpu"] = json!(256);
        web["command"] = json!(["serve", "--token=hunter3"]);
        web["environment"] =
            json!([{ "name": "NEW", "value": "hunter3" }, { "name": "MODE", "value": "hunter3" }]);
        web["secrets"][0]["valueFrom"] = json!("arn:hunter3");
        web["portMappings"] = json!([{ "containerPort": 8080, "hostPort": 80, "protocol": "tcp" }]);
        web["healthCheck"]["command"][2] = json!("hunter3");
        web["healthCheck"]["interval"] = json!(10);
        web["logConfiguration"]["options"]["splunk-token"] = json!("hunter3");
        is["containerDefinitions"][1] = json!({ "name": "agent", "image": "agent\u{1b}[2J:v2" });
        let mut told: Vec<_> = changes(&was, &is).iter().map(Change::to_string).collect();
        told.sort();
        assert_eq!(
            told,
            [
                "container agent agent\u{FFFD}[2J:v2 is new",
                "container envoy envoy:v1 is gone",
                "container web: command is another",
                "container web: cpu 128 → 256",
                "container web: environment[MODE] is another",
                "container web: environment[NEW] is new",
                "container web: environment[OLD] is gone",
                "container web: healthCheck.command is another",
                "container web: healthCheck.interval 30 → 10",
                "container web: image shop/web:1 → shop/web:2",
                "container web: logConfiguration.options.splunk-token is another",
                "container web: portMappings[80/tcp] is gone",
                "container web: portMappings[8080/tcp] is new",
                "container web: secrets[KEY] is another",
                "task: inventedTomorrow is new",
                "task: memory 512 → 1024",
                "task: taskRoleArn arn:aws:iam::1:role/shop → arn:aws:iam::1:role/other",
                "task: volumes[data] is gone",
            ]
        );
        let printed = json!(changes(&was, &is)).to_string();
        assert!(!printed.contains("hunter2") && !printed.contains("hunter3"), "{printed}");
        assert_eq!(changes(&is, &is), []);
    }

    fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
        // Of values nothing else has a digit.
        prop::collection::btree_map("[A-C]{1,2}", "[0-9]{4,6}", 0..4)
            .prop_map(|variables| variables.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_variable_is_named_and_never_what_it_holds(was in variables(), is in variables(), member in 0..4_usize) {
            let (list, value) =
                [("environment", "value"), ("secrets", "valueFrom"), ("dockerLabels", ""), ("options", "")][member];
            let document = |variables: &[(String, String)]| {
                let entries: Value = if value.is_empty() {
                    let fields = variables.iter().map(|(name, held)| (name.clone(), json!(held)));
                    Value::Object(fields.collect())
                } else {
                    variables.iter().map(|(name, held)| json!({ "name": name, value: held })).collect()
                };
                let container = if list == "options" {
                    json!({ "name": "web", "logConfiguration": { "logDriver": "x", "options": entries } })
                } else {
                    json!({ "name": "web", "image": "x", list: entries })
                };
                json!({ "containerDefinitions": [container] })
            };
            let found = changes(&document(&was), &document(&is));
            prop_assert_eq!(found.is_empty(), was == is);
            for line in &found {
                let printed = format!("{line} {}", json!(line));
                prop_assert!(!printed.contains(|one: char| one.is_ascii_digit()), "{}", printed);
            }
            if !value.is_empty() {
                for (name, held) in &was {
                    let now = is.iter().find(|(other, _)| other == name);
                    let told = now.is_none_or(|(_, now)| now != held);
                    let field = format!("{list}[{name}]");
                    let lines = found.iter().filter(|line| line.field.as_deref() == Some(field.as_str()));
                    prop_assert_eq!(lines.count(), usize::from(told));
                }
            }
        }
    }
}
