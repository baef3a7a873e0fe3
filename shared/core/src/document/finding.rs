//! Mistakes in a request, all of them at once.

use std::fmt;

use crate::failure::{Failure, FailureCode};

/// Length of a cause in bytes; Step Functions takes 32,768 characters, and some are for the name
/// and the last line.
const LONGEST_CAUSE: usize = 30_000;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The deployment can go on; somebody should know.
    Warning,
    /// The deployment is refused, and nothing is written.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    /// Character of the line.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

/// One mistake, where it is and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where in the request, such as `$.strategy.canary.stages[2].weight`.
    pub path: String,
    /// Where in the file that the request was read from, if it was read from one.
    pub place: Option<Place>,
    /// What is wrong, lower case and without a full stop.
    pub message: String,
    /// What to write or to do instead.
    pub hint: String,
    /// Whether it stops the deployment.
    pub severity: Severity,
}

impl Finding {
    /// Where it is: the path, and the place in the file.
    pub fn position(&self) -> String {
        match self.place {
            Some(place) => format!("{} ({place})", self.path),
            None => self.path.clone(),
        }
    }

    /// On one line, for those who do not have the request before them.
    pub fn sentence(&self) -> String {
        format!("{} at {}: {}", self.message, self.path, self.hint)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, hint, severity, .. } = self;
        write!(formatter, "{severity}: {message} at {}\n  hint: {hint}", self.position())
    }
}

/// Everything that was found, in the order in which it was looked at.
#[must_use = "an unread finding helps nobody"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn error(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Error, path.into(), message.into(), hint.into());
    }

    pub fn warning(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Warning, path.into(), message.into(), hint.into());
    }

    fn push(&mut self, severity: Severity, path: String, message: String, hint: String) {
        self.0.push(Finding { path, place: None, message, hint, severity });
    }

    /// The same, with the places of their paths.
    pub fn located(mut self, place_of: impl Fn(&str) -> Option<Place>) -> Self {
        for finding in &mut self.0 {
            finding.place = place_of(&finding.path);
        }
        self
    }

    pub fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        self.0.retain(keep);
    }

    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Whether nothing was found, not even a warning.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the deployment is refused.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The failure of an execution that these findings stop: as many of them as fit into it.
    pub fn failure(&self, code: FailureCode) -> Failure {
        let mut cause = String::new();
        for (index, finding) in self.0.iter().enumerate() {
            let block = finding.to_string();
            if cause.len() + block.len() > LONGEST_CAUSE {
                cause.push_str(&format!("\nand {} more", self.0.len() - index));
                break;
            }
            if index > 0 {
                cause.push('\n');
            }
            cause.push_str(&block);
        }
        Failure::new(code, cause)
    }

    /// The same, errors before warnings.
    pub fn errors_first(mut self) -> Self {
        self.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self
    }
}

impl fmt::Display for Findings {
    /// One block for each finding.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{finding}")?;
        }
        Ok(())
    }
}
