use std::pin::Pin;
use std::sync::Mutex;

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::plan::{Approval, OnTimeout, Plan};
use glidepath_core::protocol::NextStep;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{self, Answer};
use glidepath_engine::ports::{Clock, FoundRoute, LoadBalancer, PortResult, TargetHealth};
use glidepath_engine::testing::example::{self, begun, plan, stage, world};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, advance};

const MINUTE: Span = Span::from_secs(60);

fn asking(on_timeout: OnTimeout) -> Plan {
    let mut plan = plan(vec![stage(100, MINUTE), stage(1000, MINUTE)]);
    let timeout = Span::from_secs(4 * 3600);
    plan.stages[1].approval = Some(Approval { timeout, on_timeout });
    plan
}

fn answer(approved: bool) -> Answer {
    Answer {
        deployment: glidepath_core::ids::DeploymentId::new("d1"),
        approved,
        by: "arn:aws:iam::1:user/ada".to_owned(),
        reason: Some("looked at the graphs".to_owned()),
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
    decide::run(&registry, &world, &world, &answer(true)).await.unwrap();
    assert!(matches!(world.take_calls().as_slice(), [Call::OpenGate(_)]));
    machine.run().await.unwrap();
    assert_eq!(world.state().routes[&example::route()], example::actions(Weight::ALL));
}

#[tokio::test]
async fn a_refusal_rolls_back_with_name_and_reason() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = waiting(&registry, &world, asking(OnTimeout::Continue)).await;
    decide::run(&registry, &world, &world, &answer(false)).await.unwrap();
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
    decide::run(&registry, &world, &world, &answer(true)).await.unwrap();
    let again = decide::run(&registry, &world, &world, &answer(false)).await.unwrap_err();
    assert_eq!(again.code, FailureCode::InvalidRequest);
    assert!(again.cause.contains("approved by arn:aws:iam::1:user/ada"), "{again}");
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    let late = decide::run(&registry, &world, &world, &answer(false)).await.unwrap_err();
    assert!(late.cause.contains("does not wait for an approval"), "{late}");
    machine.run().await.unwrap();
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

struct Meanwhile<'a> {
    world: &'a World,
    then: Mutex<Option<Then<'a>>>,
}

impl<'a> Meanwhile<'a> {
    fn new(world: &'a World, then: impl Future<Output = ()> + Send + 'a) -> Self {
        Self { world, then: Mutex::new(Some(Box::pin(then))) }
    }
}

impl LoadBalancer for Meanwhile<'_> {
    async fn routes(&self, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        self.world.routes(routes).await
    }

    async fn write_route(&self, route: &RouteRef, actions: &RouteActions) -> PortResult<()> {
        self.world.write_route(route, actions).await
    }

    async fn target_health(&self, group: &TargetGroupArn) -> PortResult<TargetHealth> {
        let then = self.then.lock().unwrap().take();
        if let Some(then) = then {
            then.await;
        }
        self.world.target_health(group).await
    }
}

#[tokio::test]
async fn a_late_copy_of_a_shift_shifts_nothing_again() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.summary.contains("asked for")).await.unwrap();
    let input = StepInput { deployment: deployment.id.clone() };
    let meanwhile = Meanwhile::new(&world, async {
        advance::run(&registry, &world, &world, &world, &input).await.unwrap();
        world.pass(Span::from_secs(40));
    });
    let late = advance::run(&registry, &meanwhile, &world, &world, &input).await.unwrap();
    assert_eq!(late.next, NextStep::Advance, "it looks again: {}", late.summary);
    machine.reply = late;
    machine.run().await.unwrap();
    let items = registry.items();
    let shifted = items.notices.iter().filter(|entry| entry.notice.event.name() == "shifted");
    assert_eq!(shifted.count(), 1);
}
