//! A notice in words, for a person who may have been woken by it: what happened, why, and what now,
//! with the exact command to type. It never contains a token or the address of a channel.

use std::fmt;

use super::{Event, Notice, Undelivered, Urgency};
use crate::failure::Failure;
use crate::ids::{ChannelName, ExecutionArn};
use crate::plan::{OnInconclusive, OnTimeout, SlotPlan, Stage, StageIndex};
use crate::protocol::{Decision, Deployment, Promotion};
use crate::rollback::{AfterHold, Forced, WeakStable};
use crate::route::RouteRef;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

/// One headline and what else there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Understood alone, on a locked telephone.
    pub headline: String,
    /// One sentence or one command each; commands are in backticks.
    pub lines: Vec<String>,
}

impl Message {
    /// With options in every command of it, such as ` --region eu-west-1`: whoever reads it may be
    /// in another shell, or in none.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        for line in &mut self.lines {
            let mut written = String::new();
            let mut rest = line.as_str();
            while let Some(at) = rest.find("`glidepath ") {
                let (before, command) = rest.split_at(at + 1);
                let end = command.find('`').unwrap_or(command.len());
                written.push_str(before);
                written.push_str(&command[..end]);
                written.push_str(options);
                rest = &command[end..];
            }
            written.push_str(rest);
            *line = written;
        }
        self
    }
}

impl Message {
    /// For somebody who has several accounts, Regions or stacks: each command names its own, and the
    /// last line says which they are, with the execution in the console.
    #[must_use]
    pub fn from_stack(self, stack: &str, execution: &ExecutionArn) -> Self {
        let parts: Vec<_> = execution.as_str().split(':').collect();
        let [_, partition, _, region, account, ..] = parts.as_slice() else { return self };
        let mut message = self.with_options(&format!(" --stack {stack} --region {region}"));
        // Other partitions have consoles of their own.
        let console = match *partition {
            "aws" => format!(
                ": https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/\
                 executions/details/{execution}"
            ),
            _ => String::new(),
        };
        message.lines.push(format!("Stack {stack} in {region}, account {account}{console}"));
        message
    }
}

impl fmt::Display for Message {
    /// The headline, an empty line, and the rest.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.headline)?;
        self.lines.iter().try_for_each(|line| write!(formatter, "\n{line}"))
    }
}

/// The notice in words.
pub fn message(notice: &Notice, deployment: &Deployment) -> Message {
    let told = Told { notice, deployment };
    let (what, lines) = told.event();
    let call = match notice.event.urgency() {
        Urgency::Page => "ACT NOW: ",
        Urgency::Information | Urgency::Attention => "",
    };
    Message { headline: format!("{call}{}: {what}", deployment.plan.service), lines }
}

struct Told<'a> {
    notice: &'a Notice,
    deployment: &'a Deployment,
}

impl Told<'_> {
    fn event(&self) -> (String, Vec<String>) {
        match &self.notice.event {
            Event::Started => self.started(),
            Event::ApprovalNeeded { stage, judged } => self.approval_needed(*stage, judged),
            Event::Decided { stage, decision } => self.decided(*stage, decision),
            Event::Shifted { stage } => self.shifted(*stage),
            Event::Waiting { stage, reasons, against } => self.waiting(*stage, reasons, against),
            Event::StageHeld { stage, reasons, against } => {
                self.stage_held(*stage, reasons, against)
            }
            Event::Promoted { stage, promotion } => self.promoted(*stage, promotion),
            Event::NotPromoted { stage, reasons } => self.not_promoted(*stage, reasons),
            Event::ForeignChange { found } => self.foreign_change(found),
            Event::RouteInOrder { lasted } => self.route_in_order(*lasted),
            Event::TrafficRestored { failure, overwritten, forced } => {
                self.traffic_restored(failure, overwritten.as_deref(), forced.as_ref())
            }
            Event::RollbackHeld => self.rollback_held(),
            Event::SteppingBack { healthy, needed, keeps } => {
                self.stepping_back(*healthy, *needed, *keeps)
            }
            Event::RollbackOverdue { healthy, needed, waited } => {
                self.rollback_overdue(*healthy, *needed, *waited)
            }
            Event::Succeeded => self.succeeded(),
            Event::RolledBack { failure } => self.rolled_back(failure),
            Event::Abandoned { failure } => self.abandoned(failure),
            Event::Retired => self.retired(),
            Event::RetirementPostponed => self.retirement_postponed(),
            Event::StillReached { by } => self.still_reached(by),
            Event::Undelivered { channel, sequence, reason, how } => {
                self.undelivered(channel, *sequence, reason, *how)
            }
        }
    }

    fn started(&self) -> (String, Vec<String>) {
        let plan = &self.deployment.plan;
        let (old, new) = (version(&plan.stable), self.new_version());
        let weights: Vec<_> = plan.stages.iter().map(|stage| stage.weight.to_string()).collect();
        let mut lines = vec![
            format!("{} goes through {}.", self.new_version(), weights.join(", ")),
            format!("{old} serves now, in the {} slot, and stays ready.", plan.stable.slot),
            self.to_end_it(),
        ];
        lines.extend(self.images());
        lines.extend(self.deployment.warnings.iter().map(|text| format!("Warning: {text}.")));
        (format!("deployment of {new} has begun"), lines)
    }

    fn approval_needed(&self, stage: StageIndex, judged: &[String]) -> (String, Vec<String>) {
        let (to, new) = (self.weight(stage), self.new_version());
        let id = &self.deployment.id;
        let mut lines = vec![format!(
            "{new} is healthy and gets {} of the requests now.",
            self.weight_before(stage)
        )];
        lines.extend(self.images());
        lines.extend(judged.iter().map(|reason| format!("Seen: {reason}")));
        lines.push(format!("To approve: `glidepath approve {id} --stage {stage}`"));
        lines.push(format!(
            "To refuse, so that everything returns to stable: `glidepath reject {id} --stage {stage}`"
        ));
        if let Some(approval) = self.stage(stage).and_then(|stage| stage.approval) {
            let until = self.notice.at + approval.timeout;
            lines.push(match approval.on_timeout {
                OnTimeout::Rollback => {
                    format!("Without an answer by {until} everything returns to stable.")
                }
                OnTimeout::Continue => format!("Without an answer by {until} it goes on."),
            });
        }
        (format!("may {new} have {to}?"), lines)
    }

    fn decided(&self, stage: StageIndex, decision: &Decision) -> (String, Vec<String>) {
        let weight = self.weight(stage);
        let (verb, next) = if decision.approved {
            ("approved", "The weight moves now.")
        } else {
            ("refused", "Everything returns to stable now.")
        };
        let mut lines = Vec::new();
        lines.extend(decision.reason.as_ref().map(|reason| format!("Their reason: {reason}")));
        lines.push(next.to_owned());
        (format!("{} {verb} stage {stage} ({weight})", decision.by), lines)
    }

    fn shifted(&self, stage: StageIndex) -> (String, Vec<String>) {
        let bake = self.stage(stage).map(|stage| stage.bake).unwrap_or_default();
        let next = if self.deployment.plan.is_last(stage) {
            "the deployment is done".to_owned()
        } else {
            format!("{} follows", self.weight(stage.next()))
        };
        let count = self.deployment.plan.stages.len();
        let (new, weight) = (self.new_version(), self.weight(stage));
        let what = match weight {
            Weight::NONE => format!("{new} runs, without traffic"),
            weight => format!("{new} has {weight} of the requests"),
        };
        (
            what,
            vec![
                format!("Stage {stage} of {count}; the load balancer has confirmed the weight."),
                format!("If it stays healthy for {bake}, {next}."),
                self.to_end_it(),
            ],
        )
    }

    fn waiting(
        &self,
        stage: StageIndex,
        reasons: &[String],
        against: &[String],
    ) -> (String, Vec<String>) {
        let health = &self.deployment.plan.health;
        let mut lines = lacking(reasons, against);
        let then = match health.on_inconclusive {
            OnInconclusive::Hold => "it holds until you decide",
            OnInconclusive::Rollback => "everything returns to stable",
            OnInconclusive::Continue => "it goes on regardless",
        };
        lines.push(format!(
            "It goes on by itself as soon as this is over. {} after the end of the bake {then}.",
            health.extend_up_to
        ));
        lines.push(self.to_let_it_go_on(stage, against));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        (format!("stage {stage} ({}) waits", self.weight(stage)), lines)
    }

    fn stage_held(
        &self,
        stage: StageIndex,
        reasons: &[String],
        against: &[String],
    ) -> (String, Vec<String>) {
        let mut lines = lacking(reasons, against);
        lines.push("It goes on by itself as soon as this is over.".to_owned());
        lines.push(self.to_let_it_go_on(stage, against));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        (format!("stage {stage} ({}) holds until you decide", self.weight(stage)), lines)
    }

    /// How a person lets a stage go on that lacks evidence.
    fn to_let_it_go_on(&self, stage: StageIndex, against: &[String]) -> String {
        let command =
            format!("`glidepath promote {} --stage {stage} --reason WHY`", self.deployment.id);
        if against.is_empty() {
            format!("To let it go on all the same: {command}")
        } else {
            format!("Once nothing speaks against it any more, you can let it go on: {command}")
        }
    }

    fn promoted(&self, stage: StageIndex, promotion: &Promotion) -> (String, Vec<String>) {
        let next = if self.deployment.plan.is_last(stage) {
            "The deployment is done after the next look".to_owned()
        } else {
            format!("{} follows after the next look", self.weight(stage.next()))
        };
        (
            format!(
                "{} lets stage {stage} ({}) go on without enough evidence",
                promotion.by,
                self.weight(stage)
            ),
            vec![
                format!("Their reason: {}", promotion.reason),
                format!("{next}, unless that sees something against the version."),
                self.to_end_it(),
            ],
        )
    }

    fn not_promoted(&self, stage: StageIndex, reasons: &[String]) -> (String, Vec<String>) {
        let mut lines = lacking(&[], reasons);
        lines.push("It holds as before. What was said of it does not count any more.".to_owned());
        lines.push(self.to_let_it_go_on(stage, reasons));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        (format!("stage {stage} ({}) does not go on", self.weight(stage)), lines)
    }

    fn foreign_change(&self, found: &str) -> (String, Vec<String>) {
        (
            "somebody else changed a route, so the deployment holds".to_owned(),
            vec![
                format!("Found: {found}"),
                "It goes on by itself as soon as the route is as it was.".to_owned(),
                self.to_look(),
                format!(
                    "To end it and overwrite the change: `glidepath rollback {}`",
                    self.deployment.id
                ),
            ],
        )
    }

    fn route_in_order(&self, lasted: Span) -> (String, Vec<String>) {
        (
            "the route is as it was, so the deployment goes on".to_owned(),
            vec![
                format!("Somebody else's weights may have been there for {lasted}."),
                "That was no time of the bake, and what was measured then counts for no stage."
                    .to_owned(),
                self.to_end_it(),
            ],
        )
    }

    fn traffic_restored(
        &self,
        failure: &Failure,
        overwritten: Option<&str>,
        forced: Option<&Forced>,
    ) -> (String, Vec<String>) {
        let stable = &self.deployment.plan.stable;
        let mut lines = vec![
            why(failure),
            format!("The load balancer has confirmed it: {} gets no request.", self.new_version()),
        ];
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

    fn rollback_held(&self) -> (String, Vec<String>) {
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
            ],
        )
    }

    fn stepping_back(&self, healthy: u32, needed: u32, keeps: Weight) -> (String, Vec<String>) {
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
            ],
        )
    }

    fn rollback_overdue(&self, healthy: u32, needed: u32, waited: Span) -> (String, Vec<String>) {
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
            ],
        )
    }

    /// How a rollback ends that waits for stable.
    fn goes_on(&self) -> String {
        let plan = &self.deployment.plan;
        let needed = plan.stable.desired_count;
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

    fn succeeded(&self) -> (String, Vec<String>) {
        let plan = &self.deployment.plan;
        (
            format!("{} is the stable version now", self.new_version()),
            vec![
                format!("It serves all requests from the {} slot.", plan.canary.slot),
                format!(
                    "{} keeps its tasks for {}, then the {} slot is free for the next deployment.",
                    version(&plan.stable),
                    plan.retention,
                    plan.stable.slot
                ),
            ],
        )
    }

    fn rolled_back(&self, failure: &Failure) -> (String, Vec<String>) {
        (
            format!("deployment of {} failed; it was rolled back", self.new_version()),
            vec![
                why(failure),
                format!("{} serves all requests.", version(&self.deployment.plan.stable)),
                self.canary_tasks_after(),
                self.to_look(),
            ],
        )
    }

    /// What becomes of the canary's tasks after a rollback.
    fn canary_tasks_after(&self) -> String {
        let plan = &self.deployment.plan;
        let by: Vec<_> = plan.unlisted.iter().map(|route| format!("`{route}`")).collect();
        if by.is_empty() {
            let stopped = "The new version's tasks are stopped and the resources are free again.";
            return stopped.to_owned();
        }
        format!(
            "The {} slot keeps its tasks, because {} leads there and $.target.routes does not list \
             it. Let it lead elsewhere, then scale `{}` in.",
            plan.canary.slot,
            by.join(", "),
            plan.canary.service
        )
    }

    fn abandoned(&self, failure: &Failure) -> (String, Vec<String>) {
        (
            format!("deployment of {} ended before it changed anything", self.new_version()),
            vec![
                why(failure),
                format!(
                    "{} serves all requests, as before.",
                    version(&self.deployment.plan.stable)
                ),
            ],
        )
    }

    fn retired(&self) -> (String, Vec<String>) {
        let old = &self.deployment.plan.stable;
        (
            format!("the {} slot is free again", old.slot),
            vec![format!("The tasks of {} are stopped, as planned.", version(old))],
        )
    }

    fn retirement_postponed(&self) -> (String, Vec<String>) {
        let old = &self.deployment.plan.stable;
        (
            format!("the {} slot keeps its tasks, because it has traffic again", old.slot),
            vec![
                format!("Somebody gave {} weight after the deployment had ended.", version(old)),
                format!(
                    "If that was a mistake, take its weight away; `{}` can then be scaled in by \
                     hand, or by the next deployment.",
                    old.service
                ),
            ],
        )
    }

    fn still_reached(&self, by: &[RouteRef]) -> (String, Vec<String>) {
        let old = &self.deployment.plan.stable;
        let mut lines = vec![format!(
            "{} is still sent requests by what $.target.routes does not list:",
            version(old)
        )];
        lines.extend(by.iter().map(|route| route.to_string()));
        lines.push(format!(
            "Let it lead to the {} slot, and list it the next time. The tasks of `{}` stop within an \
             hour after that.",
            self.deployment.plan.canary.slot, old.service
        ));
        (format!("the {} slot keeps its tasks, because it has traffic", old.slot), lines)
    }

    fn undelivered(
        &self,
        channel: &ChannelName,
        sequence: u32,
        reason: &str,
        how: Undelivered,
    ) -> (String, Vec<String>) {
        let (what, then) = match how {
            Undelivered::Refused => (
                format!("channel `{channel}` refuses what it is told"),
                format!(
                    "Entry {sequence} of the timeline will not reach it; later ones are tried, each \
                     once."
                ),
            ),
            Undelivered::Waits => (
                format!("channel `{channel}` cannot be reached"),
                format!(
                    "Everything from entry {sequence} of the timeline waits, and is delivered in \
                     order as soon as it can be reached."
                ),
            ),
        };
        let lines = vec![
            format!("Why: {reason}"),
            then,
            format!(
                "Look at what the stack's parameter `Channels` says of `{channel}`; until it is \
                 mended, whoever reads only there hears nothing."
            ),
            self.to_look(),
        ];
        (what, lines)
    }

    /// What the new version is made of.
    fn images(&self) -> Option<String> {
        let images = &self.deployment.plan.images;
        (!images.is_empty()).then(|| format!("Made of: {}", images.join(", ")))
    }

    fn new_version(&self) -> &str {
        self.deployment.plan.task_definition.short()
    }

    fn stage(&self, stage: StageIndex) -> Option<&Stage> {
        self.deployment.plan.stage(stage)
    }

    fn weight(&self, stage: StageIndex) -> Weight {
        self.stage(stage).map_or(Weight::ALL, |stage| stage.weight)
    }

    /// What the canary has while a stage waits for a person.
    fn weight_before(&self, stage: StageIndex) -> Weight {
        let before = stage.0.checked_sub(1).map(StageIndex);
        before.map_or(Weight::NONE, |before| self.weight(before))
    }

    fn to_end_it(&self) -> String {
        format!("To end it: `glidepath rollback {}`", self.deployment.id)
    }

    fn to_look(&self) -> String {
        format!("To look: `glidepath status {}`", self.deployment.id)
    }
}

/// What a slot ran before the deployment.
fn version(slot: &SlotPlan) -> &str {
    slot.task_definition.short()
}

/// What a stage lacks, and what speaks against the version.
fn lacking(reasons: &[String], against: &[String]) -> Vec<String> {
    let lacking = reasons.iter().map(|reason| format!("Why: {reason}"));
    lacking.chain(against.iter().map(|reason| format!("Against it: {reason}"))).collect()
}

fn why(failure: &Failure) -> String {
    format!("Why: {} ({})", failure.cause, failure.code)
}
