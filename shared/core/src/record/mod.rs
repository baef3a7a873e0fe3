//! What the registry holds: plain data and what can be read off it. Transitions of it are in
//! [`crate::protocol`]; what is told of it in words is in [`crate::message`].
//!
//! What is written here must be read by every version that may meet it, older ones too: see
//! `docs/upgrades.md` and the golden records beside this file.

mod alarm;
mod decision;
mod demand;
mod deployment;
mod digests;
mod event;
mod fence;
mod freeze;
mod gate;
mod hook_run;
mod intent;
mod lock;
mod moves;
mod pins;
mod quarantined;
mod retirement;
mod revision;
mod shift;
mod start;
mod weakness;

pub use alarm::{AlarmItem, Binding, RecordedHealth, Unreadable};
pub use decision::{Decision, Pause, Promotion};
pub use demand::Demand;
pub use deployment::{Deployment, Outcome, Phase, Progress, Step, Throttled, Validating};
pub use digests::Digests;
pub use event::{Concern, Event, Notice, Undelivered};
pub use fence::{Fence, FenceTrigger};
pub use freeze::{
    EVERY_SERVICE, Freeze, FreezeChange, FreezeEntry, Freezes, MOST_FREEZES, frozen_services,
};
pub use gate::{Gate, Tick};
pub use hook_run::{HookRun, HookStatus};
pub(crate) use intent::all_dead_at;
pub use intent::{ATTEMPT_TIMEOUT, Intent, LANDING_GRACE, Purpose};
pub use lock::{Lock, LockKey, LockKind};
pub use moves::{Held, Moves};
pub use pins::{Pins, SlotPin};
pub use quarantined::{QuarantineChange, Quarantined, is_pinned};
pub use retirement::Retirement;
pub use revision::Revision;
pub use shift::{Gap, Shift};
pub use start::{Start, starter};
pub use weakness::Weakness;

#[cfg(test)]
mod tests;
