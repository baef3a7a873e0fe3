//! The real use cases, explored.
#![allow(missing_docs, clippy::expect_used, clippy::print_stdout, clippy::wildcard_enum_match_arm)]
#![allow(dead_code)]

mod actions;
mod boundary;
mod bounds;
mod ending;
mod example;
mod explore;
mod lies;
mod machine;
mod mistake;
mod ports;
mod print;
mod process;
mod properties;
mod record;
mod situation;
mod step;

mod explored;
