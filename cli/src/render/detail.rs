//! One deployment, whole: where it is, what it waits for, what to type, and how it came there.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use glidepath_core::failure::Failure;
use glidepath_core::message::message;
use glidepath_core::plan::{OnInconclusive, OnTimeout, RoutePlan, Stage, StageIndex};
use glidepath_core::record::{
    Concern, Deployment, Event, Notice, Outcome, Phase, Step, Undelivered,
};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;

use super::moment::stamped;
use super::state::{read_back_at, route_name, shares, state};
use super::timeline::timeline;
use super::{FAINT, STRONG, Tone};
use crate::live::Live;
use crate::next_command::Commands;

/// Width of the labels with the space behind them.
const LABEL: usize = 11;

pub(crate) fn detail(
    deployment: &Deployment,
    notices: &[Notice],
    live: &Live,
    commands: &Commands,
    now: Timestamp,
) -> String {
    let detail = Detail { deployment, notices, live, commands, now };
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _written = detail.write(&mut text);
    text
}

/// Why the deployment ends or has ended.
pub(crate) fn failure<'a>(
    deployment: &'a Deployment,
    notices: &'a [Notice],
) -> Option<&'a Failure> {
    // One that ended before it changed anything has no fence.
    let told = notices.iter().find_map(|notice| notice.event.failure());
    deployment.fence.as_ref().map(|fence| &fence.failure).or(told)
}

/// A label, and what is said under it; several rows of one thing have the label of the first only.
pub(super) type Row = (&'static str, String);

/// What is to be said of a deployment, in rows.
pub(super) struct Detail<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) notices: &'a [Notice],
    pub(super) live: &'a Live,
    pub(super) commands: &'a Commands,
    pub(super) now: Timestamp,
}

impl Detail<'_> {
    fn write(&self, text: &mut String) -> fmt::Result {
        let (id, plan) = (&self.deployment.id, &self.deployment.plan);
        let (old, new) = (plan.stable.task_definition.short(), plan.task_definition.short());
        writeln!(
            text,
            "{STRONG}{id}{STRONG:#}: {new} ({}) replaces {old} ({}) of {}\n",
            plan.canary.slot, plan.stable.slot, plan.service
        )?;
        let rows = [
            self.state(),
            self.origin(),
            self.frozen(),
            self.failure(),
            self.what_now(),
            labelled("warnings", self.deployment.warnings.iter().cloned()),
            self.undelivered(),
            self.traffic(),
            labelled("tasks", self.live.slots.iter().cloned()),
            self.last_look(),
            self.stages(),
            self.commands(),
            vec![("execution", self.deployment.execution.to_string())],
        ];
        for (label, value) in rows.iter().flatten() {
            writeln!(text, "{FAINT}{label:LABEL$}{FAINT:#}{value}")?;
        }
        writeln!(text, "\n{STRONG}timeline{STRONG:#}")?;
        text.write_str(&timeline(self.notices, self.deployment, self.now))
    }

    fn state(&self) -> Vec<Row> {
        let state = state(self.deployment, self.now);
        let style = state.tone.style();
        let mut rows = vec![
            ("state", format!("{style}{}{style:#}", state.words)),
            ("since", stamped(self.since(), self.now)),
        ];
        if let Some(until) = state.until {
            rows.push(("until", format!("{}{}", stamped(until, self.now), self.then())));
        }
        rows.extend(self.who_approves().map(|who| ("who", who)));
        rows
    }

    /// Since when it is as it is: of a wait, since it was told.
    pub(super) fn since(&self) -> Timestamp {
        let state = state(self.deployment, self.now);
        self.open_notice().map_or(state.since, |notice| notice.at)
    }

    fn origin(&self) -> Vec<Row> {
        let plan = &self.deployment.plan;
        let whom = plan.started_by_whom().map(|whom| ("started by", whom));
        let because = plan.reason.clone().map(|reason| ("because", reason));
        whom.into_iter().chain(because).collect()
    }

    /// What will hold it, before it does: then its state says so.
    fn frozen(&self) -> Vec<Row> {
        let Deployment { phase, progress, .. } = self.deployment;
        let told = matches!(progress.told, Some(Event::Frozen { .. }));
        let freeze = self.deployment.frozen(self.now).filter(|_| *phase == Phase::Open && !told);
        let freeze = freeze.map(|freeze| {
            let style = Tone::Waiting.style();
            ("frozen", format!("{style}{}{style:#}: no stage begins", freeze.in_words()))
        });
        freeze.into_iter().collect()
    }

    /// Who must approve what is asked, and who has; `None`: one person, whoever may, or nobody is asked.
    pub(super) fn who_approves(&self) -> Option<String> {
        if !self.is_asked() {
            return None;
        }
        let index = self.deployment.progress.stage;
        let approval = self.stage().and_then(|stage| stage.approval.as_ref())?;
        let demanded = approval.in_words(self.deployment.people_needed(approval))?;
        let given: Vec<_> =
            self.deployment.approvals(index).map(|given| given.by.as_str()).collect();
        let given = if given.is_empty() { "nobody yet".to_owned() } else { given.join(" and ") };
        Some(format!("{demanded}; approved by {given}"))
    }

    /// What happens at the end of a wait for a person.
    pub(super) fn then(&self) -> &'static str {
        let stage = self.stage();
        match (&self.deployment.progress.step, stage.and_then(|stage| stage.approval.as_ref())) {
            (Step::Approving { decision: Some(_), .. }, _) => "",
            (Step::Approving { .. }, Some(approval)) => match approval.on_timeout {
                OnTimeout::Rollback => ", then everything returns to stable",
                OnTimeout::Continue => ", then it goes on",
            },
            // An extension; a bake has its end in the stages.
            (Step::Baking { .. }, _) if self.extended() => {
                match self.deployment.plan.health.on_inconclusive {
                    OnInconclusive::Hold => ", then it holds until a person decides",
                    OnInconclusive::Rollback => ", then everything returns to stable",
                    OnInconclusive::Continue => ", then it goes on regardless",
                }
            }
            (Step::Settling { .. } | Step::Baking { .. } | Step::Approving { .. }, _) => "",
        }
    }

    fn extended(&self) -> bool {
        let progress = &self.deployment.progress;
        matches!(progress.told, Some(Event::Waiting { .. })) && progress.promotion().is_none()
    }

    pub(super) fn failure(&self) -> Vec<Row> {
        let failure = failure(self.deployment, self.notices);
        let lines = failure.map(|failure| {
            let style = Tone::Bad.style();
            format!("{style}{}{style:#}: {}", failure.code, failure.cause)
        });
        let lines = lines.iter().flat_map(|lines| lines.lines());
        labelled("failure", lines.map(str::to_owned))
    }

    /// What was told about a wait that has not ended.
    fn open_notice(&self) -> Option<&Notice> {
        let Deployment { progress, phase, .. } = self.deployment;
        let weak = match phase {
            Phase::Held => true,
            Phase::RollingBack => progress.weak.is_some() && progress.restored_at.is_none(),
            Phase::Open | Phase::Committed | Phase::Closed(_) => false,
        };
        let open = |event: &Event| match event.concern() {
            Concern::Hold if matches!(event, Event::Paused { .. }) => {
                progress.paused.is_some() && *phase == Phase::Open
            }
            Concern::Wait | Concern::Hold => {
                progress.told.as_ref().is_some_and(|told| told.name() == event.name())
                    && (progress.promotion().is_none()
                        || matches!(event, Event::OutsideWindows { .. } | Event::Frozen { .. }))
                    && *phase == Phase::Open
            }
            Concern::WeakStable => weak,
            Concern::News | Concern::Question => false,
        };
        self.notices.iter().rev().find(|notice| open(&notice.event))
    }

    /// What somebody was told to do about a wait.
    pub(super) fn what_now(&self) -> Vec<Row> {
        let Some(notice) = self.open_notice() else { return Vec::new() };
        // What it lacks changes with every look, and nobody is told each.
        let newest = self.deployment.progress.told.clone();
        let newest = newest.filter(|told| told.name() == notice.event.name());
        let event = newest.unwrap_or_else(|| notice.event.clone());
        let notice = &Notice { event, ..notice.clone() };
        let told = message(notice, self.deployment).with_options(&self.commands.options());
        // Where to look, one has just looked.
        let status = format!("`{}`", self.commands.of("status", &self.deployment.id, ""));
        let lines = told.texts().filter(|line| !line.ends_with(&status));
        let mut rows = labelled("what now", lines);
        if let Event::ForeignChange { .. } = notice.event {
            let Deployment { plan, progress, .. } = self.deployment;
            for (route, verified) in plan.routes.iter().zip(&progress.verified) {
                // Other weights of the same share are somebody else's, too.
                let Ok((canary, stable)) =
                    verified.weights_of(&route.pair.canary, &route.pair.stable)
                else {
                    continue;
                };
                let told = format!(
                    "To go on: give {} the weight {} and {} the weight {} again at {}",
                    route.pair.canary.short(),
                    canary.get(),
                    route.pair.stable.short(),
                    stable.get(),
                    route.route.arn()
                );
                rows.push(("", told));
            }
        }
        rows
    }

    fn last_look(&self) -> Vec<Row> {
        let counted = self.live.counted.as_ref();
        let counted = counted.and_then(|counted| counted.now(self.deployment));
        counted.map(|counted| ("last look", counted)).into_iter().collect()
    }

    /// Channels that do not get what is told.
    pub(super) fn undelivered(&self) -> Vec<Row> {
        let untold = self.notices.iter().filter_map(|notice| {
            let Event::Undelivered { channel, reason, sequence, how, lost: _ } = &notice.event
            else {
                return None;
            };
            let then = match how {
                Undelivered::Refused => "lost there",
                Undelivered::Waits => "waits, with what came after it",
            };
            Some(format!("`{channel}`: entry {sequence} {then}: {reason}"))
        });
        labelled("not told", untold)
    }

    /// Of every route the canary's share as it is now, as far as that was read, and as it was written last.
    pub(super) fn shares(&self) -> Vec<(&RoutePlan, Option<Weight>, Option<Weight>)> {
        let now = |position: usize, recorded| match &self.live.shares {
            Some(Ok(shares)) => shares.get(position).copied().unwrap_or_default(),
            Some(Err(_)) | None => recorded,
        };
        let recorded = shares(self.deployment).enumerate();
        recorded.map(|(at, (route, recorded))| (route, now(at, recorded), recorded)).collect()
    }

    fn traffic(&self) -> Vec<Row> {
        let new = self.deployment.plan.task_definition.short();
        let mut rows = Vec::new();
        for (route, now, recorded) in self.shares() {
            let (share, name) = (in_words(now), route_name(route));
            let mut value = format!("{share} on {new}  {FAINT}{name}{FAINT:#}");
            if now != recorded {
                let style = Tone::Bad.style();
                let written = in_words(recorded);
                value.push_str(&format!("  {style}{written} was written{style:#}"));
            }
            rows.push(value);
        }
        if let Some(Err(error)) = &self.live.shares {
            rows.push(format!("as it was last read; now it cannot be read: {error}"));
        }
        let read_back = read_back_at(self.deployment);
        rows.extend(read_back.map(|at| format!("read back {}", stamped(at, self.now))));
        labelled("traffic", rows.into_iter())
    }

    fn stages(&self) -> Vec<Row> {
        let stages = self.deployment.plan.stages.iter().enumerate().map(|(position, stage)| {
            let (mark, weight) = (self.mark_of(StageIndex(position)), stage.weight.to_string());
            let approval = if stage.approval.is_some() { "  asks first" } else { "" };
            format!("{mark} {weight:>6}  bakes {}{approval}", stage.bake)
        });
        labelled("stages", stages)
    }

    /// Whether a stage is behind, is where it is, or is to come.
    pub(super) fn mark_of(&self, stage: StageIndex) -> &'static str {
        match stage.cmp(&self.deployment.progress.stage) {
            Ordering::Less => "✓",
            Ordering::Equal => self.mark(),
            Ordering::Greater => " ",
        }
    }

    /// What can be typed.
    pub(super) fn commands(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let id = &self.deployment.id;
        let (open, asked_for) = (self.open(), self.is_asked());
        let reason = "--reason \"...\"";
        let asked = format!("--stage {}", self.deployment.progress.stage);
        if open && asked_for {
            rows.push(("approve", self.commands.of("approve", id, &asked)));
            rows.push(("refuse", self.commands.of("reject", id, &format!("{asked} {reason}"))));
        }
        let held = match self.deployment.phase {
            Phase::Held => true,
            Phase::RollingBack => self.deployment.progress.restored_at.is_none(),
            Phase::Open | Phase::Committed | Phase::Closed(_) => false,
        };
        if held {
            let force = format!("--force {reason}");
            rows.push(("force it", self.commands.of("rollback", id, &force)));
        }
        if open {
            rows.push(("end it", self.commands.of("rollback", id, reason)));
        }
        if self.deployment.phase == Phase::Closed(Outcome::Succeeded) {
            let back = format!("--to previous {reason}");
            rows.push(("go back", self.commands.of("rollback", id, &back)));
        }
        rows
    }

    /// Whether a person is asked and has not answered.
    fn is_asked(&self) -> bool {
        match &self.deployment.progress.step {
            Step::Approving { decision, .. } => decision.is_none(),
            Step::Settling { .. } | Step::Baking { .. } => false,
        }
    }

    fn open(&self) -> bool {
        match self.deployment.phase {
            Phase::Open => true,
            Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_) => false,
        }
    }

    /// Of the stage that was reached.
    fn mark(&self) -> &'static str {
        match self.deployment.phase {
            Phase::Committed | Phase::Closed(Outcome::Succeeded) => "✓",
            Phase::Open => "▸",
            Phase::RollingBack | Phase::Held | Phase::Closed(Outcome::RolledBack) => "✗",
            Phase::Closed(Outcome::Abandoned) => " ",
        }
    }

    fn stage(&self) -> Option<&Stage> {
        self.deployment.plan.stage(self.deployment.progress.stage)
    }
}

pub(super) fn in_words(share: Option<Weight>) -> String {
    share.map_or("an unknown share".to_owned(), |share| share.to_string())
}

/// Rows of one thing.
pub(super) fn labelled(label: &'static str, values: impl Iterator<Item = String>) -> Vec<Row> {
    std::iter::once(label).chain(std::iter::repeat("")).zip(values).collect()
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::ChannelName;
    use glidepath_core::urgency::Urgency;

    use super::*;
    use crate::fixtures::{self, NOW, notices_of, same_as_file};

    fn shown(deployment: &Deployment) -> String {
        detail(deployment, &notices_of(deployment), &Live::default(), &Commands::default(), NOW)
    }

    #[test]
    fn one_that_waits_says_what_is_so_now_and_what_to_type() {
        let live = |percent: u16| Live {
            shares: Some(Ok(vec![Weight::from_permille(percent * 10).ok()])),
            slots: vec![
                "shop:2: 1 of 3 tasks run, 0 of 1 targets healthy (Target.Timeout)".to_owned(),
            ],
            counted: Some(fixtures::counted(&[(40, 0, 760, 2)])),
        };
        let commands = Commands::elsewhere();
        let mut text = String::new();
        for (deployment, percent) in
            [(fixtures::held_by_others(), 50), (fixtures::waiting(), 5), (fixtures::held(), 5)]
        {
            let notices = notices_of(&deployment);
            text.push_str(&detail(&deployment, &notices, &live(percent), &commands, NOW));
            text.push('\n');
        }
        let unread = Live { shares: Some(Err("AccessDenied".to_owned())), ..Live::default() };
        text.push_str(&detail(&fixtures::baking(), &[], &unread, &commands, NOW));
        same_as_file("now.txt", &text);
    }

    #[test]
    fn one_that_waits_for_a_person_shows_deadline_and_commands() {
        same_as_file("approving.txt", &shown(&fixtures::approving()));
    }

    #[test]
    fn one_that_bakes_shows_until_when() {
        same_as_file("baking.txt", &shown(&fixtures::baking()));
    }

    #[test]
    fn one_that_failed_shows_why() {
        same_as_file("rolled-back.txt", &shown(&fixtures::rolled_back()));
        same_as_file("abandoned.txt", &shown(&fixtures::abandoned()));
    }

    #[test]
    fn channels_that_are_not_told_are_named_with_what_they_lack() {
        let deployment = fixtures::baking();
        let mut notices = notices_of(&deployment);
        let undelivered = |channel: &str, reason: &str, how| Event::Undelivered {
            channel: ChannelName::new(channel),
            sequence: 2,
            reason: reason.to_owned(),
            how,
            lost: Urgency::Attention,
        };
        let events = [
            undelivered("team", "slack app: channel_not_found", Undelivered::Refused),
            undelivered("pager", "pagerduty: throttled", Undelivered::Waits),
        ];
        notices.extend((3..).zip(events).map(|(sequence, event)| {
            let deployment = deployment.id.clone();
            Notice { deployment, sequence, at: NOW, event }
        }));
        let (live, commands) = (Live::default(), Commands::default());
        same_as_file("not-told.txt", &detail(&deployment, &notices, &live, &commands, NOW));
    }

    #[test]
    fn one_that_succeeded_has_nothing_to_type() {
        same_as_file("succeeded.txt", &shown(&fixtures::succeeded()));
    }

    #[test]
    fn no_token_is_shown() {
        for deployment in fixtures::all() {
            assert!(!shown(&deployment).contains(fixtures::TOKEN));
        }
    }
}
