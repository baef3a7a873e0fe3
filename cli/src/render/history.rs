//! What has been deployed, as a table and for programs.

use glidepath_core::back::Standing;
use glidepath_core::plan::{Plan, short_digest};
use glidepath_core::record::{Deployment, Digests, Outcome, Phase, is_pinned};
use glidepath_core::time::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::Tone;
use super::moment::length;
use super::state::state;
use super::table::{Cell, shortened, table};

/// Longest text of a cell, in characters.
const LONGEST: usize = 40;

/// A deployment that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) deployment: &'a Deployment,
    pub(crate) standing: Standing<'a>,
    /// Until when its tasks are kept, where it served last.
    pub(crate) until: Option<Timestamp>,
}

const TITLES: [&str; 9] =
    ["DEPLOYMENT", "SERVICE", "VERSION", "IMAGE", "BEGAN", "TOOK", "BY", "END", "WAY BACK"];

/// One line for each, in the order given.
pub(crate) fn history(entries: &[Entry<'_>], now: Timestamp) -> String {
    let rows: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
    table(TITLES, &rows)
}

fn row(entry: &Entry<'_>, now: Timestamp) -> [Cell; TITLES.len()] {
    let deployment = entry.deployment;
    let plan = &deployment.plan;
    let state = state(deployment, now);
    let plain = |text: String| (text, Tone::Plain.style());
    [
        plain(deployment.id.to_string()),
        plain(plan.service.to_string()),
        plain(plan.task_definition.short().to_owned()),
        plain(images(&plan.images, deployment.progress.digests.as_ref())),
        plain(deployment.started_at.to_string()),
        plain(length(state.since.since(deployment.started_at))),
        plain(started(plan)),
        (shortened(&state.words, LONGEST), state.tone.style()),
        plain(way_back(entry, now)),
    ]
}

/// The first image, by what tells one version from another, and how many there are besides. A tag that is moved
/// from build to build tells nothing: what it stood for then does.
fn images(images: &[String], ran: Option<&Digests>) -> String {
    let Some(first) = images.first() else { return String::new() };
    let name = first.rsplit('/').next().unwrap_or(first);
    let mut seen = ran.into_iter().flat_map(|ran| &ran.canary);
    let seen = seen.find(|seen| seen.image == *first && !is_pinned(first));
    let seen = seen.and_then(|seen| seen.digest.as_ref());
    let name = match (name.split_once('@'), seen) {
        (Some((name, digest)), _) => format!("{name}@{}", short_digest(digest)),
        (None, Some(digest)) => format!("{name}@{}", short_digest(digest)),
        (None, None) => name.to_owned(),
    };
    match images.len() {
        1 => end(&name),
        all => format!("{} +{}", end(&name), all - 1),
    }
}

/// Whom AWS has recognised, before what somebody says.
fn started(plan: &Plan) -> String {
    match (&plan.starter, &plan.started_by) {
        (Some(starter), _) => who(starter),
        (None, Some(said)) => format!("{} (said)", who(said)),
        (None, None) => String::new(),
    }
}

/// Of an ARN the role and the session, or the user.
fn who(by: &str) -> String {
    let named = by.split_once('/').filter(|_| by.starts_with("arn:"));
    end(named.map_or(by, |(_, named)| named))
}

/// The end, which tells most, with an ellipsis where something is left out.
fn end(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let rest: String = text.chars().skip(length - LONGEST + 1).collect();
    format!("…{rest}")
}

fn way_back(entry: &Entry<'_>, now: Timestamp) -> String {
    match (entry.standing, entry.until) {
        (Standing::Serves, Some(until)) if until > now => format!(
            "serves; {} is back at once, for {}",
            entry.deployment.plan.stable.task_definition.short(),
            length(until.since(now))
        ),
        (Standing::Serves, _) => "serves".to_owned(),
        (Standing::Left(_), Some(until)) if until > now => {
            format!("at once, for {}", length(until.since(now)))
        }
        (Standing::Left(_) | Standing::Served, _) => "once its tasks have started".to_owned(),
        (Standing::NeverServed, _) => "never served".to_owned(),
    }
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let deployment = self.deployment;
        let plan = &deployment.plan;
        let outcome = match deployment.phase {
            Phase::Closed(outcome) => Some(outcome),
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => None,
        };
        let failed = outcome != Some(Outcome::Succeeded);
        let failure = deployment.fence.as_ref().filter(|_| failed).map(|fence| &fence.failure);
        let standing = match self.standing {
            Standing::Serves => "serves",
            Standing::Left(_) => "left",
            Standing::Served => "served",
            Standing::NeverServed => "neverServed",
        };
        json!({
            "deployment": deployment.id,
            "service": plan.service,
            "cluster": plan.cluster,
            "slots": [&plan.stable.service, &plan.canary.service],
            "version": plan.task_definition,
            "replaces": plan.stable.task_definition,
            "images": plan.images,
            "digests": deployment.progress.digests.as_ref().map(|ran| &ran.canary),
            "startedBy": plan.started_by,
            "starter": plan.starter,
            "reason": plan.reason,
            "startedAt": deployment.started_at.to_string(),
            "endedAt": deployment.ended_at().map(|at| at.to_string()),
            "outcome": outcome,
            "failure": failure.map(|failure| json!({
                "name": failure.code.name(), "cause": failure.cause,
            })),
            "standing": standing,
            "tasksKeptUntil": self.until.map(|until| until.to_string()),
        })
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::{DeploymentId, TaskDefinition};
    use glidepath_core::plan::ImageDigest;
    use glidepath_core::time::Span;

    use super::*;
    use crate::fixtures::{self, NOW, same_as_file};

    fn ended(number: u32, mut deployment: Deployment) -> Deployment {
        deployment.id = DeploymentId::new(format!("shop-{number}"));
        deployment.plan.task_definition = TaskDefinition::new(format!("shop:{number}"));
        deployment.plan.images =
            vec![format!("1.dkr.ecr.eu-west-1.amazonaws.com/team/shop:3f9c2{number}")];
        let role =
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Deployers_0a1b/ada@example.com";
        // One that was started past the stack.
        if number == 41 {
            deployment.plan.started_by = Some("pipeline 7 of shop".to_owned());
        } else {
            deployment.plan.starter = Some(role.to_owned());
        }
        deployment
    }

    #[test]
    fn every_standing_has_a_line() {
        let serving = ended(44, fixtures::succeeded());
        let deployments = [
            ended(45, fixtures::rolled_back()),
            serving.clone(),
            ended(43, fixtures::succeeded()),
            ended(42, fixtures::succeeded()),
            ended(41, fixtures::abandoned()),
        ];
        let standings = [
            (Standing::NeverServed, None),
            (Standing::Serves, Some(NOW + Span::from_secs(1_500))),
            (Standing::Left(&serving), Some(NOW + Span::from_secs(1_500))),
            (Standing::Served, None),
            (Standing::NeverServed, None),
        ];
        let entries: Vec<_> = deployments
            .iter()
            .zip(standings)
            .map(|(deployment, (standing, until))| Entry { deployment, standing, until })
            .collect();
        same_as_file("history.txt", &history(&entries, NOW));
        same_as_file("history.json", &format!("{:#}\n", json!(entries)));
        let late = Entry { until: Some(NOW), ..entries[2].clone() };
        assert_eq!(way_back(&late, NOW), "once its tasks have started");
    }

    #[test]
    fn what_tells_most_of_a_long_name_is_kept() {
        let images = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            super::images(&texts, None)
        };
        assert_eq!(images(&[]), "");
        assert_eq!(images(&["1.ecr/team/shop:v2", "envoy:1"]), "shop:v2 +1");
        let digest = format!("1.ecr/shop@sha256:{}", "0a1b2c3d4e5f6a7b".repeat(4));
        assert_eq!(images(&[&digest]), "shop@0a1b2c3d4e5f");
        let moved = "1.ecr/shop:latest".to_owned();
        let (container, digest) = ("web".to_owned(), Some("sha256:0a1b2c3d4e5f6a7b".to_owned()));
        let seen = ImageDigest { container, image: moved.clone(), digest };
        let ran = Digests { canary: [seen].into(), ..Digests::default() };
        assert_eq!(super::images(&[moved], Some(&ran)), "shop:latest@0a1b2c3d4e5f");
        let long = format!("{}:3f9c2e1", "checkout-".repeat(6));
        let shown = images(&[&long]);
        assert!(shown.starts_with('…') && shown.ends_with(":3f9c2e1"), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST);
        assert_eq!(who("arn:aws:iam::1:user/ada"), "ada");
        assert_eq!(who("release/nightly"), "release/nightly");
    }
}
