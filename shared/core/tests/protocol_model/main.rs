//! A model of the protocol, explored exhaustively to stated bounds.
//!
//! The registry holds the real items and applies the real writes (`protocol::Items`), and every
//! decision is made by the real transitions. What the model has of its own is the order of the
//! calls: each use case of the engine is an invocation with a program counter and with what it has
//! read so far, and takes one step per call to the registry or to the world, so that any two can
//! meet at every call. Around them: the state machine, the sweep, operators, alarm events that come
//! late and twice, crashes, late copies of invocations, executions that die and are redriven, and
//! writes without an answer that land later or never.
//!
//! | file | what |
//! |---|---|
//! | `bounds.rs` | how much may happen in an exploration, and the mistakes |
//! | `state.rs`, `marks.rs` | a state, and what of it counts |
//! | `model.rs`, `machine.rs` | what can happen; the state machine |
//! | `call.rs`, `transit.rs`, `process.rs` | what an invocation can do in a step |
//! | `plan.rs` ... `alarm.rs`, `weak.rs`, `put_off.rs`, `settle.rs` | the use cases |
//! | `properties.rs`, `ending.rs` | what must hold |
//! | `explored.rs`, `seeded.rs` | the tests |
// The numbers of states are what an exploration is worth, so they are printed.
#![allow(missing_docs, clippy::expect_used, clippy::print_stdout)]

mod advance;
mod alarm;
mod bounds;
mod call;
mod complete;
mod ending;
mod example;
mod gate;
mod machine;
mod marks;
mod model;
mod plan;
mod process;
mod properties;
mod put_off;
mod retire;
mod rollback;
mod settle;
mod state;
mod told;
mod transit;
mod validate;
mod weak;

mod explored;
mod seeded;
