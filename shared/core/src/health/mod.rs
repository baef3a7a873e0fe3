//! From evidence to a verdict.

mod ceiling;
mod cells;
mod checks;
mod comparison;
mod connections;
mod evenness;
mod evidence;
mod hooks;
mod judge;
mod limit;
mod metrics;
mod probes;
mod requests;
pub mod sequential;
mod stored;

pub use ceiling::{CEILING, FEWEST_REQUESTS, breaks_ceiling};
pub use cells::{Cell, Gap, Period, Periods, Shift, SlotRequests};
pub use checks::{CheckReading, Series};
pub use comparison::{Comparison, evidence, is_compared};
pub use connections::{ConnectionErrors, Errors, LoadBalancerErrors};
pub use evenness::is_even;
pub use evidence::{
    AlarmReading, AlarmSignal, Evidence, Reading, RouteTargets, StoppedTask, TaskEnd, Watched,
};
pub use hooks::{
    HookReading, HookRun, HookStatus, ServiceDeployment, ServiceDeployments, hook_event, hooks_at,
};
pub use judge::{Judgement, Reason, STOPPED_TASKS_LIMIT, Verdict, judge};
pub use limit::{DEVIATIONS, Excess, beyond_chance, excess, shown_worse};
pub use metrics::MeasuredMetrics;
pub use probes::{ProbeAttempt, ProbeReading, probed};

pub use stored::{LARGEST, Ragged, StoredCell, StoredCells};
