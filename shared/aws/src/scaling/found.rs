//! What Application Auto Scaling says, in the engine's words.

use aws_sdk_applicationautoscaling::types::{
    PredictiveScalingMode, ScalableTarget as Described, ScalingPolicy as Policy,
    ScheduledAction as Action, SuspendedState,
};
use glidepath_core::ids::{ClusterName, EcsServiceName};
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::world::{ScalingPolicy, ScheduledAction};
use glidepath_engine::ports::{PortError, PortResult};

/// An ECS service as Application Auto Scaling names it.
pub(super) struct Resource(pub(super) String);

impl Resource {
    pub(super) fn of(cluster: &ClusterName, service: &EcsServiceName) -> Self {
        // A cluster may be given by its ARN, which has no place here.
        let cluster = cluster.as_str().rsplit('/').next().unwrap_or_default();
        Self(format!("service/{cluster}/{service}"))
    }

    pub(super) fn is(&self, described: &Described) -> bool {
        described.resource_id == self.0
    }
}

pub(super) fn target(described: &Described) -> PortResult<ScalableTarget> {
    let bound = |tasks: i32| {
        u32::try_from(tasks).map_err(|_| PortError::Refused {
            operation: "application-autoscaling:DescribeScalableTargets",
            detail: format!("`{}` is bounded by {tasks} tasks", described.resource_id),
        })
    };
    Ok(ScalableTarget {
        minimum: bound(described.min_capacity)?,
        maximum: bound(described.max_capacity)?,
        suspended: described.suspended_state.as_ref().map_or(Suspended::default(), |state| {
            Suspended {
                scale_in: state.dynamic_scaling_in_suspended.unwrap_or_default(),
                scale_out: state.dynamic_scaling_out_suspended.unwrap_or_default(),
                scheduled: state.scheduled_scaling_suspended.unwrap_or_default(),
            }
        }),
    })
}

pub(super) fn suspended(state: Suspended) -> SuspendedState {
    SuspendedState::builder()
        .dynamic_scaling_in_suspended(state.scale_in)
        .dynamic_scaling_out_suspended(state.scale_out)
        .scheduled_scaling_suspended(state.scheduled)
        .build()
}

pub(super) fn policy(described: &Policy) -> ScalingPolicy {
    let forecast = described.predictive_scaling_policy_configuration.as_ref();
    ScalingPolicy {
        name: described.policy_name.clone(),
        kind: described.policy_type.as_str().to_owned(),
        forecasts: forecast.and_then(|forecast| forecast.mode.as_ref())
            == Some(&PredictiveScalingMode::ForecastAndScale),
    }
}

/// A bound that cannot be read is none.
pub(super) fn action(described: &Action) -> ScheduledAction {
    let sets = described.scalable_target_action.as_ref();
    let bound = |tasks: Option<i32>| tasks.and_then(|tasks| u32::try_from(tasks).ok());
    ScheduledAction {
        name: described.scheduled_action_name.clone(),
        minimum: bound(sets.and_then(|sets| sets.min_capacity)),
        maximum: bound(sets.and_then(|sets| sets.max_capacity)),
    }
}
