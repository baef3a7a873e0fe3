//! Going through states: all of them within the bounds, or random ways through more than that.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use glidepath_core::protocol::NextStep;
use glidepath_core::record::Outcome;

use crate::actions::{Action, beginning};
use crate::boundary::Fate;
use crate::bounds::{Bounds, Budget, From};
use crate::ending;
use crate::example::{blue, first};
use crate::print::Printer;
use crate::properties::{self, EVERY_RUN_ENDS};
use crate::situation::Situation;

/// How a state was reached, the last action first.
struct Way {
    action: String,
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
    /// A property that does not hold, and the way there.
    pub(crate) broken: Option<(&'static str, Vec<String>)>,
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
    if bounds.from == From::Weak {
        state.detach(0);
        state.processes.clear();
        state.machines[0].alive = false;
        state.machines[0].wakes_at = None;
        state.seen.fault = true;
        Arc::make_mut(&mut state.world).weak.insert(blue(), 1);
        state.now = state.now + glidepath_core::time::Span::from_secs(600);
        state.renew();
    }
    state
}

fn begins(bounds: &Bounds, state: &Situation) -> bool {
    let machine = &state.machines[0];
    let tasks = crate::example::tasks(&state.world, glidepath_core::plan::Slot::Green);
    !state.busy()
        && match bounds.from {
            From::Start => true,
            From::Shift => {
                machine.at == Some(NextStep::Advance) && tasks > 0 && machine.invocation.is_some()
            }
            From::Bake | From::Weak => {
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
    /// What does not hold in a state.
    fn broken(&mut self, state: &Situation) -> Option<&'static str> {
        if let Some(property) = properties::broken(self.bounds, state) {
            return Some(property);
        }
        match state.closed(&first()) {
            Some(Outcome::Succeeded) => self.explored.succeeded += 1,
            Some(Outcome::RolledBack) => self.explored.rolled_back += 1,
            Some(Outcome::Abandoned) | None => {}
        }
        if state.busy() {
            return None;
        }
        let mut printer = Printer::new();
        printer.word(state.prints.0);
        printer.word(state.prints.1);
        printer.word(state.now.as_millis().cast_unsigned());
        printer.debug(state.seen.meddled);
        if !self.ending.insert(printer.finish()) {
            return None;
        }
        self.explored.endings += 1;
        (!ending::is_brought_about(self.bounds, state)).then_some(EVERY_RUN_ENDS)
    }
}

/// Goes through every state within the bounds, until `wanted` is broken, or anything if nothing is wanted.
pub(crate) fn search(bounds: &Bounds, wanted: Option<&'static str>, most: usize) -> Explored {
    let begin = start(bounds);
    let explored = Explored::default();
    let mut search = Search { bounds, known: HashSet::new(), ending: HashSet::new(), explored };
    let mut stack: Vec<(Situation, Option<Arc<Way>>)> = vec![(begin, None)];
    while let Some((state, way)) = stack.pop() {
        if !search.known.insert(state.print()) {
            continue;
        }
        search.explored.states += 1;
        assert!(search.explored.states <= most, "more than {most} states");
        if let Some(property) = search.broken(&state) {
            if wanted.is_none_or(|wanted| wanted == property) {
                search.explored.broken = Some((property, told(way.as_ref())));
                return search.explored;
            }
            // What comes after a mistake was seen says nothing.
            continue;
        }
        for action in state.actions(bounds) {
            search.explored.steps += 1;
            let next = state.after(bounds, &action);
            let action = line(&state, &action);
            stack.push((next, Some(Arc::new(Way { action, before: way.clone() }))));
        }
    }
    search.explored
}

fn told(way: Option<&Arc<Way>>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut next = way;
    while let Some(way) = next {
        lines.push(way.action.clone());
        next = way.before.as_ref();
    }
    lines.reverse();
    lines
}

/// An action in words.
fn line(state: &Situation, action: &Action) -> String {
    let call = |number: &u64, call: &usize| {
        let process = state.process(*number);
        let pending = process
            .and_then(|process| process.pending.iter().find(|pending| pending.number == *call));
        format!("{:?}.{}", process, pending.map_or("", |pending| pending.operation))
    };
    let seconds = state.now.since(glidepath_engine::testing::example::START).as_millis() / 1000;
    let text = match action {
        Action::Grant { number, call: number_, fate: Fate::Answered, holds: false } => {
            call(number, number_)
        }
        Action::Grant { number, call: number_, fate, holds } => {
            format!("{}: {fate:?}{}", call(number, number_), if *holds { ", held" } else { "" })
        }
        Action::DieAfter { number, call: number_ } => format!("{}, dies", call(number, number_)),
        other => format!("{other:?}"),
    };
    format!("{seconds:>5} s  {text}")
}

/// Explores everything within the bounds; no property may fail.
pub(crate) fn explore(name: &str, bounds: &Bounds) -> Explored {
    let begun = Instant::now();
    let explored = search(bounds, None, 2_000_000);
    println!(
        "{name}: {} states, {} steps, {} endings, {} succeeded, {} rolled back, {:.1?}",
        explored.states,
        explored.steps,
        explored.endings,
        explored.succeeded,
        explored.rolled_back,
        begun.elapsed()
    );
    if let Some((property, way)) = &explored.broken {
        panic!("{name}: not `{property}`:\n{}", way.join("\n"));
    }
    assert!(explored.rolled_back + explored.succeeded > 0, "{name}: nothing has ended");
    explored
}
