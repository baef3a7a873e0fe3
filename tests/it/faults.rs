//! A sample of `cargo lab faults`: a fault anywhere, and still a clean end. The command plays all.

use std::path::{Path, PathBuf};

use glidepath_lab::FaultSweep;

/// Chooses calls of several functions, and several faults.
const SEED: u64 = 3;
/// A few minutes.
const RUNS: usize = 6;

#[test]
fn a_deployment_ends_clean_whatever_fails() {
    let scenario = |name: &str| -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/scenarios").join(name)
    };
    let files = ["short-success.yaml", "short-veto.yaml", "short-alarm.yaml"].map(scenario);
    let sweep =
        FaultSweep { files: files.into(), sample: Some(RUNS), seed: SEED, ..FaultSweep::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let swept = runtime.block_on(sweep.run(|line| println!("{line}"))).unwrap();
    assert!(swept.failures.is_empty(), "{swept}");
    assert!(swept.runs > 0, "no fault struck: {swept}");
}
