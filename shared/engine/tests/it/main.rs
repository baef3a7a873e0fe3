//! The use cases against a world in memory.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod approval;
mod bakes;
mod budgets;
mod faults;
mod overwritten;
mod planning;
mod races;
mod rollback;
mod storm;
mod success;
mod weak;
