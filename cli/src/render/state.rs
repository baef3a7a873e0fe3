//! Where a deployment is, in words.

use glidepath_core::people::people;
use glidepath_core::plan::RoutePlan;
use glidepath_core::record::{Deployment, Event, Outcome, Phase, Step};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;

use super::Tone;

/// Where a deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) tone: Tone,
    pub(super) words: String,
    pub(super) since: Timestamp,
    /// Until when at most, where that is known.
    pub(super) until: Option<Timestamp>,
}

/// What a deployment does or waits for.
pub(crate) fn words(deployment: &Deployment, now: Timestamp) -> String {
    state(deployment, now).words
}

/// Nothing has been written back yet.
const BEGINS: &str = "rolls back: sends all traffic to stable";

pub(super) fn state(deployment: &Deployment, now: Timestamp) -> State {
    let fenced = deployment.fence.as_ref();
    // A deployment that rolls back has a fence.
    let fenced_at = fenced.map_or(deployment.started_at, |fence| fence.at);
    let (tone, words, since) = match deployment.phase {
        Phase::Open => return forward(deployment, now),
        Phase::RollingBack => match deployment.progress.restored_at {
            None => {
                let weak = deployment.progress.weak.is_some();
                let words = if weak { "rolls back in steps: stable is weak" } else { BEGINS };
                (Tone::Bad, words.to_owned(), fenced_at)
            }
            Some(at) => {
                (Tone::Bad, "rolls back: traffic is on stable, new tasks stop".to_owned(), at)
            }
        },
        Phase::Held => {
            let words = "rollback held: stable has no healthy target".to_owned();
            (Tone::Bad, words, fenced_at)
        }
        Phase::Committed => {
            let words = format!("hands over to {}", deployment.plan.task_definition.short());
            (Tone::Good, words, step_since(deployment))
        }
        Phase::Closed(outcome) => {
            let (tone, words) = match (outcome, fenced) {
                (Outcome::Succeeded, _) => (Tone::Good, "succeeded".to_owned()),
                (Outcome::RolledBack, Some(fence)) => {
                    (Tone::Bad, format!("rolled back: {}", fence.failure.code))
                }
                (Outcome::RolledBack, None) => (Tone::Bad, "rolled back".to_owned()),
                (Outcome::Abandoned, _) => {
                    (Tone::Bad, "ended before it changed anything".to_owned())
                }
            };
            let words = match &deployment.validating {
                Some(_) => format!("{words}; what serves again is asked"),
                None => words,
            };
            (tone, words, deployment.ended_at().unwrap_or(deployment.next_due_at))
        }
    };
    State { tone, words, since, until: None }
}

/// Whether it stays where it is until a person decides. A rollback that is held is none: it has failed.
pub(crate) fn waits_for_a_person(deployment: &Deployment, now: Timestamp) -> bool {
    let progress = &deployment.progress;
    if deployment.phase != Phase::Open || progress.ended_by.is_some() {
        return false;
    }
    let unanswered = matches!(progress.step, Step::Approving { decision: None, .. });
    let held = matches!(progress.told, Some(Event::StageHeld { .. } | Event::ForeignChange { .. }));
    unanswered && progress.step.awaits(now)
        || held && progress.promotion().is_none()
        || progress.paused.is_some()
}

fn forward(deployment: &Deployment, now: Timestamp) -> State {
    let state = moving(deployment, now);
    let progress = &deployment.progress;
    match progress.paused.as_ref().filter(|_| progress.ended_by.is_none()) {
        Some(pause) => State {
            tone: Tone::Waiting,
            words: format!("paused by {}: {}", pause.by, state.words),
            since: pause.at,
            until: state.until,
        },
        None => state,
    }
}

fn moving(deployment: &Deployment, now: Timestamp) -> State {
    let since = step_since(deployment);
    let state = |tone, words, until| State { tone, words, since, until };
    if let Some(promotion) = deployment.progress.promotion() {
        let words =
            format!("{} lets {} go on: the next look decides", promotion.by, stage(deployment));
        return state(Tone::Plain, words, None);
    }
    match &deployment.progress.told {
        Some(Event::ForeignChange { .. }) => {
            let words = "holds: somebody else changed a route".to_owned();
            return state(Tone::Waiting, words, None);
        }
        Some(Event::Waiting { reasons, against, .. }) => {
            let why = [reasons.as_slice(), against].concat().join("; ");
            let health = &deployment.plan.health;
            let bake = deployment.plan.stage(deployment.progress.stage).map(|stage| stage.bake);
            let until = since + bake.unwrap_or_default().plus(health.extend_up_to);
            return state(Tone::Waiting, format!("waits: {why}"), Some(until));
        }
        Some(Event::StageHeld { reasons, against, .. }) => {
            let why = [reasons.as_slice(), against].concat().join("; ");
            return state(Tone::Waiting, format!("holds until a person decides: {why}"), None);
        }
        // The rest is told of an event, not of a wait.
        Some(
            Event::Started
            | Event::ApprovalNeeded { .. }
            | Event::Decided { .. }
            | Event::Shifted { .. }
            | Event::Promoted { .. }
            | Event::NotPromoted { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RouteInOrder { .. }
            | Event::TrafficRestored { .. }
            | Event::RollbackHeld
            | Event::SteppingBack { .. }
            | Event::RollbackOverdue { .. }
            | Event::ScalingChanged { .. }
            | Event::ScalingNotSet { .. }
            | Event::Succeeded
            | Event::RolledBack { .. }
            | Event::Abandoned { .. }
            | Event::Validated { .. }
            | Event::Retired
            | Event::RetirementPostponed
            | Event::StillReached { .. }
            | Event::Undelivered { .. },
        )
        | None => {}
    }
    let stage = stage(deployment);
    match &deployment.progress.step {
        Step::Settling { .. } => {
            state(Tone::Plain, format!("starts the tasks of {stage} and moves traffic"), None)
        }
        Step::Approving { until, decision: None, .. } => {
            let index = deployment.progress.stage;
            let given = deployment.approvals(index).count();
            let lacking = people(deployment.approvals_lacking(index));
            let words = if given == 0 {
                format!("waits for approval of {stage}")
            } else {
                format!("waits for approval of {stage} by {lacking} more")
            };
            state(Tone::Waiting, words, Some(*until))
        }
        Step::Approving { decision: Some(decision), .. } => {
            let words = if decision.approved {
                format!("goes on to {stage}: approved")
            } else {
                "returns to stable: refused".to_owned()
            };
            state(Tone::Plain, words, deployment.goes_on_at().filter(|at| *at > now))
        }
        Step::Baking { since, .. } => {
            let index = deployment.progress.stage;
            let bake = deployment.plan.stage(index).map(|stage| stage.bake).unwrap_or_default();
            let until = *since + bake;
            if until > now {
                state(Tone::Plain, format!("bakes {stage}"), Some(until))
            } else {
                state(Tone::Plain, format!("judges {stage}"), None)
            }
        }
    }
}

/// The current stage: `stage 2 (25 %)`.
fn stage(deployment: &Deployment) -> String {
    let index = deployment.progress.stage;
    match deployment.plan.stage(index) {
        Some(stage) => format!("stage {index} ({})", stage.weight),
        None => format!("stage {index}"),
    }
}

fn step_since(deployment: &Deployment) -> Timestamp {
    match &deployment.progress.step {
        Step::Settling { since, .. }
        | Step::Approving { since, .. }
        | Step::Baking { since, .. } => *since,
    }
}

/// The canary's share of every route as it was last read back; `None`: it cannot be told.
pub(super) fn shares(
    deployment: &Deployment,
) -> impl Iterator<Item = (&RoutePlan, Option<Weight>)> {
    let progress = &deployment.progress;
    let gone = match deployment.phase {
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => true,
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Committed
        | Phase::Closed(Outcome::Succeeded) => progress.restored_at.is_some(),
    };
    deployment.plan.routes.iter().enumerate().map(move |(position, route)| {
        let verified = || progress.verified.get(position)?.canary_share(&route.pair).ok();
        (route, if gone { Some(Weight::NONE) } else { verified() })
    })
}

/// When the shares were last read back; `None` before the first shift.
pub(super) fn read_back_at(deployment: &Deployment) -> Option<Timestamp> {
    deployment.progress.restored_at.or(deployment.progress.shifted_at)
}

/// The route without its account and region: `listener-rule/app/shop/50dc6c495c0c9188/...`.
pub(super) fn route_name(route: &RoutePlan) -> &str {
    let arn = route.route.arn();
    arn.rsplit_once(':').map_or(arn, |(_, resource)| resource)
}

#[cfg(test)]
mod tests {
    use glidepath_core::record::Decision;

    use super::*;
    use crate::fixtures::{self, NOW, minutes};

    #[test]
    fn a_decision_is_shown_before_anything_has_acted_on_it() {
        let decided = |approved| {
            let mut deployment = fixtures::approving();
            let Step::Approving { decision, .. } = &mut deployment.progress.step else { panic!() };
            let by = "arn:aws:iam::1:user/ada".to_owned();
            *decision = Some(Decision { approved, by, at: NOW, reason: None });
            state(&deployment, NOW).words
        };
        assert_eq!(decided(true), "goes on to stage 2 (25 %): approved");
        assert_eq!(decided(false), "returns to stable: refused");
    }

    #[test]
    fn a_bake_that_is_over_is_judged() {
        let deployment = fixtures::baking();
        assert_eq!(state(&deployment, NOW).until, Some(NOW + minutes(2)));
        assert_eq!(state(&deployment, NOW + minutes(2)).words, "judges stage 1 (5 %)");
    }

    #[test]
    fn after_a_rollback_the_canary_has_nothing() {
        let share = |deployment: &Deployment| shares(deployment).next().unwrap().1.unwrap();
        assert_eq!(share(&fixtures::baking()), Weight::from_permille(50).unwrap());
        assert_eq!(share(&fixtures::rolled_back()), Weight::NONE);
        assert_eq!(share(&fixtures::succeeded()), Weight::ALL);
    }
}
