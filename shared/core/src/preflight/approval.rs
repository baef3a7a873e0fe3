//! Approvals as the stack demands them, and what it says of whoever is to give them.

use super::Found;
use crate::document::Findings;
use crate::ids::EcsServiceName;
use crate::people::{Approvers, people};
use crate::plan::{OnTimeout, Plan};

/// Where a request writes them.
const PATH: &str = "$.strategy";

/// What the stack's policy adds to the approvals of a plan; and what may not be, by it.
pub(super) fn check(found: &Found, plan: &mut Plan, findings: &mut Findings) {
    let policy = &found.stack.approvals;
    plan.naming = policy.naming.clone();
    let slots = [&plan.stable.service, &plan.canary.service];
    let covered = slots.into_iter().find(|service| policy.is_for(&plan.cluster, service)).cloned();
    match (covered, &found.way_back) {
        // The way back never waits for anybody; what nobody has served before is none.
        (Some(_), Some(way_back)) if way_back.skips_validation => findings.error(
            "$.release.skipValidation",
            "the stack demands an approval here (its parameter `ApprovalPolicy`), and this would bring whatever the \
             version's tags stand for now",
            "go back without it, or deploy the version with an approval",
        ),
        (Some(service), None) => demanded(found, &service, plan, findings),
        (Some(_) | None, _) => {}
    }
    for stage in &plan.stages {
        let Some(approval) = &stage.approval else { continue };
        let needed = approval.count;
        for list in &approval.approvers {
            for entry in list.iter() {
                if let Err(why) = Approvers::fits(entry, &plan.naming) {
                    findings.error(
                        PATH,
                        format!("the approver `{entry}` {why}"),
                        "name the role; or, if its trust policy demands the names of people by \
                         `sts:RoleSessionName`, name it in `sessionsNamePeople` of the stack's `ApprovalPolicy`",
                    );
                }
            }
            let several = needed > 1 || approval.not_by_starter;
            let most = list.at_most(&plan.naming).and_then(|most| u32::try_from(most).ok());
            if let Some(most) = most.filter(|most| several && *most < needed) {
                findings.error(
                    PATH,
                    format!("{} must approve, and `{list}` can name {most} at most", people(needed)),
                    "name more users; sessions of a role count if the stack's `ApprovalPolicy` has the role in \
                     `sessionsNamePeople`",
                );
            }
        }
    }
}

/// What the policy demands of the approvals of a service's plan.
fn demanded(found: &Found, service: &EcsServiceName, plan: &mut Plan, findings: &mut Findings) {
    let policy = &found.stack.approvals;
    let name = format!("{}/{service}", plan.cluster.short());
    let before = plan.stages.iter().take_while(|stage| stage.approval.is_none());
    let unasked = before.map(|stage| stage.weight).max();
    let most = policy.without_approval_up_to.saturating_mul(10);
    if let Some(weight) = unasked.filter(|weight| weight.permille() > most) {
        let up_to = match policy.without_approval_up_to {
            0 => "before anybody's requests".to_owned(),
            percent => format!("above {percent} %"),
        };
        findings.error(
            PATH,
            format!(
                "the stack demands an approval of `{name}` {up_to} (its parameter `ApprovalPolicy`), and {weight} would \
                 go to the version before anybody is asked"
            ),
            "give an earlier stage `approval: {}`, by `canary`, `linear` or `blueGreen`",
        );
    }
    for approval in plan.stages.iter_mut().filter_map(|stage| stage.approval.as_mut()) {
        if approval.on_timeout == OnTimeout::Continue {
            findings.error(
                PATH,
                "`onTimeout: continue` approves without anybody, and the stack demands an approval",
                "leave it out: then everything returns to stable",
            );
        }
        if approval.anyone_with_link {
            findings.error(
                PATH,
                "`anyoneWithLink` lets somebody answer whom nobody knows, and the stack demands an approval",
                "leave it out",
            );
        }
        approval.count = approval.count.max(policy.count.unwrap_or_default());
        approval.not_by_starter |= policy.not_by_starter;
        if !policy.approvers.is_empty() {
            approval.approvers.push(policy.approvers.clone());
        }
    }
}
