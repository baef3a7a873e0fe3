use std::path::Path;

use serde_json::Value;

use super::*;

const SMALL: &str = "
title: small
services: { shop: { versions: { v1: {}, v2: {} } } }
request: { release: { version: v2 } }
";

fn findings(text: &str) -> String {
    Scenario::parse(text, "test.yaml").unwrap_err().to_string()
}

#[test]
fn every_scenario_of_the_repository_is_one() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        Scenario::load(&entry.unwrap().path()).unwrap();
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} scenarios");
}

#[test]
fn the_schema_in_the_repository_is_the_one_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.schema.json");
    let schema = format!("{:#}\n", Scenario::schema());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == schema, "run `UPDATE=1 cargo test -p glidepath-lab` to write it anew");
}

#[test]
fn every_field_of_the_schema_is_described_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut missing = Vec::new();
    collect_fields(&Scenario::schema(), &mut |name| {
        // Written as a field: alone in backticks, or in front of a colon or comma of an example.
        let described = ["`", " ", "{", ",", "/"]
            .iter()
            .any(|before| text.contains(&format!("{before}{name}")));
        if !described {
            missing.push(name.to_owned());
        }
    });
    assert!(missing.is_empty(), "not in docs/scenarios.md: {missing:?}");
}

fn collect_fields(schema: &Value, tell: &mut impl FnMut(&str)) {
    let Some(members) = schema.as_object() else { return };
    for (name, member) in members {
        if name == "properties" {
            member.as_object().unwrap().keys().for_each(|field| tell(field));
        }
        collect_fields(member, tell);
        for item in member.as_array().into_iter().flatten() {
            collect_fields(item, tell);
        }
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        properties.values().for_each(|property| collect_fields(property, tell));
    }
}

#[test]
fn a_small_scenario_has_everything_else_by_default() {
    let scenario = Scenario::parse(SMALL, "test.yaml").unwrap();
    let shop = scenario.services.get("shop").unwrap();
    assert_eq!((shop.tasks, shop.serving, shop.running.as_str()), (3, Slot::Blue, "v1"));
    assert_eq!(shop.routes, [Route::default()]);
    assert_eq!(scenario.sweep_every, Length::seconds(2));
}

#[test]
fn an_unknown_field_is_refused_with_its_path() {
    let text =
        format!("{SMALL}script: [{{ at: 1s, do: {{ setAlarm: {{ alarm: green, stat: OK }} }} }}]");
    let message = findings(&text);
    assert!(message.contains("script[0].do"), "{message}");
    assert!(message.contains("`stat`") && message.contains("`state`"), "{message}");
    assert!(message.contains("hint: docs/scenarios.md"), "{message}");
}

#[test]
fn every_mistake_is_found_at_once() {
    let message = findings(
        "
title: wrong
services: { shop: { versions: { v1: { errorRate: 30 } }, running: v0, traffic: 5000 } }
request: { release: { version: v9 } }
script:
  - do: { sweep: {} }
  - when: { weight: 10, stage: 2 }
    do: { approve: { deployment: nobody } }
expect: { services: { store: { serving: green } } }
",
    );
    for part in [
        "services.shop.running: `v0`",
        "services.shop.versions.v1.errorRate",
        "services.shop.traffic: at most 200",
        "release.version `v9`",
        "script[0]: give either `at` or `when`",
        "script[1].when: give exactly one",
        "starts no deployment `nobody`",
        "expect.services.store",
    ] {
        assert!(message.contains(part), "{part} is missing in:\n{message}");
    }
}

#[test]
fn lengths_need_a_unit() {
    for (text, expected) in [("500ms", "500ms"), ("12s", "12s"), ("2m", "120s")] {
        let length: Length = serde_json::from_value(text.into()).unwrap();
        assert_eq!(length.to_string(), expected);
    }
    for text in ["12", "s", "1h", "-1s", "1.5s"] {
        assert!(serde_json::from_value::<Length>(text.into()).is_err(), "{text}");
    }
}

#[test]
fn mistakes_in_faults_are_found() {
    let faults = |faults: &str| findings(&format!("{SMALL}\nfaults: {faults}"));
    let found = faults("[{ fail: { action: modify, nth: 0, error: throttle } }]");
    assert!(found.contains("faults[0].fail.action: an action of AWS"), "{found}");
    assert!(found.contains("faults[0].fail: `nth` and `times` count from 1"), "{found}");
    let found = faults("[{ kill: { function: stateMachine, afterCalls: 1 } }]");
    assert!(found.contains("faults[0].kill.function: the state machine is no function"), "{found}");
    let found = faults("[{ fail: { action: Scan, error: slow } }]");
    assert!(found.contains("faults[0].fail.error"), "{found}");
    let script =
        format!("{SMALL}\nscript: [{{ when: {{ fault: 1 }}, do: {{ endFaults: {{}} }} }}]");
    assert!(findings(&script).contains("script[0].when.fault: there is no such fault"));
    let script = script.replace("fault: 1", "step: 2");
    assert!(findings(&script).contains("script[0].when.step: there is no such step"));
}

#[test]
fn a_fault_is_asked_for_by_the_names_of_the_template() {
    let text = format!(
        "{SMALL}\nfaults: [{{ fail: {{ action: 'dynamodb:UpdateItem', by: gate, untilEnded: true, error: timeoutAfter }} }}]"
    );
    let scenario = Scenario::parse(&text, "test.yaml").unwrap();
    let request = scenario.faults[0].request("one");
    let fail = serde_json::json!({
        "service": "dynamodb", "action": "UpdateItem", "principal": "GateRole",
        "first": 1, "times": 0, "how": "timeoutAfter",
    });
    assert_eq!(request, serde_json::json!({ "name": "one", "fail": fail }));
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = std::fs::read_to_string(template).unwrap();
    for caller in Caller::ALL {
        let names = [Some(caller.role()), caller.function()];
        for name in names.into_iter().flatten() {
            assert!(template.contains(&format!("\n  {name}:\n")), "{name} is not in template.yaml");
        }
    }
}

#[test]
fn mistakes_in_what_people_and_accounts_do_are_found() {
    let text = "
title: wrong
services: { shop: { versions: { v1: {} }, resources: { Not-An-Id: {} } } }
script:
  - { at: 0s, do: { glidepath: { run: [] } } }
  - { at: 0s, do: { scale: { slot: blue, tasks: 500 } } }
  - { at: 0s, do: { scale: { service: store, slot: blue, tasks: 1 } } }
";
    let message = findings(text);
    for part in [
        "services.shop.resources.Not-An-Id: CloudFormation's logical ids",
        "script[0].do.glidepath.run: which command",
        "script[1].do.scale.tasks: at most 20",
        "script[2].do: `service` must name one of shop",
    ] {
        assert!(message.contains(part), "{part} is missing in:\n{message}");
    }
}
