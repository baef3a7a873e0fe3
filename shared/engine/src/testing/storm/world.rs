//! The ports of a storm: a load balancer behind AWS's throttling, tasks that are always healthy,
//! and gates that wait to be woken.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use glidepath_core::failure::Failure;
use glidepath_core::health::{ServiceDeployment, StoppedTask};
use glidepath_core::ids::{ClusterName, EcsServiceName, TargetGroupArn, TaskDefinition, TaskToken};
use glidepath_core::plan::ImageDigest;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::world::FoundScaling;

use super::bucket::{ACCOUNT, Bucket, READING};
use super::services::Dice;
use super::time::Time;
use super::{Accounting, Settings, Tally};
use crate::ports::{
    Clock, Containers, Double, EcsService, FoundRoute, LoadBalancer, Orchestration, PortError,
    PortResult, Random, RegisteredVersion, ScaleTo, Scaling, TargetHealth, Woken,
};
use crate::testing::MemoryRegistry;
use crate::testing::example::version;

/// How long a call of the load balancer takes.
const LOAD_BALANCER: Span = Span::from_millis(50);

/// Attempts of a read, as the SDK makes them.
const READS: u32 = 3;

/// Tasks of each slot.
pub(super) const TASKS: u32 = 3;

/// Whose route it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Rollback(usize),
    Forward,
}

/// A route and its owner.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) owner: Owner,
    pub(super) actions: RouteActions,
}

/// A pause of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Waiting { task: usize },
    Woken,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) tally: Tally,
    pub(super) routes: BTreeMap<RouteRef, Routed>,
    mutating: Bucket,
    reading: Bucket,
    account: Bucket,
    gates: BTreeMap<String, Gate>,
    /// Invocations of the rollback function that run.
    running: usize,
}

/// Everything that rollbacks and forward shifts act through.
#[derive(Debug)]
pub(super) struct StormWorld {
    pub(super) registry: MemoryRegistry,
    pub(super) time: Time,
    pub(super) dice: Dice,
    settings: Settings,
    state: Mutex<State>,
}

impl StormWorld {
    pub(super) fn new(settings: Settings, start: Timestamp, dice: Dice, tally: Tally) -> Self {
        let state = State {
            tally,
            routes: BTreeMap::new(),
            mutating: Bucket::full(settings.limit, start),
            reading: Bucket::full(READING, start),
            account: Bucket::full(ACCOUNT, start),
            gates: BTreeMap::new(),
            running: 0,
        };
        let (registry, time) = (MemoryRegistry::default(), Time::at(start));
        Self { registry, time, dice, settings, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at a gate until it is woken or its time is up.
    pub(super) async fn gate(&self, token: &str, until: Timestamp) {
        let task = self.time.current();
        self.state().gates.insert(token.to_owned(), Gate::Waiting { task });
        self.time.poll_at(until, task);
        poll_fn(|_| {
            let woken = self.state().gates.get(token) == Some(&Gate::Woken);
            if woken || self.time.now() >= until { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.state().gates.remove(token);
    }

    /// Whether another invocation of the rollback function may begin; if so, it has. Where no instance
    /// of the function is free a new one starts, and warms its connections up by a call of its own.
    pub(super) fn invoke(&self) -> bool {
        let mut state = self.state();
        if state.running >= self.settings.concurrency {
            return false;
        }
        state.running += 1;
        state.tally.invocations += 1;
        let cold = state.running > state.tally.at_once;
        state.tally.at_once = state.tally.at_once.max(state.running);
        drop(state);
        if cold {
            // Whatever comes of it.
            let _ = self.take(false);
        }
        true
    }

    /// An invocation is over.
    pub(super) fn invoked(&self) {
        self.state().running -= 1;
    }

    fn take(&self, mutating: bool) -> bool {
        let now = self.time.now();
        let mut state = self.state();
        let State { mutating: changes, reading: looks, account, .. } = &mut *state;
        let own = if mutating { changes } else { looks };
        match self.settings.accounting {
            Accounting::ByKind => own.take(now),
            Accounting::AccountToo => account.has(now) && own.take(now) && account.take(now),
            Accounting::RefusalsToo => account.take(now) && own.take(now),
        }
    }

    /// Reads as the SDK does.
    async fn read(&self, operation: &'static str) -> PortResult<()> {
        for attempt in 0..READS {
            self.time.sleep(LOAD_BALANCER).await;
            if self.take(false) {
                return Ok(());
            }
            let window = 1000 << attempt;
            if attempt + 1 < READS {
                self.time.sleep(Span::from_millis(self.dice.up_to(window))).await;
            }
        }
        Err(PortError::Throttled { operation })
    }
}

impl Double for StormWorld {
    type Registry = MemoryRegistry;
    fn registry(&self) -> &MemoryRegistry {
        &self.registry
    }
}

impl Clock for StormWorld {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    async fn sleep(&self, span: Span) {
        self.time.sleep(span).await;
    }
}

impl Random for StormWorld {
    fn number(&self) -> u64 {
        self.dice.number()
    }
}

impl LoadBalancer for StormWorld {
    async fn routes(&self, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        self.read("DescribeRules").await?;
        let state = self.state();
        let found = routes.iter().map(|route| match state.routes.get(route) {
            Some(routed) => FoundRoute::Found {
                actions: routed.actions.clone(),
                load_balancer: "app/example/1".to_owned(),
            },
            None => FoundRoute::Missing,
        });
        Ok(found.collect())
    }

    async fn write_route(&self, route: &RouteRef, actions: &RouteActions) -> PortResult<()> {
        self.time.sleep(LOAD_BALANCER).await;
        let taken = self.take(true);
        let now = self.time.now();
        let mut state = self.state();
        let State { routes, tally, .. } = &mut *state;
        let Some(routed) = routes.get_mut(route) else {
            return Err(PortError::Refused {
                operation: "ModifyRule",
                detail: "RuleNotFound".to_owned(),
            });
        };
        match routed.owner {
            Owner::Rollback(_) => tally.calls += 1,
            Owner::Forward => {}
        }
        if !taken {
            return Err(PortError::Throttled { operation: "ModifyRule" });
        }
        routed.actions = actions.clone();
        match routed.owner {
            Owner::Rollback(index) => tally.written(index, now),
            Owner::Forward => tally.forward_meanwhile += u64::from(tally.waits()),
        }
        Ok(())
    }

    async fn target_health(&self, _: &TargetGroupArn) -> PortResult<TargetHealth> {
        self.read("DescribeTargetHealth").await?;
        Ok(TargetHealth { healthy: TASKS, ..TargetHealth::default() })
    }
}

/// Nothing scales anything here.
impl Scaling for StormWorld {
    async fn scalable_targets(
        &self,
        _: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<ScalableTarget>>> {
        Ok(vec![None; services.len()])
    }

    async fn scaling(
        &self,
        _: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<FoundScaling>> {
        Ok(vec![FoundScaling::default(); services.len()])
    }

    async fn set_scalable_target(
        &self,
        _: &ClusterName,
        _: &EcsServiceName,
        _: &ScalableTarget,
    ) -> PortResult<()> {
        Ok(())
    }
}

impl Containers for StormWorld {
    async fn services(
        &self,
        _: &ClusterName,
        services: &[&EcsServiceName],
    ) -> PortResult<Vec<Option<EcsService>>> {
        self.time.sleep(LOAD_BALANCER).await;
        let service = EcsService::rolled_out(version(2), TASKS);
        Ok(vec![Some(service); services.len()])
    }

    async fn task_definition(
        &self,
        name: &TaskDefinition,
    ) -> PortResult<Option<RegisteredVersion>> {
        Ok(Some(RegisteredVersion {
            arn: name.clone(),
            active: true,
            task_role: None,
            execution_role: None,
            containers: Vec::new(),
        }))
    }

    async fn scale(&self, _: &ClusterName, _: &EcsServiceName, _: &ScaleTo) -> PortResult<()> {
        self.time.sleep(LOAD_BALANCER).await;
        Ok(())
    }

    async fn service_deployment(
        &self,
        _: &ClusterName,
        _: &EcsServiceName,
    ) -> PortResult<Option<ServiceDeployment>> {
        Ok(None)
    }

    async fn images(
        &self,
        _: &ClusterName,
        _: &EcsServiceName,
        _: &TaskDefinition,
    ) -> PortResult<BTreeSet<ImageDigest>> {
        Ok(BTreeSet::new())
    }

    async fn stopped_tasks(
        &self,
        _: &ClusterName,
        _: &EcsServiceName,
        _: &TaskDefinition,
        _: Timestamp,
    ) -> PortResult<Vec<StoppedTask>> {
        Ok(Vec::new())
    }
}

impl Orchestration for StormWorld {
    async fn open_gate(&self, _: &TaskToken) -> PortResult<Woken> {
        Ok(Woken::Gone)
    }

    async fn fail_gate(&self, token: &TaskToken, _: &Failure) -> PortResult<Woken> {
        let mut state = self.state();
        let Some(gate) = state.gates.get_mut(token.expose()) else { return Ok(Woken::Gone) };
        if let Gate::Waiting { task } = *gate {
            *gate = Gate::Woken;
            self.time.poll_at(self.time.now(), task);
        }
        Ok(Woken::Yes)
    }
}
