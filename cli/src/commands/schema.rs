//! `glidepath schema`: the form of a request, for editors.

use std::io::Write;

use glidepath_core::request::{example, schema};

use crate::stopped::Stopped;

/// Print the JSON Schema of a request
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print a complete request to begin with instead
    #[arg(long)]
    example: bool,
}

pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Stopped> {
    if arguments.example {
        writeln!(output, "{}", example().trim_end())?;
        return Ok(());
    }
    // The alternate form of a JSON value is the indented one.
    writeln!(output, "{:#}", schema())?;
    Ok(())
}
