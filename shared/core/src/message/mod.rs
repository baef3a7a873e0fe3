//! What happened in words for a person, and as each channel takes it.

pub mod slack;
mod text;
mod trial;

pub use text::{Message, message};
pub use trial::Trial;

#[cfg(test)]
mod tests;
