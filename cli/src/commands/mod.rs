//! The commands, one file each.

mod plan;
mod schema;

use std::io::Write;

use clap::Subcommand;

use crate::report::Stopped;

#[derive(Subcommand)]
pub(crate) enum Command {
    Plan(plan::Arguments),
    Schema(schema::Arguments),
}

impl Command {
    /// Does what was asked and writes the answer.
    pub(crate) fn run(&self, output: &mut impl Write) -> Result<(), Stopped> {
        match self {
            Self::Plan(arguments) => plan::run(arguments, output),
            Self::Schema(arguments) => schema::run(arguments, output),
        }
    }
}
