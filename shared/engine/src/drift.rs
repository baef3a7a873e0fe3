//! A service as it is now, held against what its last deployment has left. Nothing of it is changed: what is
//! otherwise is only told.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join3;
use futures_util::{StreamExt, stream};
use glidepath_core::back::slot_keys;
use glidepath_core::drift::{Difference, Seen, differences, is_replaced};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::drifted;
use glidepath_core::record::{Deployment, Lock};
use glidepath_core::world::FoundScaling;

use crate::failed;
use crate::ports::{
    Clock, Committed, Containers, LoadBalancer, Page, PortResult, Ports, Registry, Scaling,
};
use crate::transition::load;

/// How many deployments are read at a time.
const PAGE: u32 = 100;

/// How many services are looked at at a time: the load balancer's calls are those that rollbacks of the account need.
const AT_A_TIME: usize = 4;

/// How often a service is looked at because somebody has written its record meanwhile.
const LOOKS: u32 = 3;

/// What was found of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// What is otherwise than its last deployment has left it.
    Ended(Vec<Difference>),
    /// It is being deployed, by this one.
    Runs(DeploymentId),
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Services of which the registry knows a deployment, and that could be looked at.
    pub services: u32,
    /// Those of which something was told.
    pub told: u32,
}

/// Holds the service of what the registry knows as its newest deployment against that.
pub async fn run<P>(ports: &P, deployment: &Deployment) -> PortResult<Looked>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
        >,
{
    let Some(Found { differences, locks }) = look(ports, deployment).await? else {
        return Ok(Looked::Runs(deployment.id.clone()));
    };
    // The list of deployments may be older than what was read since.
    let holder = locks.into_iter().find_map(|lock| lock.holder);
    Ok(holder.map_or(Looked::Ended(differences), Looked::Runs))
}

/// Looks at every service that the registry knows, and tells what is otherwise than its newest deployment has left it,
/// once for as long as it is the same. A service that cannot be read keeps nobody from the others, and is an error
/// afterwards.
pub async fn tell_of_all<P>(ports: &P) -> Result<Told, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Clock,
        >,
{
    let known = newest(ports, PAGE).await.map_err(|error| failed(&error))?;
    let all = known.deployments.as_slice();
    let looked = stream::iter(all)
        .map(|deployment| async move { (deployment, tell_of(ports, deployment, all).await) })
        .buffer_unordered(AT_A_TIME);
    let looked: Vec<_> = looked.collect().await;
    let mut told = Told::default();
    let (mut lost, mut code) = (Vec::new(), FailureCode::Transient);
    for (deployment, result) in looked {
        match result {
            Ok(was_told) => {
                told.services += 1;
                told.told += u32::from(was_told);
            }
            Err(failure) => {
                if failure.code != FailureCode::Transient {
                    code = FailureCode::Unexpected;
                }
                lost.push(format!("{}: {}", deployment.plan.service, failure.cause));
            }
        }
    }
    // Of which service they are nobody knows: another one than is known may be its newest.
    for (id, why) in known.unreadable {
        code = FailureCode::Unexpected;
        lost.push(format!("`{id}`: {why}"));
    }
    if lost.is_empty() { Ok(told) } else { Err(Failure::new(code, lost.join("; "))) }
}

/// What the registry knows.
#[derive(Debug, Default)]
struct Known {
    /// The newest of every service, the newest of all first.
    deployments: Vec<Deployment>,
    /// Those whose records this version cannot read, and why.
    unreadable: BTreeMap<DeploymentId, String>,
}

/// Page by page: of all deployments that are kept only the newest of each service have room.
async fn newest<P>(ports: &P, page: u32) -> PortResult<Known>
where
    P: Ports<Registry: Registry>,
{
    let (mut known, mut seen, mut after) = (Known::default(), BTreeSet::new(), None);
    loop {
        let Page { found, last } = ports.registry().page(after.as_ref(), page).await?;
        known.unreadable.extend(found.unreadable);
        for deployment in found.deployments {
            if seen.insert(slot_keys(&deployment.plan)) {
                known.deployments.push(deployment);
            }
        }
        if last.is_none() {
            return Ok(known);
        }
        after = last;
    }
}

/// Whether something was told of the service of this deployment, which is one of the newest.
async fn tell_of<P>(ports: &P, newest: &Deployment, all: &[Deployment]) -> Result<bool, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Ambient: Clock,
        >,
{
    let mut deployment = newest.clone();
    for _ in 0..LOOKS {
        let found = look(ports, &deployment).await.map_err(|error| failed(&error))?;
        let Some(Found { differences, locks }) = found else { return Ok(false) };
        if deployment.is_followed(&locks) {
            return Ok(false);
        }
        let words = if is_replaced(&deployment, &differences, all) {
            Vec::new()
        } else {
            differences.iter().map(ToString::to_string).collect()
        };
        let (told, writes) = drifted(&deployment, words, ports.ambient().now());
        if writes.is_empty() {
            return Ok(false);
        }
        match ports.registry().commit(writes).await.map_err(|error| failed(&error))? {
            Committed::Yes => return Ok(told),
            Committed::Conflict => deployment = load(ports, &deployment.id).await?,
        }
    }
    let cause = format!("`{}` was written by others {LOOKS} times in a row", newest.id);
    Err(Failure::new(FailureCode::Transient, cause))
}

/// What is otherwise, and the locks of both slots: read afterwards, and only where something is.
struct Found {
    differences: Vec<Difference>,
    locks: Vec<Lock>,
}

/// Nothing of a deployment that has not ended.
async fn look<P>(ports: &P, deployment: &Deployment) -> PortResult<Option<Found>>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
        >,
{
    let Some((_, slot, _)) = deployment.left_serving() else { return Ok(None) };
    let plan = &deployment.plan;
    let routes: Vec<_> = plan.routes.iter().map(|route| route.route.clone()).collect();
    let services = [&slot.service];
    let (routes, serving, scaling) = try_join3(
        ports.load_balancer().routes(&routes),
        ports.containers().service(&plan.cluster, &slot.service),
        ports.scaling().scaling(&plan.cluster, &services),
    )
    .await?;
    let scaling = scaling.into_iter().next().unwrap_or_else(FoundScaling::default);
    let differences = differences(deployment, &Seen { routes, serving, scaling });
    let locks = if differences.is_empty() {
        Vec::new()
    } else {
        ports.registry().locks(&deployment.slot_locks()).await?
    };
    Ok(Some(Found { differences, locks }))
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::{EcsServiceName, ServiceLabel};
    use glidepath_core::record::Event;
    use glidepath_core::route::RouteRef;
    use glidepath_core::time::Span;
    use glidepath_core::weight::Weight;

    use super::*;
    use crate::ports::{EcsService, FoundRoute};
    use crate::testing::example::{self, actions, begun, plan, route, stage, version};
    use crate::testing::{Bed, Between, Fault, Machine, MemoryRegistry, World};

    const MINUTE: Span = Span::from_secs(60);

    /// One that has succeeded: everything is on green.
    async fn succeeded(registry: &MemoryRegistry, world: &World) -> Deployment {
        let plan = plan(vec![stage(1000, MINUTE)]);
        let begun = begun(registry, plan, "shop-2", world.now()).await;
        Machine::after_plan(Bed::new(registry, world), &begun.id).run().await.unwrap();
        registry.items().deployments[&begun.id].clone()
    }

    /// Somebody sends everything back to blue.
    fn rewrite(world: &World) {
        world.state().routes.insert(route(), actions(Weight::NONE));
    }

    fn set_back(world: &World) {
        world.state().routes.insert(route(), actions(Weight::ALL));
    }

    fn told(registry: &MemoryRegistry) -> Vec<Vec<String>> {
        let notices = registry.items().notices.clone().into_iter();
        let differences = notices.filter_map(|entry| {
            let Event::Drifted { differences } = entry.notice.event else { return None };
            Some(differences)
        });
        differences.collect()
    }

    /// Another service of which everything is in order, without a history of its own.
    fn another(registry: &MemoryRegistry, world: &World, shop: &Deployment) -> Deployment {
        let mut basket = shop.clone();
        basket.id = DeploymentId::new("basket-1");
        basket.epochs = None;
        basket.plan.service = ServiceLabel::new("basket");
        basket.plan.stable.service = EcsServiceName::new("basket-blue");
        basket.plan.canary.service = EcsServiceName::new("basket-green");
        basket.plan.routes[0].route = RouteRef::Rule("arn:rule/basket".to_owned());
        let mut state = world.state();
        state.routes.insert(basket.plan.routes[0].route.clone(), actions(Weight::ALL));
        let service = EcsService::rolled_out(version(2), 3);
        state.services.insert(basket.plan.canary.service.clone(), service);
        registry.items().deployments.insert(basket.id.clone(), basket.clone());
        basket
    }

    #[tokio::test]
    async fn what_is_otherwise_is_told_once_and_anew_once_it_was_in_order() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let look = async || tell_of_all(&Bed::new(&registry, &world)).await.unwrap();
        let services = |services, told| Told { services, told };
        assert_eq!(look().await, services(0, 0));
        let deployment = succeeded(&registry, &world).await;
        assert_eq!(look().await, services(1, 0));
        rewrite(&world);
        assert_eq!([look().await, look().await], [services(1, 1), services(1, 0)]);
        let found = told(&registry).concat();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(": 100 % of its requests go to blue, which was left idle"));
        set_back(&world);
        assert_eq!(look().await, services(1, 0));
        assert_eq!(registry.items().deployments[&deployment.id].drift, Vec::<String>::new());
        rewrite(&world);
        assert_eq!([look().await, look().await], [services(1, 1), services(1, 0)]);
        assert_eq!(told(&registry).len(), 2);
        // It has ended when it had.
        let ended_at = registry.items().deployments[&deployment.id].ended_at();
        assert_eq!(ended_at, deployment.ended_at());
    }

    #[tokio::test]
    async fn a_service_that_cannot_be_read_keeps_nobody_from_the_others() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let shop = succeeded(&registry, &world).await;
        let basket = another(&registry, &world, &shop);
        rewrite(&world);
        world.state().routes.insert(basket.plan.routes[0].route.clone(), actions(Weight::NONE));
        // The first call after the page.
        let bed = Bed::with_fault(&registry, &world, Some((1, Fault::LostBefore)));
        let failure = tell_of_all(&bed).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Transient);
        let named = ["shop: ", "basket: "].map(|name| failure.cause.contains(name));
        assert_ne!(named[0], named[1], "{}", failure.cause);
        assert_eq!(told(&registry).len(), 1);
        // The next look tells what this one could not.
        let all = tell_of_all(&Bed::new(&registry, &world)).await;
        assert_eq!(all, Ok(Told { services: 2, told: 1 }));
        registry.items().unreadable.insert(basket.id.clone());
        set_back(&world);
        let failure = tell_of_all(&Bed::new(&registry, &world)).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Unexpected);
        assert!(failure.cause.contains("`basket-1`: "), "{}", failure.cause);
        assert_eq!(registry.items().deployments[&shop.id].drift, Vec::<String>::new());
    }

    /// Somebody begins while the service is being read.
    struct Begins<'a> {
        registry: &'a MemoryRegistry,
        deployment: &'a Deployment,
        /// Whether that one has ended, too, before the locks are read.
        ends: bool,
    }

    impl Between for Begins<'_> {
        async fn routes(&self, _: &World, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
            let [key, _] = self.deployment.slot_locks();
            let mut items = self.registry.items();
            let mut lock = items.lock(&key);
            lock.epoch += 1;
            lock.holder = (!self.ends).then(|| DeploymentId::new("shop-3"));
            items.locks.insert(key, lock);
            Ok(vec![FoundRoute::Missing; routes.len()])
        }
    }

    #[tokio::test]
    async fn nothing_is_told_of_what_a_newer_deployment_is_at_or_has_left() {
        for ends in [false, true] {
            let (registry, world) = (MemoryRegistry::default(), example::world());
            let deployment = succeeded(&registry, &world).await;
            let begins = Begins { registry: &registry, deployment: &deployment, ends };
            let looked = tell_of_all(&Bed::behind(&registry, &world, &begins)).await;
            assert_eq!(looked, Ok(Told { services: 1, told: 0 }));
            assert_eq!(registry.items().deployments[&deployment.id], deployment, "{ends}");
        }
        let (registry, world) = (MemoryRegistry::default(), example::world());
        begun(&registry, plan(vec![stage(1000, MINUTE)]), "shop-2", world.now()).await;
        rewrite(&world);
        let looked = tell_of_all(&Bed::new(&registry, &world)).await;
        assert_eq!(looked, Ok(Told { services: 1, told: 0 }));
    }

    #[tokio::test]
    async fn every_service_is_known_however_many_pages_are_before_it() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let shop = succeeded(&registry, &world).await;
        let basket = another(&registry, &world, &shop);
        for number in 3..8 {
            let id = DeploymentId::new(format!("shop-{number}"));
            let started_at = shop.started_at + MINUTE.times(number);
            let later = Deployment { id: id.clone(), started_at, ..shop.clone() };
            registry.items().deployments.insert(id, later);
        }
        for page in [1, 2, 7, 100] {
            let known = newest(&Bed::new(&registry, &world), page).await.unwrap();
            let ids: Vec<_> = known.deployments.into_iter().map(|found| found.id).collect();
            assert_eq!(ids, [DeploymentId::new("shop-7"), basket.id.clone()], "{page}");
        }
    }
}
