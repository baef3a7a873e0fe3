use super::*;
use crate::scenario::Scenario;

fn services() -> BTreeMap<String, ServiceResources> {
    let text = "{ title: t, services: { shop: { versions: { v1: {}, v2: {} } } } }";
    let scenario = Scenario::parse(text, "test.yaml").unwrap();
    let outputs = [
        "Address",
        "Route1",
        "BlueGroup1",
        "GreenGroup1",
        "BlueAlarm",
        "GreenAlarm",
        "ServiceAlarm",
        "LoadBalancer",
        "Versionv1",
        "Versionv2",
    ];
    let outputs = outputs.map(|name| (name.to_owned(), format!("arn-of-{name}"))).into();
    let resources =
        ServiceResources::from_outputs("shop", "shop-2", &scenario.services["shop"], &outputs);
    BTreeMap::from([("shop".to_owned(), resources.unwrap())])
}

fn completed(request: Value) -> Value {
    complete_request(request.as_object().unwrap(), &services(), &["topic"]).unwrap()
}

#[test]
fn what_is_missing_is_filled_in() {
    let request = completed(json!({ "release": { "version": "v2" } }));
    assert_eq!(request["release"], json!({ "taskDefinition": "arn-of-Versionv2" }));
    assert_eq!(request["target"]["slots"]["green"], "shop-2-green");
    assert_eq!(request["target"]["routes"], json!([{ "rule": "arn-of-Route1" }]));
    assert_eq!(request["health"]["alarms"]["service"], json!(["arn-of-ServiceAlarm"]));
    assert_eq!(request["health"]["interval"], "1s");
    assert_eq!(request["notify"], json!(["topic"]));
}

#[test]
fn what_is_there_stays_however_wrong_it_is() {
    let wrong = json!({
        "service": "shop",
        "target": 7,
        "release": { "version": "v9" },
        "health": { "interval": "soon", "alarms": {}, "onInconclusive": 3 },
        "capacity": "much",
    });
    let request = completed(wrong.clone());
    for field in ["target", "release", "capacity"] {
        assert_eq!(request[field], wrong[field]);
    }
    assert_eq!(request["health"]["alarms"], json!({}));
    assert_eq!(request["health"]["onInconclusive"], 3);
}

#[test]
fn placeholders_stand_for_what_the_lab_created() {
    let request = completed(
        json!({ "a": ["${shop.route1}", "x ${shop.cluster}-blue ${shop.alarm.green} y"] }),
    );
    assert_eq!(request["a"], json!(["arn-of-Route1", "x shop-2-blue arn-of-GreenAlarm y"]));
}

#[test]
fn soon_is_a_full_minute_that_is_neither_here_nor_far_away() {
    use std::time::{Duration, SystemTime};
    let at = |seconds| super::soon(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0), "1970-01-01T00:01");
    assert_eq!(at(35), "1970-01-01T00:01");
    assert_eq!(at(36), "1970-01-01T00:02");
    assert_eq!(at(23 * 3_600 + 59 * 60 + 50), "1970-01-02T00:01");
}

#[test]
fn an_unknown_placeholder_names_the_known_ones() {
    let request = json!({ "a": "${shop.rout1}" });
    let error = complete_request(request.as_object().unwrap(), &services(), &[]).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("${shop.rout1}") && message.contains("shop.route1.blue"), "{message}");
}

#[test]
fn placeholders_of_glidepath_s_own_stay() {
    let mut value = json!({ "a": "${targetGroup} ${shop.cluster}" });
    let placeholders = std::collections::BTreeMap::from([("shop.cluster".to_owned(), "lab")]);
    substitute(&mut value, &placeholders).unwrap();
    assert_eq!(value, json!({ "a": "${targetGroup} lab" }));
}
