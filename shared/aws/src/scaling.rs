//! Application Auto Scaling of ECS services.

mod found;

use aws_sdk_applicationautoscaling::Client;
use aws_sdk_applicationautoscaling::types::{
    ScalableDimension, ScalableTarget as Described, ServiceNamespace,
};
use futures_util::future::try_join_all;
use glidepath_core::ids::{ClusterName, EcsServiceName};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::world::{FoundScaling, ScalingPolicy, ScheduledAction};
use glidepath_engine::ports::{PortError, PortResult, Scaling};

use self::found::{Resource, action, policy, suspended, target};
use crate::clients::Clients;
use crate::error::port_error;

/// [`Scaling`] by Application Auto Scaling.
#[derive(Clone, Debug)]
pub struct ApplicationAutoScaling {
    reading: Client,
    writing: Client,
}

impl ApplicationAutoScaling {
    pub fn new(clients: &Clients) -> Self {
        Self { reading: Client::new(clients.reading()), writing: Client::new(clients.writing()) }
    }

    /// What these services are called there, and every scalable target of theirs, of whatever dimension.
    async fn described(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<(Vec<Resource>, Vec<Described>)> {
        const OPERATION: &str = "application-autoscaling:DescribeScalableTargets";
        let resources: Vec<_> =
            services.iter().map(|service| Resource::of(cluster, service)).collect();
        let ids: Vec<_> = resources.iter().map(|resource| resource.0.clone()).collect();
        let call = self.reading.describe_scalable_targets();
        let call = call.service_namespace(ServiceNamespace::Ecs).set_resource_ids(Some(ids));
        let described = call.send().await.map_err(|error| port_error(OPERATION, error))?;
        Ok((resources, described.scalable_targets.unwrap_or_default()))
    }

    async fn policies(&self, resource: &Resource) -> PortResult<Vec<ScalingPolicy>> {
        const OPERATION: &str = "application-autoscaling:DescribeScalingPolicies";
        let call = self.reading.describe_scaling_policies();
        let call = call.service_namespace(ServiceNamespace::Ecs).resource_id(&resource.0);
        let mut pages = call.into_paginator().send();
        let mut policies = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error(OPERATION, error))?;
            policies.extend(page.scaling_policies().iter().map(policy));
        }
        Ok(policies)
    }

    async fn scheduled(&self, resource: &Resource) -> PortResult<Vec<ScheduledAction>> {
        const OPERATION: &str = "application-autoscaling:DescribeScheduledActions";
        let call = self.reading.describe_scheduled_actions();
        let call = call.service_namespace(ServiceNamespace::Ecs).resource_id(&resource.0);
        let mut pages = call.into_paginator().send();
        let mut actions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error(OPERATION, error))?;
            actions.extend(page.scheduled_actions().iter().map(action));
        }
        Ok(actions)
    }

    /// What scales one service, of which nothing more is asked where it is not scaled.
    async fn of(&self, resource: &Resource, described: &[Described]) -> PortResult<FoundScaling> {
        let own: Vec<_> = described.iter().filter(|other| resource.is(other)).collect();
        let (counts, others): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|own| own.scalable_dimension == ScalableDimension::EcsServiceDesiredCount);
        let mut found = FoundScaling {
            target: counts.first().copied().map(target).transpose()?,
            other_dimensions: others
                .iter()
                .map(|other| other.scalable_dimension.as_str().to_owned())
                .collect(),
            ..FoundScaling::default()
        };
        if found.target.is_some() {
            let (policies, scheduled) =
                futures_util::future::join(self.policies(resource), self.scheduled(resource)).await;
            (found.policies, found.scheduled) = (policies?, scheduled?);
        }
        Ok(found)
    }
}

impl Scaling for ApplicationAutoScaling {
    async fn scalable_targets(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<ScalableTarget>>> {
        let (resources, described) = self.described(cluster, services).await?;
        let of = |resource: &Resource| {
            let own = described.iter().find(|other| {
                resource.is(other)
                    && other.scalable_dimension == ScalableDimension::EcsServiceDesiredCount
            });
            own.map(target).transpose()
        };
        resources.iter().map(of).collect()
    }

    async fn scaling(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<FoundScaling>> {
        let (resources, described) = self.described(cluster, services).await?;
        try_join_all(resources.iter().map(|resource| self.of(resource, &described))).await
    }

    async fn set_scalable_target(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScalableTarget,
    ) -> PortResult<()> {
        const OPERATION: &str = "application-autoscaling:RegisterScalableTarget";
        let bound = |tasks: u32| {
            i32::try_from(tasks).map_err(|_| PortError::Refused {
                operation: OPERATION,
                detail: format!("{tasks} tasks are more than AWS can count"),
            })
        };
        // All of it, always: whether a flag that is left out keeps its value is not documented.
        let registered = self
            .writing
            .register_scalable_target()
            .service_namespace(ServiceNamespace::Ecs)
            .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
            .resource_id(Resource::of(cluster, service).0)
            .min_capacity(bound(to.minimum)?)
            .max_capacity(bound(to.maximum)?)
            .suspended_state(suspended(to.suspended))
            .send()
            .await;
        registered.map(|_| ()).map_err(|error| port_error(OPERATION, error))
    }
}

#[cfg(test)]
mod tests;
