//! Stores the task token of this entry of the gate state, so that a decision or a rollback can end
//! the pause.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, TaskToken};
use glidepath_core::protocol::{Refused, store_gate};
use glidepath_core::record::{Gate, Tick};
use glidepath_core::time::Timestamp;
use serde::Deserialize;

use crate::pace::{self, overdue};
use crate::ports::{Clock, Ports, Registry};
use crate::transition::{Stop, transition};

/// What the state machine hands over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateInput {
    pub deployment: DeploymentId,
    /// What ends the pause.
    pub token: TaskToken,
    pub tick: TickInput,
}

/// Which entry of the gate state an invocation belongs to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TickInput {
    /// `Execution.RedriveCount`.
    pub redrive_count: u32,
    /// `State.EnteredTime`, as text.
    pub entered_at: String,
    /// `State.RetryCount`.
    pub retry_count: u32,
}

/// Stores the token, unless a newer entry of the state has stored its own.
pub async fn run(
    ports: &impl Ports<Registry: Registry, Ambient: Clock>,
    input: &GateInput,
) -> Result<(), Failure> {
    let entered_at = Timestamp::parse(&input.tick.entered_at).ok_or_else(|| {
        let text = &input.tick.entered_at;
        Failure::new(FailureCode::Unexpected, format!("`{text}` is no time of entering a state"))
    })?;
    let gate = Gate {
        tick: Tick {
            redrive_count: input.tick.redrive_count,
            entered_at,
            retry_count: input.tick.retry_count,
        },
        token: input.token.clone(),
    };
    let stored = transition(ports, &input.deployment, |deployment| {
        let now = ports.ambient().now();
        // Not before what the step before has said: that is what the state machine waits, whatever was frozen or thawed
        // since.
        let due = overdue(&deployment.plan, now, pace::tick(deployment, now));
        let due = due.max(deployment.next_due_at);
        store_gate(deployment, gate.clone(), now, due).map(|writes| ((), writes))
    })
    .await;
    match stored {
        // The pause that this token would end is over already.
        Ok(()) | Err(Stop::Refused(Refused::NotNewer)) => Ok(()),
        Err(stop) => Err(stop.into()),
    }
}
