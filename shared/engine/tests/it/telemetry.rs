//! What is measured, and when.

use glidepath_core::failure::FailureCode;
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::Slot;
use glidepath_core::telemetry::{Measurement, Origin};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::Clock;
use glidepath_engine::rollback::{AlarmEvent, on_alarm};
use glidepath_engine::sweep;
use glidepath_engine::testing::example::{alarm, begun, plan, requests, stage, world};
use glidepath_engine::testing::{Bed, Machine, MemoryRegistry};
use serde_json::Value;

use crate::baking;

const MINUTE: Span = Span::from_secs(60);

fn read(measured: &[Measurement]) -> Vec<Value> {
    let origin = Origin { stack: "glidepath".to_owned(), function: "function".to_owned() };
    let lines = measured.iter().map(|one| one.line(&origin, Timestamp::from_millis(0)));
    lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
}

#[tokio::test]
async fn every_look_is_measured_that_which_ends_the_deployment_too() {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().requests = Some(requests(1_000, 300));
    let stages = vec![stage(50, MINUTE.times(5)), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed);
    let looks = read(&machine.bed.take_measurements());
    let last = looks.last().unwrap();
    assert_eq!((&last["Verdict"], &last["Stage"]), (&Value::from(3.0), &Value::from(1.0)));
    assert_eq!(last["CanaryWeight"], 5.0);
    let bad = last["CanaryBadRequests"].as_f64().unwrap();
    assert!((29.9..30.1).contains(&bad), "{bad}");
    assert_eq!(looks.iter().filter(|look| look["Verdict"] == 3.0).count(), 1, "{looks:?}");
}

#[tokio::test]
async fn a_sweep_says_for_how_long_the_oldest_is_overdue_by_its_own_item() {
    let (registry, world) = (MemoryRegistry::default(), world());
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let due_at = registry.items().deployments[&deployment.id].next_due_at;
    let bed = Bed::new(&registry, &world);
    let swept = async || {
        // A sweep that cannot hand everything over has swept all the same.
        drop(sweep::run(&bed).await);
        let mut swept = read(&bed.take_measurements());
        assert_eq!(swept.len(), 1);
        swept.remove(0)
    };
    let before = swept().await;
    assert_eq!((&before["Sweeps"], &before["OverdueWork"]), (&Value::from(1.0), &Value::from(0.0)));
    world.pass(due_at.since(world.now()).plus(MINUTE.times(20)));
    let first = &registry.items().notices[0].notice.clone();
    let waits = world.now().since(first.at).as_millis();
    let after = swept().await;
    assert_eq!(after["OverdueWork"], 1200.0);
    assert_eq!(after["UndeliveredNotices"].as_f64(), Some(waits as f64 / 1000.0));
    // One that nobody can read is overdue as much, as the index has it.
    registry.items().unreadable.insert(DeploymentId::new("d1"));
    assert_eq!(swept().await["OverdueWork"], 1200.0);
}

#[tokio::test]
async fn an_alarm_knows_when_its_traffic_was_back_and_a_repeated_one_the_same() {
    let (registry, world) = (MemoryRegistry::default(), world());
    baking(&registry, &world, MINUTE.times(10)).await;
    let bed = Bed::new(&registry, &world);
    let event = AlarmEvent { alarm: alarm(Slot::Green), at: world.now(), reason: "5xx".to_owned() };
    world.pass(Span::from_secs(2));
    let first = on_alarm(&bed, &event).await.unwrap();
    let recorded = registry.items().deployments[&DeploymentId::new("d1")].progress.restored_at;
    assert!(first.restored_at.is_some_and(|at| at.since(event.at) >= Span::from_secs(2)));
    assert_eq!(first.restored_at, recorded);
    world.pass(MINUTE);
    assert_eq!(on_alarm(&bed, &event).await.unwrap().restored_at, recorded);
    let unknown = AlarmEvent { alarm: alarm(Slot::Blue), ..event };
    assert_eq!(on_alarm(&bed, &unknown).await.unwrap().restored_at, None);
}
