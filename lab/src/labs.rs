//! Labs that are kept for the next scenario: starting one takes longer than most scenarios.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::LabResult;
use crate::lab::Lab;
use crate::progress::say;
use crate::report::Report;
use crate::scenario::{AwsSettings, Scenario};

/// A local AWS is used for so many scenarios: it remembers all of them, and gets slower.
const MOST_SCENARIOS: usize = 20;

/// Labs without anything to do, each with nothing left of what was played in it. Every lab gives what
/// AWS promises no order of in an order of its own, so that what is played in some of them holds in some
/// orders.
#[derive(Default)]
pub struct Labs {
    idle: Mutex<Vec<Idle>>,
    started: AtomicU32,
}

struct Idle {
    /// Those of its scenarios.
    settings: AwsSettings,
    /// Those that it was started with.
    own: AwsSettings,
    lab: Lab,
    played: usize,
}

impl Labs {
    pub const fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()), started: AtomicU32::new(0) }
    }

    /// Plays a scenario in a lab with its settings. If it does not end as it should, the logs are
    /// kept there, and the lab is not used again.
    ///
    /// # Errors
    /// Whatever keeps the scenario from being played.
    pub async fn run(&self, scenario: Scenario, keep_logs: Option<&Path>) -> LabResult<Report> {
        let settings = scenario.aws;
        let changes_the_stack = scenario.changes_the_stack();
        let (mut lab, own, played) = match self.take(settings) {
            Some(idle) => (idle.lab, idle.own, idle.played + 1),
            None => {
                let own = self.own(settings);
                (Lab::start(&own).await?, own, 1)
            }
        };
        let report = lab.run(scenario, None).await?;
        if !report.failures_besides_strikes().is_empty() {
            if let Some(directory) = keep_logs {
                lab.keep_logs(directory).await?;
            }
            if let (None, Some(seed)) = (settings.order_seed, own.order_seed) {
                say(format_args!("its lab had `aws: {{ orderSeed: {seed} }}`"));
            }
            lab.explain(&report).await;
            return Ok(report);
        }
        if played < MOST_SCENARIOS && !changes_the_stack && lab.clear().await? {
            self.idle().push(Idle { settings, own, lab, played });
        }
        Ok(report)
    }

    /// The settings of the next lab that is started for such scenarios.
    fn own(&self, settings: AwsSettings) -> AwsSettings {
        let seed = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        AwsSettings { order_seed: settings.order_seed.or(Some(seed)), ..settings }
    }

    fn take(&self, settings: AwsSettings) -> Option<Idle> {
        let mut idle = self.idle();
        let position = idle.iter().position(|idle| idle.settings == settings)?;
        Some(idle.swap_remove(position))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lab_has_an_order_of_its_own_unless_its_scenarios_want_one() {
        let labs = Labs::new();
        let seeds: Vec<_> = (0..4).map(|_| labs.own(AwsSettings::default()).order_seed).collect();
        assert_eq!(seeds, [Some(1), Some(2), Some(3), Some(4)]);
        let wanted = AwsSettings { order_seed: Some(7), ..AwsSettings::default() };
        assert_eq!(labs.own(wanted), wanted);
    }
}
