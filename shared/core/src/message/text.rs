//! A notice in words, for a person who may have been woken by it: what happened, why, and what now,
//! with the exact command to type. It never contains a token or the address of a channel.

mod back;
mod forward;
mod scaling;

use super::Message;
use super::line::Lines;
use crate::failure::Failure;
use crate::ids::ChannelName;
use crate::link::QuestionLink;
use crate::plan::{SlotPlan, Stage, StageIndex};
use crate::record::{Deployment, Event, Notice, Outcome, QuarantineChange, Undelivered};
use crate::route::RouteRef;
use crate::said::quoted;
use crate::time::Timestamp;
use crate::urgency::Urgency;
use crate::weight::Weight;

pub fn message(notice: &Notice, deployment: &Deployment) -> Message {
    let told = Told { notice, deployment };
    let (what, lines) = told.event();
    let call = match notice.event.urgency() {
        Urgency::Page => "ACT NOW: ",
        Urgency::Information | Urgency::Attention => "",
    };
    Message::new(&format!("{call}{}: {what}", deployment.plan.service), lines)
}

/// What a deployment asks, for who is shown a notice about something else.
pub fn asked(notice: &Notice, deployment: &Deployment) -> Option<Message> {
    let asks = QuestionLink::known_to(notice, deployment)?;
    if matches!(notice.event, Event::ApprovalNeeded { .. }) {
        return None;
    }
    let (judged, asked_at) = (deployment.progress.judged.clone(), Some(asks.asked_at));
    let event = Event::ApprovalNeeded { stage: asks.stage, judged, asked_at };
    Some(message(&Notice { event, ..notice.clone() }, deployment))
}

struct Told<'a> {
    notice: &'a Notice,
    deployment: &'a Deployment,
}

impl Told<'_> {
    fn event(&self) -> (String, Lines) {
        match &self.notice.event {
            Event::Started => self.started(),
            Event::ApprovalNeeded { stage, judged, asked_at } => {
                self.approval_needed(*stage, judged, *asked_at)
            }
            Event::Decided { stage, decision, lacking } => self.decided(*stage, decision, *lacking),
            Event::Shifted { stage } => self.shifted(*stage),
            Event::Waiting { stage, reasons, against } => self.waiting(*stage, reasons, against),
            Event::OutsideWindows { stage, opens_at } => self.outside_windows(*stage, *opens_at),
            Event::Frozen { stage, freeze, goes_on_at } => self.frozen(*stage, freeze, *goes_on_at),
            Event::CheckAlert { stage, reasons } => self.check_alert(*stage, reasons),
            Event::StageHeld { stage, reasons, against } => {
                self.stage_held(*stage, reasons, against)
            }
            Event::Promoted { stage, promotion } => self.promoted(*stage, promotion),
            Event::NotPromoted { stage, reasons } => self.not_promoted(*stage, reasons),
            Event::Paused { stage, pause } => self.paused(*stage, pause),
            Event::Resumed { stage, by, reason, lasted } => {
                self.resumed(*stage, by, reason.as_deref(), *lasted)
            }
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
            Event::ScalingChanged { service, found } => self.scaling_changed(service, found),
            Event::ScalingNotSet { service, wanted, why } => {
                self.scaling_not_set(service, *wanted, why)
            }
            Event::Succeeded => self.succeeded(),
            Event::RolledBack { failure } => self.rolled_back(failure),
            Event::Abandoned { failure } => self.abandoned(failure),
            Event::Validated { good, bad, unknown } => self.validated(good, bad, unknown),
            Event::RetirementHastened { by, was_due_at } => {
                self.retirement_hastened(by, *was_due_at)
            }
            Event::Retired => self.retired(),
            Event::RetirementPostponed => self.retirement_postponed(),
            Event::StillReached { by } => self.still_reached(by),
            Event::Drifted { differences } => self.drifted(differences),
            Event::Undelivered { channel, sequence, reason, how, lost } => {
                self.undelivered(channel, *sequence, reason, (*how, *lost))
            }
        }
    }

    fn started(&self) -> (String, Lines) {
        let plan = &self.deployment.plan;
        let (old, new) = (version(&plan.stable), self.new_version());
        let weights: Vec<_> = plan.stages.iter().map(|stage| stage.weight.to_string()).collect();
        let mut lines = Lines::from(vec![
            format!("{} goes through {}.", self.new_version(), weights.join(", ")),
            format!("{old} serves now, in the {} slot, and stays ready.", plan.stable.slot),
            self.to_end_it(),
        ]);
        lines.spare(self.images());
        lines.spare(self.started_by());
        lines.spare(self.reason());
        if plan.way_back.as_ref().is_some_and(|back| back.skips_validation) {
            lines.push(
                "As wanted, what it runs is not held against what it ran when it served, and nothing \
                 is asked of it afterwards."
                    .to_owned(),
            );
        }
        lines.spare(self.deployment.warnings.iter().map(|text| format!("Warning: {text}.")));
        (format!("deployment of {new} has begun"), lines)
    }

    fn succeeded(&self) -> (String, Lines) {
        let plan = &self.deployment.plan;
        let mut lines = Lines::from(vec![
            format!("It serves all requests from the {} slot.", plan.canary.slot),
            format!(
                "{} keeps its tasks for {}, then the {} slot is free for the next deployment.",
                version(&plan.stable),
                plan.retention,
                plan.stable.slot
            ),
        ]);
        lines.extend(self.quarantined(Outcome::Succeeded));
        lines.extend(self.in_numbers());
        lines.push(format!(
            "To go back to it: `glidepath rollback {} --to previous --reason …`",
            self.deployment.id
        ));
        (format!("{} is the stable version now", self.new_version()), lines)
    }

    fn rolled_back(&self, failure: &Failure) -> (String, Lines) {
        let mut lines = Lines::from(vec![
            why(failure),
            format!("{} serves all requests.", version(&self.deployment.plan.stable)),
            self.canary_tasks_after(),
        ]);
        lines.extend(self.quarantined(Outcome::RolledBack));
        lines.extend(self.in_numbers());
        lines.push(self.to_look());
        (format!("deployment of {} failed; it was rolled back", self.new_version()), lines)
    }

    /// How far it has come, how long that took, and who has approved it.
    fn in_numbers(&self) -> Vec<String> {
        let Deployment { plan, progress, started_at, .. } = self.deployment;
        let reached = progress.shifts.last().map_or(0, |shift| shift.stage.0 + 1);
        let with_traffic = |first: usize| -> Vec<_> {
            let weights = plan.stages.iter().take(first).map(|stage| stage.weight);
            weights
                .filter(|weight| *weight != Weight::NONE)
                .map(|weight| weight.to_string())
                .collect()
        };
        let (reached, stages) = (with_traffic(reached), with_traffic(plan.stages.len()));
        let weights = match reached.as_slice() {
            [] => String::new(),
            some => format!(" ({})", some.join(", ")),
        };
        let (reached, stages) = (reached.len(), stages.len());
        let lasted = self.notice.at.since(*started_at).in_words();
        let mut lines = vec![format!(
            "{reached} of {stages} stages had traffic{weights}, and it took {lasted} from its start."
        )];
        let approved = progress.decisions.iter().filter(|(_, decision)| decision.approved);
        let approved: Vec<_> =
            approved.map(|(stage, decision)| format!("stage {stage} by {}", decision.by)).collect();
        if !approved.is_empty() {
            lines.push(format!("Approved: {}.", approved.join(", ")));
        }
        lines
    }

    /// What the next plan refuses.
    fn quarantined(&self, outcome: Outcome) -> Option<String> {
        let Notice { deployment, at, .. } = self.notice;
        let version = QuarantineChange::at_end(self.deployment, outcome, *at).added?.version;
        Some(format!(
            "{} is refused from now on, until a request has `release.retry: {deployment}`.",
            version.short()
        ))
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

    fn abandoned(&self, failure: &Failure) -> (String, Lines) {
        (
            format!("deployment of {} ended before it changed anything", self.new_version()),
            vec![
                why(failure),
                format!(
                    "{} serves all requests, as before.",
                    version(&self.deployment.plan.stable)
                ),
            ]
            .into(),
        )
    }

    fn retirement_hastened(&self, by: &str, was_due_at: Timestamp) -> (String, Lines) {
        let old = &self.deployment.plan.stable;
        (
            format!("the {} slot loses its tasks before its time", old.slot),
            vec![format!(
                "{by} wants the tasks of {} gone; they would have been kept until {was_due_at}.",
                version(old)
            )]
            .into(),
        )
    }

    fn retired(&self) -> (String, Lines) {
        let old = &self.deployment.plan.stable;
        (
            format!("the {} slot is free again", old.slot),
            vec![format!("The tasks of {} are stopped, as planned.", version(old))].into(),
        )
    }

    fn retirement_postponed(&self) -> (String, Lines) {
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
            ]
            .into(),
        )
    }

    fn still_reached(&self, by: &[RouteRef]) -> (String, Lines) {
        let old = &self.deployment.plan.stable;
        let mut lines = Lines::from(vec![format!(
            "{} is still sent requests by what $.target.routes does not list:",
            version(old)
        )]);
        lines.spare(by.iter().map(|route| route.to_string()));
        lines.push(format!(
            "Let it lead to the {} slot, and list it the next time. The tasks of `{}` stop within an \
             hour after that.",
            self.deployment.plan.canary.slot, old.service
        ));
        (format!("the {} slot keeps its tasks, because it has traffic", old.slot), lines)
    }

    fn drifted(&self, differences: &[String]) -> (String, Lines) {
        let mut lines = Lines::default();
        lines.spare(differences.iter().map(|difference| format!("Found: {difference}.")));
        lines.extend([
            "Glidepath has changed nothing. The next deployment or rollback meets it as it is now."
                .to_owned(),
            format!(
                "To look: `glidepath drift {}`. Then set back what was not meant, and deploy what \
                 was. It is told once, and anew when it changes.",
                self.deployment.plan.service
            ),
        ]);
        (format!("it is not as {} has left it", self.deployment.id), lines)
    }

    fn undelivered(
        &self,
        channel: &ChannelName,
        sequence: u32,
        reason: &str,
        (how, lost): (Undelivered, Urgency),
    ) -> (String, Lines) {
        if channel.is_audit_bucket() {
            return self.not_kept(sequence, reason);
        }
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
        let unheard = match lost {
            Urgency::Page => Some("Among that is what somebody must act on now.".to_owned()),
            Urgency::Attention | Urgency::Information => None,
        };
        let mut lines = Lines::from(vec![format!("Why: {reason}"), then]);
        lines.extend(unheard);
        lines.extend([
            format!(
                "Look at what the stack's parameter `Channels` says of `{channel}`; until it is \
                 mended, whoever reads only there hears nothing."
            ),
            self.to_look(),
        ]);
        (what, lines)
    }

    /// The audit bucket loses nothing, however long it refuses.
    fn not_kept(&self, sequence: u32, reason: &str) -> (String, Lines) {
        let lines = Lines::from(vec![
            format!("Why: {reason}"),
            format!(
                "Everything from entry {sequence} of the timeline waits, and is put there as soon as it can be. \
                 Until then only the registry has it, for 400 days."
            ),
            "Look at what the stack's parameter `AuditBucket` names: whether the bucket is there and in the stack's \
             Region, and what its policy and its key allow."
                .to_owned(),
            self.to_look(),
        ]);
        ("the audit bucket does not take what happened".to_owned(), lines)
    }

    /// What the new version is made of.
    fn images(&self) -> Option<String> {
        let images = &self.deployment.plan.images;
        (!images.is_empty()).then(|| format!("Made of: {}", images.join(", ")))
    }

    fn started_by(&self) -> Option<String> {
        self.deployment.plan.started_by_whom().map(|whom| format!("Started by {whom}"))
    }

    fn reason(&self) -> Option<String> {
        self.deployment.plan.reason.as_ref().map(|reason| format!("Because: {}", quoted(reason)))
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

fn why(failure: &Failure) -> String {
    format!("Why: {} ({})", failure.cause, failure.code)
}
