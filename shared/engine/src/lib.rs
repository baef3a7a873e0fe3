//! The use cases, one file per function. They decide nothing by themselves: the pure core does;
//! they read, claim, write, read back and record, through the [`ports`].

pub mod ports;
