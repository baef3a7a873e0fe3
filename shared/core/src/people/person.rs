//! Who counts once where several must approve.

use super::identity::{Identity, names_people};

/// Who counts once. Two ARNs that may be of one person are of one: somebody who can assume a role twice under
/// two names is one approval, and so is a user who can assume it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person(String);

impl Person {
    /// Whom this ARN stands for, where the sessions of these roles are named after people.
    pub fn of(arn: &str, trusted: &[String]) -> Self {
        Self(match Identity::of(arn) {
            // IAM's names of users differ by more than case; Identity Center's are as somebody typed them.
            Identity::User { name } => name.to_lowercase(),
            Identity::Session { account: _, role, session } if names_people(role, trusted) => {
                session.to_lowercase()
            }
            Identity::Session { account, role, session: _ }
            | Identity::Role { account, name: role } => {
                format!("role {role} of {account}")
            }
            Identity::Other => federation(arn).to_owned(),
        })
    }
}

/// `1 person`, `2 people`.
pub fn people(count: u32) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// The names of federated users are chosen by whoever asks for their credentials.
fn federation(arn: &str) -> &str {
    arn.find(":federated-user/").map_or(arn, |end| &arn[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role";

    fn person(arn: &str) -> Person {
        Person::of(arn, &["engineer".to_owned()])
    }

    #[test]
    fn a_session_is_a_person_only_where_somebody_else_names_it() {
        let same = |one: &str, other: &str| person(one) == person(other);
        let deploy = |session| format!("{SESSION}/deploy/{session}");
        assert!(same(&deploy("ada"), &deploy("bob")), "one person assumes it twice");
        assert!(same(&deploy("ada"), "arn:aws:iam::111122223333:role/ci/deploy"));
        let other = "arn:aws:sts::444455556666:assumed-role/deploy/ada";
        assert!(!same(&deploy("ada"), other), "a role of another account");
        let engineer = |session| format!("{SESSION}/engineer/{session}");
        assert!(!same(&engineer("ada"), &engineer("bob")));
        let center = |set, user| format!("{SESSION}/AWSReservedSSO_{set}_0123456789abcdef/{user}");
        assert!(!same(&center("Admin", "ada"), &center("Admin", "bob")));
        assert!(same(&center("Admin", "Ada"), &center("ReadOnly", "ada")), "two permission sets");
        let user = "arn:aws:iam::111122223333:user/people/ada";
        assert!(same(user, &engineer("ada")) && same(user, &center("Admin", "ada")));
        assert!(!same(user, "arn:aws:iam::111122223333:user/people/bob"));
    }

    #[test]
    fn what_is_no_name_of_a_person_counts_as_one() {
        let federated = |name| format!("arn:aws:sts::111122223333:federated-user/{name}");
        assert_eq!(person(&federated("ada")), person(&federated("bob")));
        let root = "arn:aws:iam::111122223333:root";
        assert_eq!(person(root), person(root));
        assert_ne!(person(root), person("arn:aws:iam::444455556666:root"));
        assert_ne!(person("somebody"), person(""));
    }
}
