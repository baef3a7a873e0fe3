//! Approvals as the stack demands them, and what it says of whoever is to give them.

use super::Found;
use crate::document::Findings;
use crate::ids::EcsServiceName;
use crate::people::{Approvers, Person, people};
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
            let most =
                list.at_most(&plan.naming, |_, _| true).and_then(|most| u32::try_from(most).ok());
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

/// Whether enough people may approve, now that it is known who starts it: otherwise the question would be asked, nobody
/// could answer it, and everything would return.
pub fn enough_besides_the_starter(plan: &Plan) -> Findings {
    let mut findings = Findings::default();
    let approvals = plan.stages.iter().filter_map(|stage| stage.approval.as_ref());
    let asking = approvals.filter(|approval| match approval.on_timeout {
        OnTimeout::Rollback => approval.not_by_starter,
        // Whoever may only refuse is asked all the same.
        OnTimeout::Continue => false,
    });
    let counts = |named_by, person: &Person| !plan.may_have_started(named_by, person);
    for approval in asking {
        let needed = plan.people_needed(approval);
        for list in &approval.approvers {
            let most = list.at_most(&plan.naming, counts);
            let Some(most) = most.and_then(|most| u32::try_from(most).ok()) else { continue };
            if most < needed {
                let started = plan.started_by_whom();
                let by = started.map_or_else(
                    || "nobody knows who starts it".to_owned(),
                    |by| format!("it is started by {by}"),
                );
                findings.error(
                    PATH,
                    format!(
                        "{} must approve who cannot be whoever starts it; {by}, and of `{list}` {} can",
                        people(needed),
                        if most == 0 { "nobody".to_owned() } else { people(most) }
                    ),
                    "name more users, have somebody else start it, or start it by `glidepath start`, which proves who \
                     it is",
                );
            }
        }
    }
    findings
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::deployment;
    use crate::plan::Approval;
    use crate::time::Span;

    const ACCOUNT: &str = "arn:aws:iam::111122223333";

    fn unfit(approvers: &[&str], starter: Option<&str>, said: Option<&str>) -> Option<String> {
        let mut plan = deployment().plan;
        plan.naming.machines = vec!["pipeline".to_owned()];
        plan.starter = starter.map(str::to_owned);
        plan.started_by = said.map(str::to_owned);
        let list =
            approvers.iter().map(|entry| (*entry).replace("user/", &format!("{ACCOUNT}:user/")));
        plan.stages[0].approval = Some(Approval {
            not_by_starter: true,
            approvers: vec![Approvers::new(list.collect())],
            ..Approval::anybody(Span::from_secs(60), OnTimeout::Rollback)
        });
        let findings = enough_besides_the_starter(&plan);
        findings.has_errors().then(|| findings.to_string())
    }

    #[test]
    fn a_question_that_nobody_could_answer_is_not_asked() {
        let ada = format!("{ACCOUNT}:user/ada");
        let machine = "arn:aws:sts::111122223333:assumed-role/pipeline/7";
        let anybody = "arn:aws:sts::111122223333:assumed-role/deploy/ada";
        for (approvers, starter, said, why) in [
            // Only who starts it may.
            (&["user/ada"][..], Some(ada.as_str()), None, Some("1 person must approve")),
            (&["user/ada", "user/bob"], Some(&ada), None, None),
            (&["user/ada"], Some(machine), None, None),
            // The pipeline says for whom.
            (&["user/ada"], Some(machine), Some("ada"), Some("nobody can")),
            (&["user/ada"], Some(machine), Some("bob"), None),
            // Nobody knows who starts it, so two must.
            (&["user/bob"], Some(anybody), None, Some("2 people must approve")),
            (&["user/bob"], None, None, Some("nobody knows who starts it, and of")),
            (&["user/bob", "user/carol"], None, None, None),
            // Whom Slack names cannot be told from whom AWS names.
            (&["slack:T0/U1", "slack:T0/S1"], Some(&ada), None, Some("nobody can")),
            (&["slack:T0/U1", "user/bob"], Some(&ada), None, None),
            (&["oidc-group:release"], None, None, None),
        ] {
            let unfit = unfit(approvers, starter, said);
            match why {
                Some(why) => {
                    assert!(unfit.as_ref().is_some_and(|unfit| unfit.contains(why)), "{unfit:?}");
                }
                None => assert_eq!(unfit, None, "{approvers:?}"),
            }
        }
    }
}
