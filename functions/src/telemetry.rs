//! What is measured, as lines of the log of their own: CloudWatch makes metrics of a line only if it is one JSON
//! object and nothing else, which no layer of the log writes.

use std::io::Write;

use glidepath_aws::clock::System;
use glidepath_core::failure::FailureCode;
use glidepath_core::telemetry::{Measurement, Origin};
use glidepath_engine::ports::{Clock, Telemetry};

use crate::settings;

/// The function's log, whatever its level.
#[derive(Debug)]
pub struct LogLines {
    /// While a stack is updated the new code may meet the old environment: nothing is measured then.
    origin: Option<Origin>,
    clock: System,
}

impl LogLines {
    pub fn from_environment() -> Self {
        let stack = settings::text(settings::STACK).ok();
        let function = settings::text(settings::FUNCTION_NAME).ok();
        let origin = stack.zip(function).map(|(stack, function)| Origin { stack, function });
        Self { origin, clock: System::default() }
    }
}

impl Telemetry for LogLines {
    fn tell(&self, measurement: &Measurement) {
        let Some(origin) = &self.origin else { return };
        let mut line = measurement.line(origin, self.clock.now());
        line.push('\n');
        // At once, or another line comes between. Where the log cannot be written, nobody can be told there either.
        drop(std::io::stdout().lock().write_all(line.as_bytes()));
    }
}

/// Counts a failure of this function, unless it is an answer. Whoever answers a browser does not fail, so that nothing else
/// would count it.
pub fn tell_failure(code: FailureCode) {
    if let Some(measurement) = Measurement::of_failure(code) {
        LogLines::from_environment().tell(&measurement);
    }
}
