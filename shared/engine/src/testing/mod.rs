//! A world in memory: the registry with the conditions of the real one, a load balancer, an ECS, a
//! CloudWatch and a state machine that do what they are told and remember what they were asked.
//! Deterministic: time passes only when somebody waits, numbers count up.

mod bed;
pub mod example;
mod machine;
mod registry;
pub mod storm;
mod world;

pub use bed::{Bed, Between, Fault, KILLED, SIGNED};
pub use machine::Machine;
pub use registry::{Items, MemoryRegistry};
pub use world::{Call, GivingUp, State, World};
