//! How a service differs from what its last deployment has left: somebody, or infrastructure code, has set something
//! since, and the next deployment or rollback would meet it.

use std::fmt;

use serde::Serialize;

use crate::ids::TaskDefinition;
use crate::plan::{RoutePlan, SlotPlan};
use crate::record::{Deployment, Outcome, Phase};
use crate::route::Role;
use crate::scaling::{Pin, ScalableTarget};
use crate::weight::Weight;
use crate::world::{EcsService, FoundRoute, FoundScaling, ScheduledAction};

/// Something that is otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub kind: Kind,
    /// The ARN of a route, or the name of an ECS service.
    pub of: String,
    /// What was found, and what was left, in a sentence.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.of, self.found)
    }
}

/// What is otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Requests go to the other slot.
    Weight,
    /// A route does something else than to share requests between the slots.
    Route,
    /// The slot that serves runs something else.
    Version,
    /// The slot that serves has no tasks.
    Tasks,
    /// There is no ECS service of the slot that serves.
    Gone,
    /// The bounds within which its tasks are scaled.
    Scaling,
}

/// What is there now of the routes, in the plan's order, and of the slot that serves.
#[derive(Clone, Debug)]
pub struct Seen {
    pub routes: Vec<FoundRoute>,
    pub serving: Option<EcsService>,
    pub scaling: FoundScaling,
}

impl Seen {
    /// Whether a clock may have taken every task away.
    fn may_sleep(&self) -> bool {
        let mut scheduled = self.scaling.scheduled.iter();
        scheduled.any(|action| action.minimum == Some(0) || action.maximum == Some(0))
    }
}

impl Deployment {
    /// The slot that serves since it has ended, and the version there; `None`: it has not ended.
    pub fn left_serving(&self) -> Option<(Role, &SlotPlan, &TaskDefinition)> {
        let Phase::Closed(outcome) = self.phase else { return None };
        let plan = &self.plan;
        Some(match outcome {
            Outcome::Succeeded => (Role::Canary, &plan.canary, &plan.task_definition),
            Outcome::RolledBack | Outcome::Abandoned => {
                (Role::Stable, &plan.stable, &plan.stable.task_definition)
            }
        })
    }
}

/// What is otherwise than an ended deployment has left it. Nothing of one that runs.
pub fn differences(deployment: &Deployment, seen: &Seen) -> Vec<Difference> {
    let Some((role, slot, version)) = deployment.left_serving() else { return Vec::new() };
    let routes = deployment.plan.routes.iter().zip(&seen.routes);
    let mut found: Vec<_> =
        routes.filter_map(|(route, found)| of_route(deployment, role, route, found)).collect();
    let name = slot.service.to_string();
    let mut tell = |kind, text: String| {
        found.push(Difference { kind, of: name.clone(), found: text });
    };
    match &seen.serving {
        None => {
            tell(Kind::Gone, "there is no active service of this name, and it served".to_owned())
        }
        Some(service) => {
            let (runs, left) = (service.task_definition.short(), version.short());
            if runs != left {
                tell(Kind::Version, format!("it runs {runs}, and was left with {left}"));
            }
            if service.desired_count == 0 && !seen.may_sleep() {
                tell(Kind::Tasks, "it is asked for no task, and it serves".to_owned());
            }
        }
    }
    for text in of_scaling(deployment, role, &seen.scaling) {
        tell(Kind::Scaling, text);
    }
    found
}

/// Whether the service is gone and a newer deployment has another one of its name: it has got other slots, and nobody
/// misses these.
pub fn is_replaced<'a>(
    deployment: &Deployment,
    differences: &[Difference],
    others: impl IntoIterator<Item = &'a Deployment>,
) -> bool {
    let Deployment { plan, started_at, .. } = deployment;
    let gone = differences.iter().any(|difference| difference.kind == Kind::Gone);
    gone && others.into_iter().any(|other| {
        other.started_at > *started_at
            && other.plan.service == plan.service
            && other.plan.cluster.short() == plan.cluster.short()
    })
}

fn of_route(
    deployment: &Deployment,
    serving: Role,
    route: &RoutePlan,
    found: &FoundRoute,
) -> Option<Difference> {
    let (kind, found) = match found {
        FoundRoute::Found { actions, .. } => match actions.canary_share(&route.pair) {
            Ok(canary) => {
                let (other, share) = match serving {
                    Role::Canary => (&deployment.plan.stable, canary.rest()),
                    Role::Stable => (&deployment.plan.canary, canary),
                };
                if share == Weight::NONE {
                    return None;
                }
                let slot = other.slot;
                (Kind::Weight, format!("{share} of its requests go to {slot}, which was left idle"))
            }
            Err(error) => (Kind::Route, error.to_string()),
        },
        FoundRoute::DefaultRule => {
            (Kind::Route, "it is the default rule of its listener".to_owned())
        }
        FoundRoute::Missing => (Kind::Route, "it does not exist any more".to_owned()),
        FoundRoute::Unsupported(what) => (Kind::Route, what.clone()),
    };
    Some(Difference { kind, of: route.route.to_string(), found })
}

/// What somebody else has set since of what scales the slot.
fn of_scaling(deployment: &Deployment, role: Role, found: &FoundScaling) -> Vec<String> {
    let own = deployment.progress.scaling.of(role);
    // What could not be written was told then.
    if own.told.is_some() {
        return Vec::new();
    }
    let wrote = own.pin.as_ref().map(|pin| pin.wrote);
    match (wrote.or(deployment.plan.slot(role).scaling), found.target) {
        (Some(left), Some(present)) => {
            // Who sets the bounds by the clock sets them for good each time.
            let clock = |sets: fn(&ScheduledAction) -> Option<u32>| {
                found.scheduled.iter().any(|action| sets(action).is_some())
            };
            let minimum =
                if clock(|action| action.minimum) { present.minimum } else { left.minimum };
            let maximum =
                if clock(|action| action.maximum) { present.maximum } else { left.maximum };
            Pin::untouched(ScalableTarget { minimum, maximum, ..left }).seeing(present).1
        }
        (Some(_), None) => vec!["nothing scales it any more".to_owned()],
        (None, Some(present)) => {
            let ScalableTarget { minimum, maximum, .. } = present;
            vec![format!("it is scaled between {minimum} and {maximum} now, and was not")]
        }
        (None, None) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::deployment;
    use crate::scaling::Suspended;

    fn ended(outcome: Outcome) -> Deployment {
        Deployment { phase: Phase::Closed(outcome), ..deployment() }
    }

    /// Everything as it was left.
    fn in_order(deployment: &Deployment) -> Seen {
        let (role, slot, version) = deployment.left_serving().unwrap();
        let weight = if role == Role::Canary { Weight::ALL } else { Weight::NONE };
        let routes = deployment.plan.routes.iter().map(|route| FoundRoute::Found {
            actions: route.original.with_canary(&route.pair, weight),
            load_balancer: route.load_balancer.clone(),
        });
        Seen {
            routes: routes.collect(),
            serving: Some(EcsService::rolled_out(version.clone(), 2)),
            scaling: FoundScaling { target: slot.scaling, ..FoundScaling::default() },
        }
    }

    fn found(deployment: &Deployment, seen: &Seen) -> Vec<(Kind, String)> {
        let found = differences(deployment, seen).into_iter();
        found.map(|difference| (difference.kind, difference.found)).collect()
    }

    #[test]
    fn what_is_as_it_was_left_has_no_difference() {
        for outcome in [Outcome::Succeeded, Outcome::RolledBack, Outcome::Abandoned] {
            let deployment = ended(outcome);
            assert_eq!(found(&deployment, &in_order(&deployment)), [], "{outcome:?}");
        }
        let running = deployment();
        let closed = ended(Outcome::RolledBack);
        assert_eq!(found(&running, &in_order(&closed)), []);
    }

    #[test]
    fn requests_that_go_to_the_other_slot_are_found_of_each_outcome() {
        for (outcome, weight, share) in [
            (Outcome::Succeeded, Weight::NONE, "100 %"),
            (Outcome::Succeeded, Weight::from_permille(925).unwrap(), "7.5 %"),
            (Outcome::RolledBack, Weight::from_permille(75).unwrap(), "7.5 %"),
        ] {
            let deployment = ended(outcome);
            let mut seen = in_order(&deployment);
            let route = &deployment.plan.routes[0];
            seen.routes[0] = FoundRoute::Found {
                actions: route.original.with_canary(&route.pair, weight),
                load_balancer: String::new(),
            };
            let found = found(&deployment, &seen);
            assert!(
                matches!(&found[..], [(Kind::Weight, found)] if found.starts_with(share)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_route_that_is_gone_and_a_service_that_was_changed_are_found() {
        let deployment = ended(Outcome::Succeeded);
        let mut seen = in_order(&deployment);
        seen.routes[0] = FoundRoute::Missing;
        seen.serving = Some(EcsService::rolled_out(TaskDefinition::new("shop:7"), 0));
        let kinds: Vec<_> = found(&deployment, &seen).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Kind::Route, Kind::Version, Kind::Tasks]);
        seen.serving = None;
        let kinds: Vec<_> = found(&deployment, &seen).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Kind::Route, Kind::Gone]);
    }

    #[test]
    fn slots_that_are_gone_are_missed_unless_the_service_has_got_others() {
        let deployment = ended(Outcome::Succeeded);
        let mut seen = in_order(&deployment);
        seen.serving = None;
        let gone = differences(&deployment, &seen);
        let newer = Deployment {
            started_at: deployment.started_at + crate::time::Span::from_secs(1),
            ..deployment.clone()
        };
        assert!(!is_replaced(&deployment, &gone, [&deployment]));
        assert!(is_replaced(&deployment, &gone, [&deployment, &newer]));
        assert!(!is_replaced(&newer, &gone, [&deployment, &newer]));
        assert!(!is_replaced(&deployment, &[], [&newer]));
        let mut other = newer;
        other.plan.service = crate::ids::ServiceLabel::new("basket");
        assert!(!is_replaced(&deployment, &gone, [&other]));
    }

    #[test]
    fn bounds_that_somebody_has_set_are_found_unless_a_clock_sets_them() {
        let mut deployment = ended(Outcome::Succeeded);
        let suspended = Suspended { scale_in: false, scale_out: false, scheduled: false };
        let left = ScalableTarget { minimum: 2, maximum: 10, suspended };
        deployment.plan.canary.scaling = Some(left);
        let mut seen = in_order(&deployment);
        assert_eq!(found(&deployment, &seen), []);
        seen.scaling.target = Some(ScalableTarget { minimum: 1, ..left });
        let told = found(&deployment, &seen);
        assert_eq!(told, [(Kind::Scaling, "its minimum is 1 instead of 2".to_owned())]);
        seen.scaling.target = None;
        assert_eq!(found(&deployment, &seen).len(), 1);
        seen.scaling.target = Some(ScalableTarget { minimum: 1, ..left });
        let (name, minimum, maximum) = ("mornings".to_owned(), Some(1), None);
        seen.scaling.scheduled = vec![ScheduledAction { name, minimum, maximum }];
        assert_eq!(found(&deployment, &seen), []);
        // No clock suspends anything.
        let suspended = Suspended { scale_in: true, ..suspended };
        seen.scaling.target = Some(ScalableTarget { suspended, ..left });
        assert_eq!(found(&deployment, &seen).len(), 1);
        seen.scaling = FoundScaling { target: Some(left), ..FoundScaling::default() };
        deployment.plan.canary.scaling = None;
        assert_eq!(found(&deployment, &seen).len(), 1);
    }

    #[test]
    fn a_service_that_a_clock_puts_to_sleep_may_have_no_task() {
        let deployment = ended(Outcome::Succeeded);
        let mut seen = in_order(&deployment);
        seen.serving.as_mut().unwrap().desired_count = 0;
        assert_eq!(found(&deployment, &seen).len(), 1);
        let (name, minimum, maximum) = ("nights".to_owned(), Some(0), Some(0));
        seen.scaling.scheduled = vec![ScheduledAction { name, minimum, maximum }];
        assert_eq!(found(&deployment, &seen), []);
    }
}
