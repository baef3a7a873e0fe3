//! What the lab sets up before anything happens.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::length::Length;

/// One service: a load balancer with weighted routes, an ECS cluster with a blue and a green slot,
/// an alarm for each slot and one for both, and clients that send requests all the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Tasks of the slot that serves. The other slot has none.
    #[serde(default = "three_tasks")]
    pub tasks: u32,
    /// The slot that has all the traffic at the start.
    #[serde(default = "blue")]
    pub serving: Slot,
    /// The version that runs there; one of `versions`.
    #[serde(default = "first_version")]
    pub running: String,
    /// Every version that the scenario speaks of, by name. `{}` is one without faults.
    pub versions: BTreeMap<String, Version>,
    /// Requests a second that the clients send, evenly, whatever the answers; at most 200.
    #[serde(default = "forty_requests")]
    pub traffic: u32,
    /// What leads requests to the slots. All of them are shifted together.
    #[serde(default = "one_rule")]
    pub routes: Vec<Route>,
    /// Rules and listeners of the same load balancer that are nobody's business.
    #[serde(default)]
    pub bystanders: Bystanders,
    /// When the alarms fire.
    #[serde(default)]
    pub alarms: AlarmSettings,
    /// Whether there is a Lambda function to ask as a hook.
    #[serde(default)]
    pub hook: bool,
    /// Whether its images are in a private repository of ECR, from which they can vanish.
    #[serde(default)]
    pub ecr: bool,
    /// What an account has besides: CloudFormation resources by their logical ids, as in a template.
    /// One whose id is that of one of the example's own (`BlueService`, `Route1`) is merged into it:
    /// members are added or replaced, and those that are `null` removed.
    #[serde(default)]
    pub resources: Map<String, Value>,
}

/// One of the two interchangeable halves of a service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Slot {
    /// One of them.
    Blue,
    /// The other.
    Green,
}

impl Slot {
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// Its name in requests and in the names of resources.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a version behaves. The script can change it later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// Share of requests answered with status 500, from 0 to 1.
    #[serde(default)]
    pub error_rate: f64,
    /// How long an answer takes.
    #[serde(default)]
    pub latency: Length,
    /// Whether its tasks end at once when they start.
    #[serde(default)]
    pub startup_failure: bool,
    /// Whether health checks succeed.
    #[serde(default = "yes")]
    pub healthy: bool,
    /// At most so many of its tasks are healthy at once; without it, all of them.
    #[serde(default)]
    pub healthy_tasks: Option<u32>,
    /// Until then (from the start of the first deployment) it has no faults; without it, it
    /// behaves so from the beginning.
    #[serde(default)]
    pub from: Option<Length>,
    /// With `ecr`: the version of which its image is another tag; without it, it is a build of its own.
    #[serde(default)]
    pub build: Option<String>,
}

impl Version {
    /// One without faults.
    pub fn faultless() -> Self {
        Self {
            error_rate: 0.0,
            latency: Length::default(),
            startup_failure: false,
            healthy: true,
            healthy_tasks: None,
            from: None,
            build: None,
        }
    }
}

/// A weighted route to both slots. Each has target groups of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// A rule of the listener at port 8080, or the default action of a listener of its own.
    #[serde(default)]
    pub kind: RouteKind,
    /// Stickiness of the forward action: how long a client stays with the slot it first met.
    #[serde(default)]
    pub stickiness: Option<Length>,
    /// Puts an action before the forward action that asks who the client is.
    #[serde(default)]
    pub authenticate: Option<Authenticate>,
    /// Only of a rule: its transforms rewrite the host name and the URL of every request.
    #[serde(default)]
    pub transform: bool,
}

/// The kind of the action before the forward action. The local load balancer lets everybody through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Authenticate {
    /// `authenticate-oidc`, whose client secret AWS never shows again.
    Oidc,
    /// `authenticate-cognito`
    Cognito,
    /// `jwt-validation`
    Jwt,
}

/// What kind of resource a route is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RouteKind {
    /// A listener rule.
    #[default]
    Rule,
    /// The default action of a listener.
    Listener,
}

/// Rules and listeners besides the routes; they must survive every deployment unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bystanders {
    /// Rules of the listener at port 8080, each with a fixed answer.
    #[serde(default)]
    pub rules: u32,
    /// Listeners, each with a fixed answer.
    #[serde(default)]
    pub listeners: u32,
}

/// When the three alarms of a service (`blue`, `green` and `service`) fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlarmSettings {
    /// Percent of requests with a 5xx status above which they count.
    #[serde(default = "five_percent")]
    pub above_percent: u32,
    /// Seconds in a row that must count before they fire.
    #[serde(default = "three_seconds")]
    pub for_seconds: u32,
}

impl Default for AlarmSettings {
    fn default() -> Self {
        Self { above_percent: five_percent(), for_seconds: three_seconds() }
    }
}

/// The alarms of a service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum AlarmName {
    /// Watches the blue slot.
    Blue,
    /// Watches the green slot.
    Green,
    /// Watches both together.
    Service,
}

impl AlarmName {
    pub const ALL: [Self; 3] = [Self::Blue, Self::Green, Self::Service];

    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Service => "service",
        }
    }
}

fn three_tasks() -> u32 {
    3
}

fn blue() -> Slot {
    Slot::Blue
}

fn first_version() -> String {
    "v1".to_owned()
}

fn forty_requests() -> u32 {
    40
}

fn one_rule() -> Vec<Route> {
    vec![Route::default()]
}

fn yes() -> bool {
    true
}

fn five_percent() -> u32 {
    5
}

fn three_seconds() -> u32 {
    3
}
