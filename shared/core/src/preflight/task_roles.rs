//! The roles of the new version: ECS gives a service a version only for somebody who may pass both of
//! its roles, and refuses the first write of a deployment otherwise.

use super::Found;
use super::slots::Services;
use crate::document::Findings;
use crate::pattern::matches;
use crate::plan::Slot;
use crate::world::RegisteredVersion;

/// Roles of the new version that the stack may not pass.
pub(super) fn check(
    found: &Found,
    services: Option<Services<'_>>,
    serving: Option<Slot>,
    findings: &mut Findings,
) {
    let (Some(version), Some(pattern)) = (&found.task_definition, &found.stack.task_roles) else {
        return;
    };
    let idle = services.zip(serving).map(|(services, serving)| services.of(serving.other()));
    if idle.is_some_and(|idle| idle.task_definition == version.arn) {
        // It has the version already, and is only asked for tasks: that needs no role.
        return;
    }
    let RegisteredVersion { arn, active: _, task_role, execution_role, containers: _ } = version;
    let roles = if task_role == execution_role {
        vec![("task and execution role", task_role)]
    } else {
        vec![("task role", task_role), ("execution role", execution_role)]
    };
    for (kind, role) in roles {
        let Some(role) = role else { continue };
        let role = Role::of(role);
        let own = account(arn.as_str());
        let hint = if role.account.is_some() && own.is_some() && role.account != own {
            format!(
                "give it a role of account {}: ECS takes none of another account",
                own.unwrap_or_default()
            )
        } else if matches(pattern, role.name) {
            continue;
        } else {
            format!(
                "widen the stack's parameter `TaskRolePattern`, which is `{pattern}`, to one pattern \
                 that covers `{}` as well, and deploy the stack; or give the task definition a role \
                 that it covers",
                role.name
            )
        };
        findings.error(
            "$.release.taskDefinition",
            format!(
                "the stack may not pass `{}`, the {kind} of `{}`, to ECS (iam:PassRole)",
                role.name,
                arn.short()
            ),
            hint,
        );
    }
}

/// A role as IAM's patterns see it.
struct Role<'a> {
    /// `None`: where only a name is given, it is the account's own.
    account: Option<&'a str>,
    /// With its path: `service-role/ecs`.
    name: &'a str,
}

impl<'a> Role<'a> {
    fn of(text: &'a str) -> Self {
        match text.split_once(":role/") {
            Some((_, name)) => Self { account: account(text), name },
            None => Self { account: None, name: text },
        }
    }
}

/// The account of an ARN.
fn account(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(3).filter(|account| !account.is_empty())
}
