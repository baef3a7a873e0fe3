//! `cargo lab latency`: how long it takes from an alarm's change of state to restored traffic, with
//! the rollback function warm and cold, beside a bare ModifyRule in the same run.

mod people;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_lambda::primitives::Blob;
use glidepath_lab::scenario::{
    Action, AlarmName, AlarmState, ExecutionStatus, FIRST_DEPLOYMENT, Happening, StartDeployment,
    Step,
};
use glidepath_lab::{
    Clients, Doing, Event, Lab, LabError, LabResult, Observed, Report, Scenario, ServiceResources,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

const SCENARIO: &str = include_str!("latency.yaml");
const SERVICE: &str = "shop";
/// So that the deployment waits at its gate, as most do when an alarm fires.
const SETTLING: Duration = Duration::from_secs(1);
/// As in the template, in MB.
const MEMORY: usize = 256;
const EVENTS_UNDER_WAY: usize = 1024;

/// How the function is before the alarm fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Warm,
    Cold,
}

/// Measures `runs` warm and as many cold rollbacks, and prints a table in milliseconds.
pub(crate) async fn run(runs: usize) -> LabResult<bool> {
    let scenario = scenario(2 * runs)?;
    let mut lab = Lab::start(&scenario.aws).await?;
    let mut firing = Firing {
        clients: lab.clients().clone(),
        function: lab.glidepath().output("RollbackFunctionName")?.to_owned(),
        journal: lab.journal(),
        fired: 0,
        bare: Vec::new(),
    };
    let (sender, events) = mpsc::channel(EVENTS_UNDER_WAY);
    let (report, fired) = tokio::join!(lab.run(scenario, Some(sender)), firing.follow(events));
    let report = report?;
    fired?;
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for (index, latency) in latencies(&report).into_iter().enumerate() {
        match start(index) {
            Start::Warm => warm.push(latency),
            Start::Cold => cold.push(latency),
        }
    }
    let complete = warm.len() == runs && cold.len() == runs;
    let scenario = self::scenario(1)?;
    let people::Latencies { running, succeeded } =
        people::measure(&mut lab, &scenario, runs).await?;
    glidepath_lab::print("milliseconds                            runs  median   worst")?;
    for (name, latencies) in [
        ("alarm to restored route, function warm", warm),
        ("alarm to restored route, function cold", cold),
        ("a bare ModifyRule", firing.bare),
        ("`rollback`, deployment running", running),
        ("`rollback --to previous`, in retention", succeeded),
    ] {
        glidepath_lab::print(&line(name, latencies))?;
    }
    Ok(complete)
}

const fn start(index: usize) -> Start {
    if index.is_multiple_of(2) { Start::Warm } else { Start::Cold }
}

/// One deployment after the other: each begins when the one before has been rolled back.
fn scenario(deployments: usize) -> LabResult<Scenario> {
    let mut scenario = Scenario::parse(SCENARIO, "lab/src/latency.yaml")
        .map_err(|error| LabError::new(error.to_string()))?;
    let mut request = scenario.request.clone().unwrap_or_default();
    let mut before = FIRST_DEPLOYMENT.to_owned();
    for number in 2..=deployments {
        // What the one before had is in quarantine. Its id ends in the number of the scenario in its lab.
        if let Some(release) = request.get_mut("release").and_then(Value::as_object_mut) {
            release.insert("retry".to_owned(), json!(format!("{before}-1")));
        }
        let failed = Happening {
            execution: Some(ExecutionStatus::Failed),
            time: Some(number - 1),
            ..Happening::default()
        };
        before = format!("d{number}");
        let next = StartDeployment { name: before.clone(), request: request.clone() };
        scenario.script.push(Step {
            at: None,
            when: Some(failed),
            after: None,
            action: Action::StartDeployment(next),
        });
    }
    Ok(scenario)
}

/// Fires the canary's alarm in every deployment.
struct Firing {
    clients: Clients,
    function: String,
    journal: PathBuf,
    fired: usize,
    bare: Vec<f64>,
}

impl Firing {
    async fn follow(&mut self, mut events: mpsc::Receiver<Observed>) -> LabResult<()> {
        while let Some(observed) = events.recv().await {
            if matches!(observed.event, Event::Stage { stage: 1, .. }) {
                sleep(SETTLING).await;
                self.fire().await?;
            }
        }
        Ok(())
    }

    async fn fire(&mut self) -> LabResult<()> {
        self.modify_rule().await?;
        match start(self.fired) {
            Start::Warm => self.warm().await?,
            Start::Cold => self.cool().await?,
        }
        self.fired += 1;
        glidepath_lab::say(format_args!("alarm {}", self.fired));
        let alarm = format!("{}-{}-errors", ServiceResources::prefix_of(SERVICE, 1), "green");
        let set = self.clients.cloudwatch.set_alarm_state().alarm_name(alarm);
        let set = set.state_value(StateValue::Alarm).state_reason("to measure the rollback");
        set.send().await.doing("firing the alarm")?;
        Ok(())
    }

    /// Writes the rule as it is, which changes nothing, and notes how long that takes.
    async fn modify_rule(&mut self) -> LabResult<()> {
        let doing = "measuring a bare ModifyRule";
        let journal = std::fs::read_to_string(&self.journal).doing(doing)?;
        let rule = journal.lines().rev().find_map(|line| {
            let call: Value = serde_json::from_str(line).ok()?;
            let modified = call["kind"] == "call" && call["action"] == "ModifyRule";
            modified.then(|| call["request"]["RuleArn"].as_str().map(str::to_owned))?
        });
        let rule = rule.ok_or_else(|| LabError::new("no ModifyRule is in the journal"))?;
        let elb = &self.clients.elb;
        let found = elb.describe_rules().rule_arns(&rule).send().await.doing(doing)?;
        let actions = found.rules.unwrap_or_default().into_iter().find_map(|rule| rule.actions);
        let modify = elb.modify_rule().rule_arn(rule).set_actions(actions);
        let begun = Instant::now();
        modify.send().await.doing(doing)?;
        self.bare.push(begun.elapsed().as_secs_f64() * 1000.0);
        Ok(())
    }

    /// Has the function answer something that concerns nobody.
    async fn warm(&self) -> LabResult<()> {
        let nothing = json!({ "deployment": "nobody-s" });
        let invoke = self.clients.lambda.invoke().function_name(&self.function);
        let invoke = invoke.payload(Blob::new(nothing.to_string()));
        invoke.send().await.doing("warming the function")?;
        Ok(())
    }

    /// A changed configuration is one that no running process has.
    async fn cool(&self) -> LabResult<()> {
        let update = self.clients.lambda.update_function_configuration();
        let update = update.function_name(&self.function);
        // The local AWS, unlike AWS, keeps processes through changes that they cannot notice.
        let memory = i32::try_from(MEMORY + self.fired).unwrap_or(i32::MAX);
        let update = update.memory_size(memory);
        update.send().await.doing("cooling the function")?;
        sleep(SETTLING).await;
        Ok(())
    }
}

/// For every alarm, in order: milliseconds until the rollback function's write of the route.
fn latencies(report: &Report) -> Vec<f64> {
    let mut events: Vec<&Observed> = report.events.iter().collect();
    events.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut fired = None;
    let mut latencies = Vec::new();
    for observed in events {
        let alarm = (AlarmName::Green, AlarmState::Alarm);
        if matches!(&observed.event, Event::Alarm { alarm: of, state, .. } if (*of, *state) == alarm)
        {
            fired = Some(observed.at);
        }
        if let Event::WeightsWritten { principal, green, .. } = &observed.event
            && principal.contains("Rollback")
            && *green <= 0.0
        {
            latencies.extend(fired.take().map(|fired| (observed.at - fired) * 1000.0));
        }
    }
    latencies
}

fn line(name: &str, mut latencies: Vec<f64>) -> String {
    latencies.sort_by(f64::total_cmp);
    let median = latencies.get(latencies.len() / 2).copied().unwrap_or(f64::NAN);
    let worst = latencies.last().copied().unwrap_or(f64::NAN);
    format!("{name:38} {:5} {median:7.0} {worst:7.0}", latencies.len())
}
