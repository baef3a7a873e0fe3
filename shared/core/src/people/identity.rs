//! What the words say by which somebody is known: an ARN of IAM's or STS's, a user of Slack's, or the name of whoever has
//! signed in.

use serde::{Deserialize, Serialize};

use crate::pattern::matches;

/// Roles of IAM Identity Center: it names their sessions itself, after whoever has signed in.
const IDENTITY_CENTER: &str = "AWSReservedSSO_*";

/// What the stack says of names: patterns of the names of roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Naming {
    /// Their sessions are named after people, because their trust policies demand it by `sts:RoleSessionName`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions_name_people: Vec<String>,
    /// Nobody but machines can assume them: a pipeline's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
}

impl Naming {
    pub const fn is_empty(&self) -> bool {
        self.sessions_name_people.is_empty() && self.machines.is_empty()
    }

    /// Whether the sessions of a role are named after people. Any other session has the name that whoever assumes
    /// the role has chosen.
    pub(super) fn names_people(&self, role: &str) -> bool {
        matches(IDENTITY_CENTER, role)
            || self.sessions_name_people.iter().any(|pattern| matches(pattern, role))
    }

    pub(super) fn is_machine(&self, role: &str) -> bool {
        self.machines.iter().any(|pattern| matches(pattern, role))
    }
}

/// Who vouches for a name. Nobody knows whether two whom different ones name are the same person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedBy {
    Aws,
    Slack,
    /// The issuer at which people sign in on the page.
    Issuer,
}

/// What is before the name of somebody whom Slack names, as `slack:TEAM/USER`, and of one of its user groups.
const SLACK: &str = "slack:";

/// What is before the name of somebody who has signed in at the stack's issuer.
const SIGNED_IN: &str = "oidc:";

/// What is before the name of a group of the stack's issuer.
const GROUP: &str = "oidc-group:";

/// How a user of Slack's is written wherever somebody is named. Both are ids, as Slack sends them.
pub fn slack_user(team: &str, user: &str) -> String {
    format!("{SLACK}{team}/{user}")
}

/// Whether an entry of a list of approvers is a user group of this team of Slack's.
pub fn is_slack_group(entry: &str, team: &str) -> bool {
    let of = entry.strip_prefix(SLACK).and_then(|rest| rest.split_once('/'));
    Identity::of(entry) == Identity::SlackGroup && of.is_some_and(|(of, _)| of == team)
}

/// How somebody is written who has signed in at the stack's issuer.
pub fn signed_in(name: &str) -> String {
    format!("{SIGNED_IN}{name}")
}

/// How a group is written whose members the stack's issuer names.
pub fn signed_in_group(name: &str) -> String {
    format!("{GROUP}{name}")
}

/// The parts that say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity<'arn> {
    /// The path of a user is no part of the name.
    User {
        name: &'arn str,
    },
    Role {
        account: &'arn str,
        path: &'arn str,
        name: &'arn str,
    },
    Session {
        account: &'arn str,
        role: &'arn str,
        session: &'arn str,
    },
    /// One of Slack's users.
    Slack {
        user: &'arn str,
    },
    /// The members of one of Slack's user groups.
    SlackGroup,
    /// Who has signed in at the stack's issuer.
    SignedIn {
        name: &'arn str,
    },
    /// The members of a group of the stack's issuer.
    SignedInGroup,
    Other,
}

impl<'arn> Identity<'arn> {
    pub(super) fn of(arn: &'arn str) -> Self {
        let named = |prefix| arn.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
        if let Some(user) = named(SLACK) {
            return Self::of_slack(user);
        }
        if let Some(name) = named(SIGNED_IN) {
            return Self::SignedIn { name };
        }
        if named(GROUP).is_some() {
            return Self::SignedInGroup;
        }
        let mut parts = arn.splitn(6, ':');
        let (Some("arn"), Some(_), Some(service), Some(_), Some(account), Some(resource)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Self::Other;
        };
        let last = |path: &'arn str| path.rsplit_once('/').unwrap_or(("", path));
        match (service, resource.split_once('/')) {
            ("iam", Some(("user", path))) => Self::User { name: last(path).1 },
            ("iam", Some(("role", path))) => {
                let (path, name) = last(path);
                Self::Role { account, path, name }
            }
            ("sts", Some(("assumed-role", session))) => match session.split_once('/') {
                Some((role, session)) => Self::Session { account, role, session },
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }

    /// Who vouches for it; `None`: nobody can say.
    pub(super) const fn named_by(&self) -> Option<NamedBy> {
        match self {
            Self::User { .. } | Self::Role { .. } | Self::Session { .. } => Some(NamedBy::Aws),
            Self::Slack { .. } | Self::SlackGroup => Some(NamedBy::Slack),
            Self::SignedIn { .. } | Self::SignedInGroup => Some(NamedBy::Issuer),
            Self::Other => None,
        }
    }

    /// `TEAM/USER` or `TEAM/GROUP`, by Slack's own ids.
    fn of_slack(text: &'arn str) -> Self {
        let id = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        match text.split_once('/').filter(|(team, user)| !team.is_empty() && id(team) && id(user)) {
            Some((_, user)) if user.starts_with(['U', 'W']) => Self::Slack { user: text },
            Some((_, group)) if group.starts_with('S') => Self::SlackGroup,
            Some(_) | None => Self::Other,
        }
    }
}
