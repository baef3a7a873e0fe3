//! Carries out a scenario's script.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_elasticloadbalancingv2::types::{ActionTypeEnum, TargetGroupTuple};
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::clients::Clients;
use crate::error::{Doing, LabError, LabResult};
use crate::matching::{Matcher, WeightIs};
use crate::people;
use crate::scenario::{
    Action, AlarmState, FIRST_DEPLOYMENT, RewriteRoute, RouteKind, Scale, SetAlarm, SetBounds,
    Step, complete_request,
};
use crate::scene::{Running, Scene};
use crate::stack::images;
use crate::stack::{CHANNELS, Glidepath, RouteResources, ServiceResources};
use crate::timeline::Event;

/// Waits for a step's moment and does it. Answers whether the moment came, which it may never do.
pub(crate) async fn step(scene: Arc<Scene>, number: usize, step: Step) {
    if let Some(at) = step.at {
        sleep(at.duration().saturating_sub(Duration::from_secs_f64(scene.timeline.now()))).await;
    }
    if let Some(happening) = &step.when {
        let mut matcher = Matcher::new(happening, WeightIs::ReadBack);
        let mut follower = scene.timeline.follow();
        while !matcher.sees(&follower.next().await) {}
        sleep(step.after.unwrap_or_default().duration()).await;
    }
    let error = act(&scene, number, &step.action).await.err().map(|error| error.to_string());
    let action = serde_json::to_string(&step.action).unwrap_or_default();
    scene.timeline.add(Event::Script { step: number, action, error });
}

async fn act(scene: &Scene, number: usize, action: &Action) -> LabResult<()> {
    match action {
        Action::Behave(behave) => {
            let resources = resources(scene, behave.service.as_deref())?;
            scene.behaviours.adjust(&resources.tag(&behave.version), behave)
        }
        Action::SetAlarm(set) => set_alarm(scene, set).await,
        Action::Approve(decide) => {
            let deployment = running(scene, decide.deployment.as_deref())?;
            people::answer(scene, &deployment, people::Answer::Approve, decide.reason.as_deref())
                .await
        }
        Action::Reject(decide) => {
            let deployment = running(scene, decide.deployment.as_deref())?;
            people::answer(scene, &deployment, people::Answer::Reject, decide.reason.as_deref())
                .await
        }
        Action::Glidepath(wanted) => people::run(scene, wanted).await,
        Action::Scale(scale) => self::scale(scene, scale).await,
        Action::SetBounds(set) => set_bounds(scene, set).await,
        Action::Image(image) => {
            let resources = resources(scene, image.service.as_deref())?;
            let tag = resources.tag(&image.version);
            images::change(&scene.clients, &tag, image.becomes).await
        }
        Action::PlaceAtMost(limit) => scene.control.place_at_most(limit.tasks).await,
        Action::StopExecution(which) => {
            let deployment = running(scene, which.deployment.as_deref())?;
            let stop = scene.clients.sfn.stop_execution().execution_arn(&deployment.execution);
            stop.error("Stopped")
                .cause("stopped by the scenario")
                .send()
                .await
                .doing("stopping the execution")?;
            Ok(())
        }
        Action::DeleteStateMachine(_) => {
            let machine = scene.glidepath.state_machine()?;
            let delete = scene.clients.sfn.delete_state_machine().state_machine_arn(machine);
            delete.send().await.doing("deleting the state machine")?;
            Ok(())
        }
        Action::UpdateStack(_) => scene.glidepath.update(&scene.clients).await,
        Action::RewriteRoute(rewrite) => rewrite_route(scene, rewrite).await,
        Action::StartDeployment(start) => {
            start_deployment(scene, &start.name, &start.request).await
        }
        Action::Sweep(_) => sweep(&scene.clients, &scene.glidepath).await,
        Action::Fault(fault) => scene.control.add_faults([(format!("step {number}"), fault)]).await,
        Action::EndFaults(_) => scene.control.end_faults().await,
    }
}

fn resources<'a>(scene: &'a Scene, name: Option<&str>) -> LabResult<&'a ServiceResources> {
    let found = scene.scenario.service_named(name).and_then(|(name, _)| scene.services.get(name));
    found.ok_or_else(|| LabError::new("there is no such service"))
}

fn running(scene: &Scene, name: Option<&str>) -> LabResult<Running> {
    let name = name.unwrap_or(FIRST_DEPLOYMENT);
    let found = scene.state().deployments.get(name).cloned();
    found.ok_or_else(|| LabError::new(format!("deployment `{name}` was not started yet")))
}

async fn set_alarm(scene: &Scene, set: &SetAlarm) -> LabResult<()> {
    let resources = resources(scene, set.service.as_deref())?;
    let state = match set.state {
        AlarmState::Ok => StateValue::Ok,
        AlarmState::Alarm => StateValue::Alarm,
        AlarmState::InsufficientData => StateValue::InsufficientData,
    };
    scene
        .clients
        .cloudwatch
        .set_alarm_state()
        .alarm_name(resources.alarm_name(set.alarm))
        .state_value(state)
        .state_reason(set.reason.as_deref().unwrap_or("set by the scenario"))
        .send()
        .await
        .doing("setting the alarm")?;
    Ok(())
}

/// What an autoscaler does, or a person at the console.
async fn scale(scene: &Scene, scale: &Scale) -> LabResult<()> {
    let resources = resources(scene, scale.service.as_deref())?;
    let doing = "scaling the ECS service";
    let update = scene.clients.ecs.update_service().cluster(&resources.cluster);
    let update = update.service(resources.ecs_service(scale.slot));
    update.desired_count(i32::try_from(scale.tasks).doing(doing)?).send().await.doing(doing)?;
    Ok(())
}

/// What a person does, or an infrastructure tool.
async fn set_bounds(scene: &Scene, set: &SetBounds) -> LabResult<()> {
    let resources = resources(scene, set.service.as_deref())?;
    let doing = "setting the bounds of the ECS service";
    let bound = |tasks: Option<u32>| tasks.map(i32::try_from).transpose().doing(doing);
    let register = scene.clients.autoscaling.register_scalable_target();
    let id = format!("service/{}/{}", resources.cluster, resources.ecs_service(set.slot));
    register
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_id(id)
        .set_min_capacity(bound(set.minimum)?)
        .set_max_capacity(bound(set.maximum)?)
        .send()
        .await
        .doing(doing)?;
    Ok(())
}

/// Writes weights as a stranger would: the last action, with nothing else changed.
async fn rewrite_route(scene: &Scene, rewrite: &RewriteRoute) -> LabResult<()> {
    let doing = "rewriting the route";
    let resources = resources(scene, rewrite.service.as_deref())?;
    let missing = || LabError::new("the route does not exist any more");
    let route = resources.routes.get(rewrite.route - 1).ok_or_else(missing)?;
    let elb = &scene.clients.elb;
    match route.kind {
        RouteKind::Rule => {
            let found = elb.describe_rules().rule_arns(&route.arn).send().await.doing(doing)?;
            let rule = found.rules.unwrap_or_default().into_iter().next().ok_or_else(missing)?;
            let actions = with_weights(rule.actions.unwrap_or_default(), route, rewrite);
            elb.modify_rule()
                .rule_arn(&route.arn)
                .set_actions(Some(actions))
                .send()
                .await
                .doing(doing)?;
        }
        RouteKind::Listener => {
            let found =
                elb.describe_listeners().listener_arns(&route.arn).send().await.doing(doing)?;
            let listener =
                found.listeners.unwrap_or_default().into_iter().next().ok_or_else(missing)?;
            let actions =
                with_weights(listener.default_actions.unwrap_or_default(), route, rewrite);
            let modify = elb.modify_listener().listener_arn(&route.arn);
            modify.set_default_actions(Some(actions)).send().await.doing(doing)?;
        }
    }
    Ok(())
}

fn with_weights(
    mut actions: Vec<aws_sdk_elasticloadbalancingv2::types::Action>,
    route: &RouteResources,
    rewrite: &RewriteRoute,
) -> Vec<aws_sdk_elasticloadbalancingv2::types::Action> {
    let group = |arn: &str, weight: u16| {
        TargetGroupTuple::builder().target_group_arn(arn).weight(i32::from(weight)).build()
    };
    for action in &mut actions {
        if action.r#type == Some(ActionTypeEnum::Forward)
            && let Some(forward) = &mut action.forward_config
        {
            // AWS refuses the short form beside two groups.
            action.target_group_arn = None;
            forward.target_groups =
                Some(vec![group(&route.blue, rewrite.blue), group(&route.green, rewrite.green)]);
        }
        if let Some(oidc) = &mut action.authenticate_oidc_config {
            oidc.use_existing_client_secret = Some(true);
        }
    }
    actions
}

/// Starts the execution that carries a deployment.
pub(crate) async fn start_deployment(
    scene: &Scene,
    name: &str,
    request: &Map<String, Value>,
) -> LabResult<()> {
    let doing = format!("starting deployment `{name}`");
    let complete = complete_request(request, &scene.services, &CHANNELS)
        .map_err(|error| LabError::new(error.to_string()))?;
    let service = complete.get("service").and_then(Value::as_str);
    let service =
        service.filter(|service| scene.services.contains_key(*service)).map(str::to_owned);
    let stable = service.as_deref().and_then(|service| scene.serving(service));
    // Unique within a lab: Step Functions takes each name once.
    let id = format!("{name}-{}", scene.number);
    let machine = scene.glidepath.state_machine()?;
    let execution = format!("{}:{id}", machine.replacen(":stateMachine:", ":execution:", 1));
    // Known before it is started, so that none of its events is a stranger's.
    scene.state().begins(name, execution.clone(), service.clone(), stable);
    let deployment = name.to_owned();
    scene.timeline.add(Event::Started { deployment, service, execution: id.clone(), stable });
    let start = scene.clients.sfn.start_execution().state_machine_arn(machine).name(&id);
    let started = start.input(complete.to_string()).send().await;
    if started.is_err()
        && let Some(running) = scene.state().deployments.get_mut(name)
    {
        running.ended = true;
    }
    started.doing(doing)?;
    Ok(())
}

/// Invokes the sweep as its schedule would.
pub(crate) async fn sweep(clients: &Clients, glidepath: &Glidepath) -> LabResult<()> {
    let invoke = clients.lambda.invoke().function_name(glidepath.sweep_function()?);
    let answer = invoke.send().await.doing("invoking the sweep")?;
    match answer.function_error() {
        None => Ok(()),
        Some(_) => {
            let payload = answer.payload().map(|payload| payload.as_ref()).unwrap_or_default();
            Err(LabError::new(format!("the sweep failed: {}", String::from_utf8_lossy(payload))))
        }
    }
}

/// Invokes the sweep again and again, as its schedule would if schedules were fast enough.
pub(crate) async fn keep_sweeping(scene: Arc<Scene>) {
    let every = scene.scenario.sweep_every.duration();
    if every.is_zero() {
        return;
    }
    loop {
        sleep(every).await;
        if let Err(error) = sweep(&scene.clients, &scene.glidepath).await {
            scene.timeline.add(Event::SweepFailed { error: error.to_string() });
        }
    }
}
