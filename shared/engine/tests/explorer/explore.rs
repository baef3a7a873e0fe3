//! Going through states: all of them within the bounds, or random ways through more than that.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use glidepath_core::plan::Plan;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::Outcome;
use glidepath_core::rollback::AfterHold;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::testing::example::START;

use crate::actions::Action;
use crate::boundary::Fate;
use crate::bounds::{Bounds, Budget, From, Successor};
use crate::ending;
use crate::example::{self, blue, first};
use crate::mistake::Mistake;
use crate::print::Printer;
use crate::process::Kind;
use crate::properties;
use crate::situation::{Machine, Seen, Situation};

/// How a state was reached, the last action first.
struct Way {
    at: Timestamp,
    action: Action,
    /// What is called, by whom.
    call: Option<(Kind, u64, &'static str)>,
    before: Option<Arc<Self>>,
}

/// What an exploration has come to.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// Endings that were driven.
    pub(crate) endings: usize,
    pub(crate) succeeded: usize,
    pub(crate) rolled_back: usize,
    /// In so many states everything is sent to stable whatever its health.
    pub(crate) forced: usize,
    /// So many of the rolled back ones had been put off.
    pub(crate) came_back: usize,
    /// There was more.
    pub(crate) capped: bool,
    /// Properties that do not hold and that were not looked for.
    pub(crate) others: BTreeSet<&'static str>,
    /// A property that does not hold, and the way there.
    pub(crate) broken: Option<(&'static str, Vec<String>)>,
}

/// The plan of the first deployment of these bounds, in the world that it begins in.
fn beginning(bounds: &Bounds) -> Situation {
    let second = (bounds.successor != Successor::Never).then(example::successor);
    let both = bounds.both_routes;
    let machines = std::iter::once(Machine::new(first(), true, both))
        .chain(second.map(|id| Machine::new(id, false, both)))
        .collect();
    let items = bounds.plan.clone().map(example::begun).unwrap_or_default();
    let mut world = example::world(bounds.plan.as_ref(), both);
    if bounds.from == From::Tasks {
        example::run_canary(&mut world);
    }
    let mut state = Situation {
        now: START,
        items: Arc::new(items),
        world: Arc::new(world),
        prints: (0, 0),
        machines,
        processes: Vec::new(),
        flights: Vec::new(),
        events: Vec::new(),
        left: bounds.budget,
        seen: Seen::default(),
        started: [0; 5],
    };
    state.renew();
    match bounds.plan {
        Some(_) => state.go(0, NextStep::Advance, Span::ZERO),
        None => state.invoke(0),
    }
    state
}

/// The state in which an exploration begins.
pub(crate) fn start(bounds: &Bounds) -> Situation {
    let quiet = Bounds { budget: Budget::default(), ..bounds.clone() };
    let mut state = beginning(&quiet);
    while !begins(bounds, &state) {
        let actions = state.actions(&quiet);
        let action = actions.first().expect("it comes as far as the exploration begins");
        state = state.after(&quiet, action);
    }
    state.left = bounds.budget;
    if let From::Weak(healthy) = bounds.from {
        state.detach(0);
        state.processes.clear();
        state.machines[0].alive = false;
        state.machines[0].wakes_at = None;
        state.seen.fault = true;
        if healthy < 3 {
            Arc::make_mut(&mut state.world).weak.insert(blue(), healthy);
        }
        if healthy == 0 {
            state.seen.dead_since = Some(state.now);
        }
        state.now = state.now + Span::from_secs(600);
        state.renew();
    }
    state
}

fn begins(bounds: &Bounds, state: &Situation) -> bool {
    let machine = &state.machines[0];
    let tasks = crate::example::tasks(&state.world, glidepath_core::plan::Slot::Green);
    !state.busy()
        && match bounds.from {
            From::Start | From::Tasks => true,
            From::Shift => {
                machine.at == Some(NextStep::Advance) && tasks > 0 && machine.invocation.is_some()
            }
            From::Bake | From::Weak(_) => {
                matches!(machine.at, Some(NextStep::Gate | NextStep::Validate))
            }
            From::Commit => machine.at == Some(NextStep::Complete),
        }
}

struct Search<'a> {
    bounds: &'a Bounds,
    known: HashSet<u64>,
    /// Registry and world of quiet states that are known to end.
    ending: HashSet<u64>,
    explored: Explored,
}

impl Search<'_> {
    /// What does not hold in a state; what is looked for before anything else.
    fn broken(&mut self, state: &Situation, wanted: Option<&'static str>) -> Option<&'static str> {
        let broken = properties::broken(self.bounds, state);
        let found = wanted.filter(|wanted| broken.contains(wanted));
        if let Some(property) = found.or_else(|| broken.first().copied()) {
            return Some(property);
        }
        if state.deployment(&first()).is_some_and(|item| item.forced().is_some()) {
            self.explored.forced += 1;
        }
        match state.closed(&first()) {
            Some(Outcome::Succeeded) => self.explored.succeeded += 1,
            Some(Outcome::RolledBack) => {
                let put_off = state.left.throttles < self.bounds.budget.throttles;
                self.explored.rolled_back += 1;
                self.explored.came_back += usize::from(put_off);
            }
            Some(Outcome::Abandoned) | None => {}
        }
        if state.busy() {
            return None;
        }
        let mut printer = Printer::new();
        printer.word(state.prints.0);
        printer.word(state.prints.1);
        printer.word(state.now.as_millis().cast_unsigned());
        printer.debug((state.seen.meddled, state.seen.rebound));
        if !self.ending.insert(printer.finish()) {
            return None;
        }
        self.explored.endings += 1;
        ending::is_brought_about(self.bounds, state).err()
    }
}

/// Goes through every state within the bounds, until `wanted` is broken, or anything if nothing is wanted.
pub(crate) fn search(bounds: &Bounds, wanted: Option<&'static str>, most: usize) -> Explored {
    let begin = start(bounds);
    let explored = Explored::default();
    let mut search = Search { bounds, known: HashSet::new(), ending: HashSet::new(), explored };
    let mut stack: VecDeque<(Situation, Option<Arc<Way>>)> = [(begin, None)].into();
    // What is looked for is near, or far along a way that is soon gone.
    let mut near = false;
    loop {
        near = wanted.is_some() && !near;
        let next = if near { stack.pop_front() } else { stack.pop_back() };
        let Some((state, way)) = next else { break };
        if !search.known.insert(state.print()) {
            continue;
        }
        search.explored.states += 1;
        if search.explored.states >= most {
            search.explored.capped = true;
            return search.explored;
        }
        if let Some(property) = search.broken(&state, wanted) {
            if wanted.is_none_or(|wanted| wanted == property) {
                search.explored.broken = Some((property, told(way.as_ref())));
                return search.explored;
            }
            // What comes after a mistake was seen says nothing.
            search.explored.others.insert(property);
            continue;
        }
        for action in state.actions(bounds) {
            search.explored.steps += 1;
            let next = state.after(bounds, &action);
            stack.push_back((next, Some(Way::new(&state, action, way.clone()))));
        }
    }
    search.explored
}

/// Goes random ways through more than can be exhausted: the same ones each time.
pub(crate) fn wander(name: &str, bounds: &Bounds, seed: u64, steps: usize) {
    let begun = Instant::now();
    let begin = start(bounds);
    let explored = Explored::default();
    let mut search = Search { bounds, known: HashSet::new(), ending: HashSet::new(), explored };
    let mut random = Random(seed);
    let mut ways = 0;
    while search.explored.steps < steps {
        ways += 1;
        let (mut state, mut way) = (begin.clone(), None);
        loop {
            if search.known.insert(state.print()) {
                search.explored.states += 1;
                if let Some(property) = search.broken(&state, None) {
                    panic!("{name}: not `{property}`:\n{}", told(way.as_ref()).join("\n"));
                }
            }
            let actions = state.actions(bounds);
            if actions.is_empty() {
                break;
            }
            let action = actions[random.below(actions.len())].clone();
            let next = state.after(bounds, &action);
            way = Some(Way::new(&state, action, way));
            state = next;
            search.explored.steps += 1;
        }
    }
    let explored = search.explored;
    println!(
        "{name}: {} states on {ways} ways, {} steps, {}, {:.1?}",
        explored.states,
        explored.steps,
        explored.came_to(),
        begun.elapsed()
    );
    explored.has_looked(name, bounds);
}

impl Explored {
    fn came_to(&self) -> String {
        let Self { endings, succeeded, rolled_back, forced, came_back, .. } = self;
        format!(
            "{endings} endings, {succeeded} succeeded, {rolled_back} rolled back, {forced} forced, \
             {came_back} came back"
        )
    }

    /// Whether what the bounds make possible was seen: no property holds for not having been looked at.
    fn has_looked(&self, name: &str, bounds: &Bounds) {
        let Budget { firings, operators, forces, throttles, vetoes, .. } = bounds.budget;
        let forcing = |plan: &Plan| plan.rollback.then == AfterHold::Force;
        let forcing = bounds.plan.as_ref().is_some_and(forcing);
        // Where nothing comes to a stop, nothing has happened that could break a property.
        let expected = [
            ("came to a stop", true, self.endings),
            ("was rolled back", firings + operators + vetoes > 0, self.rolled_back),
            ("was forced", forces > 0 || forcing, self.forced),
            ("came back", throttles > 0, self.came_back),
        ];
        for (what, possible, seen) in expected {
            assert!(!possible || seen > 0, "{name}: nothing {what}");
        }
    }
}

/// Numbers that look random, by xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap_or(0)
    }
}

impl Way {
    fn new(state: &Situation, action: Action, before: Option<Arc<Self>>) -> Arc<Self> {
        let call = match &action {
            Action::Grant { number, call, .. } | Action::DieAfter { number, call } => {
                state.process(*number).map(|process| {
                    let called = process.pending.iter().find(|pending| pending.number == *call);
                    (process.work.kind(), *number, called.map_or("", |called| called.operation))
                })
            }
            _ => None,
        };
        Arc::new(Self { at: state.now, action, call, before })
    }

    fn line(&self) -> String {
        let called = self.call.map_or(String::new(), |(kind, number, operation)| {
            format!("{kind:?} {number}: {operation}")
        });
        let action = match &self.action {
            Action::Grant { fate: Fate::Answered, holds: false, .. } => String::new(),
            Action::Grant { fate, holds, .. } => {
                format!(" {fate:?}{}", if *holds { ", and stands still" } else { "" })
            }
            Action::DieAfter { .. } => ", and dies".to_owned(),
            other => format!("{other:?}"),
        };
        format!("{:>5} s  {called}{action}", self.at.since(START).as_millis() / 1000)
    }
}

fn told(way: Option<&Arc<Way>>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut next = way;
    while let Some(way) = next {
        lines.push(way.line());
        next = way.before.as_ref();
    }
    lines.reverse();
    lines
}

/// The most states of one exploration; with this variable set, so many.
const MOST: usize = 60_000;
const MOST_IN: &str = "GLIDEPATH_EXPLORER_MOST";

fn most() -> usize {
    std::env::var(MOST_IN).ok().and_then(|most| most.parse().ok()).unwrap_or(MOST)
}

/// Explores everything within the bounds; no property may fail.
pub(crate) fn explore(name: &str, bounds: &Bounds) -> Explored {
    let begun = Instant::now();
    let explored = search(bounds, None, most());
    println!(
        "{name}: {}{} states, {} steps, {}, {:.1?}",
        if explored.capped { "MORE THAN " } else { "" },
        explored.states,
        explored.steps,
        explored.came_to(),
        begun.elapsed()
    );
    if let Some((property, way)) = &explored.broken {
        panic!("{name}: not `{property}`:\n{}", way.join("\n"));
    }
    assert!(!explored.capped, "{name}: it is not exhausted");
    explored.has_looked(name, bounds);
    explored
}

/// Explores with a mistake until a property fails, which must be this one.
pub(crate) fn find(mistake: Mistake, broken: &'static str, bounds: &Bounds) {
    let begun = Instant::now();
    let bounds = Bounds { mistake: Some(mistake), ..bounds.clone() };
    let explored = search(&bounds, Some(broken), most());
    let states = explored.states;
    let Some((property, way)) = explored.broken else {
        panic!(
            "{mistake:?} was not found in {states} states; broken besides: {:?}",
            explored.others
        );
    };
    // It is the mistake that is found, and nothing of these bounds.
    let control = search(&Bounds { mistake: None, ..bounds }, Some(broken), states);
    assert!(control.broken.is_none(), "{broken} is broken without {mistake:?}");
    println!(
        "{mistake:?}: {property}, after {} steps ({states} states), {:.1?}",
        way.len(),
        begun.elapsed()
    );
}
