//! ECS services and their tasks.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{
    DeploymentRolloutState, DesiredStatus, Service, Task, TaskDefinitionStatus, TaskStopCode,
};
use glidepath_core::health::{ServiceDeployment, StoppedTask};
use glidepath_core::ids::{ClusterName, EcsServiceName, TargetGroupArn, TaskDefinition};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{Containers, EcsService, PortError, PortResult, Rollout, ScaleTo};

use crate::clients::Clients;
use crate::error::{code, incomplete, port_error};

const DEPLOYMENTS: &str = "ecs:ListServiceDeployments";

/// Most tasks that one DescribeTasks call takes.
const TASKS_PER_CALL: usize = 100;

/// [`Containers`] by ECS.
#[derive(Clone, Debug)]
pub struct ElasticContainers {
    reading: Client,
    writing: Client,
}

impl ElasticContainers {
    /// In the configured region.
    pub fn new(clients: &Clients) -> Self {
        Self { reading: Client::new(clients.reading()), writing: Client::new(clients.writing()) }
    }

    /// ARNs of the tasks of a service that have stopped; ECS keeps them for about an hour.
    async fn stopped(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> PortResult<Vec<String>> {
        let mut arns = Vec::new();
        let mut page = None;
        loop {
            let call = self
                .reading
                .list_tasks()
                .cluster(cluster.as_str())
                .service_name(service.as_str())
                .desired_status(DesiredStatus::Stopped)
                .set_next_token(page);
            let listed = call.send().await.map_err(|error| port_error("ecs:ListTasks", error))?;
            arns.extend_from_slice(listed.task_arns());
            page = listed.next_token;
            if page.is_none() {
                return Ok(arns);
            }
        }
    }
}

impl Containers for ElasticContainers {
    async fn service(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> PortResult<Option<EcsService>> {
        let call =
            self.reading.describe_services().cluster(cluster.as_str()).services(service.as_str());
        match call.send().await {
            Ok(described) => {
                let active = |service: &&Service| service.status() == Some("ACTIVE");
                described.services().iter().find(active).map(found).transpose()
            }
            Err(error) if code(&error) == Some("ClusterNotFoundException") => Ok(None),
            Err(error) => Err(port_error("ecs:DescribeServices", error)),
        }
    }

    async fn task_definition(&self, name: &TaskDefinition) -> PortResult<Option<TaskDefinition>> {
        let described =
            self.reading.describe_task_definition().task_definition(name.as_str()).send().await;
        match described {
            Ok(described) => {
                let definition = described.task_definition.filter(|definition| {
                    definition.status() == Some(&TaskDefinitionStatus::Active)
                });
                Ok(definition
                    .and_then(|definition| definition.task_definition_arn)
                    .map(TaskDefinition::new))
            }
            // What ECS answers when there is no such family or revision.
            Err(error) if code(&error) == Some("ClientException") => Ok(None),
            Err(error) => Err(port_error("ecs:DescribeTaskDefinition", error)),
        }
    }

    async fn scale(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScaleTo,
    ) -> PortResult<()> {
        let desired_count = i32::try_from(to.desired_count).map_err(|_| PortError::Refused {
            operation: "ecs:UpdateService",
            detail: format!("{} tasks are more than ECS can count", to.desired_count),
        })?;
        let version = to.task_definition.as_ref().map(|version| version.as_str().to_owned());
        self.writing
            .update_service()
            .cluster(cluster.as_str())
            .service(service.as_str())
            .desired_count(desired_count)
            .set_task_definition(version)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("ecs:UpdateService", error))
    }

    async fn service_deployment(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> PortResult<Option<ServiceDeployment>> {
        let call = self
            .reading
            .list_service_deployments()
            .cluster(cluster.as_str())
            .service(service.as_str())
            .max_results(1);
        let listed = call.send().await.map_err(|error| port_error(DEPLOYMENTS, error))?;
        let Some(newest) = listed.service_deployments().first() else { return Ok(None) };
        let text = |value: Option<&str>, name| {
            value.map(str::to_owned).ok_or_else(|| incomplete(DEPLOYMENTS, name))
        };
        Ok(Some(ServiceDeployment {
            arn: text(newest.service_deployment_arn(), "serviceDeploymentArn")?,
            service: text(newest.service_arn(), "serviceArn")?,
            revision: text(newest.target_service_revision_arn(), "targetServiceRevisionArn")?,
        }))
    }

    async fn stopped_tasks(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
        since: Timestamp,
    ) -> PortResult<Vec<StoppedTask>> {
        let arns = self.stopped(cluster, service).await?;
        let mut stopped = Vec::new();
        for some in arns.chunks(TASKS_PER_CALL) {
            let call = self.reading.describe_tasks().cluster(cluster.as_str());
            let described = call.set_tasks(Some(some.to_vec())).send().await;
            let described = described.map_err(|error| port_error("ecs:DescribeTasks", error))?;
            stopped.extend(described.tasks().iter().filter_map(|task| {
                stopped_by_itself(task, task_definition).filter(|stopped| stopped.at >= since)
            }));
        }
        stopped.sort_by_key(|task| task.at);
        Ok(stopped)
    }
}

fn found(service: &Service) -> PortResult<EcsService> {
    let operation = "ecs:DescribeServices";
    let primary = service
        .deployments()
        .iter()
        .find(|deployment| deployment.status() == Some("PRIMARY"))
        .ok_or_else(|| PortError::Refused {
            operation,
            detail: format!(
                "service `{}` has no primary deployment: only the rolling deployment controller \
                 of ECS is supported",
                service.service_name().unwrap_or_default()
            ),
        })?;
    let task_definition =
        primary.task_definition().ok_or_else(|| incomplete(operation, "taskDefinition"))?;
    let rollout = match primary.rollout_state() {
        Some(DeploymentRolloutState::Completed) => Rollout::Completed,
        Some(DeploymentRolloutState::Failed) => {
            Rollout::Failed(primary.rollout_state_reason().unwrap_or("no reason given").to_owned())
        }
        // In progress, and whatever ECS adds: not completed.
        Some(_) | None => Rollout::InProgress { failed_tasks: number(primary.failed_tasks()) },
    };
    let groups = service.load_balancers().iter();
    Ok(EcsService {
        desired_count: number(service.desired_count()),
        running_count: number(service.running_count()),
        task_definition: TaskDefinition::new(task_definition),
        rollout,
        deployments: u32::try_from(service.deployments().len()).unwrap_or(u32::MAX),
        target_groups: groups
            .filter_map(|balancer| balancer.target_group_arn())
            .map(TargetGroupArn::new)
            .collect(),
        last_event: service.events().first().and_then(|event| event.message()).map(str::to_owned),
    })
}

/// ECS counts in signed numbers that are never negative.
fn number(count: i32) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

/// A task of this version that stopped although neither a person nor scaling asked it to.
fn stopped_by_itself(task: &Task, version: &TaskDefinition) -> Option<StoppedTask> {
    let definition = task.task_definition_arn().map(TaskDefinition::new)?;
    if definition != *version && definition.short() != version.as_str() {
        return None;
    }
    let reason = task.stopped_reason().unwrap_or_default();
    let own = match task.stop_code() {
        Some(TaskStopCode::EssentialContainerExited | TaskStopCode::TaskFailedToStart) => true,
        // The scheduler stops tasks when it scales, and those that fail their health checks.
        Some(TaskStopCode::ServiceSchedulerInitiated) => {
            let reason = reason.to_ascii_lowercase();
            reason.contains("failed") && reason.contains("health check")
        }
        // People, spot interruptions, host maintenance.
        Some(_) | None => false,
    };
    let at = task.stopped_at().or(task.stopping_at()).and_then(timestamp)?;
    own.then(|| StoppedTask {
        task: task.task_arn().and_then(|arn| arn.rsplit('/').next()).unwrap_or("?").to_owned(),
        reason: with_exit_code(reason, task),
        at,
    })
}

fn with_exit_code(reason: &str, task: &Task) -> String {
    let failed = task.containers().iter().find_map(|container| {
        let name = container.name().unwrap_or("?");
        match (container.exit_code(), container.reason()) {
            (Some(code), _) if code != 0 => Some(format!("`{name}` exited with {code}")),
            (_, Some(why)) => Some(format!("`{name}`: {why}")),
            (Some(_) | None, None) => None,
        }
    });
    failed.map_or_else(|| reason.to_owned(), |failed| format!("{reason}: {failed}"))
}

fn timestamp(instant: &DateTime) -> Option<Timestamp> {
    instant.to_millis().ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests;
