//! `glidepath resume`: what was paused goes on.

use std::io::Write;

use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision::{self, About};
use crate::stopped::Stopped;

/// Let a deployment go on that somebody has paused
///
/// It is looked at at once: a stage whose bake is over, or which was approved meanwhile, goes on with that look.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    about: About,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let about = &arguments.about;
    let word = Word::Resume { reason: about.reason.clone() };
    decision::answer(about, None, word, options, output).await
}
