//! What a look has counted is kept for the report, and nothing depends on it.

use glidepath_core::failure::FailureCode;
use glidepath_core::time::Span;
use glidepath_engine::ports::Clock;
use glidepath_engine::testing::example::{begun, plan, requests, stage, world};
use glidepath_engine::testing::{Bed, Fault, Machine, MemoryRegistry};

const MINUTE: Span = Span::from_secs(60);

/// Runs a version that fails its requests, with a fault at one call; the calls of the run and what
/// was kept of the last look.
async fn stopped(fault: Option<(usize, Fault)>) -> (Vec<&'static str>, Option<(u64, u64)>) {
    let (registry, world) = (MemoryRegistry::default(), world());
    world.state().requests = Some(requests(1_000, 300));
    let plan = plan(vec![stage(50, MINUTE), stage(1000, MINUTE)]);
    let deployment = begun(&registry, plan, "d1", world.now()).await;
    let bed = Bed::with_fault(&registry, &world, fault);
    let mut machine = Machine::after_plan(bed, &deployment.id);
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::VerdictFailed, "{failure}");
    let kept = registry.items().cells.get(&deployment.id).map(|kept| {
        let canary = kept.cells.iter().map(|kept| kept.cell.canary);
        canary.fold((0, 0), |(all, bad), canary| (all + canary.all, bad + canary.bad))
    });
    (machine.bed.take_operations(), kept)
}

#[tokio::test]
async fn the_look_that_fails_is_kept_too_with_one_call() {
    let (calls, kept) = stopped(None).await;
    assert_eq!(kept, Some((1_000, 300)));
    let looks = calls.iter().filter(|call| **call == "metrics").count();
    assert_eq!(calls.iter().filter(|call| **call == "store_cells").count(), looks);
}

#[tokio::test]
async fn what_cannot_be_kept_changes_no_verdict_and_is_not_tried_again() {
    let (calls, _) = stopped(None).await;
    let at = calls.iter().rposition(|call| *call == "store_cells").unwrap();
    for fault in [Fault::Throttled, Fault::LostBefore, Fault::LostAfter] {
        let (again, _) = stopped(Some((at, fault))).await;
        assert_eq!(again, calls, "{fault:?}");
    }
}
