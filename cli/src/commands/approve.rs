//! `glidepath approve`: lets a stage go on that waits for a person.

use std::io::Write;

use glidepath_core::plan::StageIndex;
use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision::{self, About};
use crate::stopped::Stopped;

/// Approve the stage that you were asked about
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    about: About,
    /// Which stage, from 1, as the question names it: an approval of another one than is asked for is
    /// refused
    #[arg(long, value_name = "N", value_parser = decision::stage)]
    stage: Option<StageIndex>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { about, stage } = arguments;
    let word = Word::Approve { reason: about.reason.clone() };
    decision::answer(about, *stage, word, options, output).await
}
