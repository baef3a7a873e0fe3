//! The use cases, one file per function. What becomes of a deployment the pure core decides, from what they have
//! read; they read, claim, write, read back and record, through the [`ports`]. What they know by themselves is in
//! which order calls are made, who has called, and for how long a call is worth repeating.

pub mod advance;
pub mod click;
pub mod complete;
pub mod decide;
pub mod drift;
pub mod forecast;
pub mod freeze;
pub mod gate;
mod gather;
pub mod notify;
pub mod page;
pub mod plan;
pub mod ports;
pub mod retire;
pub mod rollback;
pub mod start;
pub mod survey;
pub mod sweep;
pub mod validate;

mod attempt;
mod claim;
mod pace;
mod restore;
mod routes;
mod scaling;
mod targets;
mod transition;

#[cfg(feature = "testing")]
pub mod testing;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use serde::Deserialize;

use crate::ports::{Clock, PortError, Random};

/// What the state machine hands to a function that works on an existing deployment. What it does not know is
/// ignored, here and in the other inputs: during an upgrade the definition may be newer than the function.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepInput {
    pub deployment: DeploymentId,
}

/// Time and randomness in one.
pub trait Ambient: Clock + Random {}
impl<T: Clock + Random> Ambient for T {}

/// A port's error as the failure of a function: what may pass is worth the state machine's retry.
fn failed(error: &PortError) -> Failure {
    let code = if error.may_pass() { FailureCode::Transient } else { FailureCode::Unexpected };
    Failure::new(code, error.to_string())
}
