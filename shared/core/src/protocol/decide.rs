//! What people decide: the answer to a question, and a stage that holds for want of evidence.

use super::refused::Refused;
use super::telling::notice;
use super::write::RegistryWrite;
use crate::plan::StageIndex;
use crate::record::{Decision, Deployment, Event, Intent, Pause, Phase, Promotion, Step};
use crate::said::quoted;
use crate::time::Timestamp;
use crate::weight::Weight;

/// Records a person's answer, to the question of the stage that they name or of whatever waits now. An approval
/// names it: who answers an old message must not approve what they have not seen.
pub fn answer(
    deployment: &Deployment,
    stage: Option<StageIndex>,
    decision: Decision,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    let Some(stage) = stage.or((!decision.approved).then_some(deployment.progress.stage)) else {
        return Err(Refused::NothingToDecide(deployment.unnamed()));
    };
    approve(deployment, stage, decision, now)
}

impl Deployment {
    /// What to say to an approval that names no stage.
    fn unnamed(&self) -> String {
        let stage = self.progress.stage;
        match self.progress.step {
            Step::Approving { decision: None, .. } => {
                let weight = self.plan.stage(stage).map(|stage| stage.weight);
                let weight = weight.map_or(String::new(), |weight| format!(" ({weight})"));
                let version = self.plan.task_definition.short();
                let mut seen = self.progress.judged.join("; ");
                if !seen.is_empty() {
                    seen = format!("; seen so far: {seen}");
                }
                format!(
                    "say which stage: stage {stage}{weight} of {version} is asked for, `glidepath \
                     approve {} --stage {stage}`{seen}",
                    self.id
                )
            }
            Step::Approving { decision: Some(_), .. }
            | Step::Settling { .. }
            | Step::Baking { .. } => format!("stage {stage} does not wait for an approval"),
        }
    }
}

/// What is still taken of whoever answers what a deployment asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// That its weight may move, or that everything returns to stable.
    Either,
    /// Only that everything returns to stable: until the weight may move there is time for a second thought.
    Rejection,
    Nothing,
}

impl Deployment {
    /// What is still taken: the one rule for whoever decides and for what offers it to them.
    pub fn takes(&self, now: Timestamp) -> Takes {
        let progress = &self.progress;
        if self.phase != Phase::Open || progress.ended_by.is_some() {
            return Takes::Nothing;
        }
        let is_held = progress.paused.is_some() || self.held_back(now).is_some();
        match &progress.step {
            Step::Approving { decision: None, .. } if progress.step.awaits(now) => Takes::Either,
            Step::Approving { decision: None, .. } if is_held => Takes::Rejection,
            Step::Approving { decision: Some(given), .. }
                if given.approved
                    && (is_held || self.goes_on_at(now).is_some_and(|at| now < at)) =>
            {
                Takes::Rejection
            }
            Step::Approving { .. } | Step::Settling { .. } | Step::Baking { .. } => Takes::Nothing,
        }
    }

    /// Whether the record has this answer of theirs, and nobody has refused the stage since. Whoever sends it again, by a
    /// second click or after an answer that was lost, is answered as they were.
    pub fn has_recorded(&self, stage: StageIndex, approved: bool, by: &str) -> bool {
        let decisions = self.progress.decisions.iter();
        let mut of_stage =
            decisions.filter(|(decided, _)| *decided == stage).map(|(_, given)| given);
        let is_refused = of_stage.clone().any(|given| !given.approved);
        approved != is_refused && of_stage.any(|given| given.approved == approved && given.by == by)
    }

    /// Why an answer about a stage is not taken.
    fn not_asked(&self, stage: StageIndex) -> String {
        let (asked, mut decisions) = (self.progress.stage, self.progress.decisions.iter().rev());
        match (&self.progress.step, decisions.find(|(decided, _)| *decided == stage)) {
            (Step::Approving { decision: Some(earlier), .. }, _) if asked == stage => {
                answered(stage, earlier)
            }
            (Step::Approving { decision: None, until, .. }, _) if asked == stage => {
                format!("the time to approve stage {stage} was up at {until}")
            }
            (_, Some((_, earlier))) => answered(stage, earlier),
            (Step::Approving { .. }, None) => {
                format!("stage {stage} does not wait for an approval, stage {asked} does")
            }
            (Step::Settling { .. } | Step::Baking { .. }, None) => {
                format!("stage {stage} does not wait for an approval")
            }
        }
    }
}

/// Records a person's answer to the question before this stage: once, while it is asked, before its
/// time is up. It is answered once as many have approved as must, or one has rejected. Whoever answers another
/// question is told what is asked now.
pub fn approve(
    deployment: &Deployment,
    stage: StageIndex,
    decision: Decision,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    let is_taken = match deployment.takes(now) {
        Takes::Either => true,
        Takes::Rejection => !decision.approved,
        Takes::Nothing => false,
    };
    if deployment.progress.stage != stage || !is_taken {
        return Err(Refused::NothingToDecide(deployment.not_asked(stage)));
    }
    if let Some(why) = deployment.is_nobodys(stage, &decision.by) {
        return Err(Refused::NotTheirs(why));
    }
    if let Some(why) = deployment.cannot_approve(stage, &decision).filter(|_| decision.approved) {
        return Err(Refused::NotTheirs(why));
    }
    let mut decided = deployment.decided();
    decided.progress.decisions.push((stage, decision.clone()));
    let lacking = if decision.approved { decided.approvals_lacking(stage) } else { 0 };
    if let (0, Step::Approving { decision: open, .. }) = (lacking, &mut decided.progress.step) {
        *open = Some(decision.clone());
    }
    Ok(recorded(deployment, decided, Event::Decided { stage, decision, lacking }, now))
}

/// What a person has decided, and that it is told, on the condition that no alarm has fired.
fn recorded(
    before: &Deployment,
    mut decided: Deployment,
    event: Event,
    now: Timestamp,
) -> (Deployment, Vec<RegistryWrite>) {
    let told = notice(&mut decided, now, event);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(decided.clone())), told];
    writes.extend(before.require_quiet());
    (decided, writes)
}

fn answered(stage: StageIndex, earlier: &Decision) -> String {
    let verb = if earlier.approved { "approved" } else { "rejected" };
    format!("stage {stage} was {verb} by {} at {}", earlier.by, earlier.at)
}

/// Records that a person lets a stage go on whose bake is over and whose evidence is not enough: once,
/// while it waits, or bakes if the rest of that is to be left out, and only if the last look saw nothing that
/// speaks against the version. The next look
/// sees for itself, and goes on or says why not. Without a stage, whichever waits now.
pub fn promote(
    deployment: &Deployment,
    stage: Option<StageIndex>,
    promotion: Promotion,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    let refused = |why: String| Err(Refused::NothingToDecide(why));
    let progress = &deployment.progress;
    let here = progress.stage;
    let stage = stage.unwrap_or(here);
    if stage != here {
        return refused(format!("stage {stage} does not wait; the deployment is at stage {here}"));
    }
    if let Some(failure) = &progress.ended_by {
        return refused(format!("it returns to stable: {}", failure.cause));
    }
    if let Some(pause) = &progress.paused {
        let id = &deployment.id;
        return refused(format!("{}: `glidepath resume {id}` comes first", pause.in_words()));
    }
    if let Some(held) = deployment.held_back(now)
        && !deployment.plan.is_last(stage)
    {
        // It would count in the morning, for whatever is lacking then.
        return refused(format!("it is {}: no stage begins before", held.in_words()));
    }
    match &progress.step {
        Step::Settling { .. } => {
            return refused(format!("the tasks of stage {stage} start; its bake has not begun"));
        }
        Step::Approving { .. } => {
            return refused(format!("stage {stage} waits for an approval, not for evidence"));
        }
        Step::Baking { promoted: Some(earlier), .. } => {
            let Promotion { by, at, .. } = earlier;
            return refused(format!("{by} let stage {stage} go on at {at}"));
        }
        Step::Baking { promoted: None, .. } => {}
    }
    match &progress.told {
        Some(Event::Waiting { .. } | Event::StageHeld { .. }) => {}
        Some(Event::ForeignChange { found }) => {
            return refused(format!("somebody else changed a route: {found}"));
        }
        // Of an event, not of a wait.
        Some(_) | None if promotion.skips_bake => {}
        Some(_) | None => {
            return refused(format!(
                "stage {stage} does not wait for evidence: its bake is not over; `--skip-bake` ends it early"
            ));
        }
    }
    if !progress.against.is_empty() {
        let against = progress.against.join("; ");
        return refused(format!("stage {stage} does not only lack evidence: {against}"));
    }
    let mut decided = deployment.decided();
    if let Step::Baking { promoted, .. } = &mut decided.progress.step {
        *promoted = Some(promotion.clone());
    }
    Ok(recorded(deployment, decided, Event::Promoted { stage, promotion }, now))
}

/// Records that no weight moves forward until somebody resumes it. A shift that was claimed before may still land.
pub fn pause(
    deployment: &Deployment,
    pause: Pause,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    if let Some(failure) = &deployment.progress.ended_by {
        let cause = &failure.cause;
        return Err(Refused::NothingToDecide(format!("it returns to stable: {cause}")));
    }
    if let Some(earlier) = &deployment.progress.paused {
        return Err(Refused::NothingToDecide(earlier.in_words()));
    }
    let mut decided = deployment.decided();
    decided.progress.paused = Some(pause.clone());
    let event = Event::Paused { stage: deployment.progress.stage, pause };
    Ok(recorded(deployment, decided, event, now))
}

/// Records that weights may move again. A stage whose tasks start has all of its time for that anew.
pub fn resume(
    deployment: &Deployment,
    by: String,
    reason: Option<String>,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    let mut decided = deployment.decided();
    let Some(pause) = decided.progress.paused.take() else {
        return Err(Refused::NothingToDecide("it is not paused".to_owned()));
    };
    if let Step::Settling { since, .. } = &mut decided.progress.step {
        *since = now;
    }
    let (stage, lasted) = (deployment.progress.stage, now.since(pause.at));
    Ok(recorded(deployment, decided, Event::Resumed { stage, by, reason, lasted }, now))
}

impl Pause {
    /// Who has paused it since when, and why.
    pub fn in_words(&self) -> String {
        let Self { by, at, reason } = self;
        let why = reason.as_ref().map_or(String::new(), |reason| format!(" ({})", quoted(reason)));
        format!("{by} has paused it at {at}{why}")
    }
}

impl Deployment {
    /// The weight that a claimed write may still bring although it has been paused since.
    pub fn under_way(&self, now: Timestamp) -> Option<Weight> {
        let living = self.intents.values().filter(|intent| intent.lives(now));
        let shifts = living.filter_map(Intent::shift);
        shifts.max().filter(|weight| *weight != Weight::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureCode};
    use crate::fixtures::{NOW, deployment};
    use crate::plan::{Approval, OnTimeout};
    use crate::time::Span;

    #[test]
    fn only_a_rejection_is_of_whatever_waits() {
        let mut asked = deployment();
        let until = NOW + Span::from_secs(60);
        asked.progress.step =
            Step::Approving { since: NOW, until, decision: None, reminded: false };
        let decision = |approved| Decision {
            approved,
            by: "ada".to_owned(),
            at: NOW,
            reason: None,
            groups: Vec::new(),
        };
        let refused = answer(&asked, None, decision(true), NOW).unwrap_err();
        assert!(refused.to_string().starts_with("say which stage: stage 1 (5 %)"), "{refused}");
        assert!(answer(&asked, Some(StageIndex(0)), decision(true), NOW).is_ok());
        assert!(answer(&asked, None, decision(false), NOW).is_ok());
        let refused = answer(&deployment(), None, decision(true), NOW).unwrap_err();
        assert_eq!(refused.to_string(), "stage 1 does not wait for an approval");
    }

    /// What is offered is what is taken, whenever somebody looks.
    #[test]
    fn an_answer_is_taken_exactly_where_it_is_offered() {
        let (minute, stage) = (Span::from_secs(60), StageIndex(0));
        let said = |approved| Decision {
            approved,
            by: "ada".to_owned(),
            at: NOW,
            reason: None,
            groups: Vec::new(),
        };
        let pause = Pause { by: "bob".to_owned(), at: NOW, reason: None };
        let mut seen = Vec::new();
        for given in [None, Some(said(true)), Some(said(false))] {
            for (is_paused, has_ended) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let mut asked = deployment();
                let mut approval = Approval::anybody(minute.times(5), OnTimeout::Continue);
                approval.not_before = Some(minute.times(7));
                asked.plan.stages[0].approval = Some(approval);
                let (since, until, decision) = (NOW, NOW + minute.times(5), given.clone());
                asked.progress.step = Step::Approving { since, until, decision, reminded: false };
                asked.progress.paused = is_paused.then(|| pause.clone());
                let failure = Failure::new(FailureCode::ApprovalTimedOut, "nobody answered");
                asked.progress.ended_by = has_ended.then_some(failure);
                for now in [NOW, NOW + minute.times(6), NOW + minute.times(8)] {
                    let taken = |approved| approve(&asked, stage, said(approved), now).is_ok();
                    let takes = asked.takes(now);
                    seen.push(takes);
                    assert_eq!(taken(true), takes == Takes::Either, "{asked:?}");
                    assert_eq!(taken(false), takes != Takes::Nothing, "{asked:?}");
                }
            }
        }
        let count = |wanted| seen.iter().filter(|takes| **takes == wanted).count();
        // Asked: until its time is up. Then for a rejection: the second thought, and what is paused.
        assert_eq!((count(Takes::Either), count(Takes::Rejection)), (2, 2 + 2 + 3));
    }

    #[test]
    fn what_is_sent_again_is_known_until_somebody_refuses() {
        let stage = StageIndex(0);
        let mut asked = deployment();
        let mut says = |by: &str, approved| {
            let by = by.to_owned();
            let decision = Decision { approved, by, at: NOW, reason: None, groups: Vec::new() };
            asked.progress.decisions.push((stage, decision));
            asked.clone()
        };
        let first = says("ada", true);
        assert!(first.has_recorded(stage, true, "ada"));
        assert!(!first.has_recorded(stage, false, "ada"));
        assert!(!first.has_recorded(stage, true, "bob"));
        assert!(!first.has_recorded(stage.next(), true, "ada"));
        let refused = says("bob", false);
        assert!(refused.has_recorded(stage, false, "bob"));
        assert!(!refused.has_recorded(stage, true, "ada"), "it is not approved any more");
        assert!(!refused.has_recorded(stage, false, "ada"));
    }
}
