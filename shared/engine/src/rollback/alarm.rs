//! A rollback that an alarm triggers: two round trips from the event to restored traffic.

use futures_util::future::join_all;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{AlarmArn, DeploymentId, IntentId};
use glidepath_core::protocol::{AlarmItem, Binding, Fence, FenceTrigger, Intent, Purpose, Refused};
use glidepath_core::time::{Span, Timestamp};

use super::put_off::{Carrier, put_off};
use super::{finish, holding, record_restored, wake};
use crate::attempt::Urgency;
use crate::pace::{self, LINGER, RESTORE_LIFETIME};
use crate::ports::{AlarmFence, DeploymentFence, LoadBalancer, Orchestration, Registry};
use crate::restore::{Restore, restore};
use crate::transition::Stop;
use crate::{Ambient, failed};

/// An alarm that went to ALARM. It counts for a deployment that started before `at`, however late
/// it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmEvent {
    /// Which alarm.
    pub alarm: AlarmArn,
    /// When its state changed, by CloudWatch's clock.
    pub at: Timestamp,
    /// CloudWatch's reason.
    pub reason: String,
}

/// What came of an alarm event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmOutcome {
    /// Deployments whose traffic is back on stable.
    pub restored: Vec<DeploymentId>,
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
pub async fn on_alarm<R, L, O, A>(
    registry: &R,
    load_balancer: &L,
    orchestration: &O,
    ambient: &A,
    event: &AlarmEvent,
) -> Result<AlarmOutcome, Failure>
where
    R: Registry,
    L: LoadBalancer,
    O: Orchestration,
    A: Ambient,
{
    let rollback = AlarmRollback {
        registry,
        load_balancer,
        orchestration,
        ambient,
        event,
        id: pace::intent_id(ambient),
        intent: Intent::new(Purpose::Restore, ambient.now(), RESTORE_LIFETIME),
    };
    let fenced = registry.fence_alarm(&event.alarm, event.at, &rollback.id, &rollback.intent).await;
    let mut outcome = AlarmOutcome {
        restored: Vec::new(),
        held: Vec::new(),
        put_off: Vec::new(),
        untouched: Vec::new(),
    };
    let (alarm, joined) = match fenced.map_err(|error| failed(&error))? {
        AlarmFence::Closed(alarm) => (alarm, true),
        AlarmFence::ClosedBefore(alarm) => (alarm, false),
        AlarmFence::Unknown => return Ok(outcome),
    };
    let stopped: Vec<_> = alarm.stopped_by(event.at).collect();
    let results =
        join_all(stopped.iter().map(|(id, binding)| rollback.stop(id, binding, joined))).await;
    let mut clean = true;
    let mut failure = None;
    for ((id, _), stopped) in stopped.into_iter().zip(results) {
        match stopped {
            Ok(Stopped::Restored { clean: this }) => {
                clean &= this;
                outcome.restored.push(id.clone());
            }
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

struct AlarmRollback<'a, R, L, O, A> {
    registry: &'a R,
    load_balancer: &'a L,
    orchestration: &'a O,
    ambient: &'a A,
    event: &'a AlarmEvent,
    id: IntentId,
    intent: Intent,
}

enum Stopped {
    Restored { clean: bool },
    Held,
    PutOff { clean: bool },
    Gone,
}

impl<R, L, O, A> AlarmRollback<'_, R, L, O, A>
where
    R: Registry,
    L: LoadBalancer,
    O: Orchestration,
    A: Ambient,
{
    /// Returns one deployment to stable. An error says whether every attempt was answered.
    async fn stop(
        &self,
        id: &DeploymentId,
        binding: &Binding,
        joined: bool,
    ) -> Result<Stopped, (bool, Failure)> {
        let lost = |error: &crate::ports::PortError| (true, failed(error));
        if !joined {
            let join = self.registry.join_alarm(&self.event.alarm, id, &self.id, &self.intent);
            if !join.await.map_err(|error| lost(&error))? {
                return Ok(Stopped::Gone);
            }
        }
        let Binding { routes, health, needed, .. } = binding;
        let urgency = Urgency { harm: binding.harm, throttled_since: None, linger: LINGER };
        let (load_balancer, ambient, intent) = (self.load_balancer, self.ambient, &self.intent);
        let written =
            restore(load_balancer, ambient, intent, routes, *health, *needed, urgency).await;
        let clean = match &written {
            Restore::Attempted(attempted) => attempted.clean,
            Restore::OntoNothing => true,
        };
        let recorded = self.record(id, written).await.map_err(|failure| (clean, failure))?;
        Ok(match recorded {
            Stopped::Restored { .. } => Stopped::Restored { clean },
            Stopped::PutOff { .. } => Stopped::PutOff { clean },
            Stopped::Held | Stopped::Gone => recorded,
        })
    }

    /// Traffic is where it can be: now the deployment itself learns why, and its gate is woken.
    async fn record(&self, id: &DeploymentId, written: Restore) -> Result<Stopped, Failure> {
        let fence = Fence {
            trigger: FenceTrigger::Alarm(self.event.alarm.clone()),
            failure: Failure::new(
                FailureCode::AlarmFired,
                format!("alarm `{}` fired: {}", self.event.alarm.name(), self.event.reason),
            ),
            at: self.ambient.now(),
        };
        let fenced = self.registry.fence_deployment(id, &fence, &self.id, &self.intent).await;
        let deployment = match fenced.map_err(|error| failed(&error))? {
            DeploymentFence::Closed(deployment) => deployment,
            DeploymentFence::TooLate(_) | DeploymentFence::Unknown => return Ok(Stopped::Gone),
        };
        let (stopped, recorded) = match written {
            Restore::OntoNothing => {
                let wait = pace::tick(&deployment, self.ambient.now());
                let held = holding(self.registry, self.ambient, id, &self.id, wait).await;
                (Stopped::Held, held.map(|_| ()))
            }
            Restore::Attempted(attempted) => {
                // The intent on the alarm stands for the writes; this one only carried the fence.
                let clean = attempted.clean;
                if let Some(off) = &attempted.put_off {
                    let (own, carrier) = (Some(&self.id), Carrier::Woken);
                    let (registry, load_balancer) = (self.registry, self.load_balancer);
                    let ambient = self.ambient;
                    let off =
                        put_off(registry, load_balancer, ambient, &deployment, own, off, carrier);
                    (Stopped::PutOff { clean }, off.await.map(|_| ()))
                } else {
                    finish(self.registry, id, &self.id).await?;
                    attempted.result.map_err(|error| failed(&error))?;
                    let restored =
                        record_restored(self.registry, self.ambient, id, Span::ZERO).await;
                    (Stopped::Restored { clean }, restored.map(|_| ()))
                }
            }
        };
        match recorded {
            Ok(()) => {}
            // Another rollback has brought it to its end meanwhile.
            Err(Stop::Refused(Refused::NotOpen(_))) => return Ok(Stopped::Gone),
            Err(stop) => return Err(stop.into()),
        }
        wake(self.orchestration, &deployment).await?;
        Ok(stopped)
    }

    /// The intent is done if nothing of it can land any more; otherwise it lives until its deadline.
    async fn finish(&self, alarm: &AlarmItem, clean: bool) -> Result<(), Failure> {
        if !clean {
            return Ok(());
        }
        let finished = self.registry.finish_alarm_intent(&alarm.arn, &self.id).await;
        finished.map_err(|error| failed(&error))
    }
}
