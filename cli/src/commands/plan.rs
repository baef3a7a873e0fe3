//! `glidepath plan`: what a request would do, or everything that is wrong with it.

use std::io::Write;
use std::path::PathBuf;

use glidepath_core::request::decode;
use glidepath_core::timetable::Timetable;

use crate::document;
use crate::report::Stopped;

/// Check a request and show its timetable
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The request as YAML or JSON; `-` reads it from the standard input
    file: PathBuf,
    /// Check only what can be seen without looking at AWS
    #[arg(long, required = true)]
    offline: bool,
}

/// Shows the timetable of a request without findings.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Stopped> {
    let document = document::read(&arguments.file)?;
    let request = decode(&document).map_err(Stopped::Findings)?;
    writeln!(output, "{}", Timetable::of_request(&request))?;
    Ok(())
}
