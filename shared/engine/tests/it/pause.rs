//! A pause: no weight moves forward, and everything else goes on.

use std::sync::Mutex;

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{DeploymentId, TargetGroupArn};
use glidepath_core::plan::{Approval, OnTimeout, Plan, Slot, StageIndex};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Deployment, Outcome, Phase, Step};
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{self, Answer, Decided, Word};
use glidepath_engine::ports::{Clock, FoundRoute, LoadBalancer, PortResult, TargetHealth};
use glidepath_engine::rollback::{AlarmEvent, on_alarm};
use glidepath_engine::testing::example::{
    actions, alarm, begun, plan, requests, route, stage, world,
};
use glidepath_engine::testing::{Bed, Between, Call, Machine, MemoryRegistry, World};

use crate::{carried, kept, passes, told};

const MINUTE: Span = Span::from_secs(60);

fn ada(word: Word) -> Answer {
    let (deployment, by) = (DeploymentId::new("d1"), "arn:aws:iam::1:user/ada".to_owned());
    Answer { deployment, stage: None, by, groups: Vec::new(), word }
}

fn pause() -> Answer {
    ada(Word::Pause { reason: Some("the support desk is on fire".to_owned()) })
}

fn resume() -> Answer {
    ada(Word::Resume { reason: None })
}

/// Two stages, and a question between them.
fn asking() -> Plan {
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    plan.stages[1].approval = Some(Approval::anybody(MINUTE.times(240), OnTimeout::Rollback));
    plan
}

fn silent() -> Plan {
    plan(vec![stage(100, MINUTE), stage(1000, MINUTE)])
}

/// The canary's shares that were written, in order.
fn shares(world: &World) -> Vec<Weight> {
    let calls = world.take_calls().into_iter();
    let written = calls.filter_map(|call| match call {
        Call::WriteRoute(_, actions) => Some(actions),
        _ => None,
    });
    let pair = silent().routes[0].pair.clone();
    written.map(|actions| actions.canary_share(&pair).unwrap()).collect()
}

fn refusal(refused: Result<Deployment, glidepath_core::failure::Failure>) -> String {
    let failure = refused.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidRequest, "{failure}");
    failure.cause
}

#[tokio::test]
async fn after_a_pause_no_step_moves_a_weight_until_it_is_resumed() {
    for twice in [false, true] {
        for begins in 0.. {
            let (registry, world) = (MemoryRegistry::default(), world());
            let mut machine = carried(&registry, &world, silent()).await;
            machine.twice = twice;
            for _ in 0..begins {
                machine.step(None).await;
            }
            if machine.reply.next == NextStep::Succeeded {
                assert!(begins >= 7, "{begins}");
                break;
            }
            let bed = Bed::new(&registry, &world);
            decide::run(&bed, &pause()).await.unwrap();
            let before = shares(&world).last().copied().unwrap_or(Weight::NONE);
            passes(&mut machine, &world, MINUTE.times(600)).await;
            let during = shares(&world);
            assert!(during.iter().all(|share| *share == Weight::NONE), "{begins}: {during:?}");
            let here = kept(&registry);
            assert_eq!((here.phase, here.progress.paused.is_some()), (Phase::Open, true));
            assert_eq!(world.state().routes[&route()], actions(before), "{begins}");
            decide::run(&bed, &resume()).await.unwrap();
            machine.run().await.unwrap();
            assert_eq!(kept(&registry).phase, Phase::Closed(Outcome::Succeeded), "{begins}");
            let told = told(&registry);
            let count = |name: &str| told.iter().filter(|found| **found == name).count();
            assert_eq!((count("paused"), count("resumed")), (1, 1), "{told:?}");
        }
    }
}

/// Somebody pauses it right before the n-th call, from 0.
struct Pausing<'a> {
    registry: &'a MemoryRegistry,
    left: Mutex<Option<usize>>,
    answered: Mutex<Option<Option<Weight>>>,
}

impl<'a> Pausing<'a> {
    fn at(registry: &'a MemoryRegistry, call: usize) -> Self {
        Self { registry, left: Mutex::new(Some(call)), answered: Mutex::new(None) }
    }

    async fn meets(&self, world: &World) {
        let now = {
            let mut left = self.left.lock().unwrap();
            let now = *left == Some(0);
            *left = left.and_then(|left| left.checked_sub(1));
            now
        };
        if now {
            let after = decide::run(&Bed::new(self.registry, world), &pause()).await.unwrap();
            let answer = Decided::answer(&pause(), &after, world.now());
            *self.answered.lock().unwrap() = Some(answer.under_way);
        }
    }
}

impl Between for Pausing<'_> {
    async fn routes(&self, world: &World, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        self.meets(world).await;
        world.routes(routes).await
    }

    async fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> PortResult<()> {
        self.meets(world).await;
        world.write_route(route, actions).await
    }

    async fn target_health(
        &self,
        world: &World,
        group: &TargetGroupArn,
    ) -> PortResult<TargetHealth> {
        self.meets(world).await;
        world.target_health(group).await
    }
}

#[tokio::test]
async fn whoever_pauses_is_told_of_the_one_shift_that_may_still_come() {
    let mut under_way = 0;
    for call in 0.. {
        let (registry, world) = (MemoryRegistry::default(), world());
        let deployment = begun(&registry, silent(), "d1", world.now()).await;
        let pausing = Pausing::at(&registry, call);
        let bed = Bed::behind(&registry, &world, &pausing);
        let mut machine = Machine::after_plan(bed, &deployment.id);
        let until = world.now() + MINUTE.times(600);
        let paused = || pausing.answered.lock().unwrap().is_some();
        while !paused() && machine.reply.next != NextStep::Succeeded {
            let written = world.take_calls().len();
            machine.step(None).await;
            assert!(written < 100);
        }
        let Some(may_come) = *pausing.answered.lock().unwrap() else {
            assert!(call > 10, "{call}");
            break;
        };
        // Whatever the step wrote in which somebody paused it, it was told of.
        let written: Vec<_> =
            shares(&world).into_iter().filter(|share| *share != Weight::NONE).collect();
        assert!(
            written.is_empty()
                || written == may_come.into_iter().collect::<Vec<_>>()
                || kept(&registry).progress.shifts.len() > written.len(),
            "{call}: {written:?}"
        );
        under_way += usize::from(may_come.is_some());
        drop(machine.run_until(|_| world.now() > until).await);
        assert_eq!(shares(&world), [], "{call}");
        decide::run(&Bed::new(&registry, &world), &resume()).await.unwrap();
        machine.run().await.unwrap();
    }
    // Before each of the two writes, and while each is read back.
    assert!(under_way >= 4, "{under_way}");
}

#[tokio::test]
async fn what_leads_back_leads_back_from_a_pause() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, silent()).await;
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    decide::run(&Bed::new(&registry, &world), &pause()).await.unwrap();
    world.state().requests = Some(requests(1_000, 400));
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
    let late = decide::run(&Bed::new(&registry, &world), &resume()).await.unwrap_err();
    assert_eq!(late.code, FailureCode::FenceClosed);
    assert_eq!(late.cause, "the deployment is rolledBack");

    let (registry, world) = (MemoryRegistry::default(), self::world());
    let mut machine = carried(&registry, &world, silent()).await;
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    let bed = Bed::new(&registry, &world);
    decide::run(&bed, &pause()).await.unwrap();
    world.pass(MINUTE);
    let (alarm, at) = (alarm(Slot::Green), world.now());
    on_alarm(&bed, &AlarmEvent { alarm, at, reason: "threshold crossed".to_owned() })
        .await
        .unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::NONE));
}

#[tokio::test]
async fn whoever_resumes_ends_the_wait_of_an_open_question_too() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, asking()).await;
    machine.run_until(|reply| reply.summary.contains("person")).await.unwrap();
    machine.step(None).await;
    let bed = Bed::new(&registry, &world);
    decide::run(&bed, &pause()).await.unwrap();
    world.take_calls();
    decide::run(&bed, &resume()).await.unwrap();
    assert!(matches!(world.take_calls().as_slice(), [Call::OpenGate(_)]));
}

#[tokio::test]
async fn a_question_is_asked_and_answered_meanwhile_and_the_weight_waits() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, asking()).await;
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.run_until(|reply| reply.summary.contains("person")).await.unwrap();
    machine.step(None).await;
    let bed = Bed::new(&registry, &world);
    decide::run(&bed, &pause()).await.unwrap();
    world.take_calls();
    let approve = Answer { stage: Some(StageIndex(1)), ..ada(Word::Approve { reason: None }) };
    decide::run(&bed, &approve).await.unwrap();
    passes(&mut machine, &world, MINUTE.times(60)).await;
    assert_eq!(shares(&world), []);
    // Until the weight may move there is time for a second thought.
    let second = Answer { stage: Some(StageIndex(1)), ..ada(Word::Reject { reason: None }) };
    let undone = registry.items().deployments.clone();
    decide::run(&bed, &second).await.unwrap();
    registry.items().deployments = undone;
    decide::run(&bed, &resume()).await.unwrap();
    machine.run().await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::ALL));

    // Nobody answers: the question ends as planned.
    let (registry, world) = (MemoryRegistry::default(), self::world());
    let mut machine = carried(&registry, &world, asking()).await;
    machine.run_until(|reply| reply.summary.contains("person")).await.unwrap();
    decide::run(&Bed::new(&registry, &world), &pause()).await.unwrap();
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ApprovalTimedOut);
}

#[tokio::test]
async fn what_cannot_be_paused_or_resumed_says_why() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, silent()).await;
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    let bed = Bed::new(&registry, &world);
    assert_eq!(refusal(decide::run(&bed, &resume()).await), "it is not paused");
    world.take_calls();
    decide::run(&bed, &pause()).await.unwrap();
    assert_eq!(world.take_calls(), [], "nobody is woken for nothing");
    let twice = refusal(decide::run(&bed, &pause()).await);
    assert!(twice.starts_with("arn:aws:iam::1:user/ada has paused it at "), "{twice}");
    assert!(twice.ends_with(" (\"the support desk is on fire\")"), "{twice}");
    let (reason, skip_bake) = ("urgent".to_owned(), true);
    let promoted = decide::run(&bed, &ada(Word::Promote { reason, skip_bake })).await;
    let promoted = refusal(promoted);
    assert!(promoted.ends_with("`glidepath resume d1` comes first"), "{promoted}");
    decide::run(&bed, &resume()).await.unwrap();
    machine.run().await.unwrap();
    let ended = decide::run(&bed, &pause()).await.unwrap_err();
    assert_eq!(ended.code, FailureCode::FenceClosed);
}

#[tokio::test]
async fn tasks_that_start_while_it_is_paused_have_all_their_time_afterwards() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, silent()).await;
    let bed = Bed::new(&registry, &world);
    let canary = kept(&registry).plan.routes[0].pair.canary.clone();
    world.state().weak.insert(canary.clone(), 0);
    machine.step(None).await;
    decide::run(&bed, &pause()).await.unwrap();
    let within = kept(&registry).plan.settle_within;
    passes(&mut machine, &world, within.times(3)).await;
    assert_eq!(kept(&registry).phase, Phase::Open);
    decide::run(&bed, &resume()).await.unwrap();
    passes(&mut machine, &world, within.minus(MINUTE)).await;
    assert!(matches!(kept(&registry).progress.step, Step::Settling { .. }));
    let failure = machine.run().await.unwrap_err();
    assert!(failure.cause.contains("healthy"), "{failure}");
}

/// However long it lasts, what has traffic is judged, and the execution does not run out of history.
#[tokio::test]
async fn a_paused_stage_whose_tasks_do_not_start_is_looked_at_like_a_bake() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = carried(&registry, &world, silent()).await;
    let at_second = |registry: &MemoryRegistry| kept(registry).progress.stage == StageIndex(1);
    while !at_second(&registry) {
        machine.step(None).await;
    }
    decide::run(&Bed::new(&registry, &world), &pause()).await.unwrap();
    let canary = kept(&registry).plan.routes[0].pair.canary.clone();
    world.state().weak.insert(canary, 1);
    machine.steps.clear();
    passes(&mut machine, &world, MINUTE.times(600)).await;
    assert_eq!(kept(&registry).phase, Phase::Open);
    let count = |wanted| machine.steps.iter().filter(|step| **step == wanted).count();
    let (turns, looks) = (count(NextStep::Advance), count(NextStep::Validate));
    assert!(looks > 100 && turns <= looks + 1 && machine.steps.len() < 2_000, "{turns}, {looks}");
}

/// A write whose read-back is older than it: once.
struct Stale<'a> {
    registry: &'a MemoryRegistry,
    before: Mutex<Option<Vec<FoundRoute>>>,
}

impl Between for Stale<'_> {
    async fn routes(&self, world: &World, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        let before = self.before.lock().unwrap().take();
        match before {
            Some(before) => {
                decide::run(&Bed::new(self.registry, world), &pause()).await.unwrap();
                Ok(before)
            }
            None => world.routes(routes).await,
        }
    }

    async fn write_route(
        &self,
        world: &World,
        route: &RouteRef,
        actions: &RouteActions,
    ) -> PortResult<()> {
        let pair = silent().routes[0].pair.clone();
        if kept(self.registry).progress.paused.is_none()
            && actions.canary_share(&pair).unwrap() != Weight::NONE
        {
            let before = world.routes(std::slice::from_ref(route)).await?;
            *self.before.lock().unwrap() = Some(before);
        }
        world.write_route(route, actions).await
    }
}

#[tokio::test]
async fn what_was_written_before_a_pause_and_not_recorded_is_recorded_and_judged() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, silent(), "d1", world.now()).await;
    let stale = Stale { registry: &registry, before: Mutex::default() };
    let mut machine = Machine::after_plan(Bed::behind(&registry, &world, &stale), &deployment.id);
    let until = world.now() + MINUTE.times(60);
    machine.run_until(|_| world.now() > until).await.unwrap();
    let here = kept(&registry);
    let tenth = Weight::from_permille(100).unwrap();
    assert_eq!(world.state().routes[&route()], actions(tenth));
    assert!(here.progress.paused.is_some() && here.progress.shifted_at.is_some(), "{here:?}");
    assert_eq!(here.progress.shifts.len(), 1);
}

#[tokio::test]
async fn whoever_says_no_while_it_is_paused_is_in_time() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = asking();
    plan.stages[1].approval = Some(Approval::anybody(MINUTE, OnTimeout::Continue));
    let mut machine = carried(&registry, &world, plan).await;
    machine.run_until(|reply| reply.summary.contains("person")).await.unwrap();
    machine.step(None).await;
    let bed = Bed::new(&registry, &world);
    decide::run(&bed, &pause()).await.unwrap();
    passes(&mut machine, &world, MINUTE.times(60)).await;
    let said = |word| Answer { stage: Some(StageIndex(1)), ..ada(word) };
    let late = refusal(decide::run(&bed, &said(Word::Approve { reason: None })).await);
    assert!(late.contains("was up at"), "{late}");
    decide::run(&bed, &said(Word::Reject { reason: None })).await.unwrap();
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ApprovalRejected);
}
