//! `engine::validate`. What is gathered at once is one step; the judgement is a choice.

use std::sync::Arc;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::protocol::{MoveOn, NextStep, Observed, RegistryWrite, Routes, observe};
use glidepath_core::record::{Binding, Deployment, Event, Promotion, RecordedHealth, Step};
use glidepath_core::time::Timestamp;

use crate::bounds::Mistake;
use crate::call::{Call, Choice, End, Turn};
use crate::example::{COARSE, alarm, health, overdue};
use crate::marks::{Mark, Marks};
use crate::transit::{Transit, Transited, foreign};

/// Where a look is.
#[derive(Clone, Debug)]
pub(crate) enum Validate {
    Load,
    Gather(Arc<Deployment>),
    Route {
        read: Arc<Deployment>,
        firing: bool,
        healthy: u32,
        at: Timestamp,
    },
    Record(Look, Transit),
    /// Only with the mistake: the binding is written by itself.
    Refresh(Look),
}

/// What a look led to.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    read: Arc<Deployment>,
    health: RecordedHealth,
    routes: Routes,
    move_on: MoveOn,
    next: NextStep,
}

impl Validate {
    pub(crate) const fn fresh(&self) -> bool {
        matches!(self, Self::Load)
    }

    pub(crate) const fn judges(&self) -> bool {
        matches!(self, Self::Route { .. })
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        match self {
            Self::Load => {
                let read = call.load(call.who).expect("planned");
                match read.require_open() {
                    Ok(()) => Turn::On(Self::Gather(read)),
                    Err(_) => Turn::End(End::Failed),
                }
            }
            Self::Gather(read) => {
                let firing = call.state.world.firing_since.is_some();
                let healthy = call.healthy(read.plan.stable.slot);
                Turn::On(Self::Route { read, firing, healthy, at: call.now() })
            }
            Self::Route { read, firing, healthy, at } => {
                if firing || call.choice == Choice::Veto {
                    return Turn::End(End::Failed);
                }
                let routes = if foreign(call, &read) {
                    Routes::Changed(String::new())
                } else {
                    Routes::InOrder
                };
                let (move_on, next) = course(call, &read, &routes);
                let ends = matches!(move_on, MoveOn::End(_));
                if ends && call.mistaken(Mistake::EndUnrecorded) {
                    let answered = call.state.seen.approved[read.progress.stage.0];
                    call.state.seen.answer_lost |= answered;
                    return Turn::End(End::Failed);
                }
                let health = health(healthy, at, call.bounds);
                Turn::On(Self::Record(Look { read, health, routes, move_on, next }, Transit::Load))
            }
            Self::Record(look, transit) => record(call, look, transit),
            Self::Refresh(look) => {
                let mut binding = Binding {
                    started_at: look.read.started_at,
                    routes: look.read.plan.routes.clone(),
                    needed: look.read.plan.stable.desired_count,
                    health: look.health,
                    harm: look.read.harm(),
                };
                binding.health = look.health;
                let items = Arc::make_mut(&mut call.state.items);
                if let Some(item) = items.alarms.get_mut(&alarm()) {
                    item.bindings.insert(look.read.id.clone(), binding);
                    item.revision = item.revision.next();
                }
                Turn::End(End::Reply(look.next))
            }
        }
    }
}

fn course(call: &Call<'_>, read: &Deployment, routes: &Routes) -> (MoveOn, NextStep) {
    let waits = if call.bounds.gates { NextStep::Gate } else { NextStep::Validate };
    let since = match read.progress.seeing(routes, call.now()).step {
        Step::Settling { .. } => return (MoveOn::Stay, NextStep::Advance),
        Step::Approving { decision: Some(_), .. } => return (MoveOn::Shift, NextStep::Advance),
        Step::Approving { until, .. } if call.now() < until => return (MoveOn::Stay, waits),
        Step::Approving { .. } => {
            let failure = Failure::new(FailureCode::ApprovalTimedOut, "");
            return (MoveOn::End(failure), NextStep::Rollback);
        }
        Step::Baking { since, ref promoted } => {
            if call.bounds.budget.promotions > 0 {
                return lacking(call, read, promoted.as_ref());
            }
            since
        }
    };
    let changed = matches!(routes, Routes::Changed(_));
    // Where nobody meddles, any look may be the one after the bake.
    let bakes = call.bounds.budget.meddles > 0 && call.now().since(since) < COARSE;
    if changed || bakes {
        return (MoveOn::Stay, waits);
    }
    match call.choice {
        Choice::Wait => (MoveOn::Stay, waits),
        Choice::Go | Choice::Veto | Choice::Unanswered | Choice::Throttled => onward(read),
    }
}

fn onward(read: &Deployment) -> (MoveOn, NextStep) {
    let stage = read.progress.stage;
    if read.plan.is_last(stage) {
        return (MoveOn::Stay, NextStep::Complete);
    }
    (MoveOn::Stage(stage.next()), NextStep::Advance)
}

/// Where a bake leads that is over and whose evidence is not enough.
fn lacking(call: &Call<'_>, read: &Deployment, promoted: Option<&Promotion>) -> (MoveOn, NextStep) {
    let waits = if call.bounds.gates { NextStep::Gate } else { NextStep::Validate };
    match (promoted, call.choice) {
        (None, _) => {
            let stage = read.progress.stage;
            let event = Event::StageHeld { stage, reasons: Vec::new(), against: Vec::new() };
            (MoveOn::Tell(event), waits)
        }
        // Something speaks against the canary now.
        (Some(_), Choice::Wait) => (MoveOn::Decline(Vec::new()), waits),
        (Some(_), Choice::Go | Choice::Veto | Choice::Unanswered | Choice::Throttled) => {
            onward(read)
        }
    }
}

/// What somebody who sees everything sees of a look that was recorded, where evidence lacks.
fn witness(call: &mut Call<'_>, look: &Look, before: &Step) {
    let stage = look.read.progress.stage.0;
    let seen = &mut call.state.seen;
    match look.move_on {
        MoveOn::Tell(_) => seen.held[stage] = true,
        MoveOn::Decline(_) => seen.answer_lost |= *before != look.read.progress.step,
        MoveOn::Stage(_) => seen.unasked |= !seen.promoted[stage],
        MoveOn::Stay | MoveOn::Ask(_) | MoveOn::End(_) | MoveOn::Shift => {
            let leaves = look.next == NextStep::Complete;
            seen.unasked |= leaves && !seen.promoted[stage];
        }
    }
}
fn record(call: &mut Call<'_>, look: Look, transit: Transit) -> Turn<Validate> {
    let blind = call.mistaken(Mistake::BlindRefresh);
    let counts = call.mistaken(Mistake::ForeignTimeCounts);
    let blindly = call.mistaken(Mistake::DeclineBlindly);
    let before = call.state.deployment(call.who).map(|found| found.progress.step.clone());
    let recorded = transit.step(call, call.who, |current, now| {
        let (health, routes) = (Some(look.health), look.routes.clone());
        let observed = Observed { health, routes, ..Observed::default() };
        let move_on = look.move_on.clone();
        let declines = blindly && matches!(look.move_on, MoveOn::Decline(_));
        let read = if declines { current } else { &look.read };
        let (_, mut writes) = observe(current, read, observed, move_on, now, overdue(now))?;
        if counts {
            for write in &mut writes {
                if let RegistryWrite::PutDeployment(put) = write
                    && let (Step::Baking { since, .. }, Step::Baking { since: before, .. }) =
                        (&mut put.progress.step, &current.progress.step)
                {
                    *since = *before;
                }
            }
        }
        if blind {
            writes.retain(|write| !matches!(write, RegistryWrite::RefreshBinding { .. }));
        }
        Ok((current.is_where(read), writes))
    });
    if let (Transited::Done(true), Some(before)) = (&recorded, before)
        && call.bounds.budget.promotions > 0
    {
        witness(call, &look, &before);
    }
    let ends = matches!(look.move_on, MoveOn::End(_));
    let goes_on = look.next == NextStep::Complete || matches!(look.move_on, MoveOn::Stage(_));
    if matches!(recorded, Transited::Done(true)) && goes_on && call.bounds.budget.meddles > 0 {
        call.state.seen.hasty |= call.state.seen.own_time < 2;
    }
    match recorded {
        Transited::On(transit) => Turn::On(Validate::Record(look, transit)),
        Transited::Done(_) if blind => Turn::On(Validate::Refresh(look)),
        Transited::Done(false) => Turn::End(End::Reply(NextStep::Validate)),
        Transited::Done(true) if ends => Turn::End(End::Failed),
        Transited::Done(true) => Turn::End(End::Reply(look.next)),
        Transited::Refused(_) => Turn::End(End::Failed),
    }
}

impl Mark for Validate {
    fn mark(&self, marks: &mut Marks<'_>) {
        let mark_look = |marks: &mut Marks<'_>, look: &Look| {
            marks.deployment(&look.read);
            marks.health(look.health);
            marks.hash(std::mem::discriminant(&look.routes));
            marks.hash(std::mem::discriminant(&look.move_on));
            marks.word(look.next as u64);
        };
        match self {
            Self::Load => marks.word(0),
            Self::Gather(read) => {
                marks.word(1);
                marks.deployment(read);
            }
            Self::Route { read, firing, healthy, at } => {
                marks.word(2);
                marks.deployment(read);
                marks.flag(*firing);
                // How stable was matters only where it can be sick.
                marks.health(RecordedHealth { healthy: *healthy, at: *at, ..read.health });
            }
            Self::Record(look, transit) => {
                marks.word(3);
                mark_look(marks, look);
                transit.mark(marks);
            }
            Self::Refresh(look) => {
                marks.word(4);
                mark_look(marks, look);
            }
        }
    }
}
