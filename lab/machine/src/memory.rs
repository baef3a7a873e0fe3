//! Memory: two compilers at a time, or a lab with its tasks.

use std::path::Path;

use crate::Lacks;

const GIBIBYTE: u64 = 1024 * 1024 * 1024;
const NEEDED: u64 = 8 * GIBIBYTE;
/// The kernel keeps a part of what a machine has for itself, and does not count it.
const COUNTED_AS_NEEDED: u64 = NEEDED / 100 * 92;

pub(crate) fn check() -> Result<(), Lacks> {
    let Ok(machine) = std::fs::read_to_string("/proc/meminfo") else { return Ok(()) };
    let limit = std::fs::read_to_string(Path::new("/sys/fs/cgroup/memory.max")).ok();
    let found = available(&machine, limit.as_deref());
    found.map_or(Ok(()), enough)
}

fn enough(found: u64) -> Result<(), Lacks> {
    if found >= COUNTED_AS_NEEDED {
        return Ok(());
    }
    let (whole, tenth) = (found / GIBIBYTE, found % GIBIBYTE * 10 / GIBIBYTE);
    Err(Lacks::new(
        format!(
            "this machine has {whole}.{tenth} GiB of memory and swap, and building takes 8 GiB"
        ),
        "give it more (WSL: `memory=8GB` in .wslconfig) or add swap",
    ))
}

/// Memory and swap in bytes, as far as a container's limit allows; `None` if the text says neither.
fn available(meminfo: &str, limit: Option<&str>) -> Option<u64> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 =
            line.trim_start_matches(':').split_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    let swap = field("SwapTotal").unwrap_or(0);
    let memory = field("MemTotal")?;
    // The word `max` is no limit.
    let memory = limit
        .and_then(|limit| limit.trim().parse().ok())
        .map_or(memory, |limit: u64| limit.min(memory));
    Some(memory + swap)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:        8029216 kB\nMemFree:  100 kB\nSwapTotal:       0 kB\n";

    #[test]
    fn a_machine_of_8_gib_is_enough_although_the_kernel_counts_less() {
        assert_eq!(available(MACHINE, Some("max\n")).map(enough), Some(Ok(())));
    }

    #[test]
    fn a_smaller_one_a_container_s_limit_and_swap_count() {
        let small = available("MemTotal: 4014608 kB\nSwapTotal: 0 kB\n", None).map(enough);
        let said = small.and_then(Result::err).map(|lacks| lacks.to_string()).unwrap_or_default();
        assert!(said.contains("has 3.8 GiB of memory and swap"), "{said}");
        assert!(available(MACHINE, Some("4294967296")).map(enough).is_some_and(|it| it.is_err()));
        let swap = "MemTotal: 4014608 kB\nSwapTotal: 4194304 kB\n";
        assert_eq!(available(swap, None).map(enough), Some(Ok(())));
    }

    #[test]
    fn what_cannot_be_read_hinders_nobody() {
        assert_eq!(available("", None), None);
    }
}
