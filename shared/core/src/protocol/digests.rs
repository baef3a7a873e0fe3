//! What the canary's tasks run, before anybody meets them: a tag may stand for another image than the request
//! means.

use std::collections::BTreeSet;

use super::refused::Refused;
use super::write::RegistryWrite;
use crate::failure::{Failure, FailureCode};
use crate::plan::{build_of, named, strayed};
use crate::record::{Deployment, Digests, Quarantined};
use crate::time::Timestamp;

impl Deployment {
    /// Whether nobody has looked yet at what the tasks run, and nobody has met them.
    pub const fn lacks_digests(&self) -> bool {
        self.progress.digests.is_none() && self.progress.shifts.is_empty()
    }

    /// What the tasks run, with the versions that are tried again by it, or why no request may meet them.
    /// `answering` are the containers that requests go to; empty where nobody says which they are.
    pub fn compared(
        &self,
        found: &Digests,
        answering: &BTreeSet<String>,
        quarantined: &[Quarantined],
    ) -> Result<Digests, Failure> {
        let plan = &self.plan;
        let found = Digests {
            canary: named(&found.canary, &plan.images),
            stable: named(&found.stable, &plan.stable_images),
            retries: Vec::new(),
        };
        let version = plan.task_definition.short();
        let refused = |cause: String| Err(Failure::new(FailureCode::InvalidRequest, cause));
        if plan.way_back.is_some() {
            let strayed = strayed(&plan.ran, &found.stable, &found.canary, answering);
            if strayed.is_empty() {
                return Ok(found);
            }
            return refused(format!(
                "{version} does not start with what it ran when it served: {}. Its tags have been moved \
                 since, and no request has met it. To bring it back as it is now, add `--skip-validation` to \
                 the command, or `skipValidation: true` to the request's release",
                strayed.join("; ")
            ));
        }
        let build = build_of(&found.canary);
        if build == build_of(&found.stable) {
            // What serves is not what was taken back, whatever it has in common with it.
            return Ok(found);
        }
        let mut known: Vec<_> = quarantined.iter().filter(|one| one.runs(&build)).collect();
        known.sort_by_key(|one| std::cmp::Reverse(one.at));
        let Some(last) = known.first() else { return Ok(found) };
        // What the plan was told by name means the same build.
        let tried = plan.retry.as_ref() == Some(&last.deployment)
            || known.iter().any(|one| plan.retries.contains(&one.version));
        if tried {
            let retries = known.iter().map(|one| one.version.clone()).collect();
            return Ok(Digests { retries, ..found });
        }
        refused(format!(
            "{version} runs the build of `{}`, which was taken back by `{}` at {}: {}. No request has met \
             it. To try this build again all the same, set `release.retry` to `{1}`",
            last.version.short(),
            last.deployment,
            last.at,
            last.because
        ))
    }
}

/// Records what the tasks run.
pub fn record_digests(
    deployment: &Deployment,
    digests: Digests,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    if !deployment.lacks_digests() {
        return Err(Refused::NotNewer);
    }
    let mut seen = deployment.revised(now, next_due_at);
    seen.progress.digests = Some(digests);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(seen.clone()))];
    writes.extend(deployment.require_quiet());
    Ok((seen, writes))
}
