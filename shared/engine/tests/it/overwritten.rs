//! A rollback overwrites somebody else's change and says so, without a read before its write.

use std::sync::Mutex;

use glidepath_core::plan::Slot;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, FenceTrigger};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, FoundRoute, LoadBalancer, PortResult};
use glidepath_engine::rollback::{self, AlarmEvent, RollbackInput, on_alarm};
use glidepath_engine::testing::example::{actions, alarm, begun, group, plan, route, stage, world};
use glidepath_engine::testing::{Bed, Between, Machine, MemoryRegistry, World};

const MINUTE: Span = Span::from_secs(60);

/// When a read beside a write looks at the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// Before the write takes effect.
    Before,
    /// After it.
    After,
    /// After it, and somebody has changed the route once more in between.
    AfterTheyCameAgain,
    /// It gets no answer.
    Never,
}

/// A load balancer on which writes take some time.
struct Slow {
    reads: Reads,
    theirs: Mutex<Option<RouteActions>>,
}

impl Between for Slow {
    async fn routes(&self, world: &World, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        match self.reads {
            Reads::Before => {}
            Reads::After | Reads::AfterTheyCameAgain => {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            }
            Reads::Never => std::future::pending::<()>().await,
        }
        let theirs = self.theirs.lock().unwrap().take();
        if let (Reads::AfterTheyCameAgain, Some(theirs)) = (self.reads, theirs) {
            world.state().routes.insert(route(), theirs);
        }
        world.routes(routes).await
    }

    async fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> PortResult<()> {
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        world.write_route(route, actions).await
    }

    async fn sleep(&self, world: &World, span: Span) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        world.sleep(span).await;
    }
}

fn permille(permille: u16) -> Weight {
    Weight::from_permille(permille).unwrap()
}

/// A deployment at 10 %, where somebody has set this since the last look.
async fn changed<'a>(
    registry: &'a MemoryRegistry,
    world: &'a World,
    theirs: Option<Weight>,
) -> Machine<'a> {
    let stages = vec![stage(100, MINUTE.times(10)), stage(1000, MINUTE)];
    let deployment = begun(registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    if let Some(theirs) = theirs {
        world.state().routes.insert(route(), actions(theirs));
    }
    machine
}

async fn fire(registry: &MemoryRegistry, world: &World, reads: Reads) {
    let theirs = Mutex::new(Some(actions(permille(400))));
    let slow = Slow { reads, theirs };
    let reason = "threshold crossed".to_owned();
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason };
    let outcome = on_alarm(&Bed::behind(registry, world, &slow), &event).await.unwrap();
    assert_eq!(outcome.restored.len(), 1);
}

/// What was told of somebody else's change whenever traffic was restored.
fn told(registry: &MemoryRegistry) -> Vec<Option<String>> {
    let items = registry.items();
    let events = items.notices.iter().map(|entry| entry.notice.event.clone());
    events
        .filter_map(|event| match event {
            Event::TrafficRestored { overwritten, .. } => Some(overwritten),
            _ => None,
        })
        .collect()
}

fn says(told: Option<&Option<String>>, share: &str) -> bool {
    told.is_some_and(|told| told.as_ref().is_some_and(|found| found.contains(share)))
}

#[tokio::test]
async fn a_change_that_nobody_had_noticed_is_told() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = changed(&registry, &world, Some(permille(400))).await;
    fire(&registry, &world, Reads::Before).await;
    let told = told(&registry);
    assert!(told.len() == 1 && says(told.first(), "canary at 40 %"), "{told:?}");
    assert!(says(told.first(), "had left canary at 10 %"), "{told:?}");
    machine.reply.next = NextStep::Rollback;
    machine.run().await.unwrap_err();
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

#[tokio::test]
async fn the_weight_of_a_stage_that_had_not_come_is_somebody_elses() {
    let (registry, world) = (MemoryRegistry::default(), world());
    changed(&registry, &world, Some(Weight::ALL)).await;
    fire(&registry, &world, Reads::Before).await;
    assert!(says(told(&registry).first(), "canary at 100 %"), "{:?}", told(&registry));
}

#[tokio::test]
async fn what_is_ours_or_was_not_seen_is_not_told() {
    for (theirs, reads) in [
        (None, Reads::Before),
        (None, Reads::After),
        // Its own write was faster: nobody can know any more.
        (Some(permille(400)), Reads::After),
        (Some(permille(400)), Reads::Never),
    ] {
        let (registry, world) = (MemoryRegistry::default(), world());
        changed(&registry, &world, theirs).await;
        fire(&registry, &world, reads).await;
        assert_eq!(told(&registry), [None], "{theirs:?} {reads:?}");
        assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    }
}

#[tokio::test]
async fn a_change_that_came_after_the_write_is_told_once_it_is_overwritten() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = changed(&registry, &world, None).await;
    fire(&registry, &world, Reads::AfterTheyCameAgain).await;
    assert_eq!(told(&registry), [None], "it is not overwritten yet");
    assert_eq!(world.state().routes[&route()], actions(permille(400)));
    machine.reply.next = NextStep::Rollback;
    machine.run().await.unwrap_err();
    let told = told(&registry);
    assert!(told.len() == 2 && says(told.last(), "canary at 40 %"), "{told:?}");
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

#[tokio::test]
async fn a_change_that_was_taken_back_is_not_told() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = changed(&registry, &world, Some(permille(400))).await;
    // The deployment holds for it, and then somebody puts the route right.
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    machine.step(None).await;
    world.state().routes.insert(route(), actions(permille(100)));
    fire(&registry, &world, Reads::Before).await;
    assert_eq!(told(&registry), [None]);
}

#[tokio::test]
async fn a_change_for_which_it_held_is_told_even_if_stable_was_too_weak_first() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = changed(&registry, &world, Some(permille(700))).await;
    machine.step(None).await;
    machine.step(None).await;
    world.pass(MINUTE.times(10));
    world.state().weak.insert(group(Slot::Blue), 1);
    let id = machine.reply.deployment.clone();
    let by = Some(FenceTrigger::Sweep);
    let input = RollbackInput {
        deployment: id,
        error: None,
        by,
        force: false,
        woken: false,
        execution_start: None,
    };
    rollback::run(&Bed::new(&registry, &world), &input).await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(permille(667)));
    assert_eq!(told(&registry), []);
    world.state().weak.clear();
    machine.reply.next = NextStep::Rollback;
    machine.run().await.unwrap_err();
    let told = told(&registry);
    assert!(told.len() == 1 && says(told.first(), "canary at 70 %"), "{told:?}");
}
