//! Who counts where several must approve.

use super::identity::{Identity, NamedBy, Naming};

/// Who answers by a link, which is in a message that anybody may have passed on. It is no ARN, so it is no person's.
pub const LINK_HOLDER: &str = "whoever had the link";

/// What stands behind a name that nobody vouches for but its bearer.
pub const SAID: &str = ", as they say";

/// Whom an ARN, or another word by which somebody is known, stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// One whose name somebody else has set: IAM, whoever trusts the role, Slack or the stack's issuer. AWS's names are
    /// compared without case, and whatever gave them: a user and a session of the same name are one.
    Named(NamedBy, String),
    /// Nobody: a role that only machines can assume.
    Machine,
    /// Whoever can assume the role, asks for the federation, or has the account's root: it may be anybody, and one of
    /// the named.
    Anybody,
}

impl Person {
    pub fn of(arn: &str, naming: &Naming) -> Self {
        match Identity::of(arn) {
            Identity::User { name } => Self::Named(NamedBy::Aws, name.to_lowercase()),
            Identity::Session { role, session, .. } if naming.names_people(role) => {
                Self::Named(NamedBy::Aws, session.to_lowercase())
            }
            Identity::Slack { user } => Self::Named(NamedBy::Slack, user.to_owned()),
            Identity::SignedIn { name } => Self::Named(NamedBy::Issuer, name.to_owned()),
            Identity::Session { role, .. } if naming.is_machine(role) => Self::Machine,
            Identity::Session { .. }
            | Identity::Role { .. }
            | Identity::SlackGroup
            | Identity::SignedInGroup
            | Identity::Other => Self::Anybody,
        }
    }
}

/// `1 person`, `2 people`.
pub fn people(count: u32) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role";

    fn person(arn: &str) -> Person {
        let naming = Naming {
            sessions_name_people: vec!["engineer".to_owned()],
            machines: vec!["ci-*".to_owned()],
        };
        Person::of(arn, &naming)
    }

    #[test]
    fn a_name_is_a_persons_only_where_somebody_else_has_set_it() {
        let named = |name: &str| Person::Named(NamedBy::Aws, name.to_owned());
        let center = |set, user| format!("{SESSION}/AWSReservedSSO_{set}_0123456789abcdef/{user}");
        for (arn, expected) in [
            ("arn:aws:iam::111122223333:user/people/ada".to_owned(), named("ada")),
            (format!("{SESSION}/engineer/Ada"), named("ada")),
            (center("Admin", "ada"), named("ada")),
            (center("ReadOnly", "bob"), named("bob")),
            (format!("{SESSION}/ci-deploy/ada"), Person::Machine),
            (format!("{SESSION}/deploy/ada"), Person::Anybody),
            ("arn:aws:iam::111122223333:role/engineer".to_owned(), Person::Anybody),
            ("arn:aws:sts::111122223333:federated-user/ada".to_owned(), Person::Anybody),
            ("arn:aws:iam::111122223333:root".to_owned(), Person::Anybody),
            (String::new(), Person::Anybody),
            ("slack:T0/U1".to_owned(), Person::Named(NamedBy::Slack, "T0/U1".to_owned())),
            ("slack:T0/W1".to_owned(), Person::Named(NamedBy::Slack, "T0/W1".to_owned())),
            ("slack:T0/S1".to_owned(), Person::Anybody),
            ("slack:/U1".to_owned(), Person::Anybody),
            ("slack:T0/ada".to_owned(), Person::Anybody),
            ("oidc:Ada".to_owned(), Person::Named(NamedBy::Issuer, "Ada".to_owned())),
            ("oidc-group:release".to_owned(), Person::Anybody),
            ("oidc:".to_owned(), Person::Anybody),
        ] {
            assert_eq!(person(&arn), expected, "{arn}");
        }
    }
}
