//! What every check of the doctor works with.

use glidepath_aws::doctor::Instruments;
use glidepath_core::doctor::{About, Row, Scope};
use glidepath_core::ids::AlarmArn;
use glidepath_core::request::Request;
use glidepath_engine::ports::PortError;

use crate::connection::Connection;

/// What every check works with.
pub(super) struct Doctor {
    pub(super) connection: Connection,
    pub(super) instruments: Instruments,
    pub(super) scope: Scope,
    pub(super) request: Option<Request>,
    /// How the names of this run's things begin, without the hyphen that follows.
    pub(super) run: String,
}

impl Doctor {
    /// The name of one of this run's things.
    pub(super) fn name(&self, of: &str) -> String {
        format!("{}-{of}", self.run)
    }

    /// The ARN of an alarm with this name.
    pub(super) fn alarm(&self, name: &str) -> AlarmArn {
        AlarmArn::new(self.scope.arn("cloudwatch", &format!("alarm:{name}")))
    }
}

/// The row of a check that a call kept from looking.
pub(super) fn unchecked(about: &About, error: &PortError) -> Row {
    let operation = match error {
        PortError::Throttled { operation }
        | PortError::Unanswered { operation, .. }
        | PortError::Refused { operation, .. } => operation,
    };
    if error.is_denied() {
        let advice = format!(
            "let your identity do `{operation}`; the runbook lists what doctor needs to be allowed"
        );
        return about.not_checked(format!("you may not {operation}"), advice);
    }
    about.not_checked(error.to_string(), "run doctor again")
}
