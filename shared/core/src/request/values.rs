//! Values that are one word of a request: names, ARNs and durations.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::document::{Decode, Node, shortened};
use crate::ids::{
    AlarmArn, ChannelName, ClusterName, EcsServiceName, ServiceLabel, TaskDefinition,
};
use crate::route::RouteRef;
use crate::time::{Span, SpanError};

/// Name or ARN of a CloudWatch alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct AlarmName(String);

impl AlarmName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the alarm.
    pub fn names(&self, alarm: &AlarmArn) -> bool {
        self.0 == alarm.as_str() || self.0 == alarm.name()
    }
}

impl std::fmt::Display for AlarmName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Decode for Span {
    fn decode(node: Node<'_>) -> Option<Self> {
        const HINT: &str = "write one number and one unit (s, m, h or d), such as 90s, 5m or 24h, \
                            up to 366d";
        match node.value() {
            Value::String(text) => match Self::parse(text) {
                Ok(span) => Some(span),
                Err(SpanError::NoUnit(number)) => {
                    let number = shortened(&number);
                    let hint = format!("write {number}m, not {number}");
                    node.error(format!("the duration `{number}` has no unit"), hint)
                }
                Err(SpanError::NotASpan(text)) => {
                    node.error(format!("`{}` is not a duration", shortened(&text)), HINT)
                }
            },
            Value::Number(number) if number.is_u64() => {
                let hint = format!("write {number}m, not {number}");
                node.error(format!("the duration {number} has no unit"), hint)
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => node.wrong_type("a duration", HINT),
        }
    }
}

/// Reads names as they are.
macro_rules! decode_names {
    ($($name:ty),+) => {$(
        impl Decode for $name {
            fn decode(node: Node<'_>) -> Option<Self> {
                node.text().map(Self::new)
            }
        }
    )+};
}

decode_names!(ServiceLabel, ClusterName, ChannelName);

impl Decode for EcsServiceName {
    fn decode(node: Node<'_>) -> Option<Self> {
        // Locks and the dimensions of alarms go by the name; an ARN would match neither.
        let allowed =
            |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        let expected = "the name of an ECS service (letters, digits, `-` and `_`; not its ARN)";
        let name = node.text_like(expected, |text| !text.is_empty() && text.chars().all(allowed));
        name.map(Self::new)
    }
}

impl Decode for AlarmName {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.text().map(Self)
    }
}

impl Decode for TaskDefinition {
    fn decode(node: Node<'_>) -> Option<Self> {
        // Without a revision something else may be deployed than what was reviewed.
        let text = node.text_like("`family:revision` or a task definition's ARN", |text| {
            let short = text.rsplit_once('/').map_or(text, |(_, short)| short);
            short.split_once(':').is_some_and(|(family, revision)| {
                let digits = revision.bytes().all(|digit| digit.is_ascii_digit());
                !family.is_empty() && digits && revision.starts_with(|first| first != '0')
            })
        });
        text.map(Self::new)
    }
}

impl Decode for RouteRef {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.variant(&[
            ("rule", |node| elbv2_arn(node, "listener-rule").map(Self::Rule)),
            ("listener", |node| elbv2_arn(node, "listener").map(Self::Listener)),
        ])
    }
}

/// Reads the ARN of a part of an Application Load Balancer.
fn elbv2_arn(node: Node<'_>, wanted: &str) -> Option<String> {
    let text = node.value().as_str().unwrap_or_default();
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let (is_elbv2, resource) = match parts.as_slice() {
        ["arn", _, "elasticloadbalancing", _, _, resource] => (true, *resource),
        _ => (false, ""),
    };
    let mut resource = resource.split('/');
    let (kind, balancer) = (resource.next(), resource.next());
    if is_elbv2 && kind == Some(wanted) && balancer == Some("net") {
        return node.error(
            "a Network Load Balancer has no weights to shift",
            "put the service behind an Application Load Balancer",
        );
    }
    if is_elbv2 && kind == Some(wanted) && balancer == Some("gwy") {
        return node.error(
            "a Gateway Load Balancer has no weights to shift",
            "name the route of the Application Load Balancer in front of the service",
        );
    }
    node.text_like(
        &format!("the ARN of an Application Load Balancer's {wanted}, `arn:...:{wanted}/app/...`"),
        |_| is_elbv2 && kind == Some(wanted) && balancer == Some("app"),
    )
}
