//! From readings to a verdict.

mod ceiling;
mod cells;
mod checks;
mod comparison;
mod connections;
mod evenness;
mod hooks;
mod judge;
mod limit;
mod metrics;
mod probes;
mod reading;
mod readings;
mod requests;
pub mod sequential;
mod stored;
mod validation;
mod verdict;

pub use ceiling::{CEILING, FEWEST_REQUESTS, breaks_ceiling};
pub use cells::{Cell, Period, Periods, SlotRequests};
pub use checks::{CheckAlert, CheckReading, Series, alerts as check_alerts};
pub use comparison::{Comparison, evidence, is_compared};
pub use connections::{ConnectionErrors, Errors, LoadBalancerErrors};
pub use evenness::is_even;
pub use hooks::{
    HookReading, ServiceDeployment, ServiceDeployments, hook_event, hook_runs, hooks_at,
};
pub use judge::{judge, stopped_tasks_limit};
pub use limit::{DEVIATIONS, Excess, Share, beyond_chance, excess, shown_worse};
pub use metrics::MeasuredMetrics;
pub use probes::{ProbeAttempt, ProbeReading, probed};
pub use reading::Reading;
pub use readings::{
    AlarmReading, AlarmSignal, Readings, RouteTargets, StoppedTask, TaskEnd, Watched,
};

pub use stored::{CountedCells, LARGEST, Ragged, StoredCell, StoredCells};
pub use validation::{ValidationReadings, judge_validation};
pub use verdict::{Judgement, Reason, Verdict};
