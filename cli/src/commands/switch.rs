//! `glidepath switch`: the way back for those who think in slots.

use std::io::Write;

use clap::ValueEnum;
use glidepath_core::back::To;
use glidepath_core::plan::Slot;

use super::back::{self, Asked};
use crate::connection::Options;
use crate::decision;
use crate::names::Named;
use crate::stopped::Stopped;
use crate::told::ended;

/// After a success: send everything back to the version that served in the other slot
///
/// The same as `rollback --to` with that version.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A service, or the deployment whose version serves
    service: Named,
    /// The slot that is to serve
    #[arg(long)]
    to: Wanted,
    /// Why, for whoever is told; required, but for a dry run
    #[arg(long, value_parser = decision::reason)]
    reason: Option<String>,
    /// Show what it would do, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Whatever the version's tasks run, and with nothing asked of it afterwards
    #[arg(long)]
    skip_validation: bool,
    /// Print JSON, one object a line: the deployment that brings it back with each change; if it fails, the last one
    /// has `error`
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wanted {
    Blue,
    Green,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let Arguments { service, to, reason, dry_run, skip_validation, json } = arguments;
    let to = To::Slot(match to {
        Wanted::Blue => Slot::Blue,
        Wanted::Green => Slot::Green,
    });
    let (dry_run, skip_validation) = (*dry_run, *skip_validation);
    let reason = reason.as_deref();
    let asked = Asked { named: service, to: &to, reason, dry_run, skip_validation, json: *json };
    let brought_back = back::run(&asked, options, output).await;
    ended(*json, brought_back, output)
}
