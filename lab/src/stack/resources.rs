//! Names and ARNs of what the lab created for one service.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::scenario::{AlarmName, RouteKind, Slot};

/// What there is of one service.
#[derive(Clone, Debug)]
pub struct ServiceResources {
    /// The service's name in the scenario.
    pub name: String,
    /// Name of the ECS cluster.
    pub cluster: String,
    /// What the names of its resources begin with; unique within a lab.
    pub prefix: String,
    /// Every route, in the order of the scenario.
    pub routes: Vec<RouteResources>,
    /// ARN of the load balancer.
    pub load_balancer: String,
    /// ARN of the task definition of each version.
    pub task_definitions: BTreeMap<String, String>,
    alarms: BTreeMap<AlarmName, String>,
    /// What `Ref` answers for each resource that the scenario adds.
    further: BTreeMap<String, String>,
}

/// What there is of one route.
#[derive(Clone, Debug)]
pub struct RouteResources {
    pub kind: RouteKind,
    /// ARN of the rule or listener.
    pub arn: String,
    /// ARN of the blue slot's target group.
    pub blue: String,
    /// ARN of the green slot's target group.
    pub green: String,
    /// Where clients send their requests.
    pub url: String,
}

impl RouteResources {
    /// As requests name it.
    pub fn reference(&self) -> Value {
        match self.kind {
            RouteKind::Rule => json!({ "rule": self.arn }),
            RouteKind::Listener => json!({ "listener": self.arn }),
        }
    }

    pub fn group(&self, slot: Slot) -> &str {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }
}

impl ServiceResources {
    /// Gathers them from the outputs of the service's stack.
    pub(crate) fn from_outputs(
        name: &str,
        prefix: &str,
        service: &crate::scenario::Service,
        outputs: &BTreeMap<String, String>,
    ) -> Result<Self, MissingOutput> {
        let output = |key: &str| {
            outputs.get(key).cloned().ok_or_else(|| MissingOutput { key: key.to_owned() })
        };
        let address = output("Address")?;
        let routes = service
            .routes
            .iter()
            .zip(1..)
            .map(|(route, number)| {
                Ok(RouteResources {
                    kind: route.kind,
                    arn: output(&format!("Route{number}"))?,
                    blue: output(&format!("BlueGroup{number}"))?,
                    green: output(&format!("GreenGroup{number}"))?,
                    url: super::names::route_url(&address, number, route.kind),
                })
            })
            .collect::<Result<_, MissingOutput>>()?;
        let alarms = AlarmName::ALL
            .into_iter()
            .map(|alarm| Ok((alarm, output(super::names::alarm_output(alarm))?)))
            .collect::<Result<_, MissingOutput>>()?;
        let task_definitions = service
            .versions
            .keys()
            .map(|version| {
                Ok((version.clone(), output(&super::names::task_definition_id(version))?))
            })
            .collect::<Result<_, MissingOutput>>()?;
        let further = service
            .resources
            .keys()
            .filter_map(|id| {
                let found = outputs.get(&super::names::further_output(id))?;
                Some((id.clone(), found.clone()))
            })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            cluster: prefix.to_owned(),
            prefix: prefix.to_owned(),
            routes,
            load_balancer: output("LoadBalancer")?,
            task_definitions,
            alarms,
            further,
        })
    }

    /// What the names of a service's resources begin with, in the `number`th scenario of a lab.
    pub fn prefix_of(name: &str, number: usize) -> String {
        // The first is for people to look at (`cargo lab up`), so it is called as the service is.
        if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
    }

    /// The image tag of a version: unique within a lab, because all share one behaviours file.
    pub fn tag_of(prefix: &str, version: &str) -> String {
        format!("{prefix}-{version}")
    }

    /// Name of the ECS service of a slot.
    pub fn ecs_service(&self, slot: Slot) -> String {
        format!("{}-{slot}", self.prefix)
    }

    /// ARN of an alarm.
    pub fn alarm(&self, alarm: AlarmName) -> &str {
        self.alarms.get(&alarm).map_or("", String::as_str)
    }

    pub fn alarm_name(&self, alarm: AlarmName) -> String {
        format!("{}-{}-errors", self.prefix, alarm.name())
    }

    /// The tag under which the example application knows a version.
    pub fn tag(&self, version: &str) -> String {
        Self::tag_of(&self.prefix, version)
    }

    /// The slot that a target group of it belongs to, with the number of its route, from 0.
    pub fn slot_of_group(&self, group: &str) -> Option<(usize, Slot)> {
        self.routes.iter().enumerate().find_map(|(index, route)| {
            Slot::BOTH
                .into_iter()
                .find(|slot| route.group(*slot) == group)
                .map(|slot| (index, slot))
        })
    }

    /// What `${...}` in a request can stand for.
    pub fn placeholders(&self) -> impl Iterator<Item = (String, &str)> {
        let name = &self.name;
        let versions = self
            .task_definitions
            .iter()
            .map(move |(version, arn)| (format!("{name}.version.{version}"), arn.as_str()));
        let alarms = self
            .alarms
            .iter()
            .map(move |(alarm, arn)| (format!("{name}.alarm.{}", alarm.name()), arn.as_str()));
        let routes = self.routes.iter().zip(1..).flat_map(move |(route, number)| {
            [
                (format!("{name}.route{number}"), route.arn.as_str()),
                (format!("{name}.route{number}.blue"), route.blue.as_str()),
                (format!("{name}.route{number}.green"), route.green.as_str()),
            ]
        });
        // The ECS services are called `CLUSTER-blue` and `CLUSTER-green`.
        let cluster = std::iter::once((format!("{name}.cluster"), self.cluster.as_str()));
        let urls =
            self.routes.iter().zip(1..).map(move |(route, number)| {
                (format!("{name}.route{number}.url"), route.url.as_str())
            });
        let further = self
            .further
            .iter()
            .map(move |(id, found)| (format!("{name}.resource.{id}"), found.as_str()));
        cluster.chain(versions).chain(alarms).chain(routes).chain(urls).chain(further)
    }
}

/// The example's own template lacks something.
#[derive(Debug, thiserror::Error)]
#[error("the stack of the example has no output `{key}`")]
pub(crate) struct MissingOutput {
    key: String,
}
