//! What a link to a question leads to, and what whoever has it may answer.

use glidepath_core::failure::FailureCode;
use glidepath_core::link::QuestionLink;
use glidepath_core::people::{Approvers, LINK_HOLDER};
use glidepath_core::plan::{Approval, OnTimeout};
use glidepath_core::record::Step;
use glidepath_core::time::Span;
use glidepath_core::weight::Weight;
use glidepath_engine::decide;
use glidepath_engine::page::{Answering, Found, look};
use glidepath_engine::ports::Clock;
use glidepath_engine::testing::example::{actions, begun, plan, route, stage, world};
use glidepath_engine::testing::{Bed, Fault, Machine, MemoryRegistry, SIGNED, World};

const MINUTE: Span = Span::from_secs(60);

/// Waits for an answer before its only stage.
async fn asking<'a>(registry: &'a MemoryRegistry, world: &'a World, anyone: bool) -> Machine<'a> {
    let anybody = Approval::anybody(MINUTE.times(60), OnTimeout::Rollback);
    asking_for(registry, world, Approval { anyone_with_link: anyone, ..anybody }).await
}

pub(crate) async fn asking_for<'a>(
    registry: &'a MemoryRegistry,
    world: &'a World,
    approval: Approval,
) -> Machine<'a> {
    let mut plan = plan(vec![stage(1000, MINUTE)]);
    plan.stages[0].approval = Some(approval);
    let deployment = begun(registry, plan, "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
    machine.run_until(|reply| reply.summary.contains("person")).await.unwrap();
    machine.step(None).await;
    machine
}

pub(crate) fn link(registry: &MemoryRegistry) -> QuestionLink {
    QuestionLink::of(registry.items().deployments.values().next().unwrap()).unwrap()
}

async fn found(registry: &MemoryRegistry, world: &World) -> Found {
    let path = link(registry).path(SIGNED);
    look(&Bed::new(registry, world), &path).await.unwrap().unwrap()
}

/// A flood of forged links costs nothing but what looks at a signature.
#[tokio::test]
async fn nothing_is_read_before_the_signature_has_been_looked_at() {
    let (registry, world) = (MemoryRegistry::default(), world());
    asking(&registry, &world, true).await;
    let bed = Bed::new(&registry, &world);
    for path in ["/", "/approve/d1/1/1", "/approve/../1/1/signed", "/favicon.ico"] {
        assert_eq!(look(&bed, path).await, Ok(None));
        assert!(bed.take_operations().is_empty(), "{path}");
    }
    assert_eq!(look(&bed, &link(&registry).path("forged")).await, Ok(None));
    assert_eq!(bed.take_operations(), ["is_own"]);
    assert!(look(&bed, &link(&registry).path(SIGNED)).await.unwrap().is_some());
    assert_eq!(bed.take_operations(), ["is_own", "deployment", "stored_cells"]);
}

#[tokio::test]
async fn the_question_can_be_seen_without_what_was_counted_and_not_without_its_record() {
    let (registry, world) = (MemoryRegistry::default(), world());
    asking(&registry, &world, true).await;
    let path = link(&registry).path(SIGNED);
    for (call, seen) in [(0, false), (1, false), (2, true)] {
        let bed = Bed::with_fault(&registry, &world, Some((call, Fault::LostBefore)));
        let looked = look(&bed, &path).await;
        assert_eq!(looked.is_ok_and(|found| found.is_some()), seen, "{call}");
    }
}

#[tokio::test]
async fn whoever_has_the_link_answers_the_question_that_it_leads_to() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let mut machine = asking(&registry, &world, true).await;
    let found = found(&registry, &world).await;
    for reason in ["\u{1b}[31m", &"x".repeat(2_001)] {
        let refused = found.answer(true, reason, Answering::by_link(), world.now()).unwrap_err();
        assert_eq!(refused.code, FailureCode::InvalidRequest, "{refused}");
    }
    let later = QuestionLink { asked_at: found.link.asked_at + MINUTE, ..found.link.clone() };
    let other = Found { link: later, ..found.clone() };
    assert_eq!(
        other.answer(true, "", Answering::by_link(), world.now()).unwrap_err().cause,
        "nobody is asked this any more"
    );
    let answer = found.answer(true, " ", Answering::by_link(), world.now()).unwrap();
    assert_eq!(answer.by, LINK_HOLDER);
    let decided = decide::run(&Bed::new(&registry, &world), &answer).await.unwrap();
    assert!(matches!(decided.progress.step, Step::Approving { decision: Some(_), .. }));
    machine.run().await.unwrap();
    assert_eq!(world.state().routes[&route()], actions(Weight::ALL));
}

#[tokio::test]
async fn a_link_answers_nothing_that_asks_for_somebody() {
    for approved in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        asking(&registry, &world, false).await;
        let found = found(&registry, &world).await;
        let answer = found.answer(approved, "", Answering::by_link(), world.now()).unwrap();
        let refused = decide::run(&Bed::new(&registry, &world), &answer).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::NotAllowed, "{refused}");
    }
}

#[tokio::test]
async fn who_has_signed_in_answers_by_the_groups_that_the_question_names() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let list = |entries| Approvers::new(texts(entries));
    let approval = Approval {
        approvers: vec![
            list(&["oidc-group:release", "oidc-group:staff"]),
            list(&["oidc-group:staff", "oidc:bob"]),
        ],
        ..Approval::anybody(MINUTE.times(60), OnTimeout::Rollback)
    };
    asking_for(&registry, &world, approval).await;
    let found = found(&registry, &world).await;
    let count = |groups| found.groups_that_count(&texts(groups));
    assert_eq!(count(&["x", "staff", "release", "staff"]), ["staff"]);
    assert_eq!(count(&["release", "x"]), ["release"]);
    assert!(count(&["oidc-group:staff", "Staff", "bob"]).is_empty());
    for (name, groups, approves) in
        [("ada", &["release"][..], false), ("bob", &[], false), ("carol", &["staff"], true)]
    {
        let by = Answering::signed_in(name, &count(groups));
        let answer = found.answer(true, "", by, world.now()).unwrap();
        let decided = decide::run(&Bed::new(&registry, &world), &answer).await;
        assert_eq!(decided.is_ok(), approves, "{name}: {decided:?}");
        assert_eq!(answer.by, format!("oidc:{name}"));
    }
}

/// A second click, by the page that somebody still has open or by one that was loaded since.
#[tokio::test]
async fn whoever_sends_their_answer_again_is_answered_as_they_were() {
    for approved in [true, false] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut machine = asking(&registry, &world, true).await;
        let open = found(&registry, &world).await;
        let path = open.link.path(SIGNED);
        let bed = Bed::new(&registry, &world);
        let says = async |found: &Found, approved| {
            let answer = found.answer(approved, "", Answering::by_link(), world.now())?;
            decide::run(&bed, &answer).await
        };
        says(&open, approved).await.unwrap();
        let written = registry.items().deployments.clone();
        bed.take_operations();
        says(&open, approved).await.unwrap();
        // In case the first did not wake it.
        assert_eq!(bed.take_operations(), ["deployment", "open_gate"]);
        assert_eq!(registry.items().deployments, written);
        let refused = says(&open, !approved).await.unwrap_err();
        assert!(refused.cause.contains("stage 1 was "), "{refused}");
        let _ = machine.run().await;
        let later = look(&bed, &path).await.unwrap().unwrap();
        bed.take_operations();
        for page in [&open, &later] {
            assert!(says(page, approved).await.is_ok(), "{approved}");
        }
        assert_eq!(bed.take_operations(), ["deployment", "deployment"], "nothing waits for it");
        let refused = says(&later, !approved).await.unwrap_err();
        let by = "it returned to stable: whoever had the link rejected stage 1";
        let why = if approved { "nobody is asked this any more" } else { by };
        assert_eq!(refused.cause, why);
        // A week later it is not said any more by whom; who has answered so is told the same as ever.
        world.pass(MINUTE.times(8 * 24 * 60));
        let refused = says(&later, !approved).await.unwrap_err();
        assert_eq!(refused.cause, "nobody is asked this any more");
        assert!(says(&later, approved).await.is_ok());
    }
}

#[tokio::test]
async fn a_link_of_a_deployment_that_nobody_knows_any_more_leads_nowhere() {
    let (registry, world) = (MemoryRegistry::default(), world());
    asking(&registry, &world, true).await;
    let path = link(&registry).path(SIGNED);
    registry.items().deployments.clear();
    let bed = Bed::new(&registry, &world);
    assert_eq!(look(&bed, &path).await, Ok(None));
    assert_eq!(bed.take_operations(), ["is_own", "deployment"]);
}

#[tokio::test]
async fn an_answer_counts_until_the_deadline_and_not_from_then_on() {
    let second = Span::from_secs(1);
    for (left, counts) in [(second, true), (Span::ZERO, false)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        asking(&registry, &world, true).await;
        let found = found(&registry, &world).await;
        let Step::Approving { until, .. } = found.deployment.progress.step else { panic!() };
        let answer = found.answer(true, "", Answering::by_link(), world.now()).unwrap();
        world.pass(until.since(world.now()).minus(left));
        let bed = Bed::new(&registry, &world);
        let decided = decide::run(&bed, &answer).await;
        assert_eq!(decided.is_ok(), counts, "{decided:?}");
        if let Err(refused) = decided {
            assert_eq!(refused.code, FailureCode::InvalidRequest);
            assert_eq!(refused.cause, format!("the time to approve stage 1 was up at {until}"));
            assert_eq!(bed.take_operations(), ["deployment"], "nothing is written");
        }
    }
}
