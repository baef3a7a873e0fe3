use serde_json::json;

use super::*;

/// Without any variable.
fn parse(text: &str) -> Result<Document, Mistake> {
    Document::parse(text, &|_| Err("is not set"))
}

#[track_caller]
fn value(text: &str) -> Value {
    parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}")).value
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let refused = bytes::text(bytes).and_then(parse).expect_err("it is no request");
    let Stopped::Unusable { message, hint } = refused.in_file("`shop.yaml`") else {
        panic!("bad usage is expected")
    };
    format!("{message}\n  hint: {hint}\n")
}

#[test]
fn yaml_and_json_are_the_same_document() {
    let yaml = "
apiVersion: glidepath/v1
service: on
strategy:
  canary:
    stages: [ {weight: 5, bake: 5m}, {weight: 12.50, bake: \"5\"} ]   # a comment
health: { minimumRequests: 200, checks: [ { limit: { above: 1e3 } } ] }
notify:
  - team-shop
";
    let json = "{\n\t\"apiVersion\": \"glidepath/v1\",\n\t\"service\": \"on\",
        \"strategy\": { \"canary\": { \"stages\": [
            { \"weight\": 5, \"bake\": \"5m\" }, { \"weight\": 12.50, \"bake\": \"5\" }
        ] } },
        \"health\": { \"minimumRequests\": 200, \"checks\": [ { \"limit\": { \"above\": 1e3 } } ] },
        \"notify\": [\"team-shop\"] }";
    let expected = json!({
        "apiVersion": "glidepath/v1",
        "service": "on",
        "strategy": { "canary": { "stages": [
            { "weight": 5, "bake": "5m" },
            { "weight": 12.5, "bake": "5" }
        ] } },
        "health": { "minimumRequests": 200, "checks": [ { "limit": { "above": 1000.0 } } ] },
        "notify": ["team-shop"]
    });
    assert_eq!(value(yaml), expected);
    assert_eq!(value(json), expected);
    assert_eq!(value(&yaml.replace('\n', "\r\n")), expected);
}

/// Each was another text after a way through a number, or infinite.
#[test]
fn a_text_stays_the_text_that_it_is() {
    for text in [
        "12e3456",
        "12e3",
        "012345678901",
        "1_000",
        "1.10",
        "0x1F",
        "0o17",
        "+5",
        "5.",
        ".5",
        ".inf",
        ".nan",
        "-0",
        "12345678901234567890123",
        "2026-11-28",
        "12:30:45",
        "yes",
        "NO",
        "True",
    ] {
        for place in ["service", "x"] {
            assert_eq!(value(&format!("{place}: {text}"))[place], json!(text), "{text}");
        }
        let details = format!("health: {{ hooks: [ {{ details: {{ commit: {text} }} }} ] }}");
        let details = &value(&details)["health"]["hooks"][0]["details"];
        assert_eq!(details["commit"], json!(text), "{text}");
    }
    assert_eq!(
        value("a: 'x: 1'\nb: !!str 5\nc: |\n  5\n"),
        json!({ "a": "x: 1", "b": "5", "c": "5\n" })
    );
}

#[test]
fn a_number_that_says_all_of_it_is_a_number() {
    let document = value("details: { a: 0, b: -17, c: 12.5, d: 1700000000000, e: ~, f: true }");
    let expected =
        json!({ "a": 0, "b": -17, "c": 12.5, "d": 1_700_000_000_000_u64, "e": null, "f": true });
    assert_eq!(document["details"], expected);
}

#[test]
fn aliases_and_merges_stand_for_what_they_name() {
    let text = "
a: &stage { weight: 5, bake: 5m }
b: *stage
c: { <<: *stage, bake: 1m }
";
    let stage = json!({ "weight": 5, "bake": "5m" });
    let expected = json!({ "a": stage, "b": stage, "c": { "weight": 5, "bake": "1m" } });
    assert_eq!(value(text), expected);
}

#[test]
fn what_cannot_be_read_is_told_in_one_sentence_with_its_place() {
    let mut told = String::new();
    let bomb = format!(
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}",
        (1..9)
            .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")))
            .collect::<String>()
    );
    let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
    let utf_16: Vec<u8> = "service: shop".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("only a comment", b"# nothing\n"),
        ("twice the same field", b"service: a\ntarget: {}\nservice: b\n"),
        ("twice the same field, JSON", b"{ \"service\": \"a\",\n  \"service\": \"b\" }"),
        ("two documents", b"service: a\n---\nservice: b\n"),
        ("a tab", b"target:\n\tcluster: x\n"),
        ("a tab after spaces", b"target:\n  slots:\n  \tblue: x\n"),
        ("an open quote", b"service: \"shop\ntarget: x\n"),
        ("an open bracket", b"routes: [ { rule: x }\ntarget: y\n"),
        ("a bracket too many", b"routes: ]\n"),
        ("a wrong indentation", b"target:\n    cluster: x\n  slots: y\n"),
        ("a list beside fields", b"a: 1\n- b\n"),
        ("no space after the colon", b"service:shop\ntarget: x\n"),
        ("a colon in a text", b"service: shop: new\n"),
        ("a reserved character", b"service: @shop\n"),
        ("a placeholder", b"service: {{ name }}\n"),
        ("a wrong escape", b"service: \"a\\qb\"\n"),
        ("an unknown alias", b"service: *shop\n"),
        ("a tag", b"service: !Ref Shop\n"),
        ("an alias bomb", bomb.as_bytes()),
        ("very deep", deep.as_bytes()),
        ("Latin-1", b"apiVersion: x\nservice: caf\xe9\n"),
        ("UTF-16", &utf_16),
    ];
    for (name, bytes) in cases {
        told.push_str(&format!("# {name}\n{}\n", refused(bytes)));
    }
    crate::fixtures::same_as_file("unreadable.txt", &told);
}

#[test]
fn a_finding_has_its_place_and_what_is_missing_that_of_its_object() {
    let text = "apiVersion: glidepath/v1\nservice: shop\ntarget:\n  cluster: 5\n  slots:\n    \
                blue: a\n    green: b\n  routes:\n  - listner: x\n";
    let document = parse(text).unwrap();
    let Err(Stopped::Findings(findings)) = document.request() else { panic!("it has mistakes") };
    let told: Vec<_> = findings.iter().map(|finding| finding.position()).collect();
    let expected = [
        "$.target.cluster (line 4, column 3)",
        "$.target.routes[0].listner (line 9, column 5)",
        "$.release (line 1, column 1)",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_given_beside_the_file_stands_in_its_place() {
    let mut document = parse("release: { taskDefinition: shop:1 }\n").unwrap();
    document.set(&Assignment::task_definition("shop:43")).unwrap();
    for given in ["service=12e3456", "health.minimumRequests=50", "$.health.badRequests.limit=2.50"]
    {
        document.set(&given.parse().unwrap()).unwrap();
    }
    let expected = json!({
        "release": { "taskDefinition": "shop:43" },
        "service": "12e3456",
        "health": { "minimumRequests": 50, "badRequests": { "limit": 2.5 } },
    });
    assert_eq!(document.value, expected);

    // What can only be text is text, and a part of the request may stand in place of another.
    let mut document = parse("strategy: { canary: { stages: [] } }\n").unwrap();
    for given in [
        "service=42",
        r#"strategy={"allAtOnce": {"bake": "5m"}}"#,
        r#"health.probes=[{"url": "https://example.com/"}]"#,
        r#"health.probes.0.contains={"status": "ok"}"#,
        "health.minimumRequests={nonsense",
    ] {
        document.set(&given.parse().unwrap()).unwrap();
    }
    let expected = json!({
        "service": "42",
        "strategy": { "allAtOnce": { "bake": "5m" } },
        "health": {
            "probes": [{ "url": "https://example.com/", "contains": "{\"status\": \"ok\"}" }],
            "minimumRequests": "{nonsense",
        },
    });
    assert_eq!(document.value, expected);

    let mut document = parse("stages: [ { bake: 5m }, { bake: 5m } ]\n").unwrap();
    document.set(&"stages[1].bake=10m".parse().unwrap()).unwrap();
    assert_eq!(document.value, json!({ "stages": [{ "bake": "5m" }, { "bake": "10m" }] }));
    assert!(document.set(&"stages.7.bake=1m".parse().unwrap()).is_err());
    assert!("service".parse::<Assignment>().is_err());
}

/// A variable stands for one text; only where the field is a number or a yes or no it may be that.
#[test]
fn a_variable_is_a_value_and_never_a_part_of_the_document() {
    let read = |text: &str, value: &str| {
        let lookup = |_: &str| Ok(value.to_owned());
        Document::parse(text, &lookup).unwrap().value
    };
    for evil in ["x\nevil: 1", "{evil: 1}", "[1]", "~", "null", "true", "5", "!!str 5", "*a", "'x"]
    {
        let document = read("service: ${X}\nreason: \"a ${X}\"\n", evil);
        let expected = json!({ "service": evil, "reason": format!("a {evil}") });
        assert_eq!(document, expected, "{evil}");
    }
    let stages = "strategy: { canary: { stages: [ { weight: \"${X}\" } ] } }\n";
    let plain = "health:\n  minimumRequests: ${X}\n";
    assert_eq!(read(stages, "5")["strategy"]["canary"]["stages"][0]["weight"], json!("5"));
    assert_eq!(read(plain, "50")["health"]["minimumRequests"], json!(50));
    assert_eq!(read(plain, "50 # x")["health"]["minimumRequests"], json!("50 # x"));
    assert_eq!(read("${X}: ${X}\n", "service"), json!({ "${X}": "service" }));
}

#[test]
fn every_variable_that_is_not_there_is_told_with_its_place_unless_something_stands_over_it() {
    let text = "service: ${SERVICE}\nrelease:\n  taskDefinition: ${FAMILY}:${REVISION}\n";
    let refused = |document: &Document| {
        let Err(Stopped::Findings(findings)) = document.asked() else { panic!("it has mistakes") };
        let told =
            findings.iter().map(|found| format!("{} at {}", found.message, found.position()));
        told.collect::<Vec<_>>()
    };
    let mut document = parse(text).unwrap();
    let expected = [
        "the variable `SERVICE` is not set at $.service (line 1, column 1)",
        "the variable `FAMILY` is not set at $.release.taskDefinition (line 3, column 3)",
        "the variable `REVISION` is not set at $.release.taskDefinition (line 3, column 3)",
    ];
    assert_eq!(refused(&document), expected);
    document.set(&Assignment::task_definition("shop:43")).unwrap();
    assert_eq!(refused(&document), expected[..1]);
    document.set(&"service=shop".parse().unwrap()).unwrap();
    assert!(refused(&document).iter().all(|told| !told.contains("variable")));
}
