//! The way back after a success: which version a person means, and the request that brings it back. What
//! has served before is known from the registry, never from a naming rule: revisions skip numbers, and slots
//! take turns.

mod told;

use std::collections::BTreeSet;

use crate::document::Percent;
use crate::ids::{DeploymentId, TaskDefinition};
use crate::plan::{ImageDigest, OnInconclusive, Plan, Slot, WayBack};
use crate::record::{Deployment, LockKey, Outcome, Phase};
use crate::request::{
    Alarms, ApiVersion, BadRequests, Capacity, Compared, Force, Health, Inconclusive, Notify,
    Release, Request, Rollback, Sensitivity, Slots, SlowRequests, Target, defaults,
};
use crate::strategy::{AllAtOnce, Strategy};
use crate::time::Span;
use crate::weight::Weight;

pub use told::Command;

/// How many ended deployments of the whole stack are looked through: those of a week or more where a hundred
/// services are deployed every day or two.
pub const KNOWN: u32 = 300;

/// Where somebody wants to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// What served before the version that serves now.
    Previous,
    /// A deployment, a task definition (`shop:41` or its ARN), or the tag of an image.
    Named(String),
    /// What a slot has kept since it lost its traffic.
    Slot(Slot),
}

impl To {
    pub fn of(text: &str) -> Self {
        if text == "previous" { Self::Previous } else { Self::Named(text.to_owned()) }
    }
}

/// What brings a version back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    pub way_back: WayBack,
    pub request: Request,
    /// The plan whose version is left: what it asks once everything is back is asked then.
    pub left: Plan,
    /// What the version ran when it last served; empty where nobody has written that down.
    pub ran: BTreeSet<ImageDigest>,
    /// The same of what serves now.
    pub serves: BTreeSet<ImageDigest>,
    /// Other versions that have served, the newest first.
    pub others: Vec<TaskDefinition>,
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
    let serving = serving(known, subject)?;
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
        To::Slot(slot) if serving.plan.canary.slot == *slot => Some(now),
        To::Slot(_) => Some(&serving.plan.stable.task_definition),
    };
    match wanted {
        Some(wanted) if wanted == now => Err(NoWayBack::Serves(now.clone())),
        Some(wanted) => Ok(Back {
            way_back: WayBack {
                from: serving.id.clone(),
                version: now.clone(),
                skips_validation: false,
            },
            request: request(&serving.plan, wanted, by, reason),
            left: serving.plan.clone(),
            ran: ran(&here, wanted),
            serves: ran(&here, now),
            others: served
                .iter()
                .filter(|version| *version != now && *version != wanted)
                .cloned()
                .collect(),
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

fn same_slots(one: &Plan, other: &Plan) -> bool {
    slot_keys(one) == slot_keys(other)
}

/// What tells the slots of one service from those of another, blue's first. A cluster may be given by its name or its
/// ARN.
pub fn slot_keys(plan: &Plan) -> [LockKey; 2] {
    let Slots { blue, green } = slots(plan);
    [blue, green].map(|service| LockKey::service(&plan.cluster, &service))
}

fn slots(plan: &Plan) -> Slots {
    let of = |slot| {
        let found = if plan.stable.slot == slot { &plan.stable } else { &plan.canary };
        found.service.clone()
    };
    Slots { blue: of(Slot::Blue), green: of(Slot::Green) }
}

/// The first of every service, of deployments that are newest first.
pub fn newest_of_each<'a>(
    deployments: impl Iterator<Item = &'a Deployment>,
) -> Vec<&'a Deployment> {
    let mut newest: Vec<&Deployment> = Vec::new();
    for deployment in deployments {
        if !newest.iter().any(|other| same_slots(&other.plan, &deployment.plan)) {
            newest.push(deployment);
        }
    }
    newest
}

/// The deployment whose version serves: the last success of what is named, by a service or a deployment.
pub fn serving<'a>(known: &'a [Deployment], subject: &str) -> Result<&'a Deployment, NoWayBack> {
    let exactly = known.iter().find(|deployment| deployment.id.as_str() == subject);
    let of_service = known.iter().filter(|deployment| deployment.plan.service.as_str() == subject);
    let last = newest_of_each(of_service.filter(|deployment| succeeded(deployment)));
    match (exactly, &last[..]) {
        (Some(exactly), []) => serving_of(known, exactly),
        (None, []) => Err(NoWayBack::NeverDeployed),
        // A deployment may have the name of its service, but not that of another one.
        (exactly, [only])
            if exactly.is_none_or(|exactly| same_slots(&exactly.plan, &only.plan)) =>
        {
            Ok(only)
        }
        (exactly, last) => {
            let found = exactly.into_iter().chain(last.iter().copied());
            let mut ids: Vec<_> = found.map(|found| found.id.clone()).collect();
            ids.dedup();
            Err(NoWayBack::Ambiguous(ids))
        }
    }
}

/// What a version ran when it served, by the newest deployment that has seen it: what was rolled back never did.
fn ran(here: &[&Deployment], version: &TaskDefinition) -> BTreeSet<ImageDigest> {
    let mut seen = here.iter().filter_map(|deployment| {
        let digests = deployment.progress.digests.as_ref()?;
        let plan = &deployment.plan;
        if plan.task_definition == *version && succeeded(deployment) {
            Some(&digests.canary)
        } else if plan.stable.task_definition == *version {
            Some(&digests.stable)
        } else {
            None
        }
    });
    seen.find(|images| !images.is_empty()).cloned().unwrap_or_default()
}

/// The same of a deployment that was named: its own version, or what runs or serves in its place.
fn serving_of<'a>(
    known: &'a [Deployment],
    exactly: &Deployment,
) -> Result<&'a Deployment, NoWayBack> {
    let here = known.iter().filter(|other| same_slots(&other.plan, &exactly.plan));
    // One that runs is told as such, whoever was named.
    let mut ended = here.filter(|other| matches!(other.phase, Phase::Closed(_)));
    let newest = ended.find(|other| succeeded(other)).ok_or(NoWayBack::NeverDeployed)?;
    match exactly.phase {
        // Whoever named it has not seen what has served since.
        Phase::Closed(Outcome::Succeeded) if newest.id != exactly.id => {
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
        release: Release { task_definition: version.clone(), retry: None },
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
            // Its plan says it already, of both slots: the request that did is not known any more.
            validate: None,
        },
        concurrency: defaults::concurrency(),
        // The way back never waits for one.
        windows: None,
        notify: match &plan.notify_by {
            Some(by) => Notify::ByUrgency(by.clone()),
            None => Notify::All(plan.notify.clone()),
        },
        force: Force::default(),
        started_by: by.map(str::to_owned),
        reason: Some(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests;
