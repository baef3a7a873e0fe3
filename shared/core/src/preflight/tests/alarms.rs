use serde_json::{Value, json};

use super::{findings, fire, plan};
use crate::fixtures::{alarm, alarm_arn};
use crate::health::AlarmSignal;
use crate::preflight::Found;
use crate::world::AlarmDimension;

#[test]
fn missing_alarms_are_refused() {
    let path = "error $.health.alarms.green[0]";
    let message = format!("{path}: there is no alarm `shop-green-5xx`");
    assert_eq!(findings(|_, found| found.alarms.green[0] = None).first(), Some(&message));
    assert_eq!(findings(|_, found| found.alarms.green.clear()).first(), Some(&message));
}

#[test]
fn an_alarm_of_another_account_or_region_is_told_apart_from_a_missing_one() {
    let of = |arn: &str| {
        findings(|document, found| {
            document["health"]["alarms"]["green"] = json!([arn]);
            found.alarms.green[0] = None;
        })
    };
    let path = "error $.health.alarms.green[0]";
    let here = "and the routes are in account 123456789012 in eu-west-1";
    let account = "arn:aws:cloudwatch:eu-west-1:999999999999:alarm:a:b";
    assert_eq!(
        of(account)[0],
        format!("{path}: `{account}` is an alarm of account 999999999999 in eu-west-1, {here}")
    );
    let region = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a";
    assert_eq!(
        of(region)[0],
        format!("{path}: `{region}` is an alarm of account 123456789012 in us-east-1, {here}")
    );
    let own = alarm_arn("a");
    assert_eq!(of(own.as_str())[0], format!("{path}: there is no alarm `{own}`"));
}

#[test]
fn an_alarm_that_watches_logs_is_bound_and_warned_about() {
    let change = |_: &mut Value, found: &mut Found| {
        for alarm in [&mut found.alarms.green[0], &mut found.alarms.service[0]] {
            alarm.as_mut().expect("it is there").watches = vec![AlarmDimension::Logs];
        }
    };
    let message = "`shop-green-5xx` watches logs: whether they are those of the green slot cannot \
                   be told";
    assert_eq!(findings(change), [format!("warning $.health.alarms.green[0]: {message}")]);
    let bound = plan(change).health.alarms;
    assert_eq!(bound.canary, [alarm_arn("shop-green-5xx")]);
    assert_eq!(bound.service, [alarm_arn("shop-latency")]);
}

#[test]
fn an_alarm_that_watches_the_other_slot_is_refused() {
    let by_group = findings(|_, found| {
        found.alarms.green[0] = alarm("shop-green-5xx", &["blue"]);
    });
    let expected = "error $.health.alarms.green[0]: `shop-green-5xx` watches the blue slot";
    assert_eq!(by_group, [expected]);
    let by_service = findings(|_, found| {
        let alarm = found.alarms.green[0].as_mut().expect("it is there");
        alarm.watches = vec![AlarmDimension::EcsService("shop-blue".to_owned())];
    });
    assert_eq!(by_service, [expected]);
    let both = findings(|_, found| {
        found.alarms.green[0] = alarm("shop-green-5xx", &["blue", "green"]);
    });
    assert_eq!(both, [expected]);
}

#[test]
fn an_alarm_of_the_service_that_watches_one_slot_is_warned_about() {
    let found = findings(|_, found| found.alarms.service[0] = alarm("shop-latency", &["green"]));
    let message = "`shop-latency` watches the green slot only";
    assert_eq!(found, [format!("warning $.health.alarms.service[0]: {message}")]);
}

#[test]
fn what_an_alarm_watches_is_not_told_of_a_slot_that_is_not_there() {
    let found = findings(|_, found| {
        found.alarms.service[0] = alarm("shop-latency", &["blue", "green"]);
        found.green = None;
    });
    let told: Vec<_> = found.iter().filter(|finding| finding.contains("shop-latency")).collect();
    assert!(told.is_empty(), "{found:?}");
    assert!(found[0].starts_with("error $.target.slots.green: "), "{found:?}");
}

#[test]
fn one_alarm_under_two_names_is_refused() {
    let found = findings(|document, found| {
        let arn = alarm_arn("shop-latency").as_str().to_owned();
        document["health"]["alarms"]["service"] = json!(["shop-latency", arn]);
        found.alarms.service.push(alarm("shop-latency", &[]));
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("is the same alarm as $.health.alarms.service[0]"), "{found:?}");
}

#[test]
fn an_alarm_that_fires_already_is_refused_unless_it_is_forced() {
    assert_eq!(
        findings(|_, found| {
            fire(&mut found.alarms.blue[0]);
            fire(&mut found.alarms.service[0]);
        }),
        [
            "error $.health.alarms.blue[0]: `shop-blue-5xx` is already firing: 31 > 5",
            "error $.health.alarms.service[0]: `shop-latency` is already firing: 31 > 5",
        ]
    );
    let plan = plan(|document, found| {
        fire(&mut found.alarms.green[0]);
        document["force"]["alarms"] = json!(["shop-green-5xx"]);
    });
    assert_eq!(plan.health.alarms.forced, [alarm_arn("shop-green-5xx")]);
    assert!(plan.health.alarms.canary.is_empty());
}

#[test]
fn an_alarm_of_the_idle_slot_that_fires_is_told_and_bound() {
    let change = |_: &mut Value, found: &mut Found| fire(&mut found.alarms.green[0]);
    let message = "`shop-green-5xx` is firing while its slot has no traffic: 31 > 5";
    assert_eq!(findings(change), [format!("warning $.health.alarms.green[0]: {message}")]);
    let alarms = plan(change).health.alarms;
    assert_eq!(alarms.canary, [alarm_arn("shop-green-5xx")]);
    assert_eq!(alarms.idle, alarms.canary);
    assert!(alarms.binding().any(|bound| alarms.idle.contains(bound)));
}

#[test]
fn an_alarm_that_cannot_be_read_is_named_and_the_others_are_checked() {
    let found = findings(|_, found| {
        let green = found.alarms.green[0].as_mut().expect("it is there");
        (green.signal, green.reason) = (AlarmSignal::Unreadable, "AccessDenied: no".to_owned());
        fire(&mut found.alarms.service[0]);
    });
    assert_eq!(
        found,
        [
            "error $.health.alarms.green[0]: the alarm `shop-green-5xx` cannot be read: \
             AccessDenied: no",
            "error $.health.alarms.service[0]: `shop-latency` is already firing: 31 > 5",
        ]
    );
}

#[test]
fn a_child_that_cannot_be_read_is_warned_about() {
    let found = findings(|_, found| {
        let green = found.alarms.green[0].as_mut().expect("it is there");
        green.watches.push(AlarmDimension::Unread("AccessDenied: no".to_owned()));
    });
    let message = "not all that `shop-green-5xx` watches can be read (AccessDenied: no): whether it \
                   is for the green cannot be told";
    assert_eq!(found, [format!("warning $.health.alarms.green[0]: {message}")]);
}

#[test]
fn force_without_need_is_warned_about_and_the_alarm_stays_bound() {
    let change = |document: &mut Value, _: &mut Found| {
        document["force"]["alarms"] = json!(["shop-green-5xx", "shop-gren-5xx"]);
    };
    assert_eq!(
        findings(change),
        [
            "warning $.force.alarms[0]: `shop-green-5xx` is not firing, so it is watched as usual",
            "warning $.force.alarms[1]: `shop-gren-5xx` is no alarm of this request",
        ]
    );
    assert_eq!(plan(change).health.alarms.canary, [alarm_arn("shop-green-5xx")]);
}

#[test]
fn a_deployment_that_nothing_rolls_back_is_warned_about() {
    let found = findings(|document, found| {
        document["health"]["alarms"] = json!({ "blue": ["shop-blue-5xx"] });
        found.alarms.green.clear();
        found.alarms.service.clear();
    });
    assert_eq!(found, ["warning $.health.alarms: no alarm rolls this deployment back"]);
}
