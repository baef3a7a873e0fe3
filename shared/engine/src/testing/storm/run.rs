//! The storm itself: alarms fire, state machines turn, forward shifts come by.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{AlarmArn, DeploymentId, EcsServiceName, TargetGroupArn, TaskToken};
use glidepath_core::plan::{CanaryCapacity, Plan, Slot};
use glidepath_core::protocol::{NextStep, begin};
use glidepath_core::record::{
    Deployment, Gate, Lock, LockKey, Phase, Progress, RecordedHealth, Revision, Step, Tick,
};
use glidepath_core::route::{RolePair, RouteRef};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;

use super::services::{Dice, Service};
use super::time::Task;
use super::world::{Owner, Routed, StormWorld, TASKS};
use super::{Settings, Tally};
use crate::rollback::{self, AlarmEvent, CaughtError, RollbackInput};
use crate::testing::example::{START, actions, plan, stage};
use crate::{StepInput, advance};

/// What Lambda and Step Functions add to each turn.
const OVERHEAD: Span = Span::from_millis(50);

/// `MaxAttempts` and `MaxDelaySeconds` of the definition's Retry for the rollback.
const RETRIES: u32 = 120;
const LONGEST_RETRY: Span = Span::from_secs(30);

/// When everybody has long ended.
const END: Span = Span::from_secs(7_200);

/// Runs a storm.
pub fn run(settings: &Settings, seed: u64) -> Tally {
    let dice = Dice::of(seed);
    let services = settings.traffic.services(settings.rollbacks, &dice);
    let tally = Tally::new(settings, &services);
    let world = StormWorld::new(*settings, START, dice, tally);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for (index, service) in services.into_iter().enumerate() {
        let deployment = baking(&world, index, service);
        let event = AlarmEvent {
            alarm: deployment.alarms[0].clone(),
            at: START,
            reason: "threshold crossed".to_owned(),
        };
        let delay = Span::from_millis(world.dice.up_to(settings.spread.as_millis()));
        tasks.push(Box::pin(alarm(&world, event, delay)));
        let tick = Span::from_millis(world.dice.up_to(60_000));
        tasks.push(Box::pin(execution(&world, deployment.id, START + tick)));
    }
    for index in settings.rollbacks..settings.rollbacks + settings.forward {
        let deployment = settling(&world, index);
        let delay = Span::from_millis(world.dice.up_to(120_000));
        tasks.push(Box::pin(forward(&world, deployment.id, delay)));
    }
    world.time.run(tasks);

    let items = world.registry.items();
    let mut tally = world.state().tally.clone();
    tally.ended = items
        .deployments
        .values()
        .filter(|deployment| matches!(deployment.phase, Phase::Closed(_)))
        .filter(|deployment| {
            let keys = LockKey::of(&deployment.plan);
            keys.iter().all(|key| items.lock(key).holder.is_none())
        })
        .count();
    tally
}

/// One delivery of an alarm's event, as Lambda makes it: again after one and two minutes if it
/// fails, and again soon if there is no concurrency left.
async fn alarm(world: &StormWorld, event: AlarmEvent, delay: Span) {
    world.time.sleep(delay).await;
    for retry in [Some(Span::from_secs(60)), Some(Span::from_secs(120)), None] {
        let mut backoff = Span::from_secs(1);
        while !world.invoke() {
            world.time.sleep(backoff).await;
            backoff = backoff.times(2).min(Span::from_secs(300));
        }
        world.time.sleep(OVERHEAD).await;
        let outcome = rollback::on_alarm(world, &event).await;
        world.invoked();
        match (outcome, retry) {
            (Ok(_), _) | (Err(_), None) => return,
            (Err(_), Some(wait)) => world.time.sleep(wait).await,
        }
    }
}

/// The state machine of one deployment: pauses at its gate until it is woken or looks by itself,
/// then turns until the rollback is over.
async fn execution(world: &StormWorld, deployment: DeploymentId, tick: Timestamp) {
    world.gate(deployment.as_str(), tick).await;
    let error = Some(CaughtError {
        name: FailureCode::AlarmFired.name().to_owned(),
        cause: Some("threshold crossed".to_owned()),
    });
    let input = RollbackInput {
        deployment,
        error,
        by: None,
        force: false,
        woken: false,
        execution_start: None,
    };
    let mut failed = 0;
    while world.time.now() < START + END && failed <= RETRIES {
        let turned = if world.invoke() {
            world.time.sleep(OVERHEAD).await;
            let turned = rollback::run(world, &input).await;
            world.invoked();
            turned
        } else {
            Err(Failure::new(FailureCode::Transient, "Lambda.TooManyRequestsException"))
        };
        match turned {
            Ok(reply) if reply.next == NextStep::Rollback => {
                failed = 0;
                world.time.sleep(Span::from_secs(reply.wait_seconds)).await;
            }
            Ok(_) => {
                world.state().tally.all_ended = world.time.now().since(START);
                return;
            }
            Err(_) => {
                let window = Span::from_secs(1 << failed.min(10)).min(LONGEST_RETRY);
                failed += 1;
                world.time.sleep(Span::from_millis(world.dice.up_to(window.as_millis()))).await;
            }
        }
        world.time.sleep(OVERHEAD).await;
    }
}

/// A forward shift: turns until it is made.
async fn forward(world: &StormWorld, deployment: DeploymentId, delay: Span) {
    world.time.sleep(delay).await;
    let input = StepInput { deployment };
    while world.time.now() < START + END {
        let wait = match advance::run(world, &input).await {
            Ok(reply) if reply.next == NextStep::Advance => Span::from_secs(reply.wait_seconds),
            Ok(_) => {
                world.state().tally.forward += 1;
                return;
            }
            Err(_) => Span::from_millis(world.dice.up_to(20_000)),
        };
        world.time.sleep(wait.plus(OVERHEAD)).await;
    }
}

/// A deployment that bakes at a service's weight, with its alarm bound.
fn baking(world: &StormWorld, index: usize, service: Service) -> Deployment {
    let mut deployment = settled(index, service.weight);
    // The looks of the last interval, one after the other.
    deployment.health.at = START - Span::from_millis(world.dice.up_to(60_000));
    let written = actions_of(index, service.weight);
    deployment.progress.step = Step::Baking { since: deployment.started_at, promoted: None };
    deployment.progress.shifted_at = Some(deployment.started_at);
    deployment.progress.verified = vec![written];
    deployment.traffic = service.known_traffic();
    let tick = Tick { redrive_count: 0, entered_at: START, retry_count: 0 };
    let token = TaskToken::new(deployment.id.as_str());
    deployment.gate = Some(Gate { tick, token });
    put(world, deployment, Owner::Rollback(index), service.weight)
}

/// A deployment whose tasks are healthy and whose first shift is due.
fn settling(world: &StormWorld, index: usize) -> Deployment {
    let deployment = settled(index, Weight::ALL);
    put(world, deployment, Owner::Forward, Weight::NONE)
}

fn settled(index: usize, weight: Weight) -> Deployment {
    let plan = plan_of(index, weight);
    let now = START - Span::from_secs(600);
    Deployment {
        id: DeploymentId::new(format!("d{index}")),
        execution: glidepath_core::ids::ExecutionArn::new(format!("execution:d{index}")),
        execution_start: None,
        revision: Revision::default(),
        phase: Phase::Open,
        fence: None,
        intents: std::collections::BTreeMap::new(),
        started_at: now,
        progress: Progress::at_start(&plan, now),
        traffic: None,
        health: RecordedHealth {
            healthy: TASKS,
            at: START,
            fresh_for: plan.health.interval.times(2),
        },
        gate: None,
        alarms: plan.health.alarms.binding().cloned().collect(),
        warnings: Vec::new(),
        notices: 0,
        next_due_at: START + Span::from_secs(180),
        epochs: None,
        validating: None,
        freeze: None,
        drift: Vec::new(),
        plan,
    }
}

/// Into the registry, with locks and bindings, and its route into the world.
fn put(world: &StormWorld, deployment: Deployment, owner: Owner, weight: Weight) -> Deployment {
    let locks: Vec<_> = LockKey::of(&deployment.plan).into_iter().map(Lock::untaken).collect();
    let index = deployment.id.as_str().trim_start_matches('d').parse().unwrap_or_default();
    let routed = Routed { owner, actions: actions_of(index, weight) };
    world.state().routes.insert(deployment.plan.routes[0].route.clone(), routed);
    let begun = world.registry.items().commit(begin(&deployment, &locks));
    assert!(begun.is_some(), "`{}` could not begin", deployment.id);
    deployment
}

fn plan_of(index: usize, weight: Weight) -> Plan {
    let minutes = Span::from_secs(600);
    let mut plan = plan(vec![stage(weight.permille(), minutes), stage(1000, minutes)]);
    plan.capacity = CanaryCapacity::Full;
    plan.stable.service = EcsServiceName::new(format!("service{index}-blue"));
    plan.canary.service = EcsServiceName::new(format!("service{index}-green"));
    plan.health.alarms.canary =
        vec![AlarmArn::new(format!("arn:aws:cloudwatch:x:1:alarm:{index}"))];
    plan.health.alarms.stable.clear();
    let route = &mut plan.routes[0];
    route.route = RouteRef::Rule(format!("rule{index}"));
    route.pair = RolePair { stable: group(index, Slot::Blue), canary: group(index, Slot::Green) };
    route.original = actions_of(index, Weight::NONE);
    plan
}

fn group(index: usize, slot: Slot) -> TargetGroupArn {
    TargetGroupArn::new(format!("targetgroup/{slot}{index}/1"))
}

/// The example's actions with the groups of this service.
fn actions_of(index: usize, green: Weight) -> glidepath_core::route::RouteActions {
    use glidepath_core::route::{ActionKind, Forward};
    let mut written = actions(green);
    for action in &mut written.0 {
        if let ActionKind::Forward(forward) = &mut action.kind {
            let mut groups = forward.groups().to_vec();
            for (entry, slot) in groups.iter_mut().zip([Slot::Blue, Slot::Green]) {
                entry.group = group(index, slot);
            }
            *forward = Forward::new(groups, forward.stickiness());
        }
    }
    written
}
