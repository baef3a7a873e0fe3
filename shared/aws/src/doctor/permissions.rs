//! What a role may do, by IAM's own simulation.

use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType,
};
use glidepath_core::doctor::{Carried, Decision, Need};
use glidepath_engine::ports::PortResult;

use super::Instruments;
use crate::error::port_error;

const OPERATION: &str = "iam:SimulatePrincipalPolicy";

impl Instruments {
    /// How each action on each resource would be decided for a role.
    pub async fn simulate(&self, role: &str, need: &Need) -> PortResult<Vec<Decision>> {
        let actions: Vec<String> = need.actions.iter().map(|action| (*action).to_owned()).collect();
        let context = need.context.iter().map(|(key, value)| {
            let (kind, values) = match value {
                Carried::Text(text) => (ContextKeyTypeEnum::String, vec![text.clone()]),
                Carried::List(list) => (ContextKeyTypeEnum::StringList, list.clone()),
            };
            ContextEntry::builder()
                .context_key_name(*key)
                .context_key_type(kind)
                .set_context_key_values(Some(values))
                .build()
        });
        let context: Vec<_> = context.collect();
        let mut decisions = Vec::new();
        let mut following = None;
        loop {
            let call = self
                .identities
                .simulate_principal_policy()
                .policy_source_arn(role)
                .set_action_names(Some(actions.clone()))
                .set_resource_arns(Some(need.resources.clone()))
                .set_context_entries(Some(context.clone()).filter(|context| !context.is_empty()))
                .set_marker(following);
            let answer = call.send().await.map_err(|error| port_error(OPERATION, error))?;
            decisions.extend(answer.evaluation_results().iter().flat_map(decided));
            following = answer.marker.filter(|_| answer.is_truncated);
            if following.is_none() {
                return Ok(decisions);
            }
        }
    }
}

/// By resource where IAM tells them apart, else as a whole.
fn decided(result: &EvaluationResult) -> Vec<Decision> {
    let because = because(result);
    let decision = |resource: &str, decision: &PolicyEvaluationDecisionType| Decision {
        action: result.eval_action_name().to_owned(),
        resource: resource.to_owned(),
        allowed: *decision == PolicyEvaluationDecisionType::Allowed,
        because: because.clone(),
    };
    let each = result.resource_specific_results();
    if each.is_empty() {
        let resource = result.eval_resource_name().unwrap_or("*");
        return vec![decision(resource, result.eval_decision())];
    }
    each.iter()
        .map(|each| decision(each.eval_resource_name(), each.eval_resource_decision()))
        .collect()
}

fn because(result: &EvaluationResult) -> Option<String> {
    let organizations = result.organizations_decision_detail();
    if organizations.is_some_and(|detail| !detail.allowed_by_organizations()) {
        return Some("a policy of the organization".to_owned());
    }
    let boundary = result.permissions_boundary_decision_detail();
    if boundary.is_some_and(|detail| !detail.allowed_by_permissions_boundary()) {
        return Some("the role's permissions boundary".to_owned());
    }
    let explicit = *result.eval_decision() == PolicyEvaluationDecisionType::ExplicitDeny;
    explicit.then(|| "an explicit Deny".to_owned())
}

#[cfg(test)]
mod tests {
    use glidepath_core::doctor::Need;

    use super::*;
    use crate::doctor::Instruments;
    use crate::replay::{answering, xml};
    use crate::stack::Stack;

    fn answer(results: &str) -> String {
        format!(
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false\
             </IsTruncated><EvaluationResults>{results}</EvaluationResults>\
             </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        )
    }

    async fn simulated(results: &str) -> Vec<Decision> {
        let instruments =
            Instruments::new(&answering(vec![xml(&answer(results))]), Stack::default());
        let (resources, actions) = (vec!["arn:a".to_owned()], vec!["ecs:UpdateService"]);
        let need = Need { actions, resources, context: vec![] };
        instruments.simulate("arn:role", &need).await.unwrap()
    }

    #[tokio::test]
    async fn decisions_are_read_in_either_form_with_what_speaks_against_them() {
        let whole = simulated(
            "<member><EvalActionName>ecs:UpdateService</EvalActionName>\
             <EvalResourceName>arn:a</EvalResourceName><EvalDecision>allowed</EvalDecision></member>",
        )
        .await;
        assert!(matches!(&whole[..], [Decision { allowed: true, because: None, .. }]), "{whole:?}");
        let each = simulated(
            "<member><EvalActionName>ecs:UpdateService</EvalActionName>\
             <EvalResourceName>arn:a</EvalResourceName><EvalDecision>implicitDeny</EvalDecision>\
             <OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>\
             </OrganizationsDecisionDetail><ResourceSpecificResults>\
             <member><EvalResourceName>arn:a</EvalResourceName>\
             <EvalResourceDecision>implicitDeny</EvalResourceDecision></member>\
             <member><EvalResourceName>arn:b</EvalResourceName>\
             <EvalResourceDecision>allowed</EvalResourceDecision></member>\
             </ResourceSpecificResults></member>",
        )
        .await;
        let allowed: Vec<_> = each.iter().map(|one| (one.resource.as_str(), one.allowed)).collect();
        assert_eq!(allowed, [("arn:a", false), ("arn:b", true)]);
        assert_eq!(each[0].because.as_deref(), Some("a policy of the organization"));
    }
}
