//! A link to a question that a deployment asks. It leads to that question and to no later one, and its signature is
//! what whoever has it can show: it names nobody.

use crate::ids::DeploymentId;
use crate::plan::StageIndex;
use crate::record::{Deployment, Notice, Phase, Step};
use crate::time::{Span, Timestamp};

/// The first part of the path.
const ROOT: &str = "approve";

/// How long after the end of its deployment a link still says what was answered and why: who was asked looks at it once
/// more, and who finds it in the history of a channel months later learns no names.
const SHOWN_FOR: Span = Span::from_secs(7 * 24 * 3_600);

/// Which question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionLink {
    pub deployment: DeploymentId,
    /// Before which stage.
    pub stage: StageIndex,
    /// When it was asked: who asks anew, asks something else.
    pub asked_at: Timestamp,
}

impl QuestionLink {
    /// To what a deployment asks now; `None`: it asks nothing, or has a name that is no part of a path.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let Step::Approving { since, .. } = deployment.progress.step else { return None };
        is_part(deployment.id.as_str()).then(|| Self {
            deployment: deployment.id.clone(),
            stage: deployment.progress.stage,
            asked_at: since,
        })
    }

    /// What somebody may answer now; `None`: it asks nothing, or has ended.
    pub fn open(deployment: &Deployment) -> Option<Self> {
        let goes_on = deployment.phase == Phase::Open && deployment.progress.ended_by.is_none();
        Self::of(deployment).filter(|_| goes_on)
    }

    /// To what it asks, if whoever reads a notice can have read the question before.
    pub fn known_to(notice: &Notice, deployment: &Deployment) -> Option<Self> {
        Self::of(deployment).filter(|link| notice.at >= link.asked_at)
    }

    /// Whether all of it has been over for so long that whoever still has the link is told no more than that. An answer or
    /// a deadline is no end: a pause may hold the question for weeks after it, and whoever then refuses it is to be told so.
    pub fn is_long_over(deployment: &Deployment, now: Timestamp) -> bool {
        deployment.ended_at().is_some_and(|at| now.since(at) > SHOWN_FOR)
    }

    /// What its signature is over.
    pub fn signed(&self, stack: &str) -> String {
        let Self { deployment, stage, asked_at } = self;
        format!("glidepath question 1\n{stack}\n{deployment}\n{stage}\n{}", asked_at.as_millis())
    }

    /// `/approve/DEPLOYMENT/STAGE/MILLISECONDS/SIGNATURE`.
    pub fn path(&self, signature: &str) -> String {
        let Self { deployment, stage, asked_at } = self;
        format!("/{ROOT}/{deployment}/{stage}/{}/{signature}", asked_at.as_millis())
    }

    /// What a path says, with its signature, which is still to be looked at.
    pub fn read(path: &str) -> Option<(Self, &str)> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let [root, deployment, stage, asked_at, signature] = std::array::from_fn(|_| parts.next());
        let stage = stage?.parse::<usize>().ok()?.checked_sub(1)?;
        let asked_at = Timestamp::from_millis(asked_at?.parse().ok()?);
        let link = Self {
            deployment: DeploymentId::new(deployment.filter(|name| is_part(name))?),
            stage: StageIndex(stage),
            asked_at,
        };
        let signature = signature.filter(|text| is_part(text))?;
        (root == Some(ROOT) && parts.next().is_none() && link.path(signature) == path)
            .then_some((link, signature))
    }
}

/// Whether a text is the same in a path as it is alone, wherever that is decoded.
fn is_part(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // Browsers make nothing of `.` and `..`.
    !text.is_empty() && !text.starts_with('.') && text.len() <= 128 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::failure::{Failure, FailureCode};
    use crate::fixtures::{NOW, deployment};
    use crate::plan::{Approval, OnTimeout};
    use crate::record::{Decision, Event, Fence, FenceTrigger, Outcome};

    fn link() -> QuestionLink {
        QuestionLink {
            deployment: DeploymentId::new("shop-42"),
            stage: StageIndex(1),
            asked_at: NOW,
        }
    }

    proptest! {
        #[test]
        fn a_path_leads_where_it_was_made_for(name in "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}", stage in 0usize..100, at in 0i64..4_102_444_800_000) {
            let deployment = DeploymentId::new(name);
            let link = QuestionLink { deployment, stage: StageIndex(stage), asked_at: Timestamp::from_millis(at) };
            let path = link.path("0a1b");
            prop_assert_eq!(QuestionLink::read(&path), Some((link, "0a1b")));
        }

        #[test]
        fn no_other_path_leads_anywhere(path in "[/a-z0-9.%+-]{0,60}") {
            if let Some((link, signature)) = QuestionLink::read(&path) {
                prop_assert_eq!(link.path(signature), path);
            }
        }
    }

    #[test]
    fn what_is_signed_says_everything_that_the_link_says() {
        let other_stage = QuestionLink { stage: StageIndex(2), ..link() };
        let later = QuestionLink { asked_at: NOW + Span::from_millis(1), ..link() };
        let other = QuestionLink { deployment: DeploymentId::new("shop-4"), ..link() };
        let texts = [link(), other_stage, later, other].map(|link| link.signed("glidepath"));
        let mut all: Vec<_> = texts.into_iter().chain([link().signed("other")]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5);
        for path in [
            "/approve/shop-42/0/1/ab",
            "/approve/shop-42/01/1/ab",
            "/approve/shop-42/1/1",
            "/approve/shop-42/1/1/ab/",
            "/approve/../1/1/ab",
        ] {
            assert_eq!(QuestionLink::read(path), None, "{path}");
        }
    }

    #[test]
    fn only_a_question_has_a_link() {
        let mut asked = deployment();
        assert_eq!(QuestionLink::of(&asked), None);
        let until = NOW + Span::from_secs(60);
        asked.progress.step =
            Step::Approving { since: NOW, until, decision: None, reminded: false };
        let found = QuestionLink::of(&asked).unwrap();
        assert_eq!((found.stage, found.asked_at), (asked.progress.stage, NOW));
        let told = |at| Notice {
            deployment: asked.id.clone(),
            sequence: 7,
            at,
            event: Event::RollbackHeld,
        };
        let second = NOW + Span::from_secs(1);
        for at in [NOW, second] {
            assert_eq!(QuestionLink::known_to(&told(at), &asked), Some(found.clone()));
        }
        // Told late, by when it was asked.
        let before = Timestamp::from_millis(NOW.as_millis() - 1);
        assert_eq!(QuestionLink::known_to(&told(before), &asked), None);
        asked.id = DeploymentId::new("schräg");
        assert_eq!(QuestionLink::of(&asked), None);
    }

    #[test]
    fn a_link_says_what_was_answered_for_a_week_after_the_end_of_its_deployment() {
        let (hour, week) = (Span::from_secs(3_600), Span::from_secs(7 * 86_400));
        let mut asked = deployment();
        asked.plan.stages[0].approval = Some(Approval::anybody(hour, OnTimeout::Continue));
        let until = NOW + hour;
        asked.progress.step =
            Step::Approving { since: NOW, until, decision: None, reminded: false };
        // Whoever pauses it pauses it for as long as they wish, and it is refused weeks after its deadline.
        let late = until + week.times(3);
        assert!(!QuestionLink::is_long_over(&asked, late));
        let by = "oidc:ada".to_owned();
        let refused = Decision { approved: false, by, at: late, reason: None, groups: Vec::new() };
        asked.progress.decisions.push((StageIndex(0), refused));
        let failure = Failure::new(FailureCode::ApprovalRejected, "oidc:ada rejected stage 1");
        asked.fence = Some(Fence { trigger: FenceTrigger::StateMachine, failure, at: late });
        for phase in [Phase::RollingBack, Phase::Held] {
            asked.phase = phase;
            assert!(!QuestionLink::is_long_over(&asked, late + week.times(2)), "it goes on");
        }
        asked.phase = Phase::Closed(Outcome::RolledBack);
        asked.next_due_at = late + hour;
        let over = late + hour + week;
        assert!(!QuestionLink::is_long_over(&asked, over));
        assert!(QuestionLink::is_long_over(&asked, over + Span::from_millis(1)));
    }
}
