//! From evidence to a verdict.

mod ceiling;
mod cells;
mod evidence;
mod judge;
pub mod sequential;

pub use ceiling::{CEILING, breaks_ceiling};
pub use cells::{Cell, SlotRequests};
pub use evidence::{
    AlarmReading, AlarmSignal, Evidence, Reading, RequestCounts, RouteTargets, StoppedTask, Watched,
};
pub use judge::{
    FEWEST_REQUESTS, GROSS_FAILURE, Judgement, Reason, STOPPED_TASKS_LIMIT, Verdict, judge,
};
