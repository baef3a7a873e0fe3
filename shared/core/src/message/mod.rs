//! What happened in words for a person, whom it is for, and as each channel takes it.

pub mod amazon_q;
pub mod document;
pub mod eventbridge;
mod limits;
pub mod pagerduty;
pub mod routing;
pub mod slack;
pub mod teams;
mod text;
mod trial;
pub mod webhook;

pub use text::{Message, console, message};
pub use trial::Trial;

#[cfg(test)]
mod tests;
