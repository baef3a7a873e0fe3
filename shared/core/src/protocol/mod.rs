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
//! world in between is claimed first as an [`crate::record::Intent`], and nobody unlocks while one may still land.

mod approval;
mod commit;
mod conclude;
mod course;
mod decide;
mod digests;
mod drift;
mod ended;
mod fence;
mod forward;
mod freeze;
#[cfg(feature = "testing")]
mod memory;
mod ours;
mod refused;
mod release;
mod reply;
mod retirement;
mod scaling;
mod settling;
mod tasks;
mod telling;
mod validation;
mod weak;
mod write;

pub use commit::{Unfitting, claim_detach, commit, finish};
pub use course::{Course, course, failing, next_look, stable_health};
pub use decide::{Takes, answer, approve, pause, promote, resume};
pub use digests::record_digests;
pub use drift::drifted;
pub use ended::Work;
pub use fence::{
    Look, Restored, Unwritten, claim_scale_in, close, fence, leave_to_sweep, may_restore, put_off,
    restored,
};
pub use forward::{
    Judged, MoveOn, Observed, Routes, begin, claim_forward, observe, record_shift, release_forward,
    store_gate,
};
pub use freeze::{Thaw, freeze, thaw};
#[cfg(feature = "testing")]
pub use memory::{Fenced, Items};
pub use ours::{Overwrites, Overwritten, SeenRoutes, Whose, reads_back};
pub use refused::Refused;
pub use reply::{NextStep, Reply};
pub use retirement::{claim_retirement, finish_retirement, hasten_retirement, postpone_retirement};
pub use scaling::{
    Goal, NewSetting, ScalingLook, Setting, claim_scaling, note_scaling, tell_of_scaling,
};
pub use settling::{Foreign, Looked, Readiness, Settling, settling};
pub use tasks::{Tasks, crashes};
pub use telling::tell;
pub use validation::{Asked, validated};
pub use weak::{StepBack, WeakLook, claim_reinforcement, hold, step_back};
pub use write::RegistryWrite;
