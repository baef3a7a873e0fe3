//! URLs that must answer.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// A URL that is asked at every look, and what it must answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Of the canary, if the user has written it so.
    pub url: String,
    /// The status that it must answer with.
    pub status: u16,
    /// A text that must be in the answer.
    pub contains: Option<String>,
    /// How often it is asked at one look until it answers so.
    pub attempts: u32,
    /// How long an answer may take.
    pub timeout: Span,
}
