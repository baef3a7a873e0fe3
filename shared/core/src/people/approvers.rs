//! Lists of those who may approve, as people write them.

use serde::{Deserialize, Serialize};

use super::identity::{Identity, names_people};
use crate::pattern::matches;

/// ARNs of IAM: users, roles (whoever has assumed them), and sessions of roles that name people. `*` and `?` in
/// their names are as in IAM's policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Approvers(Vec<String>);

/// Why an entry of such a list names nobody for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitApprover {
    #[error("is no ARN of an IAM user, a role or the session of a role")]
    Unknown,
    #[error("names sessions of a role, whose names are chosen by whoever assumes it")]
    AnySession,
}

impl Approvers {
    pub fn new(arns: Vec<String>) -> Self {
        Self(arns)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, String> {
        self.0.iter()
    }

    /// Whether an entry can be used, where the sessions of these roles are named after people.
    pub fn fits(entry: &str, trusted: &[String]) -> Result<(), UnfitApprover> {
        match Identity::of(entry) {
            Identity::User { .. } | Identity::Role { .. } => Ok(()),
            Identity::Session { role, .. } if names_people(role, trusted) => Ok(()),
            Identity::Session { .. } => Err(UnfitApprover::AnySession),
            Identity::Other => Err(UnfitApprover::Unknown),
        }
    }

    /// Whether it names whoever has this ARN. The ARN of a session says the role's name without its path.
    pub fn names(&self, arn: &str) -> bool {
        self.0.iter().any(|entry| match (Identity::of(entry), Identity::of(arn)) {
            (Identity::Role { account, name }, Identity::Session { account: of, role, .. }) => {
                account == of && matches(name, role)
            }
            _ => matches(entry, arn),
        })
    }
}

impl std::fmt::Display for Approvers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_names_its_sessions_whatever_its_path_and_nobody_elses() {
        let approvers = Approvers::new(vec![
            "arn:aws:iam::111122223333:role/teams/release-managers".to_owned(),
            "arn:aws:iam::111122223333:user/people/*".to_owned(),
            "arn:aws:iam::111122223333:role/aws-reserved/AWSReservedSSO_Release_*".to_owned(),
        ]);
        for arn in [
            "arn:aws:sts::111122223333:assumed-role/release-managers/ada",
            "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Release_0a1b/ada",
            "arn:aws:iam::111122223333:user/people/ada",
        ] {
            assert!(approvers.names(arn), "{arn}");
        }
        for arn in [
            "arn:aws:sts::444455556666:assumed-role/release-managers/ada",
            "arn:aws:sts::111122223333:assumed-role/release-managers-x/ada",
            "arn:aws:sts::111122223333:assumed-role/x/release-managers",
            "arn:aws:iam::111122223333:user/robots/ada",
            "arn:aws:iam::111122223333:root",
            "",
        ] {
            assert!(!approvers.names(arn), "{arn}");
        }
        assert!(!Approvers::default().names("arn:aws:iam::111122223333:root"));
    }

    #[test]
    fn sessions_are_named_only_where_their_names_are_of_people() {
        let fits = |entry: &str| Approvers::fits(entry, &["engineer".to_owned()]);
        let session = |role| format!("arn:aws:sts::111122223333:assumed-role/{role}/ada");
        assert_eq!(fits(&session("engineer")), Ok(()));
        assert_eq!(fits(&session("AWSReservedSSO_Release_0a1b")), Ok(()));
        assert_eq!(fits(&session("deploy")), Err(UnfitApprover::AnySession));
        assert_eq!(fits("arn:aws:iam::111122223333:user/ada"), Ok(()));
        for unknown in ["ada", "arn:aws:iam::111122223333:root", "arn:aws:iam::1:group/x", "*"] {
            assert_eq!(fits(unknown), Err(UnfitApprover::Unknown), "{unknown}");
        }
    }
}
