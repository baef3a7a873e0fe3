//! Programs and the package manager that this machine has.

use std::path::PathBuf;

/// Where a program of the search path is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).map(|place| place.join(program)).find(|place| place.exists())
}

/// The command of the package manager that this machine has, with its own name of the package:
/// for apt-get, dnf, pacman, zypper and apk.
pub(crate) fn install(packages: &[&str; 5]) -> String {
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
