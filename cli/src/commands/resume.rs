//! `glidepath resume`: what was paused goes on.

use std::io::Write;

use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision;
use crate::names::Named;
use crate::stopped::Stopped;

/// Let a deployment go on that somebody has paused
///
/// It is looked at at once: a stage whose bake is over, or which was approved meanwhile, goes on with that look.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment, or the ARN of its execution
    deployment: Named,
    /// Why, for whoever reads the timeline
    #[arg(long, value_parser = decision::reason)]
    reason: Option<String>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { deployment, reason } = arguments;
    let word = Word::Resume { reason: reason.clone() };
    decision::answer(deployment, None, word, options, output).await
}
