//! What people decide.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A person's answer to an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    pub approved: bool,
    /// Who, as far as it is proven: the ARN of the caller's IAM identity, or whom Slack or the stack's issuer names
    /// ([`crate::people`]).
    pub by: String,
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: Option<String>,
    /// The groups that are proven of them, as lists of approvers name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// A person's word that no weight moves forward until somebody says that it may. It stops nothing else: the version is
/// judged as before, and everything that leads back to stable leads there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Who, as far as it is proven: the ARN of the caller's IAM identity.
    pub by: String,
    pub at: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A person's word that a stage may go on which holds for want of evidence, or whose bake is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// Who, as far as it is proven: the ARN of the caller's IAM identity.
    pub by: String,
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: String,
    /// Whether the rest of the bake is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skips_bake: bool,
}
