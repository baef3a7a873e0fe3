//! Names that the template of an example service and whoever reads its outputs must agree on.

use crate::scenario::{AlarmName, RouteKind};

/// Port of the listener that holds the rules.
pub(super) const MAIN_PORT: usize = 8080;

/// Where clients find a route, counted from 1.
pub(super) fn route_url(address: &str, number: usize, kind: RouteKind) -> String {
    match kind {
        RouteKind::Rule if number == 1 => format!("http://{address}:{MAIN_PORT}/"),
        RouteKind::Rule => format!("http://{address}:{MAIN_PORT}/route{number}/"),
        RouteKind::Listener => format!("http://{address}:{}/", MAIN_PORT + number),
    }
}

/// The output with the ARN of an alarm.
pub(super) fn alarm_output(alarm: AlarmName) -> &'static str {
    match alarm {
        AlarmName::Blue => "BlueAlarm",
        AlarmName::Green => "GreenAlarm",
        AlarmName::Service => "ServiceAlarm",
    }
}

/// Resource and output of a version.
pub(super) fn task_definition_id(version: &str) -> String {
    format!("Version{}", version.replace('-', ""))
}

/// The output with what `Ref` answers for a resource that the scenario adds.
pub(super) fn further_output(id: &str) -> String {
    format!("Further{id}")
}
