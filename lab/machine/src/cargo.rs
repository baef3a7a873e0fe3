//! Cargo, called by what cargo has started.

use std::process::Command;

/// What cargo tells a program that it starts about the program's own package. Build scripts take
/// these for their own (ring's watches them), so whatever lies on them would be built again.
const OF_THE_CALLER: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_PACKAGE"];

/// The cargo that has built this, in the environment that a person would call it in.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let of_the_caller =
            |name: &str| OF_THE_CALLER.iter().any(|prefix| name.starts_with(prefix));
        if name.to_str().is_some_and(of_the_caller) {
            command.env_remove(name);
        }
    }
    command
}
