//! How much may happen in a run.

use glidepath_core::ids::TargetGroupArn;
use glidepath_core::plan::Plan;
use glidepath_core::time::Span;

use crate::mistake::Mistake;
use crate::process::Kind;

/// What an exploration starts with. Everything that is not counted here happens as often as it can.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// The plan of the deployment; `None`: it is planned from a request.
    pub(crate) plan: Option<Plan>,
    /// Whether such a request names a second route.
    pub(crate) both_routes: bool,
    /// How far it has come without anything happening besides.
    pub(crate) from: From,
    /// Whether a second deployment is asked for, and when.
    pub(crate) successor: Successor,
    /// Whether the sweep retires old slots.
    pub(crate) retirement: bool,
    /// Whether the event of a firing alarm may come late; otherwise it comes at once.
    pub(crate) late: bool,
    /// Whether a read and the transaction that depends on it are one step. Who writes in between only has
    /// it read again, so this hides nothing but time and faults there.
    pub(crate) fused: bool,
    /// Which processes are made twice, if not all.
    pub(crate) copied: Option<Kind>,
    /// Which processes stand still with an answer while time passes, if not all.
    pub(crate) stands: Option<Kind>,
    /// Nobody starts a process while so many others are in flight.
    pub(crate) concurrent: usize,
    /// No time passes after so long.
    pub(crate) horizon: Span,
    /// The slot's group that gets sick.
    pub(crate) sickens: TargetGroupArn,
    pub(crate) budget: Budget,
    pub(crate) mistake: Option<Mistake>,
}

/// Where an exploration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Nothing is there but the service.
    Start,
    /// The plan is made, and the canary's tasks are there already.
    Tasks,
    /// The canary's tasks are healthy, the first shift is next.
    Shift,
    /// The first weight has been recorded.
    Bake,
    /// The first weight has been recorded, then the execution died and stable lost all but so many targets.
    Weak(u32),
    /// The last bake is over.
    Commit,
}

/// When a second deployment of the same service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Successor {
    Never,
    /// From the beginning of the exploration on.
    AtAnyTime,
    /// Once the first has ended.
    Afterwards,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Time passes while a process is between two calls.
    pub(crate) pauses: u8,
    /// The alarm goes to ALARM.
    pub(crate) firings: u8,
    /// Deliveries of an event beyond the first.
    pub(crate) repeats: u8,
    /// A person asks for a rollback.
    pub(crate) operators: u8,
    /// A person sends everything to stable, healthy or not.
    pub(crate) forces: u8,
    /// The sweep comes by.
    pub(crate) sweeps: u8,
    /// A process dies between two calls, or its last answer is lost.
    pub(crate) crashes: u8,
    /// A write to the world gets no answer: it lands at once, later or never.
    pub(crate) unanswered: u8,
    /// Any call gets no answer, whether or not it had its effect.
    pub(crate) lost: u8,
    /// The load balancer's API refuses the writes of a process for being too many.
    pub(crate) throttles: u8,
    /// An invocation is made twice; the copy runs whenever it likes.
    pub(crate) copies: u8,
    /// An execution ends without finishing.
    pub(crate) deaths: u8,
    /// A dead execution is redriven.
    pub(crate) redrives: u8,
    /// The targets of the slot that serves become sick, and healthy again.
    pub(crate) sicknesses: u8,
    /// A person approves a stage about which they were asked at some time.
    pub(crate) answers: u8,
    /// A person lets a stage go on that they were once told holds.
    pub(crate) promotions: u8,
    /// A person pauses it, and resumes it.
    pub(crate) holds: u8,
    /// The canary begins to fail requests.
    pub(crate) vetoes: u8,
    /// Somebody else changes the route in a bake, and puts it back.
    pub(crate) meddles: u8,
    /// Somebody else sets what bounds the tasks of the slot that serves.
    pub(crate) rebounds: u8,
}
