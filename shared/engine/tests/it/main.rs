//! The use cases against a world in memory.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod approval;
mod attach;
mod bakes;
mod budgets;
mod capacity;
mod clicks;
mod digests;
mod faults;
mod forecast;
mod foreign;
mod freezes;
mod images;
mod kept;
mod notify;
mod overwritten;
mod page;
mod pager;
mod pause;
mod planning;
mod promote;
mod quarantine;
mod races;
mod rehearsed;
mod rollback;
mod scaling;
mod shop;
mod started;
mod starting;
mod storm;
mod success;
mod telemetry;
mod unreadable;
mod upgrade;
mod validated;
mod weak;
mod windows;

use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::Plan;
use glidepath_core::protocol::NextStep;
use glidepath_core::record::Deployment;
use glidepath_core::time::Span;
use glidepath_engine::ports::Clock;
use glidepath_engine::testing::example::{begun, plan, stage};
use glidepath_engine::testing::{Bed, Machine, MemoryRegistry, World};

/// A deployment that bakes at 10 % for so long, paused at its gate; nothing was called yet.
async fn baking<'a>(registry: &'a MemoryRegistry, world: &'a World, bake: Span) -> Machine<'a> {
    let stages = vec![stage(100, bake), stage(1000, Span::from_secs(60))];
    let deployment = begun(registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    world.take_calls();
    machine.bed.take_operations();
    machine
}

/// A deployment of this plan, of which nothing has happened yet.
async fn carried<'a>(registry: &'a MemoryRegistry, world: &'a World, plan: Plan) -> Machine<'a> {
    let deployment = begun(registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(registry, world), &deployment.id)
}

/// So much time, or until its end.
async fn passes(machine: &mut Machine<'_>, world: &World, span: Span) {
    let until = world.now() + span;
    drop(machine.run_until(|_| world.now() > until).await);
}

/// Its record.
fn kept(registry: &MemoryRegistry) -> Deployment {
    registry.items().deployments[&DeploymentId::new("d1")].clone()
}

/// The names of what was told of it.
fn told(registry: &MemoryRegistry) -> Vec<&'static str> {
    registry.items().notices.iter().map(|entry| entry.notice.event.name()).collect()
}
