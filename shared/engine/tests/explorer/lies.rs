//! What a mistake makes of the world that a process sees.

use glidepath_core::ids::DeploymentId;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{FoundRoute, PortError, PortResult, TargetHealth};
use glidepath_engine::testing::example::pair;

use crate::boundary::Boundary;
use crate::mistake::Mistake;
use crate::process::Kind;

impl Boundary {
    /// What it is told of routes.
    pub(crate) fn told_of_routes(
        &self,
        routes: &[RouteRef],
        found: Vec<FoundRoute>,
    ) -> Vec<FoundRoute> {
        if self.has(Mistake::RetireUnseen) && self.kind == Kind::Retire {
            return found.iter().map(|_| FoundRoute::Missing).collect();
        }
        self.reads_back(routes, &found);
        let granted = match self.mistake {
            Some(Mistake::NoReadBack) => self.kind == Kind::Rollback,
            Some(Mistake::LastLookSkipped) => self.kind == Kind::Rollback && !self.goes_straight(),
            Some(Mistake::RolesReadOnce) => self.kind == Kind::Plan,
            Some(_) | None => false,
        };
        if !granted {
            return found;
        }
        let plan = |inner: &crate::boundary::Inner| {
            let read = inner.memory.deployment.as_ref().or(inner.memory.fenced.as_deref());
            read.map(|deployment| deployment.plan.clone())
        };
        let Some(plan) = plan(&self.inner()) else { return found };
        let as_left = |(found, route): (FoundRoute, &glidepath_core::plan::RoutePlan)| match found {
            FoundRoute::Found { load_balancer, .. } => FoundRoute::Found {
                actions: match self.kind {
                    Kind::Plan => route.original.clone(),
                    _ => route.stable_only(),
                },
                load_balancer,
            },
            other => other,
        };
        found.into_iter().zip(&plan.routes).map(as_left).collect()
    }

    /// Remembers whether a shift reads back.
    fn reads_back(&self, routes: &[RouteRef], found: &[FoundRoute]) {
        if !self.has(Mistake::HalfAShift) || self.kind != Kind::Advance {
            return;
        }
        let mut inner = self.inner();
        let otherwise = routes.iter().zip(found).any(|(route, found)| {
            let wrote = inner.memory.wrote.iter().find(|(wrote, _)| wrote == route);
            match found {
                FoundRoute::Found { actions, .. } => {
                    wrote.is_some_and(|(_, wrote)| wrote != actions)
                }
                _ => false,
            }
        });
        inner.memory.halved |= otherwise;
    }

    /// What it is told of targets.
    pub(crate) fn told_of_targets(&self, found: TargetHealth) -> TargetHealth {
        let mut inner = self.inner();
        let all = found.healthy + found.other;
        inner.memory.weak |= found.healthy < all;
        if self.has(Mistake::PutOffWithoutLook) && inner.memory.throttled {
            return TargetHealth { healthy: all, other: 0, ..found };
        }
        found
    }

    /// Whether a route is not written although that is said.
    pub(crate) fn leaves_unwritten(&self, actions: &RouteActions) -> bool {
        let back = actions.canary_share(&pair()) == Ok(Weight::NONE);
        let inner = self.inner();
        let fenced = inner.memory.fenced.as_ref();
        let forced = fenced.is_some_and(|deployment| deployment.forced().is_some());
        self.has(Mistake::ForceUnwritten) && (inner.memory.weak || forced) && back
    }

    /// What it is told of a write.
    pub(crate) fn answered(&self, answer: PortResult<()>) -> PortResult<()> {
        match (self.mistake, answer) {
            (Some(Mistake::ThrottledIsWritten), Err(PortError::Throttled { .. })) => Ok(()),
            (Some(Mistake::FinishUnanswered), Err(PortError::Unanswered { operation, .. })) => {
                Err(PortError::Throttled { operation })
            }
            (_, answer) => answer,
        }
    }

    /// Takes the tasks of the slot that serves away.
    pub(crate) fn retire_stable(&self, id: &DeploymentId) {
        let items = self.registry().items();
        let Some(deployment) = items.deployments.get(id) else { return };
        let mut world = self.world().state();
        if let Some(stable) = world.services.get_mut(&deployment.plan.stable.service) {
            (stable.desired_count, stable.running_count) = (0, 0);
        }
    }
}
