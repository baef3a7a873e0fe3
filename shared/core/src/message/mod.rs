//! What happened in words for a person, whom it is for, and as each channel takes it.

pub mod alert;
pub mod amazon_q;
mod details;
pub mod document;
pub mod eventbridge;
mod limits;
mod line;
mod links;
pub mod pagerduty;
pub mod routing;
pub mod slack;
pub mod teams;
mod text;
mod trial;
pub mod webhook;
mod whole;

pub use details::details;
pub(crate) use details::{paused_for, why};
pub use line::Line;
pub use links::{Link, console, links};
pub use text::{asked, message};
pub use trial::Trial;
pub use whole::Message;

#[cfg(test)]
mod tests;
