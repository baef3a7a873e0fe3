//! The ports of a process: each call stops at the boundary, and has its effect in the world in memory.

use glidepath_core::failure::Failure;
use glidepath_core::health::{ServiceDeployment, StoppedTask, StoredCells};
use glidepath_core::ids::{
    AlarmArn, ChannelName, ClusterName, DeploymentId, EcsServiceName, IntentId, TargetGroupArn,
    TaskDefinition, TaskToken,
};
use glidepath_core::plan::ImageDigest;
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{
    AlarmItem, Deployment, Fence, FreezeEntry, Freezes, Intent, Lock, LockKey, Notice, Phase,
    Retirement, Start,
};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::telemetry::Measurement;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::world::{FoundScaling, PrivateImage, Stored};
use glidepath_engine::ports::{
    Alarm, AlarmFence, Clock, Committed, Containers, Delivery, DeliveryClaim, DeploymentFence,
    Double, Due, EcsService, FoundRoute, Functions, Hooks, LoadBalancer, Metrics, MetricsQuery,
    Monitoring, Orchestration, OutboxEntry, Overdue, Page, Place, PortError, PortResult,
    ProbeAnswer, Probing, Random, Reaching, Recent, RegisteredVersion, Registry, Repositories,
    ScaleTo, Scaling, TargetGroup, TargetGroups, TargetHealth, Telemetry, Woken,
};
use glidepath_engine::testing::MemoryRegistry;

use crate::boundary::{Boundary, Signal, What};
use crate::mistake::Mistake;
use crate::print::{Printer, print};
use crate::process::Kind;
use crate::record::{print_alarm, print_deployment};

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

#[allow(clippy::ptr_arg)]
fn alarms_print(alarms: &Vec<AlarmItem>) -> u64 {
    let mut printer = Printer::new();
    alarms.iter().for_each(|alarm| print_alarm(&mut printer, alarm));
    printer.finish()
}

fn alarm_fence_print(fenced: &AlarmFence) -> u64 {
    let mut printer = Printer::new();
    match fenced {
        AlarmFence::Closed(alarm) => print_alarm(&mut printer, alarm),
        AlarmFence::ClosedBefore(alarm) => {
            printer.word(1);
            print_alarm(&mut printer, alarm);
        }
        AlarmFence::Unknown => printer.word(2),
    }
    printer.finish()
}

fn fence_print(fenced: &DeploymentFence) -> u64 {
    let mut printer = Printer::new();
    match fenced {
        DeploymentFence::Closed(deployment) => print_deployment(&mut printer, deployment),
        DeploymentFence::TooLate(deployment) => {
            printer.word(1);
            print_deployment(&mut printer, deployment);
        }
        DeploymentFence::Unknown => printer.word(2),
    }
    printer.finish()
}

fn deployment_print(found: &Option<Deployment>) -> u64 {
    let mut printer = Printer::new();
    match found {
        Some(deployment) => print_deployment(&mut printer, deployment),
        None => printer.word(1),
    }
    printer.finish()
}

impl Registry for Boundary {
    async fn deployment(&self, id: &DeploymentId) -> PortResult<Option<Deployment>> {
        let first = self.inner().memory.deployment.is_none();
        let read = async {
            if self.has(Mistake::RetireBeforeCommit) && self.kind == Kind::Complete && first {
                self.retire_stable(id);
            }
            match self.touched() {
                Some(registry) => registry.deployment(id).await,
                None => {
                    let found = self.items.deployments.get(id).cloned();
                    Ok(found.map(|found| self.items.freezes.onto(found)))
                }
            }
        };
        let found = self.call_marked("deployment", What::Read, read, deployment_print).await?;
        let overtaken = found.as_ref().is_some_and(|found| matches!(found.phase, Phase::Closed(_)));
        if self.has(Mistake::OvertakenFails) && overtaken && self.inner().memory.own.is_some() {
            let operation = "deployment";
            return Err(PortError::Refused { operation, detail: "it has ended".to_owned() });
        }
        Ok(self.told(found))
    }

    async fn alarms(&self, arns: &[AlarmArn]) -> PortResult<Vec<AlarmItem>> {
        let read = async {
            match self.touched() {
                Some(registry) => registry.alarms(arns).await,
                None => Ok(arns.iter().map(|arn| self.items.alarm(arn)).collect()),
            }
        };
        let found = self.call_marked("alarms", What::Read, read, alarms_print).await?;
        Ok(self.told_of(found))
    }

    async fn locks(&self, keys: &[LockKey]) -> PortResult<Vec<Lock>> {
        let read = async { self.registry().locks(keys).await };
        let mut locks = self.call("locks", What::Read, read).await?;
        if self.has(Mistake::RolesReadOnce) {
            locks.iter_mut().for_each(|lock| lock.holder = None);
        }
        Ok(locks)
    }

    async fn retirement(&self, key: &LockKey) -> PortResult<Option<Retirement>> {
        self.call("retirement", What::Read, async { self.registry().retirement(key).await }).await
    }

    async fn due(&self, now: Timestamp) -> PortResult<Vec<Overdue>> {
        let mut due =
            self.call("due", What::Quiet, async { self.registry().due(now).await }).await?;
        if self.has(Mistake::HeldIsForgotten) {
            let items = self.registry().items();
            due.retain(|overdue| match &overdue.due {
                Due::Deployment(id) => items.deployments[id].phase != Phase::Held,
                Due::Retirement(_) | Due::Notices(_) => true,
            });
        }
        Ok(due)
    }

    async fn commit(&self, writes: Vec<RegistryWrite>) -> PortResult<Committed> {
        let write = async {
            if self.swallows(&writes) {
                return Ok(Committed::Yes);
            }
            let blind = self.refreshed(&writes);
            let writes = self.mistaken(writes, &self.registry().items());
            let committed = self.registry().commit(writes).await;
            for (alarm, deployment, binding) in blind {
                let mut items = self.registry().items();
                if let Some(stored) = items.alarms.get_mut(&alarm) {
                    stored.bindings.insert(deployment, binding);
                }
            }
            committed
        };
        self.call("commit", What::Write, write).await
    }

    async fn fence_alarm(
        &self,
        alarm: &AlarmArn,
        at: Timestamp,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<AlarmFence> {
        let late = self.has(Mistake::WriteBeforeFence);
        let write = async {
            if late {
                let copy = MemoryRegistry::holding(self.registry().items().clone());
                return copy.fence_alarm(alarm, at, id, intent).await;
            }
            self.registry().fence_alarm(alarm, at, id, intent).await
        };
        let fenced = self.call_marked("fence_alarm", What::Write, write, alarm_fence_print).await?;
        if late {
            self.inner().memory.late_fence = Some((alarm.clone(), at, id.clone(), intent.clone()));
        }
        Ok(self.told_by(fenced))
    }

    async fn join_alarm(
        &self,
        alarm: &AlarmArn,
        deployment: &DeploymentId,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<bool> {
        let write = async {
            if self.has(Mistake::RepeatWithoutIntent) {
                return Ok(true);
            }
            self.registry().join_alarm(alarm, deployment, id, intent).await
        };
        self.call("join_alarm", What::Write, write).await
    }

    async fn fence_deployment(
        &self,
        deployment: &DeploymentId,
        fence: &Fence,
        id: &IntentId,
        intent: &Intent,
    ) -> PortResult<DeploymentFence> {
        self.inner().memory.own = Some(id.clone());
        let write = async {
            let late = self.inner().memory.late_fence.clone();
            if let Some((alarm, at, id, intent)) = late {
                self.registry().fence_alarm(&alarm, at, &id, &intent).await?;
            }
            let fenced = self.registry().fence_deployment(deployment, fence, id, intent).await;
            if self.has(Mistake::FenceUnclaimed)
                && let Some(stored) = self.registry().items().deployments.get_mut(deployment)
            {
                stored.intents.remove(id);
            }
            fenced
        };
        let fenced = self.call_marked("fence_deployment", What::Write, write, fence_print).await?;
        Ok(self.told_by_its_own(fenced))
    }

    async fn finish_alarm_intent(&self, alarm: &AlarmArn, id: &IntentId) -> PortResult<()> {
        let write = async { self.registry().finish_alarm_intent(alarm, id).await };
        self.call("finish_alarm_intent", What::Write, write).await
    }

    async fn finish_deployment_intent(
        &self,
        deployment: &DeploymentId,
        id: &IntentId,
    ) -> PortResult<()> {
        let left = self.has(Mistake::ClaimLeftByAFailedRead) && self.inner().memory.unread;
        let write = async {
            if left {
                return Ok(());
            }
            self.registry().finish_deployment_intent(deployment, id).await
        };
        self.call("finish_deployment_intent", What::Write, write).await
    }

    async fn notices(&self, deployment: &DeploymentId) -> PortResult<Vec<OutboxEntry>> {
        self.call("notices", What::Read, async { self.registry().notices(deployment).await }).await
    }

    async fn delivered(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        delivery: Delivery,
        last: bool,
    ) -> PortResult<()> {
        let write = async { self.registry().delivered(notice, channel, delivery, last).await };
        self.call("delivered", What::Write, write).await
    }

    async fn claim_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<DeliveryClaim> {
        let write = async { self.registry().claim_delivery(notice, channel, now, until).await };
        self.call("claim_delivery", What::Write, write).await
    }

    async fn put_off_delivery(
        &self,
        notice: &Notice,
        channel: &ChannelName,
        until: Timestamp,
    ) -> PortResult<()> {
        let write = async { self.registry().put_off_delivery(notice, channel, until).await };
        self.call("put_off_delivery", What::Write, write).await
    }

    async fn store_cells(&self, _: &StoredCells) -> PortResult<()> {
        // Nothing but a report reads them.
        self.call("store_cells", What::Quiet, async { Ok(()) }).await
    }

    async fn stored_cells(&self, deployment: &DeploymentId) -> PortResult<Option<StoredCells>> {
        self.call("stored_cells", What::Read, async {
            self.registry().stored_cells(deployment).await
        })
        .await
    }

    async fn store_start(&self, start: &Start) -> PortResult<()> {
        // Nothing but a plan reads them.
        self.call("store_start", What::Quiet, async { self.registry().store_start(start).await })
            .await
    }

    async fn starts(&self, deployment: &DeploymentId) -> PortResult<Vec<Start>> {
        self.call("starts", What::Quiet, async { self.registry().starts(deployment).await }).await
    }

    async fn freezes(&self) -> PortResult<Freezes> {
        self.call("freezes", What::Read, async { self.registry().freezes().await }).await
    }

    async fn store_freezes(
        &self,
        freezes: &Freezes,
        entries: &[FreezeEntry],
    ) -> PortResult<Committed> {
        let stored = async { self.registry().store_freezes(freezes, entries).await };
        self.call("store_freezes", What::Write, stored).await
    }

    async fn freeze_entries(
        &self,
        from: Timestamp,
        before: Timestamp,
    ) -> PortResult<Vec<FreezeEntry>> {
        let read = async { self.registry().freeze_entries(from, before).await };
        self.call("freeze_entries", What::Quiet, read).await
    }

    async fn recent(&self, limit: u32) -> PortResult<Recent> {
        self.call("recent", What::Read, async { self.registry().recent(limit).await }).await
    }

    async fn started(&self, from: Timestamp, before: Timestamp) -> PortResult<Recent> {
        self.call("started", What::Read, async { self.registry().started(from, before).await })
            .await
    }

    async fn page(&self, after: Option<&Place>, limit: u32) -> PortResult<Page> {
        self.call("page", What::Read, async { self.registry().page(after, limit).await }).await
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
