//! A rollback that an alarm triggers: two round trips from the event to restored traffic.

use futures_util::future::{join, join_all};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::harm::Harm;
use glidepath_core::ids::{AlarmArn, DeploymentId, IntentId};
use glidepath_core::plan::RoutePlan;
use glidepath_core::protocol::{Refused, SeenRoutes};
use glidepath_core::record::{AlarmItem, Binding, Fence, FenceTrigger, Intent, Phase, Purpose};
use glidepath_core::time::Timestamp;

use super::bring_back::{Back, BringBack, Door, Unfinished};
use super::claimed::{Carrier, Claimed};
use super::weak::Waits;
use crate::attempt::Urgency;
use crate::claim::Claim;
use crate::pace::{self, LINGER, RESTORE_LIFETIME};
use crate::ports::{
    AlarmFence, Clock, DeploymentFence, LoadBalancer, Orchestration, Ports, Registry,
};
use crate::restore::{Restore, Stable, restore};
use crate::transition::Stop;
use crate::{Ambient, failed};

/// An alarm that went to ALARM. It counts for a deployment that started before `at`, however late
/// it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmEvent {
    pub alarm: AlarmArn,
    /// When its state changed, by CloudWatch's clock.
    pub at: Timestamp,
    /// CloudWatch's reason.
    pub reason: String,
}

/// What came of an alarm event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmOutcome {
    /// Deployments whose traffic is back on stable.
    pub restored: Vec<DeploymentId>,
    /// When the last of them was.
    pub restored_at: Option<Timestamp>,
    /// Deployments whose stable slot has too few healthy targets: it has got its share.
    pub stepping: Vec<DeploymentId>,
    /// Deployments whose stable slot has no healthy target.
    pub held: Vec<DeploymentId>,
    /// Deployments whose traffic goes back as soon as the load balancer's API takes the write; their
    /// state machines see to it.
    pub put_off: Vec<DeploymentId>,
    /// Deployments that had ended or committed meanwhile.
    pub untouched: Vec<DeploymentId>,
}

/// Returns every deployment that the alarm is bound to, and that started before it fired, to
/// stable. The rest of their rollback is the state machine's, which is woken, or the sweep's.
pub async fn on_alarm<P>(ports: &P, event: &AlarmEvent) -> Result<AlarmOutcome, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Orchestration: Orchestration,
            Ambient: Ambient,
        >,
{
    let (registry, ambient) = (ports.registry(), ports.ambient());
    let rollback = AlarmRollback {
        ports,
        event,
        id: pace::intent_id(ambient),
        intent: Intent::new(Purpose::Restore, ambient.now(), RESTORE_LIFETIME),
    };
    let fenced = registry.fence_alarm(&event.alarm, event.at, &rollback.id, &rollback.intent).await;
    let mut outcome = AlarmOutcome::default();
    let (alarm, joined) = match fenced.map_err(|error| failed(&error))? {
        AlarmFence::Closed(alarm) => (alarm, true),
        AlarmFence::ClosedBefore(alarm) => (alarm, false),
        AlarmFence::Unknown => return Ok(outcome),
    };
    let stopped: Vec<_> = alarm.stopped_by(event.at).collect();
    let results = join_all(stopped.iter().map(|(id, binding)| rollback.stop(id, binding, joined)));
    let unreadable = &alarm.unreadable.bindings;
    let by_record = join_all(unreadable.iter().map(|id| rollback.stop_by_record(id, joined)));
    // Beside one another: what cannot be read holds up nothing that can.
    let (results, by_record) = join(results, by_record).await;
    let mut clean = true;
    let mut failure = None;
    let ids = stopped.into_iter().map(|(id, _)| id).chain(unreadable);
    for (id, stopped) in ids.zip(results.into_iter().chain(by_record)) {
        match stopped {
            Ok(Stopped::Restored { clean: this, at }) => {
                clean &= this;
                outcome.restored_at = outcome.restored_at.max(at);
                outcome.restored.push(id.clone());
            }
            Ok(Stopped::Stepping) => outcome.stepping.push(id.clone()),
            Ok(Stopped::PutOff { clean: this }) => {
                clean &= this;
                outcome.put_off.push(id.clone());
            }
            Ok(Stopped::Held) => outcome.held.push(id.clone()),
            Ok(Stopped::Gone) => outcome.untouched.push(id.clone()),
            Err((this, error)) => {
                clean &= this;
                failure.get_or_insert(error);
            }
        }
    }
    rollback.finish(&alarm, clean).await?;
    // The event is delivered again, and everything that is done already is repeated harmlessly.
    failure.map_or(Ok(outcome), Err)
}

struct AlarmRollback<'a, P> {
    ports: &'a P,
    event: &'a AlarmEvent,
    id: IntentId,
    intent: Intent,
}

enum Stopped {
    Restored { clean: bool, at: Option<Timestamp> },
    Stepping,
    Held,
    PutOff { clean: bool },
    Gone,
}

impl<P> AlarmRollback<'_, P>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Orchestration: Orchestration,
            Ambient: Ambient,
        >,
{
    /// Returns one deployment to stable. An error says whether every attempt was answered.
    async fn stop(
        &self,
        id: &DeploymentId,
        binding: &Binding,
        joined: bool,
    ) -> Result<Stopped, (bool, Failure)> {
        if !self.join(id, joined).await? {
            return Ok(Stopped::Gone);
        }
        self.send_back(id, &binding.routes, Stable::bound(binding), binding.harm).await
    }

    /// The same where the binding cannot be read: the deployment's own record has the routes as well,
    /// for one more round trip. It is read after the claim, so that it cannot commit meanwhile.
    async fn stop_by_record(
        &self,
        id: &DeploymentId,
        joined: bool,
    ) -> Result<Stopped, (bool, Failure)> {
        if !self.join(id, joined).await? {
            return Ok(Stopped::Gone);
        }
        let found = self.ports.registry().deployment(id).await;
        let found = found.map_err(|error| (true, failed(&error)))?;
        let deployment = found.filter(|found| match found.phase {
            Phase::Open | Phase::RollingBack | Phase::Held => found.started_at <= self.event.at,
            Phase::Committed | Phase::Closed(_) => false,
        });
        let Some(deployment) = deployment else { return Ok(Stopped::Gone) };
        let (routes, stable) = (&deployment.plan.routes, Stable::of(&deployment));
        self.send_back(id, routes, stable, deployment.harm()).await
    }

    /// Claims what will be written, if the fence has not; whether the alarm can stop it still.
    async fn join(&self, id: &DeploymentId, joined: bool) -> Result<bool, (bool, Failure)> {
        if joined {
            return Ok(true);
        }
        let join = self.ports.registry().join_alarm(&self.event.alarm, id, &self.id, &self.intent);
        join.await.map_err(|error| (true, failed(&error)))
    }

    /// Writes the routes back and records it.
    async fn send_back(
        &self,
        id: &DeploymentId,
        routes: &[RoutePlan],
        stable: Stable,
        harm: Harm,
    ) -> Result<Stopped, (bool, Failure)> {
        let urgency = Urgency { harm, throttled_since: None, linger: LINGER };
        let written = restore(self.ports, &self.intent, routes, stable, urgency).await;
        let clean = match &written {
            Restore::Attempted(written) => written.attempted.clean,
            // Nothing was written yet.
            Restore::TooWeak(_) => true,
        };
        match self.record(id, written).await {
            Ok(stopped) => Ok(stopped),
            Err((this, failure)) => Err((clean && this, failure)),
        }
    }

    /// Traffic is where it can be: now the deployment itself learns why, and its gate is woken. Where
    /// stable is too weak, the deployment says what that means, and claims what is written. An error
    /// says whether every attempt that it made was answered.
    async fn record(
        &self,
        id: &DeploymentId,
        written: Restore,
    ) -> Result<Stopped, (bool, Failure)> {
        let fence = self.fence();
        let fenced = self.ports.registry().fence_deployment(id, &fence, &self.id, &self.intent);
        let deployment = match fenced.await.map_err(|error| (true, failed(&error)))? {
            DeploymentFence::Closed(deployment) => deployment,
            DeploymentFence::TooLate(_) | DeploymentFence::Unknown => return Ok(Stopped::Gone),
        };
        let claim = Claim::of_fence(self.ports, id, self.id.clone(), self.intent.clone());
        let back = BringBack {
            claimed: Claimed {
                ports: self.ports,
                deployment: &deployment,
                claim: &claim,
                carrier: Carrier::Woken,
            },
            door: Door::Alarm,
        };
        let seen = |beside: Option<_>| beside.map_or(SeenRoutes::Nothing, SeenRoutes::Beside);
        match back.after(written, seen).await {
            Ok(Back::Restored { clean, deployment, .. }) => {
                Ok(Stopped::Restored { clean, at: deployment.progress.restored_at })
            }
            Ok(Back::PutOff { clean, .. }) => Ok(Stopped::PutOff { clean }),
            Ok(Back::Waits(Waits { held: true, .. })) => Ok(Stopped::Held),
            Ok(Back::Waits(Waits { held: false, .. })) => Ok(Stopped::Stepping),
            // Another rollback has brought it to its end meanwhile.
            Err(Unfinished { stop: Stop::Refused(Refused::NotOpen(_)), .. }) => Ok(Stopped::Gone),
            Err(Unfinished { clean, stop }) => Err((clean, stop.into())),
        }
    }

    fn fence(&self) -> Fence {
        Fence {
            trigger: FenceTrigger::Alarm(self.event.alarm.clone()),
            failure: Failure::new(
                FailureCode::AlarmFired,
                format!("alarm `{}` fired: {}", self.event.alarm.name(), self.event.reason),
            ),
            at: self.ports.ambient().now(),
        }
    }

    /// The intent is done if nothing of it can land any more; otherwise it lives until its deadline.
    async fn finish(&self, alarm: &AlarmItem, clean: bool) -> Result<(), Failure> {
        if !clean {
            return Ok(());
        }
        let finished = self.ports.registry().finish_alarm_intent(&alarm.arn, &self.id).await;
        finished.map_err(|error| failed(&error))
    }
}
