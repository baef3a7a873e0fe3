//! What ECS says about a service.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    Deployment, DeploymentControllerType, DeploymentRolloutState, DeploymentStrategy, LoadBalancer,
    ResourceManagementType, SchedulingStrategy, Service,
};
use glidepath_core::health::ServiceDeployment;
use glidepath_core::ids::{TargetGroupArn, TaskDefinition};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{
    Driver, EcsService, FailedDeployment, PortResult, Registration, Rollout, ServiceEvent,
};

use crate::error::incomplete;

const OPERATION: &str = "ecs:DescribeServices";

/// A service as it is now.
pub(super) fn found(service: &Service) -> PortResult<EcsService> {
    let driver = driver(service);
    let primary =
        service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
    let task_definition = match (&driver, primary) {
        (Driver::Rolling, Some(primary)) => {
            primary.task_definition().ok_or_else(|| incomplete(OPERATION, "taskDefinition"))?
        }
        (Driver::Rolling, None) => return Err(incomplete(OPERATION, "PRIMARY deployment")),
        // Of a service that is refused; with an external controller only its task sets have one.
        (
            Driver::Shifting(_) | Driver::Daemon | Driver::Express | Driver::Controller(_),
            Some(_) | None,
        ) => service.task_definition().unwrap_or_default(),
    };
    let gave_way = service.deployments().iter().filter(|other| other.status() != Some("PRIMARY"));
    Ok(EcsService {
        driver,
        desired_count: number(service.desired_count()),
        running_count: number(service.running_count()),
        task_definition: TaskDefinition::new(task_definition),
        rollout: primary.map_or(Rollout::InProgress { failed_tasks: 0 }, rollout),
        deployed_at: primary.and_then(Deployment::created_at).and_then(timestamp),
        gave_way: gave_way.filter_map(failed).collect(),
        deployments: u32::try_from(service.deployments().len()).unwrap_or(u32::MAX),
        target_groups: service.load_balancers().iter().filter_map(registration).collect(),
        events: events(service),
    })
}

fn registration(balancer: &LoadBalancer) -> Option<Registration> {
    let port = balancer.container_port().and_then(|port| u16::try_from(port).ok());
    Some(Registration {
        group: balancer.target_group_arn().map(TargetGroupArn::new)?,
        answers: balancer.container_name().map(str::to_owned).zip(port),
    })
}

/// Who brings the service to a new version. What is not said is what it has been for every service
/// since before it could be said.
fn driver(service: &Service) -> Driver {
    if service.resource_management_type() == Some(&ResourceManagementType::Ecs) {
        return Driver::Express;
    }
    match service.deployment_controller().map(|controller| controller.r#type()) {
        Some(DeploymentControllerType::Ecs) | None => {}
        Some(other) => return Driver::Controller(other.as_str().to_owned()),
    }
    if service.scheduling_strategy() == Some(&SchedulingStrategy::Daemon) {
        return Driver::Daemon;
    }
    match service.deployment_configuration().and_then(|configuration| configuration.strategy()) {
        Some(DeploymentStrategy::Rolling) | None => Driver::Rolling,
        // The three that there are, and whatever ECS adds.
        Some(other) => Driver::Shifting(other.as_str().to_owned()),
    }
}

fn rollout(primary: &Deployment) -> Rollout {
    match primary.rollout_state() {
        Some(DeploymentRolloutState::Completed) => Rollout::Completed,
        Some(DeploymentRolloutState::Failed) => Rollout::Failed(reason(primary)),
        // In progress, and whatever ECS adds: not completed.
        Some(_) | None => Rollout::InProgress { failed_tasks: number(primary.failed_tasks()) },
    }
}

fn reason(deployment: &Deployment) -> String {
    deployment.rollout_state_reason().unwrap_or("no reason given").to_owned()
}

fn failed(deployment: &Deployment) -> Option<FailedDeployment> {
    let failed = deployment.rollout_state() == Some(&DeploymentRolloutState::Failed);
    Some(FailedDeployment {
        task_definition: TaskDefinition::new(deployment.task_definition().filter(|_| failed)?),
        deployed_at: deployment.created_at().and_then(timestamp)?,
        reason: reason(deployment),
    })
}

/// Newest first: ECS does not say that it lists them so.
fn events(service: &Service) -> Vec<ServiceEvent> {
    let events = service.events().iter().filter_map(|event| {
        let at = event.created_at().and_then(timestamp)?;
        Some(ServiceEvent { at, message: event.message()?.to_owned() })
    });
    let mut events: Vec<_> = events.collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    events
}

/// The deployment that the service is at, as far as ECS says. Its list of deployments would say more,
/// but forgets them after 90 days.
pub(super) fn current_deployment(service: &Service) -> ServiceDeployment {
    let revision = match service.current_service_revisions() {
        [only] => only.arn().map(str::to_owned),
        // While one replaces another it cannot be told which is meant.
        [] | [_, _, ..] => None,
    };
    ServiceDeployment {
        arn: service.current_service_deployment().map(str::to_owned),
        service: service.service_arn().map(str::to_owned),
        revision,
    }
}

/// ECS counts in signed numbers that are never negative.
fn number(count: i32) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

pub(super) fn timestamp(instant: &DateTime) -> Option<Timestamp> {
    instant.to_millis().ok().map(Timestamp::from_millis)
}
