//! The world as the use cases see it. Each port has types of its own; adapters translate.
//!
//! Errors of ports are of two kinds. An operation that was *answered* has an outcome of its own
//! type, even if the answer is no. Everything else is a [`PortError`]: for a read it may be tried
//! again, for a write nobody knows whether it has happened or still will.

mod adapters;
mod monitoring;
mod registry;
mod repositories;
mod scaling;

use std::collections::BTreeSet;
use std::future::Future;

use glidepath_core::audit::Document;
use glidepath_core::health::{ServiceDeployment, StoppedTask, StoredCells};
use glidepath_core::ids::{
    ChannelName, ClusterName, DeploymentId, EcsServiceName, ExecutionArn, TargetGroupArn,
    TaskDefinition, TaskToken,
};
use glidepath_core::link::QuestionLink;
use glidepath_core::message::Trial;
use glidepath_core::message::alert::Rung;
use glidepath_core::plan::ImageDigest;
use glidepath_core::record::{Deployment, Notice};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::telemetry::Measurement;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::urgency::{Listening, Urgency};

pub use self::adapters::Adapters;
#[cfg(feature = "testing")]
pub use self::adapters::Double;
pub use self::monitoring::{CheckAnswer, CheckQuery, Metrics, MetricsQuery, Monitoring};
pub use glidepath_core::world::{
    Alarm, AlarmDimension, Driver, EcsService, FailedDeployment, FoundRoute, Reaching,
    RegisteredVersion, Registration, Rollout, ScaleTo, ServiceEvent, TargetGroup,
};

pub use self::registry::{
    AlarmFence, Committed, Delivery, DeliveryClaim, DeploymentFence, Due, OutboxEntry, Overdue,
    Page, Place, PostedMessage, Recent, Registry,
};
pub use self::repositories::Repositories;
pub use self::scaling::Scaling;

/// A call that did not do what it was asked. `operation` is its IAM action (`ecs:UpdateService`), or
/// the name of what was done without one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// AWS asked to come back later (throttling, a 5xx that is known to have had no effect).
    #[error("{operation}: throttled")]
    Throttled { operation: &'static str },
    /// No answer: a time-out, a lost connection, or a 5xx. A write may have happened, or still will.
    #[error("{operation}: no answer ({detail})")]
    Unanswered {
        operation: &'static str,
        /// What was seen instead of an answer.
        detail: String,
    },
    /// AWS refused for good: no permission, no such resource, a malformed request.
    #[error("{operation}: {detail}")]
    Refused {
        operation: &'static str,
        /// AWS's code and message.
        detail: String,
    },
}

/// Codes with which AWS says that a permission is missing; SNS has two of its own, and so has EventBridge, for
/// single entries of a call that it answers well.
const DENIALS: [&str; 5] = [
    "AccessDenied",
    "AuthorizationError",
    "KMSAccessDenied",
    "NotAuthorizedForSourceException",
    "NotAuthorizedForDetailTypeException",
];

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
            Self::Refused { detail, .. } => DENIALS.iter().any(|denial| detail.starts_with(denial)),
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

/// All ports in one value: a use case takes this, and its bounds name what it acts through, as in
/// `P: Ports<Registry: Registry, Ambient: Clock>`. A type that stands for a port is bound by nothing here, so
/// that nobody has to have what nobody asks for.
///
/// A new port is a trait of its own, a type and a method here, and a line at the end of the list of
/// [`Adapters`], in `adapters.rs`. A function that has it puts it in by the method that the line names, and
/// the doubles of the tests implement its trait; nothing else changes.
pub trait Ports: Sync {
    /// Locks, deployments, alarms, retirements and notices.
    type Registry;
    /// Routes, targets and their groups.
    type LoadBalancer;
    /// ECS services and their tasks.
    type Containers;
    type Monitoring;
    /// Functions of the user's own.
    type Hooks;
    /// URLs of the user's own.
    type Probing;
    /// Executions of the state machine.
    type Orchestration;
    /// Other functions of the stack.
    type Functions;
    type Channels;
    /// Links to questions.
    type Links;
    type Ambient;
    /// What scales ECS services by itself.
    type Scaling;
    /// Private repositories of container images.
    type Repositories;
    /// What Glidepath measures of itself.
    type Telemetry;
    /// What is kept for longer than the registry has it.
    type Archive;

    fn registry(&self) -> &Self::Registry;
    fn load_balancer(&self) -> &Self::LoadBalancer;
    fn containers(&self) -> &Self::Containers;
    fn monitoring(&self) -> &Self::Monitoring;
    fn hooks(&self) -> &Self::Hooks;
    fn probing(&self) -> &Self::Probing;
    fn orchestration(&self) -> &Self::Orchestration;
    fn functions(&self) -> &Self::Functions;
    fn channels(&self) -> &Self::Channels;
    fn links(&self) -> &Self::Links;
    fn ambient(&self) -> &Self::Ambient;
    fn scaling(&self) -> &Self::Scaling;
    fn repositories(&self) -> &Self::Repositories;
    fn telemetry(&self) -> &Self::Telemetry;
    fn archive(&self) -> &Self::Archive;
}

/// The time, and waiting.
pub trait Clock: Sync {
    fn now(&self) -> Timestamp;
    fn sleep(&self, span: Span) -> impl Future<Output = ()> + Send;
}

/// Randomness, for jitter and for ids.
pub trait Random: Sync {
    /// Any number, each as likely; ids are made of it, so no two processes may draw the same ones.
    fn number(&self) -> u64;
}

/// What Glidepath tells of itself. It is written where nobody waits for it, and cannot fail.
pub trait Telemetry: Sync {
    fn tell(&self, measurement: &Measurement);
}

/// Registered targets of a group by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// `healthy`.
    pub healthy: u32,
    /// `unused`: the group is in no rule, so nobody checks them.
    pub unused: u32,
    /// Registered and neither healthy, unused nor draining.
    pub other: u32,
    /// The load balancer's reason for one that is not healthy; of an unhealthy one if there is any.
    pub sick: Option<String>,
}

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

/// Target groups, apart from the health of their targets. Nobody looks at them on the way back.
pub trait TargetGroups: Sync {
    /// The groups, in the order asked; `None` for one that does not exist.
    fn target_groups(
        &self,
        groups: &[TargetGroupArn],
    ) -> impl Future<Output = PortResult<Vec<Option<TargetGroup>>>> + Send;
    /// Every rule and default action of the routes' load balancers that sends requests to one of the
    /// groups, the routes among them. One call for each load balancer and each listener of theirs.
    fn reaching(
        &self,
        routes: &[RouteRef],
        groups: &[TargetGroupArn],
    ) -> impl Future<Output = PortResult<Vec<Reaching>>> + Send;
}

pub trait Containers: Sync {
    /// These services in this order, each if there is an active one of its name. One call for up to ten.
    fn services(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> impl Future<Output = PortResult<Vec<Option<EcsService>>>> + Send;
    /// The same of one.
    fn service(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> impl Future<Output = PortResult<Option<EcsService>>> + Send {
        async move { Ok(self.services(cluster, &[service]).await?.pop().flatten()) }
    }
    /// A task definition that exists and is active.
    fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> impl Future<Output = PortResult<Option<RegisteredVersion>>> + Send;
    /// Changes a service. Not retried by the adapter.
    fn scale(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScaleTo,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// The deployment that a service is at, as far as ECS says; `None`: there is no such service.
    fn service_deployment(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> impl Future<Output = PortResult<Option<ServiceDeployment>>> + Send;
    /// What the running tasks of this version have in their containers, of as many as one page shows.
    fn images(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
    ) -> impl Future<Output = PortResult<BTreeSet<ImageDigest>>> + Send;
    /// Tasks of this version that stopped by themselves since then, not by scaling.
    fn stopped_tasks(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
        since: Timestamp,
    ) -> impl Future<Output = PortResult<Vec<StoppedTask>>> + Send;
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

/// An execution that carries a deployment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    pub execution: ExecutionArn,
}

/// Beginning executions of the state machine.
pub trait Starting: Sync {
    /// Starts one of this name; the one that runs if it has this request. `None`: there was one before.
    fn start(
        &self,
        name: &DeploymentId,
        request: &serde_json::Value,
    ) -> impl Future<Output = PortResult<Option<Begun>>> + Send;
}

pub trait Orchestration: Sync {
    /// Ends a gate well.
    fn open_gate(&self, token: &TaskToken) -> impl Future<Output = PortResult<Woken>> + Send;
    /// Ends a gate with a failure.
    fn fail_gate(
        &self,
        token: &TaskToken,
        failure: &glidepath_core::failure::Failure,
    ) -> impl Future<Output = PortResult<Woken>> + Send;
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
    /// Has what serves after the end of a deployment asked, soon.
    fn start_validation(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// Has the notices of a deployment delivered, soon.
    fn start_delivery(
        &self,
        deployment: &DeploymentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// Links to questions, as the stack signs them.
pub trait Links: Sync {
    /// Whether the stack itself has given a link this signature. Takes the same time wherever they differ.
    fn is_own(
        &self,
        link: &QuestionLink,
        signature: &str,
    ) -> impl Future<Output = PortResult<bool>> + Send;

    /// The path of a link, with its signature.
    fn path(&self, link: &QuestionLink) -> impl Future<Output = PortResult<String>> + Send;
}

/// What Slack says of clicks and of who has made them. Not one of [`Ports`]: a stack need not have an app.
pub trait Clicks: Sync {
    /// Whether Slack has signed this within the last minutes. What is not even of the right form costs no call.
    fn is_signed(
        &self,
        timestamp: &str,
        signature: &str,
        body: &[u8],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<bool>> + Send;

    /// Those of these groups (`slack:TEAM/GROUP`) that somebody is in.
    fn groups(
        &self,
        user: &str,
        groups: &[String],
        now: Timestamp,
    ) -> impl Future<Output = SlackGroups> + Send;

    /// Tells whoever has clicked, and nobody else.
    fn tell(
        &self,
        response_url: &str,
        text: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// What Slack says of somebody's groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlackGroups {
    /// Those that they are in.
    pub of: Vec<String>,
    /// Those of which Slack has not said in time who is in them.
    pub unknown: Vec<String>,
}

/// What was counted of a deployment's requests, for the notice that says how it has ended.
#[derive(Clone, Copy, Debug)]
pub enum Counted<'a> {
    /// Nothing was, or it is not what the notice is about.
    Nothing,
    /// Nobody knows: it could not be read.
    Unread,
    Cells(&'a StoredCells),
}

/// A notice, for a channel.
#[derive(Clone, Copy, Debug)]
pub struct Handover<'a> {
    pub notice: &'a Notice,
    pub deployment: &'a Deployment,
    /// Whether the channel is told. If not, only the message that it has posted is edited, and none is posted.
    pub heard: bool,
    /// What the channel rings somebody for already, of this deployment.
    pub rung: &'a Rung,
    pub counted: Counted<'a>,
    /// Where the channel has its message of the deployment, if it has posted one that it edits.
    pub posted: Option<&'a PostedMessage>,
    /// The most urgent of what the channel still has to be handed, with this: what a failure here would keep back.
    pub waiting: Urgency,
}

/// Why a channel has not taken a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    pub error: PortError,
    /// How long it asks to be left alone, if it says so.
    pub retry_after: Option<Span>,
}

impl From<PortError> for NotTaken {
    fn from(error: PortError) -> Self {
        Self { error, retry_after: None }
    }
}

/// Channels by name, as the stack configures them.
pub trait Channels: Sync {
    /// How a channel listens. One that the stack does not have listens to everything, and refuses it.
    fn listening(&self, channel: &ChannelName) -> Listening;
    /// Hands a notice over. A channel that has one message for each deployment says where it is when it has posted it.
    fn deliver(
        &self,
        channel: &ChannelName,
        handover: Handover<'_>,
    ) -> impl Future<Output = Result<Option<PostedMessage>, NotTaken>> + Send;
    /// Sends a message that says nothing but that it arrives.
    fn try_out(
        &self,
        channel: &ChannelName,
        trial: &Trial,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// Where the timelines of deployments that have ended are kept for longer than the registry has them.
pub trait Archive: Sync {
    /// Whether the stack has such a place. Without one nothing is asked of anybody.
    fn keeps(&self) -> bool;
    /// Keeps a document. One that is there already under its key stays as it is, and is as good.
    fn keep(&self, document: &Document) -> impl Future<Output = PortResult<()>> + Send;
}
