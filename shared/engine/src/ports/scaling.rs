//! Application Auto Scaling, as far as it scales ECS services.

use std::future::Future;

use glidepath_core::ids::{ClusterName, EcsServiceName};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::world::FoundScaling;

use super::PortResult;

/// What scales ECS services by itself. Only a plan asks anything where nothing does.
pub trait Scaling: Sync {
    /// The scalable targets of these services in this order, each if there is one. One call.
    fn scalable_targets(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> impl Future<Output = PortResult<Vec<Option<ScalableTarget>>>> + Send;
    /// The same with everything that may change their bounds or their tasks.
    fn scaling(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> impl Future<Output = PortResult<Vec<FoundScaling>>> + Send;
    /// Sets all of a scalable target, after which AWS moves the service's desired count into its bounds. Not
    /// retried by the adapter.
    fn set_scalable_target(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScalableTarget,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
