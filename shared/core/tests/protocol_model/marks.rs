//! What of a state decides what can happen next. States that differ in nothing else are explored
//! once: times count from now and only as far as anything compares them, revisions only by whether
//! they are the newest, dead intents not at all. So time needs no bound.

use std::hash::{Hash, Hasher};

use glidepath_core::ids::IntentId;
use glidepath_core::record::{
    AlarmItem, Binding, Deployment, Intent, Lock, LockKey, Phase, RecordedHealth, Retirement,
    Revision, Step, Tick,
};
use glidepath_core::rollback::AfterHold;
use glidepath_core::storm::VOUCHED_FOR;
use glidepath_core::time::{Span, Timestamp};

use crate::example::{COARSE, FINE, NEVER, Who, blue_only, green_share};
use crate::process::Process;
use crate::state::{Author, Effect, State};

/// No comparison reaches further.
const REACH: Span = COARSE.plus(FINE);

/// But for those with a look at stable that vouches for a throttled rollback.
const FAR: Span = REACH.plus(VOUCHED_FOR);

/// Something that adds to the marks of a state.
pub(crate) trait Mark {
    fn mark(&self, marks: &mut Marks<'_>);
}

/// The marks of a state so far.
pub(crate) struct Marks<'a> {
    state: &'a State,
    /// Starts and firings, whose order matters however old they are.
    order: Vec<Timestamp>,
    /// What was dead by then is dead for everybody, also for those who looked at the clock before.
    horizon: Timestamp,
    reach: Span,
    words: Vec<u64>,
    /// The numbers of the invocations, in an order that does not depend on them.
    numbers: Vec<u8>,
}

/// The rank of an intent whose invocation has ended.
const ORPHAN: usize = usize::MAX;

impl<'a> Marks<'a> {
    fn of(state: &'a State) -> Self {
        let starts = state.items.deployments.values().map(|deployment| deployment.started_at);
        let firings = state.items.alarms.values().filter_map(|alarm| alarm.fired_at);
        let events = state.events.iter().map(|event| event.at);
        let now = state.world.firing_since;
        let mut order: Vec<_> = starts.chain(firings).chain(events).chain(now).collect();
        order.extend(state.processes.iter().filter_map(|process| process.work.orders()));
        order.sort_unstable();
        order.dedup();
        let horizon = if state.busy() { state.now - REACH } else { state.now };
        // Somebody who is under way may have read a deployment while it was throttled.
        let far = |item: &Deployment| {
            let throttled = item.progress.throttled.is_some() || state.busy();
            state.seen.throttled && throttled && item.health.fresh_for < NEVER
        };
        let reach = if state.items.deployments.values().any(far) { FAR } else { REACH };
        let words = Vec::with_capacity(256);
        Self { state, order, horizon, reach, words, numbers: Vec::new() }
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.words.push(word);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.words.push(u64::from(flag));
    }

    pub(crate) fn some<Item>(&mut self, item: Option<Item>, mark: impl FnOnce(&mut Self, Item)) {
        self.flag(item.is_some());
        if let Some(item) = item {
            mark(self, item);
        }
    }

    pub(crate) fn hash(&mut self, item: impl Hash) {
        let mut hasher = std::hash::DefaultHasher::new();
        item.hash(&mut hasher);
        self.words.push(hasher.finish());
    }

    /// Time from now, as far as any comparison reaches.
    pub(crate) fn time(&mut self, time: Timestamp) {
        let reach = i64::try_from(self.reach.as_millis()).unwrap_or(i64::MAX);
        let from_now = time.as_millis().saturating_sub(self.state.now.as_millis());
        self.words.push(from_now.clamp(-reach, reach).cast_unsigned());
    }

    /// A start or a firing: compared with others like it as well.
    pub(crate) fn ordered(&mut self, time: Timestamp) {
        let place = self.order.partition_point(|earlier| *earlier < time);
        self.words.push(place as u64);
        let tick = i64::try_from(FINE.as_millis()).unwrap_or(i64::MAX);
        let from_now = time.as_millis().saturating_sub(self.state.now.as_millis());
        self.words.push(from_now.max(-tick).cast_unsigned());
    }

    /// Something that the sweep looks at, if it still comes.
    pub(crate) fn due(&mut self, time: Timestamp) {
        self.time(time.max(self.state.now));
    }

    /// Whether somebody can change the route, or has: then the time of a bake matters.
    fn meddles(&self) -> bool {
        self.state.left.meddles > 0 || self.state.seen.meddled
    }

    /// Whether a rollback can be put off, or was.
    pub(crate) fn storms(&self) -> bool {
        self.state.left.throttles > 0 || self.state.seen.throttled
    }

    pub(crate) fn intent(&mut self, intent: &Intent) {
        self.time(intent.dead_at().max(self.horizon));
    }

    fn intents<'i>(&mut self, intents: impl Iterator<Item = (&'i IntentId, &'i Intent)>) {
        let living = intents.filter(|(_, intent)| intent.lives(self.horizon));
        let mut marks: Vec<_> = living
            .map(|(id, intent)| {
                let (number, kind) = id.as_str().split_once('.').unwrap_or_default();
                let number = number.parse::<u8>().ok();
                let rank = self.numbers.iter().position(|own| Some(*own) == number);
                let from_now = intent.dead_at().as_millis() - self.state.now.as_millis();
                (rank.unwrap_or(ORPHAN) as u64, u64::from(kind == "r"), from_now.cast_unsigned())
            })
            .collect();
        marks.sort_unstable();
        for (rank, kind, from_now) in marks {
            self.words.extend([rank, kind, from_now]);
        }
        self.word(u64::MAX);
    }

    /// Numbers say only who is who: puts the invocations into an order that is the same for all
    /// states that differ in nothing else.
    fn renumber(&mut self) {
        let mut order: Vec<_> = self
            .state
            .processes
            .iter()
            .map(|process| {
                self.numbers = vec![process.number];
                self.words.clear();
                self.process(process);
                (self.words.clone(), process.number)
            })
            .collect();
        order.sort_unstable();
        self.numbers = order.into_iter().map(|(_, number)| number).collect();
        self.words.clear();
    }

    fn process(&mut self, process: &Process) {
        self.hash((process.who, process.origin));
        process.work.mark(self);
    }

    /// A deployment as somebody has read it.
    pub(crate) fn deployment(&mut self, read: &Deployment) {
        let who = Who::of(&read.id);
        let newest = self.state.deployment(who).is_some_and(|now| now.revision == read.revision);
        self.word(2 + who.index() as u64);
        self.flag(newest);
        if !newest {
            self.content(read);
        }
    }

    fn content(&mut self, deployment: &Deployment) {
        self.hash((deployment.phase, deployment.plan.stable.slot));
        self.flag(deployment.fence.is_some());
        self.flag(deployment.revision == Revision::default());
        self.intents(deployment.intents.iter());
        self.ordered(deployment.started_at);
        if matches!(deployment.phase, Phase::Closed(_)) {
            // Nothing else of it is looked at any more.
            return;
        }
        let progress = &deployment.progress;
        self.word(progress.stage.0 as u64);
        self.word(match progress.step {
            Step::Settling { approved, .. } => u64::from(approved),
            Step::Approving { ref decision, .. } => 2 + 2 * u64::from(decision.is_some()),
            Step::Baking { ref promoted, .. } => 3 + 4 * u64::from(promoted.is_some()),
        });
        match progress.step {
            Step::Approving { until, .. } => self.time(until),
            Step::Baking { since, .. } if self.meddles() => self.time(since),
            Step::Settling { .. } | Step::Baking { .. } => {}
        }
        self.flag(progress.ended_by.is_some());
        if self.meddles() {
            self.some(progress.gap(), Self::time);
            self.some(progress.in_order_at, Self::time);
        }
        for verified in &progress.verified {
            self.hash(green_share(verified));
            self.flag(*verified == blue_only());
        }
        self.flag(progress.shifted_at.is_some());
        self.flag(progress.restored_at.is_some());
        self.hash(progress.told.as_ref().map(glidepath_core::record::Event::name));
        self.flag(deployment.forced().is_some());
        self.some(progress.weak.as_ref(), |marks, weak| {
            marks.hash((&weak.steps, weak.told_of_none, weak.told_of_few));
            match deployment.plan.rollback.then {
                AfterHold::Force => marks.time(weak.since),
                AfterHold::Hold => {}
            }
        });
        self.health(deployment.health);
        self.some(progress.throttled.as_ref(), |marks, throttled| {
            marks.time(throttled.since);
            marks.due(throttled.again_at);
        });
        self.some(deployment.gate.as_ref(), |marks, gate| {
            marks.tick(who_of(deployment), gate.tick)
        });
        if self.state.left.sweeps > 0 {
            self.due(deployment.next_due_at);
        }
    }

    /// An entry of the gate, by how far it is behind the newest.
    pub(crate) fn tick(&mut self, who: Who, tick: Tick) {
        let newest = self.state.machines[who.index()];
        let behind = i64::from(newest.entered) - tick.entered_at.as_millis();
        self.word(u64::from(newest.redrives - tick.redrive_count));
        self.word(behind.clamp(-3, 3).cast_unsigned());
    }

    pub(crate) fn alarm(&mut self, read: &AlarmItem) {
        let stored = self.state.items.alarms.get(&read.arn);
        let newest = stored.is_none_or(|stored| stored.revision == read.revision);
        self.flag(newest);
        if !newest {
            self.alarm_content(read);
        }
    }

    fn alarm_content(&mut self, alarm: &AlarmItem) {
        self.some(alarm.fired_at, Self::ordered);
        for (id, binding) in &alarm.bindings {
            self.hash(id);
            self.binding(binding);
        }
        self.intents(alarm.intents.iter());
    }

    pub(crate) fn binding(&mut self, binding: &Binding) {
        self.ordered(binding.started_at);
        self.health(binding.health);
    }

    pub(crate) fn health(&mut self, health: RecordedHealth) {
        self.word(u64::from(health.healthy));
        if health.fresh_for < NEVER {
            self.time(health.at);
        }
    }

    pub(crate) fn lock(&mut self, lock: &Lock) {
        self.hash((&lock.key, &lock.holder, lock.epoch));
    }

    pub(crate) fn retirement(&mut self, key: &LockKey, read: &Retirement) {
        let stored = self.state.items.retirements.get(key);
        self.flag(stored.is_some_and(|stored| stored.revision == read.revision));
        self.retirement_content(read);
    }

    /// A retirement that a plan consumes, as it has read it.
    pub(crate) fn consumed(&mut self, key: &LockKey, read: Revision) {
        let stored = self.state.items.retirements.get(key);
        self.flag(stored.is_some_and(|stored| stored.revision == read));
    }

    fn retirement_content(&mut self, retirement: &Retirement) {
        self.hash((retirement.slot, &retirement.deployment));
        self.due(retirement.due_at);
        self.intents(retirement.intent.iter().map(|(id, intent)| (id, intent)));
    }

    fn author(&mut self, author: Author, effect: Effect) {
        self.hash((author, effect));
    }

    fn items(&mut self) {
        let items = &self.state.items;
        for deployment in items.deployments.values() {
            self.content(deployment);
        }
        self.word(u64::MAX);
        for alarm in items.alarms.values() {
            self.alarm_content(alarm);
        }
        self.word(u64::MAX);
        for lock in items.locks.values() {
            self.lock(lock);
        }
        for retirement in items.retirements.values() {
            self.retirement_content(retirement);
        }
        self.word(u64::MAX);
    }

    fn all(&mut self) {
        let state = self.state;
        if state.processes.len() > 1 {
            self.renumber();
        } else {
            self.numbers = state.processes.iter().map(|process| process.number).collect();
        }
        self.items();
        let world = &state.world;
        self.hash((world.green, world.attached, world.tasks, world.versions));
        self.some(world.sick, |marks, sick| {
            marks.hash((sick.slot, sick.healthy));
            marks.time(sick.since);
        });
        self.some(world.firing_since, Self::ordered);
        self.hash((state.left, state.seen));
        let mut flights = state.flights.clone();
        flights.sort_unstable_by_key(|flight| flight.until);
        for flight in flights {
            self.author(flight.author, flight.effect);
            self.time(flight.until);
        }
        for machine in &state.machines {
            self.hash((machine.at, machine.alive));
        }
        for event in &state.events {
            self.ordered(event.at);
            self.word(u64::from(event.deliveries));
        }
        for number in self.numbers.clone() {
            let process = state.processes.iter().find(|process| process.number == number);
            self.some(process, Self::process);
        }
    }
}

fn who_of(deployment: &Deployment) -> Who {
    Who::of(&deployment.id)
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut marks = Marks::of(self);
        marks.all();
        marks.words.hash(hasher);
    }
}

impl PartialEq for State {
    /// Two states are the same if the same can happen next.
    fn eq(&self, other: &Self) -> bool {
        let words = |state| {
            let mut marks = Marks::of(state);
            marks.all();
            marks.words
        };
        words(self) == words(other)
    }
}
