//! The local AWS's journal: every call and event, as one JSON line each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::verdicts;
use crate::scenario::{AlarmName, AlarmState, ExecutionStatus, Slot};
use crate::scene::Scene;
use crate::timeline::Event;

const POLL: Duration = Duration::from_millis(40);
/// What the journal calls the lab's own user.
const ROOT: &str = "root";

/// One API call.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// When it arrived, in seconds since 1970.
    pub time: f64,
    /// The service's IAM prefix, `elasticloadbalancing` for example.
    pub service: String,
    /// The action, `ModifyRule` for example.
    pub action: String,
    /// Name of the role that called.
    pub principal: String,
    /// The invocation that a function called for; `None` for others, and while one initialises.
    #[serde(default)]
    pub invocation: Option<String>,
    /// What was asked, without secrets.
    #[serde(default)]
    pub request: Value,
    /// The error code of the answer.
    pub error: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line {
    Call,
    Weights {
        time: f64,
        resource: String,
        groups: Vec<Group>,
        principal: String,
    },
    State {
        time: f64,
        execution: String,
        state: String,
        event: String,
    },
    Execution {
        time: f64,
        execution: String,
        status: String,
    },
    Alarm {
        time: f64,
        arn: String,
        state: String,
        reason: String,
    },
    Fault {
        time: f64,
        fault: String,
        what: String,
    },
    Task {
        event: String,
        service: Option<String>,
        version: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    target_group: String,
    weight: f64,
}

/// The calls of roles (not of the lab itself) since a moment, in seconds since 1970.
pub(crate) fn read_calls(journal: &Path, since: f64) -> std::io::Result<Vec<Call>> {
    let text = std::fs::read_to_string(journal)?;
    Ok(text
        .lines()
        .filter(|line| line.contains(r#""kind": "call""#))
        .filter_map(|line| serde_json::from_str::<Call>(line).ok())
        .filter(|call| call.time >= since && call.principal != ROOT)
        .collect())
}

/// Calls that AWS would not take and answers that it would not give, since a moment, in words: the
/// local AWS holds both to AWS's own service models.
pub(crate) fn read_breaches(journal: &Path, since: f64) -> std::io::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Breach {
        time: f64,
        side: String,
        service: String,
        action: String,
        principal: String,
        problems: Vec<String>,
    }
    let text = std::fs::read_to_string(journal)?;
    Ok(text
        .lines()
        .filter(|line| line.contains(r#""kind": "contract""#))
        .filter_map(|line| serde_json::from_str::<Breach>(line).ok())
        .filter(|breach| breach.time >= since)
        .map(|Breach { side, service, action, principal, problems, .. }| {
            format!("{side} of {service}:{action} for {principal}: {}", problems.join(", "))
        })
        .collect())
}

/// Reads the whole journal and then what comes, for ever.
pub(super) async fn follow(scene: Arc<Scene>, path: PathBuf) {
    let (ask, asked) = mpsc::channel(64);
    let answering = verdicts::answer(scene.clone(), asked);
    let reading = async move {
        if let Err(error) = read(&scene, &path, &ask).await {
            crate::progress::say(format_args!("the journal cannot be read: {error}"));
        }
    };
    tokio::join!(answering, reading);
}

async fn read(scene: &Scene, path: &Path, ask: &mpsc::Sender<String>) -> std::io::Result<()> {
    let mut file = File::open(path).await?;
    let mut pending = Vec::new();
    loop {
        if file.read_buf(&mut pending).await? == 0 {
            sleep(POLL).await;
            continue;
        }
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            // Lines of kinds that the lab does not know are not its business.
            if let Ok(line) = serde_json::from_slice(&line) {
                record(scene, line, ask).await;
            }
        }
    }
}

async fn record(scene: &Scene, line: Line, ask: &mpsc::Sender<String>) {
    match line {
        // Of what was before, only the tasks that run now count.
        Line::Weights { time, .. }
        | Line::State { time, .. }
        | Line::Execution { time, .. }
        | Line::Alarm { time, .. }
        | Line::Fault { time, .. }
            if scene.timeline.since_beginning(time) < 0.0 => {}
        Line::Weights { time, resource, groups, principal } => {
            weights(scene, time, &resource, &groups, &principal);
        }
        Line::State { time, execution, state, event } => {
            let Some(deployment) = scene.deployment_of(&execution) else { return };
            if event == "entered" {
                let at = scene.timeline.since_beginning(time);
                scene.timeline.add_at(at, Event::State { deployment, state });
            } else {
                // Nobody receives any more only when the scenario is over.
                let _ = ask.send(execution).await;
            }
        }
        Line::Execution { time, execution, status } => {
            ended(scene, time, &execution, &status).await;
        }
        Line::Alarm { time, arn, state, reason } => alarm(scene, time, &arn, &state, reason),
        Line::Fault { time, fault, what } => {
            scene
                .timeline
                .add_at(scene.timeline.since_beginning(time), Event::Fault { fault, what });
        }
        Line::Task { event, service, version } => {
            let slot = service.as_deref().and_then(|service| slot_of(scene, service));
            if let (Some(slot), true) = (slot, event != "stopped") {
                scene.state().slots_of_tags.insert(version, slot);
            }
        }
        Line::Call | Line::Other => {}
    }
}

fn weights(scene: &Scene, time: f64, resource: &str, groups: &[Group], principal: &str) {
    for (name, resources) in &scene.services {
        let Some(route) = resources.routes.iter().position(|route| route.arn == resource) else {
            continue;
        };
        let share = |slot: Slot| {
            let of_slot = |group: &&Group| {
                resources.slot_of_group(&group.target_group) == Some((route, slot))
            };
            groups.iter().filter(of_slot).map(|group| group.weight).sum::<f64>()
        };
        let (blue, green) = percent(share(Slot::Blue), share(Slot::Green));
        let at = scene.timeline.since_beginning(time);
        let principal = principal.rsplit([':', '/']).next().unwrap_or(principal).to_owned();
        let by_root = principal == ROOT;
        let service = name.clone();
        scene.timeline.add_at(
            at,
            Event::WeightsWritten { service, route: route + 1, blue, green, principal },
        );
        if route == 0 && !by_root {
            stage_reached(scene, at, name, (blue, green));
        }
    }
}

/// A forward step is a write of a weight that the canary of the running deployment never had.
fn stage_reached(scene: &Scene, at: f64, service: &str, (blue, green): (f64, f64)) {
    let mut state = scene.state();
    let running = state
        .deployments
        .iter_mut()
        .find(|(_, running)| !running.ended && running.service.as_deref() == Some(service));
    let Some((name, running)) = running else { return };
    let canary = match running.stable {
        Some(Slot::Green) => blue,
        Some(Slot::Blue) | None => green,
    };
    if canary <= running.highest_weight {
        return;
    }
    running.highest_weight = canary;
    running.stages += 1;
    let event = Event::Stage { deployment: name.clone(), stage: running.stages, weight: canary };
    drop(state);
    scene.timeline.add_at(at, event);
}

/// Both weights in percent of their sum.
pub(super) fn percent(blue: f64, green: f64) -> (f64, f64) {
    let sum = blue + green;
    if sum <= 0.0 {
        return (0.0, 0.0);
    }
    let tenth = |weight: f64| (weight / sum * 1000.0).round() / 10.0;
    (tenth(blue), tenth(green))
}

async fn ended(scene: &Scene, time: f64, execution: &str, status: &str) {
    let Some(deployment) = scene.deployment_of(execution) else { return };
    let Some(status) = ExecutionStatus::parse(status).filter(|status| status.ended()) else {
        return;
    };
    let described = scene.clients.sfn.describe_execution().execution_arn(execution).send().await;
    let (error, cause) = described.map_or((None, None), |found| (found.error, found.cause));
    if let Some(running) = scene.state().deployments.get_mut(&deployment) {
        running.ended = true;
    }
    let at = scene.timeline.since_beginning(time);
    scene.timeline.add_at(at, Event::Execution { deployment, status, error, cause });
}

fn alarm(scene: &Scene, time: f64, arn: &str, state: &str, reason: String) {
    let Some(state) = AlarmState::parse(state) else { return };
    for (name, resources) in &scene.services {
        let found = AlarmName::ALL.into_iter().find(|alarm| resources.alarm(*alarm) == arn);
        if let Some(alarm) = found {
            let at = scene.timeline.since_beginning(time);
            let event =
                Event::Alarm { service: name.clone(), alarm, state, reason: reason.clone() };
            scene.timeline.add_at(at, event);
        }
    }
}

fn slot_of(scene: &Scene, ecs_service: &str) -> Option<Slot> {
    scene.services.values().find_map(|resources| {
        Slot::BOTH.into_iter().find(|slot| resources.ecs_service(*slot) == ecs_service)
    })
}
