//! What an ARN of IAM's or STS's says of whoever has it.

use crate::pattern::matches;

/// Roles of IAM Identity Center: it names their sessions itself, after whoever has signed in.
const IDENTITY_CENTER: &str = "AWSReservedSSO_*";

/// The parts of an ARN of IAM's or STS's that say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity<'arn> {
    /// The path of a user is no part of the name.
    User {
        name: &'arn str,
    },
    Role {
        account: &'arn str,
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
        let last = |path: &'arn str| path.rsplit_once('/').map_or(path, |(_, name)| name);
        match (service, resource.split_once('/')) {
            ("iam", Some(("user", path))) => Self::User { name: last(path) },
            ("iam", Some(("role", path))) => Self::Role { account, name: last(path) },
            ("sts", Some(("assumed-role", session))) => match session.split_once('/') {
                Some((role, session)) => Self::Session { account, role, session },
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// Roles whose sessions are named after people, because their trust policies demand it; besides those of
/// IAM Identity Center. Any other session has the name that whoever assumes the role has chosen.
pub(super) fn names_people(role: &str, trusted: &[String]) -> bool {
    matches(IDENTITY_CENTER, role) || trusted.iter().any(|pattern| matches(pattern, role))
}
