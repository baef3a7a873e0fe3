//! Something that is missing, and what to do.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacks {
    what: String,
    remedy: String,
}

impl Lacks {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Lacks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Lacks {}
