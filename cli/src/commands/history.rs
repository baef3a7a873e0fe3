//! `glidepath history`: what has been deployed, and what can be brought back.

use std::io::Write;

use glidepath_aws::clock::System;
use glidepath_core::back::{Standing, standing};
use glidepath_core::record::{Deployment, Phase, Retirement};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{Clock, Recent, Registry};

use super::back::KNOWN;
use crate::connection::Options;
use crate::render::{Entry, history};
use crate::stopped::Stopped;

/// How many are shown.
const SHOWN: usize = 20;

/// Show what has been deployed, by whom, how it ended, and what can be brought back at once
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only deployments of this service
    service: Option<String>,
    /// How many are shown, the newest first
    #[arg(long, default_value_t = SHOWN)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let connection = options.connect().await?;
    let registry = &connection.ports.registry;
    let known = registry.recent(KNOWN).await?;
    let entries = entries(registry, &known, arguments).await?;
    let now = System::default().now();
    if arguments.json {
        writeln!(output, "{:#}", serde_json::json!(entries))?;
        return Ok(());
    }
    write!(output, "{}", history(&entries, arguments.service.as_deref(), now))?;
    for id in known.unreadable.keys() {
        writeln!(output, "the record of {id} cannot be read, and may change what stands here")?;
    }
    Ok(())
}

/// Those that are asked for, with what each version is by now.
async fn entries<'a>(
    registry: &impl Registry,
    known: &'a Recent,
    arguments: &Arguments,
) -> Result<Vec<Entry<'a>>, Stopped> {
    let wanted = |deployment: &&Deployment| {
        let service = arguments.service.as_deref();
        matches!(deployment.phase, Phase::Closed(_))
            && service.is_none_or(|service| deployment.plan.service.as_str() == service)
    };
    let mut entries = Vec::new();
    for deployment in known.deployments.iter().filter(wanted).take(arguments.limit) {
        let Some(standing) = standing(&known.deployments, deployment) else { continue };
        let until = match standing {
            Standing::Left(serving) => kept_until(registry, serving).await?,
            Standing::Serves | Standing::Served | Standing::NeverServed => None,
        };
        entries.push(Entry { deployment, standing, until });
    }
    Ok(entries)
}

/// Until when the old slot of what serves has its tasks; `None`: they are gone.
async fn kept_until(
    registry: &impl Registry,
    serving: &Deployment,
) -> Result<Option<Timestamp>, Stopped> {
    let key = Retirement::after(serving, serving.started_at).key();
    let found = registry.retirement(&key).await?;
    Ok(found.filter(|found| found.deployment == serving.id).map(|found| found.due_at))
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::{DeploymentId, TaskDefinition};
    use glidepath_engine::testing::MemoryRegistry;

    use super::*;
    use crate::fixtures;

    fn of(number: u32, mut deployment: Deployment) -> Deployment {
        deployment.id = DeploymentId::new(format!("shop-{number}"));
        deployment.plan.task_definition = TaskDefinition::new(format!("shop:{number}"));
        deployment.plan.stable.task_definition =
            TaskDefinition::new(format!("shop:{}", number - 1));
        deployment
    }

    #[tokio::test]
    async fn what_served_last_is_back_at_once_while_its_tasks_are_kept() {
        let registry = MemoryRegistry::default();
        let (serving, left) = (of(44, fixtures::succeeded()), of(43, fixtures::succeeded()));
        let known = Recent {
            deployments: vec![of(45, fixtures::baking()), serving.clone(), left],
            ..Recent::default()
        };
        let asked = |service: &str| Arguments {
            service: Some(service.to_owned()),
            limit: SHOWN,
            json: false,
        };
        let shop = asked(serving.plan.service.as_str());
        let until = async |registry: &MemoryRegistry| -> Vec<_> {
            let entries = entries(registry, &known, &shop).await.unwrap();
            entries.iter().map(|entry| (entry.deployment.id.to_string(), entry.until)).collect()
        };
        let gone = vec![("shop-44".to_owned(), None), ("shop-43".to_owned(), None)];
        assert_eq!(until(&registry).await, gone);
        let kept = Retirement::after(&serving, fixtures::NOW);
        registry.items().retirements.insert(kept.key(), kept.clone());
        assert_eq!(until(&registry).await[1].1, Some(kept.due_at));
        // Another deployment has left the slot behind since.
        let other = Retirement { deployment: DeploymentId::new("shop-9"), ..kept };
        registry.items().retirements.insert(other.key(), other);
        assert_eq!(until(&registry).await, gone);
        assert!(entries(&registry, &known, &asked("shpo")).await.unwrap().is_empty());
    }
}
