//! Mistakes that somebody could make in the engine, one at a time. None of them is in the code that ships:
//! what a use case is told, or what it writes, is altered at its ports into what the mistake would have made
//! of it.

use glidepath_core::ids::{AlarmArn, DeploymentId};
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{AlarmItem, Binding, Deployment, LockKey, Outcome, Phase, Purpose};
use glidepath_core::scaling::Changes;
use glidepath_core::time::Span;
use glidepath_engine::ports::{AlarmFence, DeploymentFence};
use glidepath_engine::testing::Items;

use crate::boundary::Boundary;
use crate::process::Kind;

/// Mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A shift does not look at the fence again after its write.
    NoSecondLook,
    /// A rollback by an alarm writes the route before it closes the fence.
    WriteBeforeFence,
    /// Who holds a claim looks at the clock once, and attempts whatever its deadline says.
    NoDeadline,
    /// The end does not wait for writes that may still land.
    UnlockWithLiveIntent,
    /// The old slot loses its tasks before the commit.
    RetireBeforeCommit,
    /// The alarms are looked at before they are bound.
    BindAfterLook,
    /// An older entry of the gate replaces a newer one.
    GateWithoutNewerCheck,
    /// A rollback stops deployments that started after the event.
    EventsBeforeTheStart,
    /// A repeated event writes without registering an intent.
    RepeatWithoutIntent,
    /// An intent is finished although an attempt had no answer.
    FinishUnanswered,
    /// The last read-back of a rollback comes before the others' claims are dead.
    ReadBackTooEarly,
    /// The last read-back of a rollback is taken for granted.
    NoReadBack,
    /// The same once, where a later one would have found it.
    LastLookSkipped,
    /// A shift takes itself back without asking whether the deployment still has its locks.
    UndoWithoutLock,
    /// A look writes the recorded health whether or not the binding still exists.
    BlindRefresh,
    /// A plan takes the locks at whatever epoch and does not read the roles again.
    RolesReadOnce,
    /// A commit does not ask whether an alarm has fired.
    CommitAfterFiring,
    /// The sweep leaves alone what a rollback holds.
    HeldIsForgotten,
    /// A rollback writes without looking at stable, however old the last look is.
    RestoreWithoutLook,
    /// A step back is claimed whatever others have claimed.
    StepsCross,
    /// A rollback that is put off counts as one that has written.
    ThrottledIsWritten,
    /// A rollback that is put off leaves the execution asleep.
    PutOffAsleep,
    /// A rollback is put off without a look at stable on which its next turn can rely.
    PutOffWithoutLook,
    /// A rollback that is put off opens its fence until it comes back.
    PutOffReopens,
    /// A rollback is put off whatever others have recorded meanwhile.
    PutOffBlindly,
    /// Every look at a weak stable begins the wait for it anew.
    WaitBeginsAnew,
    /// The plan forces it without having waited for stable.
    ForceAtOnce,
    /// What is forced is recorded without being written.
    ForceUnwritten,
    /// What the plan forces is written after the rollback's claim has ended.
    ForceUnclaimed,
    /// A rollback's fence carries no claim.
    FenceUnclaimed,
    /// The end of a rollback does not require that it has not ended already.
    EndTwice,
    /// Going forward, the attached group at weight 0 is taken for somebody else's.
    AttachForgotten,
    /// An approval is of whatever is asked at that moment.
    ApproveWhatIsAsked,
    /// A promotion is of whatever holds at that moment.
    PromoteWhatHolds,
    /// Whoever goes forward does not know that it is paused.
    PauseUnread,
    /// A look decides on what it read at first, whatever was decided since.
    DeclineBlindly,
    /// A look ends the deployment for want of an answer without asking the registry for one.
    EndUnrecorded,
    /// A late copy of a step goes by what it read at first and asks again although the step is over.
    AskAgain,
    /// A late copy of a step claims although the step is over.
    LateClaim,
    /// A turn forward goes on as if nothing scaled the slots.
    BoundsUnread,
    /// What somebody else has set is not kept.
    ChangesForgotten,
    /// The time of somebody else's weights counts as a bake.
    ForeignTimeCounts,
    /// The end of a rollback leaves a lock.
    LockKept,
    /// A retirement takes the routes for gone.
    RetireUnseen,
    /// A rollback that another one has overtaken fails.
    OvertakenFails,
    /// A decision forgets what others have claimed.
    DecisionForgetsClaims,
    /// A rollback onto a weak stable leaves the execution asleep.
    WeakAsleep,
    /// What a look finds is recorded whatever fence has closed since.
    FenceIsForeign,
    /// A shift that does not read back is not taken back, whatever fence has closed.
    HalfAShift,
    /// A read that fails under a claim leaves the claim alive.
    ClaimLeftByAFailedRead,
    /// The end of a rollback does not ask whether stable was held anew.
    HeldUnseen,
}

/// Longer than any run.
const EVER: Span = Span::from_secs(1_000_000);

impl Boundary {
    /// What a process is told of a deployment that it reads.
    pub(crate) fn told(&self, found: Option<Deployment>) -> Option<Deployment> {
        let mut told = found?;
        let mut inner = self.inner();
        let memory = &mut inner.memory;
        let first = memory.deployment.get_or_insert_with(|| told.clone()).clone();
        let rolls_back = matches!(self.kind, Kind::Rollback | Kind::Alarm);
        memory.claimed |= !told.intents.is_empty();
        match self.mistake {
            Some(Mistake::UnlockWithLiveIntent) if rolls_back => told.intents.clear(),
            Some(Mistake::ReadBackTooEarly) if rolls_back && !memory.asked => {
                told.intents.retain(|id, _| memory.own.as_ref() == Some(id));
            }
            Some(Mistake::ChangesForgotten) => {
                let pins = &mut told.progress.scaling;
                for slot in [&mut pins.stable, &mut pins.canary] {
                    if let Some(pin) = &mut slot.pin {
                        pin.changes = Changes::default();
                    }
                }
            }
            Some(Mistake::PauseUnread) if !rolls_back => told.progress.paused = None,
            Some(Mistake::GateWithoutNewerCheck) if self.kind == Kind::Gate => told.gate = None,
            Some(Mistake::AskAgain) if self.kind == Kind::Advance => {
                told.progress = first.progress;
            }
            // Once it has claimed, it is told the truth.
            Some(Mistake::LateClaim) if self.kind == Kind::Advance && !memory.claimed => {
                told.progress.stage = first.progress.stage;
                told.progress.step = first.progress.step;
            }
            Some(Mistake::DeclineBlindly | Mistake::EndUnrecorded)
                if self.kind == Kind::Validate =>
            {
                told.progress = first.progress;
            }
            Some(Mistake::PutOffBlindly)
                if memory.throttled && matches!(told.phase, Phase::Closed(_)) =>
            {
                told.phase = Phase::RollingBack;
            }
            Some(Mistake::AttachForgotten) if self.kind == Kind::Advance => {
                told.progress.shifted_at.get_or_insert(told.started_at);
            }
            Some(Mistake::HeldUnseen) if rolls_back => {
                told.progress.scaling = first.progress.scaling;
            }
            Some(Mistake::HalfAShift) if memory.halved => told.phase = Phase::Open,
            Some(Mistake::StepsCross) if rolls_back => {
                if let Some(fenced) = &memory.fenced {
                    forget_steps(&mut told);
                    told.progress.restored_at = fenced.progress.restored_at;
                }
            }
            Some(_) | None => {}
        }
        Some(told)
    }

    /// What it is told of alarms.
    pub(crate) fn told_of(&self, mut alarms: Vec<AlarmItem>) -> Vec<AlarmItem> {
        let asked = std::mem::replace(&mut self.inner().memory.asked, true);
        for alarm in &mut alarms {
            match self.mistake {
                Some(Mistake::ReadBackTooEarly) if !asked => alarm.intents.clear(),
                Some(Mistake::UnlockWithLiveIntent) => alarm.intents.clear(),
                Some(Mistake::CommitAfterFiring) if self.kind == Kind::Complete => {
                    alarm.fired_at = None;
                }
                Some(Mistake::HalfAShift) if self.inner().memory.halved => alarm.fired_at = None,
                Some(Mistake::FenceIsForeign)
                    if matches!(self.kind, Kind::Advance | Kind::Validate) =>
                {
                    alarm.fired_at = None;
                }
                Some(_) | None => {}
            }
        }
        alarms
    }

    /// What an alarm's rollback is told by its fence.
    pub(crate) fn told_by(&self, fenced: AlarmFence) -> AlarmFence {
        let alter = |mut alarm: AlarmItem| {
            for binding in alarm.bindings.values_mut() {
                match self.mistake {
                    Some(Mistake::EventsBeforeTheStart) => {
                        binding.started_at = glidepath_core::time::Timestamp::from_millis(0);
                    }
                    Some(Mistake::RestoreWithoutLook) => binding.health.fresh_for = EVER,
                    Some(_) | None => {}
                }
            }
            alarm
        };
        match fenced {
            AlarmFence::Closed(alarm) => AlarmFence::Closed(alter(alarm)),
            AlarmFence::ClosedBefore(alarm) => AlarmFence::ClosedBefore(alter(alarm)),
            AlarmFence::Unknown => AlarmFence::Unknown,
        }
    }

    /// What a rollback is told by the fence of a deployment.
    pub(crate) fn told_by_its_own(&self, fenced: DeploymentFence) -> DeploymentFence {
        let told = match fenced {
            DeploymentFence::TooLate(deployment)
                if self.has(Mistake::UndoWithoutLock) && self.kind == Kind::Advance =>
            {
                DeploymentFence::Closed(deployment)
            }
            DeploymentFence::Closed(mut deployment) => {
                match self.mistake {
                    Some(Mistake::RestoreWithoutLook) => deployment.health.fresh_for = EVER,
                    Some(Mistake::ForceAtOnce) => deployment.plan.rollback.hold_for = Span::ZERO,
                    Some(Mistake::StepsCross) => forget_steps(&mut deployment),
                    Some(_) | None => {}
                }
                DeploymentFence::Closed(deployment)
            }
            told @ (DeploymentFence::TooLate(_) | DeploymentFence::Unknown) => told,
        };
        if let DeploymentFence::Closed(deployment) = &told {
            self.inner().memory.fenced = Some(deployment.clone());
        }
        told
    }

    /// Whether a transaction is answered without being made.
    pub(crate) fn swallows(&self, writes: &[RegistryWrite]) -> bool {
        self.has(Mistake::EndUnrecorded)
            && put(writes).is_some_and(|put| put.progress.ended_by.is_some())
    }

    /// Bindings that are written beside the transaction.
    pub(crate) fn refreshed(
        &self,
        writes: &[RegistryWrite],
    ) -> Vec<(AlarmArn, DeploymentId, Binding)> {
        let blind = writes.iter().filter_map(|write| match write {
            RegistryWrite::RefreshBinding { alarm, deployment, binding } => {
                Some((alarm.clone(), deployment.clone(), (**binding).clone()))
            }
            _ => None,
        });
        if self.has(Mistake::BlindRefresh) { blind.collect() } else { Vec::new() }
    }

    /// A transaction as the mistake makes it.
    pub(crate) fn mistaken(
        &self,
        mut writes: Vec<RegistryWrite>,
        items: &Items,
    ) -> Vec<RegistryWrite> {
        let Some(mistake) = self.mistake else { return writes };
        let shifts = writes.iter().any(|write| {
            matches!(write,
            RegistryWrite::Notice(notice) if notice.event.name() == "shifted")
        });
        let ends = put(&writes).is_some_and(|put| put.phase == Phase::Closed(Outcome::RolledBack));
        let now = self.clock();
        match mistake {
            Mistake::NoSecondLook if shifts => {
                writes.retain(|write| !matches!(write, RegistryWrite::RequireQuiet { .. }));
            }
            Mistake::FenceIsForeign
                if matches!(self.kind, Kind::Advance | Kind::Validate) && !shifts =>
            {
                writes.retain(|write| !matches!(write, RegistryWrite::RequireQuiet { .. }));
            }
            Mistake::LockKept if ends && !self.goes_straight() => {
                let mut locks = 0;
                writes.retain(|write| {
                    locks += usize::from(matches!(write, RegistryWrite::ReleaseLock { .. }));
                    locks != 1 || !matches!(write, RegistryWrite::ReleaseLock { .. })
                });
            }
            Mistake::EndTwice if ends => {
                let free = |key: &LockKey| items.lock(key).holder.is_none();
                writes.retain(|write| match write {
                    RegistryWrite::ReleaseLock { key, .. } => !free(key),
                    _ => true,
                });
                at_any_revision(&mut writes, items);
            }
            Mistake::CommitAfterFiring if self.kind == Kind::Complete => {
                at_any_revision(&mut writes, items);
            }
            Mistake::RolesReadOnce if self.kind == Kind::Plan => at_any_epoch(&mut writes, items),
            Mistake::ReadBackTooEarly if matches!(self.kind, Kind::Rollback | Kind::Alarm) => {
                // Only the look is a mistake: nothing of the others' claims is written away.
                for write in &mut writes {
                    let RegistryWrite::PutDeployment(put) = write else { continue };
                    let Some(stored) = items.deployments.get(&put.id) else { continue };
                    let own = self.inner().memory.own.clone();
                    let others = stored.intents.iter().filter(|(id, _)| own.as_ref() != Some(id));
                    put.intents.extend(others.map(|(id, intent)| (id.clone(), intent.clone())));
                }
            }
            Mistake::BlindRefresh => {
                writes.retain(|write| !matches!(write, RegistryWrite::RefreshBinding { .. }));
            }
            Mistake::PutOffReopens
            | Mistake::DecisionForgetsClaims
            | Mistake::WaitBeginsAnew
            | Mistake::ForeignTimeCounts
            | Mistake::LateClaim => {
                for write in &mut writes {
                    let RegistryWrite::PutDeployment(put) = write else { continue };
                    match mistake {
                        Mistake::PutOffReopens if put.progress.throttled.is_some() => {
                            (put.phase, put.fence) = (Phase::Open, None);
                        }
                        Mistake::WaitBeginsAnew => {
                            if let Some(weak) = &mut put.progress.weak {
                                weak.since = now;
                            }
                        }
                        Mistake::DecisionForgetsClaims if self.kind == Kind::Decide => {
                            put.intents.clear();
                        }
                        Mistake::ForeignTimeCounts => put.progress.gaps.clear(),
                        Mistake::LateClaim if self.kind == Kind::Advance => {
                            // Only the claim is a mistake: what it writes of the step is as it was.
                            let Some(stored) = items.deployments.get(&put.id) else { continue };
                            if put.intents.len() > stored.intents.len() {
                                put.progress.stage = stored.progress.stage;
                                put.progress.step = stored.progress.step.clone();
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        writes
    }
}

fn put(writes: &[RegistryWrite]) -> Option<&Deployment> {
    writes.iter().find_map(|write| match write {
        RegistryWrite::PutDeployment(put) => Some(&**put),
        _ => None,
    })
}

/// As if nobody had claimed a step.
fn forget_steps(told: &mut Deployment) {
    told.intents.retain(|_, intent| !matches!(intent.purpose, Purpose::StepBack(_)));
    if let Some(weak) = &mut told.progress.weak {
        weak.steps.clear();
    }
}

fn at_any_revision(writes: &mut [RegistryWrite], items: &Items) {
    for write in writes {
        match write {
            RegistryWrite::PutDeployment(put) => {
                if let Some(stored) = items.deployments.get(&put.id) {
                    put.revision = stored.revision.next();
                }
            }
            RegistryWrite::Unbind { alarm, expected, .. } => {
                *expected = items.alarm(alarm).revision
            }
            _ => {}
        }
    }
}

fn at_any_epoch(writes: &mut [RegistryWrite], items: &Items) {
    for write in writes {
        if let RegistryWrite::TakeLock { key, expected_epoch, .. } = write {
            *expected_epoch = items.lock(key).epoch;
        }
    }
}
