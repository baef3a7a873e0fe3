//! A rule that has only stable's group: the deployment attaches the canary's at weight 0 first, and
//! knows that state for its own whatever becomes of the call or of its record.

use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Plan, Slot};
use glidepath_core::record::Event;
use glidepath_core::route::{ActionKind, Forward, RouteAction, RouteActions, WeightedGroup};
use glidepath_core::time::Span;
use glidepath_core::weight::{AlbWeight, Weight};
use glidepath_engine::decide::{self, Answer, Word};
use glidepath_engine::ports::{Clock, PortError};
use glidepath_engine::testing::example::{actions, begun, group, plan, route, stage, world};
use glidepath_engine::testing::{Bed, Fault, Machine, MemoryRegistry, World};
use glidepath_engine::{StepInput, advance};

const MINUTE: Span = Span::from_secs(60);

/// More calls than the attach takes with everything before it.
const CALLS: usize = 14;

/// Only stable's group, as a rule is before its first deployment.
fn only_stable() -> RouteActions {
    let group = WeightedGroup { group: group(Slot::Blue), weight: AlbWeight::new(1) };
    let kind = ActionKind::Forward(Forward::new(vec![group], None));
    RouteActions(vec![RouteAction { order: Some(1), kind }])
}

fn first_deployment(world: &World) -> Plan {
    world.state().routes.insert(route(), only_stable());
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.routes[0].original = only_stable();
    plan
}

fn accusations(registry: &MemoryRegistry) -> usize {
    let accuses = |event: &Event| matches!(event, Event::ForeignChange { .. });
    registry.items().notices.iter().filter(|entry| accuses(&entry.notice.event)).count()
}

#[tokio::test]
async fn an_attach_whose_record_is_lost_is_our_own() {
    for call in 0..CALLS {
        for fault in Fault::ALL {
            let (registry, world) = (MemoryRegistry::default(), world());
            let plan = first_deployment(&world);
            let deployment = begun(&registry, plan, "d1", world.now()).await;
            let bed = Bed::with_fault(&registry, &world, Some((call, fault)));
            let ended = Machine::after_plan(bed, &deployment.id).run().await;
            ended.unwrap_or_else(|failure| panic!("call {call}, {fault:?}: {failure}"));
            assert_eq!(accusations(&registry), 0, "call {call}, {fault:?}");
            let green =
                world.state().routes[&route()].canary_share(&deployment.plan.routes[0].pair);
            assert_eq!(green, Ok(Weight::ALL));
        }
    }
}

#[tokio::test]
async fn an_attach_of_which_one_attempt_was_not_answered_is_our_own() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = first_deployment(&world);
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let lost = PortError::Unanswered { operation: "ModifyRule", detail: "timed out".to_owned() };
    world.state().write_errors.push((lost, true));
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.twice = true;
    machine.run().await.unwrap();
    assert_eq!(accusations(&registry), 0);
}

/// After a day its looks are rarer than a throttled write is tried: the sweep waits as long as the execution does.
#[tokio::test]
async fn nobody_takes_a_paused_deployment_for_dead_whose_writes_are_throttled() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = first_deployment(&world);
    let mut machine = crate::carried(&registry, &world, plan).await;
    let (deployment, by) = (DeploymentId::new("d1"), "arn:aws:iam::1:user/ada".to_owned());
    let word = Word::Pause { reason: None };
    let pause = Answer { deployment, stage: None, by, groups: Vec::new(), word };
    decide::run(&Bed::new(&registry, &world), &pause).await.unwrap();
    world.pass(MINUTE.times(24 * 60));
    let throttled = (PortError::Throttled { operation: "ModifyRule" }, false);
    world.state().write_errors = vec![throttled; 50];
    machine.step(None).await;
    assert!(machine.reply.summary.contains("throttled"), "{:?}", machine.reply);
    let waits = Span::from_secs(machine.reply.wait_seconds);
    assert!(waits > MINUTE.times(9), "{waits}");
    assert!(crate::kept(&registry).next_due_at > world.now() + waits);
}

#[tokio::test]
async fn a_weight_of_another_stage_is_somebody_elses() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = super::baking(&registry, &world, MINUTE.times(5)).await;
    // The next stage's, early.
    world.state().routes.insert(route(), actions(Weight::ALL));
    let until = world.now() + MINUTE.times(30);
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(accusations(&registry), 1);
    assert_eq!(registry.items().deployments[&machine.reply.deployment].progress.stage.0, 0);
}

#[tokio::test]
async fn a_read_that_fails_under_a_claim_ends_it() {
    // Every read of the routes in the turn that shifts, after its claim.
    let mut claims = 0;
    for call in 0..CALLS {
        let (registry, world) = (MemoryRegistry::default(), world());
        let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
        let green = glidepath_engine::testing::example::service(Slot::Green);
        let input = StepInput { deployment: deployment.id.clone() };
        advance::run(&Bed::new(&registry, &world), &input).await.unwrap();
        assert_eq!(world.state().services[&green].desired_count, 3);
        let bed = Bed::with_fault(&registry, &world, Some((call, Fault::LostBefore)));
        let ended = advance::run(&bed, &input).await;
        let operations = bed.take_operations();
        if operations.get(call) == Some(&"routes") && operations[..call].contains(&"commit") {
            claims += 1;
            assert!(ended.is_err());
            let left = registry.items().deployments[&deployment.id].intents.len();
            assert_eq!(left, 0, "call {call}: {operations:?}");
        }
    }
    assert_eq!(claims, 2, "one before the write and one after it");
}
