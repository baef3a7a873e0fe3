//! How many people have approved a stage, who else may, and what is still lacking.

use crate::people::{LINK_HOLDER, Person, people};
use crate::plan::{Approval, StageIndex};
use crate::record::{Decision, Deployment, Step};
use crate::time::Timestamp;

/// Where nobody knows who has started a deployment, one of two people is somebody else.
const FOUR_EYES: u32 = 2;

impl Deployment {
    /// How many people must approve.
    pub fn people_needed(&self, approval: &Approval) -> u32 {
        let starter = self.plan.starter.as_deref().map(|arn| self.person(arn));
        let known = matches!(starter, Some(Person::Named(_) | Person::Machine));
        if approval.not_by_starter && !known {
            approval.count.max(FOUR_EYES)
        } else {
            approval.count
        }
    }

    /// Before which instant the weight of the stage that is asked for does not move, whoever approves; `None`: it
    /// moves at once, or nobody is asked.
    pub fn goes_on_at(&self) -> Option<Timestamp> {
        let stage = self.plan.stage(self.progress.stage)?;
        let wait = stage.approval.as_ref()?.not_before?;
        match self.progress.step {
            Step::Approving { since, .. } => Some(since + wait),
            Step::Settling { .. } | Step::Baking { .. } => None,
        }
    }

    fn person(&self, arn: &str) -> Person {
        Person::of(arn, &self.plan.naming)
    }

    /// Who has approved this stage so far, in their order.
    pub fn approvals(&self, stage: StageIndex) -> impl Iterator<Item = &Decision> {
        let decisions = self.progress.decisions.iter();
        let of_stage = decisions.filter(move |(decided, _)| *decided == stage);
        of_stage.map(|(_, decision)| decision).filter(|decision| decision.approved)
    }

    /// How many more people must approve this stage.
    pub fn approvals_lacking(&self, stage: StageIndex) -> u32 {
        let approval = self.plan.stage(stage).and_then(|stage| stage.approval.as_ref());
        let Some(approval) = approval else { return 0 };
        let given = u32::try_from(self.approvals(stage).count()).unwrap_or(u32::MAX);
        self.people_needed(approval).saturating_sub(given)
    }

    /// Whether whoever has the link to the question may answer it: the plan says so, and the stack demands nothing of
    /// whoever approves.
    pub fn is_anyones_with_link(&self, stage: StageIndex) -> bool {
        let approval = self.plan.stage(stage).and_then(|stage| stage.approval.as_ref());
        approval.is_some_and(|approval| approval.anyone_with_link && !approval.asks_for_somebody())
    }

    /// Why the answer of whoever has no name does not count; `None`: it does, or they have one.
    pub(super) fn is_nobodys(&self, stage: StageIndex, by: &str) -> Option<String> {
        (by == LINK_HOLDER && !self.is_anyones_with_link(stage)).then(|| {
            format!("a link names nobody, and stage {stage} asks for somebody: answer it by the command line")
        })
    }

    /// Why the approval of whoever has this ARN does not count; `None`: it does.
    pub(super) fn cannot_approve(&self, stage: StageIndex, by: &str) -> Option<String> {
        let approval = self.plan.stage(stage).and_then(|stage| stage.approval.as_ref())?;
        if let Some(list) = approval.approvers.iter().find(|list| !list.names(by)) {
            return Some(format!("{by} may not approve stage {stage}: {list} may"));
        }
        if self.people_needed(approval) == 1 && !approval.not_by_starter {
            return None;
        }
        let person = self.person(by);
        if !matches!(person, Person::Named(_)) {
            return Some(format!(
                "{by} may be anybody who can have it, and stage {stage} asks several people, or somebody else than \
                 whoever has started it: sessions of a role count there if the stack's `ApprovalPolicy` has it in \
                 `sessionsNamePeople`"
            ));
        }
        let starters = [&self.plan.starter, &self.plan.started_by];
        let mut starters = starters.into_iter().flatten();
        if approval.not_by_starter
            && let Some(starter) = starters.find(|starter| self.person(starter) == person)
        {
            return Some(format!(
                "{by} counts as {starter}, who has started it: somebody else must approve stage {stage}"
            ));
        }
        let mut given = self.approvals(stage);
        let earlier = given.find(|decision| self.person(&decision.by) == person)?;
        let (who, at) = (&earlier.by, earlier.at);
        let same = if who == by { String::new() } else { format!(" (as {who})") };
        Some(format!(
            "{by} approved stage {stage} at {at} already{same}: {} more must",
            people(self.approvals_lacking(stage))
        ))
    }
}

impl Approval {
    /// Who must approve, in words; `None`: one person, whoever may decide.
    pub fn in_words(&self, needed: u32) -> Option<String> {
        let mut parts = Vec::new();
        if needed > 1 {
            parts.push(people(needed));
        }
        parts.extend(self.approvers.iter().map(|list| format!("of {list}")));
        if self.not_by_starter {
            parts.push("not whoever has started it".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::people::Approvers;
    use crate::plan::OnTimeout;
    use crate::protocol::approve;
    use crate::time::Span;

    const HOUR: Span = Span::from_secs(3600);
    const STAGE: StageIndex = StageIndex(0);

    fn session(role: &str, name: &str) -> String {
        format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}")
    }

    fn user(name: &str) -> String {
        format!("arn:aws:iam::111122223333:user/{name}")
    }

    fn asking(approval: Approval) -> Deployment {
        let mut deployment = deployment();
        deployment.progress.step =
            Step::Approving { since: NOW, until: NOW + HOUR, decision: None, reminded: false };
        deployment.plan.stages[0].approval = Some(approval);
        deployment.plan.starter = Some(user("ada"));
        deployment
    }

    fn of(count: u32, not_by_starter: bool) -> Approval {
        Approval { count, not_by_starter, ..Approval::anybody(HOUR, OnTimeout::Rollback) }
    }

    fn says(deployment: &Deployment, by: &str, approved: bool) -> Result<Deployment, String> {
        let decision = Decision { approved, by: by.to_owned(), at: NOW, reason: None };
        let decided = approve(deployment, STAGE, decision, NOW);
        decided.map(|(decided, _)| decided).map_err(|refused| refused.to_string())
    }

    fn is_answered(deployment: &Deployment) -> bool {
        matches!(deployment.progress.step, Step::Approving { decision: Some(_), .. })
    }

    #[test]
    fn as_many_people_must_approve_as_the_plan_says_and_each_counts_once() {
        let mut asked = asking(of(2, false));
        asked.plan.naming.sessions_name_people = vec!["engineer".to_owned()];
        let once = says(&asked, &session("engineer", "bob"), true).unwrap();
        assert!(!is_answered(&once));
        assert_eq!(once.approvals_lacking(STAGE), 1);
        let told = says(&once, &user("Bob"), true).unwrap_err();
        assert!(told.contains("already (as ") && told.contains("1 person more must"), "{told}");
        for anybody in [&session("deploy", "carol"), "arn:aws:iam::111122223333:root"] {
            let told = says(&once, anybody, true).unwrap_err();
            assert!(told.contains("may be anybody who can have it"), "{told}");
        }
        let twice = says(&once, &user("carol"), true).unwrap();
        assert!(is_answered(&twice));
        assert_eq!(twice.approvals_lacking(STAGE), 0);
        let late = says(&twice, &user("dave"), true).unwrap_err();
        assert!(late.contains("was approved by arn:aws:iam::111122223333:user/carol"), "{late}");
    }

    #[test]
    fn where_one_is_enough_anybody_is() {
        let asked = asking(of(1, false));
        assert!(is_answered(&says(&asked, &session("deploy", "bob"), true).unwrap()));
    }

    #[test]
    fn one_word_against_it_ends_it_whoever_says_it() {
        let mut approval = of(3, true);
        approval.approvers = vec![Approvers::new(vec![user("nobody")])];
        let asked = asking(approval);
        assert!(is_answered(&says(&asked, &user("ada"), false).unwrap()));
    }

    #[test]
    fn nobody_approves_what_they_have_started() {
        let asked = asking(of(1, true));
        let told = says(&asked, &user("ada"), true).unwrap_err();
        assert!(told.contains("somebody else must approve stage 1"), "{told}");
        let mut trusting = asked.clone();
        trusting.plan.naming.sessions_name_people = vec!["engineer".to_owned()];
        assert!(says(&trusting, &session("engineer", "Ada"), true).is_err());
        assert!(is_answered(&says(&trusting, &session("engineer", "bob"), true).unwrap()));
        // Said to have started it is enough to be kept out of it.
        let mut said = asked;
        said.plan.started_by = Some(user("bob"));
        assert!(says(&said, &user("bob"), true).is_err());
    }

    #[test]
    fn two_must_approve_where_nobody_knows_who_has_started_it() {
        let mut asked = asking(of(1, true));
        asked.plan.naming.machines = vec!["ci".to_owned()];
        for unknown in [None, Some(session("deploy", "ada"))] {
            asked.plan.starter = unknown;
            let once = says(&asked, &user("bob"), true).unwrap();
            assert!(!is_answered(&once));
            assert!(is_answered(&says(&once, &user("carol"), true).unwrap()));
        }
        // A machine is nobody's second pair of eyes, and nobody is it.
        asked.plan.starter = Some(session("ci", "run-7"));
        assert!(is_answered(&says(&asked, &user("bob"), true).unwrap()));
    }

    #[test]
    fn only_whom_every_list_names_may_approve() {
        let mut approval = of(1, false);
        approval.approvers =
            vec![Approvers::new(vec![user("*")]), Approvers::new(vec![user("ada"), user("bob")])];
        let asked = asking(approval);
        let told = says(&asked, &user("carol"), true).unwrap_err();
        assert!(told.contains("user/carol may not approve stage 1: "), "{told}");
        assert!(says(&asked, &session("deploy", "bob"), true).is_err());
        assert!(is_answered(&says(&asked, &user("bob"), true).unwrap()));
    }

    #[test]
    fn what_is_demanded_is_said() {
        let mut approval = of(2, true);
        approval.approvers = vec![Approvers::new(vec![user("*")])];
        assert_eq!(
            approval.in_words(2).as_deref(),
            Some("2 people, of arn:aws:iam::111122223333:user/*, not whoever has started it")
        );
        assert_eq!(of(1, false).in_words(1), None);
    }
}
