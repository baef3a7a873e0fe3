//! The way back after a success: which version a person means, and the request that brings it back. What
//! has served before is known from the registry, never from a naming rule: revisions skip numbers, and slots
//! take turns.

use crate::document::Percent;
use crate::ids::{DeploymentId, TaskDefinition};
use crate::plan::{Plan, Slot};
use crate::record::{Deployment, Outcome, Phase};
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
    /// Another deployment has succeeded since the one that was named.
    Replaced(DeploymentId),
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
    let serving = serving(known, subject)?;
    let here: Vec<_> =
        known.iter().filter(|other| same_slots(&other.plan, &serving.plan)).collect();
    if let Some(running) = here.iter().find(|other| !matches!(other.phase, Phase::Closed(_))) {
        return Err(NoWayBack::Running(running.id.clone()));
    }
    let now = &serving.plan.task_definition;
    let served = served(&here);
    let wanted = match to {
        To::Previous => served.iter().find(|version| *version != now),
        To::Named(text) => named(&here, &served, text),
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

fn succeeded(deployment: &Deployment) -> bool {
    matches!(deployment.phase, Phase::Closed(Outcome::Succeeded))
}

fn same_slots(one: &Plan, other: &Plan) -> bool {
    one.cluster == other.cluster && slots(one) == slots(other)
}

fn slots(plan: &Plan) -> Slots {
    let of = |slot| {
        let found = if plan.stable.slot == slot { &plan.stable } else { &plan.canary };
        found.service.clone()
    };
    Slots { blue: of(Slot::Blue), green: of(Slot::Green) }
}

/// The deployment whose version serves: the last success of what is named.
fn serving<'a>(known: &'a [Deployment], subject: &str) -> Result<&'a Deployment, NoWayBack> {
    if let Some(exactly) = known.iter().find(|deployment| deployment.id.as_str() == subject) {
        let here = known.iter().filter(|other| same_slots(&other.plan, &exactly.plan));
        // One that runs is told as such, whoever was named.
        let ended = here.filter(|other| matches!(other.phase, Phase::Closed(_)));
        let newest = ended.into_iter().find(|other| succeeded(other));
        let newest = newest.ok_or(NoWayBack::NeverDeployed)?;
        return match exactly.phase {
            Phase::Closed(Outcome::Succeeded) if newest.id != exactly.id => {
                Err(NoWayBack::Replaced(newest.id.clone()))
            }
            Phase::Closed(_)
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
) -> Option<&'a TaskDefinition> {
    let of_deployment = here.iter().find(|deployment| deployment.id.as_str() == text);
    let tagged = || {
        let has = |deployment: &&&Deployment| {
            let tag = |image: &String| image.rsplit_once(':').is_some_and(|(_, tag)| tag == text);
            deployment.plan.images.iter().any(tag)
        };
        here.iter().filter(|deployment| succeeded(deployment)).find(has)
    };
    served.iter().find(|version| version.as_str() == text || version.short() == text).or_else(
        || {
            let deployment = of_deployment.or_else(tagged)?;
            served.iter().find(|version| **version == deployment.plan.task_definition)
        },
    )
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
            on_inconclusive: Inconclusive::default(),
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
        assert_eq!(to(&known, "shop", "previous"), Ok("shop:3".to_owned()));
        assert_eq!(to(&known, "back", "previous"), Ok("shop:3".to_owned()));
        assert_eq!(to(&known, "shop-3", "previous"), Err(NoWayBack::Replaced(id("back"))));
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
    fn what_runs_is_not_passed_over_and_nothing_is_guessed() {
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
