//! What each role of the stack may do, by IAM's own simulation.

use std::collections::BTreeSet;

use glidepath_aws::channels::ChannelKind;
use glidepath_core::audit::KEPT_BELOW;
use glidepath_core::doctor::{
    Decision, ROLES, Role, Row, Scope, ServiceSubject, Subject, about_role, needs, permissions,
};
use glidepath_core::request::Request;
use glidepath_core::route::{ActionKind, RouteRef};
use glidepath_core::world::{FoundRoute, PrivateImage};
use glidepath_engine::ports::{LoadBalancer, PortError, PortResult};

use super::context::{Doctor, unchecked};

pub(super) async fn check(doctor: &Doctor) -> Vec<Row> {
    let found = async {
        let roles = roles(doctor).await?;
        let functions = roles.iter().map(|(function, _)| function.clone()).collect();
        PortResult::Ok((subject(doctor, functions).await?, roles))
    };
    let there = |role: &Role| is_there(doctor, *role);
    let (subject, roles) = match found.await {
        Ok(found) => found,
        Err(error) => {
            let there = ROLES.iter().filter(|role| there(role));
            return there.map(|role| unchecked(&about_role(*role), &error)).collect();
        }
    };
    let mut rows = Vec::with_capacity(ROLES.len());
    // One after the other: IAM throttles simulations early.
    for (role, (_, arn)) in ROLES.into_iter().zip(roles).filter(|(role, _)| there(role)) {
        rows.push(match simulated(doctor, role, &arn, &subject).await {
            Ok(decisions) => permissions(role, &decisions),
            Err(error) => unchecked(&about_role(role), &error),
        });
    }
    rows
}

async fn simulated(
    doctor: &Doctor,
    role: Role,
    arn: &str,
    subject: &Subject,
) -> PortResult<Vec<Decision>> {
    let mut decisions = Vec::new();
    for need in needs(role, subject) {
        decisions.extend(doctor.instruments.simulate(arn, &need).await?);
    }
    Ok(decisions)
}

/// The name of the page's function, where the stack has one and says so.
fn page(doctor: &Doctor) -> Option<&String> {
    doctor.connection.stack.outputs.get("PageFunctionName")
}

/// Whether the stack has a function of this role: a page is up to its owner, and an older stack looks for no drift.
fn is_there(doctor: &Doctor, role: Role) -> bool {
    let may_lack = matches!(role, Role::Page | Role::Drift);
    let output = format!("{}FunctionName", role.name());
    !may_lack || doctor.connection.stack.outputs.contains_key(&output)
}

/// By role: the ARN of its function (of the state machine nothing) and its own; both are empty of one that the stack
/// does not have.
async fn roles(doctor: &Doctor) -> PortResult<Vec<(String, String)>> {
    let stack = &doctor.connection.stack;
    let mut found = Vec::with_capacity(ROLES.len());
    for role in ROLES {
        if role == Role::Deployment {
            found.push((String::new(), doctor.instruments.machine_role().await?));
            continue;
        }
        if !is_there(doctor, role) {
            found.push(Default::default());
            continue;
        }
        let output = format!("{}FunctionName", role.name());
        let name = stack.outputs.get(&output).ok_or_else(|| PortError::Refused {
            operation: "cloudformation:DescribeStacks",
            detail: format!("the stack has no output `{output}`"),
        })?;
        found.push(doctor.instruments.function(name).await?);
    }
    Ok(found)
}

async fn subject(doctor: &Doctor, functions: Vec<String>) -> PortResult<Subject> {
    let stack = &doctor.connection.stack;
    let mut topics = Vec::new();
    let mut buses = Vec::new();
    let mut secrets = Vec::new();
    // Of channels that cannot be read another row tells.
    let channels = stack.channels.read().into_iter().flat_map(|channels| channels.values());
    for settings in channels {
        if let Some(secret) = settings.secret() {
            secrets.push(if secret.starts_with("arn:") {
                secret.clone()
            } else {
                // Its ARN ends with six characters that only Secrets Manager knows.
                doctor.scope.arn("secretsmanager", &format!("secret:{secret}-abcdef"))
            });
        }
        match &settings.kind {
            ChannelKind::Sns { topic } | ChannelKind::AmazonQ { topic } => {
                topics.push(topic.clone())
            }
            ChannelKind::EventBridge { bus } => {
                buses.push(if bus.starts_with("arn:") {
                    bus.clone()
                } else {
                    doctor.scope.arn("events", &format!("event-bus/{bus}"))
                });
            }
            ChannelKind::Slack { .. }
            | ChannelKind::PagerDuty { .. }
            | ChannelKind::Teams { .. }
            | ChannelKind::Webhook { .. } => {}
        }
    }
    let keys = stack.parameters.get("ChannelKeyArns").map(String::as_str).unwrap_or_default();
    let queue = stack.undelivered_queue.rsplit('/').next().unwrap_or_default();
    Ok(Subject {
        scope: doctor.scope.clone(),
        table: stack.table.clone(),
        state_machine: stack.state_machine.clone(),
        queue: doctor.scope.arn("sqs", queue),
        functions,
        page_key: match page(doctor) {
            Some(name) => doctor.instruments.page_key(name).await?,
            None => None,
        },
        page_secrets: page(doctor).map_or(Vec::new(), |_| {
            let named = ["OidcClientSecret", "SlackApp"].map(|name| stack.parameters.get(name));
            let named = named.into_iter().flatten().filter(|secret| !secret.is_empty());
            named.cloned().collect()
        }),
        topics,
        buses,
        secrets,
        audited: stack.parameters.get("AuditBucket").map_or(Vec::new(), |bucket| {
            let partition = &doctor.scope.partition;
            let object = format!("arn:{partition}:s3:::{bucket}/{KEPT_BELOW}{}", doctor.run);
            Some(object).filter(|_| !bucket.is_empty()).into_iter().collect()
        }),
        keys: keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect(),
        service: match &doctor.request {
            Some(request) => Some(service(doctor, request).await?),
            None => None,
        },
    })
}

/// Where its images are, in the account's own repositories: others have a policy of their own, which nobody
/// can simulate here.
fn repositories(scope: &Scope, images: &[String]) -> Vec<String> {
    let found = images.iter().filter_map(|image| PrivateImage::of(image));
    let own = found.map(|image| image.repository).filter(|found| found.account == scope.account);
    let arns = own.map(|found| {
        let scope = Scope { region: found.region, ..scope.clone() };
        scope.arn("ecr", &format!("repository/{}", found.name))
    });
    arns.collect::<BTreeSet<_>>().into_iter().collect()
}

async fn service(doctor: &Doctor, request: &Request) -> PortResult<ServiceSubject> {
    let target = &request.target;
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let (task_roles, images) = doctor.instruments.release(&request.release.task_definition).await?;
    let mut subject = ServiceSubject {
        cluster: last(target.cluster.as_str()),
        services: [&target.slots.blue, &target.slots.green].map(|name| name.to_string()).into(),
        task_roles,
        repositories: repositories(&doctor.scope, &images),
        ..ServiceSubject::default()
    };
    for route in &target.routes {
        match route {
            RouteRef::Rule(arn) => subject.rules.push(arn.clone()),
            RouteRef::Listener(arn) => subject.listeners.push(arn.clone()),
        }
    }
    let validated = request.rollback.validate.iter().flat_map(|validate| &validate.hooks);
    let functions = request.health.hooks.iter().map(|hook| &hook.function);
    for function in functions.chain(validated.map(|hook| &hook.function)) {
        subject.hooks.push(if function.starts_with("arn:") {
            function.clone()
        } else {
            doctor.scope.arn("lambda", &format!("function:{function}"))
        });
    }
    let load_balancers = &doctor.connection.ports.load_balancer;
    for route in load_balancers.routes(&target.routes).await? {
        subject.user_pools.extend(user_pools(&route));
    }
    Ok(subject)
}

fn user_pools(route: &FoundRoute) -> Vec<String> {
    let FoundRoute::Found { actions, .. } = route else { return Vec::new() };
    let pools = actions.0.iter().filter_map(|action| match &action.kind {
        ActionKind::AuthenticateCognito(cognito) => Some(cognito.user_pool_arn.clone()),
        ActionKind::Forward(_) | ActionKind::AuthenticateOidc(_) | ActionKind::JwtValidation(_) => {
            None
        }
    });
    pools.collect()
}
