//! `glidepath status`: what runs, and what has become of the rest.

use std::io::{IsTerminal, Write};

use glidepath_aws::clock::System;
use glidepath_core::ids::DeploymentId;
use glidepath_core::notice::Notice;
use glidepath_core::protocol::{Deployment, Phase};
use glidepath_core::time::Span;
use glidepath_engine::ports::{Clock, Registry};

use crate::connection::{Commands, Connection, Options};
use crate::follow::{Follow, follow};
use crate::render::{View, detail, overview};
use crate::report::Stopped;

/// How many deployments are listed besides those that run.
const RECENT: u32 = 20;

/// Time between two looks.
const INTERVAL: Span = Span::from_secs(2);

/// Show running and recent deployments, or one of them with its timeline
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment; without it all that run, and the newest that have ended
    #[arg(value_parser = |name: &str| Ok::<_, String>(DeploymentId::new(name)))]
    deployment: Option<DeploymentId>,
    /// Go on showing it until it has ended
    #[arg(long, requires = "deployment", conflicts_with = "json")]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let connection = options.connect().await?;
    let (registry, system) = (&connection.registry, System::default());
    let text = match &arguments.deployment {
        Some(id) if arguments.watch && std::io::stdout().is_terminal() => {
            return watch(registry, &system, id, &options.commands(), output).await;
        }
        Some(id) if arguments.watch => {
            return tell(&connection, &system, id, &options.commands(), output).await;
        }
        Some(id) => {
            let (deployment, notices) = find(registry, id).await?;
            one(&deployment, &notices, arguments.json, &options.commands(), &system)
        }
        None => all(&registry.recent(RECENT).await?, arguments.json, &system),
    };
    write!(output, "{text}")?;
    Ok(())
}

async fn find(
    registry: &impl Registry,
    id: &DeploymentId,
) -> Result<(Deployment, Vec<Notice>), Stopped> {
    let deployment = registry.deployment(id).await?.ok_or_else(|| Stopped::unknown(id))?;
    let entries = registry.notices(id).await?;
    Ok((deployment, entries.into_iter().map(|entry| entry.notice).collect()))
}

fn one(
    deployment: &Deployment,
    notices: &[Notice],
    json: bool,
    commands: &Commands,
    clock: &impl Clock,
) -> String {
    if json {
        let view = View::whole(deployment, notices, clock.now());
        format!("{:#}\n", serde_json::json!(view))
    } else {
        detail(deployment, notices, commands, clock.now())
    }
}

fn all(deployments: &[Deployment], json: bool, clock: &impl Clock) -> String {
    if json {
        let views = deployments.iter().map(|deployment| View::of(deployment, clock.now()));
        format!("{:#}\n", serde_json::json!(views.collect::<Vec<_>>()))
    } else {
        overview(deployments, clock.now())
    }
}

/// Draws the deployment again and again, in the same place.
async fn watch(
    registry: &impl Registry,
    clock: &impl Clock,
    id: &DeploymentId,
    commands: &Commands,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    loop {
        let (deployment, notices) = find(registry, id).await?;
        let text = detail(&deployment, &notices, commands, clock.now());
        // Home, every line cleared behind its end, then everything below: without flicker.
        write!(output, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))?;
        output.flush()?;
        match deployment.phase {
            Phase::Closed(_) => return Ok(()),
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => {}
        }
        clock.sleep(INTERVAL).await;
    }
}

/// Without a terminal: one entry of the timeline after the other.
async fn tell(
    connection: &Connection,
    clock: &impl Clock,
    id: &DeploymentId,
    commands: &Commands,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Connection { registry, operator, .. } = connection;
    let (deployment, _) = find(registry, id).await?;
    let following = Follow { registry, clock, id, commands };
    let look = async || operator.state(&deployment.execution).await;
    // Whatever it was: showing it is all that was asked.
    follow(following, &deployment.execution, look, output).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use glidepath_engine::testing::example::{self, begun, plan, stage};
    use glidepath_engine::testing::{Bed, Machine, MemoryRegistry};

    use super::*;
    use crate::fixtures::{self, minutes};

    #[tokio::test]
    async fn a_whole_deployment_is_shown_with_its_timeline_and_no_token() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let plan = plan(vec![stage(100, minutes(1)), stage(1000, minutes(1))]);
        let deployment = begun(&registry, plan, "shop-2", world.now()).await;
        let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
        loop {
            let (found, notices) = find(&registry, &deployment.id).await.unwrap();
            for json in [false, true] {
                let text = one(&found, &notices, json, &Commands::default(), &world);
                if let Some(gate) = &found.gate {
                    assert!(!text.contains(gate.token.expose()), "{text}");
                }
                assert!(text.contains("shop-2") && text.contains("shop:2"), "{text}");
            }
            if matches!(found.phase, Phase::Closed(_)) {
                assert_eq!(notices.last().unwrap().event.name(), "succeeded");
                break;
            }
            machine.step(None).await;
        }
    }

    #[tokio::test]
    async fn what_runs_and_what_has_ended_is_listed() {
        let registry = MemoryRegistry::default();
        for deployment in fixtures::all() {
            registry.items().deployments.insert(deployment.id.clone(), deployment);
        }
        let world = glidepath_engine::testing::World::at(fixtures::NOW);
        let deployments = registry.recent(RECENT).await.unwrap();
        let listed: Vec<serde_json::Value> =
            serde_json::from_str(&all(&deployments, true, &world)).unwrap();
        assert_eq!(listed.len(), deployments.len());
        assert!(listed.iter().all(|view| view.get("timeline").is_none()));
    }

    #[tokio::test]
    async fn an_unknown_deployment_is_bad_usage() {
        let registry = MemoryRegistry::default();
        let stopped = find(&registry, &DeploymentId::new("nobody")).await.unwrap_err();
        assert!(matches!(stopped, Stopped::Unusable { .. }));
    }
}
