//! Services and target groups that are not ours to drive.

use super::{findings, plan, second_route};
use crate::fixtures::{ecs_service, group, route};
use crate::world::{Driver, TargetGroup};

fn target_group(protocol: &str, sticky: bool) -> Option<TargetGroup> {
    let health_check_path = Some("/health".to_owned());
    Some(TargetGroup { protocol: protocol.to_owned(), sticky, health_check_path })
}

#[test]
fn every_kind_of_service_that_something_else_drives_is_refused_in_a_sentence() {
    let kinds = [
        (
            Driver::Shifting("BLUE_GREEN".to_owned()),
            "ECS itself shifts the traffic of `shop-green` (strategy BLUE_GREEN)",
        ),
        (
            Driver::Daemon,
            "`shop-green` runs one task on every instance (DAEMON) and cannot be scaled",
        ),
        (
            Driver::Express,
            "`shop-green` is an Express service: its load balancer is managed by ECS",
        ),
        (
            Driver::Controller("CODE_DEPLOY".to_owned()),
            "`shop-green` is deployed by CODE_DEPLOY, not by ECS",
        ),
        (
            Driver::Controller("EXTERNAL".to_owned()),
            "`shop-green` is deployed by EXTERNAL, not by ECS",
        ),
    ];
    for (driver, message) in kinds {
        let found = findings(|_, found| {
            let green = found.green.as_mut().expect("it is there");
            green.driver = driver.clone();
            // Where other controllers keep them.
            green.target_groups.clear();
        });
        assert_eq!(found, [format!("error $.target.slots.green: {message}")]);
    }
}

#[test]
fn the_serving_slot_of_another_kind_is_not_said_to_be_changing() {
    let found = findings(|_, found| {
        let blue = found.blue.as_mut().expect("it is there");
        blue.driver = Driver::Shifting("LINEAR".to_owned());
        // ECS tells a rollout state of rolling updates only.
        blue.rollout = crate::world::Rollout::InProgress { failed_tasks: 0 };
    });
    let message = "ECS itself shifts the traffic of `shop-blue` (strategy LINEAR)";
    assert_eq!(found, [format!("error $.target.slots.blue: {message}")]);
}

#[test]
fn cookies_of_a_target_group_need_group_stickiness() {
    let with = |sticky_route: bool, attached: bool| {
        findings(|_, found| {
            let groups = [("blue", 999), ("green", 0)];
            found.routes = vec![route(&groups[..if attached { 2 } else { 1 }], sticky_route)];
            found.target_groups.insert(group("blue"), target_group("HTTP", true));
            found.target_groups.insert(group("green"), target_group("HTTP", false));
        })
    };
    let message = "clients stick to their targets in `blue`, and the route has no group \
                   stickiness: the load balancer would refuse every change of weights";
    for attached in [true, false] {
        assert_eq!(with(false, attached), [format!("error $.target.routes[0]: {message}")]);
    }
    assert!(with(true, true).is_empty());
    // It could be attached only together with the cookies of earlier deployments.
    let left = with(true, false);
    assert_eq!(left.len(), 1);
    assert!(left[0].contains("has lost `green`, the group of the canary"), "{left:?}");
}

#[test]
fn a_group_of_another_kind_of_load_balancer_is_warned_about_and_never_a_partner() {
    let change = |found: &mut crate::preflight::Found| {
        found.routes = vec![route(&[("blue", 1)], false)];
        found.green = Some(ecs_service(0, "shop:40", &["network", "green"]));
        found.target_groups.insert(group("network"), target_group("TCP", false));
        found.target_groups.insert(group("green"), target_group("HTTPS", false));
    };
    let message = "the tasks of `shop-green` also register with `network` (TCP), which is no \
                   Application Load Balancer's: what comes from there is not shifted";
    assert_eq!(
        findings(|_, found| change(found)),
        [format!("warning $.target.slots.green: {message}")]
    );
    let plan = plan(|_, found| change(found));
    assert_eq!(plan.routes[0].pair.canary, group("green"));
    assert_eq!(plan.routes[0].health_check_path.as_deref(), Some("/health"));
}

#[test]
fn a_group_that_is_gone_is_named() {
    let found = findings(|document, found| {
        second_route(document);
        found.routes.push(route(&[("blue", 1), ("green", 0)], false));
        found.blue = Some(ecs_service(3, "shop:41", &["blue", "old"]));
        found.target_groups.insert(group("old"), None);
    });
    let message = "the tasks of `shop-blue` register with `old`, which does not exist any more";
    assert_eq!(found, [format!("error $.target.slots.blue: {message}")]);
}
