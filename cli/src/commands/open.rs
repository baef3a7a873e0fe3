//! `glidepath open`: the execution of a deployment in the AWS console.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::message::console;
use glidepath_engine::ports::Registry;

use crate::connection::Options;
use crate::names::{Beginnings, Named};
use crate::stopped::{Stopped, WARNING};

/// Print the link to a deployment's execution in the AWS console, and open it
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment or the beginning of it, ARN of its execution, or a service of which exactly
    /// one runs
    deployment: Named,
    /// Print the link, and open nothing
    #[arg(long)]
    print: bool,
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
    let recorded = registry.deployment(&id).await?.map(|deployment| deployment.execution);
    let execution = recorded.unwrap_or_else(|| operator.execution(&id));
    let link = console(&execution).ok_or_else(|| Stopped::Unusable {
        message: format!("the console of the partition of `{execution}` is not known"),
        hint: commands.to_look(&id),
    })?;
    writeln!(output, "{link}")?;
    output.flush()?;
    let seen = std::io::stdout().is_terminal();
    if let Some(opener) =
        opener(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
            .filter(|_| seen && !arguments.print)
    {
        let mut command = Command::new(opener);
        command.arg(&link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = command.spawn() {
            let mut aside = anstream::stderr();
            writeln!(aside, "{WARNING}warning:{WARNING:#} `{opener}` opens nothing: {error}")?;
        }
    }
    Ok(())
}

/// What opens a link here; `None` where nobody has a screen.
fn opener(is_set: impl Fn(&str) -> bool) -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("open");
    }
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(is_set).then_some("xdg-open")
}
