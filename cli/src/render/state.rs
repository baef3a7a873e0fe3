//! Where a deployment is, in words.

use glidepath_core::people::people;
use glidepath_core::plan::{RoutePlan, StageIndex};
use glidepath_core::record::{Deployment, Event, Outcome, Phase, Step};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use serde::Serialize;

use super::Tone;

/// Where a deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) doing: Doing,
    pub(super) tone: Tone,
    pub(super) words: String,
    pub(super) since: Timestamp,
    /// Until when at most, where that is known.
    pub(super) until: Option<Timestamp>,
}

/// What a deployment does or waits for in one word, for programs: `state` of `--json`. A word keeps its
/// meaning; newer versions may have further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Doing {
    Planning,
    Refused,
    Settling,
    AwaitingApproval,
    Approved,
    Rejected,
    Baking,
    Judging,
    Extended,
    Held,
    OutsideWindows,
    Frozen,
    ForeignChange,
    Promoted,
    Paused,
    Restoring,
    SteppingBack,
    RollbackHeld,
    Restored,
    Committed,
    Succeeded,
    RolledBack,
    Abandoned,
    Unreadable,
}

#[cfg(test)]
impl Doing {
    /// What the word means, as the documentation has it.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Planning => "its plan is being made; nothing is written yet",
            Self::Refused => "its plan was refused, and nothing was written",
            Self::Settling => "tasks of the stage start, then the weight is written",
            Self::AwaitingApproval => "a person is asked before the stage",
            Self::Approved => "a person has approved the stage; the next look goes on",
            Self::Rejected => "a person has rejected the stage; everything returns to stable",
            Self::Baking => "the stage must stay healthy for its time",
            Self::Judging => "the time of the bake is over, and the next look decides",
            Self::Extended => "the bake is over, and goes on because a verdict lacks something",
            Self::Held => "the weights stay until a person decides, or what was lacking is there",
            Self::OutsideWindows => "a stage waits for its window; nothing of it is begun before",
            Self::Frozen => {
                "somebody has frozen the service: nothing of a stage is begun until it is thawed"
            }
            Self::ForeignChange => {
                "somebody else has changed a route; it goes on once that is undone"
            }
            Self::Promoted => "a person lets the stage go on; the next look decides",
            Self::Paused => "somebody has paused it: no weight moves forward until it is resumed",
            Self::Restoring => "a rollback sends all traffic to stable",
            Self::SteppingBack => {
                "a rollback gives a weak stable what its healthy targets can carry"
            }
            Self::RollbackHeld => {
                "a rollback holds: stable has no healthy target, somebody must act"
            }
            Self::Restored => "all traffic is on stable, and the new tasks stop",
            Self::Committed => "all traffic is on the new version, which becomes stable",
            Self::Succeeded => "ended: the new version is stable",
            Self::RolledBack => "ended: the old version is stable",
            Self::Abandoned => "ended before it changed anything",
            Self::Unreadable => "its record cannot be read by this version of the command line",
        }
    }

    pub(super) const ALL: [Self; 24] = [
        Self::Planning,
        Self::Refused,
        Self::Settling,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Rejected,
        Self::Baking,
        Self::Judging,
        Self::Extended,
        Self::Held,
        Self::OutsideWindows,
        Self::Frozen,
        Self::ForeignChange,
        Self::Promoted,
        Self::Paused,
        Self::Restoring,
        Self::SteppingBack,
        Self::RollbackHeld,
        Self::Restored,
        Self::Committed,
        Self::Succeeded,
        Self::RolledBack,
        Self::Abandoned,
        Self::Unreadable,
    ];
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
    let (doing, tone, words, since) = match deployment.phase {
        Phase::Open => return forward(deployment, now),
        Phase::RollingBack => match deployment.progress.restored_at {
            None => {
                let weak = deployment.progress.weak.is_some();
                let (doing, words) = if weak {
                    (Doing::SteppingBack, "rolls back in steps: stable is weak")
                } else {
                    (Doing::Restoring, BEGINS)
                };
                (doing, Tone::Bad, words.to_owned(), fenced_at)
            }
            Some(at) => {
                let words = "rolls back: traffic is on stable, new tasks stop".to_owned();
                (Doing::Restored, Tone::Bad, words, at)
            }
        },
        Phase::Held => {
            let words = "rollback held: stable has no healthy target".to_owned();
            (Doing::RollbackHeld, Tone::Bad, words, fenced_at)
        }
        Phase::Committed => {
            let words = format!("hands over to {}", deployment.plan.task_definition.short());
            (Doing::Committed, Tone::Good, words, step_since(deployment))
        }
        Phase::Closed(outcome) => {
            let (doing, tone, words) = match (outcome, fenced) {
                (Outcome::Succeeded, _) => (Doing::Succeeded, Tone::Good, "succeeded".to_owned()),
                (Outcome::RolledBack, Some(fence)) => {
                    let words = format!("rolled back: {}", fence.failure.code);
                    (Doing::RolledBack, Tone::Bad, words)
                }
                (Outcome::RolledBack, None) => {
                    (Doing::RolledBack, Tone::Bad, "rolled back".to_owned())
                }
                (Outcome::Abandoned, _) => {
                    let words = "ended before it changed anything".to_owned();
                    (Doing::Abandoned, Tone::Bad, words)
                }
            };
            let words = match &deployment.validating {
                Some(_) => format!("{words}; what serves again is asked"),
                None => words,
            };
            (doing, tone, words, deployment.ended_at().unwrap_or(deployment.next_due_at))
        }
    };
    State { doing, tone, words, since, until: None }
}

/// Whether it stays where it is until a person decides. A rollback that is held is none: it has failed.
pub(crate) fn waits_for_a_person(deployment: &Deployment, now: Timestamp) -> bool {
    let progress = &deployment.progress;
    if deployment.phase != Phase::Open || progress.ended_by.is_some() {
        return false;
    }
    let unanswered = matches!(progress.step, Step::Approving { decision: None, .. });
    let held = matches!(progress.told, Some(Event::StageHeld { .. } | Event::ForeignChange { .. }));
    let never_opens = matches!(
        progress.told,
        Some(Event::OutsideWindows { opens_at: None, .. } | Event::Frozen { goes_on_at: None, .. })
    );
    unanswered && progress.step.awaits(now)
        || held && progress.promotion().is_none()
        || never_opens
        || progress.paused.is_some()
}

fn forward(deployment: &Deployment, now: Timestamp) -> State {
    let state = moving(deployment, now);
    let progress = &deployment.progress;
    match progress.paused.as_ref().filter(|_| progress.ended_by.is_none()) {
        Some(pause) => State {
            doing: Doing::Paused,
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
    let state = |doing, tone, words, until| State { doing, tone, words, since, until };
    if let Some(Event::OutsideWindows { stage, opens_at }) = &deployment.progress.told {
        let words = format!("{} waits for its window", named(deployment, *stage));
        return state(Doing::OutsideWindows, Tone::Waiting, words, *opens_at);
    }
    // What was thawed since goes on with its next look.
    if let Some(Event::Frozen { stage, goes_on_at, .. }) = &deployment.progress.told
        && let Some(freeze) = deployment.frozen(now)
    {
        let words = format!("{} waits: {}", named(deployment, *stage), freeze.in_words());
        return state(Doing::Frozen, Tone::Waiting, words, *goes_on_at);
    }
    if let Some(promotion) = deployment.progress.promotion() {
        let words =
            format!("{} lets {} go on: the next look decides", promotion.by, stage(deployment));
        return state(Doing::Promoted, Tone::Plain, words, None);
    }
    match &deployment.progress.told {
        Some(Event::ForeignChange { .. }) => {
            let words = "holds: somebody else changed a route".to_owned();
            return state(Doing::ForeignChange, Tone::Waiting, words, None);
        }
        Some(Event::Waiting { reasons, against, .. }) => {
            let why = [reasons.as_slice(), against].concat().join("; ");
            let bake = deployment.plan.stage(deployment.progress.stage).map(|stage| stage.bake);
            let baked_at = since + bake.unwrap_or_default();
            let left =
                deployment.plan.health.extend_up_to.minus(deployment.extended_for(baked_at, now));
            let until = baked_at.max(now) + left;
            return state(Doing::Extended, Tone::Waiting, format!("waits: {why}"), Some(until));
        }
        Some(Event::StageHeld { reasons, against, .. }) => {
            let why = [reasons.as_slice(), against].concat().join("; ");
            let words = format!("holds until a person decides: {why}");
            return state(Doing::Held, Tone::Waiting, words, None);
        }
        // Above.
        Some(Event::OutsideWindows { .. } | Event::Frozen { .. })
        // The rest is told of an event, not of a wait.
        | Some(
            Event::Started
            | Event::ApprovalNeeded { .. }
            | Event::Decided { .. }
            | Event::Shifted { .. }
            | Event::Promoted { .. }
            | Event::NotPromoted { .. }
            | Event::Paused { .. }
            | Event::CheckAlert { .. }
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
            | Event::RetirementHastened { .. }
            | Event::Retired
            | Event::RetirementPostponed
            | Event::StillReached { .. }
            | Event::Drifted { .. }
            | Event::Undelivered { .. },
        )
        | None => {}
    }
    let stage = stage(deployment);
    match &deployment.progress.step {
        Step::Settling { .. } => {
            let words = format!("starts the tasks of {stage} and moves traffic");
            state(Doing::Settling, Tone::Plain, words, None)
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
            state(Doing::AwaitingApproval, Tone::Waiting, words, Some(*until))
        }
        Step::Approving { decision: Some(decision), .. } => {
            let (doing, words) = if decision.approved {
                (Doing::Approved, format!("goes on to {stage}: approved"))
            } else {
                (Doing::Rejected, "returns to stable: refused".to_owned())
            };
            state(doing, Tone::Plain, words, deployment.goes_on_at(now).filter(|at| *at > now))
        }
        Step::Baking { since, .. } => {
            let index = deployment.progress.stage;
            let bake = deployment.plan.stage(index).map(|stage| stage.bake).unwrap_or_default();
            let until = *since + bake;
            if until > now {
                state(Doing::Baking, Tone::Plain, format!("bakes {stage}"), Some(until))
            } else {
                state(Doing::Judging, Tone::Plain, format!("judges {stage}"), None)
            }
        }
    }
}

/// The current stage: `stage 2 (25 %)`.
fn stage(deployment: &Deployment) -> String {
    named(deployment, deployment.progress.stage)
}

fn named(deployment: &Deployment, index: StageIndex) -> String {
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
            *decision = Some(Decision { approved, by, at: NOW, reason: None, groups: Vec::new() });
            state(&deployment, NOW).words
        };
        assert_eq!(decided(true), "goes on to stage 2 (25 %): approved");
        assert_eq!(decided(false), "returns to stable: refused");
    }

    /// Programs hold to these words: a new one is added, none is renamed.
    #[test]
    fn every_word_for_programs_is_documented_with_its_meaning() {
        let documented = include_str!("../../../docs/command-line.md");
        for doing in Doing::ALL {
            let word = serde_json::json!(doing);
            let line = format!("| `{}` | {} |", word.as_str().unwrap(), doing.meaning());
            assert!(documented.contains(&line), "docs/command-line.md lacks:\n{line}");
        }
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
