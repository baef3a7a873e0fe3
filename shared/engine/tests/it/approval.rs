use std::pin::Pin;
use std::sync::Mutex;

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{IntentId, TargetGroupArn};
use glidepath_core::plan::{Approval, OnTimeout, Plan, StageIndex};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Event, Intent, Purpose, Step};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{self, Answer, Word};
use glidepath_engine::ports::{Clock, LoadBalancer, PortResult, TargetHealth};
use glidepath_engine::testing::example::{self, begun, plan, stage, world};
use glidepath_engine::testing::{Bed, Between, Call, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, advance, validate};

const MINUTE: Span = Span::from_secs(60);

fn asking(on_timeout: OnTimeout) -> Plan {
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    let timeout = Span::from_secs(4 * 3600);
    plan.stages[1].approval = Some(Approval::anybody(timeout, on_timeout));
    plan
}

fn answer(approved: bool) -> Answer {
    Answer {
        deployment: glidepath_core::ids::DeploymentId::new("d1"),
        stage: Some(StageIndex(1)),
        by: "arn:aws:iam::1:user/ada".to_owned(),
        groups: Vec::new(),
        word: {
            let reason = Some("looked at the graphs".to_owned());
            if approved { Word::Approve { reason } } else { Word::Reject { reason } }
        },
    }
}

/// Waits at the gate before the second stage, with a token stored.
async fn waiting<'a>(registry: &'a MemoryRegistry, world: &'a World, plan: Plan) -> Machine<'a> {
    let deployment = begun(registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.summary.contains("person")).await.unwrap();
    machine.step(None).await;
    let tenth = Weight::from_permille(100).unwrap();
    assert_eq!(world.state().routes[&example::route()], example::actions(tenth));
    machine
}

#[tokio::test]
async fn the_next_stage_begins_when_a_person_says_so() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = waiting(&registry, &world, asking(OnTimeout::Rollback)).await;
    world.take_calls();
    decide::run(&Bed::new(&registry, &world), &answer(true)).await.unwrap();
    assert!(matches!(world.take_calls().as_slice(), [Call::OpenGate(_)]));
    machine.run().await.unwrap();
    assert_eq!(world.state().routes[&example::route()], example::actions(Weight::ALL));
}

#[tokio::test]
async fn a_refusal_rolls_back_with_name_and_reason() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = waiting(&registry, &world, asking(OnTimeout::Continue)).await;
    decide::run(&Bed::new(&registry, &world), &answer(false)).await.unwrap();
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ApprovalRejected);
    assert!(failure.cause.contains("user/ada") && failure.cause.contains("graphs"), "{failure}");
    assert_eq!(world.state().routes[&example::route()], example::actions(Weight::NONE));
}

#[tokio::test]
async fn silence_does_what_the_plan_says() {
    for (policy, code) in
        [(OnTimeout::Rollback, Some(FailureCode::ApprovalTimedOut)), (OnTimeout::Continue, None)]
    {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut machine = waiting(&registry, &world, asking(policy)).await;
        let ended = machine.run().await;
        assert_eq!(ended.err().map(|failure| failure.code), code);
    }
}

#[tokio::test]
async fn an_answer_counts_once_and_only_while_it_is_asked_for() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = waiting(&registry, &world, asking(OnTimeout::Rollback)).await;
    decide::run(&Bed::new(&registry, &world), &answer(true)).await.unwrap();
    let again = decide::run(&Bed::new(&registry, &world), &answer(false)).await.unwrap_err();
    assert_eq!(again.code, FailureCode::InvalidRequest);
    assert!(again.cause.contains("approved by arn:aws:iam::1:user/ada"), "{again}");
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    let late = decide::run(&Bed::new(&registry, &world), &answer(false)).await.unwrap_err();
    assert!(late.cause.contains("approved by arn:aws:iam::1:user/ada at "), "{late}");
    let other = Answer { stage: Some(StageIndex(0)), ..answer(true) };
    let late = decide::run(&Bed::new(&registry, &world), &other).await.unwrap_err();
    assert!(late.cause.contains("stage 1 does not wait for an approval"), "{late}");
    machine.run().await.unwrap();
}

/// As the plan of [`asking`], with more demanded.
fn demanding(demand: impl FnOnce(&mut Approval)) -> Plan {
    let mut plan = asking(OnTimeout::Rollback);
    demand(plan.stages[1].approval.as_mut().unwrap());
    plan.starter = Some("arn:aws:iam::1:user/carol".to_owned());
    plan
}

fn by(name: &str) -> Answer {
    Answer { by: format!("arn:aws:iam::1:user/{name}"), ..answer(true) }
}

#[tokio::test]
async fn the_weight_moves_when_the_last_of_those_who_must_has_approved() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = demanding(|approval| (approval.count, approval.not_by_starter) = (2, true));
    let mut machine = waiting(&registry, &world, plan).await;
    let bed = Bed::new(&registry, &world);
    let refused = decide::run(&bed, &by("carol")).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::NotAllowed);
    world.take_calls();
    decide::run(&bed, &by("ada")).await.unwrap();
    assert!(world.take_calls().is_empty(), "nobody is woken for half an answer");
    // Sent again, it is still half of one.
    let half = decide::run(&bed, &by("ada")).await.unwrap();
    assert_eq!((half.approvals_lacking(StageIndex(1)), half.progress.decisions.len()), (1, 1));
    assert!(world.take_calls().is_empty());
    machine.run_until(|reply| reply.summary.contains("waits for a person")).await.unwrap();
    machine.step(None).await;
    decide::run(&bed, &by("bob")).await.unwrap();
    machine.run().await.unwrap();
    assert_eq!(world.state().routes[&example::route()], example::actions(Weight::ALL));
}

#[tokio::test]
async fn half_an_answer_is_none_when_the_time_is_up() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = waiting(&registry, &world, demanding(|approval| approval.count = 2)).await;
    decide::run(&Bed::new(&registry, &world), &by("ada")).await.unwrap();
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ApprovalTimedOut);
    assert!(failure.cause.contains("user/ada approved stage 2, and 1 person more"), "{failure}");
}

#[tokio::test]
async fn whoever_approves_at_once_is_early_and_the_weight_moves_in_time() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let wait = Span::from_secs(900);
    let plan = demanding(|approval| approval.not_before = Some(wait));
    let mut machine = waiting(&registry, &world, plan).await;
    let id = machine.reply.deployment.clone();
    let Step::Approving { since, .. } = registry.items().deployments[&id].progress.step.clone()
    else {
        panic!("it waits")
    };
    decide::run(&Bed::new(&registry, &world), &by("ada")).await.unwrap();
    machine.run_until(|reply| reply.summary.contains("goes on at")).await.unwrap();
    machine.run_until(|reply| reply.next == NextStep::Advance).await.unwrap();
    assert_eq!(world.now(), since + wait);
    machine.run().await.unwrap();
}

#[tokio::test]
async fn who_does_not_answer_is_asked_once_more() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let after = Span::from_secs(3600);
    let plan = demanding(|approval| approval.remind_after = Some(after));
    let mut machine = waiting(&registry, &world, plan).await;
    machine.run().await.unwrap_err();
    let asked: Vec<_> = registry
        .items()
        .notices
        .iter()
        .filter_map(|entry| match &entry.notice.event {
            Event::ApprovalNeeded { asked_at, .. } => Some((*asked_at, entry.notice.at)),
            _ => None,
        })
        .collect();
    let [(None, first), (Some(asked_at), second)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((*asked_at, *second), (*first, *first + after));
}

#[tokio::test]
async fn the_canarys_tasks_are_up_before_anybody_is_asked() {
    let (registry, world) = (MemoryRegistry::default(), world());
    waiting(&registry, &world, asking(OnTimeout::Rollback)).await;
    let green = example::service(glidepath_core::plan::Slot::Green);
    assert_eq!(world.state().services[&green].running_count, 3);
}

/// What happens in the middle of an invocation: once, when it looks at targets.
type Then<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

struct Meanwhile<'a>(Mutex<Option<Then<'a>>>);

impl<'a> Meanwhile<'a> {
    fn new(then: impl Future<Output = ()> + Send + 'a) -> Self {
        Self(Mutex::new(Some(Box::pin(then))))
    }
}

impl Between for Meanwhile<'_> {
    async fn target_health(
        &self,
        world: &World,
        group: &TargetGroupArn,
    ) -> PortResult<TargetHealth> {
        let then = self.0.lock().unwrap().take();
        if let Some(then) = then {
            then.await;
        }
        world.target_health(group).await
    }
}

#[tokio::test]
async fn an_answer_in_the_last_second_is_not_lost_to_a_look_that_began_before_it() {
    for approved in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let policy = if approved { OnTimeout::Rollback } else { OnTimeout::Continue };
        let mut machine = waiting(&registry, &world, asking(policy)).await;
        let id = machine.reply.deployment.clone();
        let asked = registry.items().deployments[&id].progress.step.clone();
        let Step::Approving { until, .. } = asked else { panic!("{asked:?}") };
        world.pass((until - Span::from_secs(1)).since(world.now()));
        let meanwhile = Meanwhile::new(async {
            decide::run(&Bed::new(&registry, &world), &answer(approved)).await.unwrap();
            world.pass(Span::from_secs(5));
        });
        let input = StepInput { deployment: id };
        let reply = validate::run(&Bed::behind(&registry, &world, &meanwhile), &input).await;
        machine.reply = reply.unwrap_or_else(|failure| panic!("{approved}: {failure}"));
        let ended = machine.run().await.map_err(|failure| failure.code);
        let expected = if approved { Ok(()) } else { Err(FailureCode::ApprovalRejected) };
        assert_eq!(ended, expected);
    }
}

#[tokio::test]
async fn a_late_copy_of_a_step_asks_nobody_again() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, asking(OnTimeout::Rollback), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    let ready = |reply: &glidepath_core::protocol::Reply| {
        let found = registry.items().deployments[&deployment.id].progress.clone();
        let settles = matches!(found.step, Step::Settling { approved: false, .. });
        let green = example::service(glidepath_core::plan::Slot::Green);
        let tasks = world.state().services[&green].running_count;
        reply.next == NextStep::Advance && settles && found.stage.0 == 1 && tasks == 3
    };
    machine.run_until(ready).await.unwrap();
    let input = StepInput { deployment: deployment.id.clone() };
    let meanwhile = Meanwhile::new(async {
        advance::run(&Bed::new(&registry, &world), &input).await.unwrap();
        decide::run(&Bed::new(&registry, &world), &answer(true)).await.unwrap();
    });
    advance::run(&Bed::behind(&registry, &world, &meanwhile), &input).await.unwrap();
    let step = registry.items().deployments[&deployment.id].progress.step.clone();
    assert!(matches!(&step, Step::Approving { decision: Some(_), .. }), "{step:?}");
    machine.run().await.unwrap();
    let items = registry.items();
    let asked = items.notices.iter().filter(|entry| entry.notice.event.name() == "approvalNeeded");
    assert_eq!(asked.count(), 1);
}

#[tokio::test]
async fn a_late_copy_of_a_shift_shifts_nothing_again() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.summary.contains("asked for")).await.unwrap();
    let input = StepInput { deployment: deployment.id.clone() };
    let meanwhile = Meanwhile::new(async {
        advance::run(&Bed::new(&registry, &world), &input).await.unwrap();
        world.pass(Span::from_secs(40));
    });
    let late = advance::run(&Bed::behind(&registry, &world, &meanwhile), &input).await.unwrap();
    assert_eq!(late.next, NextStep::Advance, "it looks again: {}", late.summary);
    machine.reply = late;
    machine.run().await.unwrap();
    let items = registry.items();
    let shifted = items.notices.iter().filter(|entry| entry.notice.event.name() == "shifted");
    assert_eq!(shifted.count(), 1);
}

#[tokio::test]
async fn an_old_message_approves_nothing_that_was_not_seen() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut plan = asking(OnTimeout::Rollback);
    plan.stages.push(stage(1000, MINUTE));
    plan.stages[1].weight = Weight::from_permille(500).unwrap();
    plan.stages[2].approval = plan.stages[1].approval.clone();
    let mut machine = waiting(&registry, &world, plan).await;
    decide::run(&Bed::new(&registry, &world), &answer(true)).await.unwrap();
    let third = |reply: &glidepath_core::protocol::Reply| {
        let progress = &registry.items().deployments[&reply.deployment].progress;
        progress.stage.0 == 2 && matches!(progress.step, Step::Approving { .. })
    };
    machine.run_until(third).await.unwrap();
    let asked = registry.items().deployments.clone();
    world.take_calls();
    // The message for the second stage, read late: by whoever has answered it, and by somebody else.
    let old = Answer { stage: Some(StageIndex(1)), ..answer(true) };
    decide::run(&Bed::new(&registry, &world), &old).await.unwrap();
    assert!(registry.items().deployments == asked && world.take_calls().is_empty());
    for (stage, said) in [
        (Some(StageIndex(1)), "stage 2 was approved by arn:aws:iam::1:user/ada at "),
        (None, "say which stage: stage 3 (100 %) of shop:2 is asked for"),
    ] {
        let answer = Answer { stage, ..by("bob") };
        let refused = decide::run(&Bed::new(&registry, &world), &answer).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::InvalidRequest);
        assert!(refused.cause.contains(said), "{refused}");
    }
    let items = registry.items();
    let asked = items.notices.iter().rev().find_map(|entry| match &entry.notice.event {
        Event::ApprovalNeeded { judged, .. } => Some(judged.join("\n")),
        _ => None,
    });
    assert!(asked.unwrap().contains("of 1000 requests were bad"), "the question carries numbers");
}

#[tokio::test]
async fn an_answer_from_a_desk_whose_clock_is_ahead_forgets_no_claim() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let machine = waiting(&registry, &world, asking(OnTimeout::Rollback)).await;
    let id = machine.reply.deployment.clone();
    let claim = Intent::new(Purpose::Scale, world.now(), Span::from_secs(15));
    let own = IntentId::new("unanswered");
    let kept =
        |registry: &MemoryRegistry| registry.items().deployments[&id].intents.contains_key(&own);
    registry.items().deployments.get_mut(&id).unwrap().intents.insert(own.clone(), claim);
    let desk = World::at(world.now() + MINUTE.times(10));
    decide::run(&Bed::new(&registry, &desk), &answer(true)).await.unwrap();
    assert!(kept(&registry));
}
