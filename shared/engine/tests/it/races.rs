//! A fence that closes between the claim of a write and its record.

use std::sync::atomic::{AtomicBool, Ordering};

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{IntentId, TargetGroupArn};
use glidepath_core::plan::{RoutePlan, Slot};
use glidepath_core::protocol::{NextStep, Reply};
use glidepath_core::record::{Deployment, Event, Intent, Outcome, Phase, Purpose};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{
    Clock, FoundRoute, LoadBalancer, OutboxEntry, PortResult, Registry, TargetHealth,
};
use glidepath_engine::rollback::{AlarmEvent, RollbackInput, on_alarm};
use glidepath_engine::testing::example::{self, actions, alarm, begun, plan, route, stage, world};
use glidepath_engine::testing::{Bed, Between, Call, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, advance, complete, rollback};

const MINUTE: Span = Span::from_secs(60);

/// A load balancer in front of which an alarm closes its fence once, right before or right after
/// the write that it stands for.
struct Racing<'a> {
    registry: &'a MemoryRegistry,
    before: bool,
    raced: AtomicBool,
}

impl Racing<'_> {
    /// The fence closes, and the rollback dies before it writes.
    async fn race(&self, world: &World) {
        if self.raced.swap(true, Ordering::SeqCst) {
            return;
        }
        let intent = Intent::new(Purpose::Restore, world.now(), MINUTE);
        let id = IntentId::new("the-rollback-that-died");
        let (alarm, now) = (alarm(Slot::Green), world.now());
        self.registry.fence_alarm(&alarm, now, &id, &intent).await.unwrap();
    }
}

impl Between for Racing<'_> {
    async fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> PortResult<()> {
        if self.before {
            self.race(world).await;
        }
        let written = world.write_route(route, actions).await;
        if !self.before {
            self.race(world).await;
        }
        written
    }
}

#[tokio::test]
async fn a_shift_that_crosses_a_fence_takes_itself_back() {
    for before in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let stages = vec![stage(100, MINUTE), stage(1000, MINUTE)];
        let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
        let input = StepInput { deployment: deployment.id.clone() };
        advance::run(&Bed::new(&registry, &world), &input).await.unwrap();

        let racing = Racing { registry: &registry, before, raced: false.into() };
        let bed = Bed::behind(&registry, &world, &racing);
        let failure = advance::run(&bed, &input).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::AlarmFired);
        assert_eq!(world.state().routes[&route()], actions(Weight::NONE), "before: {before}");
        let written: Vec<_> = world
            .take_calls()
            .into_iter()
            .filter_map(|call| match call {
                Call::WriteRoute(_, actions) => Some(actions),
                _ => None,
            })
            .collect();
        let tenth = Weight::from_permille(100).unwrap();
        assert_eq!(written, [actions(tenth), actions(Weight::NONE)]);

        // The rest of the rollback waits until the one that died cannot write any more.
        let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
        machine.step(Some(failure)).await;
        machine.run().await.unwrap_err();
        assert!(registry.items().locks.values().all(|lock| lock.holder.is_none()));
        assert_eq!(world.state().services[&example::service(Slot::Green)].desired_count, 0);
    }
}

#[tokio::test]
async fn a_commit_that_crosses_a_fence_does_not_happen() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Complete).await.unwrap();
    let racing = Racing { registry: &registry, before: true, raced: false.into() };
    racing.race(&world).await;
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    assert_eq!(world.state().services[&example::service(Slot::Blue)].desired_count, 3);
}

/// A load balancer that is looked at while another rollback comes, looks and holds.
struct Overtaken<'a> {
    registry: &'a MemoryRegistry,
    /// Right afterwards stable is healthy again.
    heals: bool,
}

impl Between for Overtaken<'_> {
    async fn target_health(
        &self,
        world: &World,
        group: &TargetGroupArn,
    ) -> PortResult<TargetHealth> {
        let (alarm, at) = (alarm(Slot::Green), world.now());
        let event = AlarmEvent { alarm, at, reason: "threshold crossed".to_owned() };
        let outcome = on_alarm(&Bed::new(self.registry, world), &event).await;
        assert_eq!(outcome.unwrap().held.len(), 1);
        if self.heals {
            world.state().sick.clear();
        }
        world.target_health(group).await
    }
}

/// A rollback of a deployment whose stable slot is sick, overtaken by another one.
async fn overtaken(registry: &MemoryRegistry, world: &World, heals: bool) -> (Reply, Deployment) {
    let deployment = begun(registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    world.state().sick.insert(example::group(Slot::Blue));
    // The recorded health is too old to rely on.
    world.pass(MINUTE.times(10));
    let overtaken = Overtaken { registry, heals };
    let input = RollbackInput {
        deployment: deployment.id.clone(),
        error: None,
        by: None,
        force: false,
        woken: false,
        execution_start: None,
    };
    let bed = Bed::behind(registry, world, &overtaken);
    let reply = rollback::run(&bed, &input).await.unwrap();
    (reply, registry.items().deployments[&deployment.id].clone())
}

#[tokio::test]
async fn two_rollbacks_that_find_stable_sick_at_once_both_hold() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let (reply, held) = overtaken(&registry, &world, false).await;
    assert_eq!((reply.next, held.phase), (NextStep::Rollback, Phase::Held));
    assert!(held.intents.is_empty(), "an intent is left that nobody will write");
    let pages = |entry: &&OutboxEntry| entry.notice.event == Event::RollbackHeld;
    assert_eq!(registry.items().notices.iter().filter(pages).count(), 1);
}

#[tokio::test]
async fn a_rollback_that_writes_while_another_one_holds_goes_on() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let (_, ended) = overtaken(&registry, &world, true).await;
    assert!(ended.progress.restored_at.is_some());
    assert_eq!(ended.phase, Phase::Closed(Outcome::RolledBack));
    assert!(registry.items().locks.values().all(|lock| lock.holder.is_none()));
}

/// A load balancer whose routes are read right after an alarm's rollback has written them.
struct Returned<'a> {
    registry: &'a MemoryRegistry,
}

impl Between for Returned<'_> {
    async fn routes(&self, world: &World, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        let (alarm, at) = (alarm(Slot::Green), world.now());
        let intent = Intent::new(Purpose::Restore, at, MINUTE);
        let id = IntentId::new("the-rollback-that-has-not-recorded-it");
        self.registry.fence_alarm(&alarm, at, &id, &intent).await.unwrap();
        world.write_route(&route(), &actions(Weight::NONE)).await.unwrap();
        world.routes(routes).await
    }
}

#[tokio::test]
async fn a_commit_that_an_alarm_overtakes_accuses_nobody() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Complete).await.unwrap();
    let returned = Returned { registry: &registry };
    let bed = Bed::behind(&registry, &world, &returned);
    let failure = complete::run(&bed, &deployment.id).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired, "{}", failure.cause);
}

#[tokio::test]
async fn a_stage_that_has_settled_too_long_accuses_nobody_of_what_an_alarm_has_written() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let stages = vec![stage(100, MINUTE), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    let second = |reply: &Reply| {
        let stage = registry.items().deployments[&deployment.id].progress.stage;
        reply.next == NextStep::Advance && stage.0 == 1
    };
    machine.run_until(second).await.unwrap();
    world.pass(deployment.plan.settle_within.times(2));
    let returned = Returned { registry: &registry };
    let bed = Bed::behind(&registry, &world, &returned);
    let input = StepInput { deployment: deployment.id.clone() };
    let late = advance::run(&bed, &input).await;
    let failure = late.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired, "{}", failure.cause);
}

/// A load balancer with two routes, one of which an alarm's rollback writes right before a shift does, and
/// the other one right after it.
struct Straddled<'a> {
    registry: &'a MemoryRegistry,
    second: RouteRef,
}

impl Between for Straddled<'_> {
    async fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        written: &RouteActions,
    ) -> PortResult<()> {
        let intent = Intent::new(Purpose::Restore, world.now(), MINUTE);
        let id = IntentId::new("the-rollback-that-has-written-both");
        self.registry.fence_alarm(&alarm(Slot::Green), world.now(), &id, &intent).await?;
        world.write_route(route, written).await?;
        if *route == self.second {
            world.write_route(route, &actions(Weight::NONE)).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_shift_of_two_routes_that_a_rollback_writes_between_takes_itself_back() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let second = RouteRef::Rule(format!("{}5", route().arn()));
    let mut two = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    two.routes.push(RoutePlan { route: second.clone(), ..two.routes[0].clone() });
    world.state().routes.insert(second.clone(), actions(Weight::NONE));
    let deployment = begun(&registry, two, "d1", world.now()).await;
    let input = StepInput { deployment: deployment.id.clone() };
    advance::run(&Bed::new(&registry, &world), &input).await.unwrap();

    // What takes it back writes the second route last, too.
    let straddled = Straddled { registry: &registry, second: second.clone() };
    let bed = Bed::behind(&registry, &world, &straddled);
    let failure = advance::run(&bed, &input).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::AlarmFired, "{}", failure.cause);
    for route in [route(), second] {
        assert_eq!(world.state().routes[&route], actions(Weight::NONE), "{route}");
    }
}
