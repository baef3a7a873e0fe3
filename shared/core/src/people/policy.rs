//! What a stack demands of approvals, whatever a request says.

use serde::Deserialize;

use super::approvers::Approvers;
use super::identity::Naming;
use crate::ids::{ClusterName, EcsServiceName};
use crate::pattern::matches;

/// Most people that a stage may wait for.
pub const MOST_PEOPLE: u32 = 10;

/// The stack's parameter `ApprovalPolicy`. It adds to what requests ask for, and takes nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// Patterns of `CLUSTER/SERVICE`, by the names of ECS services: their deployments ask somebody. A request
    /// calls its service as it likes, and names these as they are.
    pub required_for: Vec<String>,
    /// Share of the requests, in percent, that a version may have there before somebody is asked.
    pub without_approval_up_to: u16,
    /// How many people approve there, at least.
    pub count: Option<u32>,
    /// Who may approve there.
    pub approvers: Approvers,
    /// Whether somebody else than the starter approves there.
    pub not_by_starter: bool,
    /// For all approvals of the stack.
    pub naming: Naming,
}

/// As it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Written {
    required_for: Vec<String>,
    without_approval_up_to: u16,
    count: Option<u32>,
    approvers: Approvers,
    not_by_starter: bool,
    sessions_name_people: Vec<String>,
    machines: Vec<String>,
}

impl ApprovalPolicy {
    /// Reads the parameter; or what is wrong with it, for whoever deploys the stack.
    pub fn parse(json: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let Written { sessions_name_people, machines, .. } = written;
        let naming = Naming { sessions_name_people, machines };
        let Written {
            required_for, without_approval_up_to, count, approvers, not_by_starter, ..
        } = written;
        let demands = count.is_some() || not_by_starter || !approvers.is_empty();
        if required_for.is_empty() && (demands || without_approval_up_to > 0) {
            return Err(
                "it demands something, and `requiredFor` names no service: `[\"*\"]` is all"
                    .to_owned(),
            );
        }
        if count.is_some_and(|count| !(1..=MOST_PEOPLE).contains(&count)) {
            return Err(format!("`count` is not from 1 to {MOST_PEOPLE}"));
        }
        if without_approval_up_to >= 100 {
            return Err("`withoutApprovalUpTo` is not from 0 to 99 percent".to_owned());
        }
        for entry in approvers.iter() {
            Approvers::fits(entry, &naming)
                .map_err(|why| format!("the approver `{entry}` {why}"))?;
        }
        let policy =
            Self { required_for, without_approval_up_to, count, approvers, not_by_starter, naming };
        if let Some(most) = policy.too_few() {
            return Err(format!(
                "its approvers name {most} people at most, and {} must approve",
                policy.least()
            ));
        }
        Ok(policy)
    }

    fn least(&self) -> usize {
        usize::try_from(self.count.unwrap_or(1)).unwrap_or(usize::MAX)
    }

    /// How many people its list can name, if they are too few.
    fn too_few(&self) -> Option<usize> {
        let several = self.least() > 1 || self.not_by_starter;
        let most = self
            .approvers
            .at_most(&self.naming, |_, _| true)
            .filter(|_| !self.approvers.is_empty());
        most.filter(|most| several && *most < self.least())
    }

    /// Whether deployments of this ECS service ask somebody.
    pub fn is_for(&self, cluster: &ClusterName, service: &EcsServiceName) -> bool {
        let name = format!("{}/{service}", cluster.short());
        self.required_for.iter().any(|pattern| matches(pattern, &name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_would_demand_nothing_or_the_impossible_is_refused() {
        assert_eq!(ApprovalPolicy::parse("{}"), Ok(ApprovalPolicy::default()));
        let role = r#""arn:aws:iam::111122223333:role/release-managers""#;
        let whole = format!(
            r#"{{"requiredFor": ["production/*"], "count": 2, "approvers": [{role}], "notByStarter": true,
                 "withoutApprovalUpTo": 5, "sessionsNamePeople": ["release-*"], "machines": ["ci"]}}"#
        );
        let policy = ApprovalPolicy::parse(&whole).unwrap();
        assert!(policy.is_for(&ClusterName::new("production"), &EcsServiceName::new("shop-blue")));
        let arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/staging";
        assert!(!policy.is_for(&ClusterName::new(arn), &EcsServiceName::new("shop-blue")));
        for (wrong, why) in [
            ("", "EOF"),
            (r#"{"count": 2}"#, "names no service"),
            (r#"{"requiredFor": ["*"], "count": 0}"#, "not from 1 to 10"),
            (r#"{"requiredFor": ["*"], "count": "2"}"#, "invalid type"),
            (r#"{"requiredFor": ["*"], "approvers": ["ada"]}"#, "is no ARN"),
            (r#"{"requiredFor": ["*"], "withoutApprovalUpTo": 100}"#, "from 0 to 99"),
            (r#"{"required": ["*"]}"#, "unknown field `required`"),
            (
                &format!(r#"{{"requiredFor": ["*"], "count": 2, "approvers": [{role}]}}"#),
                "name 0 people at most, and 2 must approve",
            ),
        ] {
            let told = ApprovalPolicy::parse(wrong).unwrap_err();
            assert!(told.contains(why), "{wrong}: {told}");
        }
    }
}
