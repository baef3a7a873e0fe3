//! The outbox: order, channels that are down, channels that refuse.

use std::collections::BTreeMap;
use std::sync::Mutex;

use glidepath_core::audit::{entry, json_lines};
use glidepath_core::ids::ChannelName;
use glidepath_core::plan::StageIndex;
use glidepath_core::protocol;
use glidepath_core::record::{Deployment, Event, Notice, Undelivered};
use glidepath_core::time::Span;
use glidepath_core::urgency::{ByUrgency, Listening, Manner, Urgency};
use glidepath_engine::ports::{Clock, Due, PortError, Registry};
use glidepath_engine::testing::example::{begun, plan, requests, stage, world};
use glidepath_engine::testing::{Bed, Between, Call, Fault, Machine, MemoryRegistry, World};
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

/// Which notices came with what was counted, which without because that could not be read, and the calls of the delivery,
/// of which one may go wrong.
async fn counted(fault: Option<(usize, Fault)>) -> ([Told; 2], Vec<&'static str>) {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().requests = Some(requests(1_000, 300));
    let mut plan = plan(vec![stage(50, MINUTE), stage(1000, MINUTE)]);
    plan.notify = vec![team(), night()];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    Machine::after_plan(Bed::new(&registry, &world), &deployment.id).run().await.unwrap_err();
    let bed = Bed::with_fault(&registry, &world, fault);
    notify::run(&bed, &StepInput { deployment: deployment.id.clone() }).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &team()).last(), Some(&"rolledBack"));
    let counted = world.state().counted.clone();
    let unread = world.state().unread.clone();
    ([counted, unread], bed.take_operations())
}

type Told = Vec<(ChannelName, &'static str)>;

#[tokio::test]
async fn only_the_end_is_told_with_what_was_counted_and_without_it_all_the_same() {
    let ends = [team(), night()].map(|channel| (channel, "rolledBack")).to_vec();
    let (told, calls) = counted(None).await;
    assert_eq!(told, [ends.clone(), Vec::new()]);
    let reads: Vec<_> =
        calls.iter().enumerate().filter(|(_, call)| **call == "stored_cells").collect();
    let [(read, _)] = reads[..] else { panic!("once for all channels: {calls:?}") };
    assert_eq!(counted(Some((read, Fault::LostBefore))).await.0, [Vec::new(), ends]);
}

/// Where a channel that edits had its message at each notice.
fn edited(world: &World) -> Vec<Option<String>> {
    let edited = world.state().edited.clone().into_iter();
    edited.filter(|(channel, _)| *channel == team()).map(|(_, at)| at.map(|at| at.0)).collect()
}

#[tokio::test]
async fn a_channel_with_one_message_for_a_deployment_is_told_where_it_is() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().editing.insert(team());
    let deployment = ended(&registry, &world).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    let first = Some("team/1".to_owned());
    assert_eq!(edited(&world), [None, first.clone(), first.clone()]);
    // It is kept, not only remembered; and what was posted anew counts from then on.
    world.state().edits_refused = true;
    world.state().edited.clear();
    for _ in 0..2 {
        let tell = Event::RouteInOrder { lasted: MINUTE };
        let current = registry.deployment(&deployment.id).await.unwrap().unwrap();
        registry.commit(protocol::tell(&current, tell, world.now()).1).await.unwrap();
        deliver(&registry, &world, &deployment).await.unwrap();
        world.state().edits_refused = false;
    }
    assert_eq!(edited(&world), [first, Some("team/4".to_owned())]);
}

/// A channel that has asked for patience is not asked, and what comes meanwhile waits behind what it has not taken.
#[tokio::test]
async fn a_page_behind_what_was_put_off_is_told_elsewhere_within_a_minute() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.notify = vec![team(), night()];
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    world.state().down.insert(team());
    world.state().retry_after = Some(MINUTE.times(15));
    assert!(deliver(&registry, &world, &deployment).await.is_err());
    world.state().down.clear();
    happens(&registry, &world, &deployment, Event::RollbackHeld).await;
    let second = Span::from_secs(1);
    for (passes, undelivered) in
        [(Span::ZERO, vec![]), (MINUTE.minus(second), vec![]), (second, vec![Undelivered::Waits])]
    {
        world.pass(passes);
        deliver(&registry, &world, &deployment).await.unwrap();
        assert_eq!(told(&registry, &deployment).await, undelivered);
    }
    deliver(&registry, &world, &deployment).await.unwrap();
    let outbox = registry.notices(&deployment.id).await.unwrap();
    assert_eq!(outbox.last().unwrap().notice.event.urgency(), Urgency::Page, "once, and loud");
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &night()), ["started", "rollbackHeld", "undelivered"]);
    assert_eq!(taken(&calls, &team()), [] as [&str; 0], "it is left alone, as it has asked");
    world.pass(MINUTE.times(14));
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!(taken(&world.take_calls(), &team()), ["started", "rollbackHeld", "undelivered"]);
}

/// After the n-th look at the timeline, another invocation does all that it can.
struct Beside<'a> {
    deployment: &'a Deployment,
    looks_left: Mutex<u32>,
}

impl Between for Beside<'_> {
    async fn timeline_read(&self, registry: &MemoryRegistry, world: &World) {
        let left = {
            let mut left = self.looks_left.lock().unwrap();
            *left = left.saturating_sub(1);
            *left
        };
        if left == 1 {
            deliver(registry, world, self.deployment).await.unwrap();
        }
    }
}

/// Both find a page put off, and neither has said so when the other looks.
#[tokio::test]
async fn two_that_meet_the_same_page_tell_once_that_it_waits() {
    let mut met = 0;
    for looks in 1..10 {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut plan = plan(vec![stage(1000, MINUTE)]);
        plan.notify = vec![team(), night()];
        let deployment = begun(&registry, plan, "d1", world.now()).await;
        world.state().down.insert(team());
        world.state().retry_after = Some(MINUTE.times(15));
        assert!(deliver(&registry, &world, &deployment).await.is_err());
        world.state().down.clear();
        happens(&registry, &world, &deployment, Event::RollbackHeld).await;
        world.pass(MINUTE.times(2));
        let between = Beside { deployment: &deployment, looks_left: Mutex::new(looks + 1) };
        let input = StepInput { deployment: deployment.id.clone() };
        notify::run(&Bed::behind(&registry, &world, &between), &input).await.unwrap();
        assert_eq!(told(&registry, &deployment).await, [Undelivered::Waits], "look {looks}");
        met += u32::from(*between.looks_left.lock().unwrap() <= 1);
    }
    assert!(met >= 3, "{met}");
}

fn asks() -> Event {
    Event::ApprovalNeeded { stage: StageIndex(0), judged: Vec::new(), asked_at: None }
}

/// A team whose one message is edited, and which hears only what is for attention; the night hears the rest.
async fn edits_and_hears_attention(registry: &MemoryRegistry, world: &World) -> Deployment {
    let listening = Listening { manner: Manner::Edits, ..Listening::EVERYTHING };
    world.state().listening.insert(team(), listening);
    world.state().editing.insert(team());
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.notify = vec![team(), night()];
    plan.notify_by = Some(ByUrgency {
        page: vec![night()],
        attention: vec![team()],
        information: vec![night()],
    });
    begun(registry, plan, "d1", world.now()).await
}

async fn happens(registry: &MemoryRegistry, world: &World, deployment: &Deployment, event: Event) {
    let current = registry.deployment(&deployment.id).await.unwrap().unwrap();
    registry.commit(protocol::tell(&current, event, world.now()).1).await.unwrap();
}

/// What the team was shown and not told.
fn seen(world: &World) -> Vec<&'static str> {
    let seen = std::mem::take(&mut world.state().seen).into_iter();
    seen.filter(|(channel, _)| *channel == team()).map(|(_, event)| event).collect()
}

/// A question that stays open for ever where it is shown would be answered long after its deployment has ended.
#[tokio::test]
async fn a_message_shows_what_its_channel_does_not_hear_once_it_is_there() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = edits_and_hears_attention(&registry, &world).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!((taken(&world.take_calls(), &team()), seen(&world)), (vec![], vec![]), "no message");

    happens(&registry, &world, &deployment, asks()).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!(
        (taken(&world.take_calls(), &team()), seen(&world)),
        (vec!["approvalNeeded"], vec![])
    );

    // One edit for everything that has happened, and nothing is left for the sweep.
    for event in [Event::Shifted { stage: StageIndex(0) }, Event::Succeeded] {
        happens(&registry, &world, &deployment, event).await;
    }
    deliver(&registry, &world, &deployment).await.unwrap();
    let calls = world.take_calls();
    assert_eq!((taken(&calls, &team()), seen(&world)), (vec![], vec!["succeeded"]));
    assert_eq!(taken(&calls, &night()), ["shifted", "succeeded"]);
    deliver(&registry, &world, &deployment).await.unwrap();
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    assert_eq!((world.take_calls(), seen(&world)), (vec![], vec![]));

    // A page of somebody else's is shown, too.
    happens(&registry, &world, &deployment, Event::RollbackHeld).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!(seen(&world), ["rollbackHeld"]);
}

/// Each time that an edit is under way, something happens, and is handed over by somebody else before the edit is there.
struct Overtaken<'a> {
    registry: &'a MemoryRegistry,
    deployment: &'a Deployment,
    happens: Mutex<Vec<Event>>,
}

impl Between for Overtaken<'_> {
    async fn under_way(&self, world: &World, _: &Notice) {
        let event = self.happens.lock().unwrap().pop();
        let Some(event) = event else { return };
        happens(self.registry, world, self.deployment, event).await;
        deliver(self.registry, world, self.deployment).await.unwrap();
    }
}

/// It would bring back the buttons of what is over.
#[tokio::test]
async fn an_edit_that_was_overtaken_does_not_have_the_last_word() {
    let all = [
        Event::RouteInOrder { lasted: MINUTE },
        Event::RetirementPostponed,
        Event::RollbackHeld,
        Event::Succeeded,
    ];
    let once = all.iter().map(|event| vec![event.clone()]);
    let twice = once.clone().flat_map(|first| {
        all.iter().map(move |second| [first.as_slice(), std::slice::from_ref(second)].concat())
    });
    for events in once.clone().chain(twice) {
        let (registry, world) = (MemoryRegistry::default(), world());
        let deployment = edits_and_hears_attention(&registry, &world).await;
        happens(&registry, &world, &deployment, asks()).await;
        deliver(&registry, &world, &deployment).await.unwrap();
        happens(&registry, &world, &deployment, Event::Shifted { stage: StageIndex(0) }).await;
        let left = Mutex::new(events.clone());
        let between = Overtaken { registry: &registry, deployment: &deployment, happens: left };
        let input = StepInput { deployment: deployment.id.clone() };
        notify::run(&Bed::behind(&registry, &world, &between), &input).await.unwrap();
        let newest = registry.notices(&deployment.id).await.unwrap().len();
        let shows = world.state().shows[&team()];
        assert_eq!(shows as usize, newest, "{events:?}");
        let calls = world.take_calls();
        let attention = taken(&calls, &team()).into_iter().filter(|name| *name != "approvalNeeded");
        let happened = events.iter().filter(|event| **event == Event::RetirementPostponed);
        assert_eq!(attention.count(), happened.count(), "each is told once: {events:?}");
    }
}

#[tokio::test]
async fn an_edit_that_is_refused_is_told_to_nobody_and_one_that_may_come_later_keeps_nothing_back()
{
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = edits_and_hears_attention(&registry, &world).await;
    happens(&registry, &world, &deployment, asks()).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    world.state().refusing.insert(team(), Some(3));
    happens(&registry, &world, &deployment, Event::Shifted { stage: StageIndex(0) }).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!((told(&registry, &deployment).await, seen(&world)), (vec![], vec![]));

    world.state().down.insert(team());
    happens(&registry, &world, &deployment, Event::RouteInOrder { lasted: MINUTE }).await;
    world.pass(MINUTE.times(11));
    assert!(deliver(&registry, &world, &deployment).await.is_err());
    assert_eq!(told(&registry, &deployment).await, [], "nobody waits for it");
    world.state().down.clear();
    world.take_calls();
    // While the edit is put off, what comes after it is told at once, and shows the same.
    happens(&registry, &world, &deployment, Event::RetirementPostponed).await;
    deliver(&registry, &world, &deployment).await.unwrap();
    assert_eq!(
        (taken(&world.take_calls(), &team()), seen(&world)),
        (vec!["retirementPostponed"], vec![])
    );
}

/// Everything that the audit bucket holds, in the order of its keys.
fn kept(world: &World) -> Vec<String> {
    world.state().archive.clone().unwrap_or_default().into_values().collect()
}

/// What `glidepath audit --json` prints of a deployment.
async fn audited(registry: &MemoryRegistry, deployment: &Deployment) -> String {
    let deployment = registry.deployment(&deployment.id).await.unwrap().unwrap();
    let notices = registry.notices(&deployment.id).await.unwrap();
    let entries = notices.iter().map(|told| entry(&told.notice, &deployment));
    json_lines(&entries.collect::<Vec<_>>())
}

/// How often a delivery has asked the bucket to keep something.
async fn asked_to_keep(registry: &MemoryRegistry, world: &World, deployment: &Deployment) -> usize {
    let bed = Bed::new(registry, world);
    notify::run(&bed, &StepInput { deployment: deployment.id.clone() }).await.unwrap();
    bed.take_operations().iter().filter(|operation| **operation == "keep").count()
}

#[tokio::test]
async fn the_audit_bucket_keeps_the_end_and_each_thing_that_comes_after_it_once() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().archive = Some(BTreeMap::new());
    let deployment = ended(&registry, &world).await;
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 1);
    let end = kept(&world);
    assert_eq!((end.len(), end.concat()), (1, audited(&registry, &deployment).await));
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 0, "it has it");

    for event in [Event::RetirementPostponed, Event::Retired] {
        happens(&registry, &world, &deployment, event).await;
    }
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 2);
    let all = kept(&world);
    assert_eq!((&all[..1], all.len()), (&end[..], 3), "what was kept stays as it was");
    assert_eq!(all.concat(), audited(&registry, &deployment).await);
    world.take_calls();
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    assert_eq!(world.take_calls(), []);
}

/// What is put stays as it is: it is put once all of it can be read.
#[tokio::test]
async fn an_end_of_which_an_entry_cannot_be_read_waits() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().archive = Some(BTreeMap::new());
    let deployment = ended(&registry, &world).await;
    let unread = registry.items().notices.remove(0);
    let bed = Bed::new(&registry, &world);
    let failed = notify::run(&bed, &StepInput { deployment: deployment.id.clone() }).await;
    assert!(failed.unwrap_err().cause.contains("cannot be read"));
    assert_eq!(kept(&world), [] as [String; 0]);
    registry.items().notices.insert(0, unread);
    world.pass(Span::from_secs(3_600));
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 1);
    assert_eq!(kept(&world).concat(), audited(&registry, &deployment).await);
}

#[tokio::test]
async fn nothing_is_kept_before_the_end_and_nothing_at_all_without_a_bucket() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().archive = Some(BTreeMap::new());
    let deployment = edits_and_hears_attention(&registry, &world).await;
    happens(&registry, &world, &deployment, asks()).await;
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 0);
    assert_eq!(kept(&world), [] as [String; 0]);

    let calls = async |archive: Option<BTreeMap<String, String>>| {
        let (registry, world) = (MemoryRegistry::default(), self::world());
        let deployment = ended(&registry, &world).await;
        world.state().archive = archive;
        let bed = Bed::new(&registry, &world);
        notify::run(&bed, &StepInput { deployment: deployment.id.clone() }).await.unwrap();
        bed.take_operations()
    };
    let without = calls(None).await;
    assert!(!without.contains(&"keep"), "{without:?}");
    // Claimed, put and marked.
    let with = calls(Some(BTreeMap::new())).await;
    assert_eq!(with.len(), without.len() + 3, "{without:?} {with:?}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_keeps_nothing_back_is_told_of_and_gets_all_of_it_later() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().archive = Some(BTreeMap::new());
    // For good, as S3 says it: a channel would have lost it.
    let missing =
        PortError::Refused { operation: "s3:PutObject", detail: "NoSuchBucket".to_owned() };
    world.state().archive_refuses = Some(missing);
    let deployment = ended(&registry, &world).await;
    let failed = deliver(&registry, &world, &deployment).await.unwrap_err();
    assert!(failed.cause.contains("AuditBucket: s3:PutObject: NoSuchBucket"), "{failed:?}");
    let calls = world.take_calls();
    for channel in [team(), night()] {
        assert_eq!(taken(&calls, &channel), ["started", "shifted", "succeeded"]);
    }
    assert_eq!(told(&registry, &deployment).await, []);

    // The sweep brings it again, and nobody hears the rest twice.
    world.pass(MINUTE.times(11));
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    let delivers = Call::Start(Due::Notices(deployment.id.clone()));
    assert!(world.take_calls().contains(&delivers));
    assert!(deliver(&registry, &world, &deployment).await.is_err());
    assert_eq!(told(&registry, &deployment).await, [Undelivered::Waits]);
    let outbox = registry.notices(&deployment.id).await.unwrap();
    assert_eq!(outbox.last().unwrap().notice.event.urgency(), Urgency::Attention);
    deliver(&registry, &world, &deployment).await.unwrap();
    let calls = world.take_calls();
    assert_eq!(taken(&calls, &team()), ["undelivered"]);
    assert_eq!(taken(&calls, &night()), ["undelivered"]);

    world.state().archive_refuses = None;
    world.pass(MINUTE);
    deliver(&registry, &world, &deployment).await.unwrap();
    let all = kept(&world);
    assert_eq!(all.len(), 2, "the end, and that it was late");
    assert_eq!(all.concat(), audited(&registry, &deployment).await);
    sweep::run(&Bed::new(&registry, &world)).await.unwrap();
    assert!(!world.take_calls().contains(&delivers), "nothing is left");
}

/// A function that dies after S3 has taken it puts it once more, and what is there stays.
#[tokio::test]
async fn a_document_whose_answer_was_lost_is_there_once_and_is_done_with() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = ended(&registry, &world).await;
    // The channels are done with it before the stack has a bucket, so that only that is left.
    deliver(&registry, &world, &deployment).await.unwrap();
    world.state().archive = Some(BTreeMap::new());
    let input = StepInput { deployment: deployment.id.clone() };
    // Deployment, timeline, claim, and then the bucket.
    let bed = Bed::with_fault(&registry, &world, Some((3, Fault::LostAfter)));
    let failed = notify::run(&bed, &input).await.unwrap_err();
    assert!(failed.cause.contains("AuditBucket: keep: no answer"), "{failed:?}");
    let end = kept(&world);
    assert_eq!(end.len(), 1);
    world.pass(MINUTE);
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 1);
    assert_eq!(kept(&world), end);
    assert_eq!(asked_to_keep(&registry, &world, &deployment).await, 0);
}
