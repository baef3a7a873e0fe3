//! The world as the use cases see it. Each port has types of its own; adapters translate.
//!
//! Errors of ports are of two kinds. An operation that was *answered* has an outcome of its own
//! type, even if the answer is no. Everything else is a [`PortError`]: for a read it may be tried
//! again, for a write nobody knows whether it has happened or still will.

use std::future::Future;

use glidepath_core::health::{
    ConnectionErrors, LoadBalancerErrors, Periods, Series, ServiceDeployment, Shift, StoppedTask,
    StoredCells,
};
use glidepath_core::ids::{
    AlarmArn, ChannelName, ClusterName, DeploymentId, EcsServiceName, ExecutionArn, IntentId,
    TargetGroupArn, TaskDefinition, TaskToken,
};
use glidepath_core::notice::Notice;
use glidepath_core::plan::{BadRequestsAre, Measure};
use glidepath_core::protocol::{
    AlarmItem, Deployment, Fence, Intent, Lock, LockKey, RegistryWrite, Retirement,
};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::time::{Span, Timestamp};
pub use glidepath_core::world::{Alarm, AlarmDimension, EcsService, FoundRoute, Rollout};

/// A call that did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// AWS asked to come back later (throttling, a 5xx that is known to have had no effect).
    #[error("{operation}: throttled")]
    Throttled {
        /// Which call.
        operation: &'static str,
    },
    /// No answer: a time-out, a lost connection, or a 5xx. A write may have happened, or still will.
    #[error("{operation}: no answer ({detail})")]
    Unanswered {
        /// Which call.
        operation: &'static str,
        /// What was seen instead.
        detail: String,
    },
    /// AWS refused for good: no permission, no such resource, a malformed request.
    #[error("{operation}: {detail}")]
    Refused {
        /// Which call.
        operation: &'static str,
        /// AWS's code and message.
        detail: String,
    },
}

impl PortError {
    /// Whether the same call may succeed later.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unanswered { .. } => true,
            Self::Refused { .. } => false,
        }
    }

    /// Whether only a permission is missing.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Refused { detail, .. } => detail.starts_with("AccessDenied"),
            Self::Throttled { .. } | Self::Unanswered { .. } => false,
        }
    }

    /// Whether the call certainly had no effect and will have none.
    pub const fn answered(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Refused { .. } => true,
            Self::Unanswered { .. } => false,
        }
    }
}

/// What a port answers.
pub type PortResult<T> = Result<T, PortError>;

/// The time, and waiting.
pub trait Clock: Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, span: Span) -> impl Future<Output = ()> + Send;
}

/// Randomness, for jitter and for ids.
pub trait Random: Sync {
    /// Any number.
    fn number(&self) -> u64;
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it happened.
    Yes,
    /// A condition did not hold, or another transaction was faster: nothing happened. Read again
    /// and decide again.
    Conflict,
}

/// How the fence of an alarm ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmFence {
    /// It is closed now, with the rollback's intent. The alarm as it is after the update.
    Closed(AlarmItem),
    /// It was closed before, at this time or later. The alarm as it is; nothing was written.
    ClosedBefore(AlarmItem),
    /// Nobody ever bound this alarm; nothing was written.
    Unknown,
}

/// How the fence of a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentFence {
    /// The deployment rolls back now (or did before), with the rollback's intent.
    Closed(Box<Deployment>),
    /// It has committed or ended; nothing was written.
    TooLate(Box<Deployment>),
    /// There is none of this name; nothing was written.
    Unknown,
}

/// Something whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A deployment that has not ended.
    Deployment(DeploymentId),
    /// An old slot.
    Retirement(LockKey),
    /// Notices of this deployment that a channel has not taken yet.
    Notices(DeploymentId),
}

/// Locks, deployments, alarms, retirements and notices. Every read is consistent.
pub trait Registry: Sync {
    /// The deployment, if there is one of this name.
    fn deployment(
        &self,
        id: &DeploymentId,
    ) -> impl Future<Output = PortResult<Option<Deployment>>> + Send;
    /// The alarms; one that the registry does not know is empty.
    fn alarms(&self, arns: &[AlarmArn]) -> impl Future<Output = PortResult<Vec<AlarmItem>>> + Send;
    /// The locks; one that was never taken is free at epoch 0.
    fn locks(&self, keys: &[LockKey]) -> impl Future<Output = PortResult<Vec<Lock>>> + Send;
    /// What is to be retired under this lock.
    fn retirement(
        &self,
        key: &LockKey,
    ) -> impl Future<Output = PortResult<Option<Retirement>>> + Send;
    /// Everything whose time has come, oldest first; possibly not the newest changes.
    fn due(&self, now: Timestamp) -> impl Future<Output = PortResult<Vec<Due>>> + Send;
    /// All of these writes, or none.
    fn commit(
        &self,
        writes: Vec<RegistryWrite>,
    ) -> impl Future<Output = PortResult<Committed>> + Send;
    /// [`AlarmItem::fire`] as one update.
    fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> impl Future<Output = PortResult<AlarmFence>> + Send;
    /// [`AlarmItem::join`] as one update; whether it was written.
    fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> impl Future<Output = PortResult<bool>> + Send;
    /// [`glidepath_core::protocol::fence`] as one update.
    fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> impl Future<Output = PortResult<DeploymentFence>> + Send;
    /// Removes the intent of an alarm; every attempt of it got an answer.
    fn finish_alarm_intent(
        &self,
        alarm: &AlarmArn,
        id: &IntentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Removes the intent of a deployment; every attempt of it got an answer.
    fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// The timeline, in order, with the channels that have taken each notice.
    fn notices(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<Vec<OutboxEntry>>> + Send;
    /// Remembers that a channel has taken a notice; with `last` no channel is missing any more.
    fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        last: bool,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Keeps the cells of a deployment for its report, in place of older ones. Called once and not
    /// repeated: nothing but a report depends on it, and the next look writes them again.
    fn store_cells(&self, cells: &StoredCells) -> impl Future<Output = PortResult<()>> + Send;
    /// The cells of the latest look that could be kept, if there was one.
    fn stored_cells(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<Option<StoredCells>>> + Send;
    /// The deployments that have not ended, and the newest that have; newest first.
    fn recent(&self, limit: u32) -> impl Future<Output = PortResult<Vec<Deployment>>> + Send;
}

/// A notice with the channels that have taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// What.
    pub notice: Notice,
    /// Who has it.
    pub delivered: Vec<ChannelName>,
}

/// Registered targets of a group by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// `healthy`.
    pub healthy: u32,
    /// `unused`: the group is in no rule, so nobody checks them.
    pub unused: u32,
    /// Registered and neither healthy, unused nor draining.
    pub other: u32,
}

/// Load balancers.
pub trait LoadBalancer: Sync {
    /// Routes as they are now, in the order asked.
    fn routes(
        &self,
        routes: &[RouteRef],
    ) -> impl Future<Output = PortResult<Vec<FoundRoute>>> + Send;
    /// Writes all actions of a route. Not retried by the adapter: the caller holds the deadline.
    fn write_route(
        &self,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Health of a group's targets.
    fn target_health(
        &self,
        group: &TargetGroupArn,
    ) -> impl Future<Output = PortResult<TargetHealth>> + Send;
}

/// What an ECS service is asked to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleTo {
    /// Wanted tasks.
    pub desired_count: u32,
    /// Which version; `None` leaves it.
    pub task_definition: Option<TaskDefinition>,
}

/// Containers.
pub trait Containers: Sync {
    /// The service, if there is an active one of this name.
    fn service(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> impl Future<Output = PortResult<Option<EcsService>>> + Send;
    /// The full ARN of a task definition that exists and is active.
    fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> impl Future<Output = PortResult<Option<TaskDefinition>>> + Send;
    /// Changes a service. Not retried by the adapter.
    fn scale(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScaleTo,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// The newest deployment of a service, as ECS counts them.
    fn service_deployment(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> impl Future<Output = PortResult<Option<ServiceDeployment>>> + Send;
    /// Tasks of this version that stopped by themselves since then, not by scaling.
    fn stopped_tasks(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
        since: Timestamp,
    ) -> impl Future<Output = PortResult<Vec<StoppedTask>>> + Send;
}

/// Which requests to count, and what else to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsQuery {
    /// Load balancer dimension, canary group and stable group of every route.
    pub routes: Vec<(String, TargetGroupArn, TargetGroupArn)>,
    /// The verified shifts, in order; the first begins the window.
    pub shifts: Vec<Shift>,
    /// Which requests are bad.
    pub bad_are: BadRequestsAre,
    /// Requests that take longer are slow; `None`: they are not counted.
    pub slower_than: Option<Span>,
    /// Measures of the user's own.
    pub checks: Vec<CheckQuery>,
    /// Their points from earlier are left out.
    pub checks_since: Timestamp,
    /// Now; the newest, incomplete period is left out.
    pub now: Timestamp,
}

/// A measure of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckQuery {
    /// Of the canary.
    pub canary: Measure,
    /// Of stable, where they are compared.
    pub stable: Option<Measure>,
    /// The length of a period; `None`: as the load balancer publishes its metrics.
    pub period: Option<Span>,
}

/// What was measured. Each part has an error of its own: a metric that cannot be read must not take
/// the others with it.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests of both slots, by period.
    pub requests: PortResult<Periods>,
    /// Connections to targets that failed, since the first shift.
    pub connection_errors: PortResult<ConnectionErrors>,
    /// What each load balancer answered itself.
    pub load_balancer_errors: PortResult<Vec<LoadBalancerErrors>>,
    /// Each check, in the order asked.
    pub checks: Vec<CheckAnswer>,
}

/// What was measured for one check.
#[derive(Clone, Debug)]
pub struct CheckAnswer {
    /// Of the canary.
    pub canary: PortResult<Series>,
    /// Of stable, where that was asked.
    pub stable: Option<PortResult<Series>>,
    /// The length of a period.
    pub period: Span,
    /// Where the newest complete period ends.
    pub until: Timestamp,
}

/// Alarms and metrics.
pub trait Monitoring: Sync {
    /// The alarms of these names or ARNs, in the order asked; `None` where there is none.
    fn alarms(
        &self,
        names: &[String],
    ) -> impl Future<Output = PortResult<Vec<Option<Alarm>>>> + Send;
    /// Everything measured since the first shift; `None` while there is no complete period.
    fn metrics(
        &self,
        query: &MetricsQuery,
    ) -> impl Future<Output = PortResult<Option<Metrics>>> + Send;
}

/// Functions of the user's own that have a say.
pub trait Hooks: Sync {
    /// What the function answers to an event; an error if it failed or did not answer in time.
    fn ask(
        &self,
        function: &str,
        event: &serde_json::Value,
    ) -> impl Future<Output = PortResult<serde_json::Value>> + Send;
}

/// What a URL answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The HTTP status.
    pub status: u16,
    /// As much of the body as is looked at.
    pub body: String,
}

/// URLs of the user's own.
pub trait Probing: Sync {
    /// What the URL answers to GET.
    fn get(&self, url: &str, timeout: Span)
    -> impl Future<Output = PortResult<ProbeAnswer>> + Send;
}

/// How the answer to a token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The state machine goes on.
    Yes,
    /// The token is not waited for any more.
    Gone,
}

/// Step Functions.
pub trait Orchestration: Sync {
    /// Ends a gate well.
    fn open_gate(&self, token: &TaskToken) -> impl Future<Output = PortResult<Woken>> + Send;
    /// Ends a gate with a failure.
    fn fail_gate(
        &self,
        token: &TaskToken,
        failure: &glidepath_core::failure::Failure,
    ) -> impl Future<Output = PortResult<Woken>> + Send;
    /// Whether the execution still runs.
    fn running(&self, execution: &ExecutionArn) -> impl Future<Output = PortResult<bool>> + Send;
}

/// Other functions of the stack.
pub trait Functions: Sync {
    /// Has the rollback of a deployment looked at, soon.
    fn start_rollback(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Has a committed deployment completed, or an old slot retired, soon.
    fn start_completion(&self, due: &Due) -> impl Future<Output = PortResult<()>> + Send;
    /// Has the notices of a deployment delivered, soon.
    fn start_delivery(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// Channels by name, as the stack configures them.
pub trait Channels: Sync {
    /// Hands a notice over.
    fn deliver(
        &self,
        channel: &ChannelName,
        notice: &Notice,
        deployment: &Deployment,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
