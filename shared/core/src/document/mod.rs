//! Reading what people write: a document becomes a value of ours, or findings that each name their place
//! and the way out. Requests, their strategies and the stack's own settings are read with it.

mod decode;
mod finding;
mod percent;
mod words;

pub use decode::member;
pub(crate) use decode::{Decode, Fields, Node};
pub use finding::{Finding, Findings, Place, Severity};
pub use percent::Percent;
pub use words::nearest;
pub(crate) use words::shortened;
