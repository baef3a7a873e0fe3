//! Versions that were rolled back: a pipeline that runs again must not bring them to the users a second
//! time.

use super::Found;
use crate::document::Findings;
use crate::ids::TaskDefinition;
use crate::record::Quarantined;
use crate::request::Request;

/// The versions in quarantine that are tried again with this one; refuses it unless the request names what
/// took it back. Whoever goes back says which version, and why: nothing is refused then, and no other
/// version is proven by it.
pub(super) fn check(
    request: &Request,
    found: &Found,
    serves: Option<&TaskDefinition>,
    findings: &mut Findings,
) -> Vec<TaskDefinition> {
    let Some(version) = found.task_definition.as_ref().filter(|_| found.way_back.is_none()) else {
        return Vec::new();
    };
    let images = version.images();
    // What serves is not what was taken back, whatever it has in common with it.
    let is = |one: &&Quarantined| {
        one.version == version.arn || serves != Some(&version.arn) && one.is(&version.arn, &images)
    };
    let mut named: Vec<_> = found.quarantined.iter().filter(is).collect();
    named.sort_by_key(|one| std::cmp::Reverse(one.at));
    // And the same build under another name, which its repositories tell, or the tasks would: what is asked
    // for is the same then.
    let build = super::images::build(version, found);
    let runs = |one: &&Quarantined| serves != Some(&version.arn) && one.runs(&build);
    let builds = named.iter().map(|one| one.digests.as_slice());
    let builds: Vec<_> = builds.filter(|digests| !digests.is_empty()).collect();
    let same =
        |one: &&Quarantined| is(one) || runs(one) || builds.contains(&one.digests.as_slice());
    let mut known: Vec<_> = found.quarantined.iter().filter(same).collect();
    known.sort_by_key(|one| std::cmp::Reverse(one.at));
    let Some(last) = known.first() else { return Vec::new() };
    if request.release.retry.as_ref() != Some(&last.deployment) {
        let Quarantined { version: before, deployment, at, because, .. } = last;
        let (before, short) = (before.short(), version.arn.short());
        let same = if before == short {
            format!("`{short}` was taken back")
        } else {
            format!("`{short}` is the build of `{before}`, which was taken back")
        };
        findings.error(
            "$.release.taskDefinition",
            format!("{same} by `{deployment}` at {at}: {because}"),
            format!(
                "deploy another build; to try this one again all the same, or if what was wrong is mended \
                 outside of its images, set `release.retry` to `{deployment}`"
            ),
        );
    }
    // The others may be another build by now, which their own success has to prove.
    named.into_iter().map(|one| one.version.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, container, request};
    use crate::ids::DeploymentId;
    use crate::plan::WayBack;
    use crate::time::Span;
    use crate::world::RegisteredVersion;

    fn one(deployment: &str, version: &str, seconds: u64) -> Quarantined {
        Quarantined {
            version: TaskDefinition::new(version),
            images: vec!["r/app:7".to_owned()],
            digests: Vec::new(),
            deployment: DeploymentId::new(deployment),
            at: NOW + Span::from_secs(seconds),
            because: "AlarmFired: shop-5xx".to_owned(),
        }
    }

    fn found() -> Found {
        let arn = TaskDefinition::new("shop:43");
        let containers = vec![container("web", "r/app:7")];
        let (task_role, execution_role) = (None, None);
        let version =
            RegisteredVersion { arn, active: true, containers, task_role, execution_role };
        let other = Quarantined { images: Vec::new(), ..one("shop-1", "shop:1", 90) };
        Found {
            task_definition: Some(version),
            quarantined: vec![other, one("shop-41", "shop:41", 1), one("shop-42", "shop:42", 2)],
            ..Found::default()
        }
    }

    fn checked(retry: Option<&str>, found: &Found) -> (Vec<String>, Vec<TaskDefinition>) {
        let mut request = request();
        request.release.retry = retry.map(DeploymentId::new);
        let mut findings = Findings::default();
        let serves = TaskDefinition::new("shop:40");
        let retries = check(&request, found, Some(&serves), &mut findings);
        (findings.iter().map(|finding| finding.to_string()).collect(), retries)
    }

    #[test]
    fn a_version_that_was_rolled_back_waits_for_whoever_names_the_rollback() {
        let mut found = found();
        let retries = vec![TaskDefinition::new("shop:42"), TaskDefinition::new("shop:41")];
        for (retry, refused) in [(None, true), (Some("shop-41"), true), (Some("shop-42"), false)] {
            let (findings, tried) = checked(retry, &found);
            assert_eq!(findings.len(), usize::from(refused), "{retry:?} {findings:?}");
            assert_eq!(tried, retries);
            for finding in findings {
                for word in
                    ["`shop:43` is the build of `shop:42`", "`shop-42`", "AlarmFired: shop-5xx"]
                {
                    assert!(finding.contains(word), "{finding}");
                }
            }
        }
        let from = DeploymentId::new("shop-44");
        found.way_back = Some(WayBack {
            from,
            version: TaskDefinition::new("shop:44"),
            skips_validation: false,
        });
        assert_eq!(checked(None, &found), (Vec::new(), Vec::new()));
    }

    /// They have an image in common where only the rest of the task definition was changed.
    #[test]
    fn what_serves_is_refused_for_nothing_but_itself() {
        let mut found = found();
        if let Some(version) = &mut found.task_definition {
            version.arn = TaskDefinition::new("shop:40");
        }
        assert_eq!(checked(None, &found), (Vec::new(), Vec::new()));
    }

    #[test]
    fn others_are_not_its_concern() {
        let mut found = found();
        if let Some(version) = &mut found.task_definition {
            version.containers = vec![container("web", "r/app:8")];
        }
        assert_eq!(checked(None, &found), (Vec::new(), Vec::new()));
    }
}
