//! `glidepath pause`: no weight moves forward until somebody resumes it.

use std::io::Write;

use glidepath_engine::decide::Word;

use crate::connection::Options;
use crate::decision::{self, About};
use crate::stopped::Stopped;

/// Stay at the weight that the new version has, until somebody resumes it
///
/// Nothing else stops: tasks start, bakes go on, questions are asked and end at their time, and the new version is
/// judged as before. An alarm, a bad verdict, a refusal and `glidepath rollback` return everything to stable.
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
    let word = Word::Pause { reason: about.reason.clone() };
    decision::answer(about, None, word, options, output).await
}
