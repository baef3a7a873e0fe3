//! Roles that the stack may pass to ECS, and others.

use super::findings;
use crate::fixtures::{ecs_service, registered};

const ACCOUNT: &str = "arn:aws:iam::123456789012:role/";

/// What is found of a version with these roles where the stack may pass what the pattern covers.
fn found(
    pattern: Option<&str>,
    task_role: Option<&str>,
    execution_role: Option<&str>,
) -> Vec<String> {
    findings(|_, found| {
        found.stack.task_roles = pattern.map(str::to_owned);
        let mut version = registered("shop:42");
        version.task_role = task_role.map(str::to_owned);
        version.execution_role = execution_role.map(str::to_owned);
        found.task_definition = Some(version);
    })
}

fn role(name: &str) -> String {
    format!("{ACCOUNT}{name}")
}

#[test]
fn a_role_that_the_stack_may_not_pass_is_found_before_the_first_write() {
    let (task, execution) = (role("shop-task"), role("service-role/ecs"));
    let found = found(Some("shop-*"), Some(&task), Some(&execution));
    assert_eq!(
        found,
        [
            "error $.release.taskDefinition: the stack may not pass `service-role/ecs`, the execution \
          role of `shop:42`, to ECS (iam:PassRole)"
        ]
    );
    let both = self::found(Some("ecs"), Some(&execution), Some(&execution));
    assert!(both.len() == 1 && both[0].contains("the task and execution role"), "{both:?}");
}

#[test]
fn paths_belong_to_the_name_and_wildcards_are_those_of_iam() {
    for (pattern, name, covered) in [
        ("*", "service-role/ecs", true),
        ("service-role/*", "service-role/ecs", true),
        ("*ecs", "service-role/ecs", true),
        ("ecs", "service-role/ecs", false),
        ("shop-tas?", "shop-task", true),
        ("shop-tas?", "shop-tas", false),
        ("shop-task", "Shop-Task", false),
    ] {
        for role in [role(name), name.to_owned()] {
            let found = found(Some(pattern), Some(&role), None);
            assert_eq!(found.is_empty(), covered, "{pattern} {role}: {found:?}");
        }
    }
}

#[test]
fn a_role_of_another_account_cannot_be_passed_whatever_the_pattern_is() {
    let found = found(Some("*"), None, Some("arn:aws:iam::444455556666:role/elsewhere"));
    assert!(found.len() == 1 && found[0].contains("may not pass `elsewhere`"), "{found:?}");
}

#[test]
fn a_stack_that_does_not_say_and_a_slot_that_has_the_version_need_nothing() {
    let role = role("shop-task");
    assert_eq!(found(None, Some(&role), None), [""; 0]);
    let has_it = findings(|_, found| {
        found.stack.task_roles = Some("other".to_owned());
        found.green = Some(ecs_service(0, "shop:42", &["green"]));
        let mut version = registered("shop:42");
        version.task_role = Some(role.clone());
        found.task_definition = Some(version);
    });
    assert_eq!(has_it, [""; 0]);
}
