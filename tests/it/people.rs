//! People and CI with the stack's own policies, typing what the runbook says.

mod approver;
mod terminal;

use std::collections::BTreeMap;
use std::time::Duration;

use glidepath_core::time::{Span, Timestamp};
use glidepath_lab::scenario::AlarmName;
use glidepath_lab::{ACCOUNT, Lab, Person, Scenario, ServiceResources};
use serde_json::{Value, json};

use crate::{block_on, scenario, user};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// A user with these policies of the stack.
async fn user_with(lab: &Lab, name: &str, policies: &[&str]) -> Person {
    let person = user(lab, name).await;
    for policy in policies {
        let attach = lab.clients().iam.attach_user_policy().user_name(name);
        attach.policy_arn(&lab.glidepath().outputs()[*policy]).send().await.unwrap();
    }
    person
}

/// The words of a command, quotes and all, without its comment.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in command.chars() {
        match character {
            '"' => quoted = !quoted,
            '#' if !quoted => break,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            character => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The commands in the runbook's blocks that begin so, for a deployment.
fn commands(beginning: &str, deployment: &str) -> Vec<Vec<String>> {
    let lines = RUNBOOK.lines().filter_map(|line| line.strip_prefix("    glidepath "));
    let lines = lines.filter(|line| line.starts_with(beginning));
    let found: Vec<_> = lines.map(|line| words(&line.replace("DEPLOYMENT", deployment))).collect();
    assert!(!found.is_empty(), "the runbook has no `glidepath {beginning}`");
    found
}

pub(crate) struct Stage {
    pub(crate) lab: Lab,
    scenario: Scenario,
    services: BTreeMap<String, ServiceResources>,
    pub(crate) request: String,
}

impl Stage {
    async fn new() -> Self {
        Self::asking(json!({ "timeout": "4h" })).await
    }

    /// Where the second stage asks like this.
    pub(crate) async fn asking(approval: Value) -> Self {
        let scenario = scenario("demo");
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let services = lab.set_up(&scenario).await.unwrap();
        let resources = services.values().next().unwrap();
        let mut request = glidepath_lab::example_request(&scenario, resources);
        request["strategy"] = json!({ "canary": { "stages": [
            { "weight": 10, "bake": "6s" },
            { "weight": 50, "bake": "5m", "approval": approval },
            { "weight": 100, "bake": "5m" },
        ] } });
        // Each lab has its own: its services have other ARNs.
        let file = lab.journal().with_file_name("people.json").to_str().unwrap().to_owned();
        std::fs::write(&file, request.to_string()).unwrap();
        Self { lab, scenario, services, request: file }
    }

    pub(crate) async fn runs(&self, person: &Person, arguments: &[&str]) -> String {
        let told = self.lab.command_line_as(person, arguments).await;
        told.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    async fn fails(&self, person: &Person, arguments: &[&str]) -> String {
        match self.lab.command_line_as(person, arguments).await {
            Ok(told) => panic!("{arguments:?} works: {told}"),
            Err(error) => error.to_string(),
        }
    }

    /// Waits until the deployment's status is like this.
    pub(crate) async fn until(
        &self,
        person: &Person,
        id: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        for _ in 0..120 {
            let told = self.runs(person, &["status", id, "--json"]).await;
            let status: Value = serde_json::from_str(&told).unwrap();
            if is(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("{}", self.runs(person, &["status", id]).await);
    }

    /// Traffic and the sweep, until something fails.
    pub(crate) async fn keep_alive(&self) -> glidepath_lab::LabResult<()> {
        self.lab.keep_alive(&self.scenario, &self.services).await
    }

    /// The alarm of the slot that the new version takes fires.
    pub(crate) async fn fires(&self) {
        let name = self.services.values().next().unwrap().alarm_name(AlarmName::Green);
        let set = self.lab.clients().cloudwatch.set_alarm_state().alarm_name(name);
        set.state_value("ALARM".into()).state_reason("a test").send().await.unwrap();
    }

    /// Types what the runbook's emergency says, with these values; the answer and whether it failed.
    async fn emergency(&self, deployment: &str) -> (String, bool) {
        let payload = RUNBOOK.split("--payload '").nth(1).unwrap().split('\'').next().unwrap();
        let function = self.lab.glidepath().outputs()["RollbackByHand"].clone();
        let payload = payload.replace("DEPLOYMENT", deployment).into_bytes();
        let lambda = &self.lab.clients().lambda;
        let invoke = lambda.invoke().function_name(function).payload(payload.into());
        let answer = invoke.send().await.unwrap();
        let told = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
        (String::from_utf8(told).unwrap(), answer.function_error().is_some())
    }
}

#[test]
fn the_policies_of_the_stack_allow_what_the_runbook_says_and_its_commands_work() {
    block_on(async {
        let stage = Stage::new().await;
        let viewer = user_with(&stage.lab, "viewer", &["ViewerPolicyArn"]).await;
        let ci = user_with(&stage.lab, "ci", &["ViewerPolicyArn", "DeployerPolicyArn"]).await;
        let operator =
            user_with(&stage.lab, "operator", &["ViewerPolicyArn", "OperatorPolicyArn"]).await;
        let approver =
            user_with(&stage.lab, "approver", &["ViewerPolicyArn", "ApproverPolicyArn"]).await;
        let playing = async {
            play(&stage, &viewer, &ci, &operator, &approver).await;
        };
        tokio::select! {
            () = playing => {}
            ended = stage.lab.keep_alive(&stage.scenario, &stage.services) => ended.unwrap(),
        }
    });
}

async fn play(stage: &Stage, viewer: &Person, ci: &Person, operator: &Person, approver: &Person) {
    let request = stage.request.as_str();
    stage.runs(viewer, &["plan", request]).await;
    let denied = stage.fails(viewer, &["start", request, "--name", "p-1"]).await;
    assert!(denied.contains("AccessDenied"), "{denied}");

    // A start ends with the plan's answer, and what it prints works at once.
    let begun = stage.runs(ci, &["start", request, "--name", "p-1"]).await;
    assert!(begun.starts_with("p-1 has begun: "), "{begun}");
    let status = stage.until(viewer, "p-1", |status| status["starter"].is_string()).await;
    let starter = status["starter"].as_str().unwrap_or_default();
    assert!(starter.ends_with(":user/ci"), "AWS has recognised who starts: {status}");
    let refused = stage.fails(ci, &["start", request, "--name", "p-2"]).await;
    assert!(refused.contains("p-2 was refused, and nothing was written: DeploymentRunning"));
    let trace = stage.runs(viewer, &["status", "p-2"]).await;
    assert!(trace.contains("p-2 was refused"), "{trace}");
    let unknown = stage.fails(viewer, &["status", "nobody"]).await;
    assert!(unknown.contains("there is no deployment `nobody`"), "{unknown}");

    let asks = |status: &Value| status["approval"].is_object();
    stage.until(viewer, "p-1", asks).await;
    let (told, failed) = stage.emergency("p-666").await;
    assert!(failed && told.contains("UnknownDeployment"), "{told}");
    let approve = ["approve", "p-1", "--stage", "2"];
    for command in [&approve[..], &["rollback", "p-1"]] {
        let denied = stage.fails(viewer, command).await;
        assert!(denied.contains("AccessDenied") || denied.contains("not authorized"), "{denied}");
    }
    // Whoever may start may not approve what they start, and whoever may approve writes to no table.
    let denied = stage.fails(ci, &approve).await;
    assert!(denied.contains("AccessDenied"), "{denied}");
    approver::does_nothing_else(stage, approver).await;
    approver::operator_forges_nothing(stage, operator).await;
    stage.runs(approver, &approve).await;
    let kept: Value =
        serde_json::from_str(&stage.runs(viewer, &["status", "p-1", "--json"]).await).unwrap();
    assert!(kept.to_string().contains(":user/approver"), "{kept}");
    let half = |status: &Value| status["now"]["traffic"][0]["canary"] == 50.0;
    stage.until(viewer, "p-1", half).await;

    let as_words =
        |words: &[String]| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    // Every command of the runbook, in its order; a watch ends when the rollback below does.
    let (mut watches, mut others) = (Vec::new(), Vec::new());
    for command in [commands("status", "p-1"), commands("report", "p-1")].concat() {
        let watch = command.iter().any(|word| word == "--watch");
        if watch { watches.push(command) } else { others.push(command) }
    }
    for command in &others {
        let drawn = format!("{}/people.svg", env!("CARGO_TARGET_TMPDIR"));
        let words: Vec<_> =
            command.iter().map(|word| if word.ends_with(".svg") { &drawn } else { word }).collect();
        let words: Vec<_> = words.into_iter().map(String::as_str).collect();
        stage.runs(viewer, &words).await;
    }
    let watching = async {
        for command in &watches {
            let words: Vec<_> = command.iter().map(String::as_str).collect();
            let told = stage.runs(viewer, &words).await;
            assert!(told.contains("rolled back"), "{}: {told}", as_words(command));
        }
    };
    let rolling_back = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let rollbacks = commands("rollback", "p-1");
        let words: Vec<_> = rollbacks[0].iter().map(String::as_str).collect();
        let told = stage.runs(operator, &words).await;
        assert!(told.contains("all traffic is back"), "{told}");
        let forced = rollbacks.iter().any(|words| words.iter().any(|word| word == "--force"));
        assert!(forced, "the runbook does not say how to force");
    };
    tokio::join!(watching, rolling_back);
    stage.until(viewer, "p-1", |status| status["phase"] == "rolledBack").await;
    let told = stage.fails(viewer, &["status", "p-1", "--exit-status"]).await;
    assert!(told.contains("Aborted"), "{told}");
    stage.runs(viewer, &["status", "p-1"]).await;
}

#[test]
fn one_that_is_being_planned_is_known_and_can_be_ended() {
    block_on(async {
        let stage = Stage::new().await;
        let machine = stage.lab.glidepath().outputs()["StateMachineArn"].clone();
        let input = std::fs::read_to_string(&stage.request).unwrap();
        let start = stage.lab.clients().sfn.start_execution();
        let start = start.state_machine_arn(machine).name("q-1").input(input);
        start.send().await.unwrap();
        let root = Person::root();
        let (status, rollback) = tokio::join!(
            stage.lab.command_line_as(&root, &["status", "q-1"]),
            stage.lab.command_line_as(&root, &["rollback", "q-1", "--reason", "the wrong file"]),
        );
        let (status, rollback) = (status.unwrap(), rollback.unwrap());
        assert!(status.contains("q-1"), "{status}");
        assert!(rollback.contains("all traffic is back on"), "{rollback}");
        let ended =
            |status: &Value| status["phase"] == "rolledBack" || status["phase"] == "abandoned";
        stage.until(&root, "q-1", ended).await;
    });
}

/// A role of this name that the account may assume, with these policies of the stack; its sessions of these
/// names.
async fn sessions<const N: usize>(
    lab: &Lab,
    role: &str,
    policies: &[&str],
    names: [&str; N],
) -> [Person; N] {
    let clients = lab.clients();
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") },
    }] });
    let created = clients.iam.create_role().role_name(role);
    let created = created.assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let arn = created.role().unwrap().arn().to_owned();
    for policy in policies {
        let attach = clients.iam.attach_role_policy().role_name(role);
        attach.policy_arn(&lab.glidepath().outputs()[*policy]).send().await.unwrap();
    }
    let mut assumed = Vec::new();
    for name in names {
        let assume = clients.sts.assume_role().role_arn(&arn).role_session_name(name);
        let credentials = assume.send().await.unwrap().credentials().unwrap().clone();
        assumed.push(Person {
            key: credentials.access_key_id,
            secret: credentials.secret_access_key,
            token: Some(credentials.session_token),
        });
    }
    assumed.try_into().unwrap_or_else(|_| panic!("{N} sessions"))
}

#[test]
fn two_people_approve_and_neither_has_started_it() {
    block_on(async {
        let stage = Stage::asking(json!({
            "count": 2, "notBy": "starter", "notBefore": "10s", "remindAfter": "2s",
            "approvers": [
                format!("arn:aws:iam::{ACCOUNT}:user/*"),
                format!("arn:aws:iam::{ACCOUNT}:role/release-*"),
                format!("arn:aws:iam::{ACCOUNT}:role/deploy"),
            ],
        }))
        .await;
        let policy = json!({ "sessionsNamePeople": ["release-*"] }).to_string();
        let set = stage.lab.set_variable("PlanFunctionName", "GLIDEPATH_APPROVAL_POLICY", &policy);
        set.await.unwrap();
        let policies = ["ViewerPolicyArn", "DeployerPolicyArn", "ApproverPolicyArn"];
        let (lab, policies) = (&stage.lab, &policies[..]);
        let ada = user_with(lab, "ada", policies).await;
        let bob = user_with(lab, "bob", policies).await;
        let [ada_s, bob_s, carol] =
            sessions(lab, "release-managers", policies, ["ada", "Bob", "carol"]).await;
        let [anybody] = sessions(lab, "deploy", policies, ["dave"]).await;
        let [other] = sessions(lab, "engineers", policies, ["erin"]).await;
        let playing = async {
            let until = ["start", &stage.request, "--name", "f-1", "--wait", "--until-person"];
            let asks = stage.fails(&ada, &until).await;
            assert!(asks.contains("f-1 waits for approval of stage 2 (50 %)"), "{asks}");
            let asked = stage.until(&carol, "f-1", |status| status["approval"].is_object()).await;
            assert_eq!(asked["approval"]["lacking"], 2, "{asked}");
            let approve = ["approve", "f-1", "--stage", "2"];
            for (person, why) in [
                (&ada, "who has started it: somebody else must approve"),
                (&ada_s, "who has started it: somebody else must approve"),
                (&other, "may not approve stage 2"),
                (&anybody, "may be anybody who can have it"),
            ] {
                let refused = stage.fails(person, &approve).await;
                assert!(refused.contains(why), "{refused}");
            }
            let first = stage.runs(&bob_s, &approve).await;
            assert!(first.contains("1 person more must approve"), "{first}");
            let same = stage.fails(&bob, &approve).await;
            assert!(same.contains("already (as ") && same.contains("/Bob"), "{same}");
            // As after an answer that was lost.
            let again = stage.runs(&bob_s, &approve).await;
            assert!(again.contains("1 person more must approve"), "{again}");
            let half =
                stage.until(&carol, "f-1", |status| status["approval"]["lacking"] == 1).await;
            assert_eq!(half["now"]["traffic"][0]["canary"], 10.0, "{half}");
            let shown = stage.runs(&carol, &["status", "f-1"]).await;
            assert!(
                shown.contains("2 people, of ") && shown.contains("approved by arn"),
                "{shown}"
            );
            let reminded = |status: &Value| status["timeline"].to_string().contains("still waits");
            stage.until(&carol, "f-1", reminded).await;
            let second = stage.runs(&carol, &approve).await;
            assert!(second.contains("50 % of the requests go to"), "{second}");
            let times = |status: &Value, name: &str| {
                let events = status["timeline"].as_array().unwrap().iter();
                let found = events.filter(|event| event["event"] == name);
                let at = found.map(|event| Timestamp::parse(event["at"].as_str().unwrap()));
                at.collect::<Option<Vec<_>>>().unwrap()
            };
            // The route is written before the record says so: the record is waited for.
            let told = |status: &Value| times(status, "shifted").len() == 2;
            let moved = stage.until(&carol, "f-1", told).await;
            assert_eq!(moved["now"]["traffic"][0]["canary"], 50.0, "{moved}");
            let (asked, shifted) =
                (times(&moved, "approvalNeeded")[0], times(&moved, "shifted")[1]);
            assert!(shifted.since(asked) >= Span::from_secs(10), "{asked} {shifted}");
            let audit = stage.runs(&carol, &["audit", "--from", "2026-11-01", "--json"]).await;
            let audit = audit.lines().map(|line| serde_json::from_str(line).unwrap());
            let audit: Vec<Value> =
                audit.filter(|entry: &Value| entry["known"].is_string()).collect();
            let who: Vec<_> = audit.iter().map(|entry| entry["by"].as_str().unwrap()).collect();
            let [started, bob_said, carol_said] = who[..] else { panic!("{audit:?}") };
            assert!(started.ends_with("user/ada") && bob_said.ends_with("/Bob"), "{who:?}");
            assert!(carol_said.ends_with("release-managers/carol"), "{who:?}");
            assert!(audit.iter().all(|entry| entry["known"] == "proven"), "{audit:?}");
        };
        tokio::select! {
            () = playing => {}
            ended = stage.lab.keep_alive(&stage.scenario, &stage.services) => ended.unwrap(),
        }
    });
}

#[test]
fn a_stack_that_demands_an_approval_takes_no_request_without() {
    block_on(async {
        let mut stage = Stage::new().await;
        let root = Person::root();
        let policy = json!({
            "requiredFor": ["*"], "withoutApprovalUpTo": 10,
            "approvers": [format!("arn:aws:iam::{ACCOUNT}:user/ada")],
        });
        // As whoever runs the stack demands it: a parameter that nobody reads would demand nothing.
        let demanded = vec![("ApprovalPolicy", policy.to_string())];
        stage.lab.set_parameters(demanded).await.unwrap();
        let mut request: Value =
            serde_json::from_str(&std::fs::read_to_string(&stage.request).unwrap()).unwrap();
        let silent = stage.lab.journal().with_file_name("silent.json");
        request["strategy"] = json!({ "allAtOnce": {} });
        std::fs::write(&silent, request.to_string()).unwrap();
        let silent = silent.to_str().unwrap().to_owned();
        let refused = stage.fails(&root, &["start", &silent, "--name", "s-1"]).await;
        assert!(refused.contains("the stack demands an approval of `"), "{refused}");
        let playing = async {
            stage.runs(&root, &["start", &stage.request, "--name", "s-2"]).await;
            stage.until(&root, "s-2", |status| status["approval"].is_object()).await;
            let told = stage.fails(&root, &["approve", "s-2", "--stage", "2"]).await;
            assert!(told.contains("may not approve stage 2: arn:aws:iam"), "{told}");
        };
        tokio::select! {
            () = playing => {}
            ended = stage.lab.keep_alive(&stage.scenario, &stage.services) => ended.unwrap(),
        }
    });
}
