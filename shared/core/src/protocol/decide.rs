//! What people decide: the answer to a question, and a stage that holds for want of evidence.

use super::refused::Refused;
use super::telling::notice;
use super::write::RegistryWrite;
use crate::plan::StageIndex;
use crate::record::{Decision, Deployment, Event, Intent, Pause, Promotion, Step};
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
    let asked = deployment.progress.stage;
    let open = deployment.progress.ended_by.is_none() && deployment.progress.step.awaits(now);
    match &deployment.progress.step {
        Step::Approving { decision: None, until, .. } if asked == stage => {
            // Until the weight may move, whoever says no is in time.
            let held = is_held_by_a_pause(deployment) && !decision.approved;
            if !open && !held {
                return Err(Refused::NothingToDecide(format!(
                    "the time to approve stage {stage} was up at {until}"
                )));
            }
        }
        // Until the weight may move there is time for a second thought.
        Step::Approving { decision: Some(earlier), .. }
            if asked == stage
                && earlier.approved
                && !decision.approved
                && (is_held_by_a_pause(deployment)
                    || deployment.progress.ended_by.is_none()
                        && deployment.goes_on_at().is_some_and(|at| now < at)) => {}
        Step::Approving { decision: Some(earlier), .. } if asked == stage => {
            return Err(Refused::NothingToDecide(answered(stage, earlier)));
        }
        Step::Approving { .. } | Step::Settling { .. } | Step::Baking { .. } => {
            let mut decisions = deployment.progress.decisions.iter().rev();
            return Err(Refused::NothingToDecide(
                match (decisions.find(|(decided, _)| *decided == stage), &deployment.progress.step)
                {
                    (Some((_, earlier)), _) => answered(stage, earlier),
                    (None, Step::Approving { .. }) => {
                        format!("stage {stage} does not wait for an approval, stage {asked} does")
                    }
                    (None, Step::Settling { .. } | Step::Baking { .. }) => {
                        format!("stage {stage} does not wait for an approval")
                    }
                },
            ));
        }
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

/// Whether its weight stays where it is until somebody resumes it, and it does not return to stable.
const fn is_held_by_a_pause(deployment: &Deployment) -> bool {
    deployment.progress.paused.is_some() && deployment.progress.ended_by.is_none()
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
        let why = reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
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
    use crate::fixtures::{NOW, deployment};
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
}
