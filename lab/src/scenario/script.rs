//! What happens during a scenario besides the deployments themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::Fault;
use super::happening::{AlarmState, Happening};
use super::length::Length;
use super::service::{AlarmName, Slot};

/// One event of the script: `at` a time, or `when` something happened, `do` one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// This long after the first deployment was started (or would have been, without `request`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Length>,
    /// As soon as this happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Happening>,
    /// With `when`: so much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Length>,
    /// What to do.
    #[serde(rename = "do")]
    pub action: Action,
}

/// What the script can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Changes how a version behaves; tasks that run already follow.
    Behave(Behave),
    /// Sets an alarm's state through CloudWatch's SetAlarmState.
    SetAlarm(SetAlarm),
    /// Says yes to the stage that waits: `glidepath approve`, or `promote` if it waits for evidence.
    Approve(Decide),
    /// Refuses the stage that waits, with `glidepath reject`.
    Reject(Decide),
    /// Runs `glidepath` with any arguments, as an operator or a pipeline would.
    Glidepath(CommandLine),
    /// Stops the execution with Step Functions' StopExecution.
    StopExecution(Which),
    /// Changes a route's weights from outside, as a stranger would.
    RewriteRoute(RewriteRoute),
    /// Somebody else asks an ECS service for another number of tasks, as an autoscaler does.
    Scale(Scale),
    /// Somebody else sets the bounds within which a slot is scaled, with RegisterScalableTarget.
    SetBounds(SetBounds),
    /// From now on ECS finds places for so many tasks of the whole lab only.
    PlaceAtMost(PlaceAtMost),
    /// Changes what ECR has under the tag of a version of a service with `ecr`.
    Image(Image),
    /// Starts another deployment.
    StartDeployment(StartDeployment),
    /// Deletes the state machine, as Step Functions' DeleteStateMachine does: its executions end.
    DeleteStateMachine(Nothing),
    /// Updates the product's stack to another version: template, definition and every function.
    UpdateStack(Nothing),
    /// Invokes the sweep once, besides the regular times.
    Sweep(Nothing),
    /// From now on this goes wrong at AWS.
    Fault(Fault),
    /// Nothing goes wrong at AWS any more.
    EndFaults(Nothing),
}

/// `behave`: the fields given change, the others stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behave {
    /// Whose version; not needed with one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which version.
    pub version: String,
    /// Share of requests answered with status 500, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// How long an answer takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Length>,
    /// Whether its tasks end at once when they start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_failure: Option<bool>,
    /// Whether health checks succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// At most so many of its tasks are healthy at once. A task that is stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_tasks: Option<u32>,
}

/// `setAlarm`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetAlarm {
    /// Whose alarm; not needed with one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which alarm.
    pub alarm: AlarmName,
    /// The state it gets. The next evaluation may change it again.
    pub state: AlarmState,
    /// The reason it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `approve` and `reject`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decide {
    /// Which deployment; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Why, for whoever reads the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `glidepath`: one run of the command line, which must end as it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandLine {
    /// Command and arguments. `${deployment.NAME}` stands for the id of a deployment of the
    /// scenario, and the names of a request (`${shop.route1}`) for what they stand for there.
    pub run: Vec<String>,
    /// A request, as the scenario's own: `${request.file}` stands for the file that it is written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Map<String, Value>>,
    /// The exit code that it must have.
    #[serde(default)]
    pub exit_code: i32,
    /// Each of these texts must be in what it prints, on either stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub says: Vec<String>,
}

/// `scale`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// Whose ECS service; not needed with one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which slot.
    pub slot: Slot,
    /// The tasks that it is asked for.
    pub tasks: u32,
}

/// `setBounds`: what is left out stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetBounds {
    /// Whose ECS service; not needed with one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which slot.
    pub slot: Slot,
    /// The least tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    /// The most tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u32>,
}

/// `placeAtMost`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceAtMost {
    /// How many tasks run at once; `null`: any number again.
    pub tasks: Option<u32>,
}

/// `image`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// Whose version; not needed with one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which version.
    pub version: String,
    /// What becomes of its image.
    pub becomes: ImageBecomes,
}

/// What becomes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImageBecomes {
    /// Its tag is deleted, and with its last tag the image.
    Gone,
    /// It is archived, and cannot be pulled.
    Archived,
    /// Its tag is moved to an image that is in no version.
    Another,
}

/// `stopExecution`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Which {
    /// Which deployment; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
}

/// `rewriteRoute`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RewriteRoute {
    /// Whose route; not needed with one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which of its routes, counted from 1.
    #[serde(default = "one")]
    pub route: usize,
    /// Weight of the blue slot's group, 0 to 999.
    pub blue: u16,
    /// Weight of the green slot's group, 0 to 999.
    pub green: u16,
}

/// `startDeployment`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartDeployment {
    /// Its name in this scenario.
    pub name: String,
    /// What to deploy, as the scenario's own `request`.
    pub request: Map<String, Value>,
}

/// What has no settings: `sweep: {}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

fn one() -> usize {
    1
}
