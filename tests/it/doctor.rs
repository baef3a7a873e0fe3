//! `glidepath doctor` in the lab: every row is green once and red once, and nothing of it is left,
//! whatever ends it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use glidepath_lab::scenario::{AlarmsBy, AwsSettings, CallError, Caller, FailCalls, Fault};
use glidepath_lab::{Lab, Person, ServiceResources, example_request};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::{block_on, scenario, user};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
/// How everything begins that doctor makes.
const PREFIX: &str = "glidepath-doctor-";
const LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);
/// The user that may do what the runbook says, and nothing else.
const USER: &str = "doctor";

/// What doctor printed, by the name of the check, and its exit code.
struct Found {
    rows: BTreeMap<String, Value>,
    code: Option<i32>,
}

impl Found {
    fn outcome(&self, check: &str) -> &str {
        self.rows.get(check).and_then(|row| row["outcome"].as_str()).unwrap_or("missing")
    }

    #[track_caller]
    fn assert_all(&self, outcome: &str, checks: &[&str]) {
        for check in checks {
            assert_eq!(self.outcome(check), outcome, "{check}: {:#?}", self.rows);
        }
    }
}

async fn command(lab: &Lab, person: &Person, arguments: &[&str]) -> Command {
    let arguments = [&["doctor", "--json"], arguments].concat();
    let mut command = lab.command_as(person, &arguments).await.unwrap();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn doctor(lab: &Lab, person: &Person, arguments: &[&str]) -> Found {
    let output = command(lab, person, arguments).await.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    let rows = document["rows"].as_array().unwrap().iter();
    let rows = rows.map(|row| (row["check"].as_str().unwrap().to_owned(), row.clone())).collect();
    Found { rows, code: output.status.code() }
}

/// Every action that the runbook lists for doctor.
fn listed() -> Vec<String> {
    let (_, section) = RUNBOOK.split_once("### What doctor needs to be allowed\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let actions: Vec<String> = section
        .split('`')
        .filter(|word| {
            word.split_once(':').is_some_and(|(service, action)| {
                service.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                    && action.starts_with(|first: char| first.is_ascii_uppercase())
            })
        })
        .map(str::to_owned)
        .collect();
    assert!(actions.len() > 20, "{actions:?}");
    actions
}

/// A user who may do this and nothing else.
async fn user_with(lab: &Lab, name: &str, actions: &[String]) -> Person {
    let person = user(lab, name).await;
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
    let put = lab.clients().iam.put_user_policy().user_name(name).policy_name("own");
    put.policy_document(policy.to_string()).send().await.unwrap();
    person
}

/// What is left of doctor in the account.
async fn left(lab: &Lab) -> Vec<String> {
    let clients = lab.clients();
    let alarms = clients.cloudwatch.describe_alarms().alarm_name_prefix(PREFIX);
    let alarms = alarms.alarm_types("MetricAlarm".into()).alarm_types("CompositeAlarm".into());
    let alarms = alarms.send().await.unwrap();
    let metric = alarms.metric_alarms().iter().filter_map(|alarm| alarm.alarm_name());
    let composite = alarms.composite_alarms().iter().filter_map(|alarm| alarm.alarm_name());
    let mut left: Vec<String> = metric.chain(composite).map(str::to_owned).collect();
    let items = lab.registry().await.unwrap();
    left.extend(items.iter().map(Value::to_string).filter(|item| item.contains(PREFIX)));
    let function = lab.glidepath().output("RollbackFunctionName").unwrap();
    let aliases = clients.lambda.list_aliases().function_name(function).send().await.unwrap();
    let aliases = aliases.aliases().iter().filter_map(|alias| alias.name().map(str::to_owned));
    // The stack's own alias stays.
    left.extend(aliases.filter(|alias| alias.starts_with(PREFIX)));
    left
}

#[track_caller]
fn assert_nothing(left: &[String]) {
    assert!(left.is_empty(), "{left:#?}");
}

async fn nothing_is_left(lab: &Lab) {
    assert_nothing(&left(lab).await);
    assert_eq!(lab.undelivered().await.unwrap(), Vec::<Value>::new());
}

/// A service of the example, and the file of a request for it.
async fn service(lab: &mut Lab) -> (ServiceResources, Value) {
    let scenario = scenario("short-success");
    let services = lab.set_up(&scenario).await.unwrap();
    let resources = services.into_values().next().unwrap();
    let request = example_request(&scenario, &resources);
    (resources, request)
}

fn file(name: &str, request: &Value) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("doctor-{}-{name}.json", std::process::id()));
    std::fs::write(&file, request.to_string()).unwrap();
    file
}

/// One request, without keeping the connection.
fn get(url: &str) {
    let address = url.trim_start_matches("http://").split('/').next().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

const ALARMS: [&str; 3] = ["alarm.event", "alarm.action", "alarm.composite"];
const CHANNELS: [&str; 7] = [
    "channel.app",
    "channel.bus",
    "channel.pager",
    "channel.slack",
    "channel.teams",
    "channel.topic",
    "channel.webhook",
];
const PAGE: [&str; 2] = ["url.page", "concurrency.page"];
const URLS: [&str; 3] = ["url.decide", "url.start", "url.rollback"];
const ROLES: [&str; 13] = [
    "permissions.start",
    "permissions.plan",
    "permissions.advance",
    "permissions.gate",
    "permissions.validate",
    "permissions.decide",
    "permissions.page",
    "permissions.complete",
    "permissions.rollback",
    "permissions.notify",
    "permissions.sweep",
    "permissions.drift",
    "permissions.deployment",
];
const ACCOUNT: [&str; 6] =
    ["versions", "clock", "deadLetters", "concurrency.reserved", "concurrency.account", "cleanUp"];

#[test]
fn every_row_is_ok_where_everything_is_and_not_where_it_is_not() {
    block_on(async {
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let (resources, request) = service(&mut lab).await;
        let route = &resources.routes[0];
        (0..20).for_each(|_| get(&route.url));
        sleep(Duration::from_secs(3)).await;
        let person = user_with(&lab, USER, &listed()).await;
        let path = file("good", &request);
        let found = doctor(&lab, &person, &["--service", path.to_str().unwrap()]).await;
        let of_route = format!("route.{}", route.arn.rsplit('/').next().unwrap());
        let service = [of_route.as_str(), "statistics"];
        for checks in [&ALARMS[..], &CHANNELS, &PAGE, &URLS, &ROLES, &ACCOUNT, &service] {
            found.assert_all("ok", checks);
        }
        let known = ALARMS.len() + CHANNELS.len() + URLS.len() + ROLES.len() + ACCOUNT.len();
        let known = known + PAGE.len() + service.len();
        assert_eq!(found.rows.len(), known, "{:#?}", found.rows);
        assert_eq!(found.code, Some(0));
        nothing_is_left(&lab).await;
        breaks_no_contract(&lab);

        what_may_not_be_looked_at_is_said(&lab).await;

        let good = path;
        let request = break_wiring(&lab, &request).await;
        let path = file("bad", &request);
        let newer = another_stack(&lab, "newer", "99.0.0").await;
        let arguments = ["--service", path.to_str().unwrap(), "--stack", &newer];
        let found = doctor(&lab, &Person::root(), &arguments).await;
        let bad = ["versions", "clock", "deadLetters", "concurrency.reserved", "route.0"];
        for checks in [&ALARMS[..], &CHANNELS, &URLS, &bad, &["concurrency.account"]] {
            found.assert_all("notOk", checks);
        }
        found.assert_all("notChecked", &["statistics"]);
        found.assert_all("ok", &["cleanUp"]);
        assert_eq!(found.code, Some(1));
        nothing_is_left(&lab).await;

        take_permissions(&lab).await;
        lab.blur_response_times(load_balancer(&route.arn)).await.unwrap();
        let found = doctor(&lab, &Person::root(), &["--service", good.to_str().unwrap()]).await;
        found.assert_all("notOk", &ROLES);
        found.assert_all("notOk", &["statistics"]);
        nothing_is_left(&lab).await;
    });
}

/// `app/NAME/ID` of the load balancer of a rule.
fn load_balancer(rule: &str) -> &str {
    let (_, resource) = rule.split_once("listener-rule/").unwrap();
    let end = resource.match_indices('/').nth(2).unwrap().0;
    &resource[..end]
}

/// Every call of the user was what AWS's models allow.
fn breaks_no_contract(lab: &Lab) {
    let journal = std::fs::read_to_string(lab.journal()).unwrap();
    let broken: Vec<_> = journal
        .lines()
        .filter(|line| line.contains("\"contract\"") && line.contains(&format!("\"{USER}\"")))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

async fn what_may_not_be_looked_at_is_said(lab: &Lab) {
    let but = |missing: &[&str]| -> Vec<String> {
        let all = listed().into_iter();
        all.filter(|action| !missing.contains(&action.as_str())).collect()
    };
    let missing = [
        "cloudwatch:PutMetricAlarm",
        "lambda:CreateAlias",
        "iam:SimulatePrincipalPolicy",
        "lambda:InvokeFunctionUrl",
    ];
    let person = user_with(lab, "little", &but(&missing)).await;
    let found = doctor(lab, &person, &[]).await;
    for (checks, action) in [
        (&ALARMS[..], missing[0]),
        (&["clock"], missing[0]),
        (&["deadLetters"], missing[1]),
        (&ROLES, missing[2]),
        (&URLS, missing[3]),
    ] {
        found.assert_all("notChecked", checks);
        for check in checks {
            let row = found.rows[*check].to_string();
            assert!(row.contains(action), "{check}: {row}");
        }
    }
    found.assert_all("ok", &CHANNELS);
    assert_eq!(found.code, Some(0));
    nothing_is_left(lab).await;
}

/// Breaks one thing for each row; a request with a route that does not exist.
async fn break_wiring(lab: &Lab, request: &Value) -> Value {
    let lambda = &lab.clients().lambda;
    let function = lab.glidepath().output("RollbackFunctionName").unwrap();
    let policy = lambda.get_policy().function_name(function).send().await.unwrap();
    let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
    for statement in policy["Statement"].as_array().unwrap() {
        let remove = lambda.remove_permission().function_name(function);
        remove.statement_id(statement["Sid"].as_str().unwrap()).send().await.unwrap();
    }
    let nowhere = lambda.put_function_event_invoke_config().function_name(function);
    nowhere.qualifier("$LATEST").maximum_retry_attempts(2).send().await.unwrap();
    let sweep = lab.glidepath().sweep_function().unwrap();
    for (function, reserved) in [(function, 5), (sweep, 995)] {
        let put = lambda.put_function_concurrency().function_name(function);
        put.reserved_concurrent_executions(reserved).send().await.unwrap();
    }
    lab.set_alarm_clock(60).await.unwrap();
    for action in ["sns:Publish", "secretsmanager:GetSecretValue", "events:DescribeEventBus"] {
        let fault = Fault::Fail(FailCalls {
            action: action.to_owned(),
            by: Some(Caller::Notify),
            nth: 1,
            times: 1,
            until_ended: true,
            error: CallError::Denied,
        });
        lab.add_fault(action, &fault).await.unwrap();
    }
    let mut request = request.clone();
    let rule = request["target"]["routes"][0]["rule"].as_str().unwrap();
    let (load_balancer, _) = rule.rsplit_once('/').unwrap();
    request["target"]["routes"][0]["rule"] = json!(format!("{load_balancer}/0"));
    request
}

/// A stack that says what the product's says, another version, and URLs at which nobody answers.
async fn another_stack(lab: &Lab, name: &str, version: &str) -> String {
    let cloudformation = &lab.clients().cloudformation;
    let described = cloudformation.describe_stacks().stack_name(glidepath_lab::STACK_NAME);
    let described = described.send().await.unwrap();
    let stack = described.stacks().first().unwrap();
    let parameters = stack.parameters().iter().map(|parameter| {
        let value = parameter.parameter_value().unwrap_or_default();
        let name = parameter.parameter_key().unwrap().to_owned();
        (name, json!({ "Type": "String", "Default": value }))
    });
    let parameters: serde_json::Map<_, _> = parameters.collect();
    let outputs = lab.glidepath().outputs().iter();
    let mut outputs: serde_json::Map<_, _> =
        outputs.map(|(name, value)| (name.clone(), json!({ "Value": value }))).collect();
    outputs.insert("Version".to_owned(), json!({ "Value": version }));
    for url in ["DecideUrl", "StartUrl", "RollbackUrl"] {
        outputs.insert(url.to_owned(), json!({ "Value": "http://127.0.0.1:1/" }));
    }
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": parameters,
        "Resources": { "Topic": { "Type": "AWS::SNS::Topic" } },
        "Outputs": outputs,
    });
    let create = cloudformation.create_stack().stack_name(name);
    create.template_body(template.to_string()).send().await.unwrap();
    let begun = Instant::now();
    loop {
        let described = cloudformation.describe_stacks().stack_name(name).send().await.unwrap();
        let status = described.stacks().first().and_then(|stack| stack.stack_status());
        if status.is_some_and(|status| status.as_str() == "CREATE_COMPLETE") {
            return name.to_owned();
        }
        assert!(begun.elapsed() < LIMIT, "{status:?}");
        sleep(POLL).await;
    }
}

/// Takes every role's own statements away.
async fn take_permissions(lab: &Lab) {
    let iam = &lab.clients().iam;
    let roles = iam.list_roles().send().await.unwrap();
    for role in roles.roles() {
        let name = role.role_name();
        if !name.contains("Role") {
            continue;
        }
        let policies = iam.list_role_policies().role_name(name).send().await.unwrap();
        for policy in policies.policy_names() {
            let delete = iam.delete_role_policy().role_name(name).policy_name(policy);
            delete.send().await.unwrap();
        }
    }
}

#[test]
fn the_way_of_a_topic_is_ok_and_is_not() {
    block_on(async {
        let settings = AwsSettings { alarms_by: AlarmsBy::Topic, ..AwsSettings::default() };
        let lab = Lab::start(&settings).await.unwrap();
        let ways = ["alarm.topic", "alarm.action", "alarm.composite"];
        let found = doctor(&lab, &Person::root(), &[]).await;
        found.assert_all("ok", &ways);
        assert_eq!(found.code, Some(0), "{:#?}", found.rows);
        let lambda = &lab.clients().lambda;
        let function = lab.glidepath().output("RollbackFunctionName").unwrap();
        let policy = lambda.get_policy().function_name(function).send().await.unwrap();
        let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            if statement["Principal"].to_string().contains("sns.amazonaws.com") {
                let remove = lambda.remove_permission().function_name(function);
                remove.statement_id(statement["Sid"].as_str().unwrap()).send().await.unwrap();
            }
        }
        let found = doctor(&lab, &Person::root(), &[]).await;
        found.assert_all("notOk", &["alarm.topic"]);
        found.assert_all("ok", &["alarm.action"]);
        nothing_is_left(&lab).await;
    });
}

#[test]
fn nothing_is_left_after_ctrl_c_and_a_killed_run_is_cleaned_up_by_the_next() {
    block_on(async {
        let lab = Lab::start(&Default::default()).await.unwrap();
        let interrupted = until_it_has_made_something(&lab).await;
        signal(&interrupted, "-INT").await;
        let output = interrupted.wait_with_output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(130), "{told}");
        assert!(told.contains("everything that doctor has made is removed"), "{told}");
        // But for an event that is on its way to the queue: that goes with the next run.
        assert_nothing(&left(&lab).await);

        let killed = until_it_has_made_something(&lab).await;
        signal(&killed, "-KILL").await;
        killed.wait_with_output().await.unwrap();
        assert!(!left(&lab).await.is_empty());
        let found = doctor(&lab, &Person::root(), &[]).await;
        found.assert_all("ok", &["cleanUp"]);
        let seen = found.rows["cleanUp"]["seen"].as_str().unwrap();
        assert!(seen.contains("of an earlier run"), "{seen}");
        assert_nothing(&left(&lab).await);
        // What was on its way when it was killed may arrive only now; whoever runs it then removes it.
        doctor(&lab, &Person::root(), &[]).await.assert_all("ok", &["cleanUp"]);
        nothing_is_left(&lab).await;
    });
}

async fn until_it_has_made_something(lab: &Lab) -> Child {
    let child = command(lab, &Person::root(), &[]).await.spawn().unwrap();
    let begun = Instant::now();
    while left(lab).await.is_empty() {
        assert!(begun.elapsed() < LIMIT);
        sleep(POLL).await;
    }
    child
}

async fn signal(child: &Child, signal: &str) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
}
