//! The command line of Glidepath.
//!
//! Exit codes: 0 done; 1 the deployment failed or was rolled back (where that was asked for), or doctor
//! or drift found something; 2 the request has findings, or what was asked is not possible; 3 AWS
//! could not be asked, or refused; 4 a person has to decide, and 5 it still runs (where that was asked for); 130
//! interrupted.

mod commands;
mod configuration;
mod connection;
mod decision;
mod document;
mod drawing;
mod ended;
mod filter;
mod follow;
mod form;
mod live;
mod names;
mod next_command;
mod planning;
mod render;
mod request_history;
mod revision;
mod screen;
mod stopped;
mod telling;
mod told;

#[cfg(test)]
mod fixtures;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::stopped::Stopped;

/// Progressive delivery for Amazon ECS behind an Application Load Balancer.
#[derive(Parser)]
#[command(name = "glidepath", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(flatten)]
    options: connection::Options,
    #[command(subcommand)]
    command: commands::Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the deployment failed or was rolled back (`start --wait`, `status
--exit-status`), or doctor or drift found something; 2 the request has findings, or what was asked
is not possible; 3 AWS could not be asked, or refused; 4 a person has to decide (`start --wait
--until-person`); 5 it still runs (`start --wait --timeout`); 130 interrupted";

fn main() -> ExitCode {
    let CommandLine { options, command } = CommandLine::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Stopped::Runtime).and_then(|runtime| {
        runtime.block_on(command.run(
            &options,
            CommandLine::command(),
            &mut anstream::stdout().lock(),
        ))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => stopped::show(&stopped, &mut anstream::stderr().lock()),
    }
}
