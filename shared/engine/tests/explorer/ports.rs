//! The ports of a process: each call stops at the boundary, and has its effect in the world in memory.

mod registry;

use glidepath_core::failure::Failure;
use glidepath_core::health::{ServiceDeployment, StoppedTask};
use glidepath_core::ids::{
    ClusterName, DeploymentId, EcsServiceName, TargetGroupArn, TaskDefinition, TaskToken,
};
use glidepath_core::plan::ImageDigest;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::telemetry::Measurement;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::world::{FoundScaling, PrivateImage, Stored};
use glidepath_engine::ports::{
    Alarm, Clock, Containers, Double, Due, EcsService, FoundRoute, Functions, Hooks, LoadBalancer,
    Metrics, MetricsQuery, Monitoring, Orchestration, PortError, PortResult, ProbeAnswer, Probing,
    Random, Reaching, RegisteredVersion, Repositories, ScaleTo, Scaling, TargetGroup, TargetGroups,
    TargetHealth, Telemetry, Woken,
};

use crate::boundary::{Boundary, Signal, What};
use crate::mistake::Mistake;
use crate::print::print;
use crate::process::Kind;

impl Double for Boundary {
    type Registry = Self;
    fn registry(&self) -> &Self {
        self
    }
}

impl Clock for Boundary {
    fn now(&self) -> Timestamp {
        if self.has(Mistake::NoDeadline) { self.began() } else { self.clock() }
    }

    async fn sleep(&self, span: Span) {
        self.wait(span).await;
    }
}

impl Random for Boundary {
    fn number(&self) -> u64 {
        self.next_number()
    }
}

impl LoadBalancer for Boundary {
    async fn routes(&self, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        let found =
            self.call("routes", What::Read, async { self.world().routes(routes).await }).await;
        self.inner().memory.unread |= found.is_err();
        let found = found?;
        Ok(self.told_of_routes(routes, found))
    }

    async fn write_route(&self, route: &RouteRef, actions: &RouteActions) -> PortResult<()> {
        let write = async {
            if self.leaves_unwritten(actions) {
                return Ok(());
            }
            self.world().write_route(route, actions).await
        };
        self.inner().memory.wrote.push((route.clone(), actions.clone()));
        let what = What::Route(route.clone(), actions.clone());
        let answer = self.call("write_route", what, write).await;
        if let Err(PortError::Throttled { .. }) = &answer {
            self.inner().memory.throttled = true;
        }
        self.answered(answer)
    }

    async fn target_health(&self, group: &TargetGroupArn) -> PortResult<TargetHealth> {
        let read = async {
            if self.has(Mistake::ForceUnclaimed) && self.kind == Kind::Rollback {
                let own = self.inner().memory.own.clone();
                let mut items = self.registry().items();
                for deployment in items.deployments.values_mut() {
                    deployment.intents.retain(|id, _| own.as_ref() != Some(id));
                }
            }
            self.world().target_health(group).await
        };
        let found = self.call("target_health", What::Quiet, read).await?;
        Ok(self.told_of_targets(found))
    }
}

impl TargetGroups for Boundary {
    async fn target_groups(
        &self,
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Option<TargetGroup>>> {
        self.call("target_groups", What::Quiet, async { self.world().target_groups(groups).await })
            .await
    }

    async fn reaching(
        &self,
        routes: &[RouteRef],
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Reaching>> {
        let reaching = async { self.world().reaching(routes, groups).await };
        let reaching = self.call("reaching", What::Read, reaching).await?;
        let unseen = self.has(Mistake::RetireUnseen) && self.kind == Kind::Retire;
        Ok(if unseen { Vec::new() } else { reaching })
    }
}

impl Repositories for Boundary {
    async fn look_up(&self, images: &[PrivateImage]) -> PortResult<Vec<Stored>> {
        // Only a plan asks, before it writes anything.
        self.world().look_up(images).await
    }
}

impl Scaling for Boundary {
    async fn scalable_targets(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<ScalableTarget>>> {
        let read = async {
            if self.has(Mistake::BoundsUnread) && self.kind == Kind::Advance {
                return Ok(vec![None; services.len()]);
            }
            self.world().scalable_targets(cluster, services).await
        };
        self.call("scalable_targets", What::Read, read).await
    }

    async fn scaling(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<FoundScaling>> {
        // Only a plan asks, and what it finds is looked at again under the lock's eyes.
        Scaling::scaling(self.world(), cluster, services).await
    }

    async fn set_scalable_target(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScalableTarget,
    ) -> PortResult<()> {
        let what = What::Bounds(service.clone(), *to);
        let write = async { self.world().set_scalable_target(cluster, service, to).await };
        self.call("set_scalable_target", what, write).await
    }
}

impl Containers for Boundary {
    async fn services(
        &self,
        cluster: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<EcsService>>> {
        let read = async { self.world().services(cluster, services).await };
        self.call("services", What::Quiet, read).await
    }

    async fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> PortResult<Option<RegisteredVersion>> {
        self.call("task_definition", What::Quiet, async {
            self.world().task_definition(name).await
        })
        .await
    }

    async fn scale(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        to: &ScaleTo,
    ) -> PortResult<()> {
        let what = What::Scale(service.clone(), to.clone());
        let write = async { self.world().scale(cluster, service, to).await };
        let answer = self.call("scale", what, write).await;
        self.answered(answer)
    }

    async fn service_deployment(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
    ) -> PortResult<Option<ServiceDeployment>> {
        let read = async { self.world().service_deployment(cluster, service).await };
        self.call("service_deployment", What::Quiet, read).await
    }

    async fn images(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        version: &TaskDefinition,
    ) -> PortResult<std::collections::BTreeSet<ImageDigest>> {
        let read = async { self.world().images(cluster, service, version).await };
        self.call("images", What::Quiet, read).await
    }

    async fn stopped_tasks(
        &self,
        cluster: &ClusterName,
        service: &EcsServiceName,
        task_definition: &TaskDefinition,
        since: Timestamp,
    ) -> PortResult<Vec<StoppedTask>> {
        let read =
            async { self.world().stopped_tasks(cluster, service, task_definition, since).await };
        self.call("stopped_tasks", What::Quiet, read).await
    }
}

impl Hooks for Boundary {
    async fn ask(
        &self,
        function: &str,
        event: &serde_json::Value,
    ) -> PortResult<serde_json::Value> {
        self.call("ask", What::Write, async { self.world().ask(function, event).await }).await
    }
}

impl Probing for Boundary {
    async fn get(&self, url: &str, timeout: Span) -> PortResult<ProbeAnswer> {
        self.call("get", What::Read, async { self.world().get(url, timeout).await }).await
    }
}

impl Monitoring for Boundary {
    async fn alarms(&self, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
        let read = async { Monitoring::alarms(self.world(), names).await };
        let found = self.call("describe_alarms", What::Quiet, read).await?;
        if self.has(Mistake::BindAfterLook) {
            return Ok(self.inner().memory.alarms.get_or_insert(found).clone());
        }
        Ok(found)
    }

    async fn metrics(&self, query: &MetricsQuery) -> PortResult<Option<Metrics>> {
        let asked = print(self.world().state().requests);
        let read = async { self.world().metrics(query).await };
        self.call_marked("metrics", What::Quiet, read, |_| asked).await
    }
}

impl Orchestration for Boundary {
    async fn open_gate(&self, token: &TaskToken) -> PortResult<Woken> {
        let wake = async { Ok(self.wake(Signal::Open(token.expose().to_owned()))) };
        self.call("open_gate", What::Write, wake).await
    }

    async fn fail_gate(&self, token: &TaskToken, failure: &Failure) -> PortResult<Woken> {
        let asleep = self.has(Mistake::PutOffAsleep) && self.inner().memory.throttled
            || self.has(Mistake::WeakAsleep) && self.inner().memory.weak;
        let wake = async {
            if asleep {
                return Ok(Woken::Gone);
            }
            Ok(self.wake(Signal::Fail(token.expose().to_owned(), failure.clone())))
        };
        self.call("fail_gate", What::Write, wake).await
    }
}

impl Telemetry for Boundary {
    fn tell(&self, _: &Measurement) {}
}

impl Functions for Boundary {
    async fn start_rollback(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.start(Due::Deployment(deployment.clone())).await
    }

    async fn start_completion(&self, due: &Due) -> PortResult<()> {
        self.start(due.clone()).await
    }

    async fn start_validation(&self, deployment: &DeploymentId) -> PortResult<()> {
        panic!("no plan here asks anything after the end of {deployment}")
    }

    async fn start_delivery(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.start(Due::Notices(deployment.clone())).await
    }
}

impl Boundary {
    async fn start(&self, due: Due) -> PortResult<()> {
        let start = async {
            self.inner().signals.push(Signal::Start(due));
            Ok(())
        };
        self.call("start", What::Quiet, start).await
    }

    /// Whoever waits for the token goes on once this call has its effect.
    fn wake(&self, signal: Signal) -> Woken {
        let (Signal::Open(token) | Signal::Fail(token, _)) = &signal else { return Woken::Gone };
        let mut inner = self.inner();
        let waits = inner.tokens.contains(token);
        inner.signals.push(signal);
        if waits { Woken::Yes } else { Woken::Gone }
    }
}
