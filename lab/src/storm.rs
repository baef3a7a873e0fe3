//! `cargo lab storm`: many deployments rolled back by their alarms in the same moment, while the load
//! balancing API takes only a few changes. `docs/storm.md` says what is expected of it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use glidepath_lab::scenario::Slot;
use glidepath_lab::{
    Clients, Control, Doing, Event, Lab, LabError, LabResult, Observed, Report, Scenario,
    ServiceResources,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// First stages of the deployments, in turns: one part of what each does harm with.
const WEIGHTS: [u32; 4] = [5, 10, 25, 50];
/// Requests a second of most services.
const REQUESTS: u32 = 1;
/// Requests a second of one service in twelve; half of them go to the canary.
const BUSY: u32 = 40;
/// So that the deployments wait at their gates, as most do when alarms fire, and each has been looked
/// at once: by then its traffic is known.
const SETTLING: Duration = Duration::from_secs(25);
const EVENTS_UNDER_WAY: usize = 4096;

/// How large the storm is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many deployments.
    #[arg(long, default_value_t = 30)]
    deployments: usize,
    /// How many changes of load balancers are taken at once.
    #[arg(long, default_value_t = 4)]
    burst: u32,
    /// How many a second after that.
    #[arg(long, default_value_t = 1.0)]
    per_second: f64,
}

/// Plays it and prints what came of it; whether every deployment was rolled back.
pub(crate) async fn run(arguments: Arguments) -> LabResult<bool> {
    let scenario = scenario(arguments.deployments)?;
    let mut lab = Lab::start(&scenario.aws).await?;
    let storm =
        Storm { clients: lab.clients().clone(), control: Control::new(lab.endpoint()), arguments };
    let (sender, events) = mpsc::channel(EVENTS_UNDER_WAY);
    let (report, begun) = tokio::join!(lab.run(scenario, Some(sender)), storm.follow(events));
    let (report, begun) = (report?, begun?);
    for line in storm.told(&report, begun) {
        glidepath_lab::print(&line)?;
    }
    if !report.passed() {
        lab.explain(&report).await;
        glidepath_lab::print(&format!("\nNot as expected:\n{}", report.failures()))?;
    }
    Ok(report.passed())
}

fn service(number: usize) -> String {
    format!("s{number:02}")
}

const fn weight(number: usize) -> u32 {
    WEIGHTS[number % WEIGHTS.len()]
}

const fn requests(number: usize) -> u32 {
    if number % 12 == 3 { BUSY } else { REQUESTS }
}

/// How fast a deployment does harm: percent of requests a second.
const fn harm(number: usize) -> u32 {
    weight(number) * requests(number)
}

/// As many services, each with a deployment that bakes until its alarm fires.
fn scenario(deployments: usize) -> LabResult<Scenario> {
    let mut services = BTreeMap::new();
    let mut script = Vec::new();
    let mut expected = BTreeMap::new();
    for number in 0..deployments {
        let service = service(number);
        let stages =
            json!([{ "weight": weight(number), "bake": "10m" }, { "weight": 100, "bake": "1s" }]);
        let request = json!({
            "service": service,
            "release": { "version": "v2" },
            "strategy": { "canary": { "stages": stages } },
            "health": { "interval": "20s", "badRequests": { "limit": 100 } },
        });
        script.push(json!({
            "at": "0s",
            "do": { "startDeployment": { "name": service, "request": request } },
        }));
        expected.insert(service.clone(), json!({ "status": "FAILED", "failure": "AlarmFired" }));
        let versions = json!({ "v1": {}, "v2": {} });
        services.insert(
            service,
            json!({ "tasks": 1, "traffic": requests(number), "versions": versions }),
        );
    }
    let document = json!({
        "title": "many deployments are rolled back at once",
        "services": services,
        "script": script,
        "sweepEvery": "10s",
        "patience": "60s",
        "timeLimit": "30m",
        "expect": { "cleanEnd": true, "deployments": expected },
    });
    Scenario::parse(&document.to_string(), "the storm")
        .map_err(|error| LabError::new(error.to_string()))
}

struct Storm {
    clients: Clients,
    control: Control,
    arguments: Arguments,
}

impl Storm {
    /// Fires every alarm once every deployment has reached its first stage; answers when.
    async fn follow(&self, mut events: mpsc::Receiver<Observed>) -> LabResult<f64> {
        let mut reached = 0;
        let mut begun = 0.0;
        while let Some(observed) = events.recv().await {
            if !matches!(observed.event, Event::Stage { stage: 1, .. }) {
                continue;
            }
            reached += 1;
            glidepath_lab::say(format_args!("{reached} of {} bake", self.arguments.deployments));
            if reached == self.arguments.deployments {
                sleep(SETTLING).await;
                let Arguments { burst, per_second, .. } = self.arguments;
                self.control.limit_changes(burst, per_second).await?;
                glidepath_lab::say("all alarms fire");
                begun = observed.at + SETTLING.as_secs_f64();
                self.fire().await?;
            }
        }
        Ok(begun)
    }

    async fn fire(&self) -> LabResult<()> {
        let mut firing = JoinSet::new();
        for number in 0..self.arguments.deployments {
            let prefix = ServiceResources::prefix_of(&service(number), 1);
            let alarm = format!("{prefix}-{}-errors", Slot::Green);
            let set = self.clients.cloudwatch.set_alarm_state().alarm_name(alarm);
            let set = set.state_value(StateValue::Alarm).state_reason("a storm");
            firing.spawn(set.send());
        }
        while let Some(fired) = firing.join_next().await {
            fired.doing("firing an alarm")?.doing("firing an alarm")?;
        }
        Ok(())
    }

    /// What came of it, line by line.
    fn told(&self, report: &Report, begun: f64) -> Vec<String> {
        let restored = restored(report, begun);
        let Arguments { deployments, burst, per_second } = self.arguments;
        let beyond = deployments.saturating_sub(burst as usize);
        #[allow(clippy::cast_precision_loss)]
        let floor = beyond as f64 / per_second;
        let last = restored.values().copied().fold(0.0, f64::max);
        let modify = report.calls_of("ModifyRule").filter(|call| {
            call.principal.contains("Rollback") && call.time - report.began >= begun
        });
        let (taken, throttled): (Vec<_>, Vec<_>) = modify.partition(|call| call.error.is_none());
        vec![
            format!("restored             {} of {deployments}", restored.len()),
            format!(
                "floor                {floor:.1} s ({burst} changes at once, {per_second} a second)"
            ),
            format!("last one restored    {last:.1} s, {:.2} of the floor", last / floor),
            format!("half of all harm     {:.2} of the floor", half(&restored) / floor),
            format!("ModifyRule           {} taken, {} throttled", taken.len(), throttled.len()),
        ]
    }
}

/// By service: seconds from the alarms until the rollback's write of its route.
fn restored(report: &Report, begun: f64) -> BTreeMap<String, f64> {
    let mut restored = BTreeMap::new();
    for observed in report.events.iter().filter(|observed| observed.at >= begun) {
        if let Event::WeightsWritten { service, principal, green, .. } = &observed.event
            && principal.contains("Rollback")
            && *green <= 0.0
        {
            let at = restored.entry(service.clone()).or_insert(f64::INFINITY);
            *at = f64::min(*at, observed.at - begun);
        }
    }
    restored
}

/// When half of all harm, the share of each service's requests until it is taken away, was over.
fn half(restored: &BTreeMap<String, f64>) -> f64 {
    let mut ends: Vec<(f64, f64)> = (0..restored.len())
        .filter_map(|number| Some((*restored.get(&service(number))?, f64::from(harm(number)))))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let all: f64 = ends.iter().map(|(_, harm)| harm).sum();
    let mut left = all;
    for (at, harm) in ends {
        left -= harm;
        if left <= all / 2.0 {
            return at;
        }
    }
    f64::NAN
}
