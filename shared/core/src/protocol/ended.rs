//! What is left to say of a deployment for which somebody comes too late, and what is left to do of one that
//! nobody carries.

use super::reply::{NextStep, Reply};
use crate::failure::{Failure, FailureCode};
use crate::record::{Deployment, Outcome, Phase};
use crate::time::Span;

/// What is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It has not committed: everything returns to stable.
    Rollback,
    /// It has committed: it is completed.
    Completion,
    /// It has ended, and what serves is still to be asked.
    Validation,
}

impl Deployment {
    /// What is done for it once its time has come and nobody has come for it.
    pub fn overdue_work(&self) -> Option<Work> {
        match self.phase {
            Phase::Open | Phase::RollingBack | Phase::Held => Some(Work::Rollback),
            Phase::Committed => Some(Work::Completion),
            Phase::Closed(_) => self.validates().map(|_| Work::Validation),
        }
    }

    /// The last answer of a deployment that has ended so. Where no fence says why it was rolled back, this does.
    pub fn last_answer(&self, outcome: Outcome, summary: &str, otherwise: Failure) -> Reply {
        let reply = |next| Reply::new(&self.id, next, summary);
        match outcome {
            Outcome::Succeeded => reply(NextStep::Succeeded),
            Outcome::RolledBack | Outcome::Abandoned => {
                let first = self.fence.as_ref().map(|fence| fence.failure.clone());
                reply(NextStep::Failed).failing(first.unwrap_or(otherwise))
            }
        }
    }

    /// The answer to a rollback whose fence came too late, or that another one has overtaken; `failure` is why
    /// it was asked for.
    pub fn too_late(&self, failure: Failure) -> Reply {
        match self.phase {
            Phase::Open | Phase::RollingBack | Phase::Held => {
                let summary = "another rollback is at it: it is looked at again";
                Reply::new(&self.id, NextStep::Rollback, summary).after(Span::from_secs(1))
            }
            // After a commit the way is forward only.
            Phase::Committed => {
                let summary = "already committed: it is completed";
                let reply = Reply::new(&self.id, NextStep::Complete, summary);
                reply.after(self.plan.health.interval)
            }
            Phase::Closed(Outcome::Succeeded) => {
                self.last_answer(Outcome::Succeeded, "already succeeded", failure)
            }
            Phase::Closed(outcome @ (Outcome::RolledBack | Outcome::Abandoned)) => {
                self.last_answer(outcome, "already ended", failure)
            }
        }
    }

    /// The answer to a new deployment that would have the same name.
    pub fn name_used(&self) -> Reply {
        let Self { id, plan, phase, started_at, .. } = self;
        let (old, new) = (plan.stable.task_definition.short(), plan.task_definition.short());
        let ended = match phase {
            Phase::Committed | Phase::Closed(Outcome::Succeeded) => {
                format!("replaced {old} by {new}")
            }
            Phase::Closed(Outcome::RolledBack) => format!("went from {new} back to {old}"),
            Phase::Closed(Outcome::Abandoned) => {
                format!("ended before it changed anything of {old}")
            }
            Phase::Open | Phase::RollingBack | Phase::Held => "has not ended".to_owned(),
        };
        let cause = format!(
            "an earlier deployment, begun at {started_at}, has the name `{id}`; it {ended}. Now nothing \
             was written: start again with a name of its own"
        );
        let failure = Failure::new(FailureCode::NameUsed, cause);
        Reply::new(id, NextStep::Failed, "nothing was written").failing(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::record::{Fence, FenceTrigger};

    const OUTCOMES: [Outcome; 3] = [Outcome::Succeeded, Outcome::RolledBack, Outcome::Abandoned];

    fn at(phase: Phase) -> Deployment {
        Deployment { phase, ..deployment() }
    }

    fn failure(cause: &str) -> Failure {
        Failure::new(FailureCode::Aborted, cause)
    }

    #[test]
    fn who_comes_too_late_goes_on_where_the_deployment_is() {
        let next = |phase| at(phase).too_late(failure("asked")).next;
        for phase in [Phase::Open, Phase::RollingBack, Phase::Held] {
            assert_eq!(next(phase), NextStep::Rollback);
        }
        assert_eq!(next(Phase::Committed), NextStep::Complete);
        let ends = OUTCOMES.map(|outcome| next(Phase::Closed(outcome)));
        assert_eq!(ends, [NextStep::Succeeded, NextStep::Failed, NextStep::Failed]);
    }

    #[test]
    fn the_first_reason_stays_and_without_one_it_is_what_was_asked_for() {
        let mut ended = at(Phase::Closed(Outcome::RolledBack));
        let says = |ended: &Deployment| ended.too_late(failure("asked")).failure.unwrap().cause;
        assert_eq!(says(&ended), "asked");
        let (trigger, failure) = (FenceTrigger::Sweep, failure("first"));
        ended.fence = Some(Fence { trigger, failure, at: NOW });
        assert_eq!(says(&ended), "first");
    }

    #[test]
    fn what_has_committed_is_completed_and_everything_else_goes_back() {
        for phase in [Phase::Open, Phase::RollingBack, Phase::Held] {
            assert_eq!(at(phase).overdue_work(), Some(Work::Rollback));
        }
        assert_eq!(at(Phase::Committed).overdue_work(), Some(Work::Completion));
        for outcome in OUTCOMES {
            assert_eq!(at(Phase::Closed(outcome)).overdue_work(), None, "nobody is asked");
        }
    }
}
