//! Brings the world towards the current stage. Level-triggered: it looks, makes at most one kind of
//! change, and says whether to come back or to go on.

mod tasks;

use glidepath_core::failure::Failure;
use glidepath_core::plan::{RoutePlan, Stage};
use glidepath_core::protocol::{
    Foreign, Looked, MoveOn, NextStep, Observed, Refused, Reply, Routes, Settling, claim_forward,
    observe, reads_back, record_shift, release_forward, settling,
};
use glidepath_core::record::{Deployment, Event, Fence, FenceTrigger, Intent, Purpose, Step};
use glidepath_core::route::RouteActions;
use glidepath_core::storm::give_way;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;

use crate::attempt::{Patience, Urgency};
use crate::claim::Claim;
use crate::pace::{self, FORWARD_LIFETIME, LINGER, RESTORE_LIFETIME, overdue};
use crate::ports::{
    Clock, Containers, DeploymentFence, LoadBalancer, PortError, Ports, Random, Registry, Scaling,
};
use crate::restore::{self, Restore, Stable, restore};
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
    let since = match &deployment.progress.step {
        Step::Settling { since, .. } => *since,
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
    let turn = Turn { ports, deployment, stage, since };
    match turn.take().await {
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
    Foreign(Foreign),
}

struct Turn<'a, P> {
    ports: &'a P,
    deployment: Deployment,
    stage: Stage,
    /// When the stage began to settle.
    since: Timestamp,
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
    /// What [`settling`] says comes next, until that ends the turn.
    async fn take(&self) -> Result<Reply, Stop> {
        let plan = &self.deployment.plan;
        let routes = routes::read(self.ports, &plan.routes).await?;
        let mut looked = Looked { routes, ..Looked::default() };
        loop {
            match settling(&self.deployment, &self.stage, &looked, self.ports.ambient().now()) {
                Settling::Foreign(foreign) => return self.hold_foreign(foreign).await,
                Settling::Attach => return self.attach().await,
                Settling::BringUp => looked.tasks = Some(self.bring_up().await?),
                Settling::Wait(summary) => {
                    self.touch(Routes::InOrder, MoveOn::Stay).await?;
                    return Ok(self.settling(pace::settle_look(plan), summary));
                }
                Settling::NotReady(waiting) => return Err(self.not_ready(&waiting).await),
                Settling::LookAtImages => looked.images = Some(self.look_at_images().await?),
                Settling::Ask(approval) => {
                    self.touch(Routes::InOrder, MoveOn::Ask(approval)).await?;
                    let tick = pace::tick(&self.deployment, self.ports.ambient().now());
                    let id = &self.deployment.id;
                    let reply = Reply::new(id, NextStep::Gate, "waits for a person");
                    return Ok(reply.after(tick).telling(true));
                }
                Settling::Held { why, tell } => return self.hold_back(why, tell).await,
                Settling::Paused(summary) => {
                    self.touch(Routes::InOrder, MoveOn::Stay).await?;
                    let tick = pace::tick(&self.deployment, self.ports.ambient().now());
                    return Ok(Reply::new(&self.deployment.id, NextStep::Gate, summary).after(tick));
                }
                Settling::Shift(weight) => return self.shift(weight).await,
            }
        }
    }

    fn settling(&self, wait: Span, summary: String) -> Reply {
        // What is half written outside its windows is finished as soon as it would be within.
        if self.deployment.progress.paused.is_none() {
            return Reply::new(&self.deployment.id, NextStep::Advance, summary).after(wait);
        }
        self.holding(wait, summary)
    }

    /// However long it lasts: what has traffic is judged meanwhile, and the execution's history has room. Before that
    /// tasks that start would be judged, and fail for having no healthy target yet.
    fn holding(&self, wait: Span, summary: String) -> Reply {
        let judged = self.deployment.progress.shifted_at.is_some();
        let next = if judged { NextStep::Gate } else { NextStep::Advance };
        let tick = pace::tick(&self.deployment, self.ports.ambient().now());
        Reply::new(&self.deployment.id, next, summary).after(wait.max(tick))
    }

    /// No weight may move: nothing begins.
    async fn hold_back(&self, why: String, tell: Event) -> Result<Reply, Stop> {
        let before = self.deployment.notices;
        let told = self.touch(Routes::InOrder, MoveOn::Tell(tell)).await?;
        let reply = self.holding(Span::ZERO, why);
        Ok(reply.telling(told.notices > before))
    }

    /// The load balancer's API is throttled, so somebody may need to roll back.
    async fn giving_way(&self) -> Result<Reply, Stop> {
        let settling = self.ports.ambient().now().since(self.since);
        let interval = self.deployment.plan.health.interval;
        let wait = give_way(interval, settling, self.ports.ambient().number());
        let summary = "the load balancer's API is throttled: rollbacks go first".to_owned();
        let reply = self.settling(wait, summary);
        // What it waits, and not what it would: the sweep takes it for dead otherwise.
        let waits = Span::from_secs(reply.wait_seconds);
        self.touch_after(Routes::Unseen, MoveOn::Stay, waits).await?;
        Ok(reply)
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

    /// Somebody else changed a route.
    async fn hold_foreign(&self, foreign: Foreign) -> Result<Reply, Stop> {
        let found = match foreign {
            Foreign::Hold(found) => found,
            Foreign::GoBack(failure) => {
                require_unfenced(self.ports, &self.deployment.id).await?;
                return Err(Stop::Failed(failure));
            }
        };
        let before = self.deployment.notices;
        let told = self.touch(Routes::Changed(found.clone()), MoveOn::Stay).await?;
        let (interval, summary) = (self.deployment.plan.health.interval, format!("holds: {found}"));
        let reply = match self.deployment.held_back(self.ports.ambient().now()) {
            Some(_) => self.holding(interval, summary),
            None => self.settling(interval, summary),
        };
        Ok(reply.telling(told.notices > before))
    }

    async fn claim(&self, purpose: Purpose) -> Result<Claim<'_, P>, Stop> {
        let read = &self.deployment;
        Claim::take(self.ports, &read.id, |deployment, own, now, due| {
            let intent = Intent::new(purpose, now, FORWARD_LIFETIME);
            claim_forward(deployment, read, own, intent, now, due)
        })
        .await
    }

    /// Has the canary's group checked.
    async fn attach(&self) -> Result<Reply, Stop> {
        Ok(match self.write_weight(Weight::NONE, false).await? {
            Written::Verified | Written::Otherwise => self.settling(
                pace::settle_look(&self.deployment.plan),
                "the canary's target group is in the route now, at weight 0".to_owned(),
            ),
            Written::Throttled => self.giving_way().await?,
            Written::Foreign(foreign) => self.hold_foreign(foreign).await?,
        })
    }

    /// Moves the weight and goes on to the bake.
    async fn shift(&self, weight: Weight) -> Result<Reply, Stop> {
        match self.write_weight(weight, true).await? {
            Written::Verified => {}
            Written::Otherwise => {
                let wait = pace::settle_look(&self.deployment.plan);
                let summary = "the route does not read back as written".to_owned();
                return Ok(self.settling(wait, summary));
            }
            Written::Throttled => return self.giving_way().await,
            Written::Foreign(foreign) => return self.hold_foreign(foreign).await,
        }
        let (next, wait) = self.deployment.bakes(&self.stage, self.ports.ambient().now());
        let summary = format!("{weight} of traffic is on the canary");
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
            let now = self.ports.ambient().now();
            return Ok(Written::Foreign(self.deployment.holds(found, now)));
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
            return match claim.after(attempted).await?.result {
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
                    self.undo(claim, &refused).await?;
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
                self.undo(claim, &refused).await?;
                Err(Stop::Refused(refused))
            }
            Err(stop) => Err(stop),
        }
    }

    /// The routes, under a claim of which nothing is on its way.
    async fn read_under(&self, claim: &Claim<'_, P>) -> Result<Vec<Option<RouteActions>>, Stop> {
        claim.holding(routes::read(self.ports, &self.deployment.plan.routes).await).await
    }

    /// A fence closed between the claim and the record: the write is taken back at once, without
    /// waiting for the rollback to come by.
    async fn undo(&self, shift: Claim<'_, P>, refused: &Refused) -> Result<(), Stop> {
        let fence = Fence {
            trigger: FenceTrigger::StateMachine,
            failure: refusal(refused),
            at: self.ports.ambient().now(),
        };
        let intent = Intent::new(Purpose::Restore, self.ports.ambient().now(), RESTORE_LIFETIME);
        let (id, own) = (&self.deployment.id, shift.id());
        match self.ports.registry().fence_deployment(id, &fence, own, &intent).await? {
            DeploymentFence::Closed(deployment) => {
                let claim = Claim::of_fence(self.ports, id, own.clone(), intent);
                let (routes, stable) = (&deployment.plan.routes, Stable::of(&deployment));
                let urgency = Urgency::of(&deployment, LINGER);
                match restore(self.ports, claim.intent(), routes, stable, urgency).await {
                    // The rollback holds or steps back; it is not this step's to decide.
                    Restore::TooWeak(_) => claim.finish().await,
                    // A throttled one is left to the rollback, which the refusal leads to.
                    Restore::Attempted(restore::Written { attempted, .. })
                        if attempted.put_off.is_some() =>
                    {
                        claim.finish_if(attempted.clean).await
                    }
                    Restore::Attempted(restore::Written { attempted, .. }) => {
                        claim.after(attempted).await?.result?;
                        Ok(())
                    }
                }
            }
            // It has ended: nothing of this deployment is written any more.
            DeploymentFence::TooLate(_) | DeploymentFence::Unknown => Ok(()),
        }
    }
}
