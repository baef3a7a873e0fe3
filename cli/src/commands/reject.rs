//! `glidepath reject`: refuses a stage that waits for a person, and everything returns to stable.

use std::io::Write;

use glidepath_core::plan::StageIndex;
use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision;
use crate::names::Named;
use crate::stopped::Stopped;

/// Refuse the stage that waits for you: everything returns to stable
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment, or the ARN of its execution
    deployment: Named,
    /// Which stage, from 1, as the question names it; without it, whichever is asked for now
    #[arg(long, value_name = "N", value_parser = decision::stage)]
    stage: Option<StageIndex>,
    /// Why, for whoever reads the timeline
    #[arg(long, value_parser = decision::reason)]
    reason: Option<String>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { deployment, stage, reason } = arguments;
    let word = Word::Reject { reason: reason.clone() };
    decision::answer(deployment, *stage, word, options, output).await
}
