//! Alarms with everything that they and their children watch.

use std::collections::{HashMap, HashSet};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmType, CompositeAlarm, Dimension, LogAlarm, MetricAlarm, StateValue,
};
use glidepath_core::health::AlarmSignal;
use glidepath_core::ids::AlarmArn;
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{Alarm, AlarmDimension, PortError, PortResult};

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

/// The alarms of these names or ARNs, in the order asked. One that AWS will not show is
/// [`AlarmSignal::Unreadable`] beside the others, and what a composite alarm's children watch is
/// [`AlarmDimension::Unread`]; an error only where nothing can be read or everything may be later.
pub(super) async fn read(client: &Client, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
    let mut known: HashMap<String, Described> = HashMap::new();
    let mut asked: HashSet<String> = HashSet::new();
    let mut wanted: Vec<String> = names.iter().map(|name| bare(name).to_owned()).collect();
    for depth in 0..DEEPEST {
        wanted.retain(|name| asked.insert(name.clone()));
        if wanted.is_empty() {
            break;
        }
        let found = match describe(client, &wanted).await {
            Ok(found) => found,
            // What the alarms themselves say is known.
            Err(error) if depth > 0 => {
                wanted.iter().map(|name| unread_child(name, &error)).collect()
            }
            Err(error) => return Err(error),
        };
        wanted = found.values().flat_map(|described| described.children.clone()).collect();
        known.extend(found);
    }
    Ok(names
        .iter()
        .map(|name| {
            let described = known.get(bare(name))?;
            // The same name in another region or account is another alarm.
            let unread = described.alarm.signal == AlarmSignal::Unreadable;
            let same = unread || *name == bare(name) || *name == described.alarm.arn.as_str();
            let mut alarm = same.then(|| whole(described, &known))?;
            if unread {
                alarm.arn = AlarmArn::new(name);
            }
            Some(alarm)
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

/// In as few calls as there are; if those are refused for good, one by one, so that one alarm that
/// may not be read takes no other with it.
async fn describe(client: &Client, names: &[String]) -> PortResult<HashMap<String, Described>> {
    let error = match describe_all(client, names).await {
        Ok(found) => return Ok(found),
        Err(error) if error.may_pass() || names.len() == 1 => return Err(error),
        Err(error) => error,
    };
    let mut found = HashMap::new();
    let mut answered = false;
    for name in names {
        match describe_all(client, std::slice::from_ref(name)).await {
            Ok(one) => {
                answered = true;
                found.extend(one);
            }
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                found.insert(name.clone(), unreadable(name, &error));
            }
        }
    }
    if answered { Ok(found) } else { Err(error) }
}

fn unreadable(name: &str, error: &PortError) -> Described {
    let alarm = Alarm {
        arn: AlarmArn::new(name),
        signal: AlarmSignal::Unreadable,
        reason: error.to_string(),
        since: None,
        watches: vec![AlarmDimension::Unread(error.to_string())],
    };
    Described { alarm, children: Vec::new() }
}

fn unread_child(name: &str, error: &PortError) -> (String, Described) {
    (name.to_owned(), unreadable(name, error))
}

async fn describe_all(client: &Client, names: &[String]) -> PortResult<HashMap<String, Described>> {
    let mut found = HashMap::new();
    for some in names.chunks(NAMES_PER_CALL) {
        let call = client
            .describe_alarms()
            .set_alarm_names(Some(some.to_vec()))
            // Without this, all but metric alarms are left out.
            .set_alarm_types(Some(vec![
                AlarmType::MetricAlarm,
                AlarmType::CompositeAlarm,
                AlarmType::LogAlarm,
            ]))
            .max_records(100);
        let answer = call.send().await;
        let answer = answer.map_err(|error| port_error("cloudwatch:DescribeAlarms", error))?;
        found.extend(answer.metric_alarms().iter().filter_map(metric));
        found.extend(answer.composite_alarms().iter().filter_map(composite));
        found.extend(answer.log_alarms().iter().filter_map(log));
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
            since: instant(alarm.state_transitioned_timestamp()),
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
            since: instant(alarm.state_transitioned_timestamp()),
            watches: Vec::new(),
        },
        children: children(alarm.alarm_rule().unwrap_or_default()),
    };
    Some((alarm.alarm_name()?.to_owned(), described))
}

fn log(alarm: &LogAlarm) -> Option<(String, Described)> {
    let described = Described {
        alarm: Alarm {
            arn: AlarmArn::new(alarm.alarm_arn()?),
            signal: signal(alarm.state_value()),
            reason: alarm.state_reason().unwrap_or_default().to_owned(),
            since: instant(alarm.state_transitioned_timestamp()),
            // Its query names log groups, whose names say nothing about the slots.
            watches: vec![AlarmDimension::Logs],
        },
        children: Vec::new(),
    };
    Some((alarm.alarm_name()?.to_owned(), described))
}

fn instant(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis)
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
mod tests;
