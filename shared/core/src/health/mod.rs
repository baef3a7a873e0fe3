//! From evidence to a verdict.

mod ceiling;
mod cells;
mod evidence;
mod judge;
pub mod sequential;

pub use ceiling::{CEILING, FEWEST_REQUESTS, breaks_ceiling};
pub use cells::{Cell, SlotRequests};
pub use evidence::{
    AlarmReading, AlarmSignal, Evidence, Reading, RequestCounts, RouteTargets, StoppedTask, Watched,
};
pub use judge::{Judgement, Reason, STOPPED_TASKS_LIMIT, Verdict, judge};
