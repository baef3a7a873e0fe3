//! What is told on the way back.

use super::{Lines, Told, version, why};
use crate::failure::Failure;
use crate::record::{Outcome, Phase};
use crate::rollback::{AfterHold, Forced, WeakStable};
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

impl Told<'_> {
    pub(super) fn traffic_restored(
        &self,
        failure: &Failure,
        overwritten: Option<&str>,
        forced: Option<&Forced>,
    ) -> (String, Lines) {
        let stable = &self.deployment.plan.stable;
        let mut lines = Lines::from(vec![
            why(failure),
            format!("The load balancer has confirmed it: {} gets no request.", self.new_version()),
        ]);
        lines.extend(forced.map(|forced| match forced {
            Forced::Operator(person) => format!(
                "{person} forced it: whether {} is healthy was not asked. Look at it now.",
                version(stable)
            ),
            Forced::Plan => format!(
                "{} had not recovered within {}, so it got everything as planned. Look at it now.",
                version(stable),
                self.deployment.plan.rollback.hold_for
            ),
        }));
        lines.extend(
            overwritten.map(|found| format!("Somebody else's change was overwritten: {found}")),
        );
        if forced.is_none() {
            lines.push("Nothing to do for the traffic.".to_owned());
        }
        if self.deployment.plan.unlisted.is_empty() {
            lines.push("The new version's tasks stop next.".to_owned());
        }
        lines.push(self.to_look());
        (format!("all traffic is back on {}", version(stable)), lines)
    }

    pub(super) fn validated(
        &self,
        good: &[String],
        bad: &[String],
        unknown: &[String],
    ) -> (String, Lines) {
        let plan = &self.deployment.plan;
        let (version, service) = match self.deployment.phase {
            Phase::Closed(Outcome::Succeeded) => {
                (plan.task_definition.short(), &plan.canary.service)
            }
            Phase::Closed(Outcome::RolledBack | Outcome::Abandoned)
            | Phase::Open
            | Phase::RollingBack
            | Phase::Held
            | Phase::Committed => (version(&plan.stable), &plan.stable.service),
        };
        let all = good.len() + bad.len() + unknown.len();
        let mut lines = Lines::default();
        lines.spare(bad.iter().map(|text| format!("Not as it must be: {text}")));
        lines.spare(unknown.iter().map(|text| format!("Not known: {text}")));
        lines.spare(good.iter().map(|text| format!("Good: {text}")));
        if !bad.is_empty() {
            lines.push(format!(
                "It serves all requests, and nothing changes that by itself. Look at `{service}` now."
            ));
        }
        lines.push(self.to_look());
        (format!("back on {version}: {} of {all} checks good", good.len()), lines)
    }

    pub(super) fn rollback_held(&self) -> (String, Lines) {
        let plan = &self.deployment.plan;
        let service = &plan.stable.service;
        (
            format!("the rollback waits, because {} has no healthy target", version(&plan.stable)),
            vec![
                "The weights stay as they are: there is nothing to send the traffic to.".to_owned(),
                format!("{} keeps its tasks and its share.", self.new_version()),
                format!("Bring the tasks of `{service}` back. {}", self.goes_on()),
                self.without_recovery(self.notice.at),
                self.to_see_stable(),
                self.to_force(),
                self.to_look(),
            ]
            .into(),
        )
    }

    pub(super) fn stepping_back(
        &self,
        healthy: u32,
        needed: u32,
        keeps: Weight,
    ) -> (String, Lines) {
        let stable = &self.deployment.plan.stable;
        let old = version(stable);
        (
            format!("only {} of the requests can go back to {old} yet", keeps.rest()),
            vec![
                format!("Why: {healthy} of {needed} targets of `{}` are healthy.", stable.service),
                format!("{} keeps its tasks and at most {keeps}.", self.new_version()),
                "Each target that becomes healthy takes its share, by itself.".to_owned(),
                self.without_recovery(self.notice.at),
                self.to_see_stable(),
                self.to_force(),
                self.to_look(),
            ]
            .into(),
        )
    }

    pub(super) fn rollback_overdue(
        &self,
        healthy: u32,
        needed: u32,
        waited: Span,
    ) -> (String, Lines) {
        let stable = &self.deployment.plan.stable;
        let old = version(stable);
        (
            format!("the rollback has waited {waited} for {old} to be healthy"),
            vec![
                format!("{healthy} of {needed} targets of `{}` are healthy.", stable.service),
                format!("{} still has the rest of the traffic.", self.new_version()),
                format!("Bring the tasks of `{}` back. {}", stable.service, self.goes_on()),
                self.to_see_stable(),
                self.to_force(),
                self.to_look(),
            ]
            .into(),
        )
    }

    /// How a rollback ends that waits for stable.
    fn goes_on(&self) -> String {
        let plan = &self.deployment.plan;
        let needed = self.deployment.needed();
        match plan.rollback.weak_stable {
            WeakStable::StepBack => format!(
                "The rollback goes on by itself, in proportion, until {needed} are healthy."
            ),
            WeakStable::AtOnce => {
                "The rollback goes on by itself as soon as one is healthy.".to_owned()
            }
        }
    }

    /// What comes if stable does not recover.
    fn without_recovery(&self, since: Timestamp) -> String {
        let weak = self.deployment.progress.weak.as_ref();
        let until = weak.map_or(since, |weak| weak.since) + self.deployment.plan.rollback.hold_for;
        match self.deployment.plan.rollback.then {
            AfterHold::Hold => format!("If it has not recovered by {until}, you are told again."),
            AfterHold::Force => {
                format!("If it has not recovered by {until}, it gets everything all the same.")
            }
        }
    }

    fn to_see_stable(&self) -> String {
        let plan = &self.deployment.plan;
        format!(
            "To see what is wrong: `aws ecs describe-services --cluster {} --services {}`",
            plan.cluster, plan.stable.service
        )
    }

    fn to_force(&self) -> String {
        format!(
            "To send everything to {} all the same: `glidepath rollback {} --force`",
            version(&self.deployment.plan.stable),
            self.deployment.id
        )
    }
}
