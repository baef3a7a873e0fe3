//! The user's resources as they were read: plain data that the ports return and that the pure
//! decisions look at.

mod images;

pub use self::images::{ContainerImage, PrivateImage, PrivateRepository, Stored, Which};

use crate::health::AlarmSignal;
use crate::ids::{AlarmArn, TargetGroupArn, TaskDefinition};
use crate::route::{RouteActions, RouteRef};
use crate::scaling::ScalableTarget;
use crate::time::Timestamp;

/// A rule or listener as the load balancer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundRoute {
    /// All its actions, and the load balancer it belongs to.
    Found {
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

/// A rule or a listener's default action that sends requests to some target groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaching {
    pub route: RouteRef,
    /// Those of the groups that get requests by it, with their shares in permille; at least 1.
    pub shares: Vec<(TargetGroupArn, u16)>,
}

/// A target group, as far as a plan depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// `HTTP` or `HTTPS` behind an Application Load Balancer; every other one is another kind's.
    pub protocol: String,
    /// Whether clients are kept on their targets by a cookie of the group's own.
    pub sticky: bool,
    /// The path that health checks ask for, where they ask for one.
    pub health_check_path: Option<String>,
}

impl TargetGroup {
    /// Whether an Application Load Balancer can forward to it.
    pub fn takes_weights(&self) -> bool {
        ["HTTP", "HTTPS"].contains(&self.protocol.as_str())
    }
}

/// A registered task definition, as far as a plan depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredVersion {
    /// The full ARN.
    pub arn: TaskDefinition,
    /// Whether ECS gives it to a service. One that is not goes on where it is, and can still be read.
    pub active: bool,
    /// The ARN or the name of the role that its containers have; `None`: they have none.
    pub task_role: Option<String>,
    /// The ARN or the name of the role with which ECS starts them; `None`: it needs none.
    pub execution_role: Option<String>,
    /// Its containers, in its order.
    pub containers: Vec<ContainerImage>,
}

impl RegisteredVersion {
    /// The images of its containers, in its order.
    pub fn images(&self) -> Vec<String> {
        self.containers.iter().map(|container| container.image.clone()).collect()
    }
}

/// Who brings an ECS service to a new version. AWS's own names are kept for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// ECS, by replacing tasks and nothing else.
    Rolling,
    /// ECS, by shifting traffic itself: `BLUE_GREEN`, `LINEAR` or `CANARY`.
    Shifting(String),
    /// ECS, with one task on every instance of the cluster.
    Daemon,
    /// ECS, together with the load balancer: an Express service.
    Express,
    /// Another deployment controller: `CODE_DEPLOY` or `EXTERNAL`.
    Controller(String),
}

/// An ECS service as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsService {
    pub driver: Driver,
    pub desired_count: u32,
    /// Running tasks, of any version.
    pub running_count: u32,
    /// The task definition of the newest (`PRIMARY`) deployment; the full ARN.
    pub task_definition: TaskDefinition,
    /// State of the newest deployment.
    pub rollout: Rollout,
    /// When the newest deployment was made; `None` where ECS does not say.
    pub deployed_at: Option<Timestamp>,
    /// Deployments that failed and gave way to an older one, which is the newest again.
    pub gave_way: Vec<FailedDeployment>,
    /// How many deployments there are; older ones still drain.
    pub deployments: u32,
    /// Target groups that its tasks register with.
    pub target_groups: Vec<Registration>,
    /// Service events, the newest first.
    pub events: Vec<ServiceEvent>,
}

/// A target group that the tasks of an ECS service register with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub group: TargetGroupArn,
    /// The container and the port of it that requests go to, where ECS says them: two slots of one
    /// application name them alike.
    pub answers: Option<(String, u16)>,
}

/// An ECS deployment that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDeployment {
    /// What it deployed; the full ARN.
    pub task_definition: TaskDefinition,
    /// When it was made.
    pub deployed_at: Timestamp,
    /// ECS's reason.
    pub reason: String,
}

/// Everything by which Application Auto Scaling may change an ECS service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundScaling {
    /// The scalable target of its number of tasks.
    pub target: Option<ScalableTarget>,
    /// Dimensions of it, in AWS's words, that are something else than its number of tasks.
    pub other_dimensions: Vec<String>,
    pub policies: Vec<ScalingPolicy>,
    pub scheduled: Vec<ScheduledAction>,
}

/// What scales a service by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    pub name: String,
    /// In AWS's words: `TargetTrackingScaling`, `StepScaling` or `PredictiveScaling`.
    pub kind: String,
    /// Whether it acts on a forecast, which no suspension is known to stop.
    pub forecasts: bool,
}

/// What sets the bounds of a service at a time, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledAction {
    pub name: String,
    pub minimum: Option<u32>,
    pub maximum: Option<u32>,
}

/// What ECS says about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    pub at: Timestamp,
    /// In ECS's words.
    pub message: String,
}

/// Words of the events with which ECS gives a deployment up.
const GIVEN_UP: [&str; 2] = ["deployment failed", "rolling back to deployment"];

/// Words of the events that say why no task starts.
const OBSTACLES: [&str; 3] =
    ["unable to place a task", "unable to consistently start tasks", "was unable to"];

impl EcsService {
    /// As ECS deploys it itself, with all its tasks running and nothing under way.
    pub fn rolled_out(task_definition: TaskDefinition, tasks: u32) -> Self {
        Self {
            driver: Driver::Rolling,
            desired_count: tasks,
            running_count: tasks,
            task_definition,
            rollout: Rollout::Completed,
            deployed_at: None,
            gave_way: Vec::new(),
            deployments: 1,
            target_groups: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The groups that its tasks register with.
    pub fn groups(&self) -> impl Iterator<Item = &TargetGroupArn> {
        self.target_groups.iter().map(|registration| &registration.group)
    }

    pub fn registers_with(&self, group: &TargetGroupArn) -> bool {
        self.groups().any(|own| own == group)
    }

    /// Why ECS has given this version up since then and gone back to another one, as it does where
    /// the circuit breaker or an alarm of the service's own has the rollback switched on. A failed
    /// deployment is in the list only until its last task has stopped; the events stay.
    pub fn gave_up_on(&self, version: &TaskDefinition, since: Timestamp) -> Option<String> {
        if self.task_definition == *version {
            return None;
        }
        let failed = self
            .gave_way
            .iter()
            .find(|failed| failed.task_definition == *version && failed.deployed_at >= since);
        failed.map(|failed| failed.reason.clone()).or_else(|| self.said(&GIVEN_UP, since))
    }

    /// Why no task can be started, if ECS has said so since then.
    pub fn obstacle(&self, since: Timestamp) -> Option<String> {
        self.said(&OBSTACLES, since)
    }

    /// The newest event since then that says one of these, the first of them first.
    fn said(&self, words: &[&str], since: Timestamp) -> Option<String> {
        words.iter().find_map(|words| {
            let said = |event: &&ServiceEvent| event.at >= since && event.message.contains(words);
            self.events.iter().find(said).map(|event| event.message.clone())
        })
    }
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

/// What an ECS service is asked to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleTo {
    pub desired_count: u32,
    /// Which version; `None` leaves it. Whoever names one needs `iam:PassRole` for its roles.
    pub task_definition: Option<TaskDefinition>,
    /// Whether ECS is to begin a deployment of the same version once more: one that has failed
    /// starts no tasks, whatever their number.
    pub force_new_deployment: bool,
}

/// An alarm as CloudWatch has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub arn: AlarmArn,
    pub signal: AlarmSignal,
    /// CloudWatch's reason; of one that cannot be read, why.
    pub reason: String,
    /// When it last changed what it says; `None` where that is not known.
    pub since: Option<Timestamp>,
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
    /// A child of a composite alarm that cannot be read, and why.
    Unread(String),
}
