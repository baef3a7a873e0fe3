//! `glidepath rollback`: everything back to stable, now.

use std::io::Write;

use glidepath_aws::operator::Invoked;
use glidepath_core::back::To;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_engine::ports::{Clock, PortError, PortResult, Ports, Registry};

use super::back::{self, Asked};
use crate::connection::Options;
use crate::decision;
use crate::names::{Beginnings, Named, RECENT, running};
use crate::next_command::Commands;
use crate::planning::to_roll_back;
use crate::stopped::Stopped;
use crate::told::{Done, Told, ended};

/// Send all traffic back to stable and end the deployment; with --to, go back after a success
///
/// With --to it starts a deployment of its own and follows it to its end.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment, ARN of its execution, or a service of which exactly one runs; with --to
    /// the bad deployment that has succeeded, or its service
    deployment: Named,
    /// Why, for whoever reads the timeline; required with --to, but for a dry run
    #[arg(long, value_parser = decision::reason)]
    reason: Option<String>,
    /// Send everything to stable even if its targets are not healthy
    #[arg(long, conflicts_with = "to")]
    force: bool,
    /// After a success: bring back `previous`, what a deployment (by its name) brought, a task
    /// definition, or the tag of an image that served before
    #[arg(long, value_name = "VERSION", visible_alias = "target-version")]
    to: Option<String>,
    /// Show what --to would do, and do nothing
    #[arg(long, requires = "to")]
    dry_run: bool,
    /// With --to, whatever the version's tasks run, and with nothing asked of it afterwards
    #[arg(long, requires = "to")]
    skip_validation: bool,
    /// Print JSON, one object: the deployment and what was done; with --to one a line, with each change. If it does
    /// not succeed, the last one has `error`
    #[arg(long)]
    json: bool,
}

/// Has the stack's rollback function do it, and says what came of it.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let back = rolled_back(arguments, options, output).await;
    ended(arguments.json, back, output)
}

async fn rolled_back(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { deployment: named, reason, force, to, dry_run, skip_validation, json } =
        arguments;
    if let Some(to) = to {
        let (reason, to) = (reason.as_deref(), &To::of(to));
        let (dry_run, skip_validation) = (*dry_run, *skip_validation);
        let asked = Asked { named, to, reason, dry_run, skip_validation, json: *json };
        return back::run(&asked, options, output).await;
    }
    let connection = options.connect().await?;
    let operator = &connection.operator;
    let commands = options.commands();
    let execution = |id: &DeploymentId| operator.execution(id);
    let state = async |execution: &ExecutionArn| operator.find(execution).await;
    let registry = &connection.ports.registry;
    let deployment =
        &named.find(registry, execution, state, Beginnings::Offered, &commands).await?;
    if *deployment != named.exactly(execution)? && !json {
        writeln!(output, "{deployment} is the deployment of that service that runs")?;
        // Before the rollback, for whoever watches.
        output.flush()?;
    }
    let invoke = async || operator.roll_back(deployment, reason.as_deref(), *force).await;
    let execution = operator.execution(deployment);
    let planned = async || {
        let find = async || operator.find(&execution).await;
        to_roll_back(&connection.ports, deployment, &execution, find, &commands).await
    };
    let ports = &connection.ports;
    let told = roll_back(ports, deployment, planned, invoke, &commands).await?;
    Ok(told.write(*json, output)?)
}

/// Rolls back unless it is too late for that; what happened, in words.
async fn roll_back<P>(
    ports: &P,
    id: &DeploymentId,
    planned: impl AsyncFnOnce() -> Result<Deployment, Stopped>,
    invoke: impl AsyncFnOnce() -> PortResult<Invoked>,
    commands: &Commands,
) -> Result<Told, Stopped>
where
    P: Ports<Registry: Registry, Ambient: Clock>,
{
    let registry = ports.registry();
    let found = match registry.deployment(id).await {
        Ok(Some(found)) => found,
        // Somebody may have seen at once that it was a mistake.
        Ok(None) => planned().await?,
        // The stack's own version may read what this one cannot, and looks before it writes.
        Err(error) if !error.may_pass() => {
            return Err(unseen(id, &error, invoke().await, commands));
        }
        Err(error) => return Err(error.into()),
    };
    if matches!(found.phase, Phase::Closed(_)) {
        require_no_other(registry, id, commands).await?;
    }
    if let Some(text) = already_back(&found, commands) {
        return Ok(Told::of(Done::Nothing, &found, ports.ambient().now(), text));
    }
    require_not_succeeded(&found, commands)?;
    let invoked = invoke().await;
    // What counts is what was recorded, whatever became of the answer.
    let after = registry.deployment(id).await?.unwrap_or(found);
    let text = outcome(&after, invoked, commands)?;
    Ok(Told::of(Done::RolledBack, &after, ports.ambient().now(), text))
}

/// What came of a rollback of which this command line cannot read the record: only the stack's words.
fn unseen(
    id: &DeploymentId,
    unread: &PortError,
    invoked: PortResult<Invoked>,
    commands: &Commands,
) -> Stopped {
    let told = match invoked {
        Ok(Invoked::Answered(reply)) => reply.summary,
        Ok(Invoked::Failed(failure)) => failure.to_string(),
        Err(error) => error.to_string(),
    };
    Stopped::Unanswered {
        message: format!(
            "the stack was asked to roll {id} back and says: {told}. Its record cannot be read here \
             ({unread})"
        ),
        hint: format!(
            "`{}` tries again at once, as often as you like; look at the weights of its rules",
            commands.of("rollback", id, "")
        ),
    }
}

/// A deployment that has ended may have the name of a service of which another one runs: whoever means
/// that one must not be told that it is over.
async fn require_no_other<R: Registry>(
    registry: &R,
    id: &DeploymentId,
    commands: &Commands,
) -> Result<(), Stopped> {
    // Nobody is kept from an answer by what is only looked at for their safety.
    let Ok(recent) = registry.recent(RECENT).await else { return Ok(()) };
    let Some(runs) = running(&recent, id.as_str()).next() else { return Ok(()) };
    Err(Stopped::Unusable {
        message: format!(
            "the deployment {id} has ended, but {runs} of the service `{id}` runs; nothing was written"
        ),
        hint: format!("to roll that one back: `{}`", commands.of("rollback", runs, "")),
    })
}

/// What has been brought back before is as it was asked to be: whoever repeats a rollback, as the
/// runbook says, is told so and nothing is written.
fn already_back(deployment: &Deployment, commands: &Commands) -> Option<String> {
    let Deployment { id, plan, .. } = deployment;
    let old = plan.stable.task_definition.short();
    match deployment.phase {
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => Some(format!(
            "{id} has ended before, with all traffic on {old}; nothing was written\n  \
             what runs now: {}",
            commands.all()
        )),
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Committed
        | Phase::Closed(Outcome::Succeeded) => None,
    }
}

/// After a commit nothing must be written.
fn require_not_succeeded(deployment: &Deployment, commands: &Commands) -> Result<(), Stopped> {
    let Deployment { id, plan, .. } = deployment;
    let (old, new) = (plan.stable.task_definition.short(), plan.task_definition.short());
    match deployment.phase {
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => Ok(()),
        Phase::Committed | Phase::Closed(Outcome::Succeeded) => Err(Stopped::Unusable {
            message: format!(
                "{id} has succeeded: {new} is the stable version now; nothing was written"
            ),
            hint: format!(
                "to return to {old}: `{}`",
                commands.of("rollback", id, "--to previous --reason \"...\"")
            ),
        }),
    }
}

fn outcome(
    deployment: &Deployment,
    invoked: PortResult<Invoked>,
    commands: &Commands,
) -> Result<String, Stopped> {
    let Deployment { id, plan, .. } = deployment;
    let old = plan.stable.task_definition.short();
    let restored = deployment.progress.restored_at.is_some();
    match deployment.phase {
        Phase::RollingBack if restored => Ok(format!(
            "all traffic is back on {old}; the load balancer has confirmed it\n  \
             the new tasks stop next: {}",
            commands.of("status", id, "--watch")
        )),
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
            Ok(format!("all traffic is back on {old}, and {id} has ended"))
        }
        Phase::Held => Err(Stopped::Failed {
            message: format!(
                "the rollback is held: {old} has no healthy target, so traffic stays where it is"
            ),
            hint: format!(
                "repair `{}`; the rollback then goes on by itself. To send everything there all \
                 the same: `{}`. {}",
                plan.stable.service,
                commands.of("rollback", id, "--force"),
                commands.to_look(id)
            ),
        }),
        Phase::Committed | Phase::Closed(Outcome::Succeeded) => {
            require_not_succeeded(deployment, commands).map(|()| String::new())
        }
        Phase::Open | Phase::RollingBack => {
            let again = commands.of("rollback", id, "");
            let begun = match deployment.phase {
                Phase::RollingBack => "the rollback has begun and is not confirmed yet",
                Phase::Open | Phase::Held | Phase::Committed | Phase::Closed(_) => {
                    "the rollback has not begun"
                }
            };
            let why = match invoked {
                Ok(Invoked::Answered(reply)) => reply.summary,
                Ok(Invoked::Failed(failure)) => failure.to_string(),
                Err(error) => error.to_string(),
            };
            Err(Stopped::Unanswered {
                message: format!("{begun}: {why}"),
                hint: format!("`{again}` tries again at once, as often as you like"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::failure::{Failure, FailureCode};
    use glidepath_engine::rollback::{self, RollbackInput};
    use glidepath_engine::testing::example::{self, begun, plan, stage};
    use glidepath_engine::testing::{Bed, Call, Machine, MemoryRegistry, World};
    use serde_json::json;

    use super::*;
    use crate::fixtures::{self, NOW, minutes};

    /// What came of it in words.
    async fn roll_back(
        registry: &MemoryRegistry,
        id: &DeploymentId,
        planned: impl AsyncFnOnce() -> Result<Deployment, Stopped>,
        invoke: impl AsyncFnOnce() -> PortResult<Invoked>,
        commands: &Commands,
    ) -> Result<String, Stopped> {
        let world = World::at(NOW);
        let ports = Bed::new(registry, &world);
        let told = super::roll_back(&ports, id, planned, invoke, commands).await?;
        let done = told.view()["done"].as_str().unwrap();
        assert_eq!(done == "nothing", told.text().contains("nothing was written"), "{told:?}");
        Ok(told.text().to_owned())
    }

    async fn unplanned() -> Result<Deployment, Stopped> {
        Err(Stopped::unknown(&DeploymentId::new("shop-43"), &Commands::default()))
    }

    async fn by_engine(
        registry: &MemoryRegistry,
        world: &World,
        id: &DeploymentId,
    ) -> PortResult<Invoked> {
        let input: RollbackInput = serde_json::from_value(json!({
            "deployment": id,
            "by": { "operator": "arn:ada" },
            "error": { "name": "Aborted", "cause": "arn:ada: it is slow" },
        }))
        .unwrap();
        let answer = rollback::run(&Bed::new(registry, world), &input).await;
        Ok(answer.map_or_else(Invoked::Failed, Invoked::Answered))
    }

    #[tokio::test]
    async fn a_running_deployment_is_rolled_back_and_it_is_said_so() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let plan = plan(vec![stage(100, minutes(5)), stage(1000, minutes(5))]);
        let deployment = begun(&registry, plan, "shop-2", world.now()).await;
        let bed = glidepath_engine::testing::Bed::new(&registry, &world);
        let mut machine = Machine::after_plan(bed, &deployment.id);
        machine.run_until(|reply| reply.summary.contains("bakes")).await.unwrap();
        let invoke = async || by_engine(&registry, &world, &deployment.id).await;
        let told =
            roll_back(&registry, &deployment.id, unplanned, invoke, &Commands::default()).await;
        let told = told.unwrap();
        assert!(told.starts_with("all traffic is back on shop:1; "), "{told}");
        let fence = registry.items().deployments[&deployment.id].fence.clone().unwrap();
        assert_eq!(fence.failure, Failure::new(FailureCode::Aborted, "arn:ada: it is slow"));
        assert!(world.take_calls().iter().any(|call| matches!(call, Call::WriteRoute(..))));
    }

    #[tokio::test]
    async fn what_has_ended_or_committed_is_left_alone() {
        for (deployment, expected, back) in [
            (fixtures::committed(), "has succeeded", false),
            (fixtures::succeeded(), "has succeeded", false),
            (fixtures::rolled_back(), "has ended before", true),
            (fixtures::abandoned(), "has ended before", true),
        ] {
            let registry = MemoryRegistry::default();
            let id = deployment.id.clone();
            registry.items().deployments.insert(id.clone(), deployment);
            let invoke = async || panic!("nothing may be invoked");
            let told = roll_back(&registry, &id, unplanned, invoke, &Commands::default()).await;
            let unusable = matches!(told, Err(Stopped::Unusable { .. }));
            let told = told.unwrap_or_else(|stopped| stopped.to_string());
            // Repeated, it is done; after a success it is not.
            assert_eq!(unusable, !back, "{told}");
            assert!(told.contains(expected) && told.contains("nothing was written"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_record_that_this_version_cannot_read_is_rolled_back_by_the_stack() {
        let (registry, id) = (MemoryRegistry::default(), DeploymentId::new("shop-42"));
        registry.items().unreadable.insert(id.clone());
        let mut invoked = false;
        let invoke = async || {
            invoked = true;
            Err(PortError::Throttled { operation: "lambda:Invoke" })
        };
        let told = roll_back(&registry, &id, unplanned, invoke, &Commands::default()).await;
        assert!(told.unwrap_err().to_string().contains("cannot be read here"));
        assert!(invoked);
    }

    #[tokio::test]
    async fn an_ended_deployment_with_a_services_name_does_not_hide_the_one_that_runs() {
        let registry = MemoryRegistry::default();
        let mut ended = fixtures::rolled_back();
        ended.id = DeploymentId::new(ended.plan.service.as_str());
        let (id, runs) = (ended.id.clone(), fixtures::baking());
        registry.items().deployments.insert(id.clone(), ended);
        registry.items().deployments.insert(runs.id.clone(), runs);
        let invoke = async || panic!("nothing may be invoked");
        let told = roll_back(&registry, &id, unplanned, invoke, &Commands::default()).await;
        let Err(Stopped::Unusable { message, hint }) = told else { panic!("{told:?}") };
        assert!(message.contains("shop-42 of the service `shop` runs"), "{message}");
        assert!(hint.contains("glidepath rollback shop-42"), "{hint}");
    }

    #[tokio::test]
    async fn an_unknown_deployment_is_bad_usage() {
        let registry = MemoryRegistry::default();
        let invoke = async || panic!("nothing may be invoked");
        let id = DeploymentId::new("shop-43");
        let stopped = roll_back(&registry, &id, unplanned, invoke, &Commands::default()).await;
        assert!(matches!(stopped.unwrap_err(), Stopped::Unusable { .. }));
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_hide_what_was_done() {
        let registry = MemoryRegistry::default();
        let id = DeploymentId::new("shop-42");
        registry.items().deployments.insert(id.clone(), fixtures::baking());
        let lost = || {
            let operation = "lambda:Invoke";
            Err(PortError::Unanswered { operation, detail: "timed out".to_owned() })
        };
        let nothing =
            roll_back(&registry, &id, unplanned, async || lost(), &Commands::default()).await;
        let nothing = nothing.unwrap_err();
        assert!(matches!(&nothing, Stopped::Unanswered { .. }));
        assert!(nothing.to_string().starts_with("the rollback has not begun: "), "{nothing}");

        let done = async || {
            let mut deployment = fixtures::rolling_back();
            deployment.progress.restored_at = Some(NOW);
            registry.items().deployments.insert(id.clone(), deployment);
            lost()
        };
        let told = roll_back(&registry, &id, unplanned, done, &Commands::default()).await.unwrap();
        assert!(told.starts_with("all traffic is back"), "{told}");
    }

    #[test]
    fn a_held_rollback_says_what_to_repair() {
        let invoked = Err(PortError::Throttled { operation: "lambda:Invoke" });
        let stopped = outcome(&fixtures::held(), invoked, &Commands::default()).unwrap_err();
        let Stopped::Failed { hint, .. } = stopped else { panic!("{stopped}") };
        assert!(hint.starts_with("repair `shop-blue`"), "{hint}");
    }
}
