//! `glidepath schema`: the form of a request, for editors.

use std::io::Write;

use glidepath_core::request::schema;

use crate::report::Stopped;

/// Print the JSON Schema of a request
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Prints the schema.
pub(crate) fn run(_: &Arguments, output: &mut impl Write) -> Result<(), Stopped> {
    // The alternate form of a JSON value is the indented one.
    writeln!(output, "{:#}", schema())?;
    Ok(())
}
