//! How long writes may take and when looks follow each other; a number that only one use case knows stands
//! there.

use glidepath_core::ids::IntentId;
pub(crate) use glidepath_core::pace::{tick, weak_look};
use glidepath_core::plan::Plan;
use glidepath_core::storm::doubled;
use glidepath_core::time::{Span, Timestamp};

use crate::ports::Random;

/// How long a forward write may be attempted. Short: a rollback may have to wait for it to die.
pub(crate) const FORWARD_LIFETIME: Span = Span::from_secs(15);

/// How long one invocation of a rollback may attempt its writes; well below the function's
/// time-out, so that an unfinished one ends by itself.
pub(crate) const RESTORE_LIFETIME: Span = Span::from_secs(60);

/// How long a throttled rollback waits inside its function. The state machine waits in whole
/// seconds and for nothing, so short waits are made here and longer ones there: a thousand
/// rollbacks that waited here would take an account's whole concurrency for minutes.
pub(crate) const LINGER: Span = Span::from_secs(3);

/// Longest time between two looks at starting tasks.
const SETTLE_LOOK: Span = Span::from_secs(5);

/// Shortest time between two looks of a rollback whose traffic is back; the longest is twice that.
const UNHURRIED: Span = Span::from_secs(20);

/// A deployment that nobody touched for this long beyond its next step is the sweep's business.
const OVERDUE_AFTER: Span = Span::from_secs(60);

/// The time between two looks while tasks start.
pub(crate) fn settle_look(plan: &Plan) -> Span {
    plan.health.interval.min(SETTLE_LOOK)
}

/// The time until the next look of a rollback that has only to be cleaned up after.
pub(crate) fn unhurried(random: &impl Random) -> Span {
    doubled(UNHURRIED, random.number())
}

/// When the sweep should look after a deployment whose next step is due after `wait`.
pub(crate) fn overdue(plan: &Plan, now: Timestamp, wait: Span) -> Timestamp {
    now + wait + plan.health.interval.times(2) + OVERDUE_AFTER
}

/// A new id for a claimed write.
pub(crate) fn intent_id(random: &impl Random) -> IntentId {
    IntentId::new(format!("{:016x}", random.number()))
}
