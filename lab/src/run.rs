//! Plays a scenario until everything has ended and every expectation has had its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::check::{Finding, check};
use crate::clean_end::{self, Places};
use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::LocalAws;
use crate::observe::{self, Receivers};
use crate::routing::{self, Routing};
use crate::scenario::{Action, Behave, FIRST_DEPLOYMENT, Step};
use crate::scene::Scene;
use crate::timeline::{Event, Observed};
use crate::{play, traffic};

const LOOK: Duration = Duration::from_millis(250);
/// What must never happen may still happen right after the end.
const LINGER: Duration = Duration::from_secs(1);
const FIRST_LOOK_LIMIT: Duration = Duration::from_secs(60);

/// Plays the whole scenario; answers every expectation.
pub(crate) async fn play(
    scene: &Arc<Scene>,
    aws: &mut LocalAws,
    receivers: &Receivers,
    events: Option<mpsc::Sender<Observed>>,
) -> LabResult<Vec<Finding>> {
    let before = routings(scene).await?;
    // Dropping the set ends every task in it, on every way out.
    let mut tasks = JoinSet::new();
    if let Some(events) = events {
        tasks.spawn(forward(scene.clone(), events));
    }
    receivers.behave(scene.scenario.receivers.clone());
    observe::start(scene, aws.journal(), receivers, &mut tasks);
    for (service, resources) in &scene.services {
        let targets = traffic::targets(resources)?;
        tasks.spawn(traffic::flow(scene.clone(), service.clone(), targets));
    }
    until_seen(scene).await?;
    let faults = scene.scenario.faults.iter().zip(1..);
    let faults = faults.map(|(fault, number)| (format!("fault {number}"), fault));
    scene.control.add_faults(faults).await?;
    if let Some(request) = &scene.scenario.request {
        play::start_deployment(scene, FIRST_DEPLOYMENT, request).await?;
    }
    for (step, number) in scene.scenario.script.iter().zip(1..) {
        tasks.spawn(play::step(scene.clone(), number, step.clone()));
    }
    for step in later_faults(scene) {
        // Not of the script, so it has no number that anybody could look for.
        tasks.spawn(play::step(scene.clone(), 0, step));
    }
    tasks.spawn(play::keep_sweeping(scene.clone()));
    let over = until_over(scene, aws, &mut tasks).await;
    // The next scenario of this lab has nothing to do with them.
    let ended = scene.control.end_faults().await;
    let placed = scene.control.place_at_most(None).await;
    over?;
    ended?;
    placed?;
    sleep(LINGER).await;
    let mut findings = scene.timeline.look(|events| check(&scene.scenario, events));
    findings.extend(unchanged(scene, &before).await?);
    findings.extend(clean_end::look(scene).await?);
    let (journal, secrets) = (aws.journal(), receivers.secrets());
    let since = -scene.timeline.since_beginning(0.0);
    let places = Places { journal: &journal, secrets: &secrets, since };
    findings.extend(clean_end::no_secrets(scene, &places).await?);
    let breaches =
        observe::read_breaches(&aws.journal(), since).doing("cannot read the journal")?;
    let expected = "every call and every answer is one that AWS's service models allow";
    findings.push(Finding::new(expected, breaches.is_empty(), breaches.join("; ")));
    Ok(findings)
}

async fn forward(scene: Arc<Scene>, events: mpsc::Sender<Observed>) {
    let mut follower = scene.timeline.follow();
    while events.send(follower.next().await).await.is_ok() {}
}

/// Until the weights of every route are known: the roles follow from them.
async fn until_seen(scene: &Scene) -> LabResult<()> {
    let deadline = Instant::now() + FIRST_LOOK_LIMIT;
    let routes: usize = scene.services.values().map(|service| service.routes.len()).sum();
    while scene.state().weights.len() < routes {
        if Instant::now() > deadline {
            return Err(LabError::new("the weights of the example's routes cannot be read"));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Until every deployment has ended and every expectation came true or had its time.
async fn until_over(scene: &Scene, aws: &mut LocalAws, tasks: &mut JoinSet<()>) -> LabResult<()> {
    let limit = scene.scenario.time_limit.duration();
    let patience = scene.scenario.patience.duration();
    let began = Instant::now();
    let mut quiet_since = None;
    let mut last_activity = 0;
    while began.elapsed() < limit {
        sleep(LOOK).await;
        if let Some(error) = aws.ended() {
            return Err(error);
        }
        // What observes, asks and acts ends by itself only when it is done.
        while let Some(ended) = tasks.try_join_next() {
            ended.doing("a part of the lab broke down")?;
        }
        if scene.state().deployments.values().any(|running| !running.ended) {
            quiet_since = None;
            continue;
        }
        // Requests flow all the time; anything else is a sign that something still happens.
        let activity = scene.timeline.look(|events| {
            events
                .iter()
                .filter(|observed| !matches!(observed.event, Event::Requests { .. }))
                .count()
        });
        if activity != last_activity {
            last_activity = activity;
            quiet_since = None;
        }
        let quiet = *quiet_since.get_or_insert_with(Instant::now);
        // A fault that has not struck by the time everything else is as it should be never will.
        let passed = |findings: &[Finding]| {
            findings.iter().all(|finding| finding.passed || finding.about_faults)
        };
        let done = scene.timeline.look(|events| passed(&check(&scene.scenario, events)))
            && passed(&clean_end::look(scene).await?);
        if done || quiet.elapsed() > patience {
            return Ok(());
        }
    }
    scene.timeline.add(Event::TimeLimit { seconds: limit.as_secs() });
    Ok(())
}

/// Versions that get their faults later, as steps.
fn later_faults(scene: &Scene) -> Vec<Step> {
    let services = scene.scenario.services.iter();
    let versions = services.flat_map(|(name, service)| {
        service.versions.iter().map(move |(version, behaviour)| (name, version, behaviour))
    });
    versions
        .filter_map(|(name, version, behaviour)| {
            let behave = Behave {
                service: Some(name.clone()),
                version: version.clone(),
                error_rate: Some(behaviour.error_rate),
                latency: Some(behaviour.latency),
                startup_failure: Some(behaviour.startup_failure),
                healthy: Some(behaviour.healthy),
                healthy_tasks: behaviour.healthy_tasks,
            };
            let action = Action::Behave(behave);
            behaviour.from.map(|from| Step { at: Some(from), when: None, after: None, action })
        })
        .collect()
}

async fn routings(scene: &Scene) -> LabResult<BTreeMap<String, Routing>> {
    let mut found = BTreeMap::new();
    for (name, expected) in &scene.scenario.expect.services {
        if let (true, Some(resources)) = (expected.only_weights_changed, scene.services.get(name)) {
            found.insert(name.clone(), routing::read(&scene.clients, resources).await?);
        }
    }
    Ok(found)
}

async fn unchanged(scene: &Scene, before: &BTreeMap<String, Routing>) -> LabResult<Vec<Finding>> {
    let after = routings(scene).await?;
    Ok(before
        .iter()
        .map(|(name, before)| {
            let expected = format!("service `{name}`: only weights changed");
            let after = after.get(name);
            let found = format!("before {before:?}, after {after:?}");
            Finding::new(expected, after == Some(before), found)
        })
        .collect())
}
