//! Lists of those who may approve, as people write them.

use serde::{Deserialize, Serialize};

use super::identity::{Identity, NamedBy, Naming};
use super::person::Person;
use crate::pattern::matches;

/// ARNs of IAM: users, roles (whoever has assumed them), and sessions of roles that name people, with `*` and `?` in
/// their names as in IAM's policies. Of Slack `slack:TEAM/USER` and `slack:TEAM/GROUP`, by their ids; of whoever signs in
/// on the page `oidc:NAME` and `oidc-group:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Approvers(Vec<String>);

/// Longest ARN of IAM's, with room for a pattern.
const LONGEST: usize = 1_024;

/// Why an entry of such a list names nobody for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitApprover {
    #[error(
        "is no ARN of an IAM user, a role or the session of a role, and neither `slack:TEAM/USER`, `slack:TEAM/GROUP`, \
         `oidc:NAME` nor `oidc-group:NAME`"
    )]
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
        match Identity::of(entry) {
            Identity::Slack { .. } | Identity::SlackGroup => return Ok(()),
            // It is shown on terminals and in messages.
            Identity::SignedIn { .. } | Identity::SignedInGroup => {
                let fits = entry.len() <= LONGEST && !entry.chars().any(char::is_control);
                return if fits { Ok(()) } else { Err(UnfitApprover::Unknown) };
            }
            Identity::User { .. }
            | Identity::Role { .. }
            | Identity::Session { .. }
            | Identity::Other => {}
        }
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
            Identity::Slack { .. }
            | Identity::SlackGroup
            | Identity::SignedIn { .. }
            | Identity::SignedInGroup
            | Identity::Other => Err(UnfitApprover::Unknown),
        }
    }

    /// Whether it names whoever is known by this, or one of the groups that are proven of them, each as an entry names
    /// it. The ARN of a session says the role's name without its path.
    pub fn names(&self, by: &str, groups: &[String]) -> bool {
        self.0.iter().any(|entry| match (Identity::of(entry), Identity::of(by)) {
            (Identity::Role { account, name, .. }, Identity::Session { account: of, role, .. }) => {
                account == of && matches(name, role)
            }
            // What others call somebody may have a `*` in it, which means itself.
            (Identity::Slack { .. } | Identity::SignedIn { .. }, _) => entry == by,
            (Identity::SlackGroup | Identity::SignedInGroup, _) => groups.contains(entry),
            (_, Identity::User { .. } | Identity::Role { .. } | Identity::Session { .. }) => {
                matches(entry, by)
            }
            _ => false,
        })
    }

    /// How many people it can name at most, of those whom one and the same names; `None`: as many as there are. Only
    /// entries count of which `counts` says so, by who names them and whom they name.
    pub fn at_most(
        &self,
        naming: &Naming,
        counts: impl Fn(Option<NamedBy>, &Person) -> bool,
    ) -> Option<usize> {
        let pattern = |name: &str| name.contains(['*', '?']);
        let (mut of_aws, mut of_slack, mut of_issuer) = (0, 0, 0);
        for entry in &self.0 {
            let identity = Identity::of(entry);
            if !counts(identity.named_by(), &Person::of(entry, naming)) {
                continue;
            }
            match identity {
                Identity::User { name } | Identity::Session { session: name, .. }
                    if !pattern(name) =>
                {
                    of_aws += 1;
                }
                // Its sessions may be anybody's; a pattern may cover one that names people.
                Identity::Role { name, .. } if !pattern(name) && !naming.names_people(name) => {}
                Identity::Slack { .. } => of_slack += 1,
                Identity::SignedIn { .. } => of_issuer += 1,
                Identity::User { .. }
                | Identity::Session { .. }
                | Identity::Role { .. }
                | Identity::SlackGroup
                | Identity::SignedInGroup
                | Identity::Other => return None,
            }
        }
        [of_aws, of_slack, of_issuer].into_iter().max()
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
            assert!(approvers.names(arn, &[]), "{arn}");
        }
        for arn in [
            "arn:aws:sts::444455556666:assumed-role/release-managers/ada",
            "arn:aws:sts::111122223333:assumed-role/release-managers-x/ada",
            "arn:aws:sts::111122223333:assumed-role/x/release-managers",
            "arn:aws:iam::111122223333:user/robots/ada",
            "arn:aws:iam::111122223333:root",
            "",
        ] {
            assert!(!approvers.names(arn, &[]), "{arn}");
        }
        assert!(!Approvers::default().names("arn:aws:iam::111122223333:root", &[]));
    }

    #[test]
    fn others_than_aws_name_people_and_groups_to_the_letter() {
        let approvers =
            list(&["slack:T0/U1", "slack:T0/S1", "oidc:ada@example.com", "oidc-group:release *"]);
        let group = |name: &str| vec![name.to_owned()];
        assert!(approvers.names("slack:T0/U1", &[]));
        assert!(approvers.names("slack:T0/U9", &group("slack:T0/S1")));
        assert!(approvers.names("oidc:ada@example.com", &[]));
        assert!(approvers.names("oidc:bob@example.com", &group("oidc-group:release *")));
        for (by, groups) in [
            ("slack:T9/U1", vec![]),
            ("slack:T0/S1", vec![]),
            ("oidc:Ada@example.com", vec![]),
            ("oidc-group:release *", vec![]),
            ("oidc:bob@example.com", group("oidc-group:release 1")),
            ("oidc:bob@example.com", group("slack:T0/S9")),
        ] {
            assert!(!approvers.names(by, &groups), "{by} {groups:?}");
        }
        let arns = list(&["arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:role/*"]);
        assert!(!arns.names("slack:T0/U1", &[]) && !arns.names("oidc:arn", &[]));
        assert_eq!(
            list(&["slack:T0/U1", "slack:T0/U2", "oidc:ada"]).at_most(&naming(), |_, _| true),
            Some(2)
        );
        assert_eq!(list(&["slack:T0/U1", "oidc-group:a"]).at_most(&naming(), |_, _| true), None);
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
        for fit in ["slack:T0/U1", "slack:T0/S1", "oidc:Ada Müller", "oidc-group:a/b"] {
            assert_eq!(fits(fit), Ok(()), "{fit}");
        }
        for unknown in [
            "ada",
            "slack:ada",
            "slack:T0/ada",
            "slack:t0/U1",
            "oidc:",
            "oidc-group:\u{1b}[2J",
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
            assert_eq!(list(&[&arn(entry)]).at_most(&naming(), |_, _| true), expected, "{entry}");
        }
        assert_eq!(
            list(&[&arn("user/ada"), &arn("user/bob")]).at_most(&naming(), |_, _| true),
            Some(2)
        );
    }
}
