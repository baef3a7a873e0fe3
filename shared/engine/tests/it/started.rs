//! Who has started a deployment: whom AWS has recognised, or whoever the request says.

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{DeploymentId, ExecutionStart};
use glidepath_core::message::message;
use glidepath_core::record::Event;
use glidepath_engine::plan::PlanInput;
use glidepath_engine::ports::Clock;
use glidepath_engine::start::{self, PostedStart};
use glidepath_engine::testing::example::world;
use glidepath_engine::testing::{Bed, Fault, MemoryRegistry, World};
use serde_json::{Value, json};

use crate::planning::{named, plan, request};

const ADA: &str = "arn:aws:sts::111122223333:assumed-role/Deployer/ada";

fn posted(request: &Value) -> PostedStart {
    PostedStart { deployment: DeploymentId::new("d1"), request: request.clone() }
}

/// The starter that a plan of this request keeps, and what is told of it.
async fn planned(
    registry: &MemoryRegistry,
    world: &World,
    request: Value,
) -> (Option<String>, String) {
    let began = ExecutionStart::new(world.now().to_string());
    let input = PlanInput { execution_start: Some(began), ..named("d1", request) };
    plan(registry, world, &input).await.unwrap();
    let items = registry.items();
    let deployment = &items.deployments[&DeploymentId::new("d1")];
    let started = items.notices.iter().find(|entry| entry.notice.event == Event::Started).unwrap();
    (deployment.plan.starter.clone(), message(&started.notice, deployment).to_string())
}

#[tokio::test]
async fn whom_aws_has_recognised_is_the_starter_and_what_is_said_stands_beside() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let bed = Bed::new(&registry, &world);
    let mut request = request();
    request["startedBy"] = json!("pipeline 7 of shop");
    let begun = start::run(&bed, ADA, posted(&request)).await.unwrap();
    assert!(begun.execution.as_str().ends_with(":d1"));
    // Again, by somebody else: it runs, and who has started it has.
    world.pass(glidepath_core::time::Span::from_secs(1));
    start::run(&bed, "arn:late", posted(&request)).await.unwrap();
    let (starter, told) = planned(&registry, &world, request).await;
    assert_eq!(starter.as_deref(), Some(ADA));
    assert!(told.contains(&format!("Started by {ADA}, as AWS says, for pipeline 7")), "{told}");
}

/// Before anything is written: nobody could answer, and all would return at the deadline.
#[tokio::test]
async fn whoever_starts_what_only_they_may_approve_is_told_at_once() {
    let ada = "arn:aws:iam::111122223333:user/ada";
    for (starter, begins) in [(ada, false), ("arn:aws:iam::111122223333:user/bob", true)] {
        let (registry, world) = (MemoryRegistry::default(), world());
        let mut request = request();
        request["strategy"] = json!({ "canary": { "stages": [{
            "weight": 100, "bake": "5m", "approval": { "approvers": [ada], "notBy": "starter" },
        }] } });
        start::run(&Bed::new(&registry, &world), starter, posted(&request)).await.unwrap();
        let began = ExecutionStart::new(world.now().to_string());
        let input = PlanInput { execution_start: Some(began), ..named("d1", request) };
        match plan(&registry, &world, &input).await {
            Ok(_) => assert!(begins),
            Err(refused) => {
                assert_eq!(refused.code, FailureCode::InvalidRequest);
                assert!(
                    refused.cause.contains("it is started by arn:aws:iam::111122223333:user/ada"),
                    "{refused}"
                );
                assert!(!begins && registry.items().deployments.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn who_starts_past_the_stack_is_known_by_what_they_say() {
    let (registry, world) = (MemoryRegistry::default(), world());
    // Somebody was recognised, with another request: the execution's is not theirs.
    let mut other = request();
    other["service"] = json!("basket");
    start::run(&Bed::new(&registry, &world), ADA, posted(&other)).await.unwrap();
    let mut request = request();
    request["startedBy"] = json!(ADA);
    let (starter, told) = planned(&registry, &world, request).await;
    assert_eq!(starter, None);
    assert!(told.contains(&format!("Started by {ADA}, as they say")), "{told}");
}

#[tokio::test]
async fn a_name_that_was_used_starts_nothing() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let bed = Bed::new(&registry, &world);
    start::run(&bed, ADA, posted(&request())).await.unwrap();
    let odd = PostedStart { deployment: DeploymentId::new("d1 "), request: json!({}) };
    let refused = start::run(&bed, "arn:bob", odd).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::InvalidRequest);
    let refused = start::run(&bed, "arn:bob", posted(&json!({}))).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::NameUsed);
    assert!(refused.cause.contains("nothing was started"), "{refused}");
    let (starter, _) = planned(&registry, &world, request()).await;
    assert_eq!(starter.as_deref(), Some(ADA));
}

/// An execution runs only if somebody is known to have started it: whatever is lost in between, nobody
/// is asked later who it was.
#[tokio::test]
async fn nothing_runs_of_which_nobody_knows_who_started_it() {
    for call in 0..2 {
        for fault in [Fault::Throttled, Fault::LostBefore, Fault::LostAfter] {
            let (registry, world) = (MemoryRegistry::default(), world());
            let bed = Bed::with_fault(&registry, &world, Some((call, fault)));
            let begun = start::run(&bed, ADA, posted(&request())).await;
            let known = registry.items().starts.len();
            let runs = world.state().executions.len();
            assert!(known >= runs, "{call} {fault:?}");
            assert!(begun.is_err(), "{call} {fault:?}");
            start::run(&Bed::new(&registry, &world), ADA, posted(&request())).await.unwrap();
            assert_eq!(world.state().executions.len(), 1, "{call} {fault:?} at {}", world.now());
        }
    }
}
