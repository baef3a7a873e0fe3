//! The routes: which groups of theirs belong to which slot, and which slot carries the traffic.

use super::Found;
use super::slots::Services;
use crate::document::Findings;
use crate::ids::TargetGroupArn;
use crate::plan::{RoutePlan, Slot};
use crate::request::Request;
use crate::route::{Role, RolePair, RouteActions, RouteError, RouteRef};
use crate::world::{EcsService, FoundRoute, TargetGroup};

/// Every route with the groups of both slots.
pub(super) struct Routes<'a> {
    routes: Vec<Route<'a>>,
    /// The slot that carries everything, if they agree on one.
    pub(super) serving: Option<Slot>,
}

struct Route<'a> {
    index: usize,
    reference: &'a RouteRef,
    actions: &'a RouteActions,
    load_balancer: &'a str,
    blue: TargetGroupArn,
    green: TargetGroupArn,
}

/// The groups of a route as far as its own action names them.
struct Named<'a> {
    index: usize,
    reference: &'a RouteRef,
    actions: &'a RouteActions,
    load_balancer: &'a str,
    blue: Option<TargetGroupArn>,
    green: Option<TargetGroupArn>,
}

impl Routes<'_> {
    /// The routes of the plan, if it is known which slot is stable.
    pub(super) fn plans(self, found: &Found) -> Option<Vec<RoutePlan>> {
        let serving = self.serving?;
        let plan = |route: Route<'_>| {
            let pair = route.pair(serving);
            let canary = found.target_groups.get(&pair.canary).and_then(Option::as_ref);
            let health_check_path = canary.and_then(|group| group.health_check_path.clone());
            RoutePlan {
                route: route.reference.clone(),
                pair,
                original: route.actions.clone(),
                load_balancer: route.load_balancer.to_owned(),
                health_check_path,
            }
        };
        Some(self.routes.into_iter().map(plan).collect())
    }
}

impl Route<'_> {
    fn pair(&self, serving: Slot) -> RolePair {
        let (stable, canary) = match serving {
            Slot::Blue => (&self.blue, &self.green),
            Slot::Green => (&self.green, &self.blue),
        };
        RolePair { stable: stable.clone(), canary: canary.clone() }
    }
}

fn path(index: usize) -> String {
    format!("$.target.routes[{index}]")
}

/// Checks every route; `None` if one of them cannot be shifted.
pub(super) fn check<'a>(
    request: &'a Request,
    found: &'a Found,
    services: Option<Services<'_>>,
    findings: &mut Findings,
) -> Option<Routes<'a>> {
    let mut named: Vec<Option<Named<'a>>> = Vec::new();
    for (index, reference) in request.target.routes.iter().enumerate() {
        named.push(name_groups(index, reference, found.routes.get(index), services, findings));
    }
    let named: Vec<_> = named.into_iter().collect::<Option<_>>()?;
    let routes = complete_pairs(request, found, named, services?, findings)?;
    routes.iter().for_each(|route| check_target_stickiness(route, found, findings));
    // While another deployment runs the weights are what it made of them.
    let serving = if found.holders.is_empty() { serving(&routes, findings) } else { None };
    if let Some(serving) = serving {
        routes.iter().for_each(|route| check_stickiness(route, serving, found, findings));
    }
    Some(Routes { routes, serving })
}

/// The slots' groups that a route's own action names.
fn name_groups<'a>(
    index: usize,
    reference: &'a RouteRef,
    found: Option<&'a FoundRoute>,
    services: Option<Services<'_>>,
    findings: &mut Findings,
) -> Option<Named<'a>> {
    let (actions, load_balancer) = match found {
        Some(FoundRoute::Found { actions, load_balancer }) => (actions, load_balancer),
        Some(FoundRoute::DefaultRule) => {
            let hint = "write { listener: ARN } with the ARN of its listener";
            findings.error(path(index), "this is the default rule of a listener", hint);
            return None;
        }
        Some(FoundRoute::Missing) | None => {
            let message = format!("there is no `{reference}`");
            findings.error(path(index), message, "check the ARN, the account and the region");
            return None;
        }
        Some(FoundRoute::Unsupported(what)) => {
            findings.error(
                path(index),
                format!("the route cannot be written back unchanged: {what}"),
                "use a route without it",
            );
            return None;
        }
    };
    let forward = match actions.forward() {
        Ok(forward) => forward,
        Err(error) => {
            let hint = "use a route that forwards to the slots' target groups";
            findings.error(path(index), error.to_string(), hint);
            return None;
        }
    };
    let services = services?;
    let of_slot = |slot| {
        let groups = forward.groups().iter().map(|entry| &entry.group);
        groups.filter(move |group| services.of(slot).registers_with(group))
    };
    let (blue, green): (Vec<_>, Vec<_>) =
        (of_slot(Slot::Blue).collect(), of_slot(Slot::Green).collect());
    let others: Vec<_> = forward
        .groups()
        .iter()
        .map(|entry| &entry.group)
        .filter(|group| !blue.contains(group) && !green.contains(group))
        .cloned()
        .collect();
    if blue.is_empty() && green.is_empty() {
        let groups: Vec<_> = others.iter().map(|group| format!("`{}`", group.short())).collect();
        findings.error(
            path(index),
            format!("the route forwards to neither slot, but to {}", groups.join(", ")),
            "let the ECS services register with the route's target groups, or name another route",
        );
        return None;
    }
    if !others.is_empty() {
        findings.error(
            path(index),
            RouteError::OtherGroups(others).to_string(),
            "take these groups out of the route: they belong to neither slot",
        );
        return None;
    }
    for (slot, groups) in [(Slot::Blue, &blue), (Slot::Green, &green)] {
        if groups.len() > 1 {
            let names: Vec<_> = groups.iter().map(|group| format!("`{}`", group.short())).collect();
            findings.error(
                path(index),
                format!(
                    "the route forwards to several groups of the {slot} slot: {}",
                    names.join(", ")
                ),
                "let it forward to one group of each slot",
            );
            return None;
        }
    }
    let (blue, green) = (blue.first().copied().cloned(), green.first().copied().cloned());
    Some(Named { index, reference, actions, load_balancer, blue, green })
}

/// Finds the group that a route does not name: the partner that its other group has on another
/// route, or else the only group of the ECS service that no route names, or the only one of those
/// that leads to the same port of the same container. A sticky route names one group after every
/// deployment: with a group for each of several routes, this is what tells them apart.
fn complete_pairs<'a>(
    request: &Request,
    found: &Found,
    named: Vec<Named<'a>>,
    services: Services<'_>,
    findings: &mut Findings,
) -> Option<Vec<Route<'a>>> {
    let mut pairs: Vec<(TargetGroupArn, TargetGroupArn)> = named
        .iter()
        .filter_map(|route| Some((route.blue.clone()?, route.green.clone()?)))
        .collect();
    let mut routes = Vec::new();
    let mut complete = true;
    for route in named {
        let pair = match (&route.blue, &route.green) {
            (Some(blue), Some(green)) => Some((blue.clone(), green.clone())),
            (Some(blue), None) => pairs
                .iter()
                .find(|pair| pair.0 == *blue)
                .map(|pair| pair.1.clone())
                .or_else(|| {
                    let taken: Vec<_> = pairs.iter().map(|pair| &pair.1).collect();
                    partner(found, (services.blue, blue), services.green, &taken)
                })
                .map(|green| (blue.clone(), green)),
            (None, Some(green)) => pairs
                .iter()
                .find(|pair| pair.1 == *green)
                .map(|pair| pair.0.clone())
                .or_else(|| {
                    let taken: Vec<_> = pairs.iter().map(|pair| &pair.0).collect();
                    partner(found, (services.green, green), services.blue, &taken)
                })
                .map(|blue| (blue, green.clone())),
            (None, None) => None,
        };
        let Some((blue, green)) = pair else {
            let slot = if route.blue.is_none() { Slot::Blue } else { Slot::Green };
            findings.error(
                path(route.index),
                format!(
                    "it cannot be told which target group of `{}` belongs to this route",
                    request.target.slots.of(slot)
                ),
                format!("add the {slot} slot's group to the route's action, with weight 0"),
            );
            complete = false;
            continue;
        };
        let Named { index, reference, actions, load_balancer, .. } = route;
        pairs.push((blue.clone(), green.clone()));
        routes.push(Route { index, reference, actions, load_balancer, blue, green });
    }
    complete.then_some(routes)
}

/// Which group of a service is to the other slot's what the known one is to its own.
fn partner(
    found: &Found,
    (other, known): (&EcsService, &TargetGroupArn),
    service: &EcsService,
    taken: &[&TargetGroupArn],
) -> Option<TargetGroupArn> {
    // A group that this kind of load balancer cannot forward to is nobody's partner.
    let fits = |group: &TargetGroupArn| {
        let known = found.target_groups.get(group).and_then(Option::as_ref);
        known.is_none_or(TargetGroup::takes_weights)
    };
    let free: Vec<_> = service
        .target_groups
        .iter()
        .filter(|registration| !taken.contains(&&registration.group) && fits(&registration.group))
        .collect();
    if let [only] = free[..] {
        return Some(only.group.clone());
    }
    let known = other.target_groups.iter().find(|registration| registration.group == *known)?;
    let answers = known.answers.as_ref()?;
    let alike: Vec<_> =
        free.into_iter().filter(|free| free.answers.as_ref() == Some(answers)).collect();
    match alike[..] {
        [only] => Some(only.group.clone()),
        _ => None,
    }
}

/// The slot that carries everything on every route.
fn serving(routes: &[Route<'_>], findings: &mut Findings) -> Option<Slot> {
    let mut serving: Vec<(usize, Slot)> = Vec::new();
    for route in routes {
        match route.actions.weights_of(&route.blue, &route.green) {
            Ok((blue, green)) if blue.carries() && green.carries() => findings.error(
                path(route.index),
                format!("both slots carry weight: blue {}, green {}", blue.get(), green.get()),
                "set the weight of the slot with the unwanted version to 0; which one is stable \
                 must be beyond doubt before a deployment begins",
            ),
            Ok((blue, _)) => {
                serving.push((route.index, if blue.carries() { Slot::Blue } else { Slot::Green }));
            }
            Err(error) => findings.error(
                path(route.index),
                error.to_string(),
                "give the slot that should serve a weight above 0",
            ),
        }
    }
    let (first, slot) = *serving.first()?;
    for (index, other) in &serving {
        if *other != slot {
            findings.error(
                path(*index),
                format!("{other} carries this route, but {slot} carries routes[{first}]"),
                "let all routes forward to the same slot first",
            );
        }
    }
    let agreed = serving.len() == routes.len() && serving.iter().all(|(_, other)| *other == slot);
    agreed.then_some(slot)
}

/// A sticky route loses the group that gets nothing. It is attached again without group stickiness,
/// which the load balancer refuses where clients stick to the targets of a group as well.
fn check_stickiness(route: &Route<'_>, serving: Slot, found: &Found, findings: &mut Findings) {
    let canary = route.pair(serving).canary;
    let attached = route.actions.forward().is_ok_and(|forward| forward.contains(&canary));
    let sticky = sticky_groups(route, found);
    if route.actions.sticky() && !attached && !sticky.is_empty() {
        findings.error(
            path(route.index),
            format!(
                "the route is sticky and has lost `{}`, the group of the {}, and clients stick to \
                 their targets in {}: the load balancer would refuse to attach it without cookies",
                canary.short(),
                Role::Canary,
                sticky.join(" and ")
            ),
            "set the attribute stickiness.enabled of these groups to false; or add the group with \
             weight 0 by hand, once its cookies have expired",
        );
    }
}

/// The groups whose targets keep their clients by cookies of the group's own.
fn sticky_groups(route: &Route<'_>, found: &Found) -> Vec<String> {
    [&route.blue, &route.green]
        .into_iter()
        .filter(|group| {
            let known = found.target_groups.get(*group).and_then(Option::as_ref);
            known.is_some_and(|group| group.sticky)
        })
        .map(|group| format!("`{}`", group.short()))
        .collect()
}

/// The load balancer takes several groups of which one has cookies of its own only if the action has
/// group stickiness; without it every write of a weight would be refused.
fn check_target_stickiness(route: &Route<'_>, found: &Found, findings: &mut Findings) {
    if route.actions.sticky() {
        return;
    }
    let sticky = sticky_groups(route, found);
    if !sticky.is_empty() {
        findings.error(
            path(route.index),
            format!(
                "clients stick to their targets in {}, and the route has no group stickiness: the \
                 load balancer would refuse every change of weights",
                sticky.join(" and ")
            ),
            "set the attribute stickiness.enabled of these groups to false; or switch group \
             stickiness of the route on, with both groups in it",
        );
    }
}
