//! `engine::gate`.

use glidepath_core::ids::TaskToken;
use glidepath_core::protocol::{NextStep, Refused, store_gate};
use glidepath_core::record::{self, Tick};

use crate::bounds::Mistake;
use crate::call::{Call, End, Turn};
use crate::example::overdue;
use crate::marks::{Mark, Marks};
use crate::transit::{Transit, Transited};

/// Where an entry of the gate is.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    who: crate::example::Who,
    tick: Tick,
    transit: Transit,
}

impl Gate {
    pub(crate) const fn new(who: crate::example::Who, tick: Tick) -> Self {
        Self { who, tick, transit: Transit::Load }
    }

    pub(crate) const fn fresh(&self) -> bool {
        matches!(self.transit, Transit::Load)
    }

    pub(crate) fn step(self, call: &mut Call<'_>) -> Turn<Self> {
        let overwrites = call.mistaken(Mistake::GateWithoutNewerCheck);
        let gate = record::Gate { tick: self.tick, token: TaskToken::new("") };
        let stored = self.transit.step(call, self.who, |deployment, now| {
            let mut deployment = deployment.clone();
            if overwrites {
                deployment.gate = None;
            }
            store_gate(&deployment, gate.clone(), now, overdue(now)).map(|writes| ((), writes))
        });
        match stored {
            Transited::On(transit) => Turn::On(Self { transit, ..self }),
            Transited::Done(()) | Transited::Refused(Refused::NotNewer) => {
                Turn::End(End::Reply(NextStep::Gate))
            }
            Transited::Refused(_) => Turn::End(End::Failed),
        }
    }
}

impl Mark for Gate {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.tick(self.who, self.tick);
        self.transit.mark(marks);
    }
}
