//! What a person asks for. [`decode`] reads it, `preflight` holds it against the real resources.

mod checks;

mod comparison;
mod concurrency;

pub mod defaults;

mod health;

mod hooks;

mod notify;

mod probes;

#[cfg(test)]
mod reference;

mod rollback;

mod schema;

mod sensitivity;

mod validation;

mod values;

mod way_back;

mod windows;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use checks::{CheckRequest, Limits, Metric, Placeholder};

pub use comparison::Compared;
pub use concurrency::Concurrency;

pub use health::{Alarms, BadRequests, Health, Inconclusive, SlowRequests};

pub use hooks::{HookRequest, LONGEST_DETAILS};

pub use notify::Notify;

pub use probes::ProbeRequest;

pub use rollback::Rollback;

pub use schema::{example, schema};

pub use sensitivity::{Ratio, Sensitivity};

pub use validation::{ValidationHook, ValidationRequest};

pub use values::AlarmName;

pub use way_back::{WayBackRelease, WayBackRequest};

pub use windows::{Clock, Day, Minute, Once, Weekly, Window, Windows, Zone};

use crate::document::{Decode, Findings, Node};

use crate::ids::{ClusterName, DeploymentId, EcsServiceName, ServiceLabel, TaskDefinition};

use crate::plan::{CanaryCapacity, Slot};

use crate::route::RouteRef;

use crate::strategy::Strategy;

use crate::time::Span;

/// What a document asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Release(Box<Request>),
    WayBack(WayBackRequest),
}

/// Reads a document, or finds every mistake that can be seen without looking at AWS.
pub fn asked(document: &Value) -> Result<Asked, Findings> {
    if document.pointer("/release/rollbackTo").is_some() {
        read(document).map(Asked::WayBack)
    } else {
        decode(document).map(|request| Asked::Release(Box::new(request)))
    }
}

/// Reads a document that releases a version.
pub fn decode(document: &Value) -> Result<Request, Findings> {
    read(document)
}

fn read<Read: Decode>(document: &Value) -> Result<Read, Findings> {
    let mut findings = Findings::default();
    let read = Read::decode(Node::root(document, &mut findings));
    match read {
        Some(read) if !findings.has_errors() => Ok(read),
        Some(_) | None => Err(findings),
    }
}

/// A deployment: what to release, where, and how carefully.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// Your name for what is deployed; a label in messages, never a key.
    pub service: ServiceLabel,
    /// The resources between which traffic is shifted.
    pub target: Target,
    /// The new version.
    pub release: Release,
    /// How traffic moves.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many tasks the new version gets.
    #[serde(default)]
    pub capacity: Capacity,
    /// How long a stage may take to start its tasks and shift, before the deployment fails.
    #[serde(default = "defaults::settle_within")]
    pub settle_within: Span,
    /// How long the old version keeps its tasks after a success.
    #[serde(default = "defaults::retention")]
    pub retention: Span,
    /// How the new version is judged.
    #[serde(default)]
    pub health: Health,
    /// What a rollback does where the old version is too weak.
    #[serde(default)]
    pub rollback: Rollback,
    /// What happens when another deployment holds one of the resources.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: Concurrency,
    /// When weights may move forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// Channels that hear about it, by the names that the stack has configured: a list, of which each hears
    /// everything, or lists by urgency. What each is: docs/channels.md.
    #[serde(default)]
    pub notify: Notify,
    /// What is accepted although it speaks against a deployment.
    #[serde(default)]
    pub force: Force,
    /// Who starts it, for those who are told and asked: said, and proven by nobody. Whom AWS has recognised
    /// stands before it; where `glidepath start` cannot have that, it writes the caller's ARN here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        extend("pattern" = r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f]*$")
    )]
    pub started_by: Option<String>,
    /// Why it is started, for those who are told and asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 2000),
        extend("pattern" = r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f]*$")
    )]
    pub reason: Option<String>,
}

impl Decode for Request {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let api_version = fields.required("apiVersion");
            let service = fields.required("service");
            let target = fields.required("target");
            let release = fields.required("release");
            let strategy = fields.defaulted("strategy", Strategy::default);
            let capacity = fields.defaulted("capacity", Capacity::default);
            let settle_within = fields.defaulted_with(
                "settleWithin",
                |node| node.span_above_zero(),
                defaults::settle_within,
            );
            let retention = fields.defaulted("retention", defaults::retention);
            let health = fields.defaulted("health", Health::default);
            let rollback = fields.defaulted("rollback", Rollback::default);
            let concurrency = fields.defaulted("concurrency", defaults::concurrency);
            let windows = fields.optional("windows");
            let notify = fields.defaulted("notify", Notify::default);
            let force = fields.defaulted("force", Force::default);
            let started_by = fields.optional_with("startedBy", started_by);
            let reason = fields.optional_with("reason", reason);
            Some(Self {
                api_version: api_version?,
                service: service?,
                target: target?,
                release: release?,
                strategy: strategy?,
                capacity: capacity?,
                settle_within: settle_within?,
                retention: retention?,
                health: health?,
                rollback: rollback?,
                concurrency: concurrency?,
                windows: windows?,
                notify: notify?,
                force: force?,
                started_by: started_by?,
                reason: reason?,
            })
        })
    }
}

fn started_by(node: Node<'_>) -> Option<String> {
    node.text_like("a name in one line of at most 256 characters", can_be_starter)
}

fn reason(node: Node<'_>) -> Option<String> {
    node.text_like("a reason in one line of at most 2,000 characters", can_be_reason)
}

/// Whether a request can say that this is who starts it.
pub fn can_be_starter(text: &str) -> bool {
    is_line(text, 256)
}

/// Whether a request can say that this is why it is started.
pub fn can_be_reason(text: &str) -> bool {
    is_line(text, 2_000)
}

/// Longest reason of a decision: it is kept with the deployment, whose record has 400 KB for everything.
const LONGEST_REASON: usize = 2_000;

/// Whether a person's reason for a decision can be kept, and why not. It may have several lines.
pub fn can_be_said(reason: &str) -> Result<(), String> {
    // It is shown on other people's terminals.
    if reason.chars().any(|character| character.is_control() && !character.is_whitespace()) {
        return Err("it has control characters".to_owned());
    }
    match reason.trim().chars().count() {
        0 => Err("it says nothing".to_owned()),
        1..=LONGEST_REASON => Ok(()),
        length => {
            Err(format!("a reason has at most {LONGEST_REASON} characters, this one has {length}"))
        }
    }
}

/// It is told as it is, in the midst of other lines.
fn is_line(text: &str, longest: usize) -> bool {
    let long = text.chars().count() > longest;
    !text.trim().is_empty() && !long && !text.chars().any(char::is_control)
}

/// The version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one so far.
    #[serde(rename = "glidepath/v1")]
    V1,
}

impl Decode for ApiVersion {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("glidepath/v1", Self::V1)])
    }
}

/// The resources between which traffic is shifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Name or ARN of the ECS cluster that both slots live in.
    pub cluster: ClusterName,
    /// The two ECS services that take turns.
    pub slots: Slots,
    /// Every route that sends requests to the service; all are shifted by the same weight.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub routes: Vec<RouteRef>,
}

impl Decode for Target {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let cluster = fields.required("cluster");
            let slots = fields.required("slots");
            let routes = fields.required_with("routes", |node| node.set());
            Some(Self { cluster: cluster?, slots: slots?, routes: routes? })
        })
    }
}

/// The two slots. Which of them serves today is found from the weights, never from its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slots {
    /// Name of the one ECS service.
    #[schemars(extend("pattern" = "^[A-Za-z0-9_-]+$"))]
    pub blue: EcsServiceName,
    /// Name of the other ECS service.
    #[schemars(extend("pattern" = "^[A-Za-z0-9_-]+$"))]
    pub green: EcsServiceName,
}

impl Slots {
    pub const fn of(&self, slot: Slot) -> &EcsServiceName {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }
}

impl Decode for Slots {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let blue: Option<EcsServiceName> = fields.required("blue");
            let green: Option<EcsServiceName> = fields.required("green");
            if blue.is_some() && blue == green {
                fields.error(
                    "green",
                    "both slots are the same ECS service",
                    "name two ECS services: while one serves, the other takes the new version",
                );
            }
            Some(Self { blue: blue?, green: green? })
        })
    }
}

/// The new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// The ECS task definition to run, as `family:revision` or ARN.
    #[schemars(extend("pattern" = "^(.*/)?[^:/]+:[1-9][0-9]*$"))]
    pub task_definition: TaskDefinition,
    /// The deployment that took a version back which is tried again: the one that was rolled back, or the
    /// way back. Without it such a version is refused, and the cause of the refusal says the name. It means that one and
    /// no later one, so it may stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<DeploymentId>,
}

impl Decode for Release {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let task_definition = fields.required("taskDefinition");
            let retry = fields.optional_with("retry", |node| {
                let text = node.text_like("the name of a deployment", |text| is_line(text, 80))?;
                Some(DeploymentId::new(text))
            });
            Some(Self { task_definition: task_definition?, retry: retry? })
        })
    }
}

/// How many tasks the new version gets, and how long they stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capacity {
    /// Tasks of the new version. `blueGreen` and `allAtOnce` always run it in full.
    #[serde(default = "defaults::canary_capacity")]
    pub canary: CanaryCapacity,
    /// How long tasks stay after their traffic has gone.
    #[serde(default = "defaults::scale_in_delay")]
    pub scale_in_delay: Span,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { canary: defaults::canary_capacity(), scale_in_delay: defaults::scale_in_delay() }
    }
}

impl Decode for Capacity {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let canary = fields.defaulted("canary", defaults::canary_capacity);
            let scale_in_delay = fields.defaulted("scaleInDelay", defaults::scale_in_delay);
            Some(Self { canary: canary?, scale_in_delay: scale_in_delay? })
        })
    }
}

impl Decode for CanaryCapacity {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("proportional", Self::Proportional), ("full", Self::Full)])
    }
}

/// What is accepted although it speaks against a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Force {
    /// Alarms that may be firing at the start, such as those of the outage that this release
    /// repairs. They are ignored for the whole deployment.
    #[serde(default)]
    pub alarms: Vec<AlarmName>,
}

impl Decode for Force {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let alarms = fields.defaulted_with("alarms", |node| node.set_or_empty(), Vec::new);
            Some(Self { alarms: alarms? })
        })
    }
}

#[cfg(test)]
mod tests;
