//! A stage that lacks evidence, and a person who lets it go on.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{OnInconclusive, StageIndex};
use glidepath_core::protocol::NextStep;
use glidepath_core::record::{Outcome, Phase};
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{self, Answer, Word};
use glidepath_engine::ports::Clock;
use glidepath_engine::testing::example::{actions, begun, plan, route, stage, world};
use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};

use crate::{kept, told};

const MINUTE: Span = Span::from_secs(60);

fn promote() -> Answer {
    Answer {
        deployment: DeploymentId::new("d1"),
        stage: None,
        by: "arn:aws:iam::1:user/ada".to_owned(),
        groups: Vec::new(),
        word: Word::Promote {
            reason: "a night's traffic never gets there".to_owned(),
            skip_bake: false,
        },
    }
}

/// A deployment that nobody sends a request, at the gate of its first stage.
async fn idle<'a>(
    registry: &'a MemoryRegistry,
    world: &'a World,
    then: OnInconclusive,
) -> Machine<'a> {
    world.state().requests = None;
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.on_inconclusive = then;
    let deployment = begun(registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine
}

/// Until the stage holds for good and its gate is open.
async fn held(machine: &mut Machine<'_>) {
    machine.run_until(|reply| reply.summary.starts_with("held: ")).await.unwrap();
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
}

async fn refused(registry: &MemoryRegistry, world: &World) -> Failure {
    let revision = kept(registry).revision;
    let failure = decide::run(&Bed::new(registry, world), &promote()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidRequest);
    assert_eq!(kept(registry).revision, revision);
    failure
}

#[tokio::test]
async fn a_hold_is_told_once_when_it_begins_and_ends_when_a_person_says_so() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = idle(&registry, &world, OnInconclusive::Hold).await;
    let failure = refused(&registry, &world).await;
    assert!(failure.cause.contains("its bake is not over"), "{failure}");

    machine.run_until(|reply| reply.summary.starts_with("held: ")).await.unwrap();
    let until = world.now() + MINUTE.times(30);
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(told(&registry), ["started", "shifted", "waiting", "stageHeld"]);

    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    world.take_calls();
    decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
    assert!(matches!(world.take_calls().as_slice(), [Call::OpenGate(_)]));
    let again = refused(&registry, &world).await;
    assert!(again.cause.starts_with("arn:aws:iam::1:user/ada let stage 1 go on at "), "{again}");

    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::ALL));
    let told = told(&registry);
    assert_eq!(told[4..], ["promoted", "shifted"]);

    // The next stage has its own bake, and lacks its own evidence.
    machine.run_until(|reply| reply.summary.starts_with("held: ")).await.unwrap();
    let other = Answer { stage: Some(StageIndex(0)), ..promote() };
    let late = decide::run(&Bed::new(&registry, &world), &other).await.unwrap_err();
    assert_eq!(late.cause, "stage 1 does not wait; the deployment is at stage 2");
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
    machine.run().await.unwrap();
    assert_eq!(kept(&registry).phase, Phase::Closed(Outcome::Succeeded));
}

#[tokio::test]
async fn what_is_extended_does_not_have_to_wait_for_its_end() {
    for then in [OnInconclusive::Hold, OnInconclusive::Rollback] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut machine = idle(&registry, &world, then).await;
        machine.run_until(|reply| reply.summary.starts_with("extended: ")).await.unwrap();
        decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
        machine.run_until(|reply| reply.next == NextStep::Advance).await.unwrap();
        assert_eq!(kept(&registry).progress.stage, StageIndex(1));
    }
}

#[tokio::test]
async fn what_speaks_against_the_version_is_not_overruled() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = idle(&registry, &world, OnInconclusive::Hold).await;
    held(&mut machine).await;
    // The look before has not seen it, the next one does.
    decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
    let canary = kept(&registry).plan.routes[0].pair.canary.clone();
    world.state().weak.insert(canary, 1);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    assert_eq!(told(&registry).last(), Some(&"notPromoted"));
    assert_eq!(kept(&registry).progress.stage, StageIndex(0));
    let failure = refused(&registry, &world).await;
    assert!(
        failure.cause.contains("does not only lack evidence: 1 of 2 canary targets"),
        "{failure}"
    );

    // What was said does not count any more when it is over.
    world.state().weak.clear();
    let until = world.now() + MINUTE.times(10);
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(kept(&registry).progress.stage, StageIndex(0));
    decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
    machine.run_until(|reply| reply.next == NextStep::Advance).await.unwrap();
}

#[tokio::test]
async fn nobody_goes_on_at_somebody_elses_weights() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = idle(&registry, &world, OnInconclusive::Hold).await;
    held(&mut machine).await;
    decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
    let own = world.state().routes[&route()].clone();
    world.state().routes.insert(route(), actions(Weight::from_permille(300).unwrap()));
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    assert!(told(&registry).ends_with(&["foreignChange", "notPromoted"]), "{:?}", told(&registry));
    machine.step(None).await;
    let failure = refused(&registry, &world).await;
    assert!(failure.cause.starts_with("somebody else changed a route: "), "{failure}");
    world.state().routes.insert(route(), own);
    let until = world.now() + MINUTE.times(60);
    machine.run_until(|_| world.now() > until).await.unwrap();
    assert_eq!(kept(&registry).progress.stage, StageIndex(0));
    // It bakes again, and is told to hold again.
    assert_eq!(told(&registry).last(), Some(&"stageHeld"));
}

#[tokio::test]
async fn whatever_is_delivered_twice_goes_on_once() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = idle(&registry, &world, OnInconclusive::Hold).await;
    machine.twice = true;
    machine.run_until(|reply| reply.summary.starts_with("held: ")).await.unwrap();
    decide::run(&Bed::new(&registry, &world), &promote()).await.unwrap();
    let until = world.now() + MINUTE.times(60);
    machine.run_until(|_| world.now() > until).await.unwrap();
    let told = told(&registry);
    let count = |name: &str| told.iter().filter(|found| **found == name).count();
    assert_eq!((count("promoted"), count("shifted"), count("stageHeld")), (1, 2, 2), "{told:?}");
    assert_eq!(kept(&registry).progress.stage, StageIndex(1));
}

#[tokio::test]
async fn a_bake_ends_early_when_a_person_says_so_and_the_next_look_agrees() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let plan = plan(vec![stage(500, MINUTE.times(60)), stage(1000, MINUTE)]);
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.run_until(|reply| reply.next == NextStep::Gate).await.unwrap();
    machine.step(None).await;
    let failure = refused(&registry, &world).await;
    assert!(failure.cause.contains("`--skip-bake` ends it early"), "{failure}");
    let reason = "the fix is urgent".to_owned();
    let early = Answer { word: Word::Promote { reason, skip_bake: true }, ..promote() };
    world.take_calls();
    decide::run(&Bed::new(&registry, &world), &early).await.unwrap();
    assert!(matches!(world.take_calls().as_slice(), [Call::OpenGate(_)]));
    let begun = world.now();
    machine.run_until(|reply| reply.summary.contains("ends its bake early")).await.unwrap();
    assert!(world.now().since(begun) < MINUTE, "the next look comes at once");
    machine.run().await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::ALL));
}
