//! URLs that must answer, as the plan holds them.

use crate::plan::{Plan, Probe};
use crate::request::{Placeholder, ProbeRequest};
use crate::route::Role;

/// The probes of a plan that is complete but for them, of one slot.
pub(super) fn resolve(probes: &[ProbeRequest], plan: &Plan, role: Role) -> Vec<Probe> {
    probes
        .iter()
        .map(|probe| Probe {
            url: Placeholder::filled(&probe.url, plan, role),
            // The request takes no more than fits.
            status: u16::try_from(probe.status).unwrap_or(u16::MAX),
            contains: probe.contains.clone(),
            attempts: u32::try_from(probe.attempts).unwrap_or(u32::MAX),
            timeout: probe.timeout,
        })
        .collect()
}
