//! The command line of Glidepath.
//!
//! Exit codes: 0 done; 2 the request has findings, or the command was used wrongly.

mod commands;
mod document;
mod report;

use std::process::ExitCode;

use clap::Parser;

/// Progressive delivery for Amazon ECS behind an Application Load Balancer.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    match command.run(&mut anstream::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => report::show(&stopped, &mut anstream::stderr().lock()),
    }
}
