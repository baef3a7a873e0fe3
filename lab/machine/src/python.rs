//! The interpreter that the local AWS's environment is made with.

use std::process::{Command, Stdio};

use crate::Lacks;
use crate::packages::install;

/// Its name on the search path.
pub const PYTHON: &str = "python3";
/// Prints the version if everything that is needed to make a virtual environment is there.
const PROBE: &str = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
const OLDEST: (u32, u32) = (3, 10);

pub(crate) fn check() -> Result<(), Lacks> {
    let probe = Command::new(PYTHON).args(["-c", PROBE]).stdin(Stdio::null()).output();
    let missing = match probe {
        Err(_) => "python3",
        Ok(output) if !output.status.success() => "python3-venv",
        Ok(output) if version(&output.stdout).is_some_and(|found| found >= OLDEST) => return Ok(()),
        Ok(_) => "python3 (3.10 or newer)",
    };
    let packages = ["python3 python3-venv", "python3", "python", "python3", "python3"];
    Err(Lacks::new(
        format!("missing: {missing}"),
        format!("install it with: {}", install(&packages)),
    ))
}

fn version(output: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(output).ok()?;
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version(b"3.9\n").is_some_and(|found| found < OLDEST));
        assert!(version(b"3.11\n").is_some_and(|found| found >= OLDEST));
        assert_eq!(version(b"Python"), None);
    }
}
