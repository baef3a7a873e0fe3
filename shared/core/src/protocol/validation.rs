//! What follows the end of a rollback, or of a way back: the version that serves again is asked whether it is
//! as good as it was. Nothing depends on it but what is told.

use super::refused::Refused;
use super::telling::notice;
use super::write::RegistryWrite;
use crate::health::{Judgement, Verdict};
use crate::plan::Validation;
use crate::record::{Deployment, Event, HookRun, Lock, Outcome, Phase, Validating};
use crate::route::Role;
use crate::time::{Span, Timestamp};

/// The longest wait for a weight to be spread.
const SPREAD: Span = Span::from_secs(30);

/// How long after the end the first look may take before the sweep makes it.
const OVERDUE_AFTER: Span = Span::from_secs(60);

impl Deployment {
    /// What is asked after this end, and of whom. Where nobody has met the canary nothing is back, and after a
    /// success that is no way back there is something new.
    pub fn validation(&self, outcome: Outcome) -> Option<(Role, &Validation)> {
        let role = match outcome {
            Outcome::RolledBack if self.progress.shifts.is_empty() => return None,
            Outcome::RolledBack => Role::Stable,
            Outcome::Succeeded => {
                self.plan.way_back.as_ref().filter(|back| !back.skips_validation)?;
                Role::Canary
            }
            Outcome::Abandoned => return None,
        };
        Some((role, self.plan.validation.as_ref()?))
    }

    /// Whether another deployment has the slot that serves, or has had it since: then nobody knows whose answers
    /// they are.
    pub fn is_overtaken(&self, role: Role, lock: &Lock) -> bool {
        let own = self.epochs.map(|(stable, canary)| match role {
            Role::Stable => stable,
            Role::Canary => canary,
        });
        lock.holder.is_some() || own.is_some_and(|own| own != lock.epoch)
    }

    /// What is still to be asked, and of whom.
    pub fn validates(&self) -> Option<(Role, &Validation, &Validating)> {
        let Phase::Closed(outcome) = self.phase else { return None };
        let (role, validation) = self.validation(outcome)?;
        Some((role, validation, self.validating.as_ref()?))
    }

    /// Begins with the end of the deployment.
    pub(super) fn begin_validation(&mut self, outcome: Outcome, now: Timestamp) {
        let Some(within) = self.validation(outcome).map(|(_, validation)| validation.within) else {
            return;
        };
        let first = now + self.spreads(outcome);
        self.validating =
            Some(Validating { ended_at: now, until: first + within, hooks: Vec::new() });
        self.next_due_at = first + OVERDUE_AFTER;
    }

    /// How long the first look waits: the load balancer takes some time to spread a weight, and whoever asks at
    /// once asks both versions. A rollback has waited for it before it took the canary's tasks.
    pub fn spreads(&self, outcome: Outcome) -> Span {
        match outcome {
            Outcome::Succeeded => self.plan.scale_in_delay.min(SPREAD),
            Outcome::RolledBack | Outcome::Abandoned => Span::ZERO,
        }
    }
}

/// Whether another look may know more. What is not as it must be is told at once, whatever is not known yet:
/// everybody is on it.
fn is_open(verdict: &Verdict) -> bool {
    match verdict.judgement {
        Judgement::Inconclusive | Judgement::Suspect => true,
        Judgement::Pass | Judgement::Fail => false,
    }
}

/// What one look after the end leads to.
#[derive(Clone, Debug)]
pub struct Asked {
    pub verdict: Verdict,
    pub hooks: Vec<HookRun>,
    /// The lock of the slot that serves; `None` if it could not be read.
    pub lock: Option<Lock>,
}

impl Asked {
    fn event(&self, overtaken: bool) -> Event {
        let texts = |is: fn(Judgement) -> bool| self.verdict.texts(is);
        if overtaken {
            let by = self.lock.as_ref().and_then(|lock| lock.holder.as_ref());
            let by = by.map_or_else(|| "another deployment".to_owned(), ToString::to_string);
            let mut unknown = vec![format!("{by} has begun, so that others may have answered")];
            unknown.extend(texts(|_| true));
            return Event::Validated { good: Vec::new(), bad: Vec::new(), unknown };
        }
        Event::Validated {
            good: texts(|says| says == Judgement::Pass),
            bad: texts(|says| matches!(says, Judgement::Suspect | Judgement::Fail)),
            unknown: texts(|says| says == Judgement::Inconclusive),
        }
    }
}

/// Records a look, and whether that was told: once everything is known, the time is over or another deployment
/// has begun.
pub fn validated(
    deployment: &Deployment,
    asked: &Asked,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(bool, Vec<RegistryWrite>), Refused> {
    let Some((role, _, validating)) = deployment.validates() else {
        return Err(Refused::NotOpen(deployment.phase));
    };
    let overtaken = asked.lock.as_ref().is_some_and(|lock| deployment.is_overtaken(role, lock));
    if is_open(&asked.verdict) && !overtaken && now < validating.until {
        let mut seen = deployment.revised(now, next_due_at);
        seen.validating = Some(Validating { hooks: asked.hooks.clone(), ..validating.clone() });
        return Ok((false, vec![RegistryWrite::PutDeployment(Box::new(seen))]));
    }
    let mut told = deployment.revised(now, validating.ended_at);
    told.validating = None;
    let event = asked.event(overtaken);
    let notice = notice(&mut told, now, event);
    Ok((true, vec![RegistryWrite::PutDeployment(Box::new(told)), notice]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::ids::{ClusterName, DeploymentId, EcsServiceName};
    use crate::plan::{SlotValidation, StageIndex, WayBack};
    use crate::record::{LockKey, Shift};

    fn asking() -> Deployment {
        let mut asking = deployment();
        let slot = SlotValidation { probes: Vec::new(), checks: Vec::new() };
        let within = Span::from_secs(600);
        asking.plan.validation =
            Some(Validation { stable: slot.clone(), canary: slot, hooks: Vec::new(), within });
        asking
    }

    fn asked(deployment: &Deployment) -> Vec<Option<Role>> {
        let outcomes = [Outcome::RolledBack, Outcome::Succeeded, Outcome::Abandoned];
        outcomes.map(|outcome| deployment.validation(outcome).map(|(role, _)| role)).to_vec()
    }

    #[test]
    fn what_serves_is_asked_where_somebody_had_met_the_other_one() {
        let mut ended = asking();
        assert_eq!(asked(&ended), [None, None, None]);
        ended.progress.shifts = vec![Shift { stage: StageIndex(0), at: NOW }];
        assert_eq!(asked(&ended), [Some(Role::Stable), None, None]);
        let version = ended.plan.stable.task_definition.clone();
        let mut back = WayBack { from: DeploymentId::new("d"), version, skips_validation: false };
        ended.plan.way_back = Some(back.clone());
        assert_eq!(asked(&ended), [Some(Role::Stable), Some(Role::Canary), None]);
        back.skips_validation = true;
        ended.plan.way_back = Some(back);
        // What it was to bring is not there, and what is there was not skipped.
        assert_eq!(asked(&ended), [Some(Role::Stable), None, None]);
    }

    #[test]
    fn the_first_look_waits_for_the_weight_and_the_sweep_for_the_first_look() {
        let mut ended = asking();
        let version = ended.plan.stable.task_definition.clone();
        let from = DeploymentId::new("d");
        ended.plan.way_back = Some(WayBack { from, version, skips_validation: false });
        for (delay, first) in [(0, 0), (10, 10), (900, 30)] {
            ended.plan.scale_in_delay = Span::from_secs(delay);
            let mut begun = ended.clone();
            begun.begin_validation(Outcome::Succeeded, NOW);
            assert_eq!(ended.spreads(Outcome::Succeeded), Span::from_secs(first));
            let validating = begun.validating.unwrap();
            assert_eq!(validating.ended_at, NOW);
            assert_eq!(validating.until, NOW + Span::from_secs(600 + first));
            assert_eq!(begun.next_due_at, NOW + Span::from_secs(60 + first));
        }
    }

    #[test]
    fn whoever_has_had_the_slot_since_is_seen_by_its_epoch() {
        let mut ended = asking();
        let key = LockKey::service(&ClusterName::new("c"), &EcsServiceName::new("s"));
        let free = |epoch| Lock { epoch, ..Lock::untaken(key.clone()) };
        // A record from before it was kept.
        assert!(!ended.is_overtaken(Role::Stable, &free(9)));
        ended.epochs = Some((7, 8));
        assert!(!ended.is_overtaken(Role::Stable, &free(7)));
        assert!(!ended.is_overtaken(Role::Canary, &free(8)));
        assert!(ended.is_overtaken(Role::Stable, &free(8)));
        let held = Lock { holder: Some(DeploymentId::new("d2")), ..free(7) };
        assert!(ended.is_overtaken(Role::Stable, &held));
    }
}
