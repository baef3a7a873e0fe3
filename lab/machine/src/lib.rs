//! What the lab needs of the machine: Linux, Python, a C compiler, memory and room on the disk. Each
//! thing that is missing is one line that says what to do.

mod cargo;
mod memory;
mod python;
mod room;

use std::fmt;
use std::path::{Path, PathBuf};

pub use cargo::cargo;
pub use python::PYTHON;

/// Something that the machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacks {
    what: String,
    remedy: String,
}

impl Lacks {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Lacks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Lacks {}

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

/// Where a program of the search path is.
fn find(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).map(|place| place.join(program)).find(|place| place.exists())
}

/// The command of the package manager that this machine has, with its own name of the package:
/// for apt-get, dnf, pacman, zypper and apk.
fn install(packages: &[&str; 5]) -> String {
    const MANAGERS: [(&str, &str); 5] = [
        ("apt-get", "sudo apt-get install -y"),
        ("dnf", "sudo dnf install -y"),
        ("pacman", "sudo pacman -S --noconfirm"),
        ("zypper", "sudo zypper install -y"),
        ("apk", "sudo apk add"),
    ];
    let mut managers = MANAGERS.iter().zip(packages);
    managers.find(|((manager, _), _)| find(manager).is_some()).map_or_else(
        || "your system's package manager".to_owned(),
        |((_, command), package)| format!("{command} {package}"),
    )
}
