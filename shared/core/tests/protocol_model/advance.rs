//! `engine::advance`.

use std::sync::Arc;

use glidepath_core::plan::Approval;
use glidepath_core::protocol::{
    Fenced, MoveOn, NextStep, Observed, Refused, Routes, claim_forward, observe, record_shift,
    release_forward,
};
use glidepath_core::record::{Deployment, Intent, Purpose, Step};
use glidepath_core::route::RouteActions;
use glidepath_core::weight::Weight;

use crate::bounds::Mistake;
use crate::call::{Attempt, Call, End, Turn};
use crate::example::{LIFETIME, green_share, overdue, slot_index, task_definition};
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};
use crate::transit::{
    Restored, Restoring, Transit, Transited, Vouched, Wrote, foreign, the_route, vouched,
};

/// Where a turn is. `Read` is the deployment as the turn began.
#[derive(Clone, Debug)]
pub(crate) enum Advance {
    Load,
    Route(Read),
    Service(Read),
    Health(Read),
    Touch(Read, Routes, MoveOn, Transit),
    Claim(Read, Claiming, Transit),
    Scale {
        read: Read,
        intent: Intent,
        clean: bool,
    },
    FinishScale {
        written: bool,
    },
    ReadBefore(Read, Claiming, Intent),
    Write {
        read: Read,
        claiming: Claiming,
        intent: Intent,
        clean: bool,
    },
    /// The write was not confirmed, but every attempt was answered.
    FinishWrite {
        end: End,
    },
    ReadBack(Read, Claiming),
    Record(Read, Claiming, Transit),
    Undo(Read),
    UndoWrite {
        read: Read,
        intent: Intent,
        restoring: Restoring,
    },
    FinishUndo,
}

type Read = Arc<Deployment>;

/// What is to be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claiming {
    Tasks,
    /// The canary's group in the route, at weight 0.
    Attach,
    Weight,
}

impl Advance {
    pub(crate) const fn fresh(&self) -> bool {
        matches!(self, Self::Load)
    }

    pub(crate) const fn attempts(&self) -> bool {
        matches!(self, Self::Scale { .. } | Self::Write { .. } | Self::UndoWrite { .. })
    }

    /// Whether the next call may write everything to stable.
    pub(crate) const fn restores(&self) -> bool {
        matches!(self, Self::UndoWrite { .. })
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        let who = call.who;
        let settling = Turn::End(End::Reply(NextStep::Advance));
        match self {
            Self::Load => {
                let read = call.load(who).expect("planned");
                if read.require_open().is_err() {
                    return Turn::End(End::Failed);
                }
                match read.progress.step {
                    Step::Settling { .. } => Turn::On(Self::Route(read)),
                    Step::Approving { .. } | Step::Baking { .. } if call.bounds.gates => {
                        Turn::End(End::Reply(NextStep::Gate))
                    }
                    Step::Approving { .. } | Step::Baking { .. } => {
                        Turn::End(End::Reply(NextStep::Validate))
                    }
                }
            }
            Self::Route(read) => {
                if foreign(call, &read) {
                    let changed = Routes::Changed(String::new());
                    return Turn::On(Self::Touch(read, changed, MoveOn::Stay, Transit::Load));
                }
                if !call.state.world.attached {
                    return Turn::On(Self::Claim(read, Claiming::Attach, Transit::Load));
                }
                Turn::On(Self::Service(read))
            }
            Self::Service(read) => {
                let slot = slot_index(read.plan.canary.slot);
                let world = call.state.world;
                let as_wanted = u32::from(world.tasks[slot]) == wanted(&read)
                    && task_definition(world.versions[slot]) == read.plan.task_definition;
                Turn::On(if as_wanted {
                    Self::Health(read)
                } else {
                    Self::Claim(read, Claiming::Tasks, Transit::Load)
                })
            }
            Self::Health(read) => {
                if call.healthy(read.plan.canary.slot) < wanted(&read) {
                    let (routes, stay) = (Routes::InOrder, MoveOn::Stay);
                    return Turn::On(Self::Touch(read, routes, stay, Transit::Load));
                }
                if let (Step::Settling { approved: false, .. }, Some(approval)) =
                    (&read.progress.step, asks(&read))
                {
                    let (routes, ask) = (Routes::InOrder, MoveOn::Ask(approval));
                    return Turn::On(Self::Touch(read, routes, ask, Transit::Load));
                }
                Turn::On(Self::Claim(read, Claiming::Weight, Transit::Load))
            }
            Self::Touch(read, routes, move_on, transit) => {
                let again = call.mistaken(Mistake::AskAgain);
                let touched = transit.step(call, who, |deployment, now| {
                    let observed = Observed { routes: routes.clone(), ..Observed::default() };
                    let read = if again { deployment } else { read.as_ref() };
                    observe(deployment, read, observed, move_on.clone(), now, overdue(now))
                });
                let asks = matches!(move_on, MoveOn::Ask(_));
                match touched {
                    Transited::On(transit) => Turn::On(Self::Touch(read, routes, move_on, transit)),
                    Transited::Done(_) if asks && !call.bounds.gates => {
                        Turn::End(End::Reply(NextStep::Validate))
                    }
                    Transited::Done(_) if asks => Turn::End(End::Reply(NextStep::Gate)),
                    Transited::Done(_) => settling,
                    Transited::Refused(refused) => stopped(&refused),
                }
            }
            Self::Claim(read, claiming, transit) => claim(call, read, claiming, transit),
            Self::Scale { read, intent, clean } => {
                let effect = Effect::Tasks {
                    slot: read.plan.canary.slot,
                    wanted: u8::try_from(wanted(&read)).expect("few tasks"),
                    version: Some(who.version()),
                };
                let written = match call.attempt(Author::Deployment(who), &intent, effect) {
                    Attempt::Again => {
                        return Turn::On(Self::Scale { read, intent, clean: false });
                    }
                    Attempt::Done => true,
                    Attempt::Expired => false,
                };
                if call.clean(clean) {
                    return Turn::On(Self::FinishScale { written });
                }
                Turn::End(scaled(written))
            }
            Self::FinishScale { written } => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Turn::End(scaled(written))
            }
            Self::ReadBefore(read, claiming, intent) => {
                if call.read_route() == wanted_route(&read, claiming) {
                    // Nothing is missing, so nothing is written.
                    return Turn::On(Self::ReadBack(read, claiming));
                }
                Turn::On(Self::Write { read, claiming, intent, clean: true })
            }
            Self::Write { read, claiming, intent, clean } => {
                let effect = Effect::Route(green_share(&wanted_route(&read, claiming)));
                let written = match call.attempt(Author::Deployment(who), &intent, effect) {
                    Attempt::Again => {
                        return Turn::On(Self::Write { read, claiming, intent, clean: false });
                    }
                    Attempt::Done => true,
                    Attempt::Expired => false,
                };
                let clean = call.clean(clean);
                let end = if written { End::Reply(NextStep::Advance) } else { End::Transient };
                match (written, clean) {
                    (true, true) => Turn::On(Self::ReadBack(read, claiming)),
                    (false, true) => Turn::On(Self::FinishWrite { end }),
                    (_, false) => Turn::End(end),
                }
            }
            Self::FinishWrite { end } => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Turn::End(end)
            }
            Self::ReadBack(read, claiming) => {
                if call.read_route() == wanted_route(&read, claiming) {
                    Turn::On(Self::Record(read, claiming, Transit::Load))
                } else {
                    let end = End::Reply(NextStep::Advance);
                    Turn::On(Self::FinishWrite { end })
                }
            }
            Self::Record(read, claiming, transit) => record(call, read, claiming, transit),
            Self::Undo(read) => {
                let intent = Intent::new(Purpose::Restore, call.now(), LIFETIME);
                let restoring = Restoring::Begin;
                if call.mistaken(Mistake::UndoWithoutLock) {
                    return Turn::On(Self::UndoWrite { read, intent, restoring });
                }
                match call.fence_deployment(who, &intent, None) {
                    Fenced::Closed(fenced) => {
                        let read = Arc::new(fenced);
                        Turn::On(Self::UndoWrite { read, intent, restoring })
                    }
                    Fenced::NotWritten(_) | Fenced::Unknown => Turn::End(End::Failed),
                }
            }
            Self::UndoWrite { read, intent, restoring } => {
                let route = the_route(&read.plan);
                let vouched =
                    Vouched { health: read.health, throttled_since: None, ..vouched(&read) };
                match restoring.step(call, who, &intent, route, vouched) {
                    Restored::On(restoring) => {
                        Turn::On(Self::UndoWrite { read, intent, restoring })
                    }
                    Restored::TooWeak(_) => Turn::On(Self::FinishUndo),
                    Restored::Attempted { wrote, clean } => {
                        // A throttled one is left to the rollback, which the refusal leads to: until
                        // then traffic may be on the canary although it was restored before.
                        call.state.seen.fault |= wrote == Wrote::PutOff;
                        match wrote {
                            Wrote::Nothing => Turn::End(End::Transient),
                            Wrote::Everything | Wrote::PutOff if call.clean(clean) => {
                                Turn::On(Self::FinishUndo)
                            }
                            Wrote::Everything | Wrote::PutOff => Turn::End(End::Failed),
                        }
                    }
                }
            }
            Self::FinishUndo => {
                let own = call.own();
                call.finish_deployment_intent(who, &own);
                Turn::End(End::Failed)
            }
        }
    }
}

/// A refusal as the engine answers it.
pub(crate) fn stopped<Work>(refused: &Refused) -> Turn<Work> {
    Turn::End(match refused {
        Refused::Busy { .. } | Refused::NotNewer => End::Reply(NextStep::Advance),
        Refused::InUse(_) => End::Transient,
        Refused::NotOpen(_) | Refused::Fired(_) | Refused::NothingToDecide(_) => End::Failed,
    })
}

const fn scaled(written: bool) -> End {
    if written { End::Reply(NextStep::Advance) } else { End::Transient }
}

fn weight(read: &Deployment) -> Weight {
    read.plan.stage(read.progress.stage).map_or(Weight::ALL, |stage| stage.weight)
}

fn asks(read: &Deployment) -> Option<Approval> {
    read.plan.stage(read.progress.stage)?.approval
}

fn wanted(read: &Deployment) -> u32 {
    read.canary_tasks(weight(read))
}

/// What a claim makes of the route.
pub(crate) fn wanted_route(read: &Deployment, claiming: Claiming) -> RouteActions {
    let route = the_route(&read.plan);
    let share = match claiming {
        Claiming::Tasks | Claiming::Attach => Weight::NONE,
        Claiming::Weight => weight(read),
    };
    route.original.with_canary(&route.pair, share)
}

fn claim(call: &mut Call<'_>, read: Read, claiming: Claiming, transit: Transit) -> Turn<Advance> {
    let own = call.own();
    let purpose = match claiming {
        Claiming::Tasks => Purpose::Scale,
        Claiming::Attach => Purpose::Shift(Weight::NONE),
        Claiming::Weight => Purpose::Shift(weight(&read)),
    };
    let late = call.mistaken(Mistake::LateClaim);
    let claimed = transit.step(call, call.who, |deployment, now| {
        let read = if late { deployment } else { read.as_ref() };
        let intent = Intent::new(purpose, now, LIFETIME);
        claim_forward(deployment, read, &own, intent, now, overdue(now))
    });
    match claimed {
        Transited::On(transit) => Turn::On(Advance::Claim(read, claiming, transit)),
        Transited::Done(intent) => Turn::On(match claiming {
            Claiming::Tasks => Advance::Scale { read, intent, clean: true },
            Claiming::Attach | Claiming::Weight => Advance::ReadBefore(read, claiming, intent),
        }),
        Transited::Refused(refused) => stopped(&refused),
    }
}

fn record(call: &mut Call<'_>, read: Read, claiming: Claiming, transit: Transit) -> Turn<Advance> {
    let own = call.own();
    let verified = vec![wanted_route(&read, claiming)];
    let recorded = transit.step(call, call.who, |deployment, now| match claiming {
        Claiming::Weight => record_shift(deployment, &own, verified.clone(), now, overdue(now)),
        Claiming::Tasks | Claiming::Attach => {
            release_forward(deployment, &own, verified.clone(), now, overdue(now))
        }
    });
    match recorded {
        Transited::On(transit) => Turn::On(Advance::Record(read, claiming, transit)),
        Transited::Done(_) if claiming == Claiming::Attach => {
            Turn::End(End::Reply(NextStep::Advance))
        }
        Transited::Done(_) => Turn::End(End::Reply(if call.bounds.gates {
            NextStep::Gate
        } else {
            NextStep::Validate
        })),
        Transited::Refused(_) if call.mistaken(Mistake::NoSecondLook) => {
            Turn::On(Advance::FinishWrite { end: End::Failed })
        }
        Transited::Refused(refused @ Refused::NotNewer) => stopped(&refused),
        Transited::Refused(_) => Turn::On(Advance::Undo(read)),
    }
}

impl Mark for Advance {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::Load | Self::FinishUndo => {}
            Self::Route(read) | Self::Service(read) | Self::Health(read) | Self::Undo(read) => {
                marks.deployment(read);
            }
            Self::ReadBack(read, claiming) => {
                marks.deployment(read);
                marks.hash(claiming);
            }
            Self::Touch(read, routes, move_on, transit) => {
                marks.deployment(read);
                marks.hash(std::mem::discriminant(routes));
                marks.hash(std::mem::discriminant(move_on));
                transit.mark(marks);
            }
            Self::Claim(read, claiming, transit) => {
                marks.deployment(read);
                marks.hash(claiming);
                transit.mark(marks);
            }
            Self::Scale { read, intent, clean } => {
                marks.deployment(read);
                marks.intent(intent);
                marks.flag(*clean);
            }
            Self::Write { read, claiming, intent, clean } => {
                marks.deployment(read);
                marks.hash(claiming);
                marks.intent(intent);
                marks.flag(*clean);
            }
            Self::FinishScale { written } => marks.flag(*written),
            Self::ReadBefore(read, claiming, intent) => {
                marks.deployment(read);
                marks.hash(claiming);
                marks.intent(intent);
            }
            Self::FinishWrite { end } => marks.hash(std::mem::discriminant(end)),
            Self::Record(read, claiming, transit) => {
                marks.deployment(read);
                marks.hash(claiming);
                transit.mark(marks);
            }
            Self::UndoWrite { read, intent, restoring } => {
                marks.deployment(read);
                marks.intent(intent);
                restoring.mark(marks);
            }
        }
    }
}
