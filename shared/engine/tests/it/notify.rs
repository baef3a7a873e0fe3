//! The outbox: order, channels that are down, channels that refuse.

use glidepath_core::ids::ChannelName;
use glidepath_core::record::{Deployment, Event, Undelivered};
use glidepath_core::time::Span;
use glidepath_engine::ports::{Clock, Registry};
use glidepath_engine::testing::example::{begun, plan, requests, stage, world};
use glidepath_engine::testing::{Bed, Call, Fault, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, notify, sweep};

const MINUTE: Span = Span::from_secs(60);

fn team() -> ChannelName {
    ChannelName::new("team")
}

fn night() -> ChannelName {
    ChannelName::new("night")
}

/// A deployment that has ended, whose notices nobody has been handed.
async fn ended(registry: &MemoryRegistry, world: &World) -> Deployment {
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.notify = vec![team(), night()];
    let deployment = begun(registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(registry, world), &deployment.id).run().await.unwrap();
    world.take_calls();
    deployment
}

async fn deliver(
    registry: &MemoryRegistry,
    world: &World,
    deployment: &Deployment,
) -> Result<notify::Delivered, glidepath_core::failure::Failure> {
    let input = StepInput { deployment: deployment.id.clone() };
    notify::run(&Bed::new(registry, world), &input).await
}

/// What a channel has taken, in order.
fn taken(calls: &[Call], by: &ChannelName) -> Vec<&'static str> {
    let notices = calls.iter().filter_map(|call| match call {
        Call::Deliver(channel, notice) if channel == by => Some(notice.event.name()),
        _ => None,
    });
    notices.collect()
}

async fn told(registry: &MemoryRegistry, deployment: &Deployment) -> Vec<Undelivered> {
    let notices = registry.notices(&deployment.id).await.unwrap();
    let told = notices.iter().filter_map(|entry| match &entry.notice.event {
        Event::Undelivered { how, .. } => Some(*how),
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn a_notice_refused_for_good_keeps_nothing_back_and_somebody_is_told() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = ended(&registry, &world).await;
    world.state().refusing.insert(team(), Some(1));
    let delivered = deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!(delivered.refused, 1);
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &team()), ["shifted", "succeeded", "undelivered"]);
    assert_eq!(taken(&calls, &night()), ["started", "shifted", "succeeded", "undelivered"]);
    // Nothing is left to do: the sweep would invoke it every minute otherwise.
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    assert_eq!(world.take_calls(), []);
}

#[tokio::test]
async fn a_channel_that_refuses_everything_is_told_of_once() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = ended(&registry, &world).await;
    world.state().refusing.insert(team(), None);
    deliver(&registry, &world, &deployment).await.unwrap();
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!(told(&registry, &deployment).await, [Undelivered::Refused]);
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &team()), [] as [&str; 0]);
    assert_eq!(taken(&calls, &night()).last(), Some(&"undelivered"));
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    assert_eq!(world.take_calls(), []);
}

#[tokio::test]
async fn a_channel_that_is_down_keeps_its_order_and_delays_only_its_own() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = ended(&registry, &world).await;
    world.state().down.insert(team());
    world.pass(MINUTE);
    assert!(deliver(&registry, &world, &deployment).await.is_err());
    assert_eq!(taken(&world.take_calls(), &night()), ["started", "shifted", "succeeded"]);
    assert_eq!(told(&registry, &deployment).await, [], "it may only be slow");

    world.pass(MINUTE.times(10));
    assert!(deliver(&registry, &world, &deployment).await.is_err());
    // Nobody asks it again at once; later it is asked, and is down still.
    assert_eq!(deliver(&registry, &world, &deployment).await.unwrap().deliveries, 0);
    world.pass(MINUTE);
    assert!(deliver(&registry, &world, &deployment).await.is_err());
    assert_eq!(taken(&world.take_calls(), &night()), ["undelivered"]);
    assert_eq!(told(&registry, &deployment).await, [Undelivered::Waits]);

    world.state().down.clear();
    world.pass(MINUTE);
    deliver(&registry, &world, &deployment).await.unwrap();
    let all = ["started", "shifted", "succeeded", "undelivered"];
    assert_eq!(taken(&world.take_calls(), &team()), all);
}

/// Which notices came with what was counted, and the calls of the delivery, of which one may go wrong.
async fn counted(
    fault: Option<(usize, Fault)>,
) -> (Vec<(ChannelName, &'static str)>, Vec<&'static str>) {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().requests = Some(requests(1_000, 300));
    let mut plan = plan(vec![stage(50, MINUTE), stage(1000, MINUTE)]);
    plan.notify = vec![team(), night()];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap_err();
    let bed = Bed::with_fault(&registry, &world, fault);
    notify::run(&bed, &StepInput { deployment: deployment.id.clone() }).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &team()).last(), Some(&"rolledBack"));
    (world.state().counted.clone(), bed.take_operations())
}

#[tokio::test]
async fn only_the_end_is_told_with_what_was_counted_and_without_it_all_the_same() {
    let (told, calls) = counted(None).await;
    assert_eq!(told, [team(), night()].map(|channel| (channel, "rolledBack")));
    let reads: Vec<_> =
        calls.iter().enumerate().filter(|(_, call)| **call == "stored_cells").collect();
    let [(read, _)] = reads[..] else { panic!("once for all channels: {calls:?}") };
    assert_eq!(counted(Some((read, Fault::LostBefore))).await.0, []);
}
