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

/// How long after the end the first look may take before the sweep makes it.
const OVERDUE_AFTER: Span = Span::from_secs(60);

impl Deployment {
    /// What is asked after this end, and of whom.
    pub fn validation(&self, outcome: Outcome) -> Option<(Role, &Validation)> {
        let role = match outcome {
            Outcome::RolledBack => Role::Stable,
            Outcome::Succeeded => Role::Canary,
            Outcome::Abandoned => return None,
        };
        let back = role == Role::Stable || self.plan.way_back.is_some();
        self.plan.validation.as_ref().filter(|_| back).map(|validation| (role, validation))
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
        self.validating =
            Some(Validating { ended_at: now, until: now + within, epoch: None, hooks: Vec::new() });
        self.next_due_at = now + OVERDUE_AFTER;
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
    /// The lock of the slot that serves.
    pub lock: Lock,
}

impl Asked {
    /// Whether another deployment has the slot, or has had it since the first look: then nobody knows whose
    /// answers these are.
    pub fn is_overtaken(&self, validating: &Validating) -> bool {
        let taken = validating.epoch.is_some_and(|epoch| epoch != self.lock.epoch);
        taken || self.lock.holder.is_some()
    }

    fn event(&self, overtaken: bool) -> Event {
        let texts = |is: fn(Judgement) -> bool| self.verdict.texts(is);
        if overtaken {
            let by = self.lock.holder.as_ref();
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
    let Some((_, _, validating)) = deployment.validates() else {
        return Err(Refused::NotOpen(deployment.phase));
    };
    let overtaken = asked.is_overtaken(validating);
    if is_open(&asked.verdict) && !overtaken && now < validating.until {
        let mut seen = deployment.revised(now, next_due_at);
        let (epoch, hooks) = (Some(asked.lock.epoch), asked.hooks.clone());
        seen.validating = Some(Validating { epoch, hooks, ..validating.clone() });
        return Ok((false, vec![RegistryWrite::PutDeployment(Box::new(seen))]));
    }
    let mut told = deployment.revised(now, validating.ended_at);
    told.validating = None;
    let event = asked.event(overtaken);
    let notice = notice(&mut told, now, event);
    Ok((true, vec![RegistryWrite::PutDeployment(Box::new(told)), notice]))
}
