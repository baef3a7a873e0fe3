//! Looks at everything that a request names and resolves it, without writing anything. The same for
//! the `plan` function and for `glidepath plan`.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all, join3, try_join_all};
use glidepath_core::back::{Back, KNOWN, To, back};
use glidepath_core::document::Findings;
use glidepath_core::failure::Failure;
use glidepath_core::ids::{DeploymentId, TargetGroupArn, TaskDefinition};
use glidepath_core::plan::{Plan, Slot};
use glidepath_core::preflight::{
    self, Before, Found, FoundAlarms, Holder, Refusal, Resolved, SlotsScaling, StackSettings,
    lock_keys, preflight, takeable, wanted_images,
};
use glidepath_core::record::{Lock, LockKey, Quarantined};
use glidepath_core::request::{Asked, Request, Sensitivity, WayBackRequest, asked};
use glidepath_core::time::Timestamp;
use glidepath_core::world::{Alarm, FoundScaling, PrivateImage, Stored, TargetGroup};
use serde_json::Value;

use crate::failed;
use crate::forecast::adapt;
use crate::ports::{
    Containers, LoadBalancer, Monitoring, PortError, PortResult, Ports, Registry, Repositories,
    Scaling, TargetGroups,
};

/// Of how many versions somebody who is refused hears whether they can be taken.
const SUGGESTED: usize = 5;

/// A request that can be carried out, with its locks as they were before the resources were read.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The plan and its warnings.
    pub resolved: Resolved,
    /// Every lock of the plan, free, at the epoch at which a transaction may take it.
    pub locks: Vec<Lock>,
}

/// Why there is no survey.
#[derive(Clone, Debug)]
pub enum Unfit {
    /// The request, or what it names.
    Refused(Refusal),
    /// AWS could not be asked.
    Failed(Failure),
}

impl Unfit {
    /// The failure of the execution.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Refused(refusal) => refusal.failure(),
            Self::Failed(failure) => failure.clone(),
        }
    }
}

impl From<PortError> for Unfit {
    fn from(error: PortError) -> Self {
        Self::Failed(failed(&error))
    }
}

/// Decodes a request and holds it against the real resources and what the stack has configured.
pub async fn survey<P>(
    ports: &P,
    stack: &StackSettings,
    now: Timestamp,
    document: &Value,
) -> Result<Survey, Unfit>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer + TargetGroups,
            Containers: Containers,
            Scaling: Scaling,
            Repositories: Repositories,
            Monitoring: Monitoring,
        >,
{
    let (registry, load_balancer) = (ports.registry(), ports.load_balancer());
    let asked = asked(document).map_err(|findings| Unfit::Refused(Refusal::Invalid(findings)))?;
    let (request, way_back) = match asked {
        Asked::Release(request) => (*request, None),
        Asked::WayBack(asked) => {
            let back = brought_back(registry, stack, &asked).await?;
            (back.request.clone(), Some(back))
        }
    };
    // Before the resources: an epoch that is still the same when the locks are taken proves that no
    // deployment swapped the roles in between.
    let first = registry.locks(&lock_keys(&request)).await?;
    let mut found = look(ports, &request).await?;
    if let Some(back) = &way_back {
        let Back { ran, serves, .. } = back.clone();
        found.way_back = Some(back.way_back.clone());
        found.before = Before { ran, serves, takeable: None };
    }
    found.quarantined = quarantined(&first);
    let (groups, images, stored) = join3(
        target_groups(load_balancer, &found),
        images(ports.containers(), &found),
        stored(ports, &found),
    )
    .await;
    found.target_groups = groups?;
    found.images = images?;
    found.stored = stored;
    let groups: Vec<_> = found.target_groups.keys().cloned().collect();
    found.reaching = load_balancer.reaching(&request.target.routes, &groups).await?;
    (found.now, found.stack) = (now, stack.clone());
    found.holders = holders(registry, &first).await?;
    let mut checked = preflight(&request, &found);
    if let (Err(_), Some(back)) = (&checked, &way_back) {
        // Whoever is refused wants to know what else there is.
        found.before.takeable = Some(taken(ports, &back.others).await);
        checked = preflight(&request, &found);
    }
    let mut resolved = checked.map_err(Unfit::Refused)?;
    if let Some(Back { left, .. }) = way_back {
        let plan = &mut resolved.plan;
        let same = left.stable.slot == plan.stable.slot;
        plan.validation = left.validation.map(|asked| if same { asked } else { asked.swapped() });
    }
    if request.health.comparison.sensitivity == Sensitivity::Adaptive {
        adapt(ports.monitoring(), now, &mut resolved).await;
    }
    let locks = all_locks(registry, &resolved.plan, first).await?;
    found.holders = holders(registry, &locks).await?;
    if !found.holders.is_empty() {
        // Only a group's lock can be new here: another service shares the group.
        preflight(&request, &found).map_err(Unfit::Refused)?;
    }
    Ok(Survey { resolved, locks })
}

/// The version that serves what a request names, whatever that releases.
pub async fn serving<P>(ports: &P, request: &Request) -> Result<TaskDefinition, Unfit>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer + TargetGroups,
            Containers: Containers,
            Scaling: Scaling,
            Monitoring: Monitoring,
        >,
{
    let locks = ports.registry().locks(&lock_keys(request)).await?;
    let mut found = look(ports, request).await?;
    found.target_groups = target_groups(ports.load_balancer(), &found).await?;
    found.holders = holders(ports.registry(), &locks).await?;
    preflight::serving(request, &found).map_err(Unfit::Refused)
}

/// What a way back deploys, of what the registry knows.
async fn brought_back(
    registry: &impl Registry,
    stack: &StackSettings,
    asked: &WayBackRequest,
) -> Result<Back, Unfit> {
    let WayBackRequest { service, release, started_by, reason, .. } = asked;
    let known = registry.recent(KNOWN).await?;
    if let Some(unreadable) = known.unreadable.keys().next() {
        let mut findings = Findings::default();
        findings.error(
            "$.release.rollbackTo",
            format!(
                "the record of {unreadable} cannot be read, so what has served is not known for certain"
            ),
            "deploy the version with `strategy: {allAtOnce: {bake: 0s}}`",
        );
        return Err(Unfit::Refused(Refusal::Invalid(findings)));
    }
    let (subject, to) = (service.as_str(), To::of(&release.rollback_to));
    let by = started_by.as_deref();
    let mut found = back(&known.deployments, subject, &to, by, reason).map_err(|none| {
        let findings = none.findings(subject, &to);
        let running = none.may_pass();
        Unfit::Refused(if running {
            Refusal::Running(findings)
        } else {
            Refusal::Invalid(findings)
        })
    })?;
    if release.skip_validation {
        found.way_back.skips_validation = true;
        found.ran.clear();
    }
    // Channels may have gone since: they are no reason to stay on a bad version.
    found.request.notify.retain(|channel| stack.channels.contains_key(channel));
    Ok(found)
}

/// What the repositories say of the version's images. Nothing is lost where they say nothing.
async fn stored<P>(ports: &P, found: &Found) -> BTreeMap<PrivateImage, Stored>
where
    P: Ports<Repositories: Repositories>,
{
    let version = found.task_definition.as_ref();
    let wanted = version.map_or(Vec::new(), |version| wanted_images(version, &found.before));
    look_up(ports, wanted).await
}

async fn look_up<P>(ports: &P, wanted: Vec<PrivateImage>) -> BTreeMap<PrivateImage, Stored>
where
    P: Ports<Repositories: Repositories>,
{
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    match ports.repositories().look_up(&wanted).await {
        Ok(stored) => wanted.into_iter().zip(stored).collect(),
        Err(error) => {
            let unseen = |image| (image, Stored::Unseen(error.to_string()));
            wanted.into_iter().map(unseen).collect()
        }
    }
}

/// Those of these versions that can be brought back, of the newest few. What cannot be read is none.
async fn taken<P>(ports: &P, versions: &[TaskDefinition]) -> Vec<TaskDefinition>
where
    P: Ports<Containers: Containers, Repositories: Repositories>,
{
    let newest = versions.iter().take(SUGGESTED);
    let read = join_all(newest.map(|version| ports.containers().task_definition(version))).await;
    let read: Vec<_> = read.into_iter().filter_map(|read| read.ok().flatten()).collect();
    let wanted = read.iter().flat_map(|version| wanted_images(version, &Before::default()));
    let wanted: BTreeSet<_> = wanted.collect();
    let stored = look_up(ports, wanted.into_iter().collect()).await;
    takeable(read, &stored)
}

/// What either slot's lock says, each once.
fn quarantined(locks: &[Lock]) -> Vec<Quarantined> {
    let mut found: Vec<Quarantined> = Vec::new();
    for one in locks.iter().flat_map(|lock| &lock.quarantined) {
        if !found.contains(one) {
            found.push(one.clone());
        }
    }
    found
}

async fn look<P>(ports: &P, request: &Request) -> PortResult<Found>
where
    P: Ports<
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Monitoring: Monitoring,
        >,
{
    let containers = ports.containers();
    let target = &request.target;
    let alarms = &request.health.alarms;
    let names: Vec<_> = [&alarms.blue, &alarms.green, &alarms.service]
        .into_iter()
        .flatten()
        .map(|name| name.as_str().to_owned())
        .collect();
    let slots = [Slot::Blue, Slot::Green].map(|slot| target.slots.of(slot));
    let (routes, (services, scaling), (task_definition, alarms_found)) = join3(
        ports.load_balancer().routes(&target.routes),
        join(
            containers.services(&target.cluster, &slots),
            ports.scaling().scaling(&target.cluster, &slots),
        ),
        join(containers.task_definition(&request.release.task_definition), async {
            if names.is_empty() { Ok(Vec::new()) } else { ports.monitoring().alarms(&names).await }
        }),
    )
    .await;
    let mut services = services?.into_iter();
    let (blue, green) = (services.next().flatten(), services.next().flatten());
    let mut alarms_found = alarms_found?.into_iter();
    let mut take =
        |count: usize| -> Vec<Option<Alarm>> { alarms_found.by_ref().take(count).collect() };
    Ok(Found {
        now: Timestamp::default(),
        routes: routes?,
        blue,
        green,
        task_definition: task_definition?,
        alarms: FoundAlarms {
            blue: take(alarms.blue.len()),
            green: take(alarms.green.len()),
            service: take(alarms.service.len()),
        },
        scaling: slots_scaling(scaling)?,
        target_groups: BTreeMap::new(),
        reaching: Vec::new(),
        stack: StackSettings::default(),
        holders: Vec::new(),
        images: BTreeMap::new(),
        quarantined: Vec::new(),
        way_back: None,
        before: Before::default(),
        stored: BTreeMap::new(),
    })
}

/// What scales both slots. Where that cannot be seen, for want of a right or of an alarm that a
/// policy names, it is deployed as if nothing did, and that is told.
fn slots_scaling(found: PortResult<Vec<FoundScaling>>) -> PortResult<SlotsScaling> {
    match found {
        Ok(found) => {
            let mut found = found.into_iter();
            let mut next = || found.next().unwrap_or_default();
            Ok(SlotsScaling { blue: next(), green: next(), unreadable: None })
        }
        Err(error) if !error.may_pass() => {
            Ok(SlotsScaling { unreadable: Some(error.to_string()), ..SlotsScaling::default() })
        }
        Err(error) => Err(error),
    }
}

/// The groups with which the tasks of both slots register; known only once the services are.
async fn target_groups(
    load_balancer: &impl TargetGroups,
    found: &Found,
) -> PortResult<BTreeMap<TargetGroupArn, Option<TargetGroup>>> {
    let services = [&found.blue, &found.green].into_iter().flatten();
    let groups: BTreeSet<_> = services.flat_map(|service| service.groups().cloned()).collect();
    let groups: Vec<_> = groups.into_iter().collect();
    let described = load_balancer.target_groups(&groups).await?;
    Ok(groups.into_iter().zip(described).collect())
}

/// What the versions of both slots are made of.
async fn images(
    containers: &impl Containers,
    found: &Found,
) -> PortResult<BTreeMap<TaskDefinition, Vec<String>>> {
    let services = [&found.blue, &found.green].into_iter().flatten();
    let versions: BTreeSet<_> = services.map(|service| service.task_definition.clone()).collect();
    let read = versions.iter().map(|version| containers.task_definition(version));
    let read = try_join_all(read).await?.into_iter().flatten();
    Ok(read
        .map(|version| {
            let images = version.images();
            (version.arn, images)
        })
        .collect())
}

/// Each deployment that holds some of the locks, once, with what it deploys.
async fn holders(registry: &impl Registry, locks: &[Lock]) -> PortResult<Vec<Holder>> {
    let mut held: BTreeMap<DeploymentId, Vec<LockKey>> = BTreeMap::new();
    for lock in locks {
        if let Some(holder) = &lock.holder {
            held.entry(holder.clone()).or_default().push(lock.key.clone());
        }
    }
    let mut holders = Vec::with_capacity(held.len());
    for (id, keys) in held {
        let deployment = registry.deployment(&id).await?;
        let service = deployment.map(|deployment| deployment.plan.service);
        holders.push(Holder { keys, deployment: id, service });
    }
    Ok(holders)
}

/// The locks that were read first, and those of the target groups, known only with the plan.
async fn all_locks(
    registry: &impl Registry,
    plan: &Plan,
    first: Vec<Lock>,
) -> Result<Vec<Lock>, Unfit> {
    let known = |key: &LockKey| first.iter().any(|lock| lock.key == *key);
    let (early, late): (Vec<_>, Vec<_>) = LockKey::of(plan).into_iter().partition(|key| known(key));
    let mut locks: Vec<_> = first.into_iter().filter(|lock| early.contains(&lock.key)).collect();
    locks.extend(registry.locks(&late).await?);
    Ok(locks)
}
