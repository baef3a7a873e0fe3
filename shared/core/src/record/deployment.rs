//! The deployment as the registry holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::alarm::RecordedHealth;
use super::demand::Demand;
use super::digests::Digests;
use super::event::Event;
use super::fence::Fence;
use super::freeze::Freeze;
use super::hook_run::HookRun;
use super::intent::Intent;
use super::pins::Pins;
use super::revision::Revision;
use super::shift::{Gap, Shift};
use super::weakness::Weakness;
use crate::failure::{Failure, FailureCode};
use crate::harm::{Harm, RequestsPerMinute};
use crate::ids::{AlarmArn, DeploymentId, ExecutionArn, ExecutionStart, IntentId};
use crate::plan::{Plan, RoutePlan, StageIndex};
use crate::record::{Decision, Gate, Pause, Promotion};
use crate::rollback::Forced;
use crate::route::{RouteActions, RouteRef};
use crate::storm::VOUCHED_FOR;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

/// One deployment: its plan, how far it has come, and who may still be writing for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Also the name of its execution.
    pub id: DeploymentId,
    pub execution: ExecutionArn,
    /// When that execution started; unknown to records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_start: Option<ExecutionStart>,
    /// Goes up with every write.
    pub revision: Revision,
    pub phase: Phase,
    /// Why a rollback began; the first reason stays.
    pub fence: Option<Fence>,
    /// Claimed writes that may still land.
    pub intents: BTreeMap<IntentId, Intent>,
    /// Alarm events older than this are not about it.
    pub started_at: Timestamp,
    pub plan: Plan,
    pub progress: Progress,
    pub health: RecordedHealth,
    /// How much traffic the service has, as far as somebody has measured it. What was written
    /// before this was known must still be read: without it there is no rollback.
    #[serde(default)]
    pub traffic: Option<RequestsPerMinute>,
    /// The pause that a decision or a rollback can end.
    pub gate: Option<Gate>,
    pub alarms: Vec<AlarmArn>,
    /// What somebody should know who began it without `glidepath plan`, one sentence each. Records
    /// from before this was kept must still be read.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many notices it has written.
    pub notices: u32,
    /// Past this the sweep looks after it, whatever its execution says; once nothing is due any more, when it
    /// ended.
    pub next_due_at: Timestamp,
    /// How often the services of stable and canary have been locked, this deployment included: whoever comes
    /// later is seen by it. Records from before this was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<(u64, u64)>,
    /// Set while what serves again is asked, after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validating: Option<Validating>,
    /// What people have frozen of it, as it was read beside the record, of which it is no part: nobody who thaws a
    /// service writes its deployments.
    #[serde(skip)]
    pub freeze: Option<Freeze>,
    /// What was told of how its service is otherwise than it has left it, in words; nothing while it is as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
}

/// What follows the end of a rollback, or of a way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validating {
    /// When the deployment ended.
    pub ended_at: Timestamp,
    /// From then on what is not known is told as that.
    pub until: Timestamp,
    /// What its hooks have answered so far; not beside those of a stage, where an older version would read a
    /// lifecycle stage that it does not know.
    pub hooks: Vec<HookRun>,
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Forward writes.
    Open,
    /// Only writes towards stable.
    RollingBack,
    /// Nothing: stable has no healthy target, so traffic stays where it is.
    Held,
    /// Only the completion of a success; an alarm changes nothing any more.
    Committed,
    /// Nothing, for ever.
    Closed(Outcome),
}

impl Phase {
    /// The phase in one word, for people and for the registry's conditions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::RollingBack => "rollingBack",
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Closed(Outcome::Succeeded) => "succeeded",
            Self::Closed(Outcome::RolledBack) => "rolledBack",
            Self::Closed(Outcome::Abandoned) => "abandoned",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Open,
            Self::RollingBack,
            Self::Held,
            Self::Committed,
            Self::Closed(Outcome::Succeeded),
            Self::Closed(Outcome::RolledBack),
            Self::Closed(Outcome::Abandoned),
        ]
        .into_iter()
        .find(|phase| phase.name() == name)
    }
}

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The canary is the stable version now.
    Succeeded,
    /// Everything is on stable.
    RolledBack,
    /// It ended before it wrote anything to the world.
    Abandoned,
}

/// How far a deployment has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub stage: StageIndex,
    pub step: Step,
    /// The last state of every route that was read back as written, in the order of the plan.
    pub verified: Vec<RouteActions>,
    /// When the canary's present weight was read back; `None` before the first shift.
    pub shifted_at: Option<Timestamp>,
    /// Every shift that was read back, in order: tells which stage a minute of metrics belongs to.
    #[serde(default)]
    pub shifts: Vec<Shift>,
    /// Times in which somebody else's weights may have been on a route, in order; what was measured
    /// then counts for no stage.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// When every route was last seen to be this deployment's own.
    #[serde(default)]
    pub in_order_at: Option<Timestamp>,
    /// What the last look said, in words with numbers.
    #[serde(default)]
    pub judged: Vec<String>,
    /// What of it speaks against the canary, without being enough to end it.
    #[serde(default)]
    pub against: Vec<String>,
    /// Names of the checks that only alert of which this stage has told somebody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerted: Vec<String>,
    /// What people have decided so far, in order.
    #[serde(default)]
    pub decisions: Vec<(StageIndex, Decision)>,
    /// Why a look of its own has ended it, once it has: nobody's decision is taken any more.
    #[serde(default)]
    pub ended_by: Option<Failure>,
    /// Who has paused it; `None`: nobody, or it was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Since when it has been frozen without a break, as far as looks have seen it; `None`: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_since: Option<Timestamp>,
    /// For how long it was frozen before, within its windows: no reason to look more rarely, nor as often again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_for: Option<Span>,
    /// When it was last seen not to be frozen any more: evidence and tasks have their time from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thawed_at: Option<Timestamp>,
    /// What the plan's hooks have answered at this stage.
    #[serde(default)]
    pub hooks: Vec<HookRun>,
    /// What the containers of both versions run; `None` until the canary's tasks have been looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Digests>,
    /// When a rollback has written everything back to stable; `None` before.
    pub restored_at: Option<Timestamp>,
    /// That stable is too weak for the rollback, if it was found so.
    #[serde(default)]
    pub weak: Option<Weakness>,
    /// How many tasks the service has turned out to need.
    #[serde(default)]
    pub demand: Demand,
    /// What has been made of the slots' scaling settings.
    #[serde(default, skip_serializing_if = "Pins::is_empty")]
    pub scaling: Pins,
    /// Who has everything sent to stable whatever its health.
    #[serde(default)]
    pub forced: Option<Forced>,
    /// Somebody else's change that a step back has overwritten; the notice that traffic is restored says it.
    #[serde(default)]
    pub overwritten: Option<String>,
    /// A rollback that waits for the load balancer's API; `None` once everything is written.
    #[serde(default)]
    pub throttled: Option<Throttled>,
    /// What somebody was told about a wait that has not ended; it is told once.
    #[serde(default, with = "told")]
    pub told: Option<Event>,
}

/// What was told, so that every version reads the record: without it there is no rollback. A hold is
/// stored as the wait that it was before the two were told apart; what this version does not know is
/// nothing that it has told.
mod told {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::{Value, json};

    use crate::failure::Failure;
    use crate::plan::StageIndex;
    use crate::record::{Event, Freeze};
    use crate::rollback::Forced;
    use crate::route::RouteRef;
    use crate::time::{Span, Timestamp};
    use crate::weight::Weight;

    /// What is told once and then lasts. Not every event: a function that reads no timeline would be linked with all
    /// that reads one.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
    enum Stored {
        Waiting {
            stage: StageIndex,
            reasons: Vec<String>,
            #[serde(default)]
            against: Vec<String>,
            #[serde(default)]
            held: bool,
        },
        OutsideWindows {
            stage: StageIndex,
            opens_at: Option<Timestamp>,
        },
        Frozen {
            stage: StageIndex,
            freeze: Freeze,
            goes_on_at: Option<Timestamp>,
        },
        ForeignChange {
            found: String,
        },
        TrafficRestored {
            failure: Failure,
            overwritten: Option<String>,
            #[serde(default)]
            forced: Option<Forced>,
        },
        RollbackHeld,
        SteppingBack {
            healthy: u32,
            needed: u32,
            keeps: Weight,
        },
        RollbackOverdue {
            healthy: u32,
            needed: u32,
            waited: Span,
        },
        RetirementPostponed,
        StillReached {
            by: Vec<RouteRef>,
        },
    }

    impl From<Stored> for Event {
        fn from(stored: Stored) -> Self {
            match stored {
                Stored::Waiting { stage, reasons, against, held: true } => {
                    Self::StageHeld { stage, reasons, against }
                }
                Stored::Waiting { stage, reasons, against, held: false } => {
                    Self::Waiting { stage, reasons, against }
                }
                Stored::OutsideWindows { stage, opens_at } => {
                    Self::OutsideWindows { stage, opens_at }
                }
                Stored::Frozen { stage, freeze, goes_on_at } => {
                    Self::Frozen { stage, freeze, goes_on_at }
                }
                Stored::ForeignChange { found } => Self::ForeignChange { found },
                Stored::TrafficRestored { failure, overwritten, forced } => {
                    Self::TrafficRestored { failure, overwritten, forced }
                }
                Stored::RollbackHeld => Self::RollbackHeld,
                Stored::SteppingBack { healthy, needed, keeps } => {
                    Self::SteppingBack { healthy, needed, keeps }
                }
                Stored::RollbackOverdue { healthy, needed, waited } => {
                    Self::RollbackOverdue { healthy, needed, waited }
                }
                Stored::RetirementPostponed => Self::RetirementPostponed,
                Stored::StillReached { by } => Self::StillReached { by },
            }
        }
    }

    pub(super) fn serialize<S: Serializer>(
        told: &Option<Event>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match told {
            Some(Event::StageHeld { stage, reasons, against }) => json!({ "waiting": {
                "stage": stage, "reasons": reasons, "against": against, "held": true,
            } })
            .serialize(serializer),
            told => told.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Event>, D::Error> {
        let stored = Value::deserialize(deserializer)?;
        let stored: Option<Stored> = serde_json::from_value(stored).unwrap_or_default();
        Ok(stored.map(Event::from))
    }
}

/// A rollback whose writes the load balancer's API has refused for being too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttled {
    /// Since when: tells how long the storm may go on.
    pub since: Timestamp,
    /// When its state machine tries again.
    pub again_at: Timestamp,
    /// When stable was last looked at meanwhile, whether or not there was an answer: a look without
    /// one decides nothing, and is not repeated at once.
    pub looked_at: Option<Timestamp>,
    /// Routes that have not been written back yet. The others are not written a second time: each
    /// write is one that another rollback cannot make.
    pub left: Vec<RouteRef>,
}

/// Where in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// Tasks start, then the weight moves.
    Settling {
        since: Timestamp,
        /// Whether the weight may move as soon as the tasks are healthy.
        approved: bool,
    },
    /// The tasks are healthy and wait for a person, so that the shift follows the answer at once.
    Approving {
        since: Timestamp,
        until: Timestamp,
        /// The answer, once enough have approved or one has rejected; who has is in `decisions`.
        decision: Option<Decision>,
        /// Whether it was asked a second time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reminded: bool,
    },
    /// At its weight, under watch.
    Baking {
        /// When the weight was read back; later by every time in which somebody else's weights may have
        /// been there, which is no time of the bake.
        since: Timestamp,
        /// Who lets it go on although its evidence is not enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        promoted: Option<Promotion>,
    },
}

impl Step {
    /// Whether a person is asked and may still answer: the one rule for whoever decides and for the look
    /// that ends the wait.
    pub fn awaits(&self, now: Timestamp) -> bool {
        match self {
            Self::Approving { until, .. } => now < *until,
            Self::Settling { .. } | Self::Baking { .. } => false,
        }
    }
}

impl Deployment {
    /// Whether this execution carries it, and not another one of the same name and therefore of the same
    /// ARN: Step Functions forgets a name long before the registry does.
    pub fn is_carried_by(&self, execution: &ExecutionArn, start: Option<&ExecutionStart>) -> bool {
        let same = match (&self.execution_start, start) {
            (Some(own), Some(start)) => own == start,
            // From before the start was kept: a name is in use until its execution has ended.
            (None, _) | (_, None) => !matches!(self.phase, Phase::Closed(_)),
        };
        self.execution == *execution && same
    }

    /// Whether it is still at the step at which somebody has read it, and nobody has paused or resumed it since.
    pub fn is_where(&self, read: &Self) -> bool {
        let (now, then) = (&self.progress, &read.progress);
        let ours = now.ended_by == then.ended_by && now.paused == then.paused;
        now.stage == then.stage && now.step == then.step && ours
    }

    /// The stage whose weight the canary has now: while a stage settles or waits for a person, that is still
    /// the one before it.
    pub const fn watched_stage(&self) -> StageIndex {
        let stage = self.progress.stage;
        match self.progress.step {
            Step::Baking { .. } => stage,
            Step::Settling { .. } | Step::Approving { .. } => StageIndex(stage.0.saturating_sub(1)),
        }
    }

    /// How many tasks all of the traffic needs: what the plan found, or more that was seen since.
    pub fn needed(&self) -> u32 {
        let planned = self.plan.stable.desired_count;
        self.progress.demand.needed.map_or(planned, |needed| needed.max(planned))
    }

    /// For how long a rollback has waited for stable.
    pub fn waited(&self, now: Timestamp) -> Span {
        self.progress.weak.as_ref().map_or(Span::ZERO, |weak| now.since(weak.since))
    }

    /// What a rollback ends: the requests that reach the canary. A shift that is being written
    /// counts as if it had been.
    pub fn harm(&self) -> Harm {
        let verified = self.plan.routes.iter().zip(&self.progress.verified);
        // A route whose share cannot be read counts as everything: rather too early than too late.
        let verified = verified
            .map(|(route, actions)| actions.canary_share(&route.pair).unwrap_or(Weight::ALL));
        let written = self.intents.values().filter_map(Intent::shift);
        Harm::of(verified.chain(written).max().unwrap_or(Weight::ALL), self.traffic)
    }

    /// The health of stable on which a rollback relies: longer than otherwise while it is throttled.
    pub fn vouching(&self) -> RecordedHealth {
        let Some(throttled) = &self.progress.throttled else { return self.health };
        RecordedHealth {
            healthy: self.health.healthy,
            at: throttled
                .looked_at
                .map_or(self.health.at, |looked_at| looked_at.max(self.health.at)),
            fresh_for: self.health.fresh_for.max(VOUCHED_FOR),
        }
    }

    /// The routes that a rollback has still to write.
    pub fn left(&self) -> Vec<RoutePlan> {
        let routes = self.plan.routes.iter();
        match &self.progress.throttled {
            Some(throttled) => {
                routes.filter(|route| throttled.left.contains(&route.route)).cloned().collect()
            }
            None => routes.cloned().collect(),
        }
    }

    /// The item as it will be after this transition: one revision on, without dead intents. Only for
    /// functions, whose clocks AWS keeps: who forgets a claim that may still land breaks everything
    /// that waits for it.
    pub(crate) fn revised(&self, now: Timestamp, next_due_at: Timestamp) -> Self {
        let mut revised = self.decided();
        // Before the intent that says so is gone.
        revised.progress.forced = self.forced();
        revised.intents.retain(|_, intent| intent.lives(now));
        revised.next_due_at = next_due_at;
        revised
    }

    /// The item after a decision that a person records from wherever they are, whatever their clock
    /// says: one revision on, and nothing is forgotten.
    pub(crate) fn decided(&self) -> Self {
        let mut decided = self.clone();
        decided.revision = decided.revision.next();
        decided
    }

    /// When it ended; `None` before.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Closed(_) => {
                let validating = self.validating.as_ref();
                Some(validating.map_or(self.next_due_at, |validating| validating.ended_at))
            }
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => None,
        }
    }

    /// Why it was rolled back.
    pub fn reason(&self) -> Failure {
        self.fence.as_ref().map_or_else(
            || Failure::new(FailureCode::Unexpected, "rolled back without a reason"),
            |fence| fence.failure.clone(),
        )
    }

    /// Whether it is the sweep's business once its time has come.
    pub const fn is_due_some_day(&self) -> bool {
        match self.phase {
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => true,
            Phase::Closed(_) => self.validating.is_some(),
        }
    }

    /// Who has everything sent to stable whatever its health: as recorded, or as a rollback that has
    /// not come further yet has claimed it.
    pub fn forced(&self) -> Option<Forced> {
        self.progress.forced.clone().or_else(|| {
            let person = self.intents.values().find_map(|intent| intent.forced_by.clone());
            person.map(Forced::Operator)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_late_look_says_of_an_earlier_step_is_not_said_of_this_one() {
        use crate::protocol::{Judged, MoveOn, Observed, observe};
        let read = crate::fixtures::deployment();
        let mut now = read.clone();
        now.progress.stage = StageIndex(1);
        now.progress.step = Step::Baking { since: read.started_at, promoted: None };
        now.progress.against = vec!["1 of 3 canary targets are healthy".to_owned()];
        let observed = Observed { judged: Some(Judged::default()), ..Observed::default() };
        let at = read.started_at;
        let (seen, _) = observe(&now, &read, observed, MoveOn::Stay, at, at).unwrap();
        assert_eq!(seen.progress.against, now.progress.against);
    }

    #[test]
    fn what_was_told_makes_no_record_unreadable_for_another_version() {
        let mut progress = crate::fixtures::deployment().progress;
        let reasons = vec!["12 of 200 requests".to_owned()];
        let stage = StageIndex(0);
        progress.told = Some(Event::StageHeld { stage, reasons, against: Vec::new() });
        let mut stored = serde_json::to_value(&progress).unwrap();
        // Versions that do not know `stageHeld` read this.
        assert_eq!(stored["told"]["waiting"]["reasons"], json!(["12 of 200 requests"]));
        assert_eq!(serde_json::from_value::<Progress>(stored.clone()).unwrap(), progress);
        stored["told"] = json!({ "unheardOf": { "stage": 0 } });
        assert_eq!(serde_json::from_value::<Progress>(stored.clone()).unwrap().told, None);
        stored["told"] = json!({ "waiting": { "stage": 0, "reasons": ["old"] } });
        let told = serde_json::from_value::<Progress>(stored).unwrap().told.unwrap();
        assert_eq!(told.name(), "waiting");
    }
}
