//! What an ARN of IAM's or STS's says of whoever has it.

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

/// The parts of an ARN that say who it is.
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
    Other,
}

impl<'arn> Identity<'arn> {
    pub(super) fn of(arn: &'arn str) -> Self {
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
}
