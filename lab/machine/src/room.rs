//! Room on the disk that cargo builds to.

use std::path::Path;
use std::process::Command;

use crate::Lacks;

const MEBIBYTE: u64 = 1024 * 1024;
/// For the first build: everything that the tests are made of, and the Python packages.
const FIRST_BUILD: u64 = 8 * 1024 * MEBIBYTE;
/// For what changes later, and the data of labs that run.
const LATER: u64 = 1024 * MEBIBYTE;

pub(crate) fn check(target: &Path) -> Result<(), Lacks> {
    let built = target.join("debug/lab").exists();
    let needed = if built { LATER } else { FIRST_BUILD };
    // The directory may not exist yet; the disk is that of the nearest one that does.
    let place = target.ancestors().find(|place| place.exists()).unwrap_or(target);
    free(place).map_or(Ok(()), |free| enough(place, free, needed))
}

fn enough(place: &Path, free: u64, needed: u64) -> Result<(), Lacks> {
    if free >= needed {
        return Ok(());
    }
    Err(Lacks::new(
        format!(
            "the disk of {} has {} MiB left, and {} MiB are needed",
            place.display(),
            free / MEBIBYTE,
            needed / MEBIBYTE
        ),
        "make room, or set CARGO_TARGET_DIR to a directory of another disk",
    ))
}

/// Free bytes, as `df` tells them: the standard library cannot, and a crate for it would have to be
/// built first.
fn free(place: &Path) -> Option<u64> {
    let output = Command::new("df").args(["-kP", "--"]).arg(place).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kibibytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_a_way_out() {
        let said = enough(Path::new("/somewhere"), 12 * MEBIBYTE, LATER);
        let said = said.err().map(|lacks| lacks.to_string()).unwrap_or_default();
        assert!(said.contains("the disk of /somewhere has 12 MiB left"), "{said}");
        assert!(said.contains("CARGO_TARGET_DIR"), "{said}");
        assert_eq!(enough(Path::new("/"), LATER, LATER), Ok(()));
    }

    #[test]
    fn free_bytes_are_read() {
        assert!(free(Path::new("/")).is_some_and(|free| free > 0));
    }
}
