//! What else scales the slots. Glidepath moves bounds and suspensions with the traffic, and no policies:
//! those are in the user's template, for each slot.

use super::slots::{Services, path};
use super::{Found, SlotsScaling};
use crate::document::Findings;
use crate::plan::Slot;
use crate::request::Request;
use crate::scaling::Suspended;
use crate::world::{EcsService, FoundScaling};

pub(super) fn check(
    request: &Request,
    found: &Found,
    services: Option<Services<'_>>,
    serving: Option<Slot>,
    findings: &mut Findings,
) {
    let scaling = &found.scaling;
    if let Some(why) = &scaling.unreadable {
        findings.warning(
            "$.target.slots",
            format!(
                "what scales the slots cannot be read ({why}): nothing of it is held, and a slot that \
                 an earlier deployment has left idle would serve without being scaled"
            ),
            "deploy the stack anew, or look for a boundary or a service control policy",
        );
    }
    for slot in [Slot::Blue, Slot::Green] {
        for dimension in &scaling.of(slot).other_dimensions {
            let name = request.target.slots.of(slot);
            findings.error(
                path(slot),
                format!(
                    "Application Auto Scaling scales `{name}` in the dimension `{dimension}`, which is \
                     not its number of tasks"
                ),
                "deregister that scalable target, or leave the service to whatever has made it",
            );
        }
    }
    let (Some(services), Some(serving)) = (services, serving) else { return };
    // While another deployment runs they are as they are because of it.
    if !found.holders.is_empty() {
        return;
    }
    let slots = Slots { request, scaling, serving };
    slots.compare(findings);
    slots.forecasts(findings);
    slots.of_serving(services.of(serving), findings);
}

struct Slots<'a> {
    request: &'a Request,
    scaling: &'a SlotsScaling,
    serving: Slot,
}

impl Slots<'_> {
    fn name(&self, slot: Slot) -> &str {
        self.request.target.slots.of(slot).as_str()
    }

    /// What scales the serving slot and would not scale the other one, once that serves.
    fn compare(&self, findings: &mut Findings) {
        let (serving, idle) = (self.serving, self.serving.other());
        let (now, then) = (self.scaling.of(serving), self.scaling.of(idle));
        let (old, new) = (self.name(serving), self.name(idle));
        if now.target.is_none() {
            if then.target.is_some() {
                findings.warning(
                    path(serving),
                    format!("`{new}` is scaled by Application Auto Scaling, `{old}`, which serves, is not"),
                    format!("register a scalable target for `{old}`, or deregister that of `{new}`"),
                );
            }
            return;
        }
        let missing = missing(now, then);
        if missing.is_empty() {
            return;
        }
        let (what, hint) = if then.target.is_none() {
            (
                format!("a scalable target with {}", missing.join(" and ")),
                "its bounds do not matter",
            )
        } else {
            (missing.join(" and "), "as the other slot has it")
        };
        findings.error(
            path(idle),
            format!("`{new}` would serve and never be scaled as `{old}` is: it has not {what}"),
            format!("give `{new}` {what} ({hint}: Glidepath moves the bounds with the traffic)"),
        );
    }

    /// Suspension is not known to stop a forecast, so a slot that is idle may wake.
    fn forecasts(&self, findings: &mut Findings) {
        for slot in [Slot::Blue, Slot::Green] {
            for policy in self.scaling.of(slot).policies.iter().filter(|policy| policy.forecasts) {
                let (name, policy) = (self.name(slot), &policy.name);
                findings.warning(
                    path(slot),
                    format!(
                        "`{policy}` scales `{name}` by a forecast, which may start tasks while the slot \
                         is idle"
                    ),
                    "let it forecast only (ForecastOnly): what it learns of two slots that take turns \
                     is of little use",
                );
            }
        }
    }

    fn of_serving(&self, service: &EcsService, findings: &mut Findings) {
        let name = self.name(self.serving);
        let found = self.scaling.of(self.serving);
        let Some(target) = found.target else { return };
        let tasks = service.desired_count;
        let at = || path(self.serving);
        if tasks < target.minimum || tasks > target.maximum {
            let held = target.held(tasks);
            findings.warning(
                at(),
                format!(
                    "`{name}` is asked for {tasks} tasks, which is not within {}-{} where Application \
                     Auto Scaling keeps it",
                    target.minimum, target.maximum
                ),
                format!("it is held at {}-{} until the end", held.minimum, held.maximum),
            );
        }
        // It may be what a deployment could not give back.
        let Suspended { scale_in, scale_out, scheduled } = target.suspended;
        for (is, what) in [
            (scale_in, "scale-in of"),
            (scale_out, "scale-out of"),
            (scheduled && !found.scheduled.is_empty(), "the schedule of"),
        ] {
            if is {
                findings.warning(
                    at(),
                    format!("{what} `{name}` is suspended, and stays so"),
                    "resume it, unless that is what you want",
                );
            }
        }
        for action in &found.scheduled {
            if let Some(maximum) = action.maximum.filter(|maximum| *maximum < tasks) {
                let action = &action.name;
                findings.warning(
                    at(),
                    format!(
                        "the scheduled action `{action}` lets `{name}` have {maximum} tasks, and it has \
                         {tasks}"
                    ),
                    "let the deployment end before: tasks that it takes away are asked for again, and \
                     missing until they have started",
                );
            }
        }
    }
}

/// What scales the one and has no counterpart at the other, in words.
fn missing(now: &FoundScaling, then: &FoundScaling) -> Vec<String> {
    let mut missing = Vec::new();
    for policy in &now.policies {
        let kind = &policy.kind;
        let has = then.policies.iter().any(|other| other.kind == *kind);
        let words = format!("a policy of the kind {kind}");
        if !has && !missing.contains(&words) {
            missing.push(words);
        }
    }
    if !now.scheduled.is_empty() && then.scheduled.is_empty() {
        missing.push("a scheduled action".to_owned());
    }
    missing
}
