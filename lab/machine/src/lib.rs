//! What the lab needs of the machine: Linux, Python, a C compiler, memory and room on the disk. Each
//! thing that is missing is one line that says what to do.

mod cargo;
mod lacks;
mod memory;
mod packages;
mod python;
mod room;

pub use cargo::cargo;
pub use lacks::Lacks;
pub use python::PYTHON;
use std::path::Path;

use crate::packages::{find, install};

/// The first thing that is missing. `target` is where cargo builds to; it need not exist yet.
///
/// # Errors
/// The first thing that is missing.
pub fn check(target: &Path) -> Result<(), Lacks> {
    if !cfg!(target_os = "linux") {
        return Err(Lacks::new(
            "the lab needs Linux: its tasks listen on addresses of 127.0.0.0/8",
            "WSL will do, and so will a virtual machine",
        ));
    }
    python::check()?;
    compiler()?;
    memory::check()?;
    room::check(target)
}

/// A crate of the TLS library is C, and Rust links with the C compiler.
fn compiler() -> Result<(), Lacks> {
    let chosen = std::env::var_os("CC").filter(|chosen| !chosen.is_empty());
    if chosen.is_some() || find("cc").is_some() {
        return Ok(());
    }
    Err(Lacks::new(
        "missing: a C compiler (`cc`)",
        format!(
            "install it with: {}",
            install(&["build-essential", "gcc", "base-devel", "gcc", "build-base"])
        ),
    ))
}
