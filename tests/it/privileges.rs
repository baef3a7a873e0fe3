//! Least privilege: what each function's role allows, and which use case needs it. An action that
//! nothing needs fails here; one that is needed and not allowed fails in the lab, which enforces IAM.

use std::collections::{BTreeMap, BTreeSet};

use glidepath_core::audit::KEPT_BELOW;
use glidepath_core::message::eventbridge;

const TEMPLATE: &str = include_str!("../../template.yaml");

/// By role: an action and what it is for.
const NEEDED: &[(&str, &[(&str, &str)])] = &[
    (
        "Plan",
        &[
            ("dynamodb:BatchGetItem", "reads the locks"),
            ("dynamodb:ConditionCheckItem", "begins only on free locks and with quiet alarms"),
            ("dynamodb:DeleteItem", "takes over the slot that was to be retired"),
            ("dynamodb:GetItem", "finds out whether it was invoked before"),
            ("dynamodb:PutItem", "writes the deployment and its first notice"),
            ("dynamodb:Query", "reads who has started it, and what has served before"),
            ("dynamodb:UpdateItem", "takes locks and binds alarms"),
            ("ecr:DescribeImages", "finds out whether the images of the release are there"),
            ("ecr:DescribePullThroughCacheRules", "tells what is gone from what a pull brings"),
            ("ecs:DescribeServices", "checks the slots"),
            ("ecs:DescribeTaskDefinition", "checks the release"),
            ("elasticloadbalancing:DescribeListeners", "reads routes, and finds unlisted ones"),
            ("elasticloadbalancing:DescribeRules", "reads routes, and finds unlisted ones"),
            ("elasticloadbalancing:DescribeTargetGroupAttributes", "checks target stickiness"),
            ("elasticloadbalancing:DescribeTargetGroups", "checks whose groups they are"),
            ("elasticloadbalancing:DescribeTargetHealth", "records the health of stable"),
            ("cloudwatch:DescribeAlarms", "checks the alarms, and whether one fires already"),
            ("cloudwatch:GetMetricData", "tries the checks"),
            ("application-autoscaling:DescribeScalableTargets", "reads what scales the slots"),
            ("application-autoscaling:DescribeScalingPolicies", "compares what scales the slots"),
            ("application-autoscaling:DescribeScheduledActions", "compares what scales the slots"),
        ],
    ),
    (
        "Advance",
        &[
            ("application-autoscaling:DescribeScalableTargets", "never sets what is so"),
            ("application-autoscaling:RegisterScalableTarget", "holds the bounds of the slots"),
            ("cloudwatch:DeleteAlarms", "Application Auto Scaling asks for it"),
            ("cloudwatch:DescribeAlarms", "Application Auto Scaling asks for it"),
            ("cloudwatch:PutMetricAlarm", "Application Auto Scaling asks for it"),
            ("dynamodb:BatchGetItem", "re-reads deployment and alarms after a write"),
            (
                "cognito-idp:DescribeUserPoolClient",
                "the load balancer asks for it where users log in with Cognito",
            ),
            ("dynamodb:ConditionCheckItem", "claims a write only while every alarm is quiet"),
            ("dynamodb:GetItem", "reads the deployment"),
            ("dynamodb:PutItem", "claims writes and records progress and notices"),
            ("dynamodb:UpdateItem", "finishes intents, refreshes bindings"),
            ("ecs:DescribeServices", "looks at the canary's tasks"),
            ("ecs:DescribeTasks", "reads why tasks that start stopped"),
            ("ecs:ListTasks", "finds tasks that come and go"),
            ("ecs:UpdateService", "sets the canary's release and number of tasks"),
            ("iam:PassRole", "ECS asks for both roles of a release that a service is given"),
            ("elasticloadbalancing:DescribeListeners", "reads back routes that are listeners"),
            ("elasticloadbalancing:DescribeRules", "reads back routes that are rules"),
            ("elasticloadbalancing:DescribeTargetHealth", "never shifts onto nothing"),
            ("elasticloadbalancing:ModifyListener", "shifts routes that are listeners"),
            ("elasticloadbalancing:ModifyRule", "shifts routes that are rules"),
        ],
    ),
    (
        "Gate",
        &[
            ("dynamodb:BatchGetItem", "finds out which alarm fired"),
            ("dynamodb:ConditionCheckItem", "stores a token only while every alarm is quiet"),
            ("dynamodb:GetItem", "reads the deployment"),
            ("dynamodb:PutItem", "stores the token"),
        ],
    ),
    (
        "Validate",
        &[
            ("dynamodb:BatchGetItem", "finds out which alarm fired"),
            ("dynamodb:ConditionCheckItem", "goes on only while every alarm is quiet"),
            ("dynamodb:GetItem", "reads the deployment"),
            ("dynamodb:PutItem", "records progress and notices, keeps the cells for the report"),
            ("dynamodb:UpdateItem", "refreshes the recorded health of stable"),
            ("ecs:DescribeServices", "tells hooks which revisions are compared"),
            ("ecs:DescribeTasks", "reads why tasks stopped"),
            ("ecs:ListTasks", "finds stopped tasks"),
            ("elasticloadbalancing:DescribeListeners", "notices foreign hands on listeners"),
            ("elasticloadbalancing:DescribeRules", "notices foreign hands on rules"),
            ("elasticloadbalancing:DescribeTargetHealth", "judges target health"),
            ("cloudwatch:DescribeAlarms", "judges alarms: their actions fire only on transitions"),
            ("cloudwatch:GetMetricData", "judges requests"),
            ("lambda:InvokeFunction", "asks hooks"),
            ("application-autoscaling:DescribeScalableTargets", "notices who else scales"),
        ],
    ),
    ("Start", &[("dynamodb:PutItem", "records who starts"), ("states:StartExecution", "starts")]),
    (
        "Decide",
        &[
            ("dynamodb:BatchGetItem", "finds out which alarm fired"),
            ("dynamodb:ConditionCheckItem", "decides only while every alarm is quiet"),
            ("dynamodb:Query", "wakes what was frozen once it is thawed"),
            ("dynamodb:GetItem", "reads the deployment, or the retirement"),
            ("dynamodb:PutItem", "records the decision and tells it"),
            ("secretsmanager:GetSecretValue", "signs the link to the question's page"),
            ("states:SendTaskSuccess", "lets the state machine go on"),
        ],
    ),
    (
        "Page",
        &[
            ("dynamodb:BatchGetItem", "finds out which alarm fired"),
            ("dynamodb:ConditionCheckItem", "decides only while every alarm is quiet"),
            ("dynamodb:GetItem", "reads the deployment and what was counted of its requests"),
            ("dynamodb:PutItem", "records the answer and tells it"),
            ("kms:Decrypt", "Secrets Manager asks for it where the secret has a key of its own"),
            (
                "secretsmanager:GetSecretValue",
                "reads what links and clicks are signed with, and the client's secret",
            ),
            ("states:SendTaskSuccess", "lets the state machine go on"),
        ],
    ),
    (
        "Complete",
        &[
            ("application-autoscaling:DescribeScalableTargets", "never sets what is so"),
            (
                "application-autoscaling:RegisterScalableTarget",
                "gives the bounds to the slot that serves",
            ),
            ("cloudwatch:DeleteAlarms", "Application Auto Scaling asks for it"),
            ("cloudwatch:DescribeAlarms", "Application Auto Scaling asks for it"),
            ("cloudwatch:PutMetricAlarm", "Application Auto Scaling asks for it"),
            ("dynamodb:BatchGetItem", "reads the alarms before it unbinds them"),
            ("dynamodb:ConditionCheckItem", "commits only while every alarm is quiet"),
            ("dynamodb:DeleteItem", "a retirement is done once"),
            (
                "cognito-idp:DescribeUserPoolClient",
                "the load balancer asks for it where users log in with Cognito",
            ),
            ("dynamodb:GetItem", "reads the deployment or the retirement"),
            ("dynamodb:PutItem", "commits, ends, tells"),
            ("dynamodb:UpdateItem", "unbinds alarms, releases locks"),
            ("ecs:DescribeServices", "looks at the old slot"),
            ("ecs:UpdateService", "takes the old slot's tasks away"),
            ("elasticloadbalancing:DescribeListeners", "the last look before the commit"),
            ("elasticloadbalancing:DescribeRules", "the last look before the commit"),
            ("elasticloadbalancing:DescribeTargetHealth", "the canary must be able to take it all"),
            ("elasticloadbalancing:ModifyListener", "takes the old slot off a sticky listener"),
            ("elasticloadbalancing:ModifyRule", "takes the old slot off a sticky rule"),
        ],
    ),
    (
        "Rollback",
        &[
            ("application-autoscaling:DescribeScalableTargets", "never sets what is so"),
            ("application-autoscaling:RegisterScalableTarget", "gives the bounds back to stable"),
            ("cloudwatch:DeleteAlarms", "Application Auto Scaling asks for it"),
            ("cloudwatch:DescribeAlarms", "Application Auto Scaling asks for it"),
            ("cloudwatch:PutMetricAlarm", "Application Auto Scaling asks for it"),
            ("dynamodb:BatchGetItem", "reads the alarms before it unbinds them"),
            ("dynamodb:GetItem", "reads the deployment"),
            ("dynamodb:PutItem", "records progress, the end and notices"),
            (
                "cognito-idp:DescribeUserPoolClient",
                "the load balancer asks for it where users log in with Cognito",
            ),
            ("dynamodb:UpdateItem", "closes fences, finishes intents, unbinds, unlocks"),
            ("ecs:DescribeServices", "looks at the canary's tasks"),
            ("ecs:UpdateService", "takes the canary's tasks away"),
            (
                "elasticloadbalancing:DescribeAccountLimits",
                "opens the connection of the first write before there is anything to write",
            ),
            ("elasticloadbalancing:DescribeListeners", "reads back"),
            ("elasticloadbalancing:DescribeRules", "reads back"),
            ("elasticloadbalancing:DescribeTargetHealth", "never onto nothing"),
            ("elasticloadbalancing:ModifyListener", "restores routes that are listeners"),
            ("elasticloadbalancing:ModifyRule", "restores routes that are rules"),
            ("sqs:SendMessage", "keeps events that it could not take"),
            ("states:SendTaskFailure", "wakes the state machine"),
        ],
    ),
    (
        "Notify",
        &[
            ("dynamodb:BatchGetItem", "reads the deployment with what freezes it"),
            ("dynamodb:GetItem", "reads the deployment"),
            ("dynamodb:PutItem", "tells of a channel that does not take what it is told"),
            ("dynamodb:Query", "reads the outbox"),
            ("dynamodb:UpdateItem", "marks what was delivered or refused"),
            ("events:DescribeEventBus", "a bus that is not there is answered as if it were"),
            ("events:PutEvents", "delivers to a bus"),
            ("kms:Decrypt", "SNS and Secrets Manager open what a key of the user's own encrypts"),
            ("kms:GenerateDataKey*", "SNS encrypts for a topic with a key of the user's own"),
            ("s3:PutObject", "keeps what happened in the audit bucket"),
            ("secretsmanager:GetSecretValue", "reads URLs and keys of channels"),
            ("sns:Publish", "delivers to a topic"),
        ],
    ),
    (
        "Sweep",
        &[
            ("dynamodb:GetItem", "the index lags: only the item says whether it is due"),
            ("dynamodb:Query", "finds what is due"),
            ("lambda:InvokeFunction", "hands it over"),
        ],
    ),
    (
        "Drift",
        &[
            ("application-autoscaling:DescribeScalableTargets", "reads what scales the services"),
            ("application-autoscaling:DescribeScalingPolicies", "comes with what scales them"),
            ("application-autoscaling:DescribeScheduledActions", "knows what a clock has set"),
            ("dynamodb:BatchGetItem", "reads deployments and the locks of their slots"),
            ("dynamodb:ConditionCheckItem", "tells only while nobody else has the slots"),
            ("dynamodb:GetItem", "reads a deployment that was written meanwhile"),
            ("dynamodb:PutItem", "tells, and records what it has told"),
            ("dynamodb:Query", "finds every service"),
            ("ecs:DescribeServices", "looks at the slot that serves"),
            ("elasticloadbalancing:DescribeListeners", "reads routes"),
            ("elasticloadbalancing:DescribeRules", "reads routes"),
        ],
    ),
];

/// Actions by role, from the template's text.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut role = None;
    for line in TEMPLATE.lines() {
        if line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':') {
            role = line.trim().strip_suffix("Role:").map(str::to_owned);
        }
        let Some(role) = &role else { continue };
        let words = line.split(|character: char| {
            !(character.is_ascii_alphanumeric() || [':', '-', '*'].contains(&character))
        });
        let actions = words.filter(|word| {
            // A quoted name before a colon is a condition's key.
            let key = line.contains(&format!("\"{word}\":"));
            !key && word.split_once(':').is_some_and(|(service, action)| {
                let named = action.starts_with(|first: char| first.is_ascii_uppercase());
                (named || action == "*")
                    && !["aws", "sts", ""].contains(&service)
                    && !action.contains(':')
            })
        });
        roles.entry(role.clone()).or_default().extend(actions.map(str::to_owned));
    }
    roles
}

#[test]
fn every_role_allows_what_its_function_needs_and_nothing_else() {
    let allowed = allowed();
    for (role, needed) in NEEDED {
        let needed: BTreeSet<String> =
            needed.iter().map(|(action, _)| (*action).to_owned()).collect();
        let found = allowed.get(*role).unwrap_or_else(|| panic!("there is no {role}Role"));
        let unneeded: Vec<_> = found.difference(&needed).collect();
        assert!(unneeded.is_empty(), "{role}Role allows what nothing needs: {unneeded:?}");
        let missing: Vec<_> = needed.difference(found).collect();
        assert!(missing.is_empty(), "{role}Role does not allow {missing:?}");
    }
    let described = NEEDED.iter().map(|(role, _)| *role).chain(["Deployment"]);
    let described: BTreeSet<String> = described.map(str::to_owned).collect();
    assert_eq!(described, allowed.into_keys().collect());
}

#[test]
fn doctor_simulates_what_the_roles_are_for() {
    use glidepath_core::doctor::{ROLES, Scope, ServiceSubject, Subject, needs};
    let some = |name: &str| vec![format!("arn:{name}")];
    let subject = Subject {
        scope: Scope::of("arn:aws:states:eu-west-1:111122223333:stateMachine:x").unwrap(),
        table: "registry".to_owned(),
        queue: "arn:queue".to_owned(),
        state_machine: "arn:machine".to_owned(),
        functions: ROLES.iter().map(|role| format!("arn:function:{}", role.name())).collect(),
        topics: some("topic"),
        buses: some("bus"),
        secrets: some("secret"),
        audited: some("bucket/glidepath/any"),
        keys: some("key"),
        page_key: Some("arn:page-key".to_owned()),
        page_secrets: some("page-secret"),
        service: Some(ServiceSubject {
            cluster: "shop".to_owned(),
            services: some("service"),
            rules: some("rule"),
            listeners: some("listener"),
            user_pools: some("pool"),
            task_roles: some("role"),
            repositories: some("repository"),
            hooks: some("hook"),
        }),
    };
    for role in ROLES {
        let needs = needs(role, &subject).into_iter();
        let simulated: BTreeSet<&str> = needs.flat_map(|need| need.actions).collect();
        let Some((_, needed)) = NEEDED.iter().find(|(name, _)| *name == role.name()) else {
            assert_eq!(simulated, BTreeSet::from(["lambda:InvokeFunction"]), "{role:?}");
            continue;
        };
        // A simulated action is one, and never a pattern.
        let needed = needed.iter().map(|(action, _)| action.trim_end_matches('*')).collect();
        assert_eq!(simulated, needed, "{role:?}");
    }
}

/// The statements of the template that name an action, each with its resources and conditions.
fn statements(action: &str) -> Vec<String> {
    let lines: Vec<&str> = TEMPLATE.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with("- Effect:"));
    let whole = begins.map(|(begin, first)| {
        let further = lines[begin + 1..].iter().take_while(|line| indent(line) > indent(first));
        std::iter::once(first).chain(further).copied().collect::<Vec<_>>().join("\n")
    });
    let found: Vec<_> = whole.filter(|statement| statement.contains(action)).collect();
    assert!(!found.is_empty(), "{action} is nowhere");
    found
}

#[test]
fn changes_are_allowed_only_on_named_resources() {
    for action in [
        "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyListener",
        "ecs:UpdateService",
        "iam:PassRole",
        "sns:Publish",
        "events:PutEvents",
        "events:DescribeEventBus",
        "secretsmanager:GetSecretValue",
    ] {
        for statement in statements(action) {
            // By a name of the user's, or one resource of the stack itself.
            let named = [
                "Pattern}",
                "Resource: !Ref Alerts",
                "Resource: !Ref PageKey",
                "Resource: !Ref OidcClientSecret",
                "Resource: !Ref SlackApp",
            ];
            assert!(named.iter().any(|name| statement.contains(name)), "{action} in {statement}");
        }
    }
}

/// The bucket is the user's: nobody reads, lists or deletes there, and what it locks nobody here unlocks.
#[test]
fn in_the_audit_bucket_one_function_puts_below_one_prefix_and_nobody_does_anything_else() {
    let found = statements("s3:");
    let [statement] = &found[..] else { panic!("several roles use a bucket: {found:?}") };
    for part in [
        "Action: [s3:PutObject]\n".to_owned(),
        format!("arn:${{AWS::Partition}}:s3:::${{AuditBucket}}/{KEPT_BELOW}*"),
    ] {
        assert!(statement.contains(&part), "{part}: {statement}");
    }
    let before = TEMPLATE.split_once(statement.as_str()).unwrap().0;
    assert!(before.trim_end().ends_with("- HasAuditBucket"), "it is allowed without a bucket");
}

#[test]
fn what_a_call_needs_beyond_its_own_name_is_bound_to_that_call() {
    // A role may be passed to tasks of ECS only, and a key be used through its service only.
    for statement in statements("iam:PassRole") {
        assert!(statement.contains("iam:PassedToService"), "{statement}");
    }
    // The sources and types of a call are lists, and of one that is not there all of none are allowed.
    let types = eventbridge::DETAIL_TYPES.join(", ");
    for statement in statements("events:PutEvents") {
        for condition in [
            format!("\"events:source\": {}\n", eventbridge::SOURCE),
            format!("\"events:detail-type\": [{types}]\n"),
            "\"Null\": { \"events:source\": \"false\", \"events:detail-type\": \"false\" }"
                .to_owned(),
        ] {
            assert!(statement.contains(&condition), "{statement}");
        }
        assert!(statement.contains("\"ForAllValues:StringEquals\":\n"), "{statement}");
    }
    for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
        for statement in statements(action) {
            assert!(statement.contains("kms:ViaService"), "{statement}");
            assert!(statement.contains("ChannelKeyArns"), "{statement}");
        }
    }
}

#[test]
fn alarms_are_changed_only_by_a_service_on_behalf_of_a_role() {
    for action in ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"] {
        for statement in statements(action) {
            assert!(statement.contains("aws:ViaAWSService"), "{statement}");
        }
    }
    for statement in statements("application-autoscaling:RegisterScalableTarget") {
        assert!(statement.contains("ecs:service:DesiredCount"), "{statement}");
    }
}

/// What is read of images is read of repositories and of nothing else: their contents are no business of
/// anybody here.
#[test]
fn images_are_described_and_never_pulled() {
    for statement in statements("ecr:DescribeImages") {
        assert!(statement.contains("repository/*"), "{statement}");
    }
    for action in ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetAuthorizationToken"] {
        assert!(!TEMPLATE.contains(action), "{action}");
    }
}

#[test]
fn alarms_are_seen_whatever_the_pattern_is() {
    // CloudWatch shows composite alarms only to who may see all alarms.
    for statement in statements("cloudwatch:DescribeAlarms") {
        assert!(statement.contains("Resource: \"*\""), "{statement}");
    }
}

#[test]
fn a_name_in_full_matches_what_aws_appends_to_it() {
    // Six characters to the ARN of a secret, a version or alias to that of a function.
    for (action, appended) in [
        ("secretsmanager:GetSecretValue", "secret:${ChannelSecretPattern}-??????"),
        ("lambda:InvokeFunction", "function:${HookFunctionPattern}:*"),
    ] {
        let patterns =
            statements(action).into_iter().filter(|statement| statement.contains("Pattern}"));
        for statement in patterns {
            assert!(statement.contains(appended), "{statement}");
        }
    }
}

/// The actions that a managed policy for people allows.
fn policy(name: &str) -> BTreeSet<String> {
    let begin = TEMPLATE.find(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("no {name}"));
    let rest = &TEMPLATE[begin + 1..];
    let lines = rest.lines().skip(1).take_while(|line| line.starts_with("   ") || line.is_empty());
    let actions = lines.filter_map(|line| line.trim().strip_prefix("Action: ["));
    let actions =
        actions.flat_map(|list| list.trim_end_matches(']').split(", ").map(str::to_owned));
    actions.collect()
}

#[test]
fn who_registers_may_start_nothing_and_passes_only_the_roles_that_the_functions_may_pass() {
    let expected = ["ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole"];
    assert_eq!(policy("RegistrarPolicy"), BTreeSet::from(expected.map(str::to_owned)));
    // Nobody else registers or tags, functions least of all.
    for action in ["ecs:RegisterTaskDefinition", "ecs:TagResource"] {
        assert_eq!(statements(action).len(), 1, "{action}");
    }
    let tagging = &statements("ecs:TagResource")[0];
    assert!(tagging.contains(r#""ecs:CreateAction": RegisterTaskDefinition"#), "{tagging}");
    for passing in statements("iam:PassRole") {
        assert!(passing.contains("role/${TaskRolePattern}"), "{passing}");
    }
}

#[test]
fn who_approves_may_do_nothing_but_ask_the_function_that_records_it() {
    let expected = ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"].map(str::to_owned);
    assert_eq!(policy("ApproverPolicy"), BTreeSet::from(expected));
    // Past its URL nobody but the account's own administrators: the event would be theirs to write.
    for function in ["DecideFunction", "StartFunction", "RollbackFunction"] {
        let named = format!("Resource: !GetAtt {function}.Arn");
        let invoking = statements("[lambda:InvokeFunction]").into_iter();
        let invoking: Vec<_> = invoking.filter(|statement| statement.contains(&named)).collect();
        assert_eq!(invoking.len(), 1, "{function}");
        assert!(invoking[0].contains("lambda:InvokedViaFunctionUrl"), "{}", invoking[0]);
    }
}
