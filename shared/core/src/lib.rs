//! What Glidepath decides, without touching the world: requests become plans, evidence becomes
//! verdicts, and the protocol's transitions become registry writes. Everything here is a pure
//! function of its arguments.

pub mod audit;
pub mod back;
pub mod doctor;
pub mod document;
pub mod drift;
pub mod failure;
pub mod harm;
pub mod health;
pub mod ids;
pub mod link;
pub mod message;
pub mod pace;
pub mod pattern;
pub mod people;
pub mod plan;
pub mod preflight;
pub mod protocol;
pub mod record;
pub mod rehearsal;
pub mod request;
pub mod rollback;
pub mod route;
pub mod said;
pub mod scaling;
pub mod sign_in;
pub mod storm;
pub mod strategy;
pub mod telemetry;
pub mod time;
pub mod timetable;
pub mod urgency;
pub mod versions;
pub mod weight;
pub mod wish;
pub mod world;

#[cfg(test)]
mod fixtures;
