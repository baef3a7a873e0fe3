//! The Application Auto Scaling of the world: it enforces bounds, and has no policies of its own.

use glidepath_core::ids::{ClusterName, EcsServiceName};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::world::FoundScaling;

use super::{Call, State, World};
use crate::ports::{PortResult, Scaling};

impl Scaling for World {
    async fn scalable_targets(
        &self,
        _: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<ScalableTarget>>> {
        let state = self.state();
        let found = services.iter().map(|service| state.scaling.get(service)?.target);
        Ok(found.collect())
    }

    async fn scaling(
        &self,
        _: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<FoundScaling>> {
        let state = self.state();
        let found = services.iter().map(|service| state.scaling.get(service).cloned());
        Ok(found.map(Option::unwrap_or_default).collect())
    }

    async fn set_scalable_target(
        &self,
        _: &ClusterName,
        service: &EcsServiceName,
        to: &ScalableTarget,
    ) -> PortResult<()> {
        self.called(Call::SetBounds(service.clone(), *to));
        let mut state = self.state();
        if let Some(error) = &state.no_bounds {
            return Err(error.clone());
        }
        let State { services, scaling, .. } = &mut *state;
        scaling.entry(service.clone()).or_default().target = Some(*to);
        if let Some(found) = services.get_mut(service) {
            let within = found.desired_count.clamp(to.minimum, to.maximum);
            if within != found.desired_count {
                (found.desired_count, found.running_count) = (within, within);
            }
        }
        Ok(())
    }
}
