//! All ports in one, with one fault at one call.

mod registry;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use glidepath_core::audit::Document;
use glidepath_core::failure::Failure;
use glidepath_core::health::{ServiceDeployment, StoppedTask};
use glidepath_core::ids::{
    ChannelName, ClusterName, DeploymentId, EcsServiceName, TargetGroupArn, TaskDefinition,
    TaskToken,
};
use glidepath_core::link::QuestionLink;
use glidepath_core::message::Trial;
use glidepath_core::plan::ImageDigest;
use glidepath_core::record::Notice;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::telemetry::Measurement;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::urgency::Listening;
use glidepath_core::world::{FoundScaling, PrivateImage, Stored};
use serde_json::Value;

use super::{MemoryRegistry, World};
use crate::ports::{
    Alarm, Archive, Begun, Channels, Clock, Containers, Double, Due, EcsService, FoundRoute,
    Functions, Handover, Hooks, Links, LoadBalancer, Metrics, MetricsQuery, Monitoring, NotTaken,
    Orchestration, PortError, PortResult, PostedMessage, ProbeAnswer, Probing, Random, Reaching,
    RegisteredVersion, Repositories, ScaleTo, Scaling, Starting, TargetGroup, TargetGroups,
    TargetHealth, Telemetry, Woken,
};

/// What goes wrong at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// AWS asks to come back later.
    Throttled,
    /// A 5xx or a time-out; the call had no effect.
    LostBefore,
    /// A time-out; the call had its effect.
    LostAfter,
    /// The process dies right after the call had its effect.
    KilledAfter,
    /// The call has its effect, and no answer ever comes: only for whoever sets itself a limit.
    Silent,
}

impl Fault {
    /// Every fault that ends a call.
    pub const ALL: [Self; 4] =
        [Self::Throttled, Self::LostBefore, Self::LostAfter, Self::KilledAfter];
}

/// The message of the panic that stands for a killed process.
pub const KILLED: &str = "the process was killed";

/// What comes between a use case and its load balancer, its waits, or its writes to the registry: they go
/// through as they are, unless it says otherwise.
pub trait Between: Sync {
    fn routes(
        &self,
        world: &World,
        routes: &[RouteRef],
    ) -> impl Future<Output = PortResult<Vec<FoundRoute>>> + Send {
        world.routes(routes)
    }

    fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> impl Future<Output = PortResult<()>> + Send {
        world.write_route(route, actions)
    }

    fn target_health(
        &self,
        world: &World,
        group: &TargetGroupArn,
    ) -> impl Future<Output = PortResult<TargetHealth>> + Send {
        world.target_health(group)
    }

    fn sleep(&self, world: &World, span: Span) -> impl Future<Output = ()> + Send {
        world.sleep(span)
    }

    /// A notice is on its way to a channel, which has not taken it yet.
    fn under_way(&self, _world: &World, _notice: &Notice) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The timeline was read.
    fn timeline_read(
        &self,
        _registry: &MemoryRegistry,
        _world: &World,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The registry was written.
    fn written(&self, _registry: &MemoryRegistry) {}
}

/// Nothing comes between.
impl Between for () {}

/// Registry and world together; the n-th call of all, from 0, goes wrong.
#[derive(Debug)]
pub struct Bed<'a, B = ()> {
    /// Locks, deployments, alarms, notices.
    pub registry: &'a MemoryRegistry,
    /// Everything else.
    pub world: &'a World,
    between: &'a B,
    fault: Option<(usize, Fault)>,
    calls: AtomicUsize,
    operations: Mutex<Vec<&'static str>>,
    measured: Mutex<Vec<Measurement>>,
}

impl<'a> Bed<'a> {
    /// Nothing goes wrong.
    pub fn new(registry: &'a MemoryRegistry, world: &'a World) -> Self {
        Self::with_fault(registry, world, None)
    }

    /// One call goes wrong.
    pub fn with_fault(
        registry: &'a MemoryRegistry,
        world: &'a World,
        fault: Option<(usize, Fault)>,
    ) -> Self {
        Self { fault, ..Self::behind(registry, world, &()) }
    }
}

impl<'a, B> Bed<'a, B> {
    /// Nothing goes wrong, and something comes between.
    pub fn behind(registry: &'a MemoryRegistry, world: &'a World, between: &'a B) -> Self {
        let (calls, operations) = (AtomicUsize::new(0), Mutex::default());
        let measured = Mutex::default();
        Self { registry, world, between, fault: None, calls, operations, measured }
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The calls so far, in the order in which they began; forgotten afterwards.
    pub fn take_operations(&self) -> Vec<&'static str> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut operations)
    }

    /// What was measured so far; forgotten afterwards.
    pub fn take_measurements(&self) -> Vec<Measurement> {
        std::mem::take(&mut self.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn call<Answer>(
        &self,
        operation: &'static str,
        effect: impl Future<Output = PortResult<Answer>>,
    ) -> PortResult<Answer> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
        let lost = || PortError::Unanswered { operation, detail: "timed out".to_owned() };
        match self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault) {
            None => effect.await,
            Some(Fault::Throttled) => Err(PortError::Throttled { operation }),
            Some(Fault::LostBefore) => Err(lost()),
            Some(Fault::LostAfter) => {
                effect.await?;
                Err(lost())
            }
            Some(Fault::KilledAfter) => {
                effect.await?;
                std::panic::panic_any(KILLED)
            }
            Some(Fault::Silent) => {
                effect.await?;
                std::future::pending().await
            }
        }
    }
}

impl<B: Between> Double for Bed<'_, B> {
    type Registry = Self;
    fn registry(&self) -> &Self {
        self
    }
}

impl<B: Between> Clock for Bed<'_, B> {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn sleep(&self, span: Span) {
        self.between.sleep(self.world, span).await;
    }
}

impl<B: Between> Random for Bed<'_, B> {
    fn number(&self) -> u64 {
        self.world.number()
    }
}

/// What a link of the tests is signed with.
pub const SIGNED: &str = "signed";

impl<B: Between> Links for Bed<'_, B> {
    async fn is_own(&self, _: &QuestionLink, signature: &str) -> PortResult<bool> {
        self.call("is_own", async { Ok(signature == SIGNED) }).await
    }

    async fn path(&self, link: &QuestionLink) -> PortResult<String> {
        self.call("path", async { Ok(link.path(SIGNED)) }).await
    }
}

impl<B: Between> LoadBalancer for Bed<'_, B> {
    async fn routes(&self, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        self.call("routes", self.between.routes(self.world, routes)).await
    }

    async fn write_route(&self, route: &RouteRef, actions: &RouteActions) -> PortResult<()> {
        let written = self.between.write_route(self.world, route, actions);
        self.call("write_route", written).await
    }

    async fn target_health(&self, group: &TargetGroupArn) -> PortResult<TargetHealth> {
        let looked = self.between.target_health(self.world, group);
        self.call("target_health", looked).await
    }
}

impl<B: Between> TargetGroups for Bed<'_, B> {
    async fn target_groups(
        &self,
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Option<TargetGroup>>> {
        self.call("target_groups", self.world.target_groups(groups)).await
    }

    async fn reaching(
        &self,
        routes: &[RouteRef],
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Reaching>> {
        self.call("reaching", self.world.reaching(routes, groups)).await
    }
}

impl<B: Between> Scaling for Bed<'_, B> {
    async fn scalable_targets(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<ScalableTarget>>> {
        self.call("scalable_targets", self.world.scalable_targets(cluster, services)).await
    }

    async fn scaling(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<FoundScaling>> {
        self.call("scaling", Scaling::scaling(self.world, cluster, services)).await
    }

    async fn set_scalable_target(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScalableTarget,
    ) -> PortResult<()> {
        let set = self.world.set_scalable_target(cluster, service, to);
        self.call("set_scalable_target", set).await
    }
}

impl<B: Between> Repositories for Bed<'_, B> {
    async fn look_up(&self, images: &[PrivateImage]) -> PortResult<Vec<Stored>> {
        self.call("look_up", self.world.look_up(images)).await
    }
}

impl<B: Between> Containers for Bed<'_, B> {
    async fn services(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<EcsService>>> {
        self.call("services", self.world.services(cluster, services)).await
    }

    async fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> PortResult<Option<RegisteredVersion>> {
        self.call("task_definition", self.world.task_definition(name)).await
    }

    async fn scale(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScaleTo,
    ) -> PortResult<()> {
        self.call("scale", self.world.scale(cluster, service, to)).await
    }

    async fn service_deployment(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> PortResult<Option<ServiceDeployment>> {
        self.call("service_deployment", self.world.service_deployment(cluster, service)).await
    }

    async fn images(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        version: &TaskDefinition,
    ) -> PortResult<BTreeSet<ImageDigest>> {
        self.call("images", self.world.images(cluster, service, version)).await
    }

    async fn stopped_tasks(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
        since: Timestamp,
    ) -> PortResult<Vec<StoppedTask>> {
        let stopped = self.world.stopped_tasks(cluster, service, task_definition, since);
        self.call("stopped_tasks", stopped).await
    }
}

impl<B: Between> Hooks for Bed<'_, B> {
    async fn ask(
        &self,
        function: &str,
        event: &serde_json::Value,
    ) -> PortResult<serde_json::Value> {
        self.call("ask", self.world.ask(function, event)).await
    }
}

impl<B: Between> Probing for Bed<'_, B> {
    async fn get(&self, url: &str, timeout: Span) -> PortResult<ProbeAnswer> {
        self.call("get", self.world.get(url, timeout)).await
    }
}

impl<B: Between> Monitoring for Bed<'_, B> {
    async fn alarms(&self, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
        self.call("describe_alarms", Monitoring::alarms(self.world, names)).await
    }

    async fn metrics(&self, query: &MetricsQuery) -> PortResult<Option<Metrics>> {
        self.call("metrics", self.world.metrics(query)).await
    }
}

impl<B: Between> Orchestration for Bed<'_, B> {
    async fn open_gate(&self, token: &TaskToken) -> PortResult<Woken> {
        self.call("open_gate", self.world.open_gate(token)).await
    }

    async fn fail_gate(&self, token: &TaskToken, failure: &Failure) -> PortResult<Woken> {
        self.call("fail_gate", self.world.fail_gate(token, failure)).await
    }
}

impl<B: Between> Starting for Bed<'_, B> {
    async fn start(&self, name: &DeploymentId, request: &Value) -> PortResult<Option<Begun>> {
        self.call("start", self.world.start(name, request)).await
    }
}

impl<B: Between> Functions for Bed<'_, B> {
    async fn start_rollback(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.call("start_rollback", self.world.start_rollback(deployment)).await
    }

    async fn start_completion(&self, due: &Due) -> PortResult<()> {
        self.call("start_completion", self.world.start_completion(due)).await
    }

    async fn start_validation(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.call("start_validation", self.world.start_validation(deployment)).await
    }

    async fn start_delivery(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.call("start_delivery", self.world.start_delivery(deployment)).await
    }
}

impl<B: Between> Telemetry for Bed<'_, B> {
    fn tell(&self, measurement: &Measurement) {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).push(measurement.clone());
    }
}

impl<B: Between> Channels for Bed<'_, B> {
    fn listening(&self, channel: &ChannelName) -> Listening {
        self.world.listening(channel)
    }

    async fn deliver(
        &self,
        channel: &ChannelName,
        handover: Handover<'_>,
    ) -> Result<Option<PostedMessage>, NotTaken> {
        // What comes between may fail the call, which is an error of a port.
        let mut not_taken = None;
        let called = async {
            self.between.under_way(self.world, handover.notice).await;
            let delivered = self.world.deliver(channel, handover).await;
            delivered.map_err(|why| not_taken.insert(why).error.clone())
        };
        self.call("deliver", called).await.map_err(|error| {
            not_taken.filter(|why| why.error == error).unwrap_or_else(|| error.into())
        })
    }

    async fn try_out(&self, channel: &ChannelName, trial: &Trial) -> PortResult<()> {
        self.call("try_out", self.world.try_out(channel, trial)).await
    }
}

impl<B: Between> Archive for Bed<'_, B> {
    fn keeps(&self) -> bool {
        self.world.keeps()
    }

    async fn keep(&self, document: &Document) -> PortResult<()> {
        self.call("keep", self.world.keep(document)).await
    }
}
