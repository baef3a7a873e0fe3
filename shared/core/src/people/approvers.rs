//! Lists of those who may approve, as people write them.

use serde::{Deserialize, Serialize};

use super::identity::{Identity, Naming};
use crate::pattern::matches;

/// ARNs of IAM: users, roles (whoever has assumed them), and sessions of roles that name people. `*` and `?` in
/// their names are as in IAM's policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Approvers(Vec<String>);

/// Longest ARN of IAM's, with room for a pattern.
const LONGEST: usize = 1_024;

/// Why an entry of such a list names nobody for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitApprover {
    #[error("is no ARN of an IAM user, a role or the session of a role")]
    Unknown,
    /// The ARN of a session has no path, so it would name roles of every path.
    #[error("names roles by their path alone, and the ARN of a session has none")]
    AnyPath,
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

    /// Whether an entry can be used.
    pub fn fits(entry: &str, naming: &Naming) -> Result<(), UnfitApprover> {
        // As IAM allows in names, and what patterns are made of: it is shown on terminals.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/:*?".contains(&byte);
        let account = entry.split(':').nth(4).unwrap_or_default();
        let of_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if entry.len() > LONGEST || !entry.bytes().all(allowed) || !of_account {
            return Err(UnfitApprover::Unknown);
        }
        match Identity::of(entry) {
            Identity::Role { path, name, .. }
                if !path.is_empty() && name.starts_with(['*', '?']) =>
            {
                Err(UnfitApprover::AnyPath)
            }
            Identity::User { .. } | Identity::Role { .. } => Ok(()),
            Identity::Session { role, .. } if naming.names_people(role) => Ok(()),
            Identity::Session { .. } => Err(UnfitApprover::AnySession),
            Identity::Other => Err(UnfitApprover::Unknown),
        }
    }

    /// Whether it names whoever has this ARN. The ARN of a session says the role's name without its path.
    pub fn names(&self, arn: &str) -> bool {
        self.0.iter().any(|entry| match (Identity::of(entry), Identity::of(arn)) {
            (Identity::Role { account, name, .. }, Identity::Session { account: of, role, .. }) => {
                account == of && matches(name, role)
            }
            _ => matches(entry, arn),
        })
    }

    /// How many people it can name at most; `None`: as many as there are.
    pub fn at_most(&self, naming: &Naming) -> Option<usize> {
        let pattern = |name: &str| name.contains(['*', '?']);
        let mut people = 0;
        for entry in &self.0 {
            people += match Identity::of(entry) {
                Identity::User { name } | Identity::Session { session: name, .. }
                    if !pattern(name) =>
                {
                    1
                }
                // Its sessions may be anybody's; a pattern may cover one that names people.
                Identity::Role { name, .. } if !pattern(name) && !naming.names_people(name) => 0,
                Identity::User { .. }
                | Identity::Session { .. }
                | Identity::Role { .. }
                | Identity::Other => return None,
            };
        }
        Some(people)
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

    fn naming() -> Naming {
        Naming { sessions_name_people: vec!["engineer".to_owned()], machines: Vec::new() }
    }

    fn list(entries: &[&str]) -> Approvers {
        Approvers::new(entries.iter().map(|entry| (*entry).to_owned()).collect())
    }

    #[test]
    fn a_role_names_its_sessions_whatever_its_path_and_nobody_elses() {
        let approvers = list(&[
            "arn:aws:iam::111122223333:role/teams/release-managers",
            "arn:aws:iam::111122223333:user/people/*",
            "arn:aws:iam::111122223333:role/aws-reserved/AWSReservedSSO_Release_*",
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
    fn an_entry_names_whom_it_seems_to_name_or_is_refused() {
        let fits = |entry: &str| Approvers::fits(entry, &naming());
        let session = |role| format!("arn:aws:sts::111122223333:assumed-role/{role}/ada");
        assert_eq!(fits(&session("engineer")), Ok(()));
        assert_eq!(fits(&session("AWSReservedSSO_Release_0a1b")), Ok(()));
        assert_eq!(fits(&session("deploy")), Err(UnfitApprover::AnySession));
        for fit in ["user/ada", "user/people/*", "role/*", "role/teams/release-*"] {
            assert_eq!(fits(&format!("arn:aws:iam::111122223333:{fit}")), Ok(()), "{fit}");
        }
        assert_eq!(fits("arn:aws:iam::111122223333:role/teams/*"), Err(UnfitApprover::AnyPath));
        for unknown in [
            "ada",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:group/x",
            "arn:aws:iam::*:role/x",
            "arn:aws:iam::111122223333:user/\u{1b}[2J",
            "*",
        ] {
            assert_eq!(fits(unknown), Err(UnfitApprover::Unknown), "{unknown}");
        }
    }

    #[test]
    fn how_many_people_a_list_can_name_is_known_where_it_is_few() {
        let arn = |rest| format!("arn:aws:iam::111122223333:{rest}");
        for (entry, expected) in [
            ("user/ada", Some(1)),
            ("user/*", None),
            ("role/deploy", Some(0)),
            ("role/dep*", None),
            ("role/engineer", None),
        ] {
            assert_eq!(list(&[&arn(entry)]).at_most(&naming()), expected, "{entry}");
        }
        assert_eq!(list(&[&arn("user/ada"), &arn("user/bob")]).at_most(&naming()), Some(2));
    }
}
