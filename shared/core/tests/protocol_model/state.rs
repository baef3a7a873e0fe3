//! The state of the model: the registry's items, the world, the executions, and the invocations
//! that are under way.

use std::sync::Arc;

use glidepath_core::ids::{DeploymentId, IntentId};
use glidepath_core::plan::Slot;
use glidepath_core::protocol::Items;
use glidepath_core::record::{Deployment, Intent, Outcome, Phase, Step, Tick};
use glidepath_core::storm::VOUCHED_FOR;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;

use crate::bounds::{Bounds, Budget, Successor};
use crate::example::{COARSE, LIFETIME, PUT_OFF_FOR, SLOTS, START, Who, green_share, slot_index};
use crate::process::Process;

/// Everything at one instant.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) now: Timestamp,
    pub(crate) items: Arc<Items>,
    pub(crate) world: World,
    /// Unanswered writes that may still land.
    pub(crate) flights: Vec<Flight>,
    pub(crate) machines: [Machine; 2],
    /// Invocations, by their number.
    pub(crate) processes: Vec<Process>,
    pub(crate) events: Vec<Event>,
    pub(crate) left: Budget,
    pub(crate) seen: Seen,
}

/// Everything outside the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// Green's share of the route.
    pub(crate) green: Weight,
    /// Whether the route has green's group at all.
    pub(crate) attached: bool,
    /// Wanted tasks, which run at once, by slot.
    pub(crate) tasks: [u8; 2],
    /// What they run.
    pub(crate) versions: [u8; 2],
    /// Since when CloudWatch says of the alarm that it is in ALARM.
    pub(crate) firing_since: Option<Timestamp>,
    /// The slot whose targets are sick.
    pub(crate) sick: Option<Sick>,
}

impl World {
    pub(crate) fn share(&self, slot: Slot) -> Weight {
        match slot {
            Slot::Blue => self.green.rest(),
            Slot::Green => self.green,
        }
    }

    pub(crate) fn carries(&self, slot: Slot) -> bool {
        self.share(slot) != Weight::NONE
    }

    /// Healthy targets.
    pub(crate) fn healthy(&self, slot: Slot) -> u32 {
        // Targets of a group that no rule names are not health-checked.
        let unused = slot == Slot::Green && !self.attached;
        let tasks = if unused { 0 } else { self.tasks[slot_index(slot)] };
        let sick = self.sick.filter(|sick| sick.slot == slot);
        u32::from(sick.map_or(tasks, |sick| tasks.min(sick.healthy)))
    }

    /// Whether some traffic goes to a slot without tasks.
    pub(crate) fn leads_nowhere(&self) -> bool {
        SLOTS.into_iter().any(|slot| self.carries(slot) && self.tasks[slot_index(slot)] == 0)
    }
}

/// Sick targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sick {
    pub(crate) slot: Slot,
    /// How many are healthy all the same.
    pub(crate) healthy: u8,
    pub(crate) since: Timestamp,
}

/// A write to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Green's share of the route.
    Route(Weight),
    /// Tasks of a slot, and which version, if it changes.
    Tasks { slot: Slot, wanted: u8, version: Option<u8> },
}

/// An unanswered write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) author: Author,
    pub(crate) effect: Effect,
    /// From then on it cannot land any more.
    pub(crate) until: Timestamp,
}

/// In whose name something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Author {
    /// A deployment that has its locks.
    Deployment(Who),
    /// A retirement, while nobody has the lock.
    Retirement,
}

/// An execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) at: At,
    pub(crate) alive: bool,
    /// Its invocation under way.
    pub(crate) invocation: Option<u8>,
    /// The newest entry of the gate.
    pub(crate) entered: u32,
    pub(crate) redrives: u32,
}

/// Where an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    Plan,
    Advance,
    /// The token is being stored.
    Gate,
    /// The token is stored; waits for it or for the time-out.
    Paused,
    Validate,
    Complete,
    Rollback,
    Ended,
}

impl Machine {
    /// The order of the present entry of the gate. Entries are milliseconds apart in truth.
    pub(crate) fn tick(&self) -> Tick {
        Tick {
            redrive_count: self.redrives,
            entered_at: Timestamp::from_millis(i64::from(self.entered)),
            retry_count: 0,
        }
    }
}

/// An alarm event that will be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    /// The state's timestamp.
    pub(crate) at: Timestamp,
    /// How often it will still be delivered.
    pub(crate) deliveries: u8,
}

/// What somebody who sees everything has seen. The protocol knows nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// The deployment that began last.
    pub(crate) last: Option<Who>,
    /// Terminal notices by deployment, up to two.
    pub(crate) ends: [u8; 2],
    /// A fence was closed by an alarm that fired at or after the start, by deployment.
    pub(crate) fired: [bool; 2],
    /// Something went wrong: a crash, a lost answer, a dead execution.
    pub(crate) fault: bool,
    /// A write landed in the name of a deployment that had unlocked.
    pub(crate) late_write: bool,
    /// Tasks were taken from a slot that carries weight.
    pub(crate) served_by_nobody: bool,
    /// A deployment that had shifted nothing changed the tasks that serve.
    pub(crate) wrong_roles: bool,
    /// A deployment was committed although its alarm had fired.
    pub(crate) committed_after_firing: bool,
    /// A deployment was opened, committed or succeeded although its rollback had begun.
    pub(crate) went_on: bool,
    /// A deployment was stopped by an event from before its start.
    pub(crate) stopped_by_the_past: bool,
    /// A rollback failed although everything that it called answered in time.
    pub(crate) rollback_failed: bool,
    /// An attempt got no answer, came too late, or its invocation died.
    pub(crate) unanswered: bool,
    /// A rollback that nobody forced wrote everything to a slot that had nothing healthy since
    /// before anybody could have relied on an older look.
    pub(crate) onto_nothing: bool,
    /// A step back gave the canary more.
    pub(crate) stepped_forward: bool,
    /// A rollback's write was refused for being one too many. Not a fault: nothing was lost.
    pub(crate) throttled: bool,
    /// A rollback did not wake an execution whose token was stored.
    pub(crate) not_woken: bool,
    /// Somebody else was said to have changed the route, and nobody had.
    pub(crate) accused: bool,
    /// Somebody else has changed the route.
    pub(crate) meddled: bool,
    /// Stages about which somebody was asked, and which somebody has approved, by the first deployment.
    pub(crate) asked: [bool; 2],
    pub(crate) approved: [bool; 2],
    /// A stage was shifted that asks and that nobody had approved.
    pub(crate) unseen_shift: bool,
    /// Stages that were said to hold, and which somebody has let go on, by the first deployment.
    pub(crate) held: [bool; 2],
    pub(crate) promoted: [bool; 2],
    /// A stage that lacks evidence was left, and nobody had let it go on.
    pub(crate) unasked: bool,
    /// An answer was confirmed and then forgotten.
    pub(crate) answer_lost: bool,
    /// How many steps of time the stage has had its own weight, where somebody may meddle.
    pub(crate) own_time: u8,
    /// It went on before it had baked at its own weight.
    pub(crate) hasty: bool,
}

impl State {
    /// Blue serves, both deployments are asked for.
    pub(crate) fn first(bounds: &Bounds) -> Self {
        let machine =
            |alive| Machine { at: At::Plan, alive, invocation: None, entered: 0, redrives: 0 };
        let mut state = Self {
            now: START,
            items: Arc::default(),
            world: World {
                green: Weight::NONE,
                attached: !bounds.attaches,
                tasks: [bounds.tasks, 0],
                versions: [1, 1],
                firing_since: None,
                sick: None,
            },
            flights: Vec::new(),
            machines: [machine(true), machine(bounds.successor == Successor::AtAnyTime)],
            processes: Vec::new(),
            events: Vec::new(),
            left: bounds.budget,
            seen: Seen::default(),
        };
        for who in Who::BOTH {
            state.invoke(who);
        }
        state
    }

    pub(crate) fn deployment(&self, who: Who) -> Option<&Deployment> {
        self.items.deployments.get(&who.id())
    }

    pub(crate) fn closed(&self, id: &DeploymentId) -> Option<Outcome> {
        match self.items.deployments.get(id)?.phase {
            Phase::Closed(outcome) => Some(outcome),
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => None,
        }
    }

    /// Lets a write take effect, and sees whether it should not.
    pub(crate) fn land(&mut self, author: Author, effect: Effect) {
        match author {
            Author::Deployment(who) => {
                self.seen.late_write |= self.closed(&who.id()).is_some();
            }
            Author::Retirement => {
                let held = self.items.locks.values().any(|lock| lock.holder.is_some());
                self.seen.late_write |= held;
            }
        }
        match effect {
            Effect::Route(green) => {
                self.world.green = green;
                self.world.attached = true;
            }
            Effect::Tasks { slot, wanted, version } => {
                if self.world.carries(slot) {
                    self.seen.served_by_nobody |= wanted == 0;
                    // The same tasks once more change nothing.
                    let other =
                        version.is_some_and(|new| new != self.world.versions[slot_index(slot)]);
                    self.seen.wrong_roles |= other && self.has_not_shifted(author);
                }
                self.world.tasks[slot_index(slot)] = wanted;
                if let Some(version) = version {
                    self.world.versions[slot_index(slot)] = version;
                }
            }
        }
    }

    /// Whether a slot has had nothing healthy for so long before this claim that nobody could rely
    /// on an older look. A rollback that is throttled since some time relies on a look for longer,
    /// but on none that was too old for its next turn when it was put off first, which is recorded
    /// after `pauses` at most.
    pub(crate) fn dead(
        &self,
        slot: Slot,
        claim: &Intent,
        throttled_since: Option<Timestamp>,
        pauses: Span,
    ) -> bool {
        let claimed_at = claim.deadline - LIFETIME;
        let Some(sick) = self.world.sick.filter(|sick| sick.slot == slot) else { return false };
        let unseen = match throttled_since {
            None => sick.since + COARSE >= claimed_at,
            Some(since) => {
                sick.since + COARSE.minus(PUT_OFF_FOR).plus(pauses) >= since
                    && sick.since + VOUCHED_FOR >= claimed_at
            }
        };
        self.world.healthy(slot) == 0 && !unseen
    }

    fn has_not_shifted(&self, author: Author) -> bool {
        match author {
            Author::Deployment(who) => self
                .deployment(who)
                .is_some_and(|deployment| deployment.progress.shifted_at.is_none()),
            Author::Retirement => false,
        }
    }

    /// Whether the first deployment bakes, and at which share of green.
    pub(crate) fn bakes_at(&self) -> Option<Weight> {
        let deployment = self.deployment(Who::First)?;
        let open = deployment.phase == Phase::Open;
        let bakes = matches!(deployment.progress.step, Step::Baking { .. });
        let verified = deployment.progress.verified.first().filter(|_| open && bakes)?;
        Some(green_share(verified))
    }

    /// Whether an invocation has made its first call and not its last.
    pub(crate) fn busy(&self) -> bool {
        self.processes.iter().any(|process| !process.work.fresh())
    }

    /// A number for an invocation that neither an invocation nor a live intent has.
    pub(crate) fn free_number(&self) -> u8 {
        let taken = |number: u8| {
            self.processes.iter().any(|process| process.number == number)
                || self.live_intents().any(|id| id.as_str().starts_with(&format!("{number}.")))
        };
        (0..=u8::MAX).find(|number| !taken(*number)).expect("fewer than 256 invocations")
    }

    fn live_intents(&self) -> impl Iterator<Item = &IntentId> {
        let deployments = self.items.deployments.values().flat_map(|item| &item.intents);
        let alarms = self.items.alarms.values().flat_map(|item| &item.intents);
        let retirements = self.items.retirements.values().filter_map(|item| item.intent.as_ref());
        deployments
            .chain(alarms)
            .chain(retirements.map(|(id, intent)| (id, intent)))
            .filter(|(_, intent)| intent.lives(self.now))
            .map(|(id, _)| id)
    }
}
