//! How often a deployment is looked at, and what that costs of the execution's history.

use crate::plan::{Openings, Stage};
use crate::record::{Deployment, Moves, Step};
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

/// The time until the next look at a bake, a question or a rollback that waits. A window is not slept through: it may
/// be a short one.
pub fn tick(deployment: &Deployment, now: Timestamp) -> Span {
    let plan = &deployment.plan;
    let moves = deployment.moves(now);
    let started_at = deployment.started_at;
    let shifted_at = deployment.progress.shifted_at.max(deployment.progress.thawed_at);
    let bake = plan.stage(deployment.progress.stage).map_or(Span::ZERO, |stage| stage.bake);
    let bakes = match deployment.progress.step {
        Step::Baking { since, .. } => now < since + bake,
        Step::Settling { .. } | Step::Approving { .. } => false,
    };
    let anew = match moves {
        Moves::Since(opened_at) => shifted_at.max(Some(opened_at)),
        Moves::AtAnyTime => shifted_at,
        Moves::Held(_) => shifted_at.filter(|_| bakes),
    };
    // A night outside its windows is no reason to look rarely at what the morning shifts; and in the night itself, where
    // it only holds, there would be no room for as many looks.
    let anew = anew.map_or(started_at, |anew| anew.max(started_at));
    let elapsed = match moves {
        Moves::Held(_) if !bakes => now.since(started_at),
        Moves::AtAnyTime | Moves::Since(_) | Moves::Held(_) => {
            deployment.age(anew).plus(now.since(anew))
        }
    };
    let wait = tick_wait(plan.health.interval, elapsed);
    let until = match moves {
        Moves::Held(held) => held.until(),
        Moves::AtAnyTime | Moves::Since(_) => None,
    };
    until.map_or(wait, |until| wait.min(until.since(now)))
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
    ticks_between(interval, Span::ZERO, total)
}

fn ticks_between(interval: Span, from: Span, until: Span) -> u64 {
    // Without a step there would be no end.
    let interval = interval.max(Span::from_millis(1));
    let mut elapsed = from;
    let mut ticks = 0;
    while elapsed < until {
        elapsed = elapsed.plus(tick_wait(interval, elapsed));
        ticks += 1;
    }
    ticks
}

/// History events that an execution of these stages is expected to have, with every approval given
/// at the last moment, and every night between its windows spent with holding.
pub fn expected_history_events(
    stages: &[Stage],
    interval: Span,
    windows: Option<&Openings>,
) -> u64 {
    let watched = stages.iter().fold(Span::ZERO, |total, stage| {
        let approval = stage.approval.as_ref().map_or(Span::ZERO, |approval| approval.timeout);
        total.plus(stage.bake).plus(approval)
    });
    let closures = windows.map_or(Vec::new(), |windows| windows.closures(watched));
    let nights = closures.into_iter().map(|(from, until)| ticks_between(interval, from, until));
    let nights = nights.fold(0, u64::saturating_add);
    let stages = u64::try_from(stages.len()).unwrap_or(u64::MAX);
    stages
        .saturating_mul(EVENTS_PER_STAGE)
        .saturating_add(ticks_within(interval, watched).saturating_mul(EVENTS_PER_TICK))
        .saturating_add(nights.saturating_mul(EVENTS_PER_TICK))
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

    /// Ten working days, of seven hours each.
    #[test]
    fn the_looks_of_the_nights_between_windows_are_counted_and_have_room() {
        use crate::plan::{Opening, Openings};
        let hour = Span::from_secs(3_600);
        let days = (0..60).map(|day| {
            let from = NOW + hour.times(24 * day);
            Opening { from, until: from + hour.times(7) }
        });
        let windows = Openings { open: days.collect(), known_until: NOW + hour.times(24 * 60) };
        let stages: Vec<_> = (1..=10)
            .map(|stage| Stage {
                weight: crate::weight::Weight::from_permille(stage * 100).unwrap(),
                bake: hour.times(7),
                approval: None,
            })
            .collect();
        let interval = Span::from_secs(60);
        let without = expected_history_events(&stages, interval, None);
        let with = expected_history_events(&stages, interval, Some(&windows));
        assert!(without + 5_000 < with && with < 20_000, "{without}, {with}");
    }

    #[test]
    fn an_hour_is_watched_at_the_plan_s_own_interval() {
        assert_eq!(ticks_within(Span::from_secs(60), Span::from_secs(3_600)), 60);
    }
}
