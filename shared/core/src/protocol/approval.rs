//! How many people have approved a stage, who else may, and what is still lacking.

use crate::people::{LINK_HOLDER, NamedBy, Person, people};
use crate::plan::{Approval, Plan, StageIndex};
use crate::record::{Decision, Deployment, Step};
use crate::time::Timestamp;

/// Where nobody knows who has started a deployment, one of two people is somebody else.
const FOUR_EYES: u32 = 2;

impl Plan {
    /// How many people must approve.
    pub(crate) fn people_needed(&self, approval: &Approval) -> u32 {
        let starter = self.starter.as_deref().map(|arn| Person::of(arn, &self.naming));
        let known = matches!(starter, Some(Person::Named(_, _) | Person::Machine));
        if approval.not_by_starter && !known {
            approval.count.max(FOUR_EYES)
        } else {
            approval.count
        }
    }

    /// Whether somebody may be who has started it, or is said to have: the same person, one whom another names, or one
    /// of the same bare name.
    pub(crate) fn may_have_started(&self, named_by: Option<NamedBy>, person: &Person) -> bool {
        let starters = [&self.starter, &self.started_by];
        starters.into_iter().flatten().any(|starter| match Person::of(starter, &self.naming) {
            Person::Named(other, _) if named_by.is_some_and(|by| by != other) => true,
            same @ Person::Named(_, _) => same == *person,
            Person::Anybody => {
                matches!(person, Person::Named(_, name) if starter.to_lowercase() == name.to_lowercase())
            }
            Person::Machine => false,
        })
    }
}

impl Deployment {
    /// How many people must approve.
    pub fn people_needed(&self, approval: &Approval) -> u32 {
        self.plan.people_needed(approval)
    }

    /// Before which instant the weight of the stage that is asked for does not move, whoever approves now, or has;
    /// `None`: it moves at once, nobody is asked, or nobody knows when it
    /// is thawed, or a window opens again.
    pub fn goes_on_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Step::Approving { since, .. } = &self.progress.step else { return None };
        let stage = self.plan.stage(self.progress.stage)?;
        let wait = stage.approval.as_ref()?.not_before;
        let earliest = wait.map(|wait| *since + wait);
        if self.plan.windows.is_none() && self.frozen(now).is_none() {
            return earliest;
        }
        self.may_move_at(earliest.map_or(now, |earliest| earliest.max(now)))
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
        let needed = self.people_needed(approval);
        let given: Vec<_> =
            self.approvals(stage).map(|decision| self.person(&decision.by)).collect();
        let given =
            if self.counts_people(approval) { most_for_certain(&given) } else { given.len() };
        needed.saturating_sub(u32::try_from(given).unwrap_or(u32::MAX))
    }

    /// Whether it matters who somebody is who approves.
    fn counts_people(&self, approval: &Approval) -> bool {
        approval.not_by_starter || self.people_needed(approval) > 1
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

    /// Why an approval does not count; `None`: it does.
    pub(super) fn cannot_approve(&self, stage: StageIndex, decision: &Decision) -> Option<String> {
        let approval = self.plan.stage(stage).and_then(|stage| stage.approval.as_ref())?;
        let Decision { by, groups, .. } = decision;
        if let Some(list) = approval.approvers.iter().find(|list| !list.names(by, groups)) {
            return Some(format!("{by} may not approve stage {stage}: {list} may"));
        }
        let person = self.person(by);
        // IAM has let everybody decide who comes by AWS, and nobody who comes another way.
        if let Person::Named(NamedBy::Slack | NamedBy::Issuer, _) = person
            && approval.approvers.is_empty()
        {
            return Some(format!(
                "{by} may not approve stage {stage}: nobody but those whom IAM lets decide may, unless `approvers` names \
                 them"
            ));
        }
        if !self.counts_people(approval) {
            return None;
        }
        let Person::Named(named_by, name) = &person else {
            return Some(format!(
                "{by} may be anybody who can have it, and stage {stage} asks several people, or somebody else than \
                 whoever has started it: sessions of a role count there if the stack's `ApprovalPolicy` has it in \
                 `sessionsNamePeople`"
            ));
        };
        let starters = [&self.plan.starter, &self.plan.started_by];
        for starter in starters.into_iter().flatten().filter(|_| approval.not_by_starter) {
            match self.person(starter) {
                same if same == person => {
                    return Some(format!(
                        "{by} counts as {starter}, who has started it: somebody else must approve stage {stage}"
                    ));
                }
                Person::Named(other, _) if other != *named_by => {
                    return Some(format!(
                        "nobody can tell {by} from {starter}, who has started it: somebody else must approve stage \
                         {stage}, with the command line, by a name of AWS's"
                    ));
                }
                // Said by whoever starts it, who may say a name instead of an ARN.
                Person::Anybody if starter.to_lowercase() == name.to_lowercase() => {
                    return Some(format!(
                        "{by} has the name of {starter}, who is said to have started it: somebody else must approve \
                         stage {stage}"
                    ));
                }
                Person::Named(_, _) | Person::Machine | Person::Anybody => {}
            }
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

/// How many people these are at least: those whom one and the same names are different ones, and each may be one of
/// those whom another names.
fn most_for_certain(people: &[Person]) -> usize {
    let named = |by: NamedBy| {
        let of_one = people
            .iter()
            .filter(|person| matches!(person, Person::Named(named, _) if *named == by));
        of_one.count()
    };
    [NamedBy::Aws, NamedBy::Slack, NamedBy::Issuer].map(named).into_iter().max().unwrap_or_default()
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
        member(deployment, by, &[], approved)
    }

    fn member(
        deployment: &Deployment,
        by: &str,
        groups: &[&str],
        approved: bool,
    ) -> Result<Deployment, String> {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let decision = Decision { approved, by: by.to_owned(), at: NOW, reason: None, groups };
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
        for bob in [user("bob"), "bob".to_owned(), "Bob".to_owned()] {
            said.plan.started_by = Some(bob);
            assert!(says(&said, &user("bob"), true).is_err());
            assert!(is_answered(&says(&said, &user("carol"), true).unwrap()));
        }
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
    fn who_comes_another_way_than_by_aws_approves_only_where_a_list_names_them() {
        let asked = asking(of(1, false));
        for by in ["slack:T0/U1", "oidc:ada"] {
            let told = says(&asked, by, true).unwrap_err();
            assert!(told.contains("unless `approvers` names them"), "{told}");
            assert!(is_answered(&says(&asked, by, false).unwrap()));
        }
        let mut approval = of(1, false);
        let list = ["slack:T0/S1", "oidc-group:release"].map(str::to_owned).to_vec();
        approval.approvers = vec![Approvers::new(list)];
        let asked = asking(approval);
        assert!(says(&asked, "slack:T0/U1", true).is_err());
        assert!(is_answered(&member(&asked, "slack:T0/U1", &["slack:T0/S1"], true).unwrap()));
        assert!(is_answered(&member(&asked, "oidc:ada", &["oidc-group:release"], true).unwrap()));
    }

    #[test]
    fn who_may_be_the_same_person_by_another_name_counts_once() {
        let names = ["slack:T0/U1", "slack:T0/U2", "oidc:ada"].map(str::to_owned);
        let list = names.into_iter().chain([user("*")]).collect();
        let mut approval = of(2, false);
        approval.approvers = vec![Approvers::new(list)];
        let mut asked = asking(approval);
        let mixed = says(
            &says(&says(&asked, &user("bob"), true).unwrap(), "slack:T0/U1", true).unwrap(),
            "oidc:ada",
            true,
        );
        let mixed = mixed.unwrap();
        assert!(!is_answered(&mixed));
        assert_eq!(mixed.approvals_lacking(STAGE), 1);
        assert!(is_answered(&says(&mixed, "slack:T0/U2", true).unwrap()));
        assert!(is_answered(&says(&mixed, &user("carol"), true).unwrap()));
        // Whoever has started it may have a name of Slack's, too.
        let of_stage = asked.plan.stages[0].approval.as_mut().unwrap();
        (of_stage.count, of_stage.not_by_starter) = (1, true);
        let told = says(&asked, "slack:T0/U1", true).unwrap_err();
        assert!(told.contains("nobody can tell slack:T0/U1 from "), "{told}");
        asked.plan.naming.machines = vec!["ci".to_owned()];
        asked.plan.starter = Some(session("ci", "run-7"));
        assert!(is_answered(&says(&asked, "slack:T0/U1", true).unwrap()));
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
