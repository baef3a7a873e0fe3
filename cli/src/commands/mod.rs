//! The commands, one file each.

mod approve;
mod audit;
mod back;
mod completions;
mod doctor;
mod drift;
mod freeze;
mod history;
mod judge;
mod man;
mod open;
mod pause;
mod plan;
mod promote;
mod reject;
mod report;
mod resume;
mod retire;
mod rollback;
mod schema;
mod start;
mod status;
mod switch;
mod thaw;

use std::io::Write;

use clap::Subcommand;

use crate::connection::Options;
use crate::stopped::Stopped;

#[derive(Subcommand)]
pub(crate) enum Command {
    Plan(plan::Arguments),
    Judge(judge::Arguments),
    Start(start::Arguments),
    Status(status::Arguments),
    Report(report::Arguments),
    Open(open::Arguments),
    History(history::Arguments),
    Audit(audit::Arguments),
    Approve(approve::Arguments),
    Reject(reject::Arguments),
    Promote(promote::Arguments),
    Pause(pause::Arguments),
    Resume(resume::Arguments),
    Freeze(freeze::Arguments),
    Thaw(thaw::Arguments),
    #[command(visible_alias = "abort")]
    Rollback(rollback::Arguments),
    Switch(switch::Arguments),
    Retire(retire::Arguments),
    Drift(drift::Arguments),
    Doctor(doctor::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Command {
    /// Does what was asked and writes the answer.
    pub(crate) async fn run(
        &self,
        options: &Options,
        command_line: clap::Command,
        output: &mut impl Write,
    ) -> Result<(), Stopped> {
        // Boxed: the future of a whole use case is a type deeper than the compiler looks.
        match self {
            Self::Plan(arguments) => Box::pin(plan::run(arguments, options, output)).await,
            Self::Judge(arguments) => judge::run(arguments, output),
            Self::Start(arguments) => Box::pin(start::run(arguments, options, output)).await,
            Self::Status(arguments) => Box::pin(status::run(arguments, options, output)).await,
            Self::Report(arguments) => Box::pin(report::run(arguments, options, output)).await,
            Self::Open(arguments) => Box::pin(open::run(arguments, options, output)).await,
            Self::History(arguments) => Box::pin(history::run(arguments, options, output)).await,
            Self::Audit(arguments) => Box::pin(audit::run(arguments, options, output)).await,
            Self::Approve(arguments) => Box::pin(approve::run(arguments, options, output)).await,
            Self::Reject(arguments) => Box::pin(reject::run(arguments, options, output)).await,
            Self::Promote(arguments) => Box::pin(promote::run(arguments, options, output)).await,
            Self::Pause(arguments) => Box::pin(pause::run(arguments, options, output)).await,
            Self::Resume(arguments) => Box::pin(resume::run(arguments, options, output)).await,
            Self::Freeze(arguments) => Box::pin(freeze::run(arguments, options, output)).await,
            Self::Thaw(arguments) => Box::pin(thaw::run(arguments, options, output)).await,
            Self::Rollback(arguments) => Box::pin(rollback::run(arguments, options, output)).await,
            Self::Switch(arguments) => Box::pin(switch::run(arguments, options, output)).await,
            Self::Retire(arguments) => Box::pin(retire::run(arguments, options, output)).await,
            Self::Drift(arguments) => Box::pin(drift::run(arguments, options, output)).await,
            Self::Doctor(arguments) => Box::pin(doctor::run(arguments, options, output)).await,
            Self::Schema(arguments) => schema::run(arguments, output),
            Self::Completions(arguments) => completions::run(arguments, command_line, output),
            Self::Man(arguments) => man::run(arguments, command_line, output),
        }
    }
}
