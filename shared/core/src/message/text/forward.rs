//! What is told on the way forward.

use super::{Lines, Told};
use crate::people::people;
use crate::plan::{OnInconclusive, OnTimeout, StageIndex};
use crate::record::{Decision, EVERY_SERVICE, Freeze, Pause, Promotion};
use crate::said::quoted;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

impl Told<'_> {
    pub(super) fn approval_needed(
        &self,
        stage: StageIndex,
        judged: &[String],
        asked_at: Option<Timestamp>,
    ) -> (String, Lines) {
        let (to, new) = (self.weight(stage), self.new_version());
        let id = &self.deployment.id;
        let mut lines = Lines::from(vec![format!(
            "{new} is healthy and gets {} of the requests now.",
            self.weight_before(stage)
        )]);
        lines.spare(self.images());
        lines.spare(self.started_by());
        lines.spare(self.reason());
        lines.spare(judged.iter().map(|reason| format!("Seen: {reason}")));
        let given: Vec<_> =
            self.deployment.approvals(stage).map(|given| given.by.as_str()).collect();
        if !given.is_empty() {
            lines.push(format!("Approved so far by {}.", given.join(" and ")));
        }
        lines.push(format!("To approve: `glidepath approve {id} --stage {stage}`"));
        lines.push(format!(
            "To refuse, so that everything returns to stable: `glidepath reject {id} --stage {stage}`"
        ));
        if let Some(approval) = self.stage(stage).and_then(|stage| stage.approval.as_ref()) {
            let since = asked_at.unwrap_or(self.notice.at);
            let needed = self.deployment.people_needed(approval);
            let needed = approval.in_words(needed);
            lines.extend(needed.map(|needed| format!("Who must approve: {needed}.")));
            lines.extend(
                approval
                    .not_before
                    .and_then(|wait| self.deployment.may_move_at(since + wait))
                    .map(|at| format!("The weight moves at {at} at the earliest.")),
            );
            lines.extend(self.is_frozen().or_else(|| self.window_ends()));
            let until = since + approval.timeout;
            lines.push(match approval.on_timeout {
                OnTimeout::Rollback => {
                    format!("Without an answer by {until} everything returns to stable.")
                }
                OnTimeout::Continue => format!("Without an answer by {until} it goes on."),
            });
        }
        let still = if asked_at.is_some() { "still waits: " } else { "" };
        (format!("{still}approve {to} for {new}?"), lines)
    }

    pub(super) fn decided(
        &self,
        stage: StageIndex,
        decision: &Decision,
        lacking: u32,
    ) -> (String, Lines) {
        let weight = self.weight(stage);
        let verb = if decision.approved { "approved" } else { "refused" };
        let mut lines = Lines::default();
        lines.spare(their_reason(decision.reason.as_deref()));
        lines.push(match (decision.approved, lacking) {
            (false, _) => "Everything returns to stable now.".to_owned(),
            (true, 0) if self.deployment.progress.paused.is_some() => {
                "The weight moves once it is resumed.".to_owned()
            }
            (true, 0)
                if self
                    .deployment
                    .frozen(decision.at)
                    .is_some_and(|freeze| freeze.until.is_none()) =>
            {
                "The weight moves once it is thawed.".to_owned()
            }
            (true, 0) if self.deployment.may_move_at(decision.at).is_none() => {
                "None of its windows is known to open again, so the weight does not move."
                    .to_owned()
            }
            (true, 0) => {
                let here = self.deployment.progress.stage == stage;
                let later = self.deployment.goes_on_at(decision.at);
                let later = later.filter(|at| here && *at > decision.at);
                later.map_or("The weight moves now.".to_owned(), |at| {
                    format!("The weight moves at {at}.")
                })
            }
            (true, lacking) => format!("{} more must approve.", people(lacking)),
        });
        (format!("{} {verb} stage {stage} ({weight})", decision.by), lines)
    }

    pub(super) fn shifted(&self, stage: StageIndex) -> (String, Lines) {
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
            weight => format!("{weight} of the requests go to {new}"),
        };
        (
            what,
            vec![
                format!("Stage {stage} of {count}; the load balancer has confirmed the weight."),
                format!("If it stays healthy for {bake}, {next}."),
                self.to_end_it(),
            ]
            .into(),
        )
    }

    pub(super) fn waiting(
        &self,
        stage: StageIndex,
        reasons: &[String],
        against: &[String],
    ) -> (String, Lines) {
        let health = &self.deployment.plan.health;
        let mut lines = Lines::default();
        lines.spare(lacking(reasons, against));
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

    /// That whoever approves now has the weight move later.
    fn is_frozen(&self) -> Option<String> {
        let frozen = self.deployment.frozen(self.notice.at)?.in_words();
        Some(match self.deployment.may_move_at(self.notice.at) {
            Some(at) => format!("It is {frozen}: approved now, the weight moves at {at}."),
            None => format!("It is {frozen}: approved now, the weight moves once it is thawed."),
        })
    }

    /// That whoever answers late has the weight move in the next window.
    fn window_ends(&self) -> Option<String> {
        let plan = &self.deployment.plan;
        let opening = plan.windows.as_ref()?.at_or_after(self.notice.at)?;
        let (from, until) = (opening.from, opening.until);
        if self.notice.at < from {
            return Some(format!(
                "It is outside its windows: approved now, the weight moves at {from}."
            ));
        }
        Some(match self.deployment.may_move_at(until) {
            Some(next) => format!(
                "Its window ends at {until}; approved after that, the weight moves at {next}."
            ),
            None => format!(
                "Its window ends at {until}, and none is known after it: approved then, the weight does not move."
            ),
        })
    }

    pub(super) fn outside_windows(
        &self,
        stage: StageIndex,
        opens_at: Option<Timestamp>,
    ) -> (String, Lines) {
        let mut lines = Lines::default();
        let is_paused = self.deployment.progress.paused.is_some();
        lines.push(match opens_at {
            Some(opens_at) if is_paused => format!(
                "It goes on once it is resumed, and not before {opens_at}, when its next window opens."
            ),
            Some(opens_at) => {
                format!("It goes on by itself at {opens_at}, when its next window opens.")
            }
            None => "None of its windows is known to open again, so it does not go on by itself: end it, and start \
                     it anew."
                .to_owned(),
        });
        lines.push(self.meanwhile(stage));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        (format!("stage {stage} ({}) waits for its window", self.weight(stage)), lines)
    }

    /// What is so while a stage is not begun.
    fn meanwhile(&self, stage: StageIndex) -> String {
        let before = self.weight_before(stage);
        if before == Weight::NONE {
            "Meanwhile nothing is begun: no task starts and no weight moves.".to_owned()
        } else {
            format!(
                "Meanwhile {} keeps {before} of the requests and is judged as before: an alarm or a bad verdict \
                 still returns everything to stable.",
                self.new_version()
            )
        }
    }

    pub(super) fn frozen(
        &self,
        stage: StageIndex,
        freeze: &Freeze,
        goes_on_at: Option<Timestamp>,
    ) -> (String, Lines) {
        let mut lines = Lines::default();
        let thaw = if freeze.services == EVERY_SERVICE {
            "`glidepath thaw`".to_owned()
        } else {
            format!("`glidepath thaw '{}'`", freeze.services)
        };
        lines.spare(their_reason(Some(&freeze.reason)));
        lines.push(match goes_on_at {
            Some(at) => format!("It goes on by itself at {at}, or once that is thawed: {thaw}"),
            None => format!("It goes on once that is thawed: {thaw}"),
        });
        if self.deployment.progress.paused.is_some() {
            lines.push("It is paused besides, and goes on once it is resumed as well.".to_owned());
        }
        lines.push(self.meanwhile(stage));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        let (weight, by, what) = (self.weight(stage), &freeze.by, freeze.what());
        (format!("stage {stage} ({weight}) waits: {by} has frozen {what}"), lines)
    }

    pub(super) fn check_alert(&self, stage: StageIndex, reasons: &[String]) -> (String, Lines) {
        let mut lines = Lines::default();
        lines.spare(reasons.iter().map(|reason| format!("Seen: {reason}")));
        lines.push(
            "It goes on: this is told, and changes no verdict. It is told once in a stage."
                .to_owned(),
        );
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        let what = match reasons {
            [_] => "a check is".to_owned(),
            several => format!("{} checks are", several.len()),
        };
        (format!("{what} out of bounds at stage {stage} ({})", self.weight(stage)), lines)
    }

    pub(super) fn stage_held(
        &self,
        stage: StageIndex,
        reasons: &[String],
        against: &[String],
    ) -> (String, Lines) {
        let mut lines = Lines::default();
        lines.spare(lacking(reasons, against));
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

    pub(super) fn promoted(&self, stage: StageIndex, promotion: &Promotion) -> (String, Lines) {
        let next = if self.deployment.plan.is_last(stage) {
            "The deployment is done after the next look".to_owned()
        } else {
            format!("{} follows after the next look", self.weight(stage.next()))
        };
        let (by, weight) = (&promotion.by, self.weight(stage));
        let mut lines = Lines::default();
        lines.spare(their_reason(Some(&promotion.reason)));
        lines.push(format!("{next}, unless that sees something against the version."));
        lines.push(self.to_end_it());
        (
            if promotion.skips_bake {
                format!("{by} ends the bake of stage {stage} ({weight}) early")
            } else {
                format!("{by} lets stage {stage} ({weight}) go on without enough evidence")
            },
            lines,
        )
    }

    pub(super) fn not_promoted(&self, stage: StageIndex, reasons: &[String]) -> (String, Lines) {
        let mut lines = Lines::default();
        lines.spare(lacking(&[], reasons));
        lines.push("It holds as before. What was said of it does not count any more.".to_owned());
        lines.push(self.to_let_it_go_on(stage, reasons));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        (format!("stage {stage} ({}) does not go on", self.weight(stage)), lines)
    }

    pub(super) fn paused(&self, stage: StageIndex, pause: &Pause) -> (String, Lines) {
        let mut lines = Lines::default();
        lines.spare(their_reason(pause.reason.as_deref()));
        lines.push(format!(
            "{} keeps its share of the requests and is judged as before: an alarm or a bad verdict still returns \
             everything to stable.",
            self.new_version()
        ));
        lines.push(format!("To let it go on: `glidepath resume {}`", self.deployment.id));
        lines.push(self.to_look());
        lines.push(self.to_end_it());
        (format!("{} has paused it at stage {stage}", pause.by), lines)
    }

    pub(super) fn resumed(
        &self,
        stage: StageIndex,
        by: &str,
        reason: Option<&str>,
        lasted: Span,
    ) -> (String, Lines) {
        let mut lines = Lines::default();
        lines.spare(their_reason(reason));
        lines
            .push(format!("It goes on at stage {stage}; it was paused for {}.", lasted.in_words()));
        lines.push(self.to_end_it());
        (format!("{by} lets it go on"), lines)
    }

    pub(super) fn foreign_change(&self, found: &str) -> (String, Lines) {
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
            ]
            .into(),
        )
    }

    pub(super) fn route_in_order(&self, lasted: Span) -> (String, Lines) {
        (
            "the route is as it was, so the deployment goes on".to_owned(),
            vec![
                format!("Somebody else's weights may have been there for {}.", lasted.in_words()),
                "That was no time of the bake, and what was measured then counts for no stage."
                    .to_owned(),
                self.to_end_it(),
            ]
            .into(),
        )
    }
}

fn their_reason(reason: Option<&str>) -> impl Iterator<Item = String> {
    reason.map(|reason| format!("Their reason: {}", quoted(reason))).into_iter()
}

/// What a stage lacks, and what speaks against the version.
fn lacking(reasons: &[String], against: &[String]) -> impl Iterator<Item = String> {
    let lacking = reasons.iter().map(|reason| format!("Why: {reason}"));
    lacking.chain(against.iter().map(|reason| format!("Against it: {reason}")))
}
