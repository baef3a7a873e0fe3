//! `glidepath status`: what runs, and what has become of the rest.

use std::io::Write;

use glidepath_aws::clock::System;
use glidepath_core::ids::DeploymentId;
use glidepath_core::notice::Notice;
use glidepath_core::protocol::{Deployment, Phase};
use glidepath_engine::ports::{Clock, Registry};

use crate::connection::{Commands, Options};
use crate::follow::{Follow, follow};
use crate::render::{View, detail, overview};
use crate::report::Stopped;

/// How many deployments are listed besides those that run.
const RECENT: u32 = 20;

/// Show running and recent deployments, or one of them with its timeline
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment; without it all that run, and the newest that have ended
    #[arg(value_parser = |name: &str| Ok::<_, String>(DeploymentId::new(name)))]
    deployment: Option<DeploymentId>,
    /// Go on with what happens until it has ended
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
    let (registry, system, commands) =
        (&connection.registry, System::default(), options.commands());
    let Some(id) = &arguments.deployment else {
        write!(output, "{}", all(&registry.recent(RECENT).await?, arguments.json, &system))?;
        return Ok(());
    };
    let (deployment, notices) = find(registry, id).await?;
    write!(output, "{}", one(&deployment, &notices, arguments.json, &commands, &system))?;
    if !arguments.watch || matches!(deployment.phase, Phase::Closed(_)) {
        return Ok(());
    }
    output.flush()?;
    let shown = notices.last().map_or(0, |notice| notice.sequence);
    let following = Follow { registry, clock: &system, id, commands: &commands, shown };
    let look = async || connection.operator.state(&deployment.execution).await;
    // Whatever the end is: showing it is all that was asked.
    follow(following, &deployment.execution, look, output).await.map(|_| ())
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
