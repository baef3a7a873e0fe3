//! While somebody else's weights are on a route, the bake's clock stands still, and what is measured
//! then counts for no stage.

use std::sync::atomic::{AtomicBool, Ordering};

use glidepath_core::failure::FailureCode;
use glidepath_core::health::{Period, SlotRequests, StoppedTask, TaskEnd};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, Purpose};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, FoundRoute, LoadBalancer, PortResult};
use glidepath_engine::testing::example::{actions, begun, plan, route, stage, world};
use glidepath_engine::testing::{Bed, Between, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, advance};

const MINUTE: Span = Span::from_secs(60);

/// Every minute of an hour from `start`: good, but for `bad` minutes in which the canary fails.
fn minutes(start: Timestamp, bad: std::ops::Range<u64>) -> Vec<Period> {
    let slot = |bad| SlotRequests { all: 1_000, bad, slow: None };
    let minute = |number| {
        let failed = if bad.contains(&number) { 900 } else { 0 };
        let from = start + MINUTE.times(number);
        Period { from, canary: slot(failed), stable: slot(0) }
    };
    (0..60).map(minute).collect()
}

/// Somebody sets the route to 50 % after three minutes and puts it back 20 minutes later; meanwhile the
/// canary fails `bad` minutes.
async fn meddled(
    machine: &mut Machine<'_>,
    world: &World,
    bad: std::ops::Range<u64>,
) -> (Timestamp, Timestamp) {
    let start = world.now();
    world.state().history = Some(Ok(minutes(start, 0..0)));
    let mine = world.state().routes[&route()].clone();
    pass(machine, world, 3).await;
    let from = world.now();
    let theirs = actions(Weight::from_permille(500).unwrap());
    world.state().routes.insert(route(), theirs);
    world.state().history = Some(Ok(minutes(start, bad)));
    pass(machine, world, 20).await;
    world.state().routes.insert(route(), mine);
    (from, world.now())
}

async fn pass(machine: &mut Machine<'_>, world: &World, minutes: u64) {
    let until = world.now() + MINUTE.times(minutes);
    let at_gate = |reply: &glidepath_core::protocol::Reply| {
        reply.next == NextStep::Gate && world.now() >= until
    };
    machine.run_until(at_gate).await.unwrap();
}

#[tokio::test]
async fn foreign_minutes_are_no_minutes_of_the_bake() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let begun = world.now();
    let mut machine = super::baking(&registry, &world, MINUTE.times(10)).await;
    let (from, back) = meddled(&mut machine, &world, 0..0).await;
    machine.run().await.unwrap();
    let items = registry.items();
    let second = items.notices.iter().find_map(|entry| match entry.notice.event {
        Event::Shifted { stage } if stage.0 == 1 => Some(entry.notice.at),
        _ => None,
    });
    let own = from.since(begun).plus(second.unwrap().since(back));
    assert!(own >= MINUTE.times(10), "it baked {own} at its own weight");
    assert!(back.since(from) >= MINUTE.times(20));
    let over = items.notices.iter().filter(|entry| entry.notice.event.name() == "routeInOrder");
    assert_eq!(over.count(), 1, "that it goes on is told");
}

#[tokio::test]
async fn what_is_measured_at_foreign_weights_counts_for_no_stage() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = super::baking(&registry, &world, MINUTE.times(10)).await;
    meddled(&mut machine, &world, 5..20).await;
    machine.run().await.unwrap();
}

#[tokio::test]
async fn what_is_measured_afterwards_counts_again() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = super::baking(&registry, &world, MINUTE.times(10)).await;
    meddled(&mut machine, &world, 30..33).await;
    assert_eq!(machine.run().await.unwrap_err().code, FailureCode::VerdictFailed);
}

#[tokio::test]
async fn tasks_that_stop_at_foreign_weights_count_for_no_stage_and_afterwards_they_do() {
    for (at, failed) in [(10, false), (30, true)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let start = world.now();
        let mut machine = super::baking(&registry, &world, MINUTE.times(10)).await;
        let stopped = |task: &str| StoppedTask {
            task: task.to_owned(),
            reason: "Essential container in task exited".to_owned(),
            at: start + MINUTE.times(at),
            end: TaskEnd::Exited,
        };
        world.state().stopped_tasks = vec![stopped("a"), stopped("b")];
        meddled(&mut machine, &world, 0..0).await;
        let ended = machine.run().await;
        assert_eq!(ended.is_err(), failed, "{at}: {ended:?}");
    }
}

/// Somebody who changes the route right after a shift was claimed, once.
struct Meddler<'a> {
    registry: &'a MemoryRegistry,
    came: AtomicBool,
}

impl Between for Meddler<'_> {
    async fn routes(&self, world: &World, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        let claimed = self.registry.items().deployments.values().any(|deployment| {
            let mut claims = deployment.intents.values();
            claims.any(|claim| matches!(claim.purpose, Purpose::Shift(_)))
        });
        if claimed && !self.came.swap(true, Ordering::SeqCst) {
            world.state().routes.insert(route(), theirs());
        }
        world.routes(routes).await
    }
}

fn theirs() -> RouteActions {
    actions(Weight::from_permille(500).unwrap())
}

#[tokio::test]
async fn a_change_between_the_look_and_the_claim_holds_and_is_not_overwritten() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(100, MINUTE)]), "d1", world.now()).await;
    let meddler = Meddler { registry: &registry, came: AtomicBool::new(false) };
    let bed = Bed::behind(&registry, &world, &meddler);
    let input = StepInput { deployment: deployment.id.clone() };
    let turn = async || {
        let reply = advance::run(&bed, &input).await.unwrap();
        world.pass(Span::from_secs(reply.wait_seconds.max(1)));
        reply
    };
    let mut reply = turn().await;
    for _ in 0..20 {
        if meddler.came.load(Ordering::SeqCst) {
            break;
        }
        reply = turn().await;
    }
    assert!(reply.summary.starts_with("holds: "), "{}", reply.summary);
    assert_eq!(world.state().routes[&route()], theirs());
    let told = registry.items().notices.last().unwrap().notice.event.clone();
    assert!(matches!(told, Event::ForeignChange { .. }), "{told:?}");
    assert!(registry.items().deployments[&deployment.id].intents.is_empty());

    world.state().routes.insert(route(), actions(Weight::NONE));
    assert_eq!(turn().await.next, NextStep::Gate, "it goes on once the route is as it was");
    assert_eq!(world.state().routes[&route()], actions(Weight::from_permille(100).unwrap()));
}
