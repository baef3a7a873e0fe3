//! `glidepath history`: what has been deployed, and what can be brought back.

use std::io::Write;

use glidepath_aws::clock::System;
use glidepath_core::back::{KNOWN, Standing, standing};
use glidepath_core::record::{Deployment, Phase, Retirement};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{Clock, Recent, Registry};

use crate::connection::Options;
use crate::filter::Filter;
use crate::next_command::Commands;
use crate::render::{Entry, history};
use crate::stopped::Stopped;

/// How many are shown.
const SHOWN: u32 = 20;

/// Show what has been deployed, by whom, how it ended, and what can be brought back at once
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only deployments of this service
    #[arg(value_name = "SERVICE")]
    of: Option<String>,
    /// The same as an option
    #[arg(long, conflicts_with = "of")]
    service: Option<String>,
    /// Only those that failed or were rolled back
    #[arg(long)]
    failed: bool,
    /// How many are shown, the newest first
    #[arg(long, default_value_t = SHOWN, value_parser = clap::value_parser!(u32).range(1..=i64::from(KNOWN)))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn asked(&self) -> Filter<'_> {
        let service = self.of.as_deref().or(self.service.as_deref());
        Filter { service, failed: self.failed }
    }
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
    let text = if arguments.json {
        as_json(&entries, &known)
    } else {
        let now = System::default().now();
        shown(&entries, &known, arguments, &options.commands(), now)
    };
    write!(output, "{text}")?;
    Ok(())
}

fn as_json(entries: &[Entry<'_>], known: &Recent) -> String {
    let unreadable = known.unreadable.iter().map(
        |(id, why)| serde_json::json!({ "deployment": id, "outcome": "unreadable", "cause": why }),
    );
    let all: Vec<_> =
        entries.iter().map(|entry| serde_json::json!(entry)).chain(unreadable).collect();
    format!("{:#}\n", serde_json::json!(all))
}

fn shown(
    entries: &[Entry<'_>],
    known: &Recent,
    arguments: &Arguments,
    commands: &Commands,
    now: Timestamp,
) -> String {
    let (mut text, asked) = (String::new(), arguments.asked());
    let runs = |deployment: &&Deployment| {
        !matches!(deployment.phase, Phase::Closed(_)) && asked.takes(deployment)
    };
    for Deployment { id, .. } in known.deployments.iter().filter(runs) {
        text.push_str(&format!("{id} has not ended: `{}`\n", commands.of("status", id, "")));
    }
    if entries.is_empty() {
        let of = asked.in_words();
        let offered =
            asked.offered(known).map_or_else(String::new, |offered| format!("; {offered}"));
        text.push_str(&format!(
            "none of the last {KNOWN} deployments of the stack is one{of} that has ended{offered}\n"
        ));
    }
    text.push_str(&history(entries, now));
    for (id, why) in &known.unreadable {
        text.push_str(&format!(
            "the record of {id} cannot be read ({why}): what serves is not known for certain, and \
             `rollback --to` refuses; use the version of the command line that the stack has\n"
        ));
    }
    text
}

/// Those that are asked for, with what each version is by now.
async fn entries<'a>(
    registry: &impl Registry,
    known: &'a Recent,
    arguments: &Arguments,
) -> Result<Vec<Entry<'a>>, Stopped> {
    let asked = arguments.asked();
    let ended = known.deployments.iter().filter(|deployment| {
        matches!(deployment.phase, Phase::Closed(_)) && asked.takes(deployment)
    });
    let mut entries = Vec::new();
    for deployment in ended.take(usize::try_from(arguments.limit).unwrap_or(usize::MAX)) {
        let Some(standing) = standing(&known.deployments, deployment) else { continue };
        let until = match standing {
            Standing::Serves => kept_until(registry, deployment).await?,
            Standing::Left(serving) => kept_until(registry, serving).await?,
            Standing::Served | Standing::NeverServed => None,
        };
        entries.push(Entry { deployment, standing, until });
    }
    Ok(entries)
}

/// Until when the slot that a deployment has left behind has its tasks; `None`: they go, or it was another's.
async fn kept_until(
    registry: &impl Registry,
    serving: &Deployment,
) -> Result<Option<Timestamp>, Stopped> {
    let key = Retirement::after(serving, serving.started_at).key();
    let found = registry.retirement(&key).await?;
    let kept = found.filter(|found| found.deployment == serving.id && found.intent.is_none());
    Ok(kept.map(|found| found.due_at))
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
            of: Some(service.to_owned()),
            service: None,
            failed: false,
            limit: SHOWN,
            json: false,
        };
        let shop = asked(serving.plan.service.as_str());
        let until = async |registry: &MemoryRegistry| -> Vec<_> {
            let entries = entries(registry, &known, &shop).await.unwrap();
            entries.iter().map(|entry| (entry.deployment.id.to_string(), entry.until)).collect()
        };
        let both = |until: Option<Timestamp>| {
            vec![("shop-44".to_owned(), until), ("shop-43".to_owned(), until)]
        };
        assert_eq!(until(&registry).await, both(None));
        let kept = Retirement::after(&serving, fixtures::NOW);
        registry.items().retirements.insert(kept.key(), kept.clone());
        assert_eq!(until(&registry).await, both(Some(kept.due_at)));
        // Another deployment has left the slot behind since.
        let other = Retirement { deployment: DeploymentId::new("shop-9"), ..kept };
        registry.items().retirements.insert(other.key(), other);
        assert_eq!(until(&registry).await, both(None));
        let nothing = entries(&registry, &known, &asked("shpo")).await.unwrap();
        let text = shown(&nothing, &known, &asked("shpo"), &Commands::default(), fixtures::NOW);
        assert_eq!(
            text,
            "none of the last 300 deployments of the stack is one of the service `shpo` that has \
             ended; did you mean `shop`?\n"
        );
        let failed = Arguments { failed: true, ..asked("shop") };
        assert!(entries(&registry, &known, &failed).await.unwrap().is_empty());
        let found = entries(&registry, &known, &shop).await.unwrap();
        let mut damaged = known.clone();
        damaged.unreadable.insert(DeploymentId::new("shop-9"), "there is no phase `x`".to_owned());
        let text = shown(&found, &damaged, &shop, &Commands::default(), fixtures::NOW);
        assert!(text.starts_with("shop-45 has not ended: `glidepath status shop-45`\n"), "{text}");
        assert!(
            text.contains("the record of shop-9 cannot be read (there is no phase `x`)"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(&found, &damaged)).unwrap();
        assert_eq!(json[2]["outcome"], "unreadable");
    }
}
