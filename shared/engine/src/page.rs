//! The page of a question: what is asked, for whoever has a link to it, and what they answer. The link is all that they
//! show, so nothing is read of the registry before its signature has been looked at.

use std::collections::BTreeSet;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::StoredCells;
use glidepath_core::ids::DeploymentId;
use glidepath_core::link::QuestionLink;
use glidepath_core::people::{
    Approvers, LINK_HOLDER, is_slack_group, signed_in, signed_in_group, slack_user,
};
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::time::Timestamp;

use crate::decide::{Answer, Word, require_said};
use crate::failed;
use crate::ports::{Links, Ports, Registry};

/// What a link leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub link: QuestionLink,
    pub deployment: Deployment,
    /// What was counted of its requests, if anything was.
    pub cells: Option<StoredCells>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    pub by: String,
    /// The groups that are proven of them, as lists of approvers name them.
    pub groups: Vec<String>,
}

impl Answering {
    /// Whoever has the link.
    pub fn by_link() -> Self {
        Self { by: LINK_HOLDER.to_owned(), groups: Vec::new() }
    }

    /// Whom the stack's issuer names, with names of groups of theirs.
    pub fn signed_in(name: &str, groups: &[String]) -> Self {
        let groups = groups.iter().map(|group| signed_in_group(group)).collect();
        Self { by: signed_in(name), groups }
    }

    /// Who has clicked in Slack, with groups of theirs as lists of approvers name them.
    pub fn clicked(team: &str, user: &str, groups: Vec<String>) -> Self {
        Self { by: slack_user(team, user), groups }
    }
}

/// What a path leads to; `None`: nowhere. Changes nothing.
pub async fn look<P>(ports: &P, path: &str) -> Result<Option<Found>, Failure>
where
    P: Ports<Registry: Registry, Links: Links>,
{
    let Some((link, signature)) = QuestionLink::read(path) else { return Ok(None) };
    let own = ports.links().is_own(&link, signature).await;
    if !own.map_err(|error| failed(&error))? {
        return Ok(None);
    }
    let registry = ports.registry();
    let deployment = registry.deployment(&link.deployment).await.map_err(|error| failed(&error))?;
    let Some(deployment) = deployment else { return Ok(None) };
    // From here on the log says what it is about; before, nobody's word is put into it.
    let span = tracing::Span::current();
    span.record("deployment", link.deployment.as_str());
    span.record("stage", deployment.progress.stage.0.saturating_add(1));
    // Without it the question can be answered all the same.
    let cells = registry.stored_cells(&link.deployment).await.unwrap_or_else(|error| {
        tracing::warn!(deployment.id = %link.deployment, %error, "the cells could not be read");
        None
    });
    Ok(Some(Found { link, deployment, cells }))
}

/// The path of what a deployment asks now, for whoever may decide it without a link; `None`: it asks nothing. Changes
/// nothing.
pub async fn path_of_question<P>(
    ports: &P,
    links: &impl Links,
    deployment: &DeploymentId,
) -> Result<Option<String>, Failure>
where
    P: Ports<Registry: Registry>,
{
    let found = ports.registry().deployment(deployment).await.map_err(|error| failed(&error))?;
    let Some(link) = found.as_ref().and_then(QuestionLink::open) else { return Ok(None) };
    links.path(&link).await.map(Some).map_err(|error| failed(&error))
}

impl Found {
    /// Those of somebody's groups at the stack's issuer by which they may approve: one for each list of approvers that
    /// names any. The others decide nothing, and may be hundreds.
    pub fn groups_that_count(&self, groups: &[String]) -> Vec<String> {
        let stage = self.deployment.plan.stage(self.link.stage);
        let lists = stage
            .and_then(|stage| stage.approval.as_ref())
            .map(|approval| approval.approvers.as_slice());
        let named = lists.unwrap_or_default().iter().filter_map(|list| {
            groups.iter().find(|group| {
                let entry = signed_in_group(group);
                list.iter().any(|named| *named == entry)
            })
        });
        named.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Which groups of a team of Slack's are asked of whoever approves: somebody may be in one of them.
    pub fn slack_groups(&self, team: &str) -> Vec<String> {
        let stage = self.deployment.plan.stage(self.link.stage);
        let lists = stage.and_then(|stage| stage.approval.as_ref());
        let lists = lists.map(|approval| approval.approvers.as_slice()).unwrap_or_default();
        let entries =
            lists.iter().flat_map(Approvers::iter).filter(|entry| is_slack_group(entry, team));
        entries.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What somebody who has the link decides, for [`crate::decide`], which takes it or says why not. What is told of one
    /// that is long over names nobody, as its page does not.
    pub fn answer(
        &self,
        approved: bool,
        reason: &str,
        by: Answering,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        let reason = Some(reason.trim()).filter(|reason| !reason.is_empty()).map(str::to_owned);
        reason.as_deref().map_or(Ok(()), require_said)?;
        let answer = Answer {
            deployment: self.link.deployment.clone(),
            stage: Some(self.link.stage),
            by: by.by,
            groups: by.groups,
            word: if approved { Word::Approve { reason } } else { Word::Reject { reason } },
        };
        let asks = QuestionLink::of(&self.deployment);
        let is_here = asks.as_ref() == Some(&self.link);
        // Asked anew, what was answered before is about something else.
        let is_anew = !is_here && asks.is_some_and(|asks| asks.stage == self.link.stage);
        let is_asked = is_here && self.deployment.phase == Phase::Open;
        if is_asked || !is_anew && answer.is_recorded(&self.deployment) {
            return Ok(answer);
        }
        let is_long_over = QuestionLink::is_long_over(&self.deployment, now);
        let fence = self.deployment.fence.as_ref().filter(|_| !is_long_over);
        let cause = fence.map_or_else(
            || "nobody is asked this any more".to_owned(),
            |fence| format!("it returned to stable: {}", fence.failure.cause),
        );
        Err(Failure::new(FailureCode::InvalidRequest, cause))
    }
}
