//! `glidepath completions`: what a shell needs to complete commands and options.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::CommandLine;
use crate::report::Stopped;

/// Print completions for a shell, to be read when it starts
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which shell
    shell: Shell,
}

/// Prints them.
pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Stopped> {
    // Not straight to the output: the generator panics where nobody reads it.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "glidepath", &mut script);
    output.write_all(&script)?;
    Ok(())
}
