//! Why nothing is brought back, for people.

use super::{KNOWN, NoWayBack, To};
use crate::document::Findings;
use crate::ids::{DeploymentId, TaskDefinition};

/// How a person writes a command: its verb, what it is about, and what follows.
pub type Command<'a> = &'a dyn Fn(&str, Option<&DeploymentId>, &str) -> String;

impl NoWayBack {
    /// What is in the way, and what to do. `subject` and `to` are as somebody has written them.
    pub fn told(&self, subject: &str, to: &To, command: Command<'_>) -> (String, String) {
        let listed = |ids: &[DeploymentId]| {
            ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
        };
        let return_from = |id: &DeploymentId| {
            let command = command("rollback", Some(id), "--to previous --reason \"...\"");
            format!("`{command}`")
        };
        let shown = || format!("`{}` shows what there is", command("status", None, ""));
        let short = |versions: &[TaskDefinition]| {
            versions.iter().map(TaskDefinition::short).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::NeverDeployed => (
                format!(
                    "of `{subject}` none of the last {KNOWN} deployments of the stack has succeeded"
                ),
                shown(),
            ),
            Self::Ambiguous(last) => (
                format!("several services are called `{subject}`"),
                format!("name the last deployment of the one that you mean: {}", listed(last)),
            ),
            Self::Running(id) => (
                format!("{id} has not ended"),
                format!(
                    "`{}` brings everything back to what serves",
                    command("rollback", Some(id), "")
                ),
            ),
            Self::Completing(id) => (
                format!("{id} has succeeded and is being completed"),
                "try again in a minute".to_owned(),
            ),
            Self::BackAlready(id) => (
                format!("{subject} did not succeed: what {id} brought serves"),
                format!("to return from that: {}", return_from(id)),
            ),
            Self::WentBack(id) => (
                format!("somebody has gone back already, by {id}"),
                format!("to return to what they left: {}", return_from(id)),
            ),
            Self::Tagged(versions) => (
                format!("several versions have an image of that tag: {}", short(versions)),
                "name one of them".to_owned(),
            ),
            Self::Replaced(id) => (
                format!("{id} has succeeded since {subject}"),
                format!("to return from it: {}", return_from(id)),
            ),
            Self::Serves(version) => (format!("{} serves already", version.short()), shown()),
            Self::Unknown(served) => {
                let asked = match to {
                    To::Previous => "nothing else".to_owned(),
                    To::Named(text) => format!("`{text}`"),
                    To::Slot(slot) => format!("what {slot} holds"),
                };
                let hint = if served.is_empty() {
                    "deploy it with `strategy: {allAtOnce: {bake: 0s}}`".to_owned()
                } else {
                    format!("these have: {}", short(served))
                };
                (format!("as far as is known, {asked} has served `{subject}` before"), hint)
            }
        }
    }

    /// The same of a request.
    pub fn findings(&self, subject: &str, to: &To) -> Findings {
        let command = |verb: &str, id: Option<&DeploymentId>, rest: &str| {
            let id = id.map(DeploymentId::as_str);
            let words = ["glidepath", verb].into_iter().chain(id).chain([rest]);
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let (message, hint) = self.told(subject, to, &command);
        let path = match self {
            Self::NeverDeployed
            | Self::Ambiguous(_)
            | Self::Running(_)
            | Self::Completing(_)
            | Self::BackAlready(_)
            | Self::Replaced(_)
            | Self::WentBack(_) => "$.service",
            Self::Tagged(_) | Self::Serves(_) | Self::Unknown(_) => "$.release.rollbackTo",
        };
        let mut findings = Findings::default();
        findings.error(path, message, hint);
        findings
    }

    /// Whether the same may be possible later.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Running(_) | Self::Completing(_) => true,
            Self::NeverDeployed
            | Self::Ambiguous(_)
            | Self::BackAlready(_)
            | Self::Replaced(_)
            | Self::WentBack(_)
            | Self::Tagged(_)
            | Self::Serves(_)
            | Self::Unknown(_) => false,
        }
    }
}
