//! A channel that rings somebody: an alert for pages and one for the rest, their ends, and nothing that overtakes anything.

use std::collections::BTreeMap;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::ChannelName;
use glidepath_core::message::alert::{Action, Key};
use glidepath_core::plan::StageIndex;
use glidepath_core::protocol::tell;
use glidepath_core::record::{Deployment, Event, Promotion};
use glidepath_core::time::Span;
use glidepath_core::urgency::{ByUrgency, Listening, Manner, Urgency};
use glidepath_engine::ports::{Clock, Delivery, DeliveryClaim, Registry};
use glidepath_engine::testing::example::{begun, plan, stage, world};
use glidepath_engine::testing::{Bed, Call, MemoryRegistry, World};
use glidepath_engine::{StepInput, notify, sweep};

const MINUTE: Span = Span::from_secs(60);

fn pager() -> ChannelName {
    ChannelName::new("pager")
}

fn team() -> ChannelName {
    ChannelName::new("team")
}

/// What is critical goes to the pager, the rest to the team.
async fn deployment(registry: &MemoryRegistry, world: &World) -> Deployment {
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.notify = vec![pager(), team()];
    plan.notify_by =
        Some(ByUrgency { page: vec![pager()], attention: vec![team()], information: vec![team()] });
    let listening = Listening { from: Urgency::Information, manner: Manner::Rings };
    world.state().listening = BTreeMap::from([(pager(), listening)]);
    let deployment = begun(registry, plan, "d1", world.now()).await;
    deliver(registry, world).await.unwrap();
    world.take_calls();
    deployment
}

async fn happens(registry: &MemoryRegistry, world: &World, event: Event) {
    let id = glidepath_core::ids::DeploymentId::new("d1");
    let known = registry.deployment(&id).await.unwrap().unwrap();
    let (_, writes) = tell(&known, event, world.now());
    registry.commit(writes).await.unwrap();
}

async fn deliver(registry: &MemoryRegistry, world: &World) -> Result<notify::Delivered, Failure> {
    let deployment = glidepath_core::ids::DeploymentId::new("d1");
    notify::run(&Bed::new(registry, world), &StepInput { deployment }).await
}

fn taken(calls: &[Call], by: &ChannelName) -> Vec<&'static str> {
    let notices = calls.iter().filter_map(|call| match call {
        Call::Deliver(channel, notice) if channel == by => Some(notice.event.name()),
        _ => None,
    });
    notices.collect()
}

fn rolled_back() -> Event {
    Event::RolledBack { failure: Failure::new(FailureCode::AlarmFired, "5xx") }
}

#[tokio::test]
async fn what_is_critical_rings_until_the_end_and_the_team_hears_the_rest() {
    let (registry, world) = (MemoryRegistry::default(), world());
    deployment(&registry, &world).await;
    for event in [Event::RollbackHeld, Event::RetirementPostponed, rolled_back()] {
        happens(&registry, &world, event).await;
    }
    deliver(&registry, &world).await.unwrap();
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &pager()), ["rollbackHeld", "rolledBack"]);
    assert_eq!(taken(&calls, &team()), ["retirementPostponed", "rolledBack"]);
    // Nobody has anything left, so that the sweep invokes nobody.
    deliver(&registry, &world).await.unwrap();
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    assert_eq!(world.take_calls(), []);
}

/// The pager hears of everything that rings.
async fn ringing(registry: &MemoryRegistry, world: &World) {
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.notify = vec![pager()];
    let listening = Listening { from: Urgency::Information, manner: Manner::Rings };
    world.state().listening = BTreeMap::from([(pager(), listening)]);
    begun(registry, plan, "d1", world.now()).await;
}

fn done(world: &World) -> Vec<(Action, Key)> {
    let rung = std::mem::take(&mut world.state().rung);
    rung.into_iter().map(|(_, done)| done).collect()
}

fn held() -> Event {
    Event::StageHeld { stage: StageIndex(0), reasons: Vec::new(), against: Vec::new() }
}

fn promoted(world: &World) -> Event {
    let promotion = Promotion {
        by: "arn:ada".to_owned(),
        at: world.now(),
        reason: "a quiet night".to_owned(),
        skips_bake: false,
    };
    Event::Promoted { stage: StageIndex(0), promotion }
}

/// PagerDuty rings nobody for an alert that is triggered again after somebody has acknowledged it.
#[tokio::test]
async fn a_page_rings_whatever_a_person_has_decided_before() {
    let (registry, world) = (MemoryRegistry::default(), world());
    ringing(&registry, &world).await;
    let promoted = promoted(&world);
    for event in [held(), promoted, Event::RollbackHeld, rolled_back()] {
        happens(&registry, &world, event).await;
    }
    deliver(&registry, &world).await.unwrap();
    let expected = [
        (Action::Trigger, Key::Attention),
        (Action::Resolve, Key::Attention),
        (Action::Trigger, Key::Page),
        (Action::Resolve, Key::Page),
    ];
    assert_eq!(done(&world), expected);
}

#[tokio::test]
async fn what_is_still_open_at_the_end_is_resolved_and_nothing_else() {
    let (registry, world) = (MemoryRegistry::default(), world());
    ringing(&registry, &world).await;
    let foreign = Event::ForeignChange { found: "blue 700".to_owned() };
    for event in [held(), foreign, Event::RollbackHeld] {
        happens(&registry, &world, event).await;
    }
    // The stage goes on; somebody else's weights still hold the deployment.
    happens(&registry, &world, Event::Shifted { stage: StageIndex(0) }).await;
    deliver(&registry, &world).await.unwrap();
    let trigger = |key| (Action::Trigger, key);
    let expected = [trigger(Key::Attention), trigger(Key::Attention), trigger(Key::Page)];
    assert_eq!(done(&world), expected);
    happens(&registry, &world, Event::RouteInOrder { lasted: MINUTE }).await;
    deliver(&registry, &world).await.unwrap();
    assert_eq!(done(&world), [(Action::Resolve, Key::Attention)]);
    happens(&registry, &world, rolled_back()).await;
    deliver(&registry, &world).await.unwrap();
    assert_eq!(done(&world), [(Action::Resolve, Key::Page)]);
}

#[tokio::test]
async fn an_alert_that_was_refused_is_not_ended_and_the_other_one_is() {
    let (registry, world) = (MemoryRegistry::default(), world());
    ringing(&registry, &world).await;
    deliver(&registry, &world).await.unwrap();
    world.state().refusing.insert(pager(), None);
    happens(&registry, &world, held()).await;
    deliver(&registry, &world).await.unwrap();
    world.state().refusing.clear();
    happens(&registry, &world, Event::RollbackHeld).await;
    happens(&registry, &world, rolled_back()).await;
    deliver(&registry, &world).await.unwrap();
    assert_eq!(done(&world), [(Action::Trigger, Key::Page), (Action::Resolve, Key::Page)]);
}

#[tokio::test]
async fn where_nothing_rang_there_is_nothing_to_end() {
    let (registry, world) = (MemoryRegistry::default(), world());
    deployment(&registry, &world).await;
    happens(&registry, &world, rolled_back()).await;
    deliver(&registry, &world).await.unwrap();
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &pager()), [] as [&str; 0]);
    assert_eq!(taken(&calls, &team()), ["rolledBack"]);
}

#[tokio::test]
async fn the_end_waits_for_an_alert_that_was_not_taken_yet() {
    let (registry, world) = (MemoryRegistry::default(), world());
    deployment(&registry, &world).await;
    world.state().down.insert(pager());
    happens(&registry, &world, Event::RollbackHeld).await;
    happens(&registry, &world, rolled_back()).await;
    assert!(deliver(&registry, &world).await.is_err());
    assert_eq!(taken(&world.take_calls(), &pager()), [] as [&str; 0]);
    world.state().down.clear();
    world.pass(MINUTE);
    deliver(&registry, &world).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &pager()), ["rollbackHeld", "rolledBack"]);
}

#[tokio::test]
async fn an_alert_that_is_refused_has_no_end_and_the_others_are_told_at_once() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = deployment(&registry, &world).await;
    world.state().refusing.insert(pager(), None);
    happens(&registry, &world, Event::RollbackHeld).await;
    deliver(&registry, &world).await.unwrap();
    happens(&registry, &world, rolled_back()).await;
    deliver(&registry, &world).await.unwrap();
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &team()), ["undelivered", "rolledBack"]);
    let outbox = registry.notices(&deployment.id).await.unwrap();
    let told = outbox.iter().find(|entry| entry.notice.event.name() == "undelivered").unwrap();
    assert_eq!(told.notice.event.urgency(), Urgency::Page, "a page was lost");
}

#[tokio::test]
async fn a_pager_that_is_down_is_told_of_within_a_minute() {
    let (registry, world) = (MemoryRegistry::default(), world());
    deployment(&registry, &world).await;
    world.state().down.insert(pager());
    happens(&registry, &world, Event::RollbackHeld).await;
    assert!(deliver(&registry, &world).await.is_err());
    assert_eq!(taken(&world.take_calls(), &team()), [] as [&str; 0]);
    world.pass(MINUTE);
    assert!(deliver(&registry, &world).await.is_err());
    assert_eq!(taken(&world.take_calls(), &team()), ["undelivered"]);
}

/// A late alert would ring after its end, with nobody to end it.
#[tokio::test]
async fn nobody_hands_over_what_somebody_else_may_still_hand_over() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = deployment(&registry, &world).await;
    happens(&registry, &world, Event::RollbackHeld).await;
    happens(&registry, &world, rolled_back()).await;
    let outbox = registry.notices(&deployment.id).await.unwrap();
    let alert = outbox.iter().find(|entry| entry.notice.event == Event::RollbackHeld).unwrap();
    let now = world.now();
    let claim = registry.claim_delivery(&alert.notice, &pager(), now, now + MINUTE).await.unwrap();
    assert_eq!(claim, DeliveryClaim::Claimed);
    deliver(&registry, &world).await.unwrap();
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &pager()), [] as [&str; 0], "not even what comes after it");
    assert_eq!(taken(&calls, &team()), ["rolledBack"], "who has nothing to do with it");
    // Whoever had it has died: after its time it is anybody's.
    world.pass(MINUTE);
    deliver(&registry, &world).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &pager()), ["rollbackHeld", "rolledBack"]);
    let again = registry.claim_delivery(&alert.notice, &pager(), now, now + MINUTE).await.unwrap();
    assert_eq!(again, DeliveryClaim::Done(Delivery::Taken));
}

#[tokio::test]
async fn a_channel_is_left_alone_for_as_long_as_it_asks() {
    let (registry, world) = (MemoryRegistry::default(), world());
    deployment(&registry, &world).await;
    world.state().down.insert(team());
    world.state().retry_after = Some(MINUTE);
    happens(&registry, &world, Event::RetirementPostponed).await;
    assert!(deliver(&registry, &world).await.is_err());
    world.state().down.clear();
    world.pass(Span::from_secs(59));
    deliver(&registry, &world).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &team()), [] as [&str; 0]);
    world.pass(Span::from_secs(1));
    deliver(&registry, &world).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &team()), ["retirementPostponed"]);
}

#[tokio::test]
async fn what_nobody_listens_to_is_done_with() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = deployment(&registry, &world).await;
    let deaf = Listening { from: Urgency::Page, manner: Manner::Tells };
    world.state().listening.insert(team(), deaf);
    happens(&registry, &world, Event::RetirementPostponed).await;
    deliver(&registry, &world).await.unwrap();
    assert_eq!(world.take_calls(), []);
    assert!(registry.notices(&deployment.id).await.unwrap().iter().all(|entry| !entry.due));
}
