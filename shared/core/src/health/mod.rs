//! From evidence to a verdict.

mod evidence;
mod judge;

pub use evidence::{
    AlarmReading, AlarmSignal, Evidence, Reading, RequestCounts, RouteTargets, StoppedTask, Watched,
};
pub use judge::{
    FEWEST_REQUESTS, GROSS_FAILURE, Judgement, Reason, STOPPED_TASKS_LIMIT, Verdict, judge,
};
