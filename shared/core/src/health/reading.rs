//! What was read of AWS. Absence is not zero: what could not be read says why.

use serde::{Deserialize, Serialize};

/// Something read from AWS, or why it could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading<T> {
    Read(T),
    /// Not read; says nothing about the canary.
    Unreadable(String),
}
