//! What becomes of CloudWatch's answers.

use super::*;
use crate::replay::{answering, error_of};

fn client(answers: Vec<crate::replay::Answer>) -> Client {
    Client::new(answering(answers).reading())
}

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:eu-west-1:1:alarm:{name}")
}

#[test]
fn a_service_belongs_to_a_slot_only_in_the_namespaces_of_ecs() {
    let service = Dimension::builder().name("ServiceName").value("green").build();
    let ours = Some(AlarmDimension::EcsService("green".to_owned()));
    assert_eq!(watched(Some("AWS/ECS"), &service), ours);
    assert_eq!(watched(Some("Custom"), &service), None);
}

#[test]
fn children_of_children_are_watched_and_circles_end() {
    let described = |name: &str, group: Option<&str>, children: &[&str]| {
        let watches = group.map(|group| AlarmDimension::TargetGroup(group.to_owned()));
        let alarm = Alarm {
            arn: AlarmArn::new(arn(name)),
            signal: AlarmSignal::Ok,
            reason: String::new(),
            since: None,
            watches: watches.into_iter().collect(),
        };
        let children = children.iter().map(|&child| child.to_owned()).collect();
        (name.to_owned(), Described { alarm, children })
    };
    let known = HashMap::from([
        described("top", None, &["middle", "green"]),
        described("middle", None, &["blue", "top"]),
        described("blue", Some("blue"), &[]),
        described("green", Some("green"), &[]),
    ]);
    let mut groups = whole(&known["top"], &known).watches;
    groups.sort_by_key(|dimension| format!("{dimension:?}"));
    let group = |name: &str| AlarmDimension::TargetGroup(name.to_owned());
    assert_eq!(groups, [group("blue"), group("green")]);
}

#[tokio::test]
async fn a_denied_look_is_refused() {
    let denied = error_of(400, "AccessDenied", "no");
    let error = read(&client(vec![denied]), &["a".to_owned()]).await.unwrap_err();
    assert!(!error.may_pass(), "{error}");
}

#[tokio::test]
async fn one_alarm_that_may_not_be_read_takes_no_other_with_it() {
    let denied = || error_of(400, "AccessDenied", "no");
    // An answer without alarms.
    let good = crate::replay::cbor(vec![0xa0]);
    let names = ["a".to_owned(), arn("b")];
    let found = read(&client(vec![denied(), good, denied()]), &names).await.unwrap();
    assert_eq!(found[0], None);
    let unread = found[1].as_ref().unwrap();
    assert_eq!((unread.signal, unread.arn.as_str()), (AlarmSignal::Unreadable, arn("b").as_str()));
}

#[test]
fn names_and_arns_are_the_same_alarm() {
    assert_eq!(bare(&arn("a:alarm:b")), "a:alarm:b");
    assert_eq!(bare("plain"), "plain");
}

#[test]
fn metric_composite_and_log_alarms_are_read() {
    let dimension = Dimension::builder().name("TargetGroup").value("targetgroup/green/1").build();
    let by_metric = MetricAlarm::builder()
        .alarm_name("requests")
        .alarm_arn(arn("requests"))
        .namespace("AWS/ApplicationELB")
        .state_value(StateValue::Ok)
        .dimensions(dimension)
        .build();
    let by_logs = LogAlarm::builder()
        .alarm_name("errors")
        .alarm_arn(arn("errors"))
        .state_value(StateValue::Alarm)
        .state_reason("2 of 2 query results")
        .build();
    let of_both = CompositeAlarm::builder()
        .alarm_name("both")
        .alarm_arn(arn("both"))
        .alarm_rule("AT_LEAST(1, ALARM, (requests, \"errors\"))")
        .build();
    let known = HashMap::from([
        metric(&by_metric).unwrap(),
        log(&by_logs).unwrap(),
        composite(&of_both).unwrap(),
    ]);
    let found = &known["errors"].alarm;
    assert_eq!((found.signal, found.reason.as_str()), (AlarmSignal::Alarm, "2 of 2 query results"));
    let mut watched = whole(&known["both"], &known).watches;
    watched.sort_by_key(|dimension| format!("{dimension:?}"));
    let group = AlarmDimension::TargetGroup("targetgroup/green/1".to_owned());
    assert_eq!(watched, [AlarmDimension::Logs, group]);
    assert_eq!(whole(&known["errors"], &known).watches, [AlarmDimension::Logs]);
}
