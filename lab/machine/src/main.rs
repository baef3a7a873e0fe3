//! `cargo demo` and `cargo lab` begin here: what the machine lacks is said within seconds, and not
//! after minutes of building. Then cargo builds the lab itself and runs it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

/// With no arguments it only checks.
fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => directory.into(),
        None => root.join("target"),
    };
    if let Err(lacks) = glidepath_machine::check(&target) {
        return stop(&lacks.to_string());
    }
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_none() {
        return ExitCode::SUCCESS;
    }
    // No package is named: cargo would choose features for that one alone, and build the SDK again
    // for the functions and for the tests.
    let lab = ["run", "--bin", "lab", "--"];
    let error = glidepath_machine::cargo().args(lab).args(arguments).exec();
    stop(&format!("cargo cannot be started: {error}"))
}

fn stop(text: &str) -> ExitCode {
    // Nobody to tell is no reason to panic.
    let _ = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::FAILURE
}
