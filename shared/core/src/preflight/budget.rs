//! What a plan costs in time, transaction items and history events, where that has limits.

use std::collections::BTreeMap;

use crate::document::Findings;
use crate::pace::expected_history_events;
use crate::plan::Plan;
use crate::record::LockKey;
use crate::request::Request;
use crate::time::Span;

/// History events above which a plan is warned about; an execution ends at 25,000.
const MANY_HISTORY_EVENTS: u64 = 20_000;

/// Longest time that an execution may take: one year.
const LONGEST_EXECUTION: Span = Span::from_secs(365 * 86_400);

/// Items that one DynamoDB transaction may have.
const TRANSACTION_ITEMS: usize = 100;

/// Items of the largest transaction besides locks and alarms: the deployment, a notice, and a
/// retirement of each slot.
const FURTHER_ITEMS: usize = 4;

/// Looks that a bake should contain: one may fall into the incomplete first minute.
const FEWEST_LOOKS: u64 = 2;

pub(super) fn check(request: &Request, plan: &Plan, findings: &mut Findings) {
    short_bakes(request, plan, findings);
    let strategy = format!("$.strategy.{}", plan.strategy);
    let events = expected_history_events(&plan.stages, plan.health.interval, plan.windows.as_ref());
    if events > MANY_HISTORY_EVENTS {
        findings.warning(
            strategy.clone(),
            format!("the execution needs about {events} history events of the 25,000 it may have"),
            "use fewer stages, shorter approvals, or a longer $.health.interval",
        );
    }
    let total = plan.stages.iter().fold(Span::ZERO, |total, stage| total.plus(stage.bake));
    if total > LONGEST_EXECUTION {
        findings.error(
            strategy,
            "the bakes take longer than the year that an execution may run",
            "use fewer or shorter ones",
        );
    }
    let items = LockKey::of(plan).len() + plan.health.alarms.binding().count() + FURTHER_ITEMS;
    if items > TRANSACTION_ITEMS {
        findings.error(
            "$.target.routes",
            format!(
                "routes and alarms need {items} registry items at once, at most \
                     {TRANSACTION_ITEMS} are possible"
            ),
            "combine alarms into composite alarms, or split the service",
        );
    }
}

/// One warning for each field, however many stages it stands for.
fn short_bakes(request: &Request, plan: &Plan, findings: &mut Findings) {
    // Whoever writes that means it.
    if plan.only_switches() {
        return;
    }
    let interval = plan.health.interval;
    let short: BTreeMap<String, Span> = plan
        .stages
        .iter()
        .enumerate()
        .filter(|(_, stage)| stage.bake < interval.times(FEWEST_LOOKS))
        .map(|(index, stage)| (request.strategy.bake_path(index), stage.bake))
        .collect();
    for (path, bake) in short {
        findings.warning(
            path,
            format!("a bake of {bake} has fewer than {FEWEST_LOOKS} looks, one every {interval}"),
            format!("bake for at least {}", interval.times(FEWEST_LOOKS)),
        );
    }
}
