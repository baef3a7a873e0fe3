//! Rules and listeners that lead to the slots and are no routes of the request: nobody shifts them,
//! and the slot that is left must not lose its tasks while they send requests to it.

use super::Found;
use super::slots::Services;
use crate::document::Findings;
use crate::plan::{Permille, Slot};
use crate::request::Request;
use crate::route::RouteRef;

/// Warns of each, with what to write. What leads to the idle slot while it has tasks.
pub(super) fn check(
    request: &Request,
    found: &Found,
    services: Option<Services<'_>>,
    serving: Option<Slot>,
    findings: &mut Findings,
) -> Vec<RouteRef> {
    let mut unlisted = Vec::new();
    let Some(services) = services else { return unlisted };
    for reaching in &found.reaching {
        if request.target.routes.contains(&reaching.route) {
            continue;
        }
        let share = |slot: Slot| {
            let service = services.of(slot);
            let own = reaching.shares.iter().filter(|(group, _)| service.registers_with(group));
            own.map(|(_, permille)| *permille).sum::<u16>()
        };
        let shares: Vec<_> = [Slot::Blue, Slot::Green]
            .into_iter()
            .map(|slot| (slot, share(slot)))
            .filter(|(_, share)| *share > 0)
            .collect();
        if shares.is_empty() {
            continue;
        }
        let words: Vec<_> = shares
            .iter()
            .map(|(slot, share)| format!("{} to the {slot} slot", Permille(*share)))
            .collect();
        let entry = match &reaching.route {
            RouteRef::Rule(arn) => format!("{{ rule: {arn} }}"),
            RouteRef::Listener(arn) => format!("{{ listener: {arn} }}"),
        };
        let reaches = |slot: Slot| shares.iter().any(|(reached, _)| *reached == slot);
        let idle = serving.map(Slot::other).filter(|idle| reaches(*idle));
        if idle.is_some_and(|idle| services.of(idle).desired_count > 0) {
            unlisted.push(reaching.route.clone());
        }
        let otherwise = match serving {
            Some(serving) if reaches(serving) => {
                "as it is, its requests stay on the old version, whose tasks are kept as long as it \
                 leads there"
            }
            Some(_) => {
                "as it is, its requests reach the new version whatever the weights, and nothing \
                 while its slot has no tasks: right for tests, and for nobody else"
            }
            None => "as it is, nobody shifts it",
        };
        findings.warning(
            "$.target.routes",
            format!("`{}` sends {} and is not listed", reaching.route, words.join(", ")),
            format!("add {entry} to $.target.routes; {otherwise}"),
        );
    }
    unlisted
}
