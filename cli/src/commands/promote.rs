//! `glidepath promote`: lets a stage go on that lacks evidence, or ends its bake early.

use std::io::Write;

use glidepath_core::plan::StageIndex;
use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision::{self, About};
use crate::names::Named;
use crate::stopped::Stopped;

/// Let a stage go on whose bake is over and whose evidence is not enough, or end its bake early
///
/// Refused while the stage bakes, unless that is to be skipped, and while something speaks against the version:
/// then wait, or roll it back. The next stage begins as planned, with its own bake and its own approval.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment, or the ARN of its execution
    deployment: Named,
    /// Which stage, from 1, as the message names it; without it, whichever waits now
    #[arg(long, value_name = "N", value_parser = decision::stage)]
    stage: Option<StageIndex>,
    /// Why, for whoever reads the timeline
    #[arg(long, value_parser = decision::reason)]
    reason: String,
    /// Leave out the rest of the bake, as soon as a look finds nothing lacking and nothing against the version;
    /// the next one comes at once
    #[arg(long)]
    skip_bake: bool,
    /// Print JSON, one object: the deployment and what was done, or `error`
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { deployment, stage, reason, skip_bake, json } = arguments;
    let word = Word::Promote { reason: reason.clone(), skip_bake: *skip_bake };
    let about = About { deployment: deployment.clone(), reason: Some(reason.clone()), json: *json };
    decision::answer(&about, *stage, word, options, output).await
}
