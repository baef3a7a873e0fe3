//! ECS services and their tasks.

mod service;
mod tasks;

use std::collections::BTreeSet;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    ContainerDefinition, DesiredStatus, Service, TaskDefinition as Described, TaskDefinitionStatus,
};
use glidepath_core::health::{ServiceDeployment, StoppedTask};
use glidepath_core::ids::{ClusterName, EcsServiceName, TaskDefinition};
use glidepath_core::plan::ImageDigest;
use glidepath_core::time::Timestamp;
use glidepath_core::world::ContainerImage;
use glidepath_engine::ports::{
    Containers, EcsService, PortError, PortResult, RegisteredVersion, ScaleTo,
};

use self::service::{current_deployment, found};
use self::tasks::{images, stopped_by_itself};
use crate::clients::Clients;
use crate::error::{code, port_error};

fn container(definition: ContainerDefinition) -> Option<ContainerImage> {
    let container = definition.name.unwrap_or_else(|| "?".to_owned());
    let optional = definition.essential == Some(false);
    Some(ContainerImage { container, image: definition.image?, optional })
}

/// A role that is written as an empty text is none.
fn registered(definition: Described) -> Option<RegisteredVersion> {
    let role = |role: Option<String>| role.filter(|role| !role.is_empty());
    let active = definition.status() == Some(&TaskDefinitionStatus::Active);
    let containers = definition.container_definitions.unwrap_or_default();
    Some(RegisteredVersion {
        active,
        arn: TaskDefinition::new(definition.task_definition_arn?),
        task_role: role(definition.task_role_arn),
        execution_role: role(definition.execution_role_arn),
        containers: containers.into_iter().filter_map(container).collect(),
    })
}

/// Most tasks that one DescribeTasks call takes.
const TASKS_PER_CALL: usize = 100;

/// [`Containers`] by ECS.
#[derive(Clone, Debug)]
pub struct ElasticContainers {
    reading: Client,
    writing: Client,
    /// What nobody has registered yet.
    #[cfg(feature = "stack")]
    imagined: Option<RegisteredVersion>,
}

impl ElasticContainers {
    pub fn new(clients: &Clients) -> Self {
        Self {
            reading: Client::new(clients.reading()),
            writing: Client::new(clients.writing()),
            #[cfg(feature = "stack")]
            imagined: None,
        }
    }

    /// From now on there is this version, for whoever plans with it before it is registered.
    #[cfg(feature = "stack")]
    pub fn imagine(&mut self, version: RegisteredVersion) {
        self.imagined = Some(version);
    }

    /// The active services of these names as ECS describes them, in whatever order it likes.
    async fn described(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Service>> {
        let names = services.iter().map(|service| service.as_str().to_owned()).collect();
        let call = self.reading.describe_services().cluster(cluster.as_str());
        match call.set_services(Some(names)).send().await {
            Ok(described) => {
                let mut services = described.services.unwrap_or_default();
                services.retain(|service| service.status() == Some("ACTIVE"));
                Ok(services)
            }
            Err(error) if code(&error) == Some("ClusterNotFoundException") => Ok(Vec::new()),
            Err(error) => Err(port_error("ecs:DescribeServices", error)),
        }
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
    async fn services(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<EcsService>>> {
        let described = self.described(cluster, services).await?;
        let named = |name: &&EcsServiceName| {
            let of_name = |service: &&Service| service.service_name() == Some(name.as_str());
            described.iter().find(of_name).map(found).transpose()
        };
        services.iter().map(named).collect()
    }

    async fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> PortResult<Option<RegisteredVersion>> {
        #[cfg(feature = "stack")]
        if let Some(imagined) = self.imagined.as_ref().filter(|imagined| imagined.arn == *name) {
            return Ok(Some(imagined.clone()));
        }
        let described =
            self.reading.describe_task_definition().task_definition(name.as_str()).send().await;
        match described {
            Ok(described) => Ok(described.task_definition.and_then(registered)),
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
            .set_force_new_deployment(to.force_new_deployment.then_some(true))
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
        Ok(self.described(cluster, &[service]).await?.first().map(current_deployment))
    }

    async fn images(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
    ) -> PortResult<BTreeSet<ImageDigest>> {
        let call = self.reading.list_tasks().cluster(cluster.as_str());
        let call = call.service_name(service.as_str()).desired_status(DesiredStatus::Running);
        let listed = call.send().await.map_err(|error| port_error("ecs:ListTasks", error))?;
        if listed.task_arns().is_empty() {
            return Ok(BTreeSet::new());
        }
        let call = self.reading.describe_tasks().cluster(cluster.as_str());
        let described = call.set_tasks(listed.task_arns).send().await;
        let described = described.map_err(|error| port_error("ecs:DescribeTasks", error))?;
        Ok(described.tasks().iter().flat_map(|task| images(task, task_definition)).collect())
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

#[cfg(test)]
mod tests;
