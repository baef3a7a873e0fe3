//! Labs that are kept for the next scenario: starting one takes longer than most scenarios.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::LabResult;
use crate::lab::Lab;
use crate::report::Report;
use crate::scenario::{AwsSettings, Scenario};

/// A local AWS is used for so many scenarios: it remembers all of them, and gets slower.
const MOST_SCENARIOS: usize = 20;

/// Labs without anything to do, each with nothing left of what was played in it.
#[derive(Default)]
pub struct Labs(Mutex<Vec<Idle>>);

struct Idle {
    settings: AwsSettings,
    lab: Lab,
    played: usize,
}

impl Labs {
    /// None yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Plays a scenario in a lab with its settings. If it does not end as it should, the logs are
    /// kept there, and the lab is not used again.
    ///
    /// # Errors
    /// Whatever keeps the scenario from being played.
    pub async fn run(&self, scenario: Scenario, keep_logs: Option<&Path>) -> LabResult<Report> {
        let settings = scenario.aws;
        let changes_the_stack = scenario.changes_the_stack();
        let (mut lab, played) = match self.take(settings) {
            Some(idle) => (idle.lab, idle.played + 1),
            None => (Lab::start(&settings).await?, 1),
        };
        let report = lab.run(scenario, None).await?;
        if !report.failures_besides_strikes().is_empty() {
            if let Some(directory) = keep_logs {
                lab.keep_logs(directory).await?;
            }
            lab.explain(&report).await;
            return Ok(report);
        }
        if played < MOST_SCENARIOS && !changes_the_stack && lab.clear().await? {
            self.idle().push(Idle { settings, lab, played });
        }
        Ok(report)
    }

    fn take(&self, settings: AwsSettings) -> Option<Idle> {
        let mut idle = self.idle();
        let position = idle.iter().position(|idle| idle.settings == settings)?;
        Some(idle.swap_remove(position))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
