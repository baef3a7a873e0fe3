//! What AWS answers when it is asked: weights read back and tasks.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_applicationautoscaling::types::{ScalableTarget, ServiceNamespace, SuspendedState};
use aws_sdk_elasticloadbalancingv2::types::Action;
use tokio::time::{MissedTickBehavior, interval};

use super::journal::percent;
use crate::clients::Clients;
use crate::scenario::{RouteKind, Slot};
use crate::scene::Scene;
use crate::stack::{RouteResources, ServiceResources};
use crate::timeline::Event;

const LOOK_AT_WEIGHTS: Duration = Duration::from_millis(200);
const LOOK_AT_TASKS: Duration = Duration::from_millis(400);

/// Tells of every change of the weights of a service's routes, for ever.
pub(super) async fn follow_weights(scene: Arc<Scene>, service: String) {
    let Some(resources) = scene.services.get(&service) else { return };
    let mut ticks = ticks(LOOK_AT_WEIGHTS * crowd(&scene));
    loop {
        ticks.tick().await;
        for (route, number) in resources.routes.iter().zip(1..) {
            // What cannot be read now is read at the next tick.
            let Some(actions) = actions(&scene.clients, route).await else { continue };
            let (blue, green) = weights(&actions, resources, number);
            let key = (service.clone(), number);
            let before = scene.state().weights.insert(key, (blue, green));
            if before != Some((blue, green)) {
                let service = service.clone();
                scene.timeline.add(Event::WeightsRead { service, route: number, blue, green });
            }
        }
    }
}

async fn actions(clients: &Clients, route: &RouteResources) -> Option<Vec<Action>> {
    match route.kind {
        RouteKind::Rule => {
            let found = clients.elb.describe_rules().rule_arns(&route.arn).send().await.ok()?;
            Some(found.rules?.into_iter().next()?.actions.unwrap_or_default())
        }
        RouteKind::Listener => {
            let found = clients.elb.describe_listeners().listener_arns(&route.arn).send();
            Some(
                found
                    .await
                    .ok()?
                    .listeners?
                    .into_iter()
                    .next()?
                    .default_actions
                    .unwrap_or_default(),
            )
        }
    }
}

fn weights(actions: &[Action], resources: &ServiceResources, number: usize) -> (f64, f64) {
    let groups = actions
        .iter()
        .filter_map(|action| action.forward_config())
        .flat_map(|forward| forward.target_groups());
    let (mut blue, mut green) = (0.0, 0.0);
    for group in groups {
        // A group without a weight has 1.
        let weight = f64::from(group.weight().unwrap_or(1));
        let arn = group.target_group_arn().unwrap_or_default();
        match resources.slot_of_group(arn) {
            Some((route, Slot::Blue)) if route + 1 == number => blue += weight,
            Some((route, Slot::Green)) if route + 1 == number => green += weight,
            Some(_) | None => {}
        }
    }
    percent(blue, green)
}

/// Tells of every change of the tasks of a service, for ever.
pub(super) async fn follow_tasks(scene: Arc<Scene>, service: String) {
    let Some(resources) = scene.services.get(&service) else { return };
    let mut ticks = ticks(LOOK_AT_TASKS * crowd(&scene));
    let mut before: [Option<(u32, u32, String)>; 2] = [None, None];
    loop {
        ticks.tick().await;
        let names = Slot::BOTH.map(|slot| resources.ecs_service(slot));
        let described = scene
            .clients
            .ecs
            .describe_services()
            .cluster(&resources.cluster)
            .set_services(Some(names.to_vec()))
            .send()
            .await;
        let Ok(described) = described else { continue };
        for ((slot, name), before) in Slot::BOTH.into_iter().zip(&names).zip(&mut before) {
            let found =
                described.services().iter().find(|found| found.service_name() == Some(name));
            let Some(found) = found else { continue };
            let count = |count: i32| u32::try_from(count).unwrap_or(0);
            let version = version(resources, found.task_definition().unwrap_or_default());
            let now = (count(found.desired_count()), count(found.running_count()), version);
            if before.as_ref() != Some(&now) {
                *before = Some(now.clone());
                let (desired, running, version) = now;
                let service = service.clone();
                scene.timeline.add(Event::Tasks { service, slot, desired, running, version });
            }
        }
    }
}

/// Tells of every change of a service's scaling settings, for ever; of none where nothing scales it.
pub(super) async fn follow_scaling(scene: Arc<Scene>, service: String) {
    const TARGET: &str = "AWS::ApplicationAutoScaling::ScalableTarget";
    let Some(resources) = scene.services.get(&service) else { return };
    let own = scene.scenario.services.get(&service).map(|service| service.resources.values());
    if !own.into_iter().flatten().any(|resource| resource["Type"] == TARGET) {
        return;
    }
    let mut ticks = ticks(LOOK_AT_TASKS);
    let ids = Slot::BOTH
        .map(|slot| format!("service/{}/{}", resources.cluster, resources.ecs_service(slot)));
    let mut before: [Option<String>; 2] = [None, None];
    loop {
        ticks.tick().await;
        let describe = scene.clients.autoscaling.describe_scalable_targets();
        let described = describe
            .service_namespace(ServiceNamespace::Ecs)
            .set_resource_ids(Some(ids.to_vec()))
            .send()
            .await;
        let Ok(described) = described else { continue };
        for ((slot, id), before) in Slot::BOTH.into_iter().zip(&ids).zip(&mut before) {
            let found = described.scalable_targets().iter().find(|found| found.resource_id == *id);
            let Some(now) = found.map(settings) else { continue };
            if before.as_ref() != Some(&now) {
                *before = Some(now.clone());
                let (service, settings) = (service.clone(), now);
                scene.timeline.add(Event::Scaling { service, slot, settings });
            }
        }
    }
}

/// In words: `0-8 scaleIn scheduled`.
fn settings(found: &ScalableTarget) -> String {
    let bounds = format!("{}-{}", found.min_capacity, found.max_capacity);
    let suspended = found.suspended_state.as_ref();
    let flag = |of: fn(&SuspendedState) -> Option<bool>| suspended.and_then(of).unwrap_or_default();
    let flags = [
        (flag(|state| state.dynamic_scaling_in_suspended), " scaleIn"),
        (flag(|state| state.dynamic_scaling_out_suspended), " scaleOut"),
        (flag(|state| state.scheduled_scaling_suspended), " scheduled"),
    ];
    let named = flags.into_iter().filter(|(is, _)| *is).map(|(_, name)| name);
    std::iter::once(bounds.as_str()).chain(named).collect()
}

/// The version of a task definition; its own name if the scenario did not make it.
fn version(resources: &ServiceResources, task_definition: &str) -> String {
    let known = resources.task_definitions.iter();
    known.clone().find(|(_, arn)| arn.as_str() == task_definition).map_or_else(
        || task_definition.rsplit('/').next().unwrap_or(task_definition).to_owned(),
        |(version, _)| version.clone(),
    )
}

/// Many services are looked at more rarely, or nothing else would be done.
fn crowd(scene: &Scene) -> u32 {
    const LOOKED_AT_AS_OFTEN_AS_CAN_BE: usize = 4;
    let crowd = scene.services.len().div_ceil(LOOKED_AT_AS_OFTEN_AS_CAN_BE).max(1);
    u32::try_from(crowd).unwrap_or(u32::MAX)
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    // A slow answer must not be followed by a burst of questions.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
