//! Approvals as the stack demands them, and what it says of whoever is to give them.

use super::Found;
use crate::document::Findings;
use crate::people::{Approvers, UnfitApprover};
use crate::plan::{OnTimeout, Plan};

/// Where a request writes them.
const PATH: &str = "$.strategy";

/// What the stack's policy adds to the approvals of a plan; and what may not be, by it.
pub(super) fn check(found: &Found, plan: &mut Plan, findings: &mut Findings) {
    let policy = &found.stack.approvals;
    plan.sessions_name_people.clone_from(&policy.sessions_name_people);
    // The way back never waits for anybody.
    let slots = [&plan.stable.service, &plan.canary.service];
    let named = slots.into_iter().find(|service| policy.is_for(&plan.cluster, service));
    let demanded = named.filter(|_| found.way_back.is_none()).cloned();
    if let Some(service) = demanded.as_ref()
        && plan.stages.iter().all(|stage| stage.approval.is_none())
    {
        findings.error(
            PATH,
            format!(
                "the stack demands an approval for `{}/{service}` (its parameter `ApprovalPolicy`)",
                plan.cluster.short()
            ),
            "give a stage of the strategy `approval: {}`",
        );
    }
    for approval in plan.stages.iter_mut().filter_map(|stage| stage.approval.as_mut()) {
        for entry in approval.approvers.iter().flat_map(Approvers::iter) {
            if let Err(why @ UnfitApprover::AnySession) =
                Approvers::fits(entry, &policy.sessions_name_people)
            {
                findings.error(
                    PATH,
                    format!("the approver `{entry}` {why}"),
                    "name the role; or, if its trust policy demands the names of people by \
                     `sts:RoleSessionName`, name it in `sessionsNamePeople` of the stack's `ApprovalPolicy`",
                );
            }
        }
        if demanded.is_none() {
            continue;
        }
        if approval.on_timeout == OnTimeout::Continue {
            findings.error(
                PATH,
                "`onTimeout: continue` approves without anybody, and the stack demands an approval",
                "leave it out: then everything returns to stable",
            );
        }
        approval.count = approval.count.max(policy.count.unwrap_or_default());
        approval.not_by_starter |= policy.not_by_starter;
        if !policy.approvers.is_empty() {
            approval.approvers.push(policy.approvers.clone());
        }
    }
}
