//! `glidepath approve`: lets a stage go on that waits for a person.

use std::io::Write;

use glidepath_core::ids::DeploymentId;

use crate::connection::Options;
use crate::decision;
use crate::report::Stopped;

/// Approve the stage that waits for you
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment
    #[arg(value_parser = |name: &str| Ok::<_, String>(DeploymentId::new(name)))]
    deployment: DeploymentId,
    /// Why, for whoever reads the timeline
    #[arg(long)]
    reason: Option<String>,
}

/// Approves.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { deployment, reason } = arguments;
    decision::answer(true, deployment, reason.clone(), options, output).await
}
