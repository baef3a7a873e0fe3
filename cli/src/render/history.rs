//! What has been deployed, as a table and for programs.

use glidepath_core::back::Standing;
use glidepath_core::record::{Deployment, Outcome, Phase};
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

const TITLES: [&str; 8] =
    ["DEPLOYMENT", "VERSION", "IMAGE", "BEGAN", "TOOK", "BY, AS THEY SAY", "END", "WAY BACK"];

/// One line for each, in the order given.
pub(crate) fn history(entries: &[Entry<'_>], service: Option<&str>, now: Timestamp) -> String {
    if entries.is_empty() {
        return match service {
            Some(service) => format!("no deployment of the service `{service}` has ended\n"),
            None => "no deployment has ended yet\n".to_owned(),
        };
    }
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
        plain(plan.task_definition.short().to_owned()),
        plain(
            plan.images.first().map_or_else(String::new, |image| shortened(name(image), LONGEST)),
        ),
        plain(deployment.started_at.to_string()),
        plain(length(state.since.since(deployment.started_at))),
        plain(plan.started_by.as_deref().map_or_else(String::new, |by| shortened(by, LONGEST))),
        (shortened(&state.words, LONGEST), state.tone.style()),
        plain(way_back(entry, now)),
    ]
}

/// The part of an image's name that tells one version from another.
fn name(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

fn way_back(entry: &Entry<'_>, now: Timestamp) -> String {
    match (entry.standing, entry.until) {
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
            Standing::Left(_) | Standing::Served => "served",
            Standing::NeverServed => "neverServed",
        };
        json!({
            "deployment": deployment.id,
            "service": plan.service,
            "version": plan.task_definition,
            "replaces": plan.stable.task_definition,
            "images": plan.images,
            "startedBy": plan.started_by,
            "reason": plan.reason,
            "startedAt": deployment.started_at.to_string(),
            // Nothing is due any more: the last time that was, it was closed.
            "endedAt": deployment.next_due_at.to_string(),
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
    use glidepath_core::time::Span;

    use super::*;
    use crate::fixtures::{self, NOW, same_as_file};

    fn ended(number: u32, mut deployment: Deployment) -> Deployment {
        deployment.id = DeploymentId::new(format!("shop-{number}"));
        deployment.plan.task_definition = TaskDefinition::new(format!("shop:{number}"));
        deployment.plan.images =
            vec![format!("1.dkr.ecr.eu-west-1.amazonaws.com/team/shop:3f9c2{number}")];
        deployment.plan.started_by = Some("Ada Lovelace".to_owned());
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
            (Standing::Serves, None),
            (Standing::Left(&serving), Some(NOW + Span::from_secs(1_500))),
            (Standing::Served, None),
            (Standing::NeverServed, None),
        ];
        let entries: Vec<_> = deployments
            .iter()
            .zip(standings)
            .map(|(deployment, (standing, until))| Entry { deployment, standing, until })
            .collect();
        same_as_file("history.txt", &history(&entries, None, NOW));
        same_as_file("history.json", &format!("{:#}\n", json!(entries)));
        let late = Entry { until: Some(NOW), ..entries[2].clone() };
        assert_eq!(way_back(&late, NOW), "once its tasks have started");
    }

    #[test]
    fn nothing_has_ended_yet() {
        assert_eq!(history(&[], None, NOW), "no deployment has ended yet\n");
        let text = history(&[], Some("shpo"), NOW);
        assert_eq!(text, "no deployment of the service `shpo` has ended\n");
    }
}
