//! The user's resources as they were read: plain data that the ports return and that the pure
//! decisions look at.

use crate::health::AlarmSignal;
use crate::ids::{AlarmArn, TargetGroupArn, TaskDefinition};
use crate::route::RouteActions;

/// A rule or listener as the load balancer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundRoute {
    /// All its actions, and the load balancer it belongs to.
    Found {
        /// The actions in order.
        actions: RouteActions,
        /// `app/NAME/ID`, the value of the CloudWatch dimension `LoadBalancer`.
        load_balancer: String,
    },
    /// It is the default rule of a listener, which can only be changed as `{listener: ...}`.
    DefaultRule,
    /// It does not exist.
    Missing,
    /// It has something that could not be written back unchanged.
    Unsupported(String),
}

/// An ECS service as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsService {
    /// Wanted tasks.
    pub desired_count: u32,
    /// Running tasks, of any version.
    pub running_count: u32,
    /// The task definition of the newest (`PRIMARY`) deployment; the full ARN.
    pub task_definition: TaskDefinition,
    /// State of the newest deployment.
    pub rollout: Rollout,
    /// How many deployments there are; older ones still drain.
    pub deployments: u32,
    /// Target groups that its tasks register with.
    pub target_groups: Vec<TargetGroupArn>,
    /// The newest service event, for people.
    pub last_event: Option<String>,
}

/// `rolloutState` of the newest deployment of an ECS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// Tasks are being replaced.
    InProgress {
        /// Tasks that failed to start.
        failed_tasks: u32,
    },
    /// All tasks run.
    Completed,
    /// The circuit breaker gave up; its reason.
    Failed(String),
}

/// An alarm as CloudWatch has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Which.
    pub arn: AlarmArn,
    /// What it says.
    pub signal: AlarmSignal,
    /// CloudWatch's reason.
    pub reason: String,
    /// Values of every dimension `TargetGroup` and `ServiceName` that it watches, in metric math
    /// and in the children of a composite alarm too; and whether it watches logs.
    pub watches: Vec<AlarmDimension>,
}

/// What an alarm watches, by which it belongs to a slot or may belong to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmDimension {
    /// `TargetGroup`: `targetgroup/NAME/ID`.
    TargetGroup(String),
    /// `ServiceName` of `AWS/ECS` and Container Insights.
    EcsService(String),
    /// A query over logs: no dimension tells to which slot it belongs.
    Logs,
}
