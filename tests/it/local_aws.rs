//! The probes of the local AWS, which is written in Python: one run of its own tests.

use std::process::Command;

use glidepath_lab::{Paths, prepare};

use crate::block_on;

#[test]
fn the_local_aws_does_what_the_functions_rely_on() {
    let paths = Paths::new();
    block_on(prepare(&paths)).unwrap();
    let status = Command::new(paths.python())
        // What is left out is told, with its reason.
        .args(["-m", "pytest", "-q", "-rs", "lab/local_aws/tests"])
        .current_dir(paths.root())
        .status()
        .unwrap();
    assert!(status.success(), "the probes failed: {status}");
}
