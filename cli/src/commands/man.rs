//! `glidepath man`: the manual pages.

use std::io::Write;
use std::path::PathBuf;

use glidepath_core::document::nearest;

use crate::stopped::Stopped;

/// Print a manual page, such as for `glidepath man status | man -l -`, or write all of them
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Of which command; without it of all of `glidepath`
    command: Option<String>,
    /// Write the page of every command into this directory instead, such as `share/man/man1`
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "command")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(
    arguments: &Arguments,
    command_line: clap::Command,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    // `glidepath help` tells nothing that the pages do not.
    let mut command_line = command_line.disable_help_subcommand(true);
    if let Some(directory) = &arguments.directory {
        return clap_mangen::generate_to(command_line, directory).map_err(|error| {
            Stopped::Unusable {
                message: format!("cannot write into `{}`: {error}", directory.display()),
                hint: "--directory takes a directory that exists".to_owned(),
            }
        });
    }
    command_line.build();
    let page = match &arguments.command {
        None => command_line,
        Some(name) => command_line.find_subcommand(name).cloned().ok_or_else(|| {
            let names = command_line.get_subcommands().map(clap::Command::get_name);
            Stopped::Unusable {
                message: format!("there is no command `{name}`"),
                hint: match nearest(name, names) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "`glidepath help` shows which there are".to_owned(),
                },
            }
        })?,
    };
    // In one piece: who reads it may leave at the first page.
    let mut text = Vec::new();
    let source = concat!("Glidepath ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(page).source(source).manual("Glidepath").render(&mut text)?;
    output.write_all(&text)?;
    Ok(())
}
