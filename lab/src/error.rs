//! Errors that a person reads: what was done, what went wrong, what to do now.

use std::error::Error;
use std::fmt;

use crate::scenario::ScenarioError;

/// An error with its causes already in words, and perhaps a hint.
#[derive(Debug)]
pub struct LabError {
    message: String,
    hint: Option<String>,
}

pub type LabResult<T> = Result<T, LabError>;

impl LabError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// `doing` failed because of `cause`, with everything that caused it.
    pub fn because(doing: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::new(format!("{doing}: {}", with_causes(cause)))
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ScenarioError> for LabError {
    fn from(error: ScenarioError) -> Self {
        Self::new(error.to_string())
    }
}

/// The error and everything that caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat the cause in their own message.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for LabError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for LabError {}

/// Says what was being done when an error came.
pub trait Doing<T> {
    /// The error becomes `text: cause`.
    fn doing(self, text: impl fmt::Display) -> LabResult<T>;
}

impl<T, E: Error> Doing<T> for Result<T, E> {
    fn doing(self, text: impl fmt::Display) -> LabResult<T> {
        self.map_err(|error| LabError::because(text, &error))
    }
}
