//! A scenario as a whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expectations::Expectations;
use super::fault::Fault;
use super::length::Length;
use super::receivers::{Manner, Receiver};
use super::script::{Action, Step};
use super::service::Service;

/// The name of the deployment that the scenario's own `request` starts.
pub const FIRST_DEPLOYMENT: &str = "first";

/// A scenario for Glidepath's lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in one sentence.
    pub title: String,
    /// The services, by name: at most 12 lower-case letters, digits and hyphens.
    pub services: BTreeMap<String, Service>,
    /// The request of the first deployment, in Glidepath's own format. What depends on the lab may
    /// be left out (`apiVersion`, `service` with only one service, `target`, `health.alarms`,
    /// `notify`) and is filled in; `release: {version: v2}` stands for the version's task
    /// definition. Without a request nothing is deployed until the script does it.
    #[serde(default)]
    pub request: Option<Map<String, Value>>,
    /// Who of those that are told does not take it as it should.
    #[serde(default)]
    pub receivers: BTreeMap<Receiver, Manner>,
    /// What goes wrong at AWS, from before the first deployment is started.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What else happens.
    #[serde(default)]
    pub script: Vec<Step>,
    /// What must be true in the end.
    #[serde(default)]
    pub expect: Expectations,
    /// How often the sweep runs. In an account it is a schedule, which cannot be faster than once a
    /// minute; in the lab the runner invokes the function. `0s`: never.
    #[serde(default = "two_seconds")]
    pub sweep_every: Length,
    /// How long the expectations may take to come true after everything has ended.
    #[serde(default = "a_minute")]
    pub patience: Length,
    /// The scenario fails when it takes longer than this.
    #[serde(default = "ten_minutes")]
    pub time_limit: Length,
    /// How the local AWS differs from an ideal one.
    #[serde(default)]
    pub aws: AwsSettings,
}

/// How the local AWS differs from an ideal one. Only for a lab that is started for this scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsSettings {
    /// How long a change of weights takes to reach the traffic after it was answered.
    #[serde(default)]
    pub routing_delay: Length,
    /// Whether the load balancing API throttles as AWS does.
    #[serde(default)]
    pub elb_throttling: bool,
    /// How the alarms of the services reach the rollback function.
    #[serde(default)]
    pub alarms_by: AlarmsBy,
    /// Decides the order of lists whose order AWS does not promise; without it, one of the local
    /// AWS's own.
    #[serde(default)]
    pub order_seed: Option<u32>,
    /// How long metrics can be read with periods below a minute; without it, three hours.
    #[serde(default)]
    pub sub_minute_retention: Option<Length>,
    /// How long ECS knows a service deployment; without it, 90 days.
    #[serde(default)]
    pub service_deployment_retention: Option<Length>,
    /// How long after its end an execution keeps its name; without it, 90 days.
    #[serde(default)]
    pub execution_name_retention: Option<Length>,
}

/// How alarms reach the rollback function; only this one way, so that a scenario shows it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AlarmsBy {
    /// By EventBridge's rule in the stack.
    #[default]
    Event,
    /// The alarms name the function as their action.
    Action,
    /// The alarms send messages to a topic to which the stack subscribes.
    Topic,
}

impl Scenario {
    /// Whether it changes what the lab was started with, so that nothing else can be played in it.
    pub(crate) fn changes_the_stack(&self) -> bool {
        self.script.iter().any(|step| match &step.action {
            Action::DeleteStateMachine(_) | Action::UpdateStack(_) => true,
            Action::Behave(_)
            | Action::SetAlarm(_)
            | Action::Approve(_)
            | Action::Reject(_)
            | Action::Glidepath(_)
            | Action::Scale(_)
            | Action::SetBounds(_)
            | Action::PlaceAtMost(_)
            | Action::Image(_)
            | Action::StopExecution(_)
            | Action::RewriteRoute(_)
            | Action::StartDeployment(_)
            | Action::Sweep(_)
            | Action::Fault(_)
            | Action::EndFaults(_) => false,
        })
    }

    /// Whether it needs another version of the product.
    pub(crate) fn updates_the_stack(&self) -> bool {
        self.script.iter().any(|step| matches!(step.action, Action::UpdateStack(_)))
    }

    /// Whether a person uses the command line in it.
    pub(crate) fn uses_the_command_line(&self) -> bool {
        self.script.iter().any(|step| match &step.action {
            Action::Approve(_) | Action::Reject(_) | Action::Glidepath(_) => true,
            Action::Behave(_)
            | Action::SetAlarm(_)
            | Action::StopExecution(_)
            | Action::RewriteRoute(_)
            | Action::Scale(_)
            | Action::SetBounds(_)
            | Action::PlaceAtMost(_)
            | Action::Image(_)
            | Action::StartDeployment(_)
            | Action::DeleteStateMachine(_)
            | Action::UpdateStack(_)
            | Action::Sweep(_)
            | Action::Fault(_)
            | Action::EndFaults(_) => false,
        })
    }

    /// The JSON Schema of scenario files.
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Every deployment that the scenario may start, by name, with its request.
    pub fn deployments(&self) -> Vec<(&str, &Map<String, Value>)> {
        let first = self.request.iter().map(|request| (FIRST_DEPLOYMENT, request));
        let others = self.script.iter().filter_map(|step| {
            let Action::StartDeployment(start) = &step.action else { return None };
            Some((start.name.as_str(), &start.request))
        });
        first.chain(others).collect()
    }

    /// Every fault that the scenario may ask for, with its name.
    pub fn asked_faults(&self) -> Vec<(String, &Fault)> {
        let listed = self.faults.iter().zip(1..);
        let listed = listed.map(|(fault, number)| (format!("fault {number}"), fault));
        let scripted = self.script.iter().zip(1..).filter_map(|(step, number)| {
            let Action::Fault(fault) = &step.action else { return None };
            Some((format!("step {number}"), fault))
        });
        listed.chain(scripted).collect()
    }

    /// The service that is meant: the named one, or the only one.
    pub fn service_named<'a>(&'a self, name: Option<&str>) -> Option<(&'a str, &'a Service)> {
        let mut services = self.services.iter();
        let found = match name {
            Some(name) => self.services.get_key_value(name),
            None => services.next().filter(|_| services.next().is_none()),
        };
        found.map(|(name, service)| (name.as_str(), service))
    }
}

fn two_seconds() -> Length {
    Length::seconds(2)
}

fn a_minute() -> Length {
    Length::seconds(60)
}

fn ten_minutes() -> Length {
    Length::seconds(600)
}
