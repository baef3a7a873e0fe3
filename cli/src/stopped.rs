//! Why a command did not do what it was asked, for the person who asked.

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use glidepath_core::document::{Finding, Findings, Severity};
use glidepath_core::failure::Failure;
use glidepath_core::ids::DeploymentId;
use glidepath_engine::ports::PortError;
use serde_json::{Value, json};

use crate::next_command::Commands;

const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How warnings begin.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The deployment did not succeed.
    #[error("{message}")]
    Failed {
        /// Its name, and the name and cause of its failure.
        message: String,
        hint: String,
    },
    /// The request cannot be carried out.
    #[error("{0}")]
    Findings(Findings),
    /// What was asked is not possible, and nothing was done.
    #[error("{message}")]
    Unusable { message: String, hint: String },
    /// AWS could not be asked, or refused.
    #[error("{message}")]
    Unanswered {
        /// Which call, and what came instead of an answer.
        message: String,
        hint: String,
    },
    /// A person has to decide something before it goes on.
    #[error("{message}")]
    Waits { message: String, hint: String },
    /// It goes on for longer than somebody wanted to wait.
    #[error("{message}")]
    StillOn { message: String, hint: String },
    /// Somebody does not want to watch any longer.
    #[error("{message}")]
    Left {
        /// What goes on.
        message: String,
        hint: String,
    },
    /// It ends with the code that was asked for, whatever it would be otherwise.
    #[error("exit code {code}")]
    Coded {
        code: u8,
        /// `None`: everything is said.
        why: Option<Box<Stopped>>,
    },
    /// Nobody takes the answer.
    #[error("could not write the answer")]
    Output(#[from] std::io::Error),
    /// The machine this runs on gives no more of something.
    #[error("could not start")]
    Runtime(#[source] std::io::Error),
}

impl Stopped {
    /// Records that this version cannot read: what depends on all of them is not known. `what` says what.
    pub(crate) fn unreadable<'a>(
        records: impl IntoIterator<Item = &'a DeploymentId>,
        what: &str,
    ) -> Option<Self> {
        let ids: Vec<_> = records.into_iter().map(DeploymentId::as_str).collect();
        let (first, count) = (*ids.first()?, ids.len());
        let records = match count {
            1 => format!("the record of {first}"),
            count => format!("{count} records, of {first} among them,"),
        };
        Some(Self::Unusable {
            message: format!("{records} cannot be read{what}"),
            hint: "use the version of the command line that the stack has".to_owned(),
        })
    }

    /// Clap's code for wrong usage is 2, too.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Coded { code, .. } => *code,
            Self::Failed { .. } => 1,
            Self::Findings(_) | Self::Unusable { .. } => 2,
            Self::Unanswered { .. } | Self::Output(_) | Self::Runtime(_) => 3,
            Self::Waits { .. } => 4,
            Self::StillOn { .. } => 5,
            // What a shell reports for a program that Ctrl-C has ended.
            Self::Left { .. } => 130,
        }
    }

    /// A word for programs: `code` of `error`.
    const fn name(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "failed",
            Self::Findings(_) => "findings",
            Self::Unusable { .. } => "unusable",
            Self::Unanswered { .. } => "unanswered",
            Self::Waits { .. } => "waits",
            Self::StillOn { .. } => "stillOn",
            Self::Left { .. } => "left",
            Self::Coded { .. } => "coded",
            Self::Output(_) => "output",
            Self::Runtime(_) => "runtime",
        }
    }

    /// The same for programs.
    fn view(&self) -> Value {
        let error = |message: &str, hint: Option<&str>| json!({ "error": { "code": self.name(), "message": message, "hint": hint } });
        match self {
            Self::Failed { message, hint }
            | Self::Unusable { message, hint }
            | Self::Unanswered { message, hint }
            | Self::Waits { message, hint }
            | Self::StillOn { message, hint }
            | Self::Left { message, hint } => error(message, Some(hint)),
            Self::Findings(findings) => {
                let mut view = error("the request has findings", None);
                view["findings"] = findings_view(findings);
                view
            }
            Self::Coded { why: Some(why), .. } => why.view(),
            Self::Coded { why: None, .. } => error(&self.to_string(), None),
            Self::Output(why) | Self::Runtime(why) => error(&format!("{self}: {why}"), None),
        }
    }

    /// There is no deployment of this name.
    pub(crate) fn unknown(id: &DeploymentId, commands: &Commands) -> Self {
        Self::Unusable {
            message: format!("there is no deployment `{id}`"),
            hint: format!("`{}` shows the names of running and recent ones", commands.all()),
        }
    }

    /// What a use case could not do.
    pub(crate) fn by_failure(failure: &Failure, hint: impl Into<String>) -> Self {
        let message = failure.cause.clone();
        if failure.code.kind().is_answer() {
            Self::Unusable { message, hint: hint.into() }
        } else {
            Self::Unanswered { hint: hint_for(&message).to_owned(), message }
        }
    }
}

impl From<PortError> for Stopped {
    fn from(error: PortError) -> Self {
        let message = error.to_string();
        Self::Unanswered { hint: hint_for(&message).to_owned(), message }
    }
}

/// What to do about an error of AWS's or the SDK's, as far as its words tell.
fn hint_for(error: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if says(&["Stack with id", "it is no stack of Glidepath"]) {
        "name the stack with --stack or GLIDEPATH_STACK, and its region with --region"
    } else if says(&["ExpiredToken", "expired"]) {
        "your credentials have expired: log in again, for example with `aws sso login`"
    } else if says(&["AccessDenied", "UnauthorizedOperation", "not authorized"]) {
        "your identity may not do this: `aws sts get-caller-identity` shows who you are"
    } else if says(&["credential", "InvalidClientTokenId", "UnrecognizedClient"]) {
        "log in, for example with `aws sso login`, and choose the profile with AWS_PROFILE"
    } else {
        "try again; `aws sts get-caller-identity` shows whether AWS can be reached at all"
    }
}

/// Says why to a program, as one object on a line; what is left is the exit code.
pub(crate) fn written_as_json(stopped: Stopped, output: &mut impl Write) -> Stopped {
    // It is said already, or cannot be.
    if matches!(stopped, Stopped::Coded { why: None, .. } | Stopped::Output(_)) {
        return stopped;
    }
    match writeln!(output, "{}", stopped.view()).and_then(|()| output.flush()) {
        Ok(()) => Stopped::Coded { code: stopped.code(), why: None },
        Err(error) => error.into(),
    }
}

/// Findings for programs.
pub(crate) fn findings_view(findings: &Findings) -> Value {
    let view = |finding: &Finding| {
        json!({
            "severity": finding.severity.to_string(),
            "message": finding.message,
            "path": finding.path,
            "line": finding.place.map(|place| place.line),
            "column": finding.place.map(|place| place.column),
            "hint": finding.hint,
        })
    };
    findings.iter().map(view).collect()
}

/// Says why, and ends with the code for it.
pub(crate) fn show(stopped: &Stopped, output: &mut impl Write) -> ExitCode {
    // There is nobody left to tell if this cannot be written either.
    let _told = write(stopped, output);
    ExitCode::from(stopped.code())
}

fn write(stopped: &Stopped, output: &mut impl Write) -> std::io::Result<()> {
    match stopped {
        Stopped::Coded { why: None, .. } => Ok(()),
        Stopped::Coded { why: Some(why), .. } => write(why, output),
        Stopped::Findings(findings) => write_findings(findings, output),
        Stopped::Failed { message, hint }
        | Stopped::Unusable { message, hint }
        | Stopped::Unanswered { message, hint } => {
            writeln!(output, "{ERROR}error:{ERROR:#} {message}")?;
            writeln!(output, "  {HINT}hint:{HINT:#} {hint}")
        }
        // Nothing is wrong with it.
        Stopped::Waits { message, hint } | Stopped::StillOn { message, hint } => {
            writeln!(output, "{message}")?;
            writeln!(output, "  {HINT}hint:{HINT:#} {hint}")
        }
        Stopped::Left { message, hint } => {
            // Below the `^C` of the terminal.
            writeln!(output, "\n{message}")?;
            writeln!(output, "  {HINT}hint:{HINT:#} {hint}")
        }
        // `glidepath status | head`: whoever reads has enough.
        Stopped::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Stopped::Output(error) | Stopped::Runtime(error) => {
            writeln!(output, "{ERROR}error:{ERROR:#} {stopped}: {error}")
        }
    }
}

/// All of them, errors and warnings.
pub(crate) fn write_findings(findings: &Findings, output: &mut impl Write) -> std::io::Result<()> {
    findings.iter().try_for_each(|finding| write_finding(finding, output))
}

fn write_finding(finding: &Finding, output: &mut impl Write) -> std::io::Result<()> {
    let Finding { message, hint, severity, .. } = finding;
    let style = match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
    };
    writeln!(output, "{style}{severity}:{style:#} {message} at {}", finding.position())?;
    writeln!(output, "  {HINT}hint:{HINT:#} {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_once_why_and_by_the_same_code() {
        let (message, hint) = ("no".to_owned(), "yes".to_owned());
        let documented = include_str!("../../docs/command-line.md");
        let all = [
            Stopped::Failed { message: message.clone(), hint: hint.clone() },
            Stopped::Findings(Findings::default()),
            Stopped::Unusable { message: message.clone(), hint: hint.clone() },
            Stopped::Unanswered { message: message.clone(), hint: hint.clone() },
            Stopped::Waits { message: message.clone(), hint: hint.clone() },
            Stopped::StillOn { message: message.clone(), hint: hint.clone() },
            Stopped::Left { message, hint },
            Stopped::Runtime(std::io::Error::other("no")),
        ];
        for stopped in all {
            let (code, name, mut output) = (stopped.code(), stopped.name(), Vec::new());
            let line = format!("| `{name}` | {code} |");
            assert!(documented.contains(&line), "docs/command-line.md lacks:\n{line}");
            let left = written_as_json(stopped, &mut output);
            assert_eq!(left.code(), code);
            let once = output.clone();
            let left = written_as_json(left, &mut output);
            assert!(matches!(left, Stopped::Coded { why: None, .. }) && once == output);
            let told: Value = serde_json::from_slice(&output).unwrap();
            assert_eq!(told["error"]["code"], name);
            assert!(told["error"]["message"].is_string(), "{told}");
        }
    }
}
