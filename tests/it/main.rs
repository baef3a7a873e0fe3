//! Tests of the whole: what the parts promise each other, and scenarios in the lab.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod contracts;
mod faults;
mod local_aws;
mod privileges;
mod reports;
mod scenarios;
mod triggers;
