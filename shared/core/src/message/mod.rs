//! What happened in words for a person, whom it is for, and as each channel takes it.

pub mod amazon_q;
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

pub use links::{Link, console, links};
pub use text::{Message, message};
pub use trial::Trial;

#[cfg(test)]
mod tests;
