//! The same from what a person types to the route that is written, while a deployment runs and after one has
//! succeeded.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glidepath_lab::{Doing, Lab, LabError, LabResult, Scenario, ServiceResources};
use serde_json::{Value, json};
use tokio::time::sleep;

/// So that a deployment waits at its gate.
const SETTLING: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(200);
const LOOKS: usize = 300;

/// Milliseconds, one for each run.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// `rollback DEPLOYMENT` while it bakes.
    pub(super) running: Vec<f64>,
    /// `rollback DEPLOYMENT --to previous` while the old slot keeps its tasks.
    pub(super) succeeded: Vec<f64>,
}

/// Measures so many of both, in a service of their own.
pub(super) async fn measure(
    lab: &mut Lab,
    scenario: &Scenario,
    runs: usize,
) -> LabResult<Latencies> {
    let services = lab.set_up(scenario).await?;
    let lab = &*lab;
    tokio::select! {
        measured = with_traffic(lab, scenario, &services, runs) => measured,
        ended = lab.keep_alive(scenario, &services) => {
            Err(ended.err().unwrap_or_else(|| LabError::new("the traffic has ended")))
        }
    }
}

async fn with_traffic(
    lab: &Lab,
    scenario: &Scenario,
    services: &BTreeMap<String, ServiceResources>,
    runs: usize,
) -> LabResult<Latencies> {
    let resources = services.values().next().ok_or_else(|| LabError::new("there is no service"))?;
    let mut request = glidepath_lab::example_request(scenario, resources);
    let directory = tempfile::tempdir().doing("making a directory for requests")?;
    let file = directory.path().join("request.json");
    let mut latencies = Latencies::default();
    for run in 1..=runs {
        let name = format!("running-{run}");
        start(lab, &request, &file, &name).await?;
        until(lab, &name, "state", "bakes").await?;
        sleep(SETTLING).await;
        latencies.running.push(timed(lab, &["rollback", &name]).await?.0);
        until(lab, &name, "phase", "rolledBack").await?;
        glidepath_lab::say(format_args!("rollback {run}"));
        // Its version was taken back, and comes again because somebody says so.
        request["release"]["retry"] = json!(name);
    }
    request["strategy"] = json!({ "allAtOnce": { "bake": "1s" } });
    request["retention"] = json!("3600s");
    let mut serving = "succeeded".to_owned();
    start(lab, &request, &file, &serving).await?;
    until(lab, &serving, "phase", "succeeded").await?;
    for run in 1..=runs {
        sleep(SETTLING).await;
        let (latency, printed) = timed(lab, &["rollback", &serving, "--to", "previous"]).await?;
        latencies.succeeded.push(latency);
        glidepath_lab::say(format_args!("way back {run}"));
        // "as the registry knows, ONE serves; ANOTHER brings VERSION back"
        let line = printed.lines().find(|line| line.starts_with("as the registry knows"));
        let back = line.and_then(|line| line.split_once("serves; "));
        let back = back.and_then(|(_, back)| back.split_once(" brings "));
        serving =
            back.map(|(id, _)| id.to_owned()).ok_or_else(|| LabError::new(printed.clone()))?;
    }
    Ok(latencies)
}

async fn start(lab: &Lab, request: &Value, file: &Path, name: &str) -> LabResult<()> {
    std::fs::write(file, request.to_string()).doing("writing a request")?;
    let path = file.to_string_lossy();
    lab.command_line(&["start", &path, "--name", name]).await.map(|_| ())
}

/// Waits until a field of the status begins with this.
async fn until(lab: &Lab, name: &str, field: &str, wanted: &str) -> LabResult<()> {
    let mut seen = String::new();
    for _ in 0..LOOKS {
        let shown = lab.command_line(&["status", name, "--json"]).await?;
        let shown: Value = serde_json::from_str(&shown).doing("reading the status")?;
        shown[field].as_str().unwrap_or_default().clone_into(&mut seen);
        if seen.starts_with(wanted) {
            return Ok(());
        }
        sleep(POLL).await;
    }
    Err(LabError::new(format!("the {field} of {name} is `{seen}` and does not become {wanted}")))
}

/// Milliseconds from the start of the command to the write of the route, and what it prints.
async fn timed(lab: &Lab, arguments: &[&str]) -> LabResult<(f64, String)> {
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).doing("reading the clock")?;
    let begun = begun.as_secs_f64();
    let arguments = [arguments, &["--reason", "to measure it"]].concat();
    let printed = lab.command_line(&arguments).await?;
    let calls = lab.calls(begun)?;
    let written = calls.iter().find(|call| call.action == "ModifyRule");
    let written =
        written.ok_or_else(|| LabError::new(format!("nothing was written: {printed}")))?;
    Ok(((written.time - begun) * 1000.0, printed))
}
