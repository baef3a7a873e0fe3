//! The protocol by which deployments, rollbacks and the sweep share the world without a race.
//!
//! ```text
//!             claim, shift, gate, tick            commit            finish
//!   plan ──▶ Open ───────────────────────▶ Open ─────────▶ Committed ─────▶ Closed
//!              │ fence                                                        ▲
//!              ▼              no healthy target on stable                     │
//!         RollingBack ◀────────────────────────────────▶ Held                 │
//!           │     ▲                                                           │
//!           └─────┘ step back: too few healthy targets on stable              │
//!              └────────────────── close ─────────────────────────────────────┘
//! ```
//!
//! Every transition is a pure function from the items as they were read to the writes of ONE
//! registry transaction. A transaction carries its own conditions (the revision of the deployment,
//! quiet alarms, free locks), so a stale reader fails instead of writing. What is written to the
//! world in between is claimed first as an [`Intent`], and nobody unlocks while one may still land.

mod alarm;
mod commit;
mod decide;
mod deployment;
mod fence;
mod forward;
mod intent;
#[cfg(feature = "testing")]
mod items;
mod lock;
mod ours;
mod reply;
mod retirement;
mod telling;
mod weak;
mod write;

pub use alarm::{AlarmItem, Binding, RecordedHealth, Unreadable};
pub use commit::{claim_detach, commit, finish};
pub use decide::{approve, promote};
pub use deployment::{
    Decision, Deployment, Gate, Outcome, Phase, Progress, Promotion, Refused, Step, Throttled, Tick,
};
pub use fence::{
    Fence, FenceTrigger, Look, Restored, claim_scale_in, close, fence, leave_to_sweep, may_restore,
    put_off, restored,
};
pub use forward::{
    Judged, MoveOn, Observed, Routes, begin, claim_forward, observe, record_shift, release_forward,
    store_gate,
};
pub use intent::{ATTEMPT_TIMEOUT, Intent, LANDING_GRACE, Purpose};
#[cfg(feature = "testing")]
pub use items::{Fenced, Items};
pub use lock::{Lock, LockKey, LockKind};
pub use ours::{Overwritten, Whose};
pub use reply::{NextStep, Reply};
pub use retirement::{Retirement, claim_retirement, finish_retirement, postpone_retirement};
pub use telling::tell;
pub use weak::{StepBack, WeakLook, Weakness, hold, step_back};
pub use write::{RegistryWrite, Revision};
