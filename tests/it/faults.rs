//! A sample of `cargo lab faults`: a fault anywhere, and still the end that the scenario expects without
//! it. The command plays all.

use glidepath_lab::FaultSweep;

use crate::{block_on, scenarios_directory};

/// Chooses calls of several functions, and several faults.
const SEED: u64 = 3;
/// A few minutes.
const RUNS: usize = 6;

#[test]
fn a_good_version_stays_and_a_bad_one_goes_whatever_fails() {
    let files = ["short-success.yaml", "short-veto.yaml", "short-alarm.yaml"];
    let files = files.map(|name| scenarios_directory().join(name));
    let sweep =
        FaultSweep { files: files.into(), sample: Some(RUNS), seed: SEED, ..FaultSweep::default() };
    let swept = block_on(sweep.run(|line| println!("{line}"))).unwrap();
    assert!(swept.failures.is_empty(), "{swept}");
    assert!(swept.runs > 0, "no fault struck: {swept}");
}

#[test]
fn what_is_read_while_tasks_start_may_fail() {
    // Only a version that does not start has its stopped tasks listed and described.
    let files = vec![scenarios_directory().join("fails-to-start.yaml")];
    // The first of each: how many follow differs from one time to the next.
    let matching = ["Tasks\"", "\"advance\"", "\"nth\":1,"].map(str::to_owned).into();
    let sample = Some(2);
    let sweep = FaultSweep { files, sample, seed: SEED, matching, ..FaultSweep::default() };
    let swept = block_on(sweep.run(|line| println!("{line}"))).unwrap();
    assert!(swept.failures.is_empty(), "{swept}");
    assert!(swept.runs > 0, "no fault struck: {swept}");
}
