//! From evidence to a verdict.

mod evidence;
mod judge;

pub use evidence::{
    AlarmReading, AlarmSignal, Evidence, Reading, RequestCounts, RouteTargets, StoppedTask, Watched,
};
pub use judge::{Judgement, Reason, Verdict, judge};
