//! The ECS of the world: tasks start at once, unless it is said to give a version up.

use std::collections::BTreeSet;

use glidepath_core::health::{ServiceDeployment, StoppedTask};
use glidepath_core::ids::{ClusterName, EcsServiceName, TaskDefinition};
use glidepath_core::plan::ImageDigest;
use glidepath_core::time::Timestamp;
use glidepath_core::world::ContainerImage;

use super::{Call, State, World};
use crate::ports::{
    Clock, Containers, EcsService, FailedDeployment, PortError, PortResult, RegisteredVersion,
    Rollout, ScaleTo, ServiceEvent,
};

/// What ECS does with a service whose new tasks do not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivingUp {
    /// The deployment has failed, and starts no more tasks.
    Stays,
    /// It goes back to the version before; the failed deployment is in the list.
    GoesBack,
    /// The same, and the failed deployment is not in the list any more.
    GoesBackSilently,
}

fn container(known: &ImageDigest) -> ContainerImage {
    let (container, image) = (known.container.clone(), known.image.clone());
    ContainerImage { container, image, optional: false }
}

impl Containers for World {
    async fn services(
        &self,
        _: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<EcsService>>> {
        let state = self.state();
        Ok(services.iter().map(|service| state.services.get(service).cloned()).collect())
    }

    async fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> PortResult<Option<RegisteredVersion>> {
        let state = self.state();
        let task_role = state.task_roles.get(name).cloned();
        // What AWS puts beside them is in no task definition.
        let named = |image: &&ImageDigest| !image.container.starts_with("aws-");
        let known = state.images.get(name).map(|known| known.iter().filter(named));
        Ok(Some(RegisteredVersion {
            arn: name.clone(),
            active: true,
            task_role,
            execution_role: None,
            containers: match known {
                Some(known) => known.map(container).collect(),
                // Every version is a build of its own.
                None => vec![ContainerImage {
                    container: "web".to_owned(),
                    image: format!("repository/app:{}", name.short().replace(':', "-")),
                    optional: false,
                }],
            },
        }))
    }

    async fn scale(
        &self,
        _: &ClusterName,
        service: &EcsServiceName,
        to: &ScaleTo,
    ) -> PortResult<()> {
        self.called(Call::Scale(service.clone(), to.clone()));
        let mut state = self.state();
        let State { services, given_up, .. } = &mut *state;
        let Some(found) = services.get_mut(service) else {
            return Err(PortError::Refused {
                operation: "UpdateService",
                detail: "ServiceNotFoundException".to_owned(),
            });
        };
        let now = self.now();
        found.desired_count = to.desired_count;
        let deployed = to.task_definition.is_some() || to.force_new_deployment;
        if !deployed && matches!(found.rollout, Rollout::Failed(_)) {
            // It starts no tasks, whatever their number.
            return Ok(());
        }
        if deployed {
            found.deployed_at = Some(now);
        }
        found.running_count = to.desired_count;
        found.rollout = Rollout::Completed;
        let version = to.task_definition.clone().unwrap_or_else(|| found.task_definition.clone());
        let Some(giving_up) = given_up.get(&version).filter(|_| deployed) else {
            found.task_definition = version;
            return Ok(());
        };
        let reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        match giving_up {
            GivingUp::Stays => {
                found.task_definition = version;
                found.running_count = 0;
                found.rollout = Rollout::Failed(reason);
            }
            GivingUp::GoesBack => {
                let failed =
                    FailedDeployment { task_definition: version, deployed_at: now, reason };
                found.gave_way.push(failed);
            }
            GivingUp::GoesBackSilently => {
                let message = format!(
                    "(service {service}) (deployment ecs-svc/2) deployment failed: tasks failed to \
                     start."
                );
                found.events.insert(0, ServiceEvent { at: now, message });
            }
        }
        Ok(())
    }

    async fn service_deployment(
        &self,
        _: &ClusterName,
        service: &EcsServiceName,
    ) -> PortResult<Option<ServiceDeployment>> {
        let known = (!self.state().forgotten).then(|| format!("arn:deployment/{service}"));
        Ok(Some(ServiceDeployment {
            revision: known.as_ref().map(|_| format!("arn:revision/{service}")),
            arn: known,
            service: Some(format!("arn:service/{service}")),
        }))
    }

    async fn images(
        &self,
        _: &ClusterName,
        service: &EcsServiceName,
        version: &TaskDefinition,
    ) -> PortResult<BTreeSet<ImageDigest>> {
        let state = self.state();
        let found = state.services.get(service);
        let runs =
            found.is_some_and(|found| found.running_count > 0 && found.task_definition == *version);
        Ok(state.images.get(version).filter(|_| runs).cloned().unwrap_or_default())
    }

    async fn stopped_tasks(
        &self,
        _: &ClusterName,
        _: &EcsServiceName,
        _: &TaskDefinition,
        since: Timestamp,
    ) -> PortResult<Vec<StoppedTask>> {
        let until = self.now();
        let stopped = |task: &&StoppedTask| (since..=until).contains(&task.at);
        Ok(self.state().stopped_tasks.iter().filter(stopped).cloned().collect())
    }
}
