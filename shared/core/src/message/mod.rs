//! What happened in words for a person, whom it is for, and as each channel takes it.

pub mod amazon_q;
mod details;
pub mod document;
pub mod eventbridge;
mod limits;
mod links;
pub mod pagerduty;
pub mod routing;
pub mod slack;
pub mod teams;
mod text;
mod trial;
pub mod webhook;

pub use details::details;
pub(crate) use details::{paused_for, why};
pub use links::{Link, console, links};
pub use text::{Message, message};
pub use trial::Trial;

#[cfg(test)]
mod tests;
