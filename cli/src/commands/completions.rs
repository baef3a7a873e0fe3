//! `glidepath completions`: what a shell needs to complete commands and options.

use std::io::Write;

use clap_complete::Shell;

use crate::stopped::Stopped;

/// Print completions for a shell, to be read when it starts
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(
    arguments: &Arguments,
    mut command_line: clap::Command,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    // Not straight to the output: the generator panics where nobody reads it.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command_line, "glidepath", &mut script);
    output.write_all(&script)?;
    Ok(())
}
