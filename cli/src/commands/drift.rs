//! `glidepath drift`: what is otherwise than deployments have left it.

use std::io::Write;

use glidepath_core::back::{KNOWN, newest_of_each};
use glidepath_core::drift::{Difference, is_replaced};
use glidepath_core::record::Deployment;
use glidepath_engine::drift::{self, Looked};
use glidepath_engine::ports::{
    Containers, LoadBalancer, PortResult, Ports, Recent, Registry, Scaling,
};
use serde_json::json;

use crate::connection::Options;
use crate::filter::Filter;
use crate::next_command::Commands;
use crate::stopped::Stopped;

/// Show what has been changed since the last deployment of each service: weights, versions, tasks and scaling
///
/// It ends with 1 where something is otherwise, and changes nothing.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this service
    service: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A service, by the newest of its deployments.
struct Service<'a> {
    deployment: &'a Deployment,
    looked: Looked,
}

impl Service<'_> {
    fn differences(&self) -> &[Difference] {
        match &self.looked {
            Looked::Ended(differences) => differences,
            Looked::Runs(_) => &[],
        }
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let connection = options.connect().await?;
    let known = connection.ports.registry.recent(KNOWN).await?;
    // Another one than is known may be the newest.
    let unreadable =
        Stopped::unreadable(known.unreadable.keys(), ", so what was left is not known");
    if let Some(unreadable) = unreadable {
        return Err(unreadable);
    }
    let asked = Filter { service: arguments.service.as_deref(), failed: false };
    let looked = look(&connection.ports, &known, asked).await?;
    if looked.is_empty() && arguments.service.is_some() {
        let offered =
            asked.offered(&known).map_or_else(String::new, |offered| format!("; {offered}"));
        return Err(Stopped::Unusable {
            message: format!(
                "none of the last {KNOWN} deployments of the stack is one{}{offered}",
                asked.in_words()
            ),
            hint: format!("`{}` lists what there is", options.commands().all()),
        });
    }
    let text = if arguments.json { as_json(&looked) } else { shown(&looked, &options.commands()) };
    write!(output, "{text}")?;
    output.flush()?;
    if looked.iter().any(|service| !service.differences().is_empty()) {
        return Err(Stopped::Coded { code: 1, why: None });
    }
    Ok(())
}

async fn look<'a, P>(
    ports: &P,
    known: &'a Recent,
    asked: Filter<'_>,
) -> PortResult<Vec<Service<'a>>>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
        >,
{
    let mut found = Vec::new();
    let newest = newest_of_each(known.deployments.iter());
    // One after the other: the load balancer's calls are those that rollbacks of the account need.
    for deployment in newest.iter().filter(|deployment| asked.takes(deployment)) {
        found.push(Service { deployment, looked: drift::run(ports, deployment).await? });
    }
    found.retain(|service| {
        !is_replaced(service.deployment, service.differences(), newest.iter().copied())
    });
    found.sort_by_key(|service| service.deployment.plan.service.to_string());
    Ok(found)
}

fn as_json(services: &[Service<'_>]) -> String {
    let services = services.iter().map(|service| {
        let Deployment { id, plan, .. } = service.deployment;
        let runs = match &service.looked {
            Looked::Ended(_) => None,
            Looked::Runs(running) => Some(running),
        };
        json!({
            "service": plan.service,
            "cluster": plan.cluster,
            "deployment": runs.unwrap_or(id),
            "ended": runs.is_none(),
            "differences": service.differences(),
        })
    });
    format!("{:#}\n", json!(services.collect::<Vec<_>>()))
}

fn shown(services: &[Service<'_>], commands: &Commands) -> String {
    let of = |service: &Service<'_>| {
        let Deployment { id, plan, .. } = service.deployment;
        let name = &plan.service;
        match &service.looked {
            Looked::Runs(id) => {
                format!("{name}: {id} has not ended: `{}`\n", commands.of("status", id, ""))
            }
            Looked::Ended(differences) if differences.is_empty() => {
                format!("{name}: as {id} has left it\n")
            }
            Looked::Ended(differences) => {
                let line = |difference: &Difference| format!("  {difference}\n");
                let lines: String = differences.iter().map(line).collect();
                format!("{name}: not as {id} has left it\n{lines}")
            }
        }
    };
    if services.is_empty() {
        return "nothing has been deployed\n".to_owned();
    }
    services.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;
    use glidepath_core::record::{Lock, LockKey};
    use glidepath_core::time::Span;
    use glidepath_core::weight::Weight;
    use glidepath_engine::ports::Clock;
    use glidepath_engine::testing::example::{self, actions, begun, plan, route, stage};
    use glidepath_engine::testing::{Bed, Machine, MemoryRegistry};

    use super::*;

    /// A success, then somebody writes a weight; what is told before and after.
    #[tokio::test]
    async fn a_weight_that_somebody_has_written_since_is_told() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let plan = plan(vec![stage(1000, Span::from_secs(60))]);
        let deployment = begun(&registry, plan, "shop-2", world.now()).await;
        let bed = || Bed::new(&registry, &world);
        let running = registry.recent(KNOWN).await.unwrap();
        let looked = look(&bed(), &running, Filter::default()).await.unwrap();
        let text = shown(&looked, &Commands::default());
        assert_eq!(text, "shop: shop-2 has not ended: `glidepath status shop-2`\n");
        Machine::after_plan(bed(), &deployment.id).run().await.unwrap();
        let known = registry.recent(KNOWN).await.unwrap();
        let looked = look(&bed(), &known, Filter::default()).await.unwrap();
        assert_eq!(shown(&looked, &Commands::default()), "shop: as shop-2 has left it\n");
        world.state().routes.insert(route(), actions(Weight::NONE));
        let looked = look(&bed(), &known, Filter::default()).await.unwrap();
        let text = shown(&looked, &Commands::default());
        assert!(text.starts_with("shop: not as shop-2 has left it\n"), "{text}");
        assert!(text.contains("100 % of its requests go to blue, which was left idle"), "{text}");
        // What has begun since the list was read has moved it.
        let key = LockKey::service(&deployment.plan.cluster, &deployment.plan.stable.service);
        let taken =
            Lock { holder: Some(DeploymentId::new("shop-3")), ..Lock::untaken(key.clone()) };
        let left = registry.items().locks.insert(key.clone(), taken);
        let begun = look(&bed(), &known, Filter::default()).await.unwrap();
        assert!(matches!(&begun[0].looked, Looked::Runs(id) if id.as_str() == "shop-3"));
        registry.items().locks.insert(key, left.unwrap());
        let json: serde_json::Value = serde_json::from_str(&as_json(&looked)).unwrap();
        assert_eq!(json[0]["differences"][0]["kind"], "weight");
        let other = Filter { service: Some("basket"), failed: false };
        assert!(look(&bed(), &known, other).await.unwrap().is_empty());
    }
}
