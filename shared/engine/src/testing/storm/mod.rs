//! A storm: many deployments rolled back at once against the real limits of the load balancer's
//! API. The rollbacks are the real use cases, every turn of them, over the ports; only time, the
//! load balancer and the state machine's routing are simulated.

mod bucket;
mod plain;
mod run;
mod services;
mod time;
mod world;

use glidepath_core::time::{Span, Timestamp};

pub use bucket::{ACCOUNT, Limit, MUTATING, READING};
pub use plain::{PlainPolicy, plain};
pub use run::run;
pub use services::Traffic;

use super::example::START;
use services::Service;

/// Which tokens a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounting {
    /// One of its kind: changing or reading.
    ByKind,
    /// One more of the account's bucket for all calls.
    AccountToo,
    /// The same, and a refused call takes the account's token all the same: worse than documented.
    RefusalsToo,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Deployments whose alarms fire.
    pub rollbacks: usize,
    /// Deployments that want to shift forward meanwhile.
    pub forward: usize,
    /// What the rollbacks end.
    pub traffic: Traffic,
    /// Of mutating calls.
    pub limit: Limit,
    /// Within which the alarms' events arrive.
    pub spread: Span,
    /// What a call takes.
    pub accounting: Accounting,
    /// Invocations of the rollback function at once.
    pub concurrency: usize,
}

impl Settings {
    /// So many rollbacks against AWS's real limits, and a tenth as many forward shifts.
    pub const fn real(rollbacks: usize) -> Self {
        Self {
            rollbacks,
            forward: rollbacks / 10,
            traffic: Traffic::Mixed,
            limit: MUTATING,
            spread: Span::from_secs(2),
            accounting: Accounting::ByKind,
            concurrency: 1000,
        }
    }

    /// No policy is faster: everything at once that fits into the bucket, and the rest as it fills.
    pub const fn floor(&self) -> Span {
        let rest = (self.rollbacks as u64).saturating_sub(self.limit.burst);
        Span::from_millis(rest * 1000 / self.limit.per_second)
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The floor.
    pub floor: Span,
    /// Deployments whose traffic is back.
    pub restored: usize,
    /// Deployments that have ended as rolled back, with their locks free.
    pub ended: usize,
    /// From the first event to the last write.
    pub took: Span,
    /// From the first event until the last state machine has ended.
    pub all_ended: Span,
    /// From the first event until half of all harm was ended; `None` if it never was.
    pub half_of_harm: Option<Span>,
    /// Attempts of rollbacks to write a route.
    pub calls: u64,
    /// Writes that were taken although the route was as it should be already.
    pub repeated: u64,
    /// Writes of forward shifts that were taken while a rollback waited.
    pub forward_meanwhile: u64,
    /// Forward shifts that came through in the end.
    pub forward: usize,
    /// Invocations of the rollback function.
    pub invocations: u64,
    /// The most of them at once.
    pub at_once: usize,
    harms: Vec<u64>,
    removed: u64,
    done: Vec<bool>,
}

impl Tally {
    fn new(settings: &Settings, services: &[Service]) -> Self {
        Self {
            floor: settings.floor(),
            restored: 0,
            ended: 0,
            took: Span::ZERO,
            all_ended: Span::ZERO,
            half_of_harm: None,
            calls: 0,
            repeated: 0,
            forward_meanwhile: 0,
            forward: 0,
            invocations: 0,
            at_once: 0,
            harms: services.iter().map(|service| service.harm().requests_per_minute()).collect(),
            removed: 0,
            done: vec![false; services.len()],
        }
    }

    /// The route of a deployment was written back.
    fn written(&mut self, index: usize, now: Timestamp) {
        if std::mem::replace(&mut self.done[index], true) {
            self.repeated += 1;
            return;
        }
        self.restored += 1;
        self.took = now.since(START);
        self.removed += self.harms[index];
        if self.half_of_harm.is_none() && self.removed * 2 >= self.harms.iter().sum() {
            self.half_of_harm = Some(self.took);
        }
    }

    /// Whether a rollback waits.
    fn waits(&self) -> bool {
        self.restored < self.done.len()
    }

    /// How long it took, the floor being 1.
    pub fn over_floor(&self) -> f64 {
        self.took.as_millis() as f64 / self.floor.as_millis().max(1) as f64
    }

    /// When half of the harm was ended, the floor being 1.
    pub fn half_over_floor(&self) -> Option<f64> {
        let half = self.half_of_harm?;
        Some(half.as_millis() as f64 / self.floor.as_millis().max(1) as f64)
    }
}
