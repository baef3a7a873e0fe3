//! `glidepath reject`: refuses a stage that waits for a person, and everything returns to stable.

use std::io::Write;

use glidepath_core::plan::StageIndex;
use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision::{self, About};
use crate::stopped::Stopped;

/// Refuse the stage that waits for you: everything returns to stable
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    about: About,
    /// Which stage, from 1, as the question names it; without it, whichever is asked for now
    #[arg(long, value_name = "N", value_parser = decision::stage)]
    stage: Option<StageIndex>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { about, stage } = arguments;
    let word = Word::Reject { reason: about.reason.clone() };
    decision::answer(about, *stage, word, options, output).await
}
