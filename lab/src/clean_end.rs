//! What must be true after every run, whatever went wrong in it: traffic on one healthy slot, nothing
//! locked, nothing due, nothing left scaled up, one terminal record for each deployment, no secret
//! anywhere.

mod secrets;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use serde_json::Value;

use crate::check::Finding;
use crate::control::Control;
use crate::error::{Doing, LabResult};
use crate::scenario::Slot;
use crate::scene::Scene;
use crate::stack::ServiceResources;
use crate::timeline::Event;

pub(crate) use secrets::{Places, no_secrets};

/// Notices that end a deployment.
const TERMINAL: [&str; 3] = ["succeeded", "rolledBack", "abandoned"];
const SUCCEEDED: &str = "succeeded";

/// Everything that can still come true, and so may be asked again. Nothing unless the scenario
/// expects a clean end.
pub(crate) async fn look(scene: &Scene) -> LabResult<Vec<Finding>> {
    if !scene.scenario.expect.clean_end {
        return Ok(Vec::new());
    }
    let registry = Registry::read(scene).await?;
    let mut findings = registry.findings(scene);
    for (name, resources) in &scene.services {
        let serving = serving(scene, name);
        let expected = format!("clean end: one slot of `{name}` has all the traffic");
        findings.push(Finding::new(expected, serving.is_some(), weights(scene, name)));
        let Some(serving) = serving else { continue };
        findings.push(registry.is_where_it_ended(scene, name, serving));
        findings.extend(slots(scene, resources, serving).await?);
    }
    Ok(findings)
}

/// The slot that has all the traffic of all routes.
fn serving(scene: &Scene, service: &str) -> Option<Slot> {
    let state = scene.state();
    let routes: BTreeSet<Option<Slot>> = state
        .weights
        .iter()
        .filter(|((of, _), _)| of == service)
        .map(|(_, (blue, green))| match (*blue > 0.0, *green > 0.0) {
            (true, false) => Some(Slot::Blue),
            (false, true) => Some(Slot::Green),
            (true, true) | (false, false) => None,
        })
        .collect();
    let mut routes = routes.into_iter();
    routes.next().flatten().filter(|_| routes.next().is_none())
}

fn weights(scene: &Scene, service: &str) -> String {
    let state = scene.state();
    let of_service = state.weights.iter().filter(|((of, _), _)| of == service);
    let weights: Vec<_> = of_service.map(|(_, weights)| *weights).collect();
    format!("(blue, green) {weights:?}")
}

async fn slots(
    scene: &Scene,
    resources: &ServiceResources,
    serving: Slot,
) -> LabResult<Vec<Finding>> {
    let doing = "looking at the slots";
    let name = &resources.name;
    let mut findings = Vec::new();
    for slot in Slot::BOTH {
        let described = scene.clients.ecs.describe_services().cluster(&resources.cluster);
        let described =
            described.services(resources.ecs_service(slot)).send().await.doing(doing)?;
        let (desired, running) = described
            .services()
            .first()
            .map_or((0, 0), |service| (service.desired_count(), service.running_count()));
        let found = format!("{running} of {desired} run");
        if slot == serving {
            let tasks = scene.scenario.services.get(name).map_or(1, |service| service.tasks);
            let all = i32::try_from(tasks).is_ok_and(|tasks| desired == tasks && running == tasks);
            let expected =
                format!("clean end: {slot} of `{name}` has traffic and {tasks} tasks run");
            findings.push(Finding::new(expected, all, found));
        } else {
            let expected = format!("clean end: {slot} of `{name}` has no traffic and no tasks");
            findings.push(Finding::new(expected, desired == 0 && running == 0, found));
        }
    }
    for route in &resources.routes {
        let health = scene.clients.elb.describe_target_health();
        let health = health.target_group_arn(route.group(serving)).send().await.doing(doing)?;
        let states = health.target_health_descriptions().iter();
        let states = states.filter_map(|target| target.target_health()?.state());
        let healthy = states.filter(|state| **state == TargetHealthStateEnum::Healthy).count();
        let expected =
            format!("clean end: {serving} of `{name}` is healthy where its traffic goes");
        findings.push(Finding::new(expected, healthy > 0, "no healthy target"));
    }
    Ok(findings)
}

/// Whether the registry holds nothing that anybody would still have to do something about.
pub(crate) async fn nothing_is_left(control: &Control, table: &str) -> LabResult<bool> {
    let mut registry = Registry::default();
    for item in control.items(table).await? {
        registry.take(&item, &Ids::All);
    }
    Ok(registry.left.is_empty())
}

/// Whose items are looked at.
enum Ids {
    These(BTreeSet<String>),
    All,
}

impl Ids {
    fn contain(&self, id: &str) -> bool {
        match self {
            Self::These(ids) => ids.contains(id),
            Self::All => true,
        }
    }
}

/// What the registry holds of the scenario's deployments.
#[derive(Default)]
struct Registry {
    /// By the id of the deployment: whether anything of it is still due.
    open: BTreeMap<String, bool>,
    /// By the id of the deployment: its terminal notices.
    terminal: BTreeMap<String, Vec<String>>,
    /// Whatever should be gone, in words.
    left: Vec<String>,
}

impl Registry {
    async fn read(scene: &Scene) -> LabResult<Self> {
        let ids = {
            let state = scene.state();
            state.deployments.values().map(|running| running.id().to_owned()).collect()
        };
        let ids = Ids::These(ids);
        let mut registry = Self::default();
        for item in scene.control.items(scene.glidepath.table()?).await? {
            registry.take(&item, &ids);
        }
        Ok(registry)
    }

    fn take(&mut self, item: &Value, ids: &Ids) {
        let text = |name: &str| item.get(name)?.get("S")?.as_str();
        let ours = |name: &str| text(name).filter(|id| ids.contain(id));
        let (Some(partition), Some(sort)) = (text("pk"), text("sk")) else { return };
        let due = item.get("due").is_some();
        if let Some(id) = partition.strip_prefix("deployment#").filter(|id| ids.contain(id)) {
            if sort == "deployment" {
                let phase = text("phase").unwrap_or_default();
                self.open.insert(id.to_owned(), due);
                if due {
                    self.left.push(format!("deployment {id} is in phase {phase}"));
                }
            } else if sort.starts_with("notice#") {
                if due {
                    self.left.push(format!("{sort} of {id} is not delivered everywhere"));
                }
                let name = text("document").and_then(event_name);
                let terminal = name.filter(|name| TERMINAL.contains(&name.as_str()));
                self.terminal.entry(id.to_owned()).or_default().extend(terminal);
            }
        } else if let Some(key) = partition.strip_prefix("lock#") {
            if let Some(holder) = ours("holder") {
                self.left.push(format!("{holder} holds the lock of {key}"));
            }
        } else if partition.starts_with("alarm#") {
            for attribute in item.as_object().into_iter().flat_map(|members| members.keys()) {
                match attribute.split_once(':') {
                    Some(("binding", id)) if ids.contain(id) => {
                        self.left.push(format!("{id} is bound to {partition}"));
                    }
                    Some(("intent", id)) => {
                        self.left.push(format!("intent {id} is left on {partition}"));
                    }
                    Some(_) | None => {}
                }
            }
        } else if partition.starts_with("retirement#")
            && let Some(id) = ours("deployment")
        {
            self.left.push(format!("the old slot of {id} is not retired yet"));
        }
    }

    fn findings(&self, scene: &Scene) -> Vec<Finding> {
        let mut findings = vec![Finding::new(
            "clean end: nothing is locked, bound, due or undelivered",
            self.left.is_empty(),
            self.left.join("; "),
        )];
        let deployments = scene.state().deployments.clone();
        for (name, running) in deployments {
            // One that was refused left nothing.
            if !self.open.contains_key(running.id()) {
                continue;
            }
            let records = self.terminal.get(running.id()).map(Vec::as_slice).unwrap_or_default();
            let expected = format!("clean end: deployment `{name}` has one terminal record");
            findings.push(Finding::new(expected, records.len() == 1, records.join(", ")));
            let told = terminal_notices(scene, &name);
            let expected = format!("clean end: deployment `{name}` tells its end once");
            findings.push(Finding::new(expected, told.len() == 1, format!("{told:?}")));
        }
        findings
    }

    /// The slot with the traffic is the one that the last deployment of the service ended on. One
    /// that was refused left everything as it was.
    fn is_where_it_ended(&self, scene: &Scene, service: &str, serving: Slot) -> Finding {
        let expected = format!("clean end: the traffic of `{service}` is where its record says");
        let state = scene.state();
        let last = state
            .deployments
            .values()
            .filter(|running| running.service.as_deref() == Some(service))
            .filter(|running| self.open.contains_key(running.id()))
            .max_by_key(|running| running.number);
        let Some(last) = last else {
            let initially = scene.scenario.services.get(service).map(|service| service.serving);
            let found = format!("{serving} although nothing was deployed");
            return Finding::new(expected, initially == Some(serving), found);
        };
        let records = self.terminal.get(last.id()).map(Vec::as_slice).unwrap_or_default();
        let succeeded = records.iter().any(|record| record == SUCCEEDED);
        let stays = last.stable == Some(serving);
        let found = format!("{serving} after {} of {}", records.join(", "), last.id());
        Finding::new(expected, succeeded != stays, found)
    }
}

/// The name of a notice from its document.
pub(crate) fn event_name(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    match document.get("event")? {
        Value::String(name) => Some(name.clone()),
        Value::Object(members) => members.keys().next().cloned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// The terminal notices that arrived, each once however often it came.
fn terminal_notices(scene: &Scene, deployment: &str) -> BTreeMap<u64, String> {
    scene.timeline.look(|events| {
        let notices = events.iter().filter_map(|observed| {
            let Event::Notice { deployment: of, name, sequence, .. } = &observed.event else {
                return None;
            };
            let name = name.as_ref().filter(|name| TERMINAL.contains(&name.as_str()))?;
            (of == deployment).then_some(((*sequence)?, name.clone()))
        });
        notices.collect()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registry(items: &[Value]) -> Registry {
        let ids = Ids::These(BTreeSet::from(["first-1".to_owned()]));
        let mut registry = Registry::default();
        items.iter().for_each(|item| registry.take(item, &ids));
        registry
    }

    #[test]
    fn what_is_left_is_told() {
        let lock = json!({ "pk": { "S": "lock#route#a" }, "sk": { "S": "lock" }, "holder": { "S": "first-1" } });
        let others = json!({ "pk": { "S": "lock#route#b" }, "sk": { "S": "lock" }, "holder": { "S": "first-11" } });
        let alarm = json!({ "pk": { "S": "alarm#a" }, "sk": { "S": "alarm" }, "binding:first-1": { "S": "{}" } });
        let dead =
            json!({ "pk": { "S": "alarm#b" }, "sk": { "S": "alarm" }, "intent:i1": { "S": "{}" } });
        let left = registry(&[lock, others, alarm, dead]).left;
        let told = [
            "first-1 holds the lock of route#a",
            "first-1 is bound to alarm#a",
            "intent i1 is left on alarm#b",
        ];
        assert_eq!(left, told);
    }

    #[test]
    fn terminal_records_are_counted() {
        let notice = |number: u32, event: Value| {
            json!({
                "pk": { "S": "deployment#first-1" },
                "sk": { "S": format!("notice#{number:06}") },
                "document": { "S": json!({ "event": event }).to_string() },
            })
        };
        let found = registry(&[
            notice(1, json!("started")),
            notice(2, json!({ "rolledBack": {} })),
            notice(3, json!("succeeded")),
        ]);
        assert_eq!(found.terminal["first-1"], ["rolledBack", "succeeded"]);
        assert!(found.left.is_empty());
    }
}
