//! Why a command did not do what it was asked, for the person who asked.

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use glidepath_core::request::{Finding, Findings, Severity};

/// The request has findings, or the command was used wrongly. Clap uses the same code.
const REFUSED: u8 = 2;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The request cannot be carried out.
    #[error("{0}")]
    Findings(Findings),
    /// There is nothing to work with.
    #[error("{message}")]
    Unusable {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// Nobody takes the answer.
    #[error("could not write the answer")]
    Output(#[from] std::io::Error),
}

/// Says why, and ends with the code for it.
pub(crate) fn show(stopped: &Stopped, output: &mut impl Write) -> ExitCode {
    // There is nobody left to tell if this cannot be written either.
    let _told = write(stopped, output);
    ExitCode::from(REFUSED)
}

fn write(stopped: &Stopped, output: &mut impl Write) -> std::io::Result<()> {
    match stopped {
        Stopped::Findings(findings) => {
            findings.iter().try_for_each(|finding| write_finding(finding, output))
        }
        Stopped::Unusable { message, hint } => {
            writeln!(output, "{ERROR}error:{ERROR:#} {message}")?;
            writeln!(output, "  {HINT}hint:{HINT:#} {hint}")
        }
        Stopped::Output(error) => writeln!(output, "{ERROR}error:{ERROR:#} {stopped}: {error}"),
    }
}

fn write_finding(finding: &Finding, output: &mut impl Write) -> std::io::Result<()> {
    let Finding { path, message, hint, severity } = finding;
    let style = match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
    };
    writeln!(output, "{style}{severity}:{style:#} {message} at {path}")?;
    writeln!(output, "  {HINT}hint:{HINT:#} {hint}")
}
