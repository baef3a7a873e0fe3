//! What each role of the stack must be allowed, on the resources of the stack and of a request.

use super::{About, Row};

/// A role of the stack, by the beginning of its name in the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Start,
    Plan,
    Advance,
    Gate,
    Validate,
    Decide,
    /// Only where the stack has a page.
    Page,
    Complete,
    Rollback,
    Notify,
    Sweep,
    Drift,
    Deployment,
}

pub const ROLES: [Role; 13] = [
    Role::Start,
    Role::Plan,
    Role::Advance,
    Role::Gate,
    Role::Validate,
    Role::Decide,
    Role::Page,
    Role::Complete,
    Role::Rollback,
    Role::Notify,
    Role::Sweep,
    Role::Drift,
    Role::Deployment,
];

impl Role {
    /// As the template's resources and outputs begin.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Plan => "Plan",
            Self::Advance => "Advance",
            Self::Gate => "Gate",
            Self::Validate => "Validate",
            Self::Decide => "Decide",
            Self::Page => "Page",
            Self::Complete => "Complete",
            Self::Rollback => "Rollback",
            Self::Notify => "Notify",
            Self::Sweep => "Sweep",
            Self::Drift => "Drift",
            Self::Deployment => "Deployment",
        }
    }
}

/// Where the stack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Such as `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Scope {
    /// Of an ARN that names all three.
    pub fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':').map(str::to_owned);
        let (_, partition, _, region, account) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let complete = ![&partition, &region, &account].iter().any(|part| part.is_empty());
        complete.then_some(Self { partition, region, account })
    }

    /// The ARN of a resource here.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// On what the roles are to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub scope: Scope,
    /// Name of the registry's table.
    pub table: String,
    /// ARN of the queue of undelivered events.
    pub queue: String,
    /// ARN of the state machine.
    pub state_machine: String,
    /// ARNs of the functions, in the order of [`ROLES`]; empty of one that the stack does not have.
    pub functions: Vec<String>,
    /// ARN of the secret that links to questions are signed with, where the stack has a page.
    pub page_key: Option<String>,
    /// ARNs of what else the page reads: the secret of its client at the issuer, and that of its app of Slack.
    pub page_secrets: Vec<String>,
    /// ARNs of the topics of channels.
    pub topics: Vec<String>,
    /// ARNs of the buses of channels.
    pub buses: Vec<String>,
    /// ARNs of the secrets of channels.
    pub secrets: Vec<String>,
    /// ARNs of what is put into the audit bucket, where the stack has one.
    pub audited: Vec<String>,
    /// ARNs of the keys that channels' topics and secrets are encrypted with.
    pub keys: Vec<String>,
    /// What a request names; nothing without one.
    pub service: Option<ServiceSubject>,
}

/// What a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSubject {
    /// Name of the cluster.
    pub cluster: String,
    /// Names of both ECS services.
    pub services: Vec<String>,
    /// ARNs of the rules among its routes.
    pub rules: Vec<String>,
    /// ARNs of the listeners among its routes.
    pub listeners: Vec<String>,
    /// ARNs of the user pools that routes authenticate with.
    pub user_pools: Vec<String>,
    /// ARNs of the roles of its task definition.
    pub task_roles: Vec<String>,
    /// ARNs of the repositories of its own account that its task definition names images of.
    pub repositories: Vec<String>,
    /// ARNs of its hooks.
    pub hooks: Vec<String>,
}

/// Actions that a role must be allowed on each of these resources, in a request that carries these
/// condition keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Such as `ecs:UpdateService`.
    pub actions: Vec<&'static str>,
    /// ARNs, or `*` where the action knows no resources.
    pub resources: Vec<String>,
    /// Condition keys with their values.
    pub context: Vec<(&'static str, Carried)>,
}

/// What a condition key of a request has: IAM tells the two apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    Text(String),
    /// Of a key that is an array, also where it has one value only.
    List(Vec<String>),
}

/// How one action on one resource would be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Such as `ecs:UpdateService`.
    pub action: String,
    /// ARN or `*`.
    pub resource: String,
    pub allowed: bool,
    /// What speaks against it, if it is not the role's own policy.
    pub because: Option<String>,
}

/// Collects needs; what has no resources is left out.
struct Needs(Vec<Need>);

impl Needs {
    fn on(&mut self, resources: &[String], actions: &[&'static str]) {
        self.under(resources, actions, &[]);
    }

    fn under(
        &mut self,
        resources: &[String],
        actions: &[&'static str],
        context: &[(&'static str, String)],
    ) {
        let context = context.iter().map(|(key, value)| (*key, Carried::Text(value.clone())));
        self.carrying(resources, actions, context.collect());
    }

    fn carrying(
        &mut self,
        resources: &[String],
        actions: &[&'static str],
        context: Vec<(&'static str, Carried)>,
    ) {
        if !resources.is_empty() {
            let (actions, resources) = (actions.to_vec(), resources.to_vec());
            self.0.push(Need { actions, resources, context });
        }
    }
}

/// What the role needs: what its function calls, and what AWS asks for besides.
pub fn needs(role: Role, subject: &Subject) -> Vec<Need> {
    let Subject { scope, table, .. } = subject;
    let table = [scope.arn("dynamodb", &format!("table/{table}"))];
    let any = ["*".to_owned()];
    let mut needs = Needs(Vec::new());
    let registry: &[&str] = match role {
        Role::Plan | Role::Complete => &[
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
            "dynamodb:ConditionCheckItem",
        ],
        Role::Advance | Role::Validate => &[
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:ConditionCheckItem",
        ],
        Role::Gate | Role::Decide | Role::Page | Role::Drift => &[
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:ConditionCheckItem",
        ],
        Role::Rollback => &[
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        ],
        Role::Notify => &[
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ],
        Role::Start => &["dynamodb:PutItem"],
        Role::Sweep => &["dynamodb:GetItem"],
        Role::Deployment => &[],
    };
    if !registry.is_empty() {
        needs.on(&table, registry);
    }
    match role {
        Role::Plan => {
            needs.on(
                &any,
                &[
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroupAttributes",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                    "ecs:DescribeTaskDefinition",
                    "cloudwatch:DescribeAlarms",
                    "cloudwatch:GetMetricData",
                    "application-autoscaling:DescribeScalableTargets",
                    "application-autoscaling:DescribeScalingPolicies",
                    "application-autoscaling:DescribeScheduledActions",
                    "ecr:DescribePullThroughCacheRules",
                ],
            );
            let indexes = ["due", "recent"].map(|index| format!("{}/index/{index}", table[0]));
            needs.on(&table, &["dynamodb:Query"]);
            needs.on(&indexes, &["dynamodb:Query"]);
        }
        Role::Validate => needs.on(
            &any,
            &[
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetHealth",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricData",
                "application-autoscaling:DescribeScalableTargets",
            ],
        ),
        Role::Advance | Role::Complete | Role::Rollback => needs.on(
            &any,
            &[
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetHealth",
                "application-autoscaling:DescribeScalableTargets",
            ],
        ),
        Role::Drift => needs.on(
            &any,
            &[
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
                "application-autoscaling:DescribeScheduledActions",
            ],
        ),
        Role::Start
        | Role::Gate
        | Role::Decide
        | Role::Page
        | Role::Notify
        | Role::Sweep
        | Role::Deployment => {}
    }
    match role {
        Role::Rollback => {
            needs.on(
                &any,
                &["elasticloadbalancing:DescribeAccountLimits", "states:SendTaskFailure"],
            );
            needs.on(std::slice::from_ref(&subject.queue), &["sqs:SendMessage"]);
        }
        Role::Notify => {
            channels(&mut needs, subject);
            needs.on(subject.page_key.as_slice(), READ_SECRET);
            needs.on(&subject.audited, &["s3:PutObject"]);
        }
        Role::Page => {
            needs.on(subject.page_key.as_slice(), READ_SECRET);
            needs.on(&subject.page_secrets, READ_SECRET);
            for secret in &subject.page_secrets {
                let through = format!("secretsmanager.{}.amazonaws.com", subject.scope.region);
                let through = [
                    ("kms:ViaService", through),
                    ("kms:EncryptionContext:SecretARN", secret.clone()),
                ];
                needs.under(&subject.keys, &["kms:Decrypt"], &through);
            }
            needs.on(&any, &["states:SendTaskSuccess"]);
        }
        Role::Start => {
            needs.on(std::slice::from_ref(&subject.state_machine), &["states:StartExecution"]);
        }
        Role::Decide => {
            let index = [format!("{}/index/due", table[0])];
            needs.on(&index, &["dynamodb:Query"]);
            needs.on(subject.page_key.as_slice(), READ_SECRET);
            needs.on(&any, &["states:SendTaskSuccess"]);
        }
        Role::Sweep => {
            let index = [format!("{}/index/due", table[0])];
            needs.on(&index, &["dynamodb:Query"]);
            needs.on(&functions(subject, &[Role::Rollback, Role::Complete, Role::Notify]), INVOKE);
        }
        Role::Drift => {
            let index = [format!("{}/index/recent", table[0])];
            needs.on(&index, &["dynamodb:Query"]);
        }
        Role::Deployment => {
            let all = [
                Role::Plan,
                Role::Advance,
                Role::Gate,
                Role::Validate,
                Role::Complete,
                Role::Rollback,
                Role::Notify,
            ];
            needs.on(&functions(subject, &all), INVOKE);
        }
        Role::Plan | Role::Advance | Role::Gate | Role::Validate | Role::Complete => {}
    }
    if let Some(service) = &subject.service {
        of_service(&mut needs, role, scope, service);
    }
    needs.0
}

const INVOKE: &[&str] = &["lambda:InvokeFunction"];

const READ_SECRET: &[&str] = &["secretsmanager:GetSecretValue"];

fn functions(subject: &Subject, of: &[Role]) -> Vec<String> {
    let named = ROLES.iter().zip(&subject.functions);
    named.filter(|(role, _)| of.contains(role)).map(|(_, arn)| arn.clone()).collect()
}

fn channels(needs: &mut Needs, subject: &Subject) {
    let Subject { scope, topics, buses, secrets, keys, .. } = subject;
    needs.on(buses, &["events:DescribeEventBus"]);
    let list =
        |texts: &[&str]| Carried::List(texts.iter().map(|text| (*text).to_owned()).collect());
    let source = ("events:source", list(&["glidepath"]));
    let types = ("events:detail-type", list(&["Deployment Notice", "Channel Trial"]));
    needs.carrying(buses, &["events:PutEvents"], vec![source, types]);
    needs.on(topics, &["sns:Publish"]);
    needs.on(secrets, READ_SECRET);
    let through =
        |service: &str| [("kms:ViaService", format!("{service}.{}.amazonaws.com", scope.region))];
    if !topics.is_empty() {
        needs.under(keys, &["kms:GenerateDataKey", "kms:Decrypt"], &through("sns"));
    }
    if !secrets.is_empty() {
        needs.under(keys, &["kms:Decrypt"], &through("secretsmanager"));
    }
}

fn of_service(needs: &mut Needs, role: Role, scope: &Scope, service: &ServiceSubject) {
    let ServiceSubject {
        cluster,
        services,
        rules,
        listeners,
        user_pools,
        task_roles,
        repositories,
        hooks,
    } = service;
    let services: Vec<_> = services
        .iter()
        .map(|name| scope.arn("ecs", &format!("service/{cluster}/{name}")))
        .collect();
    if matches!(role, Role::Advance | Role::Complete | Role::Rollback) {
        needs.on(rules, &["elasticloadbalancing:ModifyRule"]);
        needs.on(listeners, &["elasticloadbalancing:ModifyListener"]);
        needs.on(user_pools, &["cognito-idp:DescribeUserPoolClient"]);
        needs.on(&services, &["ecs:DescribeServices", "ecs:UpdateService"]);
        scaling(needs, scope);
    }
    if matches!(role, Role::Plan | Role::Validate | Role::Drift) {
        needs.on(&services, &["ecs:DescribeServices"]);
    }
    if matches!(role, Role::Advance | Role::Validate) {
        let any = ["*".to_owned()];
        let of_cluster = [("ecs:cluster", scope.arn("ecs", &format!("cluster/{cluster}")))];
        needs.under(&any, &["ecs:ListTasks"], &of_cluster);
        let task = [scope.arn("ecs", &format!("task/{cluster}/0123456789abcdef0123456789abcdef"))];
        needs.on(&task, &["ecs:DescribeTasks"]);
    }
    if role == Role::Plan {
        needs.on(repositories, &["ecr:DescribeImages"]);
    }
    if role == Role::Advance {
        let to = [("iam:PassedToService", "ecs-tasks.amazonaws.com".to_owned())];
        needs.under(task_roles, &["iam:PassRole"], &to);
    }
    if role == Role::Validate {
        needs.on(hooks, INVOKE);
    }
}

/// To set the bounds of the services: of any scalable target, because its ARN does not say of which service it
/// is, and what Application Auto Scaling asks of whoever does that.
fn scaling(needs: &mut Needs, scope: &Scope) {
    let target = [scope.arn("application-autoscaling", "scalable-target/0123456789abcdef")];
    let dimension = [
        ("application-autoscaling:service-namespace", "ecs".to_owned()),
        ("application-autoscaling:scalable-dimension", "ecs:service:DesiredCount".to_owned()),
    ];
    needs.under(&target, &["application-autoscaling:RegisterScalableTarget"], &dimension);
    needs.under(
        &["*".to_owned()],
        &["cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"],
        &[("aws:ViaAWSService", "true".to_owned())],
    );
}

/// The row of a role before anybody has looked.
pub fn about_role(role: Role) -> About {
    let name = role.name();
    let check = format!("permissions.{}", name.to_lowercase());
    About::new(check, format!("{name}Role may do what it must"))
}

/// Whether everything that a role needs is allowed.
pub fn permissions(role: Role, decisions: &[Decision]) -> Row {
    const MOST_SHOWN: usize = 5;
    let about = about_role(role);
    let denied: Vec<_> = decisions.iter().filter(|decision| !decision.allowed).collect();
    if denied.is_empty() {
        let words = match decisions.len() {
            0 => return about.not_checked("nothing was simulated", "run doctor again"),
            1 => "1 permission".to_owned(),
            some => format!("{some} permissions"),
        };
        return about.ok(format!("{words}, by simulation"));
    }
    let mut shown: Vec<_> = denied
        .iter()
        .take(MOST_SHOWN)
        .map(|Decision { action, resource, because, .. }| {
            let because = because.as_ref().map(|because| format!(" ({because})"));
            format!("{action} on {resource}{}", because.unwrap_or_default())
        })
        .collect();
    if denied.len() > MOST_SHOWN {
        shown.push(format!("{} more", denied.len() - MOST_SHOWN));
    }
    about.not_ok(
        format!("denied: {}", shown.join(", ")),
        "let the stack's parameters (ClusterPattern, ServicePattern, LoadBalancerPattern, \
         TaskRolePattern, HookFunctionPattern, ChannelTopicPattern, ChannelBusPattern, ChannelSecretPattern) cover it, \
         or look for a boundary or a service control policy; `sam deploy` puts the stack's own \
         statements back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    fn subject() -> Subject {
        Subject {
            scope: Scope::of("arn:aws-cn:states:cn-north-1:123456789012:stateMachine:x").unwrap(),
            table: "registry".to_owned(),
            queue: "arn:queue".to_owned(),
            state_machine: "arn:machine".to_owned(),
            functions: ROLES.iter().map(|role| format!("arn:f:{}", role.name())).collect(),
            topics: vec![],
            buses: vec![],
            secrets: vec![],
            audited: vec![],
            keys: vec!["arn:key".to_owned()],
            page_key: None,
            page_secrets: vec![],
            service: None,
        }
    }

    #[test]
    fn a_scope_is_complete_or_none() {
        assert_eq!(Scope::of("arn:aws:iam::1:role/x"), None);
        assert_eq!(Scope::of("x"), None);
        assert_eq!(subject().scope.arn("sqs", "q"), "arn:aws-cn:sqs:cn-north-1:123456789012:q");
    }

    #[test]
    fn what_is_not_there_is_not_simulated() {
        let of = |role, subject: &Subject| -> Vec<&str> {
            needs(role, subject).into_iter().flat_map(|need| need.actions).collect()
        };
        let bare = subject();
        assert!(!of(Role::Advance, &bare).contains(&"ecs:UpdateService"));
        assert!(!of(Role::Notify, &bare).contains(&"kms:Decrypt"));
        assert!(!of(Role::Notify, &bare).contains(&"s3:PutObject"));
        let mut whole = subject();
        whole.topics = vec!["arn:t".to_owned()];
        whole.service = Some(ServiceSubject {
            cluster: "shop".to_owned(),
            services: vec!["blue".to_owned()],
            ..ServiceSubject::default()
        });
        assert!(of(Role::Notify, &whole).contains(&"kms:Decrypt"));
        let services = needs(Role::Advance, &whole);
        let update = services.iter().find(|need| need.actions.contains(&"ecs:UpdateService"));
        let expected = "arn:aws-cn:ecs:cn-north-1:123456789012:service/shop/blue";
        assert_eq!(update.map(|need| need.resources.clone()), Some(vec![expected.to_owned()]));
        assert!(!of(Role::Advance, &whole).contains(&"elasticloadbalancing:ModifyRule"));
    }

    #[test]
    fn what_is_denied_is_named_with_its_resource_and_why() {
        let decision = |allowed| Decision {
            action: "iam:PassRole".to_owned(),
            resource: "arn:role".to_owned(),
            allowed,
            because: Some("a service control policy".to_owned()),
        };
        assert_eq!(permissions(Role::Advance, &[decision(true)]).outcome, Outcome::Ok);
        assert_eq!(permissions(Role::Advance, &[]).outcome, Outcome::NotChecked);
        let row = permissions(Role::Advance, &[decision(true), decision(false)]);
        assert_eq!(row.outcome, Outcome::NotOk);
        assert_eq!(row.seen, "denied: iam:PassRole on arn:role (a service control policy)");
    }
}
