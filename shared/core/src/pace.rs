//! How often a deployment is looked at, and what that costs of the execution's history.

use crate::plan::Stage;
use crate::record::Deployment;
use crate::time::{Span, Timestamp};

/// Ticks of the first stretch, after which they become rarer in proportion to the time elapsed:
/// a year of watching at the default interval then takes about 1,400 ticks, some 20,000 of the
/// 25,000 history events that an execution may have.
pub const DENSE_TICKS: u64 = 150;

/// History events of one turn of gate and validate: two task states and the choice between them.
pub const EVENTS_PER_TICK: u64 = 14;

/// History events of one stage besides its ticks: some turns of the settling loop and a notice.
pub const EVENTS_PER_STAGE: u64 = 40;

/// The time until the next look, where the deployment has run for `elapsed`.
pub fn tick_wait(interval: Span, elapsed: Span) -> Span {
    interval.max(Span::from_millis(elapsed.as_millis() / DENSE_TICKS))
}

/// The time until the next look at a bake, a question or a rollback that waits.
pub fn tick(deployment: &Deployment, now: Timestamp) -> Span {
    tick_wait(deployment.plan.health.interval, now.since(deployment.started_at))
}

/// Rollbacks that wait for stable look this often at first: traffic is where it should not be.
const WEAK_LOOK: Span = Span::from_secs(10);

/// For how long they do; then like every other long wait.
const WEAK_LOOKS_FOR: Span = Span::from_secs(600);

/// The time until a rollback looks again whether stable has recovered: never past the plan's
/// deadline.
pub fn weak_look(deployment: &Deployment, now: Timestamp) -> Span {
    let waited = deployment.waited(now);
    let tick = tick(deployment, now);
    let wait = if waited < WEAK_LOOKS_FOR { tick.min(WEAK_LOOK) } else { tick };
    let left = deployment.plan.rollback.hold_for.minus(waited);
    if left == Span::ZERO { wait } else { wait.min(left) }
}

/// How many looks fit into a deployment that runs for `total`.
pub fn ticks_within(interval: Span, total: Span) -> u64 {
    // Without a step there would be no end.
    let interval = interval.max(Span::from_millis(1));
    let mut elapsed = Span::ZERO;
    let mut ticks = 0;
    while elapsed < total {
        elapsed = elapsed.plus(tick_wait(interval, elapsed));
        ticks += 1;
    }
    ticks
}

/// History events that an execution of these stages is expected to have, with every approval given
/// at the last moment.
pub fn expected_history_events(stages: &[Stage], interval: Span) -> u64 {
    let watched = stages.iter().fold(Span::ZERO, |total, stage| {
        let approval = stage.approval.as_ref().map_or(Span::ZERO, |approval| approval.timeout);
        total.plus(stage.bake).plus(approval)
    });
    let stages = u64::try_from(stages.len()).unwrap_or(u64::MAX);
    stages
        .saturating_mul(EVENTS_PER_STAGE)
        .saturating_add(ticks_within(interval, watched).saturating_mul(EVENTS_PER_TICK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::record::Weakness;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rollback_that_waits_for_stable_looks_at_the_deadline_at_the_latest(
            waited in 0u64..7_200, hold_for in 0u64..7_200,
        ) {
            let mut deployment = deployment();
            deployment.plan.rollback.hold_for = Span::from_secs(hold_for);
            deployment.progress.weak = Some(Weakness {
                since: NOW,
                steps: Vec::new(),
                told_of_none: false,
                told_of_few: false,
                reminders: 0,
            });
            let now = NOW + Span::from_secs(waited);
            let wait = weak_look(&deployment, now);
            prop_assert!(Span::ZERO < wait && wait <= tick(&deployment, now));
            prop_assert!(waited >= 600 || wait <= WEAK_LOOK);
            let left = hold_for.saturating_sub(waited);
            prop_assert!(left == 0 || wait <= Span::from_secs(left));
        }

        #[test]
        fn looks_become_rarer_and_never_stop(interval in 1u64..=3_600, days in 1u64..=366) {
            let interval = Span::from_secs(interval);
            let total = Span::from_secs(days * 86_400);
            let ticks = ticks_within(interval, total);
            prop_assert!(ticks >= 1);
            prop_assert!(ticks <= total.as_millis() / interval.as_millis() + 1);
            prop_assert!(tick_wait(interval, total) >= tick_wait(interval, Span::ZERO));
        }
    }

    #[test]
    fn a_year_at_the_default_interval_stays_below_the_limit_of_an_execution() {
        let year = Span::from_secs(365 * 86_400);
        assert!(ticks_within(Span::from_secs(60), year) * EVENTS_PER_TICK < 20_000);
    }

    #[test]
    fn an_hour_is_watched_at_the_plan_s_own_interval() {
        assert_eq!(ticks_within(Span::from_secs(60), Span::from_secs(3_600)), 60);
    }
}
