//! The engine's ports on AWS. Of what ships, the only crate that names the AWS SDK: nothing of the
//! SDK's leaves it.

mod actions;
mod alarm_rule;
pub mod archive;
pub mod channels;
pub mod clicks;
pub mod clients;
pub mod clock;
pub mod containers;
#[cfg(feature = "stack")]
pub mod doctor;
mod error;
pub mod functions;
pub mod hooks;
mod http;
pub mod links;
pub mod load_balancer;
pub mod monitoring;
#[cfg(feature = "stack")]
pub mod operator;
pub mod orchestration;
pub mod probing;
pub mod registry;
pub mod repositories;
pub mod scaling;
mod secrets;
pub mod sign_in;
mod signing;
#[cfg(feature = "stack")]
pub mod stack;
#[cfg(feature = "stack")]
pub mod task_definitions;
#[cfg(feature = "stack")]
pub mod url;

#[cfg(test)]
mod replay;
