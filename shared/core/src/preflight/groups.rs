//! The target groups of both ECS services: those that nobody can shift.

use super::Found;
use super::slots::{Services, path};
use crate::document::Findings;
use crate::plan::Slot;
use crate::request::Request;

/// Checks every group with which the tasks of a slot register. What belongs to a route is checked
/// with it.
pub(super) fn check(
    request: &Request,
    found: &Found,
    services: Option<Services<'_>>,
    findings: &mut Findings,
) {
    let Some(services) = services else { return };
    for slot in [Slot::Blue, Slot::Green] {
        let name = request.target.slots.of(slot);
        for group in services.of(slot).groups() {
            match found.target_groups.get(group) {
                Some(None) => findings.error(
                    path(slot),
                    format!(
                        "the tasks of `{name}` register with `{}`, which does not exist any more",
                        group.short()
                    ),
                    "take it out of the ECS service's load balancers",
                ),
                Some(Some(found)) if !found.takes_weights() => findings.warning(
                    path(slot),
                    format!(
                        "the tasks of `{name}` also register with `{}` ({}), which is no \
                         Application Load Balancer's: what comes from there is not shifted",
                        group.short(),
                        found.protocol
                    ),
                    "take it out of the ECS service, or be sure that nothing comes from there: it \
                     reaches the tasks of the canary as soon as they run",
                ),
                Some(Some(_)) | None => {}
            }
        }
    }
}
