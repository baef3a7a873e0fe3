//! A link to a question that a deployment asks. It leads to that question and to no later one, and its signature is
//! what whoever has it can show: it names nobody.

use crate::ids::DeploymentId;
use crate::plan::StageIndex;
use crate::record::{Deployment, Notice, Phase, Step};
use crate::time::Timestamp;

/// The first part of the path.
const ROOT: &str = "approve";

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

    /// To what it still asks after a notice: nobody has answered as much as is needed, and whoever reads that notice
    /// can have read the question before.
    pub fn open_after(notice: &Notice, deployment: &Deployment) -> Option<Self> {
        let unanswered = matches!(deployment.progress.step, Step::Approving { decision: None, .. });
        let goes_on = deployment.phase == Phase::Open && deployment.progress.ended_by.is_none();
        Self::of(deployment).filter(|link| unanswered && goes_on && notice.at >= link.asked_at)
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
    use crate::fixtures::{NOW, deployment};
    use crate::record::{Decision, Event};
    use crate::time::Span;

    fn decision() -> Decision {
        let by = "slack:T0LAB/U0ADA".to_owned();
        Decision { approved: true, by, at: NOW, reason: None, groups: Vec::new() }
    }

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
        let open = |at, change: &dyn Fn(&mut Deployment)| {
            let mut changed = asked.clone();
            change(&mut changed);
            QuestionLink::open_after(&told(at), &changed)
        };
        let second = NOW + Span::from_secs(1);
        assert_eq!(open(NOW, &|_| {}), Some(found.clone()));
        // Half of it is answered: it is still asked.
        let half = |asked: &mut Deployment| {
            asked.progress.decisions.push((asked.progress.stage, decision()));
        };
        assert_eq!(open(second, &half), Some(found));
        let answered = |asked: &mut Deployment| {
            let decision = Some(decision());
            asked.progress.step = Step::Approving { since: NOW, until, decision, reminded: false };
        };
        assert_eq!(open(second, &answered), None);
        assert_eq!(open(second, &|asked| asked.phase = Phase::RollingBack), None);
        // Told late, by when the next question was asked.
        let next = |asked: &mut Deployment| {
            asked.progress.step =
                Step::Approving { since: second, until, decision: None, reminded: false };
        };
        assert_eq!(open(NOW, &next), None);
        asked.id = DeploymentId::new("schräg");
        assert_eq!(QuestionLink::of(&asked), None);
    }
}
