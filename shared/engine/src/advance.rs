//! Brings the world towards the current stage. Level-triggered: it looks, makes at most one kind of
//! change, and says whether to come back or to go on.

mod tasks;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::IntentId;
use glidepath_core::plan::{RoutePlan, Stage};
use glidepath_core::protocol::{
    MoveOn, NextStep, Observed, Refused, Reply, Routes, claim_forward, observe, reads_back,
    record_shift, release_forward,
};
use glidepath_core::record::{Deployment, Fence, FenceTrigger, Intent, Purpose, Step};
use glidepath_core::route::{Role, RouteActions};
use glidepath_core::storm::give_way;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;

use crate::attempt::{Patience, Urgency};
use crate::claim::Claim;
use crate::pace::{self, FORWARD_LIFETIME, LINGER, RESTORE_LIFETIME, overdue};
use crate::ports::{
    Clock, Containers, DeploymentFence, LoadBalancer, PortError, Ports, Random, Registry, Scaling,
};
use crate::restore::{Restore, Stable, Written as Restored, restore};
use crate::transition::{Stop, load, refusal, require_unfenced, transition};
use crate::{Ambient, StepInput, routes, scaling};

/// One turn towards the current stage.
pub async fn run<P>(ports: &P, input: &StepInput) -> Result<Reply, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Ambient,
        >,
{
    let ambient = ports.ambient();
    let deployment = load(ports, &input.deployment).await?;
    deployment.require_open().map_err(|refused| refusal(&refused))?;
    let tick = pace::tick(&deployment, ambient.now());
    let (since, approved) = match &deployment.progress.step {
        Step::Settling { since, approved } => (*since, *approved),
        // A repeated invocation of a turn that is over.
        Step::Approving { .. } | Step::Baking { .. } => {
            // Or a look has seen that somebody else has let go what is held.
            scaling::hold(ports, &deployment).await;
            return Ok(Reply::new(&deployment.id, NextStep::Gate, "already there").after(tick));
        }
    };
    let Some(stage) = deployment.plan.stage(deployment.progress.stage).cloned() else {
        return Ok(Reply::new(&deployment.id, NextStep::Complete, "no stage is left"));
    };
    let turn = Turn { ports, deployment, stage };
    match turn.take(since, approved).await {
        Ok(reply) => Ok(reply),
        // Somebody's write may still land; nothing of ours was written.
        Err(Stop::Refused(Refused::Busy { until })) => {
            let wait = until.since(ambient.now()).max(Span::from_secs(1));
            Ok(turn.settling(wait, "an earlier write may still land".to_owned()))
        }
        // A copy of this invocation was faster: where it has come to counts.
        Err(Stop::Refused(Refused::NotNewer)) => {
            Ok(turn.settling(AGAIN, "another invocation has gone on meanwhile".to_owned()))
        }
        Err(stop) => Err(stop.into()),
    }
}

/// Before a turn that another one has overtaken looks again.
const AGAIN: Span = Span::from_secs(1);

/// What became of a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    /// It reads back as written and is recorded.
    Verified,
    /// It does not read back as written, or nobody knows.
    Otherwise,
    /// The load balancer's API has no call to spare.
    Throttled,
    /// Nothing was written: somebody else has changed a route since the look before the claim.
    Foreign(String),
}

struct Turn<'a, P> {
    ports: &'a P,
    deployment: Deployment,
    stage: Stage,
}

impl<P> Turn<'_, P>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Ambient,
        >,
{
    async fn take(&self, since: Timestamp, approved: bool) -> Result<Reply, Stop> {
        let plan = &self.deployment.plan;
        let observed = routes::read(self.ports, &plan.routes).await?;
        if let Some(found) = self.deployment.foreign(&observed) {
            return self.hold_foreign(since, found).await;
        }
        let observed: Vec<_> = observed.into_iter().flatten().collect();
        if !self.attached(&observed) {
            // Only possible before the first shift: every later state has both groups.
            return Ok(match self.write_weight(Weight::NONE, false).await? {
                Written::Verified | Written::Otherwise => self.settling(
                    pace::settle_look(plan),
                    "the canary's target group is in the route now, at weight 0".to_owned(),
                ),
                Written::Throttled => self.giving_way(since).await?,
                Written::Foreign(found) => self.hold_foreign(since, found).await?,
            });
        }
        if let Some(waiting) = self.bring_up(since).await? {
            if self.ports.ambient().now().since(since) > plan.settle_within {
                return Err(self.not_ready(&waiting).await);
            }
            self.touch(Routes::InOrder, MoveOn::Stay).await?;
            return Ok(self.settling(pace::settle_look(plan), waiting));
        }
        let in_time = self.ports.ambient().now().since(since) <= plan.settle_within;
        // Whoever goes back does not wait for a proof that AWS cannot give just now.
        let waits = in_time && plan.way_back.is_none();
        if self.deployment.lacks_digests() && !self.look_at_images().await? && waits {
            self.touch(Routes::InOrder, MoveOn::Stay).await?;
            let summary = "what the tasks run is not known yet".to_owned();
            return Ok(self.settling(pace::settle_look(plan), summary));
        }
        if let (false, Some(approval)) = (approved, self.stage.approval) {
            self.touch(Routes::InOrder, MoveOn::Ask(approval)).await?;
            let tick = pace::tick(&self.deployment, self.ports.ambient().now());
            return Ok(Reply::new(&self.deployment.id, NextStep::Gate, "waits for a person")
                .after(tick)
                .telling(true));
        }
        self.shift(since).await
    }

    fn settling(&self, wait: Span, summary: String) -> Reply {
        Reply::new(&self.deployment.id, NextStep::Advance, summary).after(wait)
    }

    /// The load balancer's API is throttled, so somebody may need to roll back.
    async fn giving_way(&self, since: Timestamp) -> Result<Reply, Stop> {
        let settling = self.ports.ambient().now().since(since);
        let interval = self.deployment.plan.health.interval;
        let wait = give_way(interval, settling, self.ports.ambient().number());
        self.touch_after(Routes::Unseen, MoveOn::Stay, wait).await?;
        let summary = "the load balancer's API is throttled: rollbacks go first".to_owned();
        Ok(self.settling(wait, summary))
    }

    /// Keeps the sweep away, and records where to go from here.
    async fn touch(&self, routes: Routes, move_on: MoveOn) -> Result<Deployment, Stop> {
        self.touch_after(routes, move_on, pace::tick(&self.deployment, self.ports.ambient().now()))
            .await
    }

    /// The same, where nothing is due for so long.
    async fn touch_after(
        &self,
        routes: Routes,
        move_on: MoveOn,
        wait: Span,
    ) -> Result<Deployment, Stop> {
        transition(self.ports, &self.deployment.id, |deployment| {
            let now = self.ports.ambient().now();
            let due = overdue(&deployment.plan, now, wait);
            let observed = Observed { routes: routes.clone(), ..Observed::default() };
            observe(deployment, &self.deployment, observed, move_on.clone(), now, due)
        })
        .await
    }

    /// Records that the service needs more tasks than anybody knew, for whoever brings traffic back.
    async fn grow(&self, needed: u32) -> Result<(), Stop> {
        transition(self.ports, &self.deployment.id, |deployment| {
            let now = self.ports.ambient().now();
            let due = overdue(&deployment.plan, now, pace::tick(deployment, now));
            let observed = Observed { needed: Some(needed), ..Observed::default() };
            observe(deployment, &self.deployment, observed, MoveOn::Stay, now, due)
        })
        .await
        .map(|_| ())
    }

    /// Somebody else changed a route: nothing moves, and if it stays so, everything goes back.
    async fn hold_foreign(&self, since: Timestamp, found: String) -> Result<Reply, Stop> {
        let plan = &self.deployment.plan;
        if self.ports.ambient().now().since(since) > plan.settle_within {
            require_unfenced(self.ports, &self.deployment.id).await?;
            return Err(Stop::Failed(Failure::new(
                FailureCode::RouteChanged,
                format!(
                    "somebody else changed a route and left it so for {}: {found}",
                    plan.settle_within
                ),
            )));
        }
        let before = self.deployment.notices;
        let told = self.touch(Routes::Changed(found.clone()), MoveOn::Stay).await?;
        Ok(self
            .settling(plan.health.interval, format!("holds: {found}"))
            .telling(told.notices > before))
    }

    /// Whether the canary's group is in every route, so that its targets are health-checked.
    fn attached(&self, observed: &[RouteActions]) -> bool {
        self.deployment.plan.routes.iter().zip(observed).all(|(route, actions)| {
            actions.forward().is_ok_and(|forward| forward.contains(route.group(Role::Canary)))
        })
    }

    async fn claim(&self, purpose: Purpose) -> Result<Claim<'_, P>, Stop> {
        let read = &self.deployment;
        Claim::take(self.ports, &read.id, |deployment, own, now, due| {
            let intent = Intent::new(purpose, now, FORWARD_LIFETIME);
            claim_forward(deployment, read, own, intent, now, due)
        })
        .await
    }

    /// Moves the weight and goes on to the bake.
    async fn shift(&self, since: Timestamp) -> Result<Reply, Stop> {
        match self.write_weight(self.stage.weight, true).await? {
            Written::Verified => {}
            Written::Otherwise => {
                let wait = pace::settle_look(&self.deployment.plan);
                let summary = "the route does not read back as written".to_owned();
                return Ok(self.settling(wait, summary));
            }
            Written::Throttled => return self.giving_way(since).await,
            Written::Foreign(found) => return self.hold_foreign(since, found).await,
        }
        let tick = pace::tick(&self.deployment, self.ports.ambient().now());
        let wait =
            if self.stage.bake == Span::ZERO { Span::ZERO } else { tick.min(self.stage.bake) };
        let next = if wait == Span::ZERO { NextStep::Validate } else { NextStep::Gate };
        let summary = format!("{} of traffic is on the canary", self.stage.weight);
        Ok(Reply::new(&self.deployment.id, next, summary).after(wait).telling(true))
    }

    /// Writes a weight on every route, reads it back and records it. If a fence closed meanwhile,
    /// undoes itself.
    async fn write_weight(&self, weight: Weight, bake: bool) -> Result<Written, Stop> {
        let plan = &self.deployment.plan;
        let claim = self.claim(Purpose::Shift(weight)).await?;
        let before = self.read_under(&claim).await?;
        if let Some(found) = self.deployment.foreign(&before) {
            claim.finish().await?;
            return Ok(Written::Foreign(found));
        }
        let wanted: Vec<(&RoutePlan, RouteActions)> =
            plan.routes.iter().map(|route| (route, route.at(weight))).collect();
        let missing: Vec<_> = wanted
            .iter()
            .zip(&before)
            .filter(|((_, wanted), before)| before.as_ref() != Some(wanted))
            .map(|((route, wanted), _)| (*route, wanted.clone()))
            .collect();
        let attempted =
            routes::write(self.ports, claim.intent(), Patience::GiveWay, &missing).await;
        if attempted.result.is_err() || !attempted.clean {
            if attempted.clean {
                claim.finish().await?;
            }
            return match attempted.result {
                Ok(()) => Ok(Written::Otherwise),
                Err(PortError::Throttled { .. }) => Ok(Written::Throttled),
                Err(error) => Err(error.into()),
            };
        }
        let observed = self.read_under(&claim).await?;
        let verified: Vec<_> = wanted.into_iter().map(|(_, actions)| actions).collect();
        if !reads_back(&observed, &verified) {
            // A rollback that has written one route before this shift and another one after it believes that
            // all of them are back.
            return match require_unfenced(self.ports, &self.deployment.id).await {
                Ok(()) => {
                    claim.finish().await?;
                    Ok(Written::Otherwise)
                }
                Err(Stop::Refused(refused)) => {
                    self.undo(claim.id(), &refused).await?;
                    Err(Stop::Refused(refused))
                }
                Err(stop) => Err(stop),
            };
        }
        let recorded = transition(self.ports, &self.deployment.id, |deployment| {
            let now = self.ports.ambient().now();
            let due = overdue(&deployment.plan, now, pace::tick(deployment, now));
            let verified = verified.clone();
            if bake {
                record_shift(deployment, claim.id(), verified, now, due)
            } else {
                release_forward(deployment, claim.id(), verified, now, due)
            }
        })
        .await;
        match recorded {
            Ok(_) => Ok(Written::Verified),
            // The claim has died: whoever has gone on since counts, and there is no fence to undo for.
            Err(stop @ Stop::Refused(Refused::NotNewer)) => Err(stop),
            Err(Stop::Refused(refused)) => {
                self.undo(claim.id(), &refused).await?;
                Err(Stop::Refused(refused))
            }
            Err(stop) => Err(stop),
        }
    }

    /// The routes, under a claim of which nothing is on its way: it ends if they cannot be read, or it
    /// would hold up the next turn, and a rollback, for half a minute.
    async fn read_under(&self, claim: &Claim<'_, P>) -> Result<Vec<Option<RouteActions>>, Stop> {
        let read = routes::read(self.ports, &self.deployment.plan.routes).await;
        if read.is_err() {
            claim.finish().await?;
        }
        Ok(read?)
    }

    /// A fence closed between the claim and the record: the write is taken back at once, without
    /// waiting for the rollback to come by.
    async fn undo(&self, own: &IntentId, refused: &Refused) -> Result<(), Stop> {
        let fence = Fence {
            trigger: FenceTrigger::StateMachine,
            failure: refusal(refused),
            at: self.ports.ambient().now(),
        };
        let intent = Intent::new(Purpose::Restore, self.ports.ambient().now(), RESTORE_LIFETIME);
        let id = &self.deployment.id;
        match self.ports.registry().fence_deployment(id, &fence, own, &intent).await? {
            DeploymentFence::Closed(deployment) => {
                let plan = &deployment.plan;
                let stable = Stable {
                    health: deployment.health,
                    needed: deployment.needed(),
                    forced: deployment.forced().is_some(),
                };
                let urgency = Urgency::of(&deployment, LINGER);
                let written = restore(self.ports, &intent, &plan.routes, stable, urgency);
                match written.await {
                    // The rollback holds or steps back; it is not this step's to decide.
                    Restore::TooWeak(_) => {}
                    Restore::Attempted(Restored { attempted, .. }) => {
                        // A throttled one is left to the rollback, which the refusal leads to.
                        if attempted.put_off.is_none() {
                            attempted.result?;
                        }
                        if !attempted.clean {
                            return Ok(());
                        }
                    }
                }
                Ok(self.ports.registry().finish_deployment_intent(id, own).await?)
            }
            // It has ended: nothing of this deployment is written any more.
            DeploymentFence::TooLate(_) | DeploymentFence::Unknown => Ok(()),
        }
    }
}
