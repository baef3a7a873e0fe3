//! `glidepath doctor`: what this account shows of what Glidepath assumes.
//!
//! What it makes begins with `glidepath-doctor-` and the stack's name, and is removed whatever happens:
//! at the end, after Ctrl-C, and by the next run if this one is killed.

mod alarms;
mod channels;
mod clean_up;
mod concurrency;
mod context;
mod dead_letters;
mod page;
mod permissions;
mod progress;
mod service;
mod urls;

use std::io::Write;
use std::path::PathBuf;

use futures_util::future::join_all;
use glidepath_aws::doctor::{Instruments, PREFIX};
use glidepath_core::doctor::{Outcome, Row, Scope, versions};
use glidepath_core::request::Request;
use glidepath_engine::ports::Clock;

use self::clean_up::{Found, clean_up};
use self::context::Doctor;
use self::progress::Progress;
use crate::connection::{Connection, Options};
use crate::document::Document;
use crate::render;
use crate::stopped::Stopped;

/// Try out what Glidepath assumes of this account and stack, within two minutes
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A request as YAML or JSON: its service's routes, metrics and permissions are looked at as well
    #[arg(long, value_name = "FILE")]
    service: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks, shows, and ends with an error if something is not as it should be.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let request = match &arguments.service {
        Some(file) => Some(Document::read(file)?.request()?),
        None => None,
    };
    let connection = options.connect().await?;
    let doctor = doctor(connection, request)?;
    let progress = Progress::new();
    let found = clean_up(&doctor).await;
    let rows = tokio::select! {
        rows = Box::pin(all(&doctor, &found, &progress)) => Some(rows),
        interrupted = interruption() => {
            interrupted?;
            None
        }
    };
    let Some(mut rows) = rows else { return Err(leave(&doctor).await) };
    rows.push(clean_up::row(&found, &clean_up(&doctor).await));
    let text = if arguments.json { render::rows_as_json(&rows) } else { render::rows(&rows) };
    write!(output, "{text}")?;
    let bad = rows.iter().filter(|row| row.outcome == Outcome::NotOk).count();
    if bad == 0 {
        return Ok(());
    }
    Err(Stopped::Failed {
        message: format!("{bad} of {} assumptions do not hold here", rows.len()),
        hint: "what to do stands with each; `glidepath doctor` again shows whether it helped"
            .to_owned(),
    })
}

fn doctor(connection: Connection, request: Option<Request>) -> Result<Doctor, Stopped> {
    let stack = &connection.stack;
    let scope = Scope::of(&stack.state_machine).ok_or_else(|| Stopped::Unusable {
        message: format!("`{}` is no ARN of a state machine", stack.state_machine),
        hint: "name a stack of Glidepath with --stack".to_owned(),
    })?;
    let run = format!("{PREFIX}{}-{}", stack.name, connection.ports.ambient.now().as_millis());
    let instruments = Instruments::new(&connection.clients, stack.clone());
    Ok(Doctor { instruments, scope, request, run, connection })
}

/// Every row, in the order in which they are shown. The checks run at once.
async fn all(doctor: &Doctor, found: &Found, progress: &Progress) -> Vec<Row> {
    let stack = &doctor.connection.stack;
    let checks: Vec<std::pin::Pin<Box<dyn Future<Output = Vec<Row>> + '_>>> = vec![
        Box::pin(progress.watch("alarms", alarms::check(doctor, found))),
        Box::pin(progress.watch("dead letters", dead_letters::check(doctor, found))),
        Box::pin(progress.watch("channels", channels::check(doctor))),
        Box::pin(progress.watch("URLs", urls::check(doctor))),
        Box::pin(progress.watch("page", page::check(doctor))),
        Box::pin(progress.watch("concurrency", concurrency::check(doctor))),
        Box::pin(progress.watch("permissions", permissions::check(doctor))),
        Box::pin(progress.watch("service", service::check(doctor))),
    ];
    let checked = tokio::select! {
        checked = join_all(checks) => checked,
        () = progress.tell() => Vec::new(),
    };
    let mut rows = vec![versions(stack.version.as_deref(), env!("CARGO_PKG_VERSION"))];
    rows.extend(checked.into_iter().flatten());
    rows
}

/// Somebody does not want to wait any longer: what was made goes first.
async fn leave(doctor: &Doctor) -> Stopped {
    let cleaned = async {
        let first = clean_up(doctor).await;
        // A call that was on its way when it was given up may have had its effect since.
        doctor.connection.ports.ambient.sleep(glidepath_core::time::Span::from_secs(1)).await;
        [first, clean_up(doctor).await]
    };
    let all_removed = tokio::select! {
        cleaned = cleaned => cleaned.iter().all(Found::is_known),
        _ = tokio::signal::ctrl_c() => false,
    };
    let next = "`glidepath doctor` removes the rest when it runs again";
    Stopped::Left {
        message: if all_removed {
            "everything that doctor has made is removed; an event that is still on its way to the \
             dead-letter queue goes with the next run"
                .to_owned()
        } else {
            format!("something that doctor has made may be left (`{PREFIX}…`)")
        },
        hint: if all_removed { "run it again for its table".to_owned() } else { next.to_owned() },
    }
}

/// Ctrl-C, or the end that a CI system asks for.
async fn interruption() -> Result<(), Stopped> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut ended = signal(SignalKind::terminate()).map_err(Stopped::Runtime)?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Stopped::Runtime),
            _ = ended.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(Stopped::Runtime)
}
