//! `glidepath open`: the page of what a deployment asks, or its execution in the AWS console.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use glidepath_aws::operator::Operator;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::link::QuestionLink;
use glidepath_core::message::console;
use glidepath_engine::decide::{Decided, Posted, PostedDecision};
use glidepath_engine::ports::Registry;
use serde_json::json;

use crate::connection::Options;
use crate::names::{Beginnings, Named};
use crate::stopped::{Stopped, WARNING};

/// Print the link to the page of a deployment's question, and open it; where it asks nobody, or the stack has no page, the
/// link to its execution in the AWS console
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment or the beginning of it, ARN of its execution, or a service of which exactly
    /// one runs
    deployment: Named,
    /// Its execution in the AWS console, whatever it asks
    #[arg(long)]
    execution: bool,
    /// Print the link, and open nothing
    #[arg(long)]
    print: bool,
    /// Print JSON, one object, and open nothing: the deployment, and the link as `page` or `execution`
    #[arg(long)]
    json: bool,
}

/// Where a deployment can be seen.
enum Link {
    Page(String),
    Execution(String),
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let connection = options.connect().await?;
    let (registry, operator) = (&connection.ports.registry, &connection.operator);
    let execution = |id: &DeploymentId| operator.execution(id);
    let state = async |execution: &ExecutionArn| operator.find(execution).await;
    let commands = options.commands();
    let named = &arguments.deployment;
    let id = named.find(registry, execution, state, Beginnings::Taken, &commands).await?;
    let recorded = registry.deployment(&id).await?;
    let has_page = connection.stack.outputs.contains_key("PageUrl");
    let asks = recorded.as_ref().filter(|_| has_page && !arguments.execution);
    let asks = asks.and_then(QuestionLink::open);
    let page = match asks {
        Some(_) => page(operator, &id).await?,
        None => None,
    };
    let execution = recorded.map_or_else(|| operator.execution(&id), |found| found.execution);
    let link = match page {
        Some(page) => Link::Page(page),
        None => Link::Execution(console(&execution).ok_or_else(|| Stopped::Unusable {
            message: format!("the console of the partition of `{execution}` is not known"),
            hint: commands.to_look(&id),
        })?),
    };
    let (kind, link) = match &link {
        Link::Page(link) => ("page", link),
        Link::Execution(link) => ("execution", link),
    };
    if arguments.json {
        writeln!(output, "{}", json!({ "deployment": id, kind: link }))?;
        return Ok(());
    }
    writeln!(output, "{link}")?;
    output.flush()?;
    let seen = std::io::stdout().is_terminal();
    if let Some(opener) =
        opener(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
            .filter(|_| seen && !arguments.print)
    {
        let mut command = Command::new(opener);
        command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = command.spawn() {
            let mut aside = anstream::stderr();
            writeln!(aside, "{WARNING}warning:{WARNING:#} `{opener}` opens nothing: {error}")?;
        }
    }
    Ok(())
}

/// The page of what it asks. Only who may decide is told: everybody else is warned, and sees the execution.
async fn page(operator: &Operator, id: &DeploymentId) -> Result<Option<String>, Stopped> {
    let posted = Posted { deployment: id.clone(), decision: PostedDecision::Link {} };
    let why = match operator.decide(&posted).await {
        Ok(Ok(Decided { page, .. })) => return Ok(page),
        Ok(Err(failure)) => failure.cause,
        Err(error) => error.to_string(),
    };
    let mut aside = anstream::stderr();
    writeln!(aside, "{WARNING}warning:{WARNING:#} the page of the question is not known: {why}")?;
    Ok(None)
}

/// What opens a link here; `None` where nobody has a screen.
fn opener(is_set: impl Fn(&str) -> bool) -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("open");
    }
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(is_set).then_some("xdg-open")
}
