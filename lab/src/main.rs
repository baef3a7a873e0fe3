//! `cargo demo` and `cargo lab`.

mod demo;
mod latency;
mod storm;
mod up;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use glidepath_lab::{
    Doing, FaultSweep, Lab, LabError, LabResult, Observed, Scenario, Upgrade, print,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Exit code of a process that a signal ended, as shells have it.
const INTERRUPTED: u8 = 130;
const EVENTS_UNDER_WAY: usize = 1024;

/// A local AWS with Glidepath deployed in it, real traffic, and scenarios.
#[derive(Parser)]
#[command(name = "lab", bin_name = "cargo lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch two deployments: one that goes well and one that is stopped.
    Demo {
        /// Copy all logs there.
        #[arg(long, value_name = "DIRECTORY")]
        keep_logs: Option<PathBuf>,
    },
    /// Run a scenario: JSON lines on standard output, the outcome last.
    Run {
        /// The scenario, YAML or JSON; docs/scenarios.md describes the format.
        file: PathBuf,
        /// Begin with the version of Glidepath that `.ci/upgrade-from` has put there; `updateStack`
        /// brings this one.
        #[arg(long, value_name = "DIRECTORY", conflicts_with = "to")]
        from: Option<PathBuf>,
        /// The other way round: `updateStack` brings the version that is there.
        #[arg(long, value_name = "DIRECTORY")]
        to: Option<PathBuf>,
        /// Copy all logs there.
        #[arg(long, value_name = "DIRECTORY")]
        keep_logs: Option<PathBuf>,
    },
    /// Repeat short deployments, each time with one fault in another place; each must end as without it.
    Faults(FaultsArguments),
    /// Leave the local AWS and an example service running until Ctrl-C.
    Up {
        /// Take the services from this scenario.
        file: Option<PathBuf>,
    },
    /// Measure the time from an alarm to restored traffic, beside a bare ModifyRule.
    Latency {
        /// How often with the function warm, and as often cold.
        #[arg(long, default_value_t = 20)]
        runs: usize,
    },
    /// Roll many deployments back at once, with few changes of load balancers allowed.
    Storm(storm::Arguments),
    /// Print the JSON Schema of scenario files.
    Schema,
}

#[derive(clap::Args)]
struct FaultsArguments {
    /// Scenarios: short deployments, without faults of their own.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only so many of the possible runs.
    #[arg(long, value_name = "RUNS")]
    sample: Option<usize>,
    /// Chooses the sample. The calls to choose from differ a little from one time to the next, as
    /// the number of looks at a bake does; `--only` repeats a run exactly.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only faults whose JSON contains this text: an action, a caller, an error. May be repeated.
    #[arg(long, value_name = "TEXT")]
    matching: Vec<String>,
    /// Only this fault, as a failed run names it.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["sample", "matching"])]
    only: Option<String>,
    /// Copy the logs of failed runs there.
    #[arg(long, value_name = "DIRECTORY")]
    keep_logs: Option<PathBuf>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whatever the command was doing is dropped, and with it every process of the lab.
    let result = tokio::select! {
        result = run(arguments.command) => result,
        interrupted = interruption() => interrupted.map(|()| ExitCode::from(INTERRUPTED)),
    };
    result.unwrap_or_else(|error| {
        // Nobody to tell is no reason to panic.
        let _ = writeln!(anstream::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

async fn interruption() -> LabResult<()> {
    let listen = |kind| signal(kind).doing("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

async fn run(command: Command) -> LabResult<ExitCode> {
    let passed = match command {
        Command::Demo { keep_logs } => demo::run(keep_logs.as_deref()).await?,
        Command::Run { file, from, to, keep_logs } => {
            let upgrade = match (from, to) {
                (Some(directory), _) => Upgrade::From(directory),
                (None, Some(directory)) => Upgrade::To(directory),
                (None, None) => Upgrade::Within,
            };
            run_file(&file, &upgrade, keep_logs.as_deref()).await?
        }
        Command::Faults(arguments) => faults(arguments).await?,
        Command::Up { file } => up::run(file.as_deref()).await?,
        Command::Latency { runs } => latency::run(runs).await?,
        Command::Storm(arguments) => storm::run(arguments).await?,
        Command::Schema => {
            print(&format!("{:#}", Scenario::schema()))?;
            true
        }
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_file(file: &Path, upgrade: &Upgrade, keep_logs: Option<&Path>) -> LabResult<bool> {
    let scenario = Scenario::load(file)?;
    let mut lab = Lab::start_between(upgrade, &scenario.aws).await?;
    let (sender, mut events) = mpsc::channel::<Observed>(EVENTS_UNDER_WAY);
    let printing = async {
        while let Some(event) = events.recv().await {
            print(&serde_json::to_string(&event).doing("writing an event")?)?;
        }
        Ok::<(), LabError>(())
    };
    let (report, printed) = tokio::join!(lab.run(scenario, Some(sender)), printing);
    if let Some(directory) = keep_logs {
        lab.keep_logs(directory).await?;
    }
    let report = report?;
    printed?;
    if !report.passed() {
        lab.explain(&report).await;
    }
    print(&report.outcome()?)?;
    Ok(report.passed())
}

async fn faults(arguments: FaultsArguments) -> LabResult<bool> {
    let FaultsArguments { files, sample, seed, matching, only, keep_logs } = arguments;
    let only = only.map(|text| serde_json::from_str(&text)).transpose();
    let only = only.doing("--only is no fault as docs/scenarios.md describes it")?;
    let sweep = FaultSweep { files, sample, seed, matching, only, keep_logs };
    let swept = sweep.run(glidepath_lab::say).await?;
    print(&swept.to_string())?;
    Ok(swept.failures.is_empty())
}
