//! `glidepath start`: begins a deployment, and follows it if wanted.

use std::io::Write;

use glidepath_aws::operator::{Proven, Started};
use glidepath_core::document::Findings;
use glidepath_core::ids::{DeploymentId, ExecutionArn, TaskDefinition};
use glidepath_core::record::{Deployment, Outcome, Phase};
use glidepath_core::request::{Asked, Request};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clock, Containers, LoadBalancer, Ports, Registry};
use serde_json::json;

use super::plan::surveyed;
use crate::connection::{Connection, Options};
use crate::document::{Document, Source};
use crate::follow::{Follow, Until, follow};
use crate::form::{Form, unbegun};
use crate::live::serves;
use crate::names::{name, named_after};
use crate::next_command::Commands;
use crate::planning::{Answer, answer};
use crate::render::Doing;
use crate::revision::Images;
use crate::stopped::{Stopped, WARNING, findings_view, write_findings};
use crate::told::{Done, Told, ended};

/// For how many looks, one a second, a started execution may not be there yet: DescribeExecution is
/// eventually consistent.
const LAG: u32 = 10;

/// Start a deployment
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: Images,
    /// Name of the deployment; without it one is made of the service and the version. A name
    /// is used once: again with the same request it starts nothing, and is done if its version serves
    #[arg(long, value_parser = name)]
    name: Option<DeploymentId>,
    /// Follow the deployment until it has ended; the exit code then is its outcome
    #[arg(long)]
    wait: bool,
    /// With --wait: until a person has to decide something, too; the exit code then is 4
    #[arg(long, requires = "wait")]
    until_person: bool,
    /// With --wait: no longer than this, such as 30m; the exit code then is 5, and the deployment goes on
    #[arg(long, requires = "wait", value_parser = Span::parse)]
    timeout: Option<Span>,
    /// Print JSON: the deployment once it has begun, with --wait an object for each change, one a line; if it fails,
    /// the last one has `error`
    #[arg(long)]
    json: bool,
}

/// How far it is followed once it has begun.
#[derive(Clone, Copy, Debug)]
pub(super) enum Following {
    Not,
    Until(Until),
}

/// How something is started.
#[derive(Debug)]
pub(super) struct Manner {
    pub(super) following: Following,
    pub(super) json: bool,
    /// What somebody should know besides, for programs: people have read it.
    pub(super) findings: Findings,
    /// The revision that was registered for it.
    pub(super) registered: Option<TaskDefinition>,
}

/// Starts the deployment, unless the request alone shows that it cannot work.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let started = started(arguments, options, output).await;
    ended(arguments.json, started, output)
}

async fn started(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let mut document = arguments.source.read()?;
    let mut asked = document.asked()?;
    let mut connection = options.connect().await?;
    let (mut findings, mut registered) = (Findings::default(), None);
    if !arguments.images.is_empty() {
        (registered, findings) =
            released(arguments, &mut connection, &mut document, output).await?;
        asked = document.asked()?;
    }
    let id = match (&arguments.name, &asked) {
        (Some(name), _) => name.clone(),
        (None, Asked::Release(request)) => derived(request)?,
        (None, Asked::WayBack(asked)) => {
            named_after(asked.service.as_str(), connection.ports.ambient.now())?
        }
    };
    let until = Until { person: arguments.until_person, timeout: arguments.timeout };
    let following = if arguments.wait { Following::Until(until) } else { Following::Not };
    let manner = Manner { following, json: arguments.json, findings, registered };
    begin(&connection, &document, &id, manner, &options.commands(), output).await
}

/// Puts the revision with these images into the document. It is registered only if the whole request can be planned
/// with it. What was registered, and what somebody should know of it who has not read it yet.
async fn released(
    arguments: &Arguments,
    connection: &mut Connection,
    document: &mut Document,
    output: &mut impl Write,
) -> Result<(Option<TaskDefinition>, Findings), Stopped> {
    let revision = arguments.images.revision(connection, document, arguments.name.as_ref()).await?;
    if !arguments.json {
        revision.show(output)?;
    }
    if revision.is_new() {
        revision.preview(connection, document)?;
        // What it warns of, the stack's own plan tells.
        let (_, _) = surveyed(connection, document).await?;
    }
    let registered = revision.register(connection, document).await?;
    if arguments.json {
        return Ok((registered, revision.into_warnings()));
    }
    if let Some(registered) = &registered {
        writeln!(output, "registered {}", registered.short())?;
    }
    Ok((registered, Findings::default()))
}

/// Starts what the document asks for under this name, and follows it if wanted.
pub(super) async fn begin(
    connection: &Connection,
    document: &Document,
    id: &DeploymentId,
    manner: Manner,
    commands: &Commands,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Manner { following, json, mut findings, registered } = manner;
    let versions = connection.versions();
    if versions.has_errors() {
        return Err(document.refused(versions));
    }
    let versions = document.located(versions);
    if json {
        findings.extend(versions);
    } else {
        write_findings(&versions, output)?;
    }
    let (started, proven) = connection.operator.start(id, &document.value).await?;
    if let Proven::No(why) = &proven {
        let mut aside = anstream::stderr();
        writeln!(
            aside,
            "{WARNING}warning:{WARNING:#} AWS may not have told the stack who starts {id}: {why}"
        )?;
    }
    let begun = |told: Told| {
        told.with("proven", json!(proven == Proven::Yes))
            .with("registered", json!(registered))
            .with("findings", findings_view(&findings))
    };
    let execution = match started {
        Started::Running(execution) => execution,
        Started::EndedBefore(_) => {
            return Ok(begun(ended_before(connection, id).await?).write(json, output)?);
        }
        Started::NameTaken => return Err(taken(id, "exists, with another request")),
    };
    let find = async || connection.operator.find(&execution).await;
    let told = match answer(&connection.ports, id, &execution, LAG, find).await? {
        Answer::Accepted(deployment) => {
            let now = connection.ports.ambient.now();
            Told::of(Done::Started, &deployment, now, accepted(&deployment, now))
                .with("warnings", json!(deployment.warnings))
        }
        Answer::Refused(refused) => return refused.outcome(id, commands),
        Answer::Planning | Answer::Nothing => {
            let text = format!("{id} is started; its plan takes long, and nothing is written yet");
            Told::new(text, unbegun(id, Doing::Planning, None)).with("done", json!(Done::Started))
        }
    };
    begun(told).write(json, output)?;
    if let Following::Until(until) = following {
        let following = Follow { ports: &connection.ports, id, commands, shown: 0, until };
        return wait(connection, following, &execution, json, output).await;
    }
    if !json {
        writeln!(output, "  follow it   {}", commands.of("status", id, "--watch"))?;
        writeln!(output, "  end it      {}", commands.of("rollback", id, "--reason \"...\""))?;
    }
    Ok(())
}

/// What a name is worth that was started before with the same request: done if what it deployed
/// serves now, and else no deployment at all. A pipeline that is run again reads nothing but that.
async fn ended_before(connection: &Connection, id: &DeploymentId) -> Result<Told, Stopped> {
    let Some(deployment) = connection.ports.registry.deployment(id).await? else {
        return Err(taken(id, "was refused before"));
    };
    let version = deployment.plan.task_definition.short().to_owned();
    match deployment.phase {
        Phase::Closed(Outcome::Succeeded) => {}
        Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
            return Err(taken(id, &format!("failed before: {version} was not kept")));
        }
        Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => {
            return Err(taken(id, "has not ended, though its execution has"));
        }
    }
    if serves(&connection.ports, &deployment).await? {
        let text = format!("{id} ended before, and {version} serves: there is nothing to start");
        return Ok(Told::of(Done::Nothing, &deployment, connection.ports.ambient.now(), text));
    }
    Err(taken(id, &format!("ended before, and {version} does not serve any more")))
}

/// What begins, and what somebody should know about it.
fn accepted(deployment: &Deployment, now: Timestamp) -> String {
    let Deployment { id, plan, warnings, .. } = deployment;
    let (old, new) = (plan.stable.task_definition.short(), plan.task_definition.short());
    let mut text = format!("{id} has begun: {new} replaces {old} of {}", plan.service);
    for warning in warnings {
        text.push_str(&format!("\n{WARNING}warning:{WARNING:#} {warning}"));
    }
    if let Some(freeze) = deployment.frozen(now) {
        let frozen = freeze.in_words();
        text.push_str(&format!(
            "\n{WARNING}warning:{WARNING:#} it is {frozen}: it begins once it is thawed"
        ));
    }
    text
}

/// Tells what happens until the deployment has ended or nobody wants to hear it any longer.
async fn wait<
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Containers: Containers, Ambient: Clock>,
>(
    connection: &Connection,
    following: Follow<'_, P>,
    execution: &ExecutionArn,
    json: bool,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Follow { id, commands, .. } = following;
    let look = async || connection.operator.state(execution).await;
    let mut telling = Form::of(json).telling(id, commands, output);
    tokio::select! {
        ended = follow(following, execution, look, &mut *telling) => {
            ended?.outcome(id, commands)
        }
        interrupted = tokio::signal::ctrl_c() => Err(match interrupted {
            Ok(()) => left(id, commands),
            Err(error) => Stopped::Runtime(error),
        }),
    }
}

fn left(id: &DeploymentId, commands: &Commands) -> Stopped {
    Stopped::Left {
        message: format!("{id} goes on without you"),
        hint: format!(
            "`{}` follows it again, `{}` ends it",
            commands.of("status", id, "--watch"),
            commands.of("rollback", id, "")
        ),
    }
}

fn taken(id: &DeploymentId, why: &str) -> Stopped {
    Stopped::Unusable {
        message: format!("a deployment named `{id}` {why}; nothing was started"),
        hint: format!("give this one a name of its own, such as `--name {id}-again`"),
    }
}

/// A name from the service and the version: `shop-42` for version `shop:42` of service `shop`.
fn derived(request: &Request) -> Result<DeploymentId, Stopped> {
    let version = request.release.task_definition.short().replace(':', "-");
    let service = request.service.as_str();
    let text = if version.starts_with(service) { version } else { format!("{service}-{version}") };
    name(&text).map_err(|message| Stopped::Unusable {
        message: format!("`{text}`, made of service and version, is no name: {message}"),
        hint: "give a name with --name".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(service: &str, version: &str) -> Request {
        glidepath_core::request::decode(&json!({
            "apiVersion": "glidepath/v1",
            "service": service,
            "target": {
                "cluster": "production",
                "slots": { "blue": "blue", "green": "green" },
                "routes": [{ "rule": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:\
                                      listener-rule/app/shop/1/2/3" }]
            },
            "release": { "taskDefinition": version },
            "strategy": { "allAtOnce": {} }
        }))
        .unwrap_or_else(|findings| panic!("{findings}"))
    }

    #[test]
    fn a_name_is_made_of_service_and_version() {
        let name = |service, version| derived(&request(service, version)).unwrap();
        assert_eq!(name("shop", "shop:42").as_str(), "shop-42");
        assert_eq!(name("shop", "shop-web:42").as_str(), "shop-web-42");
        assert_eq!(name("checkout", "shop:42").as_str(), "checkout-shop-42");
        let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:42";
        assert_eq!(name("shop", arn).as_str(), "shop-42");
    }
}
