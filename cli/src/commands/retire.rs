//! `glidepath retire`: ends the time in which the old version keeps its tasks.

use std::io::Write;

use glidepath_core::back::{KNOWN, NoWayBack, To, serving};
use glidepath_core::failure::Failure;
use glidepath_core::ids::DeploymentId;
use glidepath_engine::decide::{Decided, Posted, PostedDecision};
use glidepath_engine::ports::{Clock, PortResult, Ports, Recent, Registry};
use serde_json::json;

use super::back::no_way_back;
use crate::connection::Options;
use crate::names::Named;
use crate::next_command::Commands;
use crate::stopped::Stopped;
use crate::told::{Done, Told, finished};

/// Stop the tasks of the old version now, before its retention is over
///
/// Until then `rollback --to previous` is back within seconds; afterwards its tasks are started first.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A service, or the deployment whose version serves
    service: Named,
    /// Print JSON, one object: the deployment and what was done, or `error`
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    finished(arguments.json, retired(arguments, options).await, output)
}

async fn retired(arguments: &Arguments, options: &Options) -> Result<Told, Stopped> {
    let connection = options.connect().await?;
    let subject = arguments.service.exactly(|id| connection.operator.execution(id))?;
    let known = connection.ports.registry.recent(KNOWN).await?;
    let retire = async |deployment: &DeploymentId| {
        let decision = PostedDecision::Retire {};
        let posted = Posted { deployment: deployment.clone(), decision };
        connection.operator.decide(&posted).await
    };
    let commands = options.commands();
    end(&connection.ports, &known, subject.as_str(), retire, &commands).await
}

/// Ends the retention of what is named; what comes of it, in words.
async fn end<P>(
    ports: &P,
    known: &Recent,
    subject: &str,
    retire: impl AsyncFnOnce(&DeploymentId) -> PortResult<Result<Decided, Failure>>,
    commands: &Commands,
) -> Result<Told, Stopped>
where
    P: Ports<Ambient: Clock>,
{
    let deployment =
        serving(&known.deployments, subject).map_err(|none| refused(&none, subject, commands))?;
    let (id, old) = (&deployment.id, &deployment.plan.stable);
    let decided = retire(id).await?;
    let decided = decided.map_err(|failure| Stopped::by_failure(&failure, "try again"))?;
    let now = ports.ambient().now();
    let told = |done, text| {
        let retires = json!({
            "version": old.task_definition,
            "service": old.service,
            "wasDueAt": decided.was_due_at.map(|at| at.to_string()),
        });
        Told::of(done, deployment, now, text).with("retires", retires)
    };
    let Some(was_due_at) = decided.was_due_at else {
        let text = format!(
            "nothing is kept of {}: its tasks have stopped, or another deployment has taken `{}` over",
            old.task_definition.short(),
            old.service
        );
        return Ok(told(Done::Nothing, text));
    };
    let was = if was_due_at > now {
        format!("they would have been kept until {was_due_at}")
    } else {
        "they are due already".to_owned()
    };
    let text = format!(
        "the tasks of {} in `{}` stop within about a minute; {was}\n  see it: `{}`",
        old.task_definition.short(),
        old.service,
        commands.of("status", id, "")
    );
    Ok(told(Done::Retired, text))
}

/// Nothing that moves traffic is offered to whoever wants to save tasks.
fn refused(none: &NoWayBack, subject: &str, commands: &Commands) -> Stopped {
    match none {
        NoWayBack::Replaced(id) | NoWayBack::BackAlready(id) => Stopped::Unusable {
            message: format!(
                "what {id} brought serves, and not what {subject} did; nothing was written"
            ),
            hint: format!(
                "to stop the tasks that {id} has left: `{}`",
                commands.of("retire", id, "")
            ),
        },
        NoWayBack::NeverDeployed
        | NoWayBack::Ambiguous(_)
        | NoWayBack::Running(_)
        | NoWayBack::Completing(_)
        | NoWayBack::WentBack(_)
        | NoWayBack::Tagged(_)
        | NoWayBack::Serves(_)
        | NoWayBack::Unknown(_) => no_way_back(none, subject, &To::Previous, commands),
    }
}

#[cfg(test)]
mod tests {

    use glidepath_core::record::{Event, Retirement};
    use glidepath_core::time::Span;
    use glidepath_engine::testing::{Bed, MemoryRegistry, example};

    use super::*;
    use crate::fixtures;

    #[tokio::test]
    async fn an_old_slot_goes_before_its_time_and_only_once() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let ports = Bed::new(&registry, &world);
        let succeeded = fixtures::succeeded();
        let known = Recent { deployments: vec![succeeded.clone()], ..Recent::default() };
        let commands = Commands::default();
        registry.items().deployments.insert(succeeded.id.clone(), succeeded.clone());
        // With the function itself in place of its URL.
        let retire = async |id: &DeploymentId| {
            let retired = glidepath_engine::retire::run(&ports, id, "arn:ada").await;
            let due_at = retired.map(|found| found.map(|found| found.due_at));
            Ok(due_at.map(|due_at| Decided::retirement(id.clone(), due_at)))
        };
        let told = end(&ports, &known, "shop", &retire, &commands).await.unwrap();
        assert_eq!(told.view()["done"], "nothing");
        let told = told.text();
        assert!(told.starts_with("nothing is kept of shop:1"), "{told}");

        let mut kept = Retirement::after(&succeeded, world.now());
        kept.due_at = world.now() + Span::from_secs(600);
        registry.items().retirements.insert(kept.key(), kept.clone());
        let told = end(&ports, &known, "shop", &retire, &commands).await.unwrap();
        assert_eq!(told.view()["done"], "retired");
        assert_eq!(told.view()["retires"]["wasDueAt"], kept.due_at.to_string());
        let told = told.text();
        assert!(told.contains("stop within about a minute; they would have been kept"), "{told}");
        assert_eq!(registry.items().retirements[&kept.key()].due_at, world.now());
        // Who wanted it, once, however often it is asked for.
        let timeline = async || {
            let notices = registry.notices(&succeeded.id).await.unwrap();
            notices.into_iter().map(|entry| entry.notice.event).collect::<Vec<_>>()
        };
        let told_of =
            Event::RetirementHastened { by: "arn:ada".to_owned(), was_due_at: kept.due_at };
        assert_eq!(timeline().await, std::slice::from_ref(&told_of));
        let told = end(&ports, &known, "shop-42", &retire, &commands).await.unwrap();
        let told = told.text();
        assert!(told.contains("due already"), "{told}");
        assert_eq!(timeline().await, [told_of]);

        let stopped = end(&ports, &known, "basket", &retire, &commands).await.unwrap_err();
        assert!(matches!(stopped, Stopped::Unusable { .. }), "{stopped}");

        // Somebody is late: what serves by now keeps its way back.
        let mut newer = succeeded.clone();
        newer.id = DeploymentId::new("shop-43");
        registry.items().deployments.insert(newer.id.clone(), newer.clone());
        let deployments = vec![newer, known.deployments[0].clone()];
        let known = Recent { deployments, ..Recent::default() };
        kept.revision = registry.items().retirements[&kept.key()].revision;
        registry.items().retirements.insert(kept.key(), kept.clone());
        let stopped = end(&ports, &known, "shop-42", &retire, &commands).await.unwrap_err();
        let Stopped::Unusable { message, hint } = stopped else { panic!("{stopped}") };
        assert!(message.starts_with("what shop-43 brought serves"), "{message}");
        assert!(hint.contains("glidepath retire shop-43"), "{hint}");
        // And what another deployment has left is not its own.
        let told = end(&ports, &known, "shop-43", &retire, &commands).await.unwrap();
        let told = told.text();
        assert!(told.starts_with("nothing is kept of shop:1"), "{told}");
        assert_eq!(registry.items().retirements[&kept.key()].due_at, kept.due_at);
    }
}
