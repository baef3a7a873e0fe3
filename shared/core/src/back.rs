//! The way back after a success: which version a person means, and the request that brings it back. What
//! has served before is known from the registry, never from a naming rule: revisions skip numbers, and slots
//! take turns.

use std::collections::BTreeSet;

use crate::document::Percent;
use crate::ids::{DeploymentId, TaskDefinition};
use crate::plan::{OnInconclusive, Plan, Slot};
use crate::record::{Deployment, LockKey, Outcome, Phase};
use crate::request::{
    Alarms, ApiVersion, BadRequests, Capacity, Compared, Force, Health, Inconclusive, Release,
    Request, Rollback, Sensitivity, Slots, SlowRequests, Target, defaults,
};
use crate::strategy::{AllAtOnce, Strategy};
use crate::time::Span;
use crate::weight::Weight;

/// Where somebody wants to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// What served before the version that serves now.
    Previous,
    /// A deployment, a task definition (`shop:41` or its ARN), or the tag of an image.
    Named(String),
}

/// What brings a version back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// The deployment whose version serves now.
    pub serving: DeploymentId,
    pub request: Request,
}

/// Why nothing is brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWayBack {
    /// No deployment of it is known to have succeeded.
    NeverDeployed,
    /// Services of this name have been deployed to more than one pair of slots: these were the last.
    Ambiguous(Vec<DeploymentId>),
    /// One runs: that is what is rolled back.
    Running(DeploymentId),
    /// One has succeeded and is being completed.
    Completing(DeploymentId),
    /// Another deployment has succeeded since the one that was named.
    Replaced(DeploymentId),
    /// What was named is back already: this is the deployment whose version serves.
    BackAlready(DeploymentId),
    /// Somebody has gone back already, by this deployment: what served before it is what they left.
    WentBack(DeploymentId),
    /// These versions have an image of that tag.
    Tagged(Vec<TaskDefinition>),
    /// It serves now.
    Serves(TaskDefinition),
    /// It never served here, as far as is known; these did, the newest first.
    Unknown(Vec<TaskDefinition>),
}

/// What brings a version back, of what the registry knows (newest first). `subject` is the name of a service,
/// or of the deployment whose version serves.
pub fn back(
    known: &[Deployment],
    subject: &str,
    to: &To,
    by: Option<&str>,
    reason: &str,
) -> Result<Back, NoWayBack> {
    let serving = serving(known, subject, to)?;
    let here: Vec<_> =
        known.iter().filter(|other| same_slots(&other.plan, &serving.plan)).collect();
    if let Some(open) = here.iter().find(|other| !matches!(other.phase, Phase::Closed(_))) {
        let id = open.id.clone();
        let completing = open.phase == Phase::Committed;
        return Err(if completing { NoWayBack::Completing(id) } else { NoWayBack::Running(id) });
    }
    let now = &serving.plan.task_definition;
    let served = served(&here);
    let wanted = match to {
        // Two people who type the same would go back and forth.
        To::Previous if subject != serving.id.as_str() && went_back(serving, &here) => {
            return Err(NoWayBack::WentBack(serving.id.clone()));
        }
        To::Previous => served.iter().find(|version| *version != now),
        To::Named(text) => named(&here, &served, text)?,
    };
    match wanted {
        Some(wanted) if wanted == now => Err(NoWayBack::Serves(now.clone())),
        Some(wanted) => Ok(Back {
            serving: serving.id.clone(),
            request: request(&serving.plan, wanted, by, reason),
        }),
        None => {
            Err(NoWayBack::Unknown(served.into_iter().filter(|version| version != now).collect()))
        }
    }
}

/// What a deployment's version is to its service by now, whatever became of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Everybody is served by it.
    Serves,
    /// It served before this one, whose old slot it is: its tasks may still be there.
    Left(&'a Deployment),
    /// It has served, longer ago.
    Served,
    /// It never served everybody.
    NeverServed,
}

/// The same of what the registry knows (newest first); `None` while it runs.
pub fn standing<'a>(known: &'a [Deployment], deployment: &Deployment) -> Option<Standing<'a>> {
    if !matches!(deployment.phase, Phase::Closed(_)) {
        return None;
    }
    let here: Vec<_> =
        known.iter().filter(|other| same_slots(&other.plan, &deployment.plan)).collect();
    // From the commit on everything is on the new version.
    let serving =
        here.iter().find(|other| succeeded(other) || matches!(other.phase, Phase::Committed));
    let version = &deployment.plan.task_definition;
    Some(match serving {
        Some(serving) if serving.plan.task_definition == *version => Standing::Serves,
        Some(serving) if serving.plan.stable.task_definition == *version => Standing::Left(serving),
        Some(_) if served(&here).contains(version) => Standing::Served,
        Some(_) | None => Standing::NeverServed,
    })
}

fn succeeded(deployment: &Deployment) -> bool {
    matches!(deployment.phase, Phase::Closed(Outcome::Succeeded))
}

/// Whether a success has brought back what had served before.
fn went_back(serving: &Deployment, here: &[&Deployment]) -> bool {
    let before = here.iter().skip_while(|other| other.id != serving.id).skip(1);
    served(&before.copied().collect::<Vec<_>>()).contains(&serving.plan.task_definition)
}

/// A cluster may be given by its name or its ARN.
fn same_slots(one: &Plan, other: &Plan) -> bool {
    let keys = |plan: &Plan| {
        let Slots { blue, green } = slots(plan);
        [blue, green].map(|service| LockKey::service(&plan.cluster, &service))
    };
    keys(one) == keys(other)
}

fn slots(plan: &Plan) -> Slots {
    let of = |slot| {
        let found = if plan.stable.slot == slot { &plan.stable } else { &plan.canary };
        found.service.clone()
    };
    Slots { blue: of(Slot::Blue), green: of(Slot::Green) }
}

/// The deployment whose version serves: the last success of what is named.
fn serving<'a>(
    known: &'a [Deployment],
    subject: &str,
    to: &To,
) -> Result<&'a Deployment, NoWayBack> {
    if let Some(exactly) = known.iter().find(|deployment| deployment.id.as_str() == subject) {
        let here = known.iter().filter(|other| same_slots(&other.plan, &exactly.plan));
        // One that runs is told as such, whoever was named.
        let ended = here.filter(|other| matches!(other.phase, Phase::Closed(_)));
        let newest = ended.into_iter().find(|other| succeeded(other));
        let newest = newest.ok_or(NoWayBack::NeverDeployed)?;
        return match exactly.phase {
            Phase::Closed(Outcome::Succeeded) if newest.id != exactly.id && *to == To::Previous => {
                Err(NoWayBack::Replaced(newest.id.clone()))
            }
            // One step further would take a good version away.
            Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
                Err(NoWayBack::BackAlready(newest.id.clone()))
            }
            Phase::Closed(Outcome::Succeeded)
            | Phase::Open
            | Phase::RollingBack
            | Phase::Held
            | Phase::Committed => Ok(newest),
        };
    }
    let mut last: Vec<&Deployment> = Vec::new();
    let of_service = known.iter().filter(|deployment| deployment.plan.service.as_str() == subject);
    for deployment in of_service.filter(|deployment| succeeded(deployment)) {
        if !last.iter().any(|other| same_slots(&other.plan, &deployment.plan)) {
            last.push(deployment);
        }
    }
    match last[..] {
        [] => Err(NoWayBack::NeverDeployed),
        [only] => Ok(only),
        [..] => Err(NoWayBack::Ambiguous(last.iter().map(|last| last.id.clone()).collect())),
    }
}

/// Versions that have served everybody, the newest first, each once.
fn served(here: &[&Deployment]) -> Vec<TaskDefinition> {
    let mut served: Vec<TaskDefinition> = Vec::new();
    let successes = here.iter().filter(|deployment| succeeded(deployment));
    for Deployment { plan, .. } in successes {
        for version in [&plan.task_definition, &plan.stable.task_definition] {
            if !served.contains(version) {
                served.push(version.clone());
            }
        }
    }
    served
}

fn named<'a>(
    here: &[&Deployment],
    served: &'a [TaskDefinition],
    text: &str,
) -> Result<Option<&'a TaskDefinition>, NoWayBack> {
    let exact = served.iter().find(|version| version.as_str() == text || version.short() == text);
    if exact.is_some() {
        return Ok(exact);
    }
    if let Some(deployment) = here.iter().find(|deployment| deployment.id.as_str() == text) {
        let brought = &deployment.plan.task_definition;
        return Ok(served
            .iter()
            .find(|version| *version == brought)
            .filter(|_| succeeded(deployment)));
    }
    // A side container's tag stays from version to version, and some tags move: nothing is guessed.
    let has = |deployment: &&&Deployment| {
        deployment.plan.images.iter().any(|image| tag(image) == Some(text))
    };
    let tagged = here.iter().filter(|deployment| succeeded(deployment)).filter(has);
    let tagged: BTreeSet<_> = tagged.map(|deployment| &deployment.plan.task_definition).collect();
    let mut tagged = served.iter().filter(|version| tagged.contains(version));
    match (tagged.next(), tagged.next()) {
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(tagged);
            Err(NoWayBack::Tagged(all.cloned().collect()))
        }
        (only, _) => Ok(only),
    }
}

/// The tag of an image such as `repository/app:0a1b2c3@sha256:…`.
fn tag(image: &str) -> Option<&str> {
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    named.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

/// Everything at once and unjudged, as soon as the tasks are healthy: it has served before.
fn request(plan: &Plan, version: &TaskDefinition, by: Option<&str>, reason: &str) -> Request {
    let everything = Percent::from_permille(Weight::ALL);
    Request {
        api_version: ApiVersion::V1,
        service: plan.service.clone(),
        target: Target {
            cluster: plan.cluster.clone(),
            slots: slots(plan),
            routes: plan.routes.iter().map(|route| route.route.clone()).collect(),
        },
        release: Release { task_definition: version.clone() },
        strategy: Strategy::AllAtOnce(AllAtOnce { bake: Span::ZERO }),
        capacity: Capacity { scale_in_delay: plan.scale_in_delay, ..Capacity::default() },
        settle_within: plan.settle_within,
        retention: plan.retention,
        health: Health {
            interval: plan.health.interval,
            alarms: Alarms::default(),
            bad_requests: BadRequests { limit: everything, are: plan.health.bad_requests_are },
            slow_requests: SlowRequests::default(),
            comparison: Compared { sensitivity: Sensitivity::None, ..Compared::default() },
            checks: Vec::new(),
            hooks: Vec::new(),
            probes: Vec::new(),
            minimum_requests: defaults::minimum_requests(),
            // What it leaves may be in ruins, and that is no reason to wait.
            on_inconclusive: Inconclusive {
                extend_up_to: Span::ZERO,
                then: OnInconclusive::Continue,
            },
        },
        rollback: Rollback {
            weak_stable: plan.rollback.weak_stable,
            hold_for: plan.rollback.hold_for,
            then: plan.rollback.then,
        },
        concurrency: defaults::concurrency(),
        notify: plan.notify.clone(),
        force: Force::default(),
        started_by: by.map(str::to_owned),
        reason: Some(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::deployment;

    fn version(number: u32) -> TaskDefinition {
        TaskDefinition::new(format!("arn:aws:ecs:eu-west-1:1:task-definition/shop:{number}"))
    }

    /// `shop-N` brought version N in place of another one.
    fn of(number: u32, before: u32, phase: Phase) -> Deployment {
        let mut found = deployment();
        found.id = DeploymentId::new(format!("shop-{number}"));
        found.phase = phase;
        found.plan.task_definition = version(number);
        found.plan.stable.task_definition = version(before);
        found.plan.images = vec![format!("repository/app:tag{number}")];
        found
    }

    fn id(text: &str) -> DeploymentId {
        DeploymentId::new(text)
    }

    const GOOD: Phase = Phase::Closed(Outcome::Succeeded);
    const BAD: Phase = Phase::Closed(Outcome::RolledBack);

    fn to(known: &[Deployment], subject: &str, to: &str) -> Result<String, NoWayBack> {
        let to = if to == "previous" { To::Previous } else { To::Named(to.to_owned()) };
        let found = back(known, subject, &to, Some("ada"), "checkout is slow")?;
        Ok(found.request.release.task_definition.short().to_owned())
    }

    #[test]
    fn previous_is_what_served_before_whatever_failed_between() {
        let known = [of(5, 3, BAD), of(3, 2, GOOD), of(2, 1, GOOD)];
        assert_eq!(to(&known, "shop", "previous"), Ok("shop:2".to_owned()));
        // After the way back the previous one is what was left.
        let back = of(2, 3, GOOD);
        let known = [Deployment { id: DeploymentId::new("back"), ..back }, of(3, 2, GOOD)];
        // By the service's name it would go back and forth: two people may have typed the same.
        assert_eq!(to(&known, "shop", "previous"), Err(NoWayBack::WentBack(id("back"))));
        assert_eq!(to(&known, "shop", "shop:3"), Ok("shop:3".to_owned()));
        assert_eq!(to(&known, "back", "previous"), Ok("shop:3".to_owned()));
        assert_eq!(to(&known, "shop-3", "previous"), Err(NoWayBack::Replaced(id("back"))));
    }

    #[test]
    fn what_a_version_is_by_now() {
        let mut elsewhere = of(9, 8, GOOD);
        elsewhere.plan.stable.service = crate::ids::EcsServiceName::new("other-blue");
        let known = [
            of(6, 3, Phase::Open),
            of(5, 3, BAD),
            elsewhere,
            of(3, 2, GOOD),
            of(2, 1, GOOD),
            of(1, 0, GOOD),
        ];
        let standings: Vec<_> = known.iter().map(|one| standing(&known, one)).collect();
        let expected = [
            None,
            Some(Standing::NeverServed),
            Some(Standing::Serves),
            Some(Standing::Serves),
            Some(Standing::Left(&known[3])),
            Some(Standing::Served),
        ];
        assert_eq!(standings, expected);
        // Somebody has gone back: what they left is what served before.
        let again = Deployment { id: DeploymentId::new("back"), ..of(2, 3, GOOD) };
        let known = [again, of(3, 2, GOOD), of(2, 1, GOOD)];
        assert_eq!(standing(&known, &known[1]), Some(Standing::Left(&known[0])));
        assert_eq!(standing(&known, &known[2]), Some(Standing::Serves));
        // Somebody tried to go back, and that was rolled back: the version has served all the same.
        let tried = Deployment { id: DeploymentId::new("back"), ..of(1, 3, BAD) };
        let known = [tried, of(3, 2, GOOD), of(2, 1, GOOD), of(1, 0, GOOD)];
        assert_eq!(standing(&known, &known[0]), Some(Standing::Served));
        // Everything is on the new version, which is being completed.
        let known = [of(4, 3, Phase::Committed), of(3, 2, GOOD)];
        assert_eq!(standing(&known, &known[1]), Some(Standing::Left(&known[0])));
        // By its name, or by its ARN.
        let mut named = of(3, 2, GOOD);
        named.plan.cluster = crate::ids::ClusterName::new("arn:aws:ecs:eu-west-1:1:cluster/x");
        let mut other = of(2, 1, GOOD);
        other.plan.cluster = crate::ids::ClusterName::new("x");
        let known = [named, other];
        assert_eq!(standing(&known, &known[1]), Some(Standing::Left(&known[0])));
    }

    #[test]
    fn a_version_has_many_names_and_must_have_served() {
        let known = [of(5, 3, BAD), of(3, 2, GOOD), of(2, 1, GOOD)];
        for name in ["shop-2", "shop:2", version(2).as_str(), "tag2"] {
            assert_eq!(to(&known, "shop", name), Ok("shop:2".to_owned()), "{name}");
        }
        // It was there before the first deployment that is known.
        assert_eq!(to(&known, "shop", "shop:1"), Ok("shop:1".to_owned()));
        assert_eq!(to(&known, "shop", "shop:3"), Err(NoWayBack::Serves(version(3))));
        for name in ["shop-5", "shop:5", "tag5", "shop:4", ""] {
            let others = NoWayBack::Unknown(vec![version(2), version(1)]);
            assert_eq!(to(&known, "shop", name), Err(others), "{name}");
        }
    }

    #[test]
    fn what_was_rolled_back_is_back_already() {
        let known = [of(5, 3, BAD), of(3, 2, GOOD)];
        let already = Err(NoWayBack::BackAlready(id("shop-3")));
        assert_eq!(to(&known, "shop-5", "previous"), already);
    }

    #[test]
    fn a_tag_that_several_versions_have_names_none() {
        let mut known = [of(4, 3, GOOD), of(3, 2, GOOD), of(2, 1, GOOD)];
        for deployment in &mut known {
            deployment.plan.images.push("repository/proxy:stable@sha256:1234".to_owned());
        }
        let all = NoWayBack::Tagged(vec![version(4), version(3), version(2)]);
        assert_eq!(to(&known, "shop", "stable"), Err(all));
        known[2].plan.images = vec!["registry:5000/app:old@sha256:5678".to_owned()];
        assert_eq!(to(&known, "shop", "old"), Ok("shop:2".to_owned()));
        assert_eq!(tag("registry:5000/app"), None);
    }

    #[test]
    fn what_runs_is_not_passed_over_and_nothing_is_guessed() {
        let known = [of(4, 3, Phase::Committed), of(3, 2, GOOD)];
        let completing = Err(NoWayBack::Completing(id("shop-4")));
        assert_eq!(to(&known, "shop", "previous"), completing);
        let known = [of(4, 3, Phase::Open), of(3, 2, GOOD)];
        for subject in ["shop", "shop-3", "shop-4"] {
            assert_eq!(
                to(&known, subject, "previous"),
                Err(NoWayBack::Running(id("shop-4"))),
                "{subject}"
            );
        }
        assert_eq!(to(&[of(4, 3, BAD)], "shop", "previous"), Err(NoWayBack::NeverDeployed));
        assert_eq!(to(&[of(4, 3, GOOD)], "cart", "previous"), Err(NoWayBack::NeverDeployed));
        let mut elsewhere = of(7, 6, GOOD);
        elsewhere.plan.cluster = crate::ids::ClusterName::new("staging");
        let both = NoWayBack::Ambiguous(vec![id("shop-4"), id("shop-7")]);
        let known = [of(4, 3, GOOD), elsewhere];
        assert_eq!(to(&known, "shop", "previous"), Err(both));
        assert_eq!(to(&known, "shop-7", "previous"), Ok("shop:6".to_owned()));
    }

    #[test]
    fn the_request_is_one_that_a_person_could_have_written() {
        let known = [of(3, 2, GOOD)];
        let found = back(&known, "shop", &To::Previous, None, "checkout is slow").unwrap();
        assert_eq!(found.serving.as_str(), "shop-3");
        let written = serde_json::to_value(&found.request).unwrap();
        assert_eq!(crate::request::decode(&written), Ok(found.request.clone()));
        let Target { slots, .. } = &found.request.target;
        let plan = &known[0].plan;
        assert_eq!(slots.of(plan.stable.slot), &plan.stable.service);
        assert_eq!(slots.of(plan.canary.slot), &plan.canary.service);
    }
}
