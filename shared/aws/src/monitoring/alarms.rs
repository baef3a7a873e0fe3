//! Alarms with everything that they and their children watch.

use std::collections::{HashMap, HashSet};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, CompositeAlarm, Dimension, MetricAlarm, StateValue};
use glidepath_core::health::AlarmSignal;
use glidepath_core::ids::AlarmArn;
use glidepath_engine::ports::{Alarm, AlarmDimension, PortResult};

use crate::alarm_rule::children;
use crate::error::port_error;

/// Most names that one DescribeAlarms call takes.
const NAMES_PER_CALL: usize = 100;

/// How deep composite alarms may be nested before the rest is not looked at any more.
const DEEPEST: usize = 5;

/// An alarm as it was described.
struct Described {
    alarm: Alarm,
    children: Vec<String>,
}

/// The alarms of these names or ARNs, in the order asked.
pub(super) async fn read(client: &Client, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
    let mut known: HashMap<String, Described> = HashMap::new();
    let mut asked: HashSet<String> = HashSet::new();
    let mut wanted: Vec<String> = names.iter().map(|name| bare(name).to_owned()).collect();
    for _ in 0..DEEPEST {
        wanted.retain(|name| asked.insert(name.clone()));
        if wanted.is_empty() {
            break;
        }
        let found = describe(client, &wanted).await?;
        wanted = found.values().flat_map(|described| described.children.clone()).collect();
        known.extend(found);
    }
    Ok(names
        .iter()
        .map(|name| {
            let described = known.get(bare(name))?;
            // The same name in another region or account is another alarm.
            let same = *name == bare(name) || *name == described.alarm.arn.as_str();
            same.then(|| whole(described, &known))
        })
        .collect())
}

/// What follows `:alarm:` in an ARN, or the name itself.
fn bare(name: &str) -> &str {
    if name.starts_with("arn:") {
        name.split_once(":alarm:").map_or(name, |(_, bare)| bare)
    } else {
        name
    }
}

/// The alarm with what its children watch.
fn whole(described: &Described, known: &HashMap<String, Described>) -> Alarm {
    let mut alarm = described.alarm.clone();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = described.children.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        let Some(child) = known.get(name).filter(|_| seen.insert(name)) else { continue };
        alarm.watches.extend(child.alarm.watches.iter().cloned());
        open.extend(child.children.iter().map(String::as_str));
    }
    alarm
}

async fn describe(client: &Client, names: &[String]) -> PortResult<HashMap<String, Described>> {
    let mut found = HashMap::new();
    for some in names.chunks(NAMES_PER_CALL) {
        let call = client
            .describe_alarms()
            .set_alarm_names(Some(some.to_vec()))
            // Without this, composite alarms are left out.
            .set_alarm_types(Some(vec![AlarmType::MetricAlarm, AlarmType::CompositeAlarm]))
            .max_records(100);
        let answer = call.send().await;
        let answer = answer.map_err(|error| port_error("cloudwatch:DescribeAlarms", error))?;
        found.extend(answer.metric_alarms().iter().filter_map(metric));
        found.extend(answer.composite_alarms().iter().filter_map(composite));
    }
    Ok(found)
}

fn metric(alarm: &MetricAlarm) -> Option<(String, Described)> {
    let direct = (alarm.namespace(), alarm.dimensions());
    let in_expressions = alarm.metrics().iter().filter_map(|query| {
        let metric = query.metric_stat()?.metric()?;
        Some((metric.namespace(), metric.dimensions()))
    });
    let watches = std::iter::once(direct)
        .chain(in_expressions)
        .flat_map(|(namespace, dimensions)| {
            dimensions.iter().filter_map(move |dimension| watched(namespace, dimension))
        })
        .collect();
    let described = Described {
        alarm: Alarm {
            arn: AlarmArn::new(alarm.alarm_arn()?),
            signal: signal(alarm.state_value()),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            watches,
        },
        children: Vec::new(),
    };
    Some((alarm.alarm_name()?.to_owned(), described))
}

fn composite(alarm: &CompositeAlarm) -> Option<(String, Described)> {
    let described = Described {
        alarm: Alarm {
            arn: AlarmArn::new(alarm.alarm_arn()?),
            signal: signal(alarm.state_value()),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            watches: Vec::new(),
        },
        children: children(alarm.alarm_rule().unwrap_or_default()),
    };
    Some((alarm.alarm_name()?.to_owned(), described))
}

/// The dimensions by which an alarm belongs to a slot.
fn watched(namespace: Option<&str>, dimension: &Dimension) -> Option<AlarmDimension> {
    let value = dimension.value()?.to_owned();
    match (dimension.name()?, namespace?) {
        ("TargetGroup", _) => Some(AlarmDimension::TargetGroup(value)),
        ("ServiceName", "AWS/ECS" | "ECS/ContainerInsights") => {
            Some(AlarmDimension::EcsService(value))
        }
        _ => None,
    }
}

fn signal(state: Option<&StateValue>) -> AlarmSignal {
    match state {
        Some(StateValue::Ok) => AlarmSignal::Ok,
        Some(StateValue::Alarm) => AlarmSignal::Alarm,
        // Insufficient data, and states of the future: neither good nor bad.
        Some(_) | None => AlarmSignal::InsufficientData,
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn names_and_arns_are_the_same_alarm() {
        assert_eq!(bare(&arn("a:alarm:b")), "a:alarm:b");
        assert_eq!(bare("plain"), "plain");
    }
}
