//! The features of every crate are the same with and without tests, so that nothing is compiled twice:
//! the lab builds functions and command line after `cargo test` has built everything else.

use std::collections::BTreeSet;
use std::process::Command;

/// Every crate with its version and its features.
fn crates(edges: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--locked", "--offline", "--no-dedupe"])
        .args(["--edges", edges, "--prefix", "none", "--format", "{p} {f}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn tests_ask_for_no_feature_of_what_is_built_without_them() {
    let (without, with) = (crates("normal,build"), crates("normal,build,dev"));
    let differ: Vec<_> = without.difference(&with).collect();
    assert!(without.len() > 100, "{without:?}");
    assert!(
        differ.is_empty(),
        "name what only tests ask of these in [dependencies] of tests/Cargo.toml: {differ:#?}"
    );
}
